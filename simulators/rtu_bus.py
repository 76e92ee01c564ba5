"""A serial bus with several simulated devices, and the time that its bytes take.

One end is for a master: bytes that it sends come in by `hear`, what devices send goes
out through `ends`. As on a real bus a frame ends with silence, two who send at once
spoil both frames, and a slow device may speak when nobody waits for it any more.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from simulators.faults import Faults, happens
from simulators.modbus_server import ModbusServer
from simulators.pdu import exception
from simulators.rtu import character_s, framed, silence_s, unframed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEFAULT_BAUD_RATE = 9600
TURNAROUND_S = 0.005
"""Between the end of a request and the first byte of its reply."""

_LUMP_BYTES = 16
"""So many bytes a UART hands on at a time."""

_NOISE_BYTES = 5
_TOLERANCE = 0.8
"""Of the silence between frames: master and bus do not count from the same instant."""


class BusUnit(ModbusServer):
    """One device on a bus; nobody connects to it."""

    is_on = False
    free_at = 0.0
    """When the last of its replies begins: it answers in order."""

    async def _listen(self) -> None:
        self.is_on = True

    def _stop_listening(self) -> None:
        self.is_on = False

    def replies(self, number: int, pdu: bytes) -> list[bytes]:
        """Return the frames that the device sends for a request to a unit id of its."""
        self.counters.requests += 1
        if self.goes_unanswered(pdu, float("-inf")) or happens(self.faults.drop):
            self.counters.faults += 1
            return []
        code = self.faults.refusal(pdu)
        reply = self.answer(pdu) if code is None else exception(pdu[0], code)
        self.counters.exceptions += bool(reply[0] & 0x80)
        frame = framed(number, reply)
        sent = self._spoilt(self.bridge.send(_on_a_bus(self), frame, pdu))
        self.counters.faults += code is not None or sent != [frame]
        return sent

    def _spoilt(self, frames: list[bytes]) -> list[bytes]:
        if frames and happens(self.faults.bad_crc):
            frames[-1] = frames[-1][:-1] + bytes((frames[-1][-1] ^ 0x10,))
        if frames and happens(self.faults.noise):
            frames[-1] = os.urandom(_NOISE_BYTES) + frames[-1]
        return frames


def _on_a_bus(unit: BusUnit) -> Faults:
    """Return the faults of a unit that have a meaning without transaction ids."""
    faults = unit.faults
    return msgspec.structs.replace(
        faults,
        transaction_id="echo",
        wrong_transaction_id=False,
        previous_reply=faults.previous_reply or faults.previous_data,
        previous_data=False,
    )


@dataclass(slots=True)
class BusCounters:
    """What happened on a bus since it started."""

    frames: int = 0
    """Requests with a good check sum."""
    bad_frames: int = 0
    foreign_unit: int = 0
    """Requests for a unit that is not there, or switched off."""
    collisions: int = 0


class RtuBus:
    """Devices on one line."""

    def __init__(
        self, units: Sequence[BusUnit], *, baud_rate: int = DEFAULT_BAUD_RATE
    ) -> None:
        self.counters = BusCounters()
        self.ends: list[Callable[[bytes], None]] = []
        """Who hears what devices send."""
        self._units = {unit.unit: unit for unit in units}
        if len(self._units) < len(units):
            raise ValueError("two devices on the bus have the same unit id")
        self._character_s = character_s(baud_rate)
        self._silence_s = silence_s(baud_rate)
        self._loop = asyncio.get_running_loop()
        self._heard = b""
        self._heard_until = 0.0
        """When the last byte of what the master sent is over."""
        self._busy_until = 0.0
        """When the last byte of what a device sends is over."""
        self._end_of_frame: asyncio.TimerHandle | None = None
        self._sending: list[tuple[asyncio.TimerHandle, int]] = []

    def hear(self, data: bytes) -> None:
        """Take bytes that a master sends."""
        now = self._loop.time()
        if now < self._busy_until:
            self._collide()
            data = os.urandom(len(data))
        elif not self._heard and now < self._busy_until + _TOLERANCE * self._silence_s:
            # No silence before it: for the devices it belongs to the frame before.
            data = b"\xff" + data
        self._heard += data
        time_s = len(data) * self._character_s
        self._heard_until = max(now, self._heard_until) + time_s
        if self._end_of_frame is not None:
            self._end_of_frame.cancel()
        self._end_of_frame = self._loop.call_at(
            self._heard_until + self._silence_s, self._take_frame
        )

    def close(self) -> None:
        """Send nothing more."""
        if self._end_of_frame is not None:
            self._end_of_frame.cancel()
        for timer, _ in self._sending:
            timer.cancel()
        self.ends.clear()

    def _take_frame(self) -> None:
        heard, self._heard = self._heard, b""
        found = unframed(heard)
        if found is None:
            self.counters.bad_frames += 1
            return
        self.counters.frames += 1
        number, pdu = found
        unit = self._units.get(number) or self._answering_for(number)
        if unit is None or not unit.is_on:
            self.counters.foreign_unit += 1
            return
        at = self._loop.time() + TURNAROUND_S + unit.faults.delay_s()
        for frame in unit.replies(number, pdu):
            at = max(at, unit.free_at)
            self._loop.call_at(at, self._send, unit, frame)
            unit.free_at = at + len(frame) * self._character_s + self._silence_s

    def _answering_for(self, number: int) -> BusUnit | None:
        units = self._units.values()
        return next((unit for unit in units if number in unit.faults.units), None)

    def _send(self, unit: BusUnit, frame: bytes) -> None:
        """Send a frame, as fast as the line is."""
        now = self._loop.time()
        if now < max(self._busy_until, self._heard_until):
            self._collide()
            frame = os.urandom(len(frame))
        self._sending.clear()
        for start in range(0, len(frame), _LUMP_BYTES):
            lump = frame[start : start + _LUMP_BYTES]
            at = now + (start + len(lump)) * self._character_s
            timer = self._loop.call_at(at, self._deliver, lump)
            self._sending.append((timer, len(lump)))
        self._busy_until = now + len(frame) * self._character_s
        unit.last_reply_at = self._busy_until
        unit.counters.replies += 1

    def _collide(self) -> None:
        """Spoil what is being sent and heard: two send at once."""
        self.counters.collisions += 1
        self._heard = os.urandom(len(self._heard))
        spoilt = []
        for timer, size in self._sending:
            if timer.when() > self._loop.time():
                timer.cancel()
                noise = os.urandom(size)
                timer = self._loop.call_at(timer.when(), self._deliver, noise)
                spoilt.append((timer, size))
        self._sending = spoilt

    def _deliver(self, data: bytes) -> None:
        for end in tuple(self.ends):
            end(data)

"""Readings that wait in memory until they are enough for a packet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egw.storage.outbox import NewPacket
from egw.storage.packet import payload_json

if TYPE_CHECKING:
    from egw.messages import Reading, Readings

_MOST_READINGS = 1000
"""For each device, while the disk takes none; the device itself keeps what is newer."""


@dataclass(slots=True)
class _Buffer:
    device: str
    model: str
    dtype: str
    sn: str
    readings: dict[int, Reading] = field(default_factory=dict)
    """By stamp, in order."""
    arrivals: dict[int, float] = field(default_factory=dict)
    """By stamp: monotonic seconds."""


class Buffers:
    """One buffer for each device and kind of payload. Pure; time is passed in."""

    def __init__(self, *, packet_readings: int, longest_wait_s: float) -> None:
        self._packet_readings = packet_readings
        self._longest_wait_s = longest_wait_s
        self._buffers: dict[str, _Buffer] = {}
        self._formerly: list[_Buffer] = []

    @property
    def full(self) -> int:
        """How many whole packets are waiting."""
        waiting = (len(buffer.readings) for buffer in self._all())
        return sum(count // self._packet_readings for count in waiting)

    def add(self, message: Readings, *, above_ms: int, now: float) -> None:
        """Take the readings above `above_ms` that are not here yet, up to a bound."""
        buffer = self._buffer_for(message)
        for reading in message.readings:
            if len(buffer.readings) >= _MOST_READINGS:
                return
            stamp_ms = reading.stamp_ms
            if stamp_ms > above_ms and stamp_ms not in buffer.readings:
                buffer.readings[stamp_ms] = reading
                buffer.arrivals[stamp_ms] = now

    def _buffer_for(self, message: Readings) -> _Buffer:
        head = (message.device, message.model, message.dtype, message.sn)
        buffer = self._buffers.get(message.device)
        if buffer is None:
            buffer = self._buffers[message.device] = _Buffer(*head)
        elif (buffer.model, buffer.dtype, buffer.sn) != head[1:]:
            # Another device under the same name: its readings need a head of their own.
            self._formerly.append(buffer)
            buffer = self._buffers[message.device] = _Buffer(*head)
        return buffer

    def hurry(self, device: str) -> None:
        """Let everything that is here of a device be due at once."""
        for buffer in self._all():
            if buffer.device == device:
                buffer.arrivals = dict.fromkeys(buffer.arrivals, float("-inf"))

    def due(self, now: float, *, everything: bool = False) -> list[NewPacket]:
        """Return the packets to commit now; they stay here until `committed`."""
        packets = []
        for buffer in self._all():
            formerly = buffer in self._formerly
            packets += self._cut(buffer, now, everything=everything or formerly)
        return packets

    def _cut(self, buffer: _Buffer, now: float, *, everything: bool) -> list[NewPacket]:
        readings = sorted(buffer.readings.values(), key=lambda r: r.stamp_ms)
        packets = []
        for start in range(0, len(readings), self._packet_readings):
            part = readings[start : start + self._packet_readings]
            waited_s = now - buffer.arrivals[part[0].stamp_ms]
            is_full = len(part) == self._packet_readings
            if is_full or everything or waited_s >= self._longest_wait_s:
                packets.append(_packet(buffer, part))
        return packets

    def committed(self, packets: list[NewPacket]) -> None:
        """Forget what is on disk now."""
        for packet in packets:
            for buffer in self._all():
                if buffer.device == packet.device:
                    _forget(buffer, packet)
        self._formerly = [buffer for buffer in self._formerly if buffer.readings]

    def _all(self) -> list[_Buffer]:
        return [*self._formerly, *self._buffers.values()]


def _forget(buffer: _Buffer, packet: NewPacket) -> None:
    stamps = [s for s in buffer.readings if packet.first_ms <= s <= packet.last_ms]
    for stamp_ms in stamps:
        del buffer.readings[stamp_ms]
        del buffer.arrivals[stamp_ms]


def _packet(buffer: _Buffer, readings: list[Reading]) -> NewPacket:
    return NewPacket(
        device=buffer.device,
        sn=buffer.sn,
        model=buffer.model,
        dtype=buffer.dtype,
        first_ms=readings[0].stamp_ms,
        last_ms=readings[-1].stamp_ms,
        readings=len(readings),
        payload=payload_json(readings),
    )

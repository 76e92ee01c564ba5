"""Modbus RTU, with every reply checked byte by byte.

A reply has no number that says which request it is for. Only one is under way, the line
has been silent before it, and after a failure what may come late is waited for and
dropped. The end of a frame is known from its function code and byte count, not from
silence: adapters and bridges deliver bytes in lumps.

Frames: Modbus over Serial Line Specification and Implementation Guide V1.02, 2.5.1.
"""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Sequence

import msgspec
from pymodbus.framer.rtu import FramerRTU

from egw.devices.blocks import Block
from egw.devices.late_replies import LateReplies
from egw.devices.profile import Manners, RegisterRange
from egw.devices.transport import (
    MAX_READ,
    MAX_WRITE,
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    Refused,
)
from egw.devices.wire import Wire

_EXCEPTION_BIT = 0x80
_EXCEPTION_BYTES = 5
_CHECK_BYTES = 2
_BROADCAST = 0

_NOISE_BYTES = 3
"""So few bytes between frames are no frame: transceivers make them when they switch."""

_SETTLED_S = 0.1
"""After so long a silence nothing more of a damaged reply is to come."""


class ModbusRtu:
    """Modbus RTU to one device over a wire; implements `Transport`."""

    def __init__(
        self,
        wire: Wire,
        *,
        unit: int,
        timeout_s: float,
        manners: Manners,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `timeout_s` bounds connecting and the beginning of each reply."""
        self._wire = wire
        self._timeout_s = timeout_s
        self.unit = unit
        self._gap_s = max(manners.gap_ms / 1000, wire.line.silence_s)
        self._connect_delay_s = manners.connect_delay_ms / 1000
        self._sleep = sleep
        self._monotonic = monotonic
        self._late: dict[int, LateReplies] = {}
        self._in_step = True
        """Whether nothing of an earlier request can be on its way."""
        self._silent_from_s = 0.0
        """When the line can be taken for silent after a failure."""
        self._quiet_since_s = 0.0
        self.sent_at_s = 0.0

    @property
    def connected(self) -> bool:
        """Whether requests can be sent, as far as is known without asking."""
        return self._wire.is_open and self._in_step

    def connect(self) -> None:
        """Connect, if not connected; after a failure wait until the line is silent.

        Raises NoConnection.
        """
        if self.connected:
            return
        if not self._wire.is_open:
            self._wire.open(self._timeout_s)
            if self._connect_delay_s:
                self._sleep(self._connect_delay_s)
        if not self._in_step:
            self._let_it_fall_silent()
            self._in_step = True
        self._quiet_since_s = self._monotonic()

    def close(self) -> None:
        """Close the wire, if it is open."""
        self._wire.close()

    def rest(self, seconds: float) -> None:
        """Leave the device alone for so long."""
        self._sleep(seconds)

    def read(self, registers: RegisterRange) -> Block:
        """Read up to 125 registers in one request.

        Raises Refused, and after losing the connection NoConnection, NoAnswer or
        Garbage.
        """
        if registers.count > MAX_READ:
            raise ValueError(f"one request reads {MAX_READ} registers at most")
        function = 3 if registers.function == "holding" else 4
        size = 2 * registers.count
        begins = bytes((self.unit, function, size))
        if self._late_replies.may_be(begins):
            self._read_other_length(registers)
        reply = self._exchange(
            struct.pack(
                ">BBHH", self.unit, function, registers.address, registers.count
            ),
            begins,
            len(begins) + size + _CHECK_BYTES,
        )
        data = reply[len(begins) : -_CHECK_BYTES]
        return Block(registers.function, registers.address, data)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write up to 123 holding registers in one request (function 16).

        Raises as `read` does.
        """
        count = len(words)
        if count > MAX_WRITE:
            raise ValueError(f"one request writes {MAX_WRITE} registers at most")
        begins = struct.pack(">BBHH", self.unit, 16, address, count)
        if self._late_replies.may_be(begins):
            registers = RegisterRange(function="holding", address=address, count=1)
            self._read_other_length(registers)
        self._exchange(
            begins + struct.pack(f">B{count}H", 2 * count, *words),
            begins,
            len(begins) + _CHECK_BYTES,
        )

    @property
    def _late_replies(self) -> LateReplies:
        """Those of the unit: each answers in order, but not one after the other."""
        return self._late.setdefault(self.unit, LateReplies(self._monotonic))

    def _read_other_length(self, registers: RegisterRange) -> None:
        """Read something else before a request that a late reply would fit."""
        count = self._late_replies.other_count(MAX_READ)
        with contextlib.suppress(Refused):
            self.read(msgspec.structs.replace(registers, count=count))

    def _exchange(self, request: bytes, begins: bytes, size: int) -> bytes:
        """Send a request; return its reply, `size` bytes that begin with `begins`."""
        if not self.connected:
            raise NoConnection("not connected")
        if self.unit == _BROADCAST:
            raise NoAnswer("unit 0 is a broadcast, which nobody answers")
        frame = request + check_bytes(request)
        try:
            self._await_silence()
            self.sent_at_s = self._monotonic()
            self._wire.send(frame)
            reply = self._await_reply(len(frame), begins, size)
        except OSError as error:
            self._wire.close()
            raise NoConnection("the connection broke") from error
        except DeviceError as error:
            is_silent = isinstance(error, NoAnswer)
            self._lose_step(begins, self._timeout_s if is_silent else _SETTLED_S)
            raise
        finally:
            self._quiet_since_s = self._monotonic()
        if reply[1] & _EXCEPTION_BIT:
            raise Refused(reply[2])
        self._late_replies.clear()
        return reply

    def _await_reply(self, sent: int, begins: bytes, size: int) -> bytes:
        """Return the reply to a request of `sent` bytes. Raises NoAnswer, Garbage."""
        character_s = self._wire.line.character_s
        until_s = self.sent_at_s + sent * character_s + self._timeout_s
        reply = b""
        while len(reply) < (end := _size(reply, begins, size)):
            more = self._receive_until(until_s)
            if not more:
                if reply:
                    raise Garbage("half a reply")
                raise NoAnswer("no answer in time")
            if not reply:
                now_s = self._monotonic()
                until_s = now_s + size * character_s + self._timeout_s
            reply += more
        if len(reply) > end + _NOISE_BYTES:
            raise Garbage("more bytes than the reply has")
        return _checked(reply[:end])

    def _receive_until(self, until_s: float) -> bytes:
        return self._wire.receive(max(until_s - self._monotonic(), 0))

    def _await_silence(self) -> None:
        """Wait until the line has been silent for long enough to send.

        Raises Garbage for what may be a late reply: it would be taken for the reply to
        this request if only its numbers fit.
        """
        heard = b""
        while True:
            rest_s = self._quiet_since_s + self._gap_s - self._monotonic()
            if rest_s > 0:
                self._sleep(rest_s)
            arrived = self._wire.receive(0)
            if not arrived:
                return
            self._quiet_since_s = self._monotonic()
            heard += arrived
            if len(heard) > _NOISE_BYTES:
                raise Garbage("a reply came that nobody waited for")

    def _lose_step(self, begins: bytes, silence_s: float) -> None:
        self._in_step = False
        self._silent_from_s = self._monotonic() + silence_s
        self._late_replies.expect(begins)
        self._wire.start_afresh()

    def _let_it_fall_silent(self) -> None:
        """Drop what comes, until nothing does. Raises NoConnection.

        Behind a bridge a late reply may come into the next connection.
        """
        started_s = self._monotonic()
        until_s = self._silent_from_s
        try:
            while self._receive_until(until_s):
                until_s = self._monotonic() + _SETTLED_S
                if until_s > started_s + self._timeout_s + 2 * _SETTLED_S:
                    raise NoConnection("the line does not fall silent")
        except OSError as error:
            self._wire.close()
            raise NoConnection("the connection broke") from error


def check_bytes(frame: bytes) -> bytes:
    """Return the two bytes that end a frame: V1.02, 2.5.1.2 (CRC, low byte first)."""
    return FramerRTU.compute_CRC(frame).to_bytes(_CHECK_BYTES, "big")


def _size(reply: bytes, begins: bytes, size: int) -> int:
    """Return how long a reply is that has come in part. Raises Garbage."""
    if begins.startswith(reply[: len(begins)]):
        return size
    exception = bytes((begins[0], begins[1] | _EXCEPTION_BIT))
    if not exception.startswith(reply[: len(exception)]):
        raise Garbage("not the unit, function or size that was asked for")
    return _EXCEPTION_BYTES


def _checked(frame: bytes) -> bytes:
    content = frame[:-_CHECK_BYTES]
    if check_bytes(content) != frame[-_CHECK_BYTES:]:
        raise Garbage("the check sum is wrong")
    if content[1] & _EXCEPTION_BIT and content[2] == 0:
        raise Garbage("not an exception reply")
    return frame

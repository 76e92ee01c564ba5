"""A Modbus TCP server for one simulated device.

Source of the framing: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from simulators.bank import ModbusExceptionReply
from simulators.bridge import Bridge, Settling
from simulators.faults import HEALTHY, Faults, happens
from simulators.pdu import Registers, answer, exception

if TYPE_CHECKING:
    from simulators.device import Doze

_MBAP = struct.Struct(">HHHB")
_MBAP_BYTES = 7
_MAX_LENGTH = 254
_SUN_CHECK_S = 0.05
"""How often a device that is off by night looks for the sun."""


class Served(Registers, Protocol):
    """Registers of a device that has nights."""

    @property
    def is_dark(self) -> bool:
        """Whether it is night at the device."""

    def doze(self, how: Doze | None) -> None:
        """Say by night that measured values are unavailable or zero."""


@dataclass(slots=True)
class Counters:
    """What happened at one server since it started."""

    connections: int = 0
    refused_connections: int = 0
    requests: int = 0
    replies: int = 0
    exceptions: int = 0
    foreign_unit: int = 0
    """Requests for another unit id; they get no answer."""
    bad_frames: int = 0
    faults: int = 0
    """Requests that met a fault other than latency."""


class ModbusServer:
    """One device at one address."""

    def __init__(
        self,
        name: str,
        registers: Served,
        *,
        unit: int = 1,
        faults: Faults = HEALTHY,
    ) -> None:
        self.name = name
        self.registers = registers
        self.unit = unit
        self.faults = faults
        self.counters = Counters()
        self.connections: set[ModbusConnection] = set()
        self.bridge = Bridge()
        self.settling = Settling(registers)
        self.last_reply_at = float("-inf")
        """Event loop time of the last reply."""
        self.host = "127.0.0.1"
        self.port = 0
        self._listener: asyncio.Server | None = None
        self._sun_check: asyncio.TimerHandle | None = None
        self._switching: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one. Raises OSError.

        A device that is `off` finds its port first and then closes it.
        """
        self.host, self.port = host, port
        await self._listen()
        await self.set_faults(self.faults)

    async def set_faults(self, faults: Faults) -> None:
        """Replace the faults; takes effect with the next request."""
        self.faults = faults
        sleep = faults.sleep
        self.registers.doze(sleep if sleep in ("unavailable", "zeros") else None)
        if self._sun_check is not None:
            self._sun_check.cancel()
            self._sun_check = None
        if sleep == "off":
            self._watch_sun()
        await self._switch()

    def close(self) -> None:
        """Stop listening and close every connection at once."""
        if self._sun_check is not None:
            self._sun_check.cancel()
        self._stop_listening()

    def sleeps(self, how: str) -> bool:
        """Return whether it is night and the device sleeps that way."""
        return self.faults.sleep == how and self.registers.is_dark

    def goes_unanswered(self, pdu: bytes, connected_at: float) -> bool:
        """Return whether a fault keeps a request from being answered."""
        faults = self.faults
        now = asyncio.get_running_loop().time()
        oversized = faults.oversize == "silent" and faults.is_oversized(pdu)
        return (
            (now - self.last_reply_at) * 1000 < faults.min_gap_ms
            or (now - connected_at) * 1000 < faults.connect_delay_ms
            or oversized
            or self.sleeps("silent")
            or happens(faults.silent)
        )

    def answer(self, pdu: bytes) -> bytes:
        """Return the reply to a request, with what was written not settled yet."""
        now = asyncio.get_running_loop().time()
        settle_s = self.faults.settle_ms / 1000
        try:
            old = self.settling.before(pdu) if settle_s else {}
        except ModbusExceptionReply as refusal:
            return exception(pdu[0], refusal.code)
        reply = answer(pdu, self.registers)
        if not reply[0] & 0x80:
            self.settling.hide(old, now + settle_s)
        return self.settling.shown(reply, pdu, now)

    def _watch_sun(self) -> None:
        loop = asyncio.get_running_loop()
        self._sun_check = loop.call_later(_SUN_CHECK_S, self._watch_sun)
        if self.sleeps("off") is (self._listener is not None):
            self._switching = loop.create_task(self._switch())

    async def _switch(self) -> None:
        """Listen or not, as the faults and the sun have it."""
        if self.faults.off or self.sleeps("off"):
            self._stop_listening()
        elif self._listener is None:
            await self._listen()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in tuple(self.connections):
            connection.abort()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: ModbusConnection(self), self.host, self.port, backlog=64
        )
        self.port = self._listener.sockets[0].getsockname()[1]


class ModbusConnection(asyncio.Protocol):
    """One master's connection; requests are answered in their order."""

    def __init__(self, server: ModbusServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._waiting = 0
        self._free_at = 0.0
        self._made_at = self._loop.time()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; a device that bears only one ends this or the first."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows a type
        self._transport = transport
        server = self._server
        server.counters.connections += 1
        if server.faults.single_connection and server.connections:
            server.counters.refused_connections += 1
            if server.faults.single_connection != "takeover":
                transport.abort()
                return
            for first in tuple(server.connections):
                first.abort()
        server.connections.add(self)

    def eof_received(self) -> bool:
        """Keep a connection that its master has closed for as long as it lingers."""
        linger_s = self._server.faults.linger_ms / 1000
        if linger_s:
            self._loop.call_later(linger_s, self._transport.close)
        return linger_s > 0

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget the connection."""
        self._server.connections.discard(self)

    def abort(self) -> None:
        """Close the connection without sending what is left."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer every complete request in the stream; keep the rest."""
        buffer = self._buffer + data
        start = 0
        while len(buffer) - start > _MBAP_BYTES:
            transaction, protocol, length, unit = _MBAP.unpack_from(buffer, start)
            if protocol or not 2 <= length <= _MAX_LENGTH:
                self._server.counters.bad_frames += 1
                self._transport.close()
                return
            end = start + 6 + length
            if end > len(buffer):
                break
            self._request(transaction, unit, buffer[start + _MBAP_BYTES : end])
            start = end
        self._buffer = buffer[start:]

    def _request(self, transaction: int, unit: int, pdu: bytes) -> None:
        server = self._server
        server.counters.requests += 1
        if unit != server.unit and unit not in server.faults.units:
            server.counters.foreign_unit += 1
        elif server.faults is HEALTHY and not self._waiting:
            frame = self._frame(transaction, unit, answer(pdu, server.registers))
            server.bridge.previous = frame
            self._send(frame)
        else:
            self._request_with_faults(server.faults, transaction, unit, pdu)

    def _request_with_faults(
        self, faults: Faults, transaction: int, unit: int, pdu: bytes
    ) -> None:
        server = self._server
        if server.goes_unanswered(pdu, self._made_at):
            server.counters.faults += 1
            return
        if happens(faults.drop):
            server.counters.faults += 1
            self._transport.close()
            return
        code = faults.refusal(pdu)
        server.counters.faults += code is not None
        reply = server.answer(pdu) if code is None else exception(pdu[0], code)
        frame = self._frame(transaction, unit, reply)
        sent = server.bridge.send(faults, frame, pdu)
        server.counters.faults += sent != [frame]
        delay_s = faults.delay_s()
        for part in sent:
            self._send_later(part, delay_s)
            delay_s = 0.0

    def _frame(self, transaction: int, unit: int, reply: bytes) -> bytes:
        if reply[0] & 0x80:
            self._server.counters.exceptions += 1
        return _MBAP.pack(transaction, 0, len(reply) + 1, unit) + reply

    def _send_later(self, frame: bytes, delay_s: float) -> None:
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + delay_s
        if self._free_at <= now:
            self._send(frame)
            return
        self._waiting += 1
        self._loop.call_at(self._free_at, self._send_waiting, frame)

    def _send_waiting(self, frame: bytes) -> None:
        self._waiting -= 1
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._transport.is_closing():
            return
        # Noted first: the master counts its pause from when it has the reply.
        self._server.last_reply_at = self._loop.time()
        self._transport.write(frame)
        self._server.counters.replies += 1

"""A Modbus TCP server for one simulated device.

Source of the framing: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3.
"""

from __future__ import annotations

import asyncio
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.faults import HEALTHY, Faults, happens
from simulators.pdu import answer, exception

if TYPE_CHECKING:
    from simulators.pdu import Registers

_MBAP = struct.Struct(">HHHB")
_MBAP_BYTES = 7
_MAX_LENGTH = 254
_GARBAGE_BYTES = 12


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
        registers: Registers,
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
        self.last_reply_at = float("-inf")
        """Event loop time of the last reply."""
        self.host = "127.0.0.1"
        self.port = 0
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one. Raises OSError.

        A device that is `off` finds its port first and then closes it.
        """
        self.host, self.port = host, port
        await self._listen()
        if self.faults.off:
            self.close()

    async def set_faults(self, faults: Faults) -> None:
        """Replace the faults; takes effect with the next request."""
        self.faults = faults
        if faults.off:
            self.close()
        elif self._listener is None:
            await self._listen()

    def close(self) -> None:
        """Stop listening and close every connection at once."""
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
        self._previous = b""
        self._waiting = 0
        self._free_at = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless the device bears only one."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows a type
        self._transport = transport
        server = self._server
        server.counters.connections += 1
        if server.faults.single_connection and server.connections:
            server.counters.refused_connections += 1
            transport.abort()
            return
        server.connections.add(self)

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
        if unit != server.unit:
            server.counters.foreign_unit += 1
        elif server.faults is HEALTHY and not self._waiting:
            self._previous = self._frame(transaction, answer(pdu, server.registers))
            self._send(self._previous)
        else:
            self._request_with_faults(server.faults, transaction, pdu)

    def _request_with_faults(
        self, faults: Faults, transaction: int, pdu: bytes
    ) -> None:
        if self._too_soon(faults) or happens(faults.silent):
            self._server.counters.faults += 1
            return
        if happens(faults.drop):
            self._server.counters.faults += 1
            self._transport.close()
            return
        code = faults.refusal(pdu)
        if code is None:
            reply = answer(pdu, self._server.registers)
        else:
            self._server.counters.faults += 1
            reply = exception(pdu[0], code)
        frame = self._frame(transaction, reply)
        self._send_later(self._distorted(faults, frame), faults.delay_s())

    def _too_soon(self, faults: Faults) -> bool:
        gap_s = self._loop.time() - self._server.last_reply_at
        return gap_s * 1000 < faults.min_gap_ms

    def _frame(self, transaction: int, reply: bytes) -> bytes:
        if reply[0] & 0x80:
            self._server.counters.exceptions += 1
        return _MBAP.pack(transaction, 0, len(reply) + 1, self._server.unit) + reply

    def _distorted(self, faults: Faults, frame: bytes) -> bytes:
        sent = frame
        if happens(faults.previous_reply) and self._previous:
            sent = self._previous
        elif happens(faults.garbage):
            sent = os.urandom(_GARBAGE_BYTES)
        elif happens(faults.truncate):
            sent = frame[: len(frame) // 2]
        elif happens(faults.wrong_transaction_id):
            sent = bytes((frame[0] ^ 0x55, frame[1] ^ 0x55)) + frame[2:]
        self._previous = frame
        self._server.counters.faults += sent is not frame
        return sent

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
        self._transport.write(frame)
        self._server.counters.replies += 1
        self._server.last_reply_at = self._loop.time()

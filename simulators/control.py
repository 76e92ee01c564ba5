"""The control port: faults, registers and counters of simulated devices at run time.

Newline-delimited JSON over TCP; each line is answered with one line:

    {"device": "roof-1", "fault": {"latency_ms": 200}}   change these faults
    {"device": "*", "fault": null}                       heal every device
    {"get": "roof-1"}                                    faults, counters, registers
    {"set_register": {"device": "roof-1", "function": "holding",
                      "address": 40069, "value": 7}}     hold a register; null: let go
    {"set_point": {"device": "roof-1", "key": "grid_frequency_hz",
                   "value": 49.8}}                       hold a point; null: no value
    {"free_points": "roof-1"}                            let go of all points
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from simulators.bank import ModbusExceptionReply
from simulators.faults import changed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egw.devices.profile import Function
    from simulators.fields import Content
    from simulators.modbus_server import ModbusServer

LINE_LIMIT_BYTES = 65_536
ALL = "*"


class Pinnable(Protocol):
    """Registers that can be looked at and held at a value."""

    def snapshot(self) -> dict[Function, dict[int, int]]:
        """Return every register: table -> address -> word."""

    def pin(self, function: Function, address: int, word: int | None) -> None:
        """Hold a register; raises ModbusExceptionReply."""

    def set_point(self, key: str, value: Content) -> None:
        """Hold a point; raises ValueError, ModbusExceptionReply."""

    def free_points(self) -> None:
        """Let go of every point."""


class ControlError(Exception):
    """Raised when a request cannot be done; the text goes back to the asker."""


class _SetRegister(msgspec.Struct, forbid_unknown_fields=True):
    device: str
    function: Literal["holding", "input"]
    address: Annotated[int, Meta(ge=0, le=65535)]
    value: Annotated[int, Meta(ge=0, le=65535)] | None


class _SetPoint(msgspec.Struct, forbid_unknown_fields=True):
    device: str
    key: str
    value: float | str | list[str] | None


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    device: str | None = None
    fault: dict[str, object] | msgspec.UnsetType | None = msgspec.UNSET
    get: str | None = None
    set_register: _SetRegister | None = None
    set_point: _SetPoint | None = None
    free_points: str | None = None


class ControlPort:
    """Answers control requests for a set of devices."""

    def __init__(
        self, servers: Mapping[str, ModbusServer], registers: Mapping[str, Pinnable]
    ) -> None:
        self._servers = servers
        self._registers = registers
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int) -> int:
        """Listen and return the port (0 takes any free one); raises OSError."""
        self._listener = await asyncio.start_server(
            self._serve, host, port, limit=LINE_LIMIT_BYTES
        )
        bound: int = self._listener.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._listener is not None:
            self._listener.close()
        for writer in self._open:
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open.add(writer)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self.answer(line)) + b"\n")
                await writer.drain()
        except ValueError:
            # What readline raises for a line beyond the limit: the stream is lost.
            refusal = {"ok": False, "error": f"a line exceeds {LINE_LIMIT_BYTES} bytes"}
            writer.write(msgspec.json.encode(refusal) + b"\n")
        except ConnectionError:
            return
        finally:
            self._open.discard(writer)
            writer.close()

    async def answer(self, line: bytes) -> dict[str, object]:
        """Do what one line asks and return the reply."""
        try:
            return {"ok": True} | await self._do(
                msgspec.json.decode(line, type=_Request)
            )
        except (ControlError, ValueError, RecursionError, OSError) as error:
            return {"ok": False, "error": str(error)}
        except ModbusExceptionReply:
            return {"ok": False, "error": "the device has no such register to set"}

    async def _do(self, request: _Request) -> dict[str, object]:
        if request.get is not None:
            return self._describe(request.get)
        if request.set_register is not None:
            change = request.set_register
            self._server(change.device)
            self._registers[change.device].pin(
                change.function, change.address, change.value
            )
            return {}
        if request.set_point is not None:
            wanted = request.set_point
            self._server(wanted.device)
            self._registers[wanted.device].set_point(wanted.key, wanted.value)
            return {}
        if request.free_points is not None:
            self._server(request.free_points)
            self._registers[request.free_points].free_points()
            return {}
        if request.device is not None and request.fault is not msgspec.UNSET:
            await self._change_faults(request.device, request.fault)
            return {}
        raise ControlError(
            'expected "device" with "fault", "get", "set_register", "set_point" or '
            '"free_points"'
        )

    async def _change_faults(
        self, device: str, change: dict[str, object] | None
    ) -> None:
        servers = self._servers.values() if device == ALL else [self._server(device)]
        for server in tuple(servers):
            await server.set_faults(changed(server.faults, change))

    def _describe(self, device: str) -> dict[str, object]:
        server = self._server(device)
        return {
            "device": device,
            "faults": server.faults,
            "counters": asdict(server.counters),
            "registers": self._registers[device].snapshot(),
        }

    def _server(self, device: str) -> ModbusServer:
        try:
            return self._servers[device]
        except KeyError:
            known = ", ".join(sorted(self._servers))
            raise ControlError(f"no device {device!r}; there are: {known}") from None

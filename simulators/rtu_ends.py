"""How a master gets at a simulated bus: a pseudo-terminal, or TCP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import tty
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.rtu_bus import RtuBus

_MOST_BYTES = 4096


class SerialLink:
    """A pseudo-terminal under a name of its own: an adapter and its port."""

    def __init__(self, bus: RtuBus, path: Path) -> None:
        self._bus = bus
        self._path = path
        self._master = -1
        self._slave = -1

    def plug_in(self) -> None:
        """Make the port. Raises OSError, and FileExistsError for what is no link."""
        if self._path.exists() and not self._path.is_symlink():
            raise FileExistsError(f"{self._path} is there and no link")
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        # A link of the last run may be left; it is replaced in one step.
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._path)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        self._bus.ends.append(self._write)

    def unplug(self) -> None:
        """Take the port away, from whoever has it open too."""
        if self._master < 0:
            return
        asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(ValueError):  # a bus that is closed has no ends
            self._bus.ends.remove(self._write)
        self._path.unlink(missing_ok=True)
        os.close(self._master)
        # Kept open until here, for else a port that nobody uses reports an error.
        os.close(self._slave)
        self._master = self._slave = -1

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._bus.hear(os.read(self._master, _MOST_BYTES))

    def _write(self, data: bytes) -> None:
        # Nobody reads: a real port loses what comes when its buffer is full, too.
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)


class RtuOverTcp:
    """A bridge that passes on bytes as they are; every master hears everything."""

    def __init__(self, bus: RtuBus) -> None:
        self._bus = bus
        self._listener: asyncio.Server | None = None
        self._masters: set[asyncio.Transport] = set()
        self.port = 0
        bus.ends.append(self._write)

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _BridgeConnection(self), host, port
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and end every connection."""
        if self._listener is not None:
            self._listener.close()
        for master in tuple(self._masters):
            master.abort()

    def joined(self, master: asyncio.Transport) -> None:
        """Let a master take part."""
        self._masters.add(master)

    def left(self, master: asyncio.Transport) -> None:
        """Forget a master."""
        self._masters.discard(master)

    def heard(self, data: bytes) -> None:
        """Pass on what a master sends."""
        self._bus.hear(data)

    def _write(self, data: bytes) -> None:
        for master in tuple(self._masters):
            master.write(data)


class _BridgeConnection(asyncio.Protocol):
    def __init__(self, bridge: RtuOverTcp) -> None:
        self._bridge = bridge
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - narrows a type
        self._transport = transport
        self._bridge.joined(transport)

    def data_received(self, data: bytes) -> None:
        self._bridge.heard(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._bridge.left(self._transport)

"""A simulated site: inverters on one event loop and a backend as a child process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from egw.devices.loader import find_profile
from simulators.control import ControlPort
from simulators.device import simulated
from simulators.faults import HEALTHY
from simulators.modbus_server import ModbusServer
from simulators.plant import Grid
from simulators.vendor import quirks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulators.control import Pinnable

DEFAULT_PROFILES = ("solaredge", "sungrow", "huawei", "fronius", "sungrow_hybrid")
BACKEND_START_S = 15.0
BACKEND_STOP_S = 5.0


class SiteError(Exception):
    """Raised when a site cannot start or lost its backend; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where one device is."""

    name: str
    profile: str
    host: str
    port: int
    unit: int


@dataclass(frozen=True, slots=True)
class Layout:
    """What a site is made of."""

    profiles: Sequence[str]
    """One device for each entry."""
    host: str
    base_port: int
    """0: any free ports; else consecutive ones from here."""
    day_length_s: float
    start_hour: float
    strict: bool = False
    """Whether the devices bear no more than their vendors' own."""


class Devices:
    """Simulated devices that share a grid and a control port."""

    def __init__(self) -> None:
        self.addresses: list[Address] = []
        self._servers: dict[str, ModbusServer] = {}
        self._registers: dict[str, Pinnable] = {}
        self._control = ControlPort(self._servers, self._registers)

    async def start_site(self, layout: Layout) -> None:
        """Start every device of a layout; raises OSError, ProfileError."""
        grid = Grid()
        for index, profile_name in enumerate(layout.profiles):
            profile = find_profile(profile_name)
            device = simulated(
                profile,
                grid,
                serial=f"SIM{index + 1:07d}",
                rated_power_w=(5_000.0, 8_000.0, 10_000.0)[index % 3],
                start_hour=layout.start_hour,
                day_length_s=layout.day_length_s,
            )
            server = ModbusServer(
                f"roof-{index + 1}",
                device,
                unit=profile.default_unit,
                faults=quirks_of(profile) if layout.strict else HEALTHY,
            )
            port = layout.base_port + index if layout.base_port else 0
            await self.start(server, device, profile_name, layout.host, port)

    async def start(
        self,
        server: ModbusServer,
        registers: Pinnable,
        profile: str,
        host: str,
        port: int,
    ) -> None:
        """Start one device; raises OSError."""
        await server.start(host, port)
        self._servers[server.name] = server
        self._registers[server.name] = registers
        address = Address(server.name, profile, host, server.port, server.unit)
        self.addresses.append(address)

    async def start_control(self, host: str, port: int) -> int:
        """Open the control port and return its number; raises OSError."""
        return await self._control.start(host, port)

    def close(self) -> None:
        """Close every socket."""
        self._control.close()
        for server in self._servers.values():
            server.close()


class BackendProcess:
    """The backend as a child that ends when this process does, however it ends.

    The child reads a pipe of which only this process has the other end.
    """

    def __init__(self, options: Sequence[str]) -> None:
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start the child and wait until it listens; raises SiteError."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "simulators", "backend"),
            *("--json", "--until-eof", *self._options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is for the site alone, which then stops its backend in order.
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            async with asyncio.timeout(BACKEND_START_S):
                line = await self._process.stdout.readline()
        except TimeoutError:
            await self.stop()
            raise SiteError(f"the backend took over {BACKEND_START_S:g} s") from None
        if not line:
            status = await self._process.wait()
            raise SiteError(f"the backend did not start, exit status {status}")
        self.url = json.loads(line)["url"]

    async def wait(self) -> int:
        """Return the child's exit status when it has ended."""
        assert self._process is not None  # noqa: S101 - only after start
        return await self._process.wait()

    async def stop(self) -> None:
        """End the child, by force when it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(BACKEND_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def run_site(
    layout: Layout,
    backend_options: Sequence[str],
    *,
    control_port: int,
    as_json: bool,
    until_eof: bool,
) -> None:
    """Run devices and backend until told to stop; raises OSError, SiteError."""
    stop = stop_event(until_eof=until_eof)
    allow_many_sockets()
    devices = Devices()
    backend = BackendProcess(backend_options)
    try:
        await devices.start_site(layout)
        control = await devices.start_control(layout.host, control_port)
        await backend.start()
        print(
            _announcement(devices, backend, layout.host, control, as_json=as_json),
            flush=True,
        )
        await _until(stop, backend)
    finally:
        devices.close()
        await backend.stop()


async def run_inverter(
    server: ModbusServer,
    registers: Pinnable,
    address: Address,
    *,
    control_port: int | None,
    as_json: bool,
    until_eof: bool,
) -> None:
    """Run one device until told to stop; raises OSError."""
    stop = stop_event(until_eof=until_eof)
    devices = Devices()
    try:
        await devices.start(
            server, registers, address.profile, address.host, address.port
        )
        control = None
        if control_port is not None:
            control = await devices.start_control(address.host, control_port)
        print(
            _inverter_announcement(devices.addresses[0], control, as_json=as_json),
            flush=True,
        )
        await stop.wait()
    finally:
        devices.close()


def stop_event(*, until_eof: bool) -> asyncio.Event:
    """Return an event that SIGTERM, SIGINT and, if wanted, the end of stdin set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        # A thread, because an event loop cannot watch every kind of standard input.
        watcher = threading.Thread(target=_watch_stdin, args=(loop, stop), daemon=True)
        watcher.start()
    return stop


def allow_many_sockets() -> None:
    """Raise the limit on open files as far as this process may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        continue
    # The loop may be gone already when the end of input comes late.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)


async def _until(stop: asyncio.Event, backend: BackendProcess) -> None:
    stopping = asyncio.create_task(stop.wait())
    ending = asyncio.create_task(backend.wait())
    await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
    ended = ending.done() and not stopping.done()
    stopping.cancel()
    ending.cancel()
    if ended:
        raise SiteError(f"the backend ended by itself, exit status {ending.result()}")


def _announcement(
    devices: Devices, backend: BackendProcess, host: str, control: int, *, as_json: bool
) -> str:
    endpoint = f"{backend.url}gw/data/"
    if as_json:
        return json.dumps(
            {
                "devices": [asdict(address) for address in devices.addresses],
                "backend": {"url": backend.url, "endpoint": endpoint},
                "control": {"host": host, "port": control},
            }
        )
    lines = [_line(address) for address in devices.addresses]
    return "\n".join([*lines, f"backend {endpoint}", f"control {host}:{control}"])


def _inverter_announcement(
    address: Address, control: int | None, *, as_json: bool
) -> str:
    if as_json:
        place = None if control is None else {"host": address.host, "port": control}
        return json.dumps({"devices": [asdict(address)], "control": place})
    suffix = "" if control is None else f", control {address.host}:{control}"
    return _line(address) + suffix


def _line(address: Address) -> str:
    place = f"{address.host}:{address.port}"
    return f"{address.name} ({address.profile}) on {place}, unit {address.unit}"

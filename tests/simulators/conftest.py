from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import Master

from egw.devices.loader import find_profile
from simulators.device import SimulatedDevice
from simulators.faults import changed
from simulators.modbus_server import ModbusServer
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator


class Loop:
    """An event loop in a thread, for servers that tests talk to over sockets."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def call(self, function: Callable[[], None]) -> None:
        async def call() -> None:
            function()

        self.run(call())

    def close(self) -> None:
        self.run(self._settle())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()

    async def _settle(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


class RunningDevice:
    """A device that is being served, and the masters that talk to it."""

    def __init__(self, loop: Loop, server: ModbusServer) -> None:
        self._loop = loop
        self._masters: list[Master] = []
        self.server = server

    def master(self, unit: int = 1) -> Master:
        self._masters.append(Master(self.server.port, unit))
        return self._masters[-1]

    def suffer(self, **change: object) -> None:
        faults = changed(self.server.faults, change)
        self._loop.run(self.server.set_faults(faults))

    def close(self) -> None:
        self._loop.call(self.server.close)
        for master in self._masters:
            master.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture
def serve(loop: Loop) -> Iterator[Callable[..., RunningDevice]]:
    devices: list[RunningDevice] = []

    def start(registers: Any) -> RunningDevice:
        server = ModbusServer("roof-1", registers)
        loop.run(server.start("127.0.0.1", 0))
        devices.append(RunningDevice(loop, server))
        return devices[-1]

    yield start
    for device in devices:
        device.close()


@pytest.fixture
def solaredge(serve: Callable[..., RunningDevice]) -> RunningDevice:
    return serve(simulated("solaredge"))


def simulated(profile_name: str) -> SimulatedDevice:
    profile = find_profile(profile_name)
    plant = Plant(hybrid=profile.kind == "hybrid", seed=1)
    return SimulatedDevice(profile, plant, Grid(seed=1), serial="SIM0000001")

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from simulator_bench import BackendBench, Loop, RunningDevice, simulated

from simulators.journal import Journal
from simulators.modbus_server import ModbusServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


@pytest.fixture
def bench(loop: Loop) -> Iterator[BackendBench]:
    running = BackendBench(loop, Journal())
    yield running
    running.close()

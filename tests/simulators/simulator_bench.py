"""What the tests run: servers on an event loop in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

from simulator_client import Gateway, Master, http_request

from egw.devices.loader import find_profile
from simulators.backend import Backend
from simulators.device import SimulatedDevice
from simulators.faults import changed
from simulators.journal import Journal
from simulators.kind import kind_of
from simulators.modbus_server import ModbusServer
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


DATA = "/gw/data/"
READINGS = {"1700000001000": {"30000": 1, "30001": 65535}, "1700000002000": {"7": 0}}


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


class BackendBench:
    """A running backend that knows one gateway."""

    def __init__(self, loop: Loop, journal: Journal) -> None:
        self._loop = loop
        self.gateway = Gateway()
        self.backend = Backend(journal, {self.gateway.serial: self.gateway.public_key})
        loop.run(self.backend.start("127.0.0.1", 0))
        self.port = self.backend.port

    def post(self, packet: bytes, path: str = DATA) -> tuple[int, str]:
        status, body = http_request(self.port, "POST", path, packet)
        return status, body.decode()

    def ask(self, path: str, request: object) -> tuple[int, Any]:
        body = json.dumps(request).encode()
        status, reply = http_request(self.port, "POST", path, body)
        return status, json.loads(reply) if reply.startswith(b"{") else reply.decode()

    def report(self, query: str = "") -> dict[str, Any]:
        status, body = http_request(self.port, "GET", "/report" + query)
        assert status == 200
        told: dict[str, Any] = json.loads(body)
        return told

    def close(self) -> None:
        self._loop.call(self.backend.close)


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


def simulated(profile_name: str) -> SimulatedDevice:
    profile = find_profile(profile_name)
    kind = kind_of(profile)
    plant = Plant(hybrid=kind.has_battery, phases=kind.phases, seed=1)
    return SimulatedDevice(profile, plant, Grid(seed=1), serial="SIM0000001", kind=kind)

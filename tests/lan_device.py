"""A simulated device on a real socket, for tests that read it with the command."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simulators.device import SimulatedDevice
from simulators.faults import HEALTHY, Faults
from simulators.modbus_server import ModbusServer
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from egw.devices.profile import Profile

SERIAL = "SIM000000001"


@contextmanager
def on_the_lan(
    profile: Profile, *, unit: int | None = None, faults: Faults = HEALTHY
) -> Iterator[tuple[int, SimulatedDevice]]:
    """Serve a device of the profile; gives its port and its registers."""
    plant = Plant(hybrid=profile.kind == "hybrid", seed=1)
    device = SimulatedDevice(profile, plant, Grid(seed=1), serial=SERIAL)
    number = profile.default_unit if unit is None else unit
    server = ModbusServer("roof-1", device, unit=number, faults=faults)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    try:
        run(server.start("127.0.0.1", 0))
        yield server.port, device
        run(_end(server))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


async def _end(server: ModbusServer) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.01)

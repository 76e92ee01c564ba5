"""Simulated devices on one serial bus, for tests that talk to it as a master does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simulators.faults import HEALTHY, changed
from simulators.rtu_bus import BusUnit, RtuBus
from simulators.rtu_ends import RtuOverTcp, SerialLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from simulator_bench import Loop


class RunningBus:
    """A bus that is being served on a pseudo-terminal and over TCP."""

    def __init__(
        self, loop: Loop, registers: Mapping[int, Any], path: Path, baud_rate: int
    ) -> None:
        self._loop = loop
        self.path = path
        self.units = {
            number: BusUnit(f"unit-{number}", served, unit=number)
            for number, served in registers.items()
        }
        self.bus: RtuBus
        self.link: SerialLink
        self.bridge: RtuOverTcp
        loop.run(self._start(baud_rate))

    async def _start(self, baud_rate: int) -> None:
        self.bus = RtuBus(list(self.units.values()), baud_rate=baud_rate)
        self.link = SerialLink(self.bus, self.path)
        self.link.plug_in()
        self.bridge = RtuOverTcp(self.bus)
        await self.bridge.start("127.0.0.1", 0)
        for unit in self.units.values():
            await unit.start(str(self.path), 0)

    def suffer(self, number: int, **change: object) -> None:
        unit = self.units[number]
        self._loop.run(unit.set_faults(changed(unit.faults, change)))

    def heal(self, number: int) -> None:
        self._loop.run(self.units[number].set_faults(HEALTHY))

    def unplug(self) -> None:
        self._loop.call(self.link.unplug)

    def plug_in(self) -> None:
        self._loop.call(self.link.plug_in)

    def close(self) -> None:
        self.unplug()
        self._loop.call(self.bridge.close)
        for unit in self.units.values():
            self._loop.call(unit.close)
        self._loop.call(self.bus.close)


@contextmanager
def on_a_bus(
    loop: Loop, registers: Mapping[int, Any], path: Path, *, baud_rate: int = 115_200
) -> Iterator[RunningBus]:
    running = RunningBus(loop, registers, path, baud_rate)
    try:
        yield running
    finally:
        running.close()

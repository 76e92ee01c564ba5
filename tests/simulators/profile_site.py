"""Simulated devices of every profile and kind, and a client that reads them."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any

from simulator_client import Ticks

from egw.devices.decode import Decoder
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.profile import Manners, RegisterRange, ScaleRegister
from simulators.device import SimulatedDevice
from simulators.kind import Kind, kind_of, registers_of
from simulators.modbus_server import ModbusServer
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator_bench import Loop

    from egw.devices.profile import Point, Profile


class Site:
    """A simulated device on a clock that stands still, and a client."""

    def __init__(self, loop: Loop, profile: Profile, kind: Kind) -> None:
        self.profile = profile
        self.kind = kind
        ticks = Ticks()
        plant = Plant(hybrid=kind.has_battery, phases=kind.phases, seed=2, clock=ticks)
        self.device = SimulatedDevice(
            profile,
            plant,
            Grid(seed=2, clock=ticks),
            serial="SIM0000042",
            kind=kind,
            clock=ticks,
        )
        self._loop = loop
        self._server = ModbusServer("roof", self.device, unit=profile.default_unit)
        loop.run(self._server.start("127.0.0.1", 0))
        self.client = ModbusTcp(
            "127.0.0.1",
            self._server.port,
            unit=profile.default_unit,
            timeout_s=10,
            manners=Manners(),
        )
        self.points = kind.points
        self._decoder = Decoder(profile)

    def read(self) -> dict[str, Any]:
        self.client.connect()
        blocks = [self.client.read(part) for part in blocks_of(self.profile, self.kind)]
        return dict(self._decoder.decode(blocks))

    def read_only(self, point: Point) -> dict[str, Any]:
        """Read a point's registers and those that tell the kind."""
        self.client.connect()
        registers = [address for _, address in registers_of(point)]
        first, size = min(registers), max(registers) - min(registers) + 1
        places = [(point.function, first, size)]
        places += [(function, address, 1) for function, address in self.kind.words]
        blocks = [
            self.client.read(RegisterRange(function=table, address=start, count=count))
            for table, start, count in places
        ]
        return dict(self._decoder.decode(blocks))

    def close(self) -> None:
        self.client.close()
        self._loop.call(self._server.close)


def kinds_of(profile: Profile) -> Iterator[Kind]:
    """Yield the kinds of devices of a profile: with and without each variant."""
    seen = set()
    wishes: list[dict[str, tuple[str, ...]]] = [{}]
    wishes += [{"wanted": (name,)} for name in profile.variants]
    wishes += [{"without": (name,)} for name in profile.variants]
    wishes += [{"wanted": pair} for pair in combinations(profile.variants, 2)]
    for wish in wishes:
        try:
            kind = kind_of(profile, **wish)
        except ValueError:
            continue
        if kind.variants not in seen and has_its_scales(kind):
            seen.add(kind.variants)
            yield kind


def has_its_scales(kind: Kind) -> bool:
    """Tell whether the scale register of each point is a point of the device, too."""
    points = {(point.function, point.address) for point in kind.points}
    return all(
        (point.function, point.scale.register) in points
        for point in kind.points
        if isinstance(point.scale, ScaleRegister)
    )


@cache
def every_kind() -> list[tuple[str, Kind]]:
    return [
        (name, kind)
        for name in builtin_profiles()
        for kind in kinds_of(find_profile(name))
    ]


def name_of(case: object) -> str:
    if isinstance(case, Kind):
        return "+".join(sorted(case.variants)) or "plain"
    return str(case)


def blocks_of(profile: Profile, kind: Kind) -> list[RegisterRange]:
    """Return reads that cover all points of a device and cut none."""
    spans = {(place[0], place[1], place[1] + 1) for place in kind.words}
    for point in kind.points:
        registers = [address for _, address in registers_of(point)]
        spans.add((point.function, min(registers), max(registers) + 1))
    blocks: list[list[Any]] = []
    for function, start, end in sorted(spans):
        if blocks and blocks[-1][0] == function and start <= blocks[-1][2]:
            size = max(blocks[-1][2], end) - blocks[-1][1]
            if size <= profile.manners.max_registers:
                blocks[-1][2] = max(blocks[-1][2], end)
                continue
        blocks.append([function, start, end])
    return [
        RegisterRange(function=function, address=start, count=end - start)
        for function, start, end in blocks
    ]

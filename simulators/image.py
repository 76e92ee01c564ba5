"""Which registers a simulated device has."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister
from simulators.kind import registers_of
from simulators.sunspec import model_registers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egw.devices.profile import Function, Profile
    from simulators.kind import Place


def addresses_of(profile: Profile) -> dict[Function, set[int]]:
    """Return the registers that exist, by table.

    Those of the points, harvest ranges and SunSpec models, and the gaps between them
    that the profile says may be read along.
    """
    found: dict[Function, set[int]] = {"holding": set(), "input": set()}
    for function, address in _named(profile):
        found[function].add(address)
    found["holding"].update(model_registers(profile))
    for addresses in found.values():
        addresses.update(_bridged(addresses, profile.manners.bridge_registers))
    return found


def _named(profile: Profile) -> Iterator[Place]:
    for run in (*profile.harvest.full, *profile.harvest.slim):
        for address in range(run.address, run.end):
            yield run.function, address
    for variant in profile.variants.values():
        yield variant.function, variant.address
    for point in profile.points:
        yield from registers_of(point)
        if isinstance(point.scale, ScaleRegister):
            yield point.function, point.scale.register
        if point.reversed_when is not None:
            yield point.function, point.reversed_when.register


def _bridged(addresses: set[int], widest: int) -> Iterator[int]:
    for before, after in pairwise(sorted(addresses)):
        if after - before - 1 <= widest:
            yield from range(before + 1, after)

"""What a harvest cycle of a profile costs: requests and registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from egw.devices.merging import span_of
from egw.devices.plan import HarvestPlan, requests_before_merging
from egw.devices.profile import Profile, RegisterRange


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one cycle, when the device refuses nothing."""

    cycle: Literal["full", "slim"]
    requests: int
    registers: int
    requests_before: int
    registers_before: int
    """If each range of the profile were read on its own."""
    points: int
    """Requests if each point were read on its own; alternatives count once."""


def cycle_costs(profile: Profile) -> tuple[Cost, ...]:
    """Return the cost of a full cycle, and of a slim one where there are such."""
    costs = [_cost(profile, "full")]
    if profile.harvest.full_every > 1:
        costs.append(_cost(profile, "slim"))
    return tuple(costs)


def _cost(profile: Profile, cycle: Literal["full", "slim"]) -> Cost:
    full = cycle == "full"
    merged = HarvestPlan.for_profile(profile, full=full).requests
    unrepeated = _without_repetition(profile) if full else profile
    apart = requests_before_merging(unrepeated, full=full)
    return Cost(
        cycle,
        requests=len(merged),
        registers=sum(block.count for block in merged),
        requests_before=len(apart),
        registers_before=sum(block.count for block in apart),
        points=_points(profile, merged),
    )


def _points(profile: Profile, merged: tuple[RegisterRange, ...]) -> int:
    read = {register for block in merged for register in _registers(block)}
    spans = (span_of(point) for point in profile.points)
    return len({span for span in spans if read.issuperset(_registers(span))})


def _without_repetition(profile: Profile) -> Profile:
    """Leave out slim ranges that the full ones have; nobody would read them twice."""
    harvest = profile.harvest
    read = {register for part in harvest.full for register in _registers(part)}
    slim = tuple(p for p in harvest.slim if not read.issuperset(_registers(p)))
    return replace(profile, harvest=replace(harvest, slim=slim))


def _registers(part: RegisterRange) -> list[tuple[str, int]]:
    return [(part.function, address) for address in range(part.address, part.end)]

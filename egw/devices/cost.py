"""What a harvest cycle of a profile costs: requests and registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from egw.devices.plan import HarvestPlan, requests_before_merging
from egw.devices.profile import Profile


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one cycle, when the device refuses nothing."""

    cycle: Literal["full", "slim"]
    requests: int
    registers: int
    requests_before: int
    registers_before: int
    """If each range of the profile were read on its own."""


def cycle_costs(profile: Profile) -> tuple[Cost, ...]:
    """Return the cost of a full cycle, and of a slim one where there are such."""
    costs = [_cost(profile, "full")]
    if profile.harvest.full_every > 1:
        costs.append(_cost(profile, "slim"))
    return tuple(costs)


def _cost(profile: Profile, cycle: Literal["full", "slim"]) -> Cost:
    full = cycle == "full"
    merged = HarvestPlan.for_profile(profile, full=full).requests
    apart = requests_before_merging(profile, full=full)
    return Cost(
        cycle,
        requests=len(merged),
        registers=sum(block.count for block in merged),
        requests_before=len(apart),
        registers_before=sum(block.count for block in apart),
    )

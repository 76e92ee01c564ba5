"""How a profile's real device would behave: its manners as quirks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.faults import HEALTHY, Faults, changed

if TYPE_CHECKING:
    from egw.devices.profile import Profile

_TOLERANCE = 0.9
"""Of a pause: master and device do not count from the same instant."""

_TAKES_OVER = ("huawei",)
"""Makers whose device ends the first connection for a second one."""


def quirks_of(profile: Profile) -> Faults:
    """Return faults that punish a master which ignores the profile's manners."""
    manners = profile.manners
    takes_over = profile.maker.lower() in _TAKES_OVER
    how = "takeover" if takes_over else "refuse"
    return changed(
        HEALTHY,
        {
            "max_registers": manners.max_registers,
            "min_gap_ms": _TOLERANCE * manners.gap_ms,
            "connect_delay_ms": _TOLERANCE * manners.connect_delay_ms,
            "settle_ms": _TOLERANCE * manners.settle_ms,
            "single_connection": how if manners.single_connection else False,
            "transaction_id": "echo" if manners.echoes_transaction_id else "counter",
        },
    )

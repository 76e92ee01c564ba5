"""Which energy counter of the plant stands behind a key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simulators.plant import MPPT_SHARES, Plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.plant import Flow, Span
    from simulators.signals import Signal

_NAMES: tuple[tuple[str, tuple[Flow, ...]], ...] = (
    (r"reactive|_varh$", ("reactive",)),
    (r"discharge", ("battery_discharge",)),
    (r"charge", ("battery_charge",)),
    (r"export|feed_in|sold", ("grid_export",)),
    (r"import|bought|purchase", ("grid_import",)),
    (r"direct_consumption|self_consumption", ("direct_consumption",)),
    (r"load_production", ()),
    (r"load|consum|backup", ("load",)),
    (r"^pv|^mppt|^dc_", ("pv",)),
    (r"^(meter|l\d|energy_total|ac_to_dc)_", ("grid_import", "grid_export")),
    (r"generated|energy|yield", ("generated",)),
)
_FLOWS = [(re.compile(pattern), flows) for pattern, flows in _NAMES]
_SPANS: tuple[tuple[re.Pattern[str], Span], ...] = (
    (re.compile(r"yesterday|last_day"), "yesterday"),
    (re.compile(r"today|_day_|daily"), "today"),
)
_BEFORE_TODAY_DAYS = (("month", 17), ("year", 260))
"""Days of this month and of this year that had passed when the simulation began."""
_LAST_DAYS = (("last_month", 30), ("last_year", 365))


def counter_of(key: str) -> Signal | None:
    """Return how a counter grows; None when the key says nothing about that."""
    for pattern, flows in _FLOWS:
        if pattern.search(key):
            return _counted(key, flows)
    return None


def _counted(key: str, flows: tuple[Flow, ...]) -> Signal:
    share = _share(key)
    if share is None:
        return lambda _: None
    amount = _amount(key)
    if "battery" in key or "charge" in key:
        return lambda plant: (
            share * sum(amount(plant, f) for f in flows) if plant.hybrid else None
        )
    return lambda plant: share * sum(amount(plant, flow) for flow in flows)


def _share(key: str) -> float | None:
    """Return which part of the flow a key counts; None: the device lacks it."""
    if re.match(r"(generator|external|meter[2-9]|battery[2-9])", key):
        return None
    if match := re.match(r"mppt(\d+)_", key):
        index = int(match[1]) - 1
        return MPPT_SHARES[index] if index < len(MPPT_SHARES) else None
    return 1 / 3 if re.search(r"(^|_)l\d_|pack\d", key) else 1.0


def _amount(key: str) -> Callable[[Plant, Flow], float]:
    for word, days in _LAST_DAYS:
        if word in key:
            return lambda plant, flow: days * _usual_day_wh(plant, flow)
    for word, days in _BEFORE_TODAY_DAYS:
        if re.search(rf"(^|_){word}(_|$)", key):
            return lambda plant, flow: (
                days * _usual_day_wh(plant, flow)
                + plant.total_wh[flow]
                - plant.total_wh_at_start[flow]
            )
    for pattern, span in _SPANS:
        if pattern.search(key):
            return lambda plant, flow: plant.energy_wh(flow, span)
    return lambda plant, flow: plant.energy_wh(flow, "total")


def _usual_day_wh(plant: Plant, flow: Flow) -> float:
    return plant.total_wh_at_start[flow] / 400

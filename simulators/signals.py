"""Which quantity of the plant stands behind a point of a profile, found by its key.

Keys are terms with a unit at the end (`mppt1_current_a`, `tlx_grid_export_power_w`), so
a few patterns serve every profile; a point that none of them knows gets a constant.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from simulators.plant import BATTERY_VOLTAGE_V, MPPT_SHARES, Flow, Plant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egw.devices.profile import Point

    Signal = Callable[[Plant], float]
    Rule = Callable[[re.Match[str]], Signal]

_VARIANT = re.compile(r"^(hybrid|tlx|bms)_|_(fine|alt|wide|dsp|coarse|raw)(?=_|$)")
_LIMIT = re.compile(r"limit|derating|_max_")
_USUAL_STATES = (
    "on grid",
    "producing",
    "normal",
    "three phase four",
    "three phase",
    "stop",
    "disabled",
)
_TRACKERS = len(MPPT_SHARES)

HYBRID_TYPE_CODE = 0x0E03
"""Sungrow SH10RT: the high bytes 0x0D and 0x0E mark hybrids."""
STRING_TYPE_CODE = 0x243D

_FLOW_OF_NAME: dict[str, Flow] = {
    "pv": "pv",
    "energy": "generated",
    "total": "generated",
    "grid_export": "grid_export",
    "pv_export": "grid_export",
    "grid_import": "grid_import",
    "load": "load",
    "battery_charge": "battery_charge",
    "battery_charge_from_pv": "battery_charge",
    "battery_discharge": "battery_discharge",
    "direct_consumption": "direct_consumption",
}


def signal_of(point: Point, *, meter_exports: bool = False) -> Signal | None:
    """Return what a point measures; None when its key says nothing about that.

    `meter_exports` says that the device's grid meter counts export as positive.
    """
    key = _VARIANT.sub("", point.key)
    for pattern, rule in _RULES:
        match = pattern.fullmatch(key)
        if match is not None:
            return _signed(point, rule(match), meter_exports=meter_exports)
    return None


def is_frequency(point: Point) -> bool:
    """Return whether a point follows the grid's frequency."""
    return point.key.endswith("frequency_hz") or point.key.endswith("frequency_fine_hz")


def constant_of(point: Point, plant: Plant) -> float:
    """Return a plausible value for a point whose key says nothing."""
    if point.values:
        return _usual_state(point.values)
    if point.write is not None:
        return _setting(point.key, point.write.min, point.write.max)
    for pattern, value in _CONSTANTS:
        if pattern.search(point.key):
            return value
    if point.key == "device_type_code":
        return HYBRID_TYPE_CODE if plant.hybrid else STRING_TYPE_CODE
    return plant.rated_power_w if point.key.startswith(("rated_", "max_")) else 0.0


def meter_exports(points: Iterable[Point]) -> bool:
    """Return whether a device's grid meter counts export as positive."""
    return any(
        point.key.startswith("meter_") and "positive=export" in point.sign
        for point in points
    )


def _setting(key: str, low: float, high: float) -> float:
    """Limits stand open, everything else at zero or as near as the range allows."""
    return high if _LIMIT.search(key) else min(max(0.0, low), high)


def _usual_state(values: dict[int, str]) -> float:
    for word in _USUAL_STATES:
        for code, meaning in values.items():
            if word in meaning.lower():
                return code
    return next(iter(values))


def _signed(point: Point, signal: Signal, *, meter_exports: bool) -> Signal:
    """Turn export into import and discharge into charge where the device counts so."""
    if not point.key.endswith(("power_w", "current_a")):
        return signal
    if point.key.endswith("current_a") and point.type.startswith("u"):
        return lambda plant: abs(signal(plant))
    reversed_meter = "meter_" in point.key and not meter_exports
    charges = "positive=charge" in point.sign and "_charge_" not in point.key
    return (lambda plant: -signal(plant)) if reversed_meter or charges else signal


def _mppt_current_a(plant: Plant, tracker: int) -> float:
    volts = plant.mppt_voltage_v[tracker]
    return plant.mppt_power_w[tracker] / volts if volts else 0.0


def _mppt(match: re.Match[str]) -> Signal:
    tracker, quantity = int(match[1]) - 1, match[2]
    if tracker >= _TRACKERS:
        return lambda _plant: 0.0
    if quantity == "voltage_v":
        return lambda plant: plant.mppt_voltage_v[tracker]
    if quantity == "current_a":
        return lambda plant: _mppt_current_a(plant, tracker)
    return lambda plant: plant.mppt_power_w[tracker]


def _mppt_energy(match: re.Match[str]) -> Signal:
    tracker, span = int(match[1]) - 1, match[2]
    share = MPPT_SHARES[tracker] if tracker < _TRACKERS else 0.0
    return lambda plant: share * _energies(plant, span)["pv"]


def _energies(plant: Plant, span: str) -> dict[Flow, float]:
    return plant.total_wh if span == "total" else plant.today_wh


def _energy(match: re.Match[str]) -> Signal:
    flow, span = _FLOW_OF_NAME[match[1]], match[2]
    return lambda plant: _energies(plant, span)[flow]


def _phase_current_a(plant: Plant, phase: int) -> float:
    return plant.active_power_w / 3 / plant.phase_voltage_v[phase]


def _phase(match: re.Match[str]) -> Signal:
    phase, quantity = int(match[1]) - 1, match[2]
    if quantity == "voltage_v":
        return lambda plant: plant.phase_voltage_v[phase]
    if quantity == "current_a":
        return lambda plant: abs(_phase_current_a(plant, phase))
    return lambda plant: plant.active_power_w / 3


def _meter_phase(match: re.Match[str]) -> Signal:
    phase, quantity = int(match[1]) - 1, match[2]
    if quantity == "voltage_v":
        return lambda plant: plant.phase_voltage_v[phase]
    if quantity == "current_a":
        return lambda plant: plant.export_power_w / 3 / plant.phase_voltage_v[phase]
    return lambda plant: plant.export_power_w / 3


def _line_voltage(match: re.Match[str]) -> Signal:  # noqa: ARG001 - one shape for all
    return lambda plant: 3**0.5 * sum(plant.phase_voltage_v) / 3


def _grid_flow(match: re.Match[str]) -> Signal:
    direction = 1 if match[1] == "export" else -1
    parts = 3 if match[2] else 1
    return lambda plant: max(direction * plant.export_power_w, 0.0) / parts


def _plain(signal: Signal) -> Rule:
    return lambda _match: signal


_RULES: list[tuple[re.Pattern[str], Rule]] = [
    (re.compile(pattern), rule)
    for pattern, rule in (
        (r"mppt(\d+)_(voltage_v|current_a|power_w)", _mppt),
        (r"mppt(\d+)_energy_(total|today)_wh", _mppt_energy),
        (r"(total)_energy_generated_wh", lambda _: lambda p: p.total_wh["generated"]),
        (r"(energy)_(today)_wh", _energy),
        (
            r"(pv|grid_export|pv_export|grid_import|load|battery_charge"
            r"|battery_charge_from_pv|battery_discharge|direct_consumption)"
            r"(?:_energy)?_(total|today)_wh",
            _energy,
        ),
        (r"l(\d)_(voltage_v|current_a|apparent_power_va)", _phase),
        (r"meter_l(\d)_(voltage_v|current_a|power_w)", _meter_phase),
        (r"(?:meter_)?(?:l\d_l\d|line)_voltage_v", _line_voltage),
        (r"grid_(export|import)_(l\d_)?power_w", _grid_flow),
        (r"(?:meter|export)_power_w", _plain(lambda p: p.export_power_w)),
        (r"meter_current_a", _plain(lambda p: p.export_power_w / 230)),
        (r"meter_voltage_v", _plain(lambda p: sum(p.phase_voltage_v) / 3)),
        (r"pv_power_w", _plain(lambda p: p.pv_power_w)),
        (r"dc_voltage_v", _plain(lambda p: p.mppt_voltage_v[0])),
        (
            r"dc_current_a",
            _plain(lambda p: p.pv_power_w / (p.mppt_voltage_v[0] or 1.0)),
        ),
        (r"active_power_w", _plain(lambda p: p.active_power_w)),
        (r"apparent_power_va", _plain(lambda p: abs(p.active_power_w))),
        (r"peak_power_today_w", _plain(lambda p: p.peak_power_today_w)),
        (
            r"output_power_percent",
            _plain(lambda p: 100 * p.active_power_w / p.rated_power_w),
        ),
        (r"ac_current_a", _plain(lambda p: abs(p.active_power_w) / 230)),
        (r"load_power_w", _plain(lambda p: p.load_power_w)),
        (r"battery_power_w", _plain(lambda p: p.battery_power_w)),
        (r"battery_charge_power_w", _plain(lambda p: max(-p.battery_power_w, 0.0))),
        (r"battery_discharge_power_w", _plain(lambda p: max(p.battery_power_w, 0.0))),
        (
            r"battery_current_a",
            _plain(lambda p: p.battery_power_w / BATTERY_VOLTAGE_V),
        ),
        (
            r"battery_voltage_v",
            _plain(lambda p: BATTERY_VOLTAGE_V if p.hybrid else 0.0),
        ),
        (
            r"(?:battery_)?soc_percent",
            _plain(lambda p: p.battery_soc_percent if p.hybrid else 0.0),
        ),
        (
            r"(?:inverter|cabinet|ipm|boost|transformer|other)_temperature_c",
            _plain(lambda p: p.temperature_c),
        ),
        (r"operating_time_s", _plain(lambda p: p.uptime_s)),
        (r"system_time_epoch_s", _plain(lambda _: time.time())),
    )
]

_CONSTANTS: list[tuple[re.Pattern[str], float]] = [
    (re.compile(pattern), value)
    for pattern, value in (
        (r"sunspec_common_id$", 1),
        (r"sunspec_common_length$", 65),
        (r"inverter_model_length$", 50),
        (r"mppt_model_id$", 160),
        (r"mppt_model_length$", 48),
        (r"(mppt_count|pv_string_count)$", _TRACKERS),
        (r"modbus_unit_id$", 1),
        (r"power_factor_percent$", 100),
        (r"power_factor$", 1),
        (r"efficiency_percent$", 97),
        (r"soh_percent$", 98),
        (r"bus_voltage_v$", 640),
        (r"insulation_resistance_ohm$", 1_000_000),
        (r"battery_capacity_wh$|battery_capacity_fine_wh$", 10_000),
        (r"temperature_c$", 30),
        (r"running_time_h$", 12_000),
        (r"energy_month_wh$", 410_000),
    )
]

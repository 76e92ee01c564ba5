"""What stands in registers that measure nothing: limits, codes, states, constants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister
from simulators.plant import BATTERY_CAPACITY_WH, BATTERY_MAX_W, MPPT_SHARES, NOMINAL_HZ

if TYPE_CHECKING:
    from egw.devices.profile import Point, Profile
    from simulators.plant import Plant
    from simulators.signals import Signal

_SETTING = re.compile(
    r"(^|_)(limit|max|min|setpoint|setting|rated|nominal|cap|derating|cutoff|reserve"
    r"|forced|forcible|reference|rate|threshold|shutdown|restart|low|full)(_|$)"
    r"|charge_power_max|grid_charge_power|grid_charge_cutoff|backup_soc"
)
_MEASURED = re.compile(r"(max|min)_(temperature_c|voltage_v)$|low_voltage_v$")
_LOWEST = re.compile(r"(^|_)(min|low|cutoff|shutdown|reserve|backup)(_|$)")

_WORKING = (
    "on grid",
    "on-grid",
    "grid tied",
    "grid-tied",
    "mppt",
    "producing",
    "generating",
    "running",
    "normal",
    "operat",
    "run",
    "connected",
    "three phase four",
    "pv inverter",
    "pv with storage",
    "correct",
    "three phase",
    "self consumption",
    "online",
    "ok",
    "on",
)
_RESTING = ("sleep", "standby", "stand-by", "no irradiation", "waiting", "wait", "off")
_IDLE = ("stop", "disabled", "none", "no ", "idle", "off")

_CONSTANTS: list[tuple[re.Pattern[str], float]] = [
    (re.compile(pattern), value)
    for pattern, value in (
        (r"sunspec_common_id$", 1),
        (r"mppt_model_id$", 160),
        (r"nameplate_model_id$", 120),
        (r"status_model_id$", 122),
        (r"storage_model_id$", 124),
        (r"meter_model_id$", 203),
        (r"(mppt_count|string_count)$", len(MPPT_SHARES)),
        (r"modbus_unit_id$", 1),
        (r"efficiency_percent$", 97),
        (r"soh_percent$", 98),
        (r"thd_percent$", 1.6),
        (r"insulation_resistance_ohm$", 1_000_000),
        (r"battery.*(capacity|rated_energy|full_energy).*_wh$", BATTERY_CAPACITY_WH),
        (r"battery.*capacity.*_ah$", 48),
        (r"cell_\w*voltage_v$", 3.31),
        (r"cycle_count$", 214),
        (r"time_zone_min$", 60),
        (r"phase_angle_deg$", 6),
        (r"charge_(limit_)?reference_w$|battery.*(rated|max).*_w$", BATTERY_MAX_W),
        (r"battery.*_a$", 25),
        (r"(^|_)version", 101),
    )
]


def is_setting(point: Point) -> bool:
    """Return whether a point is set, rated or bounded, and not measured."""
    if point.write is not None:
        return True
    return bool(_SETTING.search(point.key)) and not _MEASURED.search(point.key)


def state_of(point: Point, profile: Profile) -> Signal:
    """Return which of its texts an enumeration says: by day, by night, by battery."""
    required = _required(point, profile, _WORKING)
    if point.key == "sunspec_data_format":
        scaled = isinstance(profile.point(profile.frequency).scale, ScaleRegister)
        required = _code(point, ("integer",) if scaled else ("float",))
    charging = _code(point, ("charging", "charge"), but=("dis", "not", "no "))
    discharging = _code(point, ("discharg",))
    if charging is not None and discharging is not None and point.write is None:
        idle = _code(point, _IDLE + _RESTING)
        resting = float(charging if idle is None else idle)

        def battery(plant: Plant) -> float:
            if plant.battery_power_w == 0:
                return resting
            return charging if plant.battery_power_w > 0 else discharging

        return battery
    if required is not None:
        return lambda _: required
    if re.match(r"mppt([3-9]|\d\d)_", point.key):
        off = _code(point, _IDLE + _RESTING)
        return lambda _: None if off is None else float(off)
    working = _code(point, _IDLE if point.write is not None else _WORKING)
    day = float(next(iter(point.values)) if working is None else working)
    asleep = _code(point, _RESTING) if "status" in point.key else None
    night = day if asleep is None else asleep
    return lambda plant: night if plant.is_dark and not plant.hybrid else day


def constant_of(point: Point, profile: Profile, plant: Plant) -> float:
    """Return a plausible value, in the point's unit, that stays as it is."""
    if point.values:
        return state_of(point, profile)(plant) or 0.0
    value = _plausible(point, plant)
    if point.write is not None:
        return min(max(value, point.write.min), point.write.max)
    return _signed_off(point, profile, value)


def nominal_hz(profile: Profile) -> float:
    """Return the frequency of the grids that a device type is made for."""
    spans = [
        span
        for sign in profile.identification.signs
        if sign.point == profile.frequency
        for span in sign.within
    ]
    usual = not spans or any(low <= NOMINAL_HZ <= high for low, high in spans)
    return NOMINAL_HZ if usual else 60.0


def _plausible(point: Point, plant: Plant) -> float:
    if point.unit == "%" and is_setting(point):
        return 10 if _LOWEST.search(point.key) else 100
    for pattern, value in _CONSTANTS:
        if pattern.search(point.key):
            return value
    if point.unit in ("W", "VA") and is_setting(point):
        return 0 if re.search("setpoint|forc|_min_", point.key) else plant.rated_power_w
    if point.unit == "A" and is_setting(point):
        return plant.rated_power_w / 690
    return 0.0


def _signed_off(point: Point, profile: Profile, value: float) -> float:
    """Return the value, or one within the spans that identify the device."""
    for sign in profile.identification.signs:
        spans = sign.within if sign.point == point.key else ()
        if spans and not any(low <= value <= high for low, high in spans):
            return spans[0][0]
    return value


def _required(point: Point, profile: Profile, usual: tuple[str, ...]) -> float | None:
    """Return the enumeration's code that the signs of the device type ask for."""
    for sign in profile.identification.signs:
        if sign.point != point.key:
            continue
        fitting = {
            code: text
            for code, text in point.values.items()
            if (sign.pattern is not None and re.search(sign.pattern, text))
            or any(low <= code <= high for low, high in sign.within)
        }
        code = _code_among(fitting, usual)
        return next(iter(fitting), None) if code is None else code
    return None


def _code(
    point: Point, words: tuple[str, ...], *, but: tuple[str, ...] = ()
) -> int | None:
    return _code_among(point.values, words, but)


def _code_among(
    texts: dict[int, str], words: tuple[str, ...], but: tuple[str, ...] = ()
) -> int | None:
    for word in words:
        for code, text in texts.items():
            meaning = text.lower()
            if re.search(rf"\b{word}", meaning) and not any(n in meaning for n in but):
                return code
    return None

"""Values of one device as the parts of the common data model, version 1.

The model has three parts, `pv`, `battery` and `meter`, each a flat record with `type`,
`make`, `timestamp` (ms, start of the read), `read_time_ms` and the fields below. Its
signs differ from egw's points in one respect: what the panels generate is negative
(`W` and the trackers' currents), so that all powers count as seen from the site's
bus. Charge and import are positive, totals are positive, the state of charge is a
fraction.

A field whose value is missing is absent, and so is a part without its main value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from egw.devices.meaning import Value
from egw.devices.profile import Profile

_Turn = Callable[[float], float]


def _same(number: float) -> float:
    return number


def _negated(number: float) -> float:
    return 0 - number


def _fraction(percent: float) -> float:
    return round(percent / 100, 6)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a part, and the standard keys that it is taken from."""

    name: str
    keys: tuple[str, ...]
    """The first that has a value."""
    turn: _Turn = _same
    """From the key's number to the field's."""


_GENERATED = Field("W", ("pv_power_w",), _negated)
_GENERATED_AC = Field("W", ("active_power_w",), _negated)
"""For inverters without a battery that do not tell the power of the panels."""

FIELDS: dict[str, tuple[Field, ...]] = {
    "pv": (
        _GENERATED,
        Field("rated_power_W", ("rated_power_w",)),
        Field("mppt1_V", ("mppt1_voltage_v",)),
        Field("mppt1_A", ("mppt1_current_a",), _negated),
        Field("mppt2_V", ("mppt2_voltage_v",)),
        Field("mppt2_A", ("mppt2_current_a",), _negated),
        Field("heatsink_C", ("inverter_temperature_c",)),
        Field(
            "total_generation_Wh", ("pv_energy_total_wh", "energy_generated_total_wh")
        ),
    ),
    "battery": (
        Field("W", ("battery_power_w",)),
        Field("A", ("battery_current_a",)),
        Field("V", ("battery_voltage_v",)),
        Field("SoC_nom_fract", ("battery_soc_percent",), _fraction),
        Field("heatsink_C", ("battery_temperature_c",)),
        Field("total_charge_Wh", ("battery_charge_energy_total_wh",)),
        Field("total_discharge_Wh", ("battery_discharge_energy_total_wh",)),
    ),
    "meter": (
        Field("W", ("meter_power_w",)),
        Field("Hz", ("meter_frequency_hz", "grid_frequency_hz")),
        *(
            Field(f"L{n}_V", (f"meter_l{n}_voltage_v", f"l{n}_voltage_v"))
            for n in (1, 2, 3)
        ),
        *(Field(f"L{n}_A", (f"meter_l{n}_current_a",)) for n in (1, 2, 3)),
        *(Field(f"L{n}_W", (f"meter_l{n}_power_w",)) for n in (1, 2, 3)),
        Field("total_import_Wh", ("grid_import_energy_total_wh",)),
        Field("total_export_Wh", ("grid_export_energy_total_wh",)),
    ),
}
"""The model's fields by part, from the standard keys of egw's profiles."""

_MAIN_FIELDS = {
    "pv": ("W",),
    "battery": ("W", "SoC_nom_fract"),
    "meter": ("W", "total_import_Wh", "total_export_Wh"),
}
"""A part is there when it has one of these."""

_POWER_KEYS = ("pv_power_w", "active_power_w", "meter_power_w")


def data_model(
    profile: Profile,
    values: Mapping[str, Value],
    *,
    stamp_ms: int,
    read_time_ms: int,
) -> dict[str, dict[str, Any]]:
    """Return the parts that the device has, from its decoded values.

    `stamp_ms` is the start of the read in milliseconds since 1970 UTC, `read_time_ms`
    how long it took.
    """
    common = {
        "make": profile.maker,
        "timestamp": stamp_ms,
        "read_time_ms": read_time_ms,
    }
    parts = {}
    for part, fields in FIELDS.items():
        found = _found(_of_profile(fields, profile), values)
        if part == "meter":
            _direct_currents(found)
        if any(name in found for name in _MAIN_FIELDS[part]):
            parts[part] = {"type": part} | common | found
    voltage_class = values.get("voltage_class")
    if voltage_class is not None and "pv" in parts:
        parts["pv"]["HV_LV"] = voltage_class
    return parts


def power_w(values: Mapping[str, Value]) -> float | None:
    """Return the one power (W) that says what a device does, in egw's signs.

    That of the panels where there are any: what a hybrid inverter gives to the grid
    says little, as the battery takes part.
    """
    for key in _POWER_KEYS:
        number = _number(values.get(key))
        if number is not None:
            return number
    return None


def _of_profile(fields: tuple[Field, ...], profile: Profile) -> tuple[Field, ...]:
    """Choose where the panels' power comes from, once and for all.

    Not by what happens to have a value: from one reading to the next the power would
    change by what the inverter loses.
    """
    keys = (part.key for parts in (profile.points, profile.derived) for part in parts)
    if profile.kind != "inverter" or "pv_power_w" in keys:
        return fields
    return tuple(_GENERATED_AC if f is _GENERATED else f for f in fields)


def _found(
    fields: tuple[Field, ...], values: Mapping[str, Value]
) -> dict[str, float | int]:
    found = {}
    for field in fields:
        numbers = (_number(values.get(key)) for key in field.keys)
        number = next((n for n in numbers if n is not None), None)
        if number is not None:
            found[field.name] = field.turn(number)
    return found


def _direct_currents(meter: dict[str, float | int]) -> None:
    """Let each phase's current have the direction of its power.

    Many meters tell how large a current is, and not which way it flows.
    """
    for phase in ("L1", "L2", "L3"):
        current_a, power_w = meter.get(f"{phase}_A"), meter.get(f"{phase}_W")
        if current_a is not None and power_w:
            meter[f"{phase}_A"] = abs(current_a) if power_w > 0 else 0 - abs(current_a)


def _number(value: Value | None) -> float | None:
    return value if isinstance(value, int | float) else None

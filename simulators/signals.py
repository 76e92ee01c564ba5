"""Which quantity of the plant stands behind a point of a profile, found by its key.

Keys are terms with a unit at the end (`mppt1_current_a`, `meter_l2_power_w`), so their
parts tell the circuit (tracker, battery, meter, ...), the phase and the quantity.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from simulators.energy import counter_of
from simulators.plant import (
    BATTERY_CAPACITY_WH,
    BATTERY_MAX_W,
    INVERTER_EFFICIENCY,
    MPPT_SHARES,
    POWER_FACTOR,
    Plant,
    apparent_va,
    reactive_var,
)
from simulators.settings import is_setting, state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.devices.profile import Point, Profile

    Signal = Callable[[Plant], float | None]
    """What a point measures, in egw's sign convention; None: the device lacks it."""

_TURNED = ("export", "discharge")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_LIFE_S = 43_200_000.0
"""How long the device had run when the simulation began."""
_BACKUP_SHARE = 0.2
"""Of the house's load, what hangs on the backup output."""
_PACKS = 3
_BUS_RATIO = 2.8
"""Of the DC link's voltage to a phase's: a little above the peak between phases."""


@dataclass(frozen=True, slots=True)
class _Circuit:
    """Power and voltage of one conductor or pair, from which the rest follows."""

    power_w: Callable[[Plant], float]
    voltage_v: Callable[[Plant], float]
    alternating: bool = True

    def current_a(self, plant: Plant) -> float:
        volts, watts = self.voltage_v(plant), self.power_w(plant)
        if self.alternating:
            watts /= POWER_FACTOR
        return watts / volts if volts else 0.0


def signal_of(point: Point, profile: Profile) -> Signal | None:
    """Return what a point measures; None when it is a setting or a constant."""
    if point.type == "bitfield":
        return None
    if point.write is not None:
        return None
    if point.values:
        return state_of(point, profile)
    for pattern, signal in _WHOLE_KEYS:
        if pattern.search(point.key):
            return signal
    if is_setting(point):
        return None
    measured = _by_unit(point)
    return None if measured is None else _in_range(point, profile, measured)


def is_frequency(point: Point) -> bool:
    """Return whether a point follows the grid's frequency."""
    return point.unit == "Hz" and not is_setting(point)


def flags_of(point: Point) -> Callable[[Plant], list[str]] | None:
    """Return which flags of a bit-field the plant raises; None: it raises none."""
    raised = [
        (text, holds)
        for text in point.bits.values()
        for word, holds in _FLAGS
        if re.search(word, text.lower())
    ]
    if "flow" not in point.key or not raised:
        return None
    return lambda plant: [text for text, holds in raised if holds(plant)]


_FLAGS: tuple[tuple[str, Callable[[Plant], bool]], ...] = (
    (r"\bpv\b|generating", lambda plant: plant.pv_power_w > 0),
    (r"\bcharging", lambda plant: plant.battery_power_w > 0),
    (r"discharging", lambda plant: plant.battery_power_w < 0),
    (r"load active|load is", lambda plant: plant.load_power_w > 0),
    (r"feeding|exporting", lambda plant: plant.meter_power_w < 0),
    (r"importing|from grid", lambda plant: plant.meter_power_w > 0),
)


def _by_unit(point: Point) -> Signal | None:
    key, unit = point.key, point.unit
    if unit in ("Wh", "varh", "VAh"):
        return counter_of(key)
    if unit in ("W", "VA", "var", "V", "A"):
        return _electrical(point)
    if re.match(r"mppt([3-9]|\d\d)_", key):
        return _lacking
    if unit == "°C":
        return _battery_c if re.search("battery|bms|cell", key) else _inverter_c
    if unit == "%":
        return _percent(key, is_fitted=bool(point.applies_to))
    if unit in _SECONDS and re.search("time", key) and "zone" not in key:
        return _running_time(key, _SECONDS[unit])
    return None


def _battery_c(plant: Plant) -> float | None:
    heat_c = 6.0 * abs(plant.battery_power_w) / BATTERY_MAX_W
    return 22.0 + heat_c if plant.hybrid else None


def _inverter_c(plant: Plant) -> float:
    return plant.temperature_c


def _percent(key: str, *, is_fitted: bool) -> Signal | None:
    if not is_fitted and re.search(r"battery[2-9]", key):
        return _lacking
    if re.search("soc_|capacity_percent", key):
        return lambda plant: plant.battery_soc_percent if plant.hybrid else None
    if "soh_" in key:
        return lambda plant: 98.0 if plant.hybrid else None
    if "output_power" in key:
        return lambda plant: 100 * plant.active_power_w / plant.rated_power_w
    if "backup_load" in key:
        return lambda p: 100 * _BACKUP_SHARE * p.load_power_w / p.rated_power_w
    if "self_consumption" in key:
        return _self_consumption_percent
    return None


def _self_consumption_percent(plant: Plant) -> float:
    generated = plant.energy_wh("generated", "today")
    used = plant.energy_wh("direct_consumption", "today")
    return 100 * used / generated if generated else 0.0


def _running_time(key: str, seconds: float) -> Signal:
    if "remaining" in key:
        return lambda plant: _remaining_h(plant) * 3600 / seconds
    if "today" in key:
        return lambda plant: plant.hours_lit_today * 3600 / seconds
    return lambda plant: (_LIFE_S + plant.uptime_s) / seconds


def _remaining_h(plant: Plant) -> float:
    stored_wh = plant.battery_soc_percent / 100 * BATTERY_CAPACITY_WH
    return stored_wh / max(-plant.battery_power_w, 100.0)


def _lacking(_: Plant) -> float | None:
    return None


def _electrical(point: Point) -> Signal | None:
    key, unit = point.key, point.unit
    if re.search(r"pole_|^cell_", key):
        return None
    if re.search(r"(^|_)bus_", key):
        half = re.search("half|negative", key)
        return partial(_bus_v, 0.5 if half else 1.0)
    circuit = _circuit(key, is_fitted=bool(point.applies_to))
    if circuit is None:
        return _lacking
    power_w = circuit.power_w
    if unit == "V":
        if re.search(r"l\d_l\d|line_", key):
            return lambda plant: 3**0.5 * circuit.voltage_v(plant)
        return circuit.voltage_v
    if unit == "A":
        return _current(point, circuit)
    if unit == "VA":
        return lambda plant: apparent_va(power_w(plant))
    if unit == "var":
        return lambda plant: reactive_var(power_w(plant))
    return _power(point, power_w)


def _bus_v(share: float, plant: Plant) -> float:
    """Return a voltage of the DC link, which is down when nothing feeds it."""
    is_down = plant.is_dark and not plant.hybrid
    return 0.0 if is_down else share * _BUS_RATIO * plant.phase_voltage_v[0]


def _current(point: Point, circuit: _Circuit) -> Signal:
    magnitude = re.match(r"(l\d_|ac_|backup_|inverter_)(?!signed)", point.key)
    if magnitude and point.positive is None:
        return lambda plant: abs(circuit.current_a(plant))
    if "reactive" in point.key:
        return lambda plant: reactive_var(circuit.current_a(plant) * POWER_FACTOR)
    return circuit.current_a


def _power(point: Point, power_w: Callable[[Plant], float]) -> Signal:
    """Return a power, or only its part in the direction that the key names."""
    key = point.key
    if re.search("peak", key):
        return lambda plant: plant.peak_power_today_w
    if "export_power" in key and point.positive is None and "grid_export" not in key:
        return lambda plant: -power_w(plant)
    if re.search("discharge_", key) or re.search("grid_export|feed_in", key):
        return lambda plant: max(-power_w(plant), 0.0)
    if re.search("charge_|grid_import", key):
        return lambda plant: max(power_w(plant), 0.0)
    if "self_consumption" in key:
        return lambda plant: min(plant.load_power_w, plant.active_power_w)
    return power_w


def _in_range(point: Point, profile: Profile, signal: Signal) -> Signal:
    """Turn what an unsigned register cannot say into its magnitude.

    Of two registers for the two directions, the other one says nothing.
    """
    signed = not point.type.startswith(("u", "acc"))
    if signed or point.reversed_when is not None or point.unit not in ("W", "A", "var"):
        return signal
    turn = -1.0 if point.positive in _TURNED else 1.0
    directions = {p.positive in _TURNED for p in profile.alternatives(point.key)}

    def magnitude(plant: Plant) -> float | None:
        value = signal(plant)
        if value is None or (len(directions) > 1 and turn * value < 0):
            return None
        return turn * abs(value)

    return magnitude


def _circuit(key: str, *, is_fitted: bool) -> _Circuit | None:
    """Return the circuit that a key is about; None: the device lacks it.

    `is_fitted` says that the kind of device has what not every device has.
    """
    if match := re.match(r"(mppt|string|pv)(\d+)_", key):
        number = int(match[2])
        return _tracker(number - 1) if match[1] != "string" else _string(number)
    if is_fitted and re.match(r"battery2_", key):
        return _Circuit(
            lambda _: 0.0, lambda plant: plant.battery_voltage_v, alternating=False
        )
    if re.match(r"battery[2-9]_|meter[2-9]_|generator_|external_pv", key):
        return None
    if key.startswith("dc_"):
        return _Circuit(
            lambda plant: plant.pv_power_w - plant.battery_power_w,
            lambda plant: plant.mppt_voltage_v[0],
            alternating=False,
        )
    if key.startswith("pv_"):
        return _Circuit(
            lambda plant: plant.pv_power_w,
            lambda plant: plant.mppt_voltage_v[0],
            alternating=False,
        )
    if re.match(r"battery|bms_|storage_|cell_", key):
        return _battery(_PACKS if re.search(r"pack\d", key) else 1)
    phase = re.search(r"(?:^|_)l([123])_(?!l[123]_)", key)
    return _mains(key, None if phase is None else int(phase[1]) - 1)


def _tracker(index: int) -> _Circuit | None:
    if index >= len(MPPT_SHARES):
        return None
    return _Circuit(
        lambda plant: plant.mppt_power_w[index],
        lambda plant: plant.mppt_voltage_v[index],
        alternating=False,
    )


def _string(number: int) -> _Circuit | None:
    """Two strings hang on each tracker."""
    tracker = _tracker((number - 1) // 2)
    if tracker is None:
        return None
    return _Circuit(
        lambda plant: tracker.power_w(plant) / 2, tracker.voltage_v, alternating=False
    )


def _battery(parts: int) -> _Circuit:
    return _Circuit(
        lambda plant: plant.battery_power_w / parts,
        lambda plant: plant.battery_voltage_v,
        alternating=False,
    )


def _mains(key: str, phase: int | None) -> _Circuit:
    """Return the circuit of a key on the AC side: all of it or one phase."""
    parts = range(3) if phase is None else (phase,)
    of_phase, share = _side(key)
    return _Circuit(
        lambda plant: share * sum(of_phase(plant, part) for part in parts),
        lambda plant: sum(_phase_v(plant, part) for part in parts) / len(parts),
    )


def _side(key: str) -> tuple[Callable[[Plant, int], float], float]:
    if re.match(r"backup_|ups_|eps_", key):
        return Plant.load_w, _BACKUP_SHARE
    if key.startswith("load_"):
        return Plant.load_w, 1.0
    if re.match(r"(power_)?meter|grid_|pcc_|export_|import_|feed_in|external_", key):
        return Plant.meter_w, 1.0
    return Plant.output_w, 1.0


def _phase_v(plant: Plant, phase: int) -> float:
    return plant.phase_voltage_v[phase if plant.phases == 3 else 0]


def _clock(form: str) -> Signal:
    """Return what the device's clock shows; one or two bytes of its date and time."""

    def read(_: Plant) -> float:
        shown = [int(time.strftime(part)) for part in form.split()]
        return shown[0] if len(shown) == 1 else 256 * shown[0] + shown[1]

    return read


_WHOLE_KEYS: list[tuple[re.Pattern[str], Signal]] = [
    (re.compile(pattern), signal)
    for pattern, signal in (
        (r"clock_year_month$", _clock("%y %m")),
        (r"clock_day_hour$", _clock("%d %H")),
        (r"clock_minute_second$", _clock("%M %S")),
        (r"clock_year$", _clock("%y")),
        (r"clock_month$", _clock("%m")),
        (r"clock_day$", _clock("%d")),
        (r"clock_hour$", _clock("%H")),
        (r"clock_minute$", _clock("%M")),
        (r"clock_second$", _clock("%S")),
        (r"^system_time_epoch_s$", lambda _: time.time()),
        (r"power_factor_percent$", lambda _: 100 * POWER_FACTOR),
        (r"power_factor$", lambda _: POWER_FACTOR),
        (r"efficiency_percent$", lambda _: 100 * INVERTER_EFFICIENCY),
        (r"^co2_\w+_kg$", lambda p: p.energy_wh("generated", "total") / 1000 * 0.4),
        (
            r"^battery_current_direction$",
            lambda plant: float(plant.battery_power_w < 0),
        ),
        (
            r"^battery_available_energy_wh$",
            lambda p: p.battery_soc_percent / 100 * BATTERY_CAPACITY_WH,
        ),
    )
]

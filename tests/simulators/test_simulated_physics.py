from __future__ import annotations

import re
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from profile_site import blocks_of
from simulator_client import Ticks

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import RegisterRange, ScaleRegister
from simulators.device import SimulatedDevice
from simulators.kind import kind_of
from simulators.plant import POWER_FACTOR, Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

ALL = sorted(builtin_profiles())
NOON = 12.0
NIGHT = 1.0
EVENING = 21.5


class Bench:
    """A device on a clock that the test moves, read through its profile."""

    def __init__(
        self, profile_name: str, variants: Collection[str] = (), **plant: float
    ) -> None:
        self.profile = find_profile(profile_name)
        self.kind = kind_of(self.profile, variants)
        self.ticks = Ticks()
        self.device = SimulatedDevice(
            self.profile,
            Plant(
                hybrid=self.kind.has_battery,
                phases=self.kind.phases,
                seed=3,
                clock=self.ticks,
                **plant,  # type: ignore[arg-type]
            ),
            Grid(seed=3, clock=self.ticks),
            serial="SIM0000042",
            kind=self.kind,
            clock=self.ticks,
        )
        self._blocks = blocks_of(self.profile, self.kind)
        self._decoder = Decoder(self.profile)

    def values(self) -> dict[str, Any]:
        return dict(self._decoder.decode([self._read(part) for part in self._blocks]))

    def value(self, key: str) -> Any:
        return self.values()[key]

    def step(self, key: str) -> float:
        """Return how finely a point tells its value."""
        scales = [point.scale for point in self.kind.alternatives(key)]
        steps = [1.0 if isinstance(s, ScaleRegister) else abs(s) for s in scales]
        return max(steps, default=1.0)

    def _read(self, part: RegisterRange) -> Block:
        data = self.device.read(part.function, part.address, part.count)
        return Block(part.function, part.address, data)


def with_keys(*keys: str) -> list[str]:
    """Return the profiles whose usual device has these points."""
    found = []
    for name in ALL:
        profile = find_profile(name)
        derived = {derived.key for derived in profile.derived}
        told = {point.key for point in kind_of(profile).points} | derived
        if told.issuperset(keys):
            found.append(name)
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_point_and_harvest_range_of_a_profile_can_be_read(name: str) -> None:
    bench = Bench(name)
    harvest = bench.profile.harvest

    for run in (*harvest.full, *harvest.slim):
        words = bench.device.read(run.function, run.address, run.count)
        assert len(words) == 2 * run.count
    for point in bench.profile.points:
        assert bench.device.read(point.function, point.address, point.count)


@pytest.mark.parametrize("name", ALL)
def test_every_device_shows_a_plausible_frequency(name: str) -> None:
    bench = Bench(name)
    nominal_hz = 60 if name == "solaredge_us" else 50

    seen = []
    for _ in range(50):
        bench.ticks.now += 0.1
        seen.append(bench.value(bench.profile.frequency))

    assert all(abs(frequency_hz - nominal_hz) < 0.15 for frequency_hz in seen)


def test_the_grid_wanders_around_50_hz_by_about_20_mhz() -> None:
    ticks = Ticks()
    grid = Grid(seed=5, clock=ticks)

    seen = []
    for _ in range(20_000):
        ticks.now += 1.0
        seen.append(grid.frequency_hz())

    assert abs(statistics.mean(seen) - 50.0) < 0.005
    assert 0.015 < statistics.stdev(seen) < 0.025
    assert max(abs(b - a) for a, b in pairwise(seen)) < 0.03


@pytest.mark.parametrize(
    "name", with_keys("energy_generated_total_wh", "active_power_w")
)
def test_totals_only_grow_and_by_power_over_time(name: str) -> None:
    bench = Bench(name, day_length_s=2_400.0)
    totals = [bench.value("energy_generated_total_wh")]
    energy_wh = 0.0

    for _ in range(300):
        bench.ticks.now += 1.0
        values = bench.values()
        energy_wh += values["active_power_w"] * 24 / 2_400
        totals.append(values["energy_generated_total_wh"])

    step_wh = bench.step("energy_generated_total_wh")
    assert totals == sorted(totals)
    assert totals[-1] - totals[0] == pytest.approx(energy_wh, rel=0.02, abs=step_wh)
    assert energy_wh > 8_000


@pytest.mark.parametrize("name", ALL)
def test_no_lifetime_counter_ever_falls_in_a_whole_day(name: str) -> None:
    bench = Bench(name, day_length_s=240.0)
    counters = [key for key in bench.values() if key.endswith("_total_wh")]
    history = []

    for _ in range(60):
        bench.ticks.now += 4.0
        values = bench.values()
        history.append([values[key] for key in counters])

    falling = [
        key
        for key, column in zip(counters, zip(*history, strict=True), strict=True)
        if list(column) != sorted(column)
    ]
    assert falling == []


def circuits(values: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every circuit with power, voltage and current, and its power factor."""
    for key in values:
        circuit = re.fullmatch(r"(.*?)(power_w)", key)
        if circuit is None:
            continue
        name = circuit[1]
        alternating = not re.match("mppt|string|pv|dc|battery", name)
        if {f"{name}voltage_v", f"{name}current_a"} <= values.keys():
            yield name, POWER_FACTOR if alternating else 1.0


@pytest.mark.parametrize("name", ALL)
def test_power_is_voltage_times_current_in_every_circuit(name: str) -> None:
    bench = Bench(name, start_hour=NOON)
    values = bench.values()

    for circuit, factor in circuits(values):
        amperes, volts = values[f"{circuit}current_a"], values[f"{circuit}voltage_v"]
        fine_w = bench.step(f"{circuit}current_a") * volts
        fine_w += bench.step(f"{circuit}power_w")
        assert abs(volts * amperes) * factor == pytest.approx(
            abs(values[f"{circuit}power_w"]), rel=0.02, abs=fine_w
        ), circuit


@pytest.mark.parametrize(
    "name", with_keys("pv_power_w", "mppt1_voltage_v", "mppt1_current_a")
)
def test_the_array_gives_what_its_trackers_give(name: str) -> None:
    values = Bench(name, start_hour=NOON).values()

    tracked_w = sum(
        values[f"mppt{n}_voltage_v"] * values[f"mppt{n}_current_a"]
        for n in range(1, 9)
        if values.keys() >= {f"mppt{n}_voltage_v", f"mppt{n}_current_a"}
    )

    assert values["pv_power_w"] == pytest.approx(tracked_w, rel=0.02)
    assert tracked_w > 5_000


@pytest.mark.parametrize("name", ALL)
def test_the_phases_add_up(name: str) -> None:
    values = Bench(name, start_hour=NOON).values()
    totals = {
        "l{}_power_w": "active_power_w",
        "meter_l{}_power_w": "meter_power_w",
        "load_l{}_power_w": "load_power_w",
        "backup_l{}_power_w": "backup_power_w",
    }

    for phase, total in totals.items():
        keys = [phase.format(number) for number in (1, 2, 3)]
        if values.keys() >= {*keys, total}:
            added_w = sum(values[key] for key in keys)
            assert added_w == pytest.approx(values[total], rel=0.01, abs=40), total


@pytest.mark.parametrize("name", with_keys("meter_power_w", "active_power_w"))
def test_what_is_generated_and_not_used_is_exported(name: str) -> None:
    values = Bench(name, start_hour=NOON).values()

    assert values["meter_power_w"] < -1_000
    if "load_power_w" in values:
        left_w = values["load_power_w"] - values["active_power_w"]
        assert values["meter_power_w"] == pytest.approx(left_w, abs=40)


@pytest.mark.parametrize("name", with_keys("pv_power_w"))
def test_an_array_gives_power_by_day_and_none_by_night(name: str) -> None:
    day = Bench(name, start_hour=NOON).values()
    night = Bench(name, start_hour=NIGHT).values()

    assert day["pv_power_w"] > 5_000
    assert night["pv_power_w"] == pytest.approx(0, abs=1)
    assert night.get("mppt1_voltage_v", 0) < 10
    assert day.get("mppt1_voltage_v", 400) > 300


@pytest.mark.parametrize("name", with_keys("battery_power_w", "battery_soc_percent"))
def test_a_battery_charges_by_day_and_discharges_in_the_evening(name: str) -> None:
    day = Bench(name, start_hour=NOON, day_length_s=24_000.0)
    evening = Bench(name, start_hour=EVENING, day_length_s=24_000.0)

    at_noon = day.value("battery_soc_percent")
    at_dusk = evening.value("battery_soc_percent")
    charging_w = day.value("battery_power_w")
    discharging_w = evening.value("battery_power_w")
    for bench in (day, evening):
        for _ in range(50):
            bench.ticks.now += 10.0
            bench.device.snapshot()

    assert charging_w > 500
    assert discharging_w < -500
    assert day.value("battery_soc_percent") > at_noon
    assert evening.value("battery_soc_percent") < at_dusk


@pytest.mark.parametrize("name", with_keys("energy_generated_today_wh"))
def test_today_counts_from_zero_each_day(name: str) -> None:
    bench = Bench(name, day_length_s=240.0)

    bench.ticks.now += 1.0
    for _ in range(99):
        bench.ticks.now += 1.0
        bench.value(bench.profile.frequency)
    by_evening_wh = bench.value("energy_generated_today_wh")
    bench.ticks.now += 60.0

    assert by_evening_wh > 1_000
    assert bench.value("energy_generated_today_wh") < by_evening_wh / 2


def test_measurements_are_taken_anew_after_half_a_second_and_not_before() -> None:
    bench = Bench("solaredge")
    first = bench.device.read("holding", 40071, 13)

    bench.ticks.now += 0.4
    early = bench.device.read("holding", 40071, 13)
    bench.ticks.now += 0.2
    late = bench.device.read("holding", 40071, 13)

    assert early == first
    assert late != first


def test_serial_and_model_are_shown() -> None:
    bench = Bench("solaredge")

    assert bench.value("serial_number") == "SIM0000042"
    assert bench.value("manufacturer") == "SolarEdge"
    assert bench.value("model").startswith("SE")


def test_a_pinned_register_keeps_its_word_until_it_is_let_go() -> None:
    bench = Bench("huawei")
    bench.device.pin("holding", 32085, 4_700)

    bench.ticks.now += 5.0
    pinned_hz = bench.value("grid_frequency_hz")
    bench.device.pin("holding", 32085, None)
    bench.ticks.now += 5.0

    assert pinned_hz == 47.0
    assert bench.value("grid_frequency_hz") > 49

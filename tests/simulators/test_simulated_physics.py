from __future__ import annotations

import statistics
import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from simulator_client import Ticks

from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import Point, Profile, ScaleRegister
from simulators.device import SimulatedDevice
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from egw.devices.profile import WordOrder

FORMATS = {
    "u64": "Q",
    "u16": "H",
    "i16": "h",
    "u32": "I",
    "i32": "i",
    "acc32": "I",
    "f32": "f",
}
SEVERAL = ("solaredge", "sungrow", "huawei", "growatt", "sungrow_hybrid")


class Bench:
    """A device on a clock that the test moves, read through its profile."""

    def __init__(self, profile_name: str, **plant: float) -> None:
        self.profile: Profile = find_profile(profile_name)
        self.ticks = Ticks()
        self.device = SimulatedDevice(
            self.profile,
            Plant(
                hybrid=self.profile.kind == "hybrid",
                seed=3,
                clock=self.ticks,
                **plant,
            ),
            Grid(seed=3, clock=self.ticks),
            serial="SIM0000042",
            clock=self.ticks,
        )

    def text(self, key: str) -> str:
        point = self.profile.point(key)
        return self._words(point).rstrip(b"\0").decode()

    def value(self, key: str) -> float:
        return decode(self.profile.point(key), self._read, self.profile.word_order)

    def _read(self, function: str, address: int, count: int) -> bytes:
        return self.device.read(function, address, count)  # type: ignore[arg-type]

    def _words(self, point: Point) -> bytes:
        return self._read(point.function, point.address, point.count)


def decode(point: Point, read: object, order: WordOrder) -> float:
    """Decode as the profile says, with other means than the simulator's."""
    data = read(point.function, point.address, point.count)  # type: ignore[operator]
    words = struct.unpack(f">{point.count}H", data)
    if (point.word_order or order) == "little":
        words = words[::-1]
    packed = struct.pack(f">{point.count}H", *words)
    (raw,) = struct.unpack(">" + FORMATS[point.type], packed)
    scale = point.scale
    if isinstance(scale, ScaleRegister):
        exponent = read(point.function, scale.register, 1)  # type: ignore[operator]
        scale = 10.0 ** struct.unpack(">h", exponent)[0]
    return float(raw * scale + point.offset)


@pytest.mark.parametrize("name", sorted(builtin_profiles()))
def test_every_point_and_harvest_range_of_a_profile_can_be_read(name: str) -> None:
    bench = Bench(name)

    for run in bench.profile.harvest:
        assert len(bench.device.read(run.function, run.address, run.count)) == (
            2 * run.count
        )
    for point in bench.profile.points:
        assert bench.device.read(point.function, point.address, point.count)


@pytest.mark.parametrize("name", sorted(builtin_profiles()))
def test_every_device_shows_a_plausible_frequency(name: str) -> None:
    bench = Bench(name)

    seen = []
    for _ in range(50):
        bench.ticks.now += 0.1
        seen.append(bench.value(bench.profile.frequency))

    assert all(49.85 < frequency_hz < 50.15 for frequency_hz in seen)


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


@pytest.mark.parametrize("name", SEVERAL)
def test_totals_only_grow_and_by_power_over_time(name: str) -> None:
    bench = Bench(name, day_length_s=2_400.0)
    totals = [bench.value("total_energy_generated_wh")]
    energy_wh = 0.0

    for _ in range(600):
        bench.ticks.now += 1.0
        energy_wh += bench.value("active_power_w") * 24 / 2_400
        totals.append(bench.value("total_energy_generated_wh"))

    assert totals == sorted(totals)
    resolution_wh = 1_000.0
    assert totals[-1] - totals[0] == pytest.approx(
        energy_wh, rel=0.02, abs=resolution_wh
    )
    assert energy_wh > 10_000


@pytest.mark.parametrize("name", SEVERAL)
def test_no_lifetime_counter_ever_falls_in_a_whole_day(name: str) -> None:
    bench = Bench(name, day_length_s=240.0)
    counters = [p.key for p in bench.profile.points if p.key.endswith("_total_wh")]
    counters = [key for key in counters if "mppt" not in key and "meter" not in key]
    history = []

    for _ in range(120):
        bench.ticks.now += 2.0
        history.append([bench.value(key) for key in counters])

    assert counters
    assert all(column == tuple(sorted(column)) for column in zip(*history, strict=True))


@pytest.mark.parametrize("name", SEVERAL)
def test_power_is_voltage_times_current(name: str) -> None:
    bench = Bench(name)

    dc_w = sum(
        bench.value(f"mppt{n}_voltage_v") * bench.value(f"mppt{n}_current_a")
        for n in (1, 2)
    )
    ac_w = sum(
        bench.value(f"l{n}_voltage_v") * bench.value(f"l{n}_current_a")
        for n in (1, 2, 3)
    )

    assert dc_w == pytest.approx(bench.value("pv_power_w"), rel=0.02)
    assert ac_w == pytest.approx(bench.value("active_power_w"), rel=0.02)
    assert ac_w > 1_000


def test_an_array_gives_power_by_day_and_none_by_night() -> None:
    day, night = Bench("huawei"), Bench("huawei", start_hour=1.0)

    assert day.value("pv_power_w") > 2_000
    assert night.value("pv_power_w") == 0


def test_what_is_generated_and_not_used_is_exported() -> None:
    bench = Bench("sungrow_hybrid")

    generated_w = bench.value("active_power_w")
    exported_w = bench.value("export_power_w")

    assert exported_w == pytest.approx(generated_w - bench.value("load_power_w"), abs=2)
    assert bench.value("meter_power_w") == -exported_w


def test_a_hybrid_charges_by_day_and_discharges_in_the_evening() -> None:
    day = Bench("sungrow_hybrid")
    evening = Bench("sungrow_hybrid", start_hour=21.5)

    assert day.value("battery_power_w") < -500
    assert evening.value("battery_power_w") > 500


def test_today_counts_from_zero_each_day() -> None:
    bench = Bench("huawei", day_length_s=240.0)

    bench.ticks.now += 1.0
    for _ in range(99):
        bench.ticks.now += 1.0
        bench.value("pv_power_w")
    by_evening_wh = bench.value("energy_today_wh")
    bench.ticks.now += 60.0

    assert by_evening_wh > 1_000
    assert bench.value("energy_today_wh") < by_evening_wh / 2


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

    assert bench.text("serial_number") == "SIM0000042"
    assert bench.text("manufacturer") == "SolarEdge"
    assert bench.text("model").startswith("SE")


def test_a_pinned_register_keeps_its_word_until_it_is_let_go() -> None:
    bench = Bench("huawei")
    bench.device.pin("holding", 32085, 4_700)

    bench.ticks.now += 5.0
    pinned_hz = bench.value("grid_frequency_hz")
    bench.device.pin("holding", 32085, None)
    bench.ticks.now += 5.0

    assert pinned_hz == 47.0
    assert bench.value("grid_frequency_hz") > 49

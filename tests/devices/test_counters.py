from __future__ import annotations

from typing import Any

import msgspec
import pytest

from egw.devices.blocks import Block
from egw.devices.counters import CounterGuard
from egw.devices.profile import Derived, Harvest, Point, Profile, RegisterRange
from egw.messages import Suspect

TOTAL, TODAY, GRID = (
    "energy_generated_total_wh",
    "energy_generated_today_wh",
    "grid_import_energy_total_wh",
)


def point(key: str, address: int, kind: str = "u32", **more: Any) -> Point:
    counts = {"u16": 1, "i16": 1, "u32": 2}
    raw = {"key": key, "function": "holding", "address": address, "type": kind}
    return msgspec.convert(raw | {"count": counts[kind]} | more, Point)


def profile(*points: Point, max_power_w: int = 10_000, **more: Any) -> Profile:
    part = RegisterRange(function="holding", address=0, count=20)
    return Profile(
        name="acme",
        maker="Acme",
        display_name="Acme",
        kind="hybrid",
        transports=("modbus-tcp",),
        max_power_w=max_power_w,
        harvest=Harvest(full=(part,)),
        frequency="grid_frequency_hz",
        points=points,
        **more,
    )


METER = profile(point(TOTAL, 0), point(TODAY, 2), point(GRID, 4))


class Device:
    """A device read once a second, whose counters a test sets."""

    def __init__(self, description: Profile = METER) -> None:
        self._profile = description
        self._guard = CounterGuard(description)
        self.now_s = 1000.0

    def says(self, *, after_s: float = 1.0, **values: int) -> tuple[Suspect, ...]:
        self.now_s += after_s
        blocks = [
            Block(
                "holding",
                p.address,
                (values[p.key] % 2**32).to_bytes(4)[-2 * p.count :],
            )
            for p in self._profile.points
            if p.key in values
        ]
        return self._guard.suspects(blocks, self.now_s)

    def doubts(self, value: int, key: str = TOTAL, *, after_s: float = 1.0) -> bool:
        found = self.says(after_s=after_s, **{key: value})
        assert [s.key for s in found] == [key] * len(found)
        return bool(found)

    def produces(self, power_w: float, *, start: int, seconds: int) -> int:
        for second in range(seconds):
            assert not self.doubts(start + round(power_w * second / 3600))
        return start + round(power_w * (seconds - 1) / 3600)


def test_a_counter_that_counts_is_good() -> None:
    Device().produces(10_000, start=5_000_000, seconds=900)


def test_the_first_value_after_a_start_is_believed() -> None:
    assert Device().says(**{TOTAL: 2**31, TODAY: 65_534, GRID: 0}) == ()


def test_a_phantom_of_187_kwh_is_doubted_until_the_counter_is_back() -> None:
    device = Device()
    good = device.produces(3_000, start=12_345_678, seconds=60)

    found = device.says(**{TOTAL: good + 187_700})

    assert [(s.key, s.value) for s in found] == [(TOTAL, good + 187_700)]
    assert found[0].reason.startswith("leapt by 187700 Wh where ")
    assert not device.doubts(good + 2)


def test_65534_is_doubted() -> None:
    device = Device(profile(point(TODAY, 0, "u16", scale=10)))
    assert not device.doubts(412, TODAY)

    assert device.doubts(65_534, TODAY)
    assert device.doubts(65_534, TODAY)
    assert not device.doubts(412, TODAY)


def test_zero_for_one_read_at_night_is_doubted() -> None:
    device = Device()
    device.doubts(5_000_000)

    (suspect,) = device.says(**{TOTAL: 0})

    assert suspect == Suspect(TOTAL, 0.0, "fell from 5000000 Wh to 0 Wh")
    assert not device.doubts(5_000_000)


def test_zero_all_night_is_doubted_all_night() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert all(device.doubts(0, after_s=10.0) for _ in range(3_000))
    assert not device.doubts(5_000_000)


def test_a_busy_device_that_says_zero_for_every_counter_is_doubted_in_each() -> None:
    device = Device()
    device.says(**{TOTAL: 5_000_000, TODAY: 9_000, GRID: 70})

    found = device.says(**{TOTAL: 0, TODAY: 0, GRID: 0})

    assert [s.key for s in found] == [TOTAL, TODAY, GRID]
    assert device.says(**{TOTAL: 5_000_000, TODAY: 9_000, GRID: 70}) == ()


def test_a_daily_counter_begins_anew_as_soon_as_a_second_reading_says_so() -> None:
    device = Device()
    device.doubts(30_000, TODAY)

    assert device.doubts(0, TODAY)
    assert not device.doubts(0, TODAY)
    assert not device.doubts(1, TODAY)


def test_a_daily_counter_may_have_begun_anew_and_grown_in_an_outage() -> None:
    device = Device()
    device.doubts(30_000, TODAY)

    assert device.doubts(20_000, TODAY, after_s=2 * 3600)
    assert not device.doubts(20_001, TODAY)


def test_a_daily_counter_that_falls_to_more_than_a_new_day_has_is_doubted() -> None:
    device = Device()
    device.doubts(30_000, TODAY)

    assert all(device.doubts(20_000, TODAY) for _ in range(59))


def test_a_daily_counter_may_not_leap() -> None:
    device = Device()
    device.doubts(300, TODAY)

    assert device.doubts(187_700, TODAY)


def test_a_counter_that_wraps_is_doubted_until_the_new_level_has_held() -> None:
    device = Device()
    device.doubts(2**32 - 2)

    doubted = [device.doubts(value) for value in range(1, 63)]

    assert doubted == [True] * 60 + [False] * 2


def test_a_replaced_inverter_is_believed_once_its_counter_has_held() -> None:
    device = Device()
    device.doubts(5_000_000)

    doubted = [device.doubts(9_123_456 + second) for second in range(62)]

    assert doubted == [True] * 60 + [False] * 2
    assert device.doubts(5_000_000)


def test_a_new_level_that_falls_begins_to_hold_anew() -> None:
    device = Device()
    device.doubts(5_000_000)
    assert all(device.doubts(9_123_456 + 2 * second) for second in range(40))

    doubted = [device.doubts(9_123_500 + second) for second in range(62)]

    assert doubted == [True] * 60 + [False] * 2


def test_a_new_level_holds_without_a_break() -> None:
    device = Device()

    doubted = [device.doubts((5_000_000, 9_000_000)[n % 2]) for n in range(300)]

    assert doubted == [False, True] * 150


def test_a_level_that_is_not_one_is_never_believed() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert all(device.doubts(6_000_000 + 500_000 * (n % 7)) for n in range(500))
    assert not device.doubts(5_000_100)


def test_good_values_in_between_keep_a_wrong_level_wrong() -> None:
    device = Device()

    doubted = [device.doubts((5_000_000, 0, 9_000_000)[n % 3]) for n in range(300)]

    assert doubted == [False, True, True] * 100


def test_real_production_in_an_outage_of_an_hour_is_good() -> None:
    device = Device()
    good = device.produces(9_000, start=5_000_000, seconds=5)

    assert not device.doubts(good + 9_000, after_s=3600)
    assert device.doubts(good + 9_000 + 20_000)


def test_an_outage_excuses_no_leap_beyond_its_length() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert device.doubts(5_000_000 + 12_000, after_s=3600)


def test_a_counter_that_counts_every_five_minutes_is_good() -> None:
    device = Device()

    for second in range(1_500):
        assert not device.doubts(5_000_000 + 10_000 * (second // 300 * 300) // 3600)


def test_a_leap_of_more_than_five_minutes_at_full_power_is_doubted() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert device.doubts(5_000_000 + 850)


def test_the_margin_for_late_counting_is_not_given_twice() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert not device.doubts(5_000_000 + 800)
    assert device.doubts(5_000_000 + 1_600)


def test_two_steps_of_a_coarse_counter_are_good() -> None:
    coarse = profile(point(TOTAL, 0, scale=1000), max_power_w=100)
    device = Device(coarse)
    device.doubts(5_000)

    assert not device.doubts(5_002)
    assert device.doubts(5_003)
    assert not device.doubts(5_003, after_s=36_000.0)


def test_the_resolution_may_be_told_by_the_device() -> None:
    scaled = profile(
        point(TOTAL, 0, scale={"register": 2}),
        point("energy_sf", 2, "i16"),
        max_power_w=100,
    )
    device = Device(scaled)
    device.says(**{TOTAL: 5_000, "energy_sf": 3})

    assert device.says(**{TOTAL: 5_002, "energy_sf": 3}) == ()
    assert device.says(**{TOTAL: 5_005, "energy_sf": 3}) != ()


@pytest.mark.parametrize("exponent", [32_767, -32_768])
def test_an_absurd_scale_of_an_alternative_is_no_matter(exponent: int) -> None:
    either = profile(
        point(TOTAL, 0, scale={"register": 2}),
        point("energy_sf", 2, "i16"),
        point(TOTAL, 4),
    )
    device = Device(either)

    found = device.says(**{TOTAL: 5_000, "energy_sf": exponent})

    assert found == ()


RATED = profile(
    point(TOTAL, 0),
    point(GRID, 2),
    point("rated_power_w", 4),
    max_power_w=300_000,
)


def test_a_device_counts_no_faster_than_twice_its_own_rating() -> None:
    device = Device(RATED)
    device.says(**{TOTAL: 0, GRID: 0, "rated_power_w": 6_000})

    assert not device.doubts(1_000)
    assert device.doubts(1_500)


def test_a_grid_connection_bears_more_than_the_inverters_rating() -> None:
    device = Device(RATED)
    device.says(**{TOTAL: 0, GRID: 0, "rated_power_w": 6_000})

    assert not device.doubts(1_500, GRID)


@pytest.mark.parametrize("rated_w", [0, 300_001])
def test_a_rating_that_no_such_device_has_is_ignored(rated_w: int) -> None:
    device = Device(RATED)
    device.says(**{TOTAL: 0, "rated_power_w": rated_w})

    assert not device.doubts(25_000)
    assert device.doubts(51_000)


def test_an_impossible_rating_does_not_widen_what_a_good_one_allows() -> None:
    device = Device(RATED)
    device.says(**{TOTAL: 0, "rated_power_w": 6_000})
    device.says(**{TOTAL: 0, "rated_power_w": 2**32 - 1})

    assert device.doubts(1_500)


def test_an_idle_hour_excuses_no_leap_of_more_than_five_minutes() -> None:
    device = Device()
    device.doubts(5_000_000)
    assert not device.doubts(5_000_000, after_s=3600)

    assert device.doubts(5_000_000 + 850)
    assert not device.doubts(5_000_000 + 800)


def test_a_missing_value_changes_nothing() -> None:
    device = Device()
    device.doubts(5_000_000)

    assert device.says(after_s=600.0) == ()
    assert device.doubts(4_999_999)
    assert not device.doubts(5_000_000 + 1_600)


def test_what_is_computed_from_a_doubtful_counter_is_doubtful() -> None:
    net = Derived(key="net_energy_wh", sum=(TOTAL,), minus=(GRID,))
    device = Device(profile(point(TOTAL, 0), point(GRID, 2), derived=(net,)))
    device.says(**{TOTAL: 5_000, GRID: 1_000})

    found = device.says(**{TOTAL: 900_000, GRID: 1_000})

    assert [(s.key, s.value) for s in found] == [
        (TOTAL, 900_000),
        ("net_energy_wh", 899_000),
    ]
    assert found[1].reason == f"is computed from {TOTAL}"


def test_a_counter_that_is_a_sum_is_watched_itself() -> None:
    parts = ("pv_energy_a_wh", "pv_energy_b_wh")
    both = Derived(key="pv_energy_total_wh", sum=parts)
    device = Device(profile(point(parts[0], 0), point(parts[1], 2), derived=(both,)))
    device.says(pv_energy_a_wh=5_000, pv_energy_b_wh=7_000)

    found = device.says(pv_energy_a_wh=5_000, pv_energy_b_wh=0)

    assert [(s.key, s.value) for s in found] == [("pv_energy_total_wh", 5_000)]


def test_a_difference_may_fall() -> None:
    net = Derived(key="net_total_wh", sum=(TOTAL,), minus=(GRID,))
    device = Device(profile(point(TOTAL, 0), point(GRID, 2), derived=(net,)))
    device.says(**{TOTAL: 5_000, GRID: 1_000})

    assert device.says(**{TOTAL: 5_000, GRID: 1_001}) == ()

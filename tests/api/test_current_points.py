"""Readings of only the slim set over the last full one."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from egw.api.points import CurrentPoints, DecodedReading, PointTable
from egw.devices.blocks import Block
from egw.devices.profile import (
    Derived,
    Harvest,
    Point,
    Profile,
    RegisterRange,
)
from egw.messages import Reading, Suspect

START_MS = 1_700_000_000_000


def holding(address: int, count: int) -> RegisterRange:
    return RegisterRange(function="holding", address=address, count=count)


def point(key: str, address: int) -> Point:
    return Point(
        key=key,
        function="holding",
        address=address,
        type="u16",
        count=1,
        not_available=0xFFFF,
    )


PROFILE = Profile(
    name="acme",
    maker="Acme",
    display_name="Acme One",
    kind="inverter",
    transports=("modbus-tcp",),
    max_power_w=10_000,
    harvest=Harvest(full=(holding(0, 6),), slim=(holding(0, 3),), full_every=10),
    frequency="grid_frequency_hz",
    points=(
        point("grid_frequency_hz", 0),
        point("mppt1_power_w", 1),
        point("mppt2_power_w", 2),
        point("inverter_temperature_c", 3),
        point("pv_energy_total_wh", 4),
        point("grid_import_energy_total_wh", 5),
    ),
    derived=(Derived(key="pv_power_w", sum=("mppt1_power_w", "mppt2_power_w")),),
)


@pytest.fixture
def table() -> Callable[[], PointTable]:
    made = PointTable(PROFILE)
    return lambda: made


def reading(*words: int, at_s: float = 0, full: bool = True) -> Reading:
    stamp_ms = START_MS + round(at_s * 1000)
    block = Block("holding", 0, struct.pack(f">{len(words)}H", *words))
    return Reading(
        stamp_ms,
        (block,),
        full=full,
        first_read_ms=stamp_ms + 10,
        last_read_ms=stamp_ms + 40,
    )


FULL = reading(50, 100, 200, 40, 7000, 9)


def current(
    newest: Reading,
    full: Reading | None,
    table: Callable[[], PointTable],
    *,
    suspects: tuple[Suspect, ...] = (),
    full_suspects: tuple[Suspect, ...] = (),
    rate_hz: float = 1.0,
) -> CurrentPoints:
    last_full = None if full is None else DecodedReading(full, full_suspects, table)
    return CurrentPoints(DecodedReading(newest, suspects, table), last_full, rate_hz)


def test_a_slim_reading_goes_over_the_last_full_one(table: Any) -> None:
    slim = reading(51, 110, 220, at_s=3, full=False)

    points = current(slim, FULL, table)

    assert points.values == {
        "grid_frequency_hz": 51,
        "mppt1_power_w": 110,
        "mppt2_power_w": 220,
        "pv_power_w": 330,
        "inverter_temperature_c": 40,
        "pv_energy_total_wh": 7000,
        "grid_import_energy_total_wh": 9,
    }
    assert points.missing == []


def test_the_times_cover_both_readings_and_the_stamp_is_the_newest_ones(
    table: Any,
) -> None:
    slim = reading(51, 110, 220, at_s=3, full=False)

    points = current(slim, FULL, table)

    assert points.stamp_ms == START_MS + 3000
    assert points.first_read_ms == START_MS + 10
    assert points.last_read_ms == START_MS + 3040
    assert points.model["pv"]["timestamp"] == START_MS + 3000
    assert points.model["pv"]["read_time_ms"] == 40
    assert points.model["pv"]["W"] == -330
    assert points.model["pv"]["total_generation_Wh"] == 7000


def test_what_the_newest_reading_did_not_get_is_missing_and_not_what_it_was(
    table: Any,
) -> None:
    slim = reading(51, at_s=3, full=False)

    points = current(slim, FULL, table)

    assert points.values.keys() == {
        "grid_frequency_hz",
        "inverter_temperature_c",
        "pv_energy_total_wh",
        "grid_import_energy_total_wh",
    }
    assert points.missing == ["mppt1_power_w", "mppt2_power_w", "pv_power_w"]


def test_a_tracker_that_tells_nothing_any_more_leaves_the_sum_of_the_others(
    table: Any,
) -> None:
    slim = reading(51, 110, 0xFFFF, at_s=3, full=False)

    points = current(slim, FULL, table)

    assert points.values["pv_power_w"] == 110
    assert points.missing == ["mppt2_power_w"]


def test_what_the_last_full_reading_lacks_is_missing_until_the_next(
    table: Any,
) -> None:
    slim = reading(51, 110, 220, at_s=3, full=False)

    points = current(slim, reading(50, 100, 200, 0xFFFF, 7000), table)

    assert points.missing == ["inverter_temperature_c", "grid_import_energy_total_wh"]


@pytest.mark.parametrize(
    ("age_s", "rate_hz", "is_used"),
    [
        (9, 1.0, True),
        (20, 1.0, True),
        (21, 1.0, False),
        (99, 0.2, True),
        (21, 0, False),
    ],
)
def test_a_full_reading_counts_until_a_later_one_should_have_come(
    table: Any, age_s: float, rate_hz: float, is_used: bool
) -> None:
    slim = reading(51, 110, 220, at_s=age_s, full=False)

    points = current(slim, FULL, table, rate_hz=rate_hz)

    assert ("pv_energy_total_wh" in points.values) == is_used
    assert ("pv_energy_total_wh" in points.missing) != is_used
    assert (points.first_read_ms == START_MS + 10) == is_used


def test_a_suspect_total_of_the_full_reading_stays_out_until_the_next(
    table: Any,
) -> None:
    suspect = Suspect("pv_energy_total_wh", 7000.0, "leapt")
    slim = reading(51, 110, 220, at_s=3, full=False)

    points = current(slim, FULL, table, full_suspects=(suspect,))

    assert "pv_energy_total_wh" not in points.values
    assert points.suspects == [suspect]
    assert points.missing == []
    assert "total_generation_Wh" not in points.model["pv"]


def test_a_suspect_part_makes_what_is_computed_from_it_absent(table: Any) -> None:
    suspect = Suspect("mppt1_power_w", 110.0, "odd")
    slim = reading(51, 110, 220, at_s=3, full=False)

    points = current(slim, FULL, table, suspects=(suspect,))

    assert "mppt1_power_w" not in points.values
    assert "pv_power_w" not in points.values
    assert points.values["mppt2_power_w"] == 220


def test_a_full_reading_stands_for_itself(table: Any) -> None:
    points = current(reading(50, 1, 2, at_s=1), None, table)

    assert points.missing == [
        "inverter_temperature_c",
        "pv_energy_total_wh",
        "grid_import_energy_total_wh",
    ]
    assert points.first_read_ms == START_MS + 1010

"""What holds for every profile that comes with egw."""

from __future__ import annotations

import pytest

from egw.devices.blocks import Block
from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import Function, RegisterRange

ALL = sorted(builtin_profiles())
Runs = list[tuple[Function, int, int]]


def all_ones(part: RegisterRange) -> Block:
    return Block(part.function, part.address, b"\xff\xff" * part.count)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        (
            "solaredge",
            [("holding", 40000, 61), ("holding", 40069, 37), ("holding", 40121, 70)],
        ),
        ("sungrow", [("input", 4999, 110), ("input", 5112, 50)]),
        ("sungrow_hybrid", [("input", 4999, 110), ("input", 13000, 6)]),
        ("huawei", [("holding", 30000, 35), ("holding", 32064, 31)]),
        ("growatt", [("input", 0, 92)]),
        ("lqt40s", [("input", 0, 2)]),
        ("unknown", [("input", 30000, 1)]),
    ],
)
def test_full_harvests_hold_the_registers_that_backends_know(
    name: str, runs: Runs
) -> None:
    harvest = find_profile(name).harvest

    read = {(r.function, a) for r in harvest.full for a in range(r.address, r.end)}
    known = {(f, a) for f, first, count in runs for a in range(first, first + count)}
    assert known <= read


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("solaredge", [("holding", 40085, 2)]),
        ("huawei", [("holding", 32085, 1)]),
        ("lqt40s", [("input", 0, 2)]),
        ("unknown", [("holding", 0, 1)]),
        ("sdm630", [("input", 70, 2)]),
    ],
)
def test_the_frequency_is_a_short_read(name: str, runs: Runs) -> None:
    ranges = frequency_ranges(find_profile(name))

    assert [(r.function, r.address, r.count) for r in ranges] == runs


@pytest.mark.parametrize("name", ALL)
def test_a_device_that_answers_all_ones_has_no_frequency(name: str) -> None:
    profile = find_profile(name)

    for part in frequency_ranges(profile):
        assert FrequencyDecoder(profile).frequency_hz(all_ones(part)) is None


def test_what_is_writable_is_a_setting_and_never_the_grid_code() -> None:
    writable = {
        point.key
        for name in ALL
        for point in find_profile(name).points
        if point.write is not None
    }

    assert "active_power_limit_percent" in writable
    assert not writable & {"grid_code", "startup_command", "shutdown_command"}

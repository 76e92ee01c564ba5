from __future__ import annotations

import struct
from typing import Any

import pytest

from egw.devices.blocks import Block
from egw.devices.missing import Expected, cut
from egw.devices.profile import (
    Derived,
    Harvest,
    Point,
    Profile,
    RegisterRange,
    Variant,
)


def run(address: int, count: int, function: Any = "input") -> RegisterRange:
    return RegisterRange(function=function, address=address, count=count)


def point(key: str, address: int, *applies_to: str) -> Point:
    return Point(
        key=key,
        function="input",
        address=address,
        type="u16",
        count=1,
        applies_to=applies_to,
    )


def block(first: int, *words: int, function: Any = "input") -> Block:
    return Block(function, first, struct.pack(f">{len(words)}H", *words))


PROFILE = Profile(
    name="acme",
    maker="Acme",
    display_name="Acme One",
    kind="inverter",
    transports=("modbus-tcp",),
    max_power_w=10_000,
    harvest=Harvest(full=(run(0, 6), run(20, 2)), slim=(run(10, 1),)),
    frequency="grid_frequency_hz",
    variants={
        "small": Variant(function="input", address=0, within=((1, 1),)),
        "large": Variant(function="input", address=0, within=((2, 9),)),
    },
    points=(
        point("size", 0),
        point("grid_frequency_hz", 1),
        point("mppt1_power_w", 2, "small"),
        point("mppt1_power_w", 3, "large"),
        point("mppt2_power_w", 4, "large"),
        point("battery_power_w", 10),
        point("far_w", 20),
        point("setting_percent", 100),
    ),
    derived=(Derived(key="pv_power_w", sum=("mppt1_power_w", "mppt2_power_w")),),
)
EXPECTED = Expected(PROFILE)


def test_before_anything_was_read_all_harvested_points_are_missing() -> None:
    missing = EXPECTED.missing((), ())

    assert list(missing) == [
        "size",
        "grid_frequency_hz",
        "mppt1_power_w",
        "mppt2_power_w",
        "battery_power_w",
        "far_w",
        "pv_power_w",
    ]
    assert set(missing.values()) == {"no answer"}


def test_what_only_another_kind_of_device_has_is_not_missing() -> None:
    missing = EXPECTED.missing({"size"}, [block(0, 1)])

    assert "mppt1_power_w" in missing
    assert "mppt2_power_w" not in missing
    assert "pv_power_w" not in missing


def test_the_reason_is_what_became_of_the_registers() -> None:
    blocks = [block(0, 2, 3, 4, 5)]

    missing = EXPECTED.missing({"size", "grid_frequency_hz"}, blocks, [run(4, 2)])

    assert missing == {
        "mppt1_power_w": "not available",
        "mppt2_power_w": "refused",
        "battery_power_w": "no answer",
        "far_w": "no answer",
        "pv_power_w": "refused",
    }


def test_registers_of_the_other_table_count_for_nothing() -> None:
    other = block(0, 2, 3, 4, 5, 6, 7, function="holding")

    missing = EXPECTED.missing((), [other], [run(0, 30, "holding")])

    assert set(missing.values()) == {"no answer"}


def test_what_has_a_value_is_not_missing() -> None:
    known = list(PROFILE.units)

    assert EXPECTED.missing(known, [block(0, 2)]) == {}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (run(2, 2), [(2, (12, 13))]),
        (run(0, 50), [(1, (11, 12, 13, 14))]),
        (run(4, 9), [(4, (14,))]),
        (run(5, 3), []),
        (run(2, 2, "holding"), []),
    ],
)
def test_blocks_are_cut_to_what_lies_in_a_range(
    part: RegisterRange, expected: list[tuple[int, tuple[int, ...]]]
) -> None:
    parts = cut([block(1, 11, 12, 13, 14)], [part])

    assert [(p.address, p.words) for p in parts] == expected

from __future__ import annotations

from typing import Any

import pytest
from acme import decode, point, profile, value_of, words

from egw.devices.blocks import Block


@pytest.mark.parametrize(
    ("positive", "value"),
    [
        ("import", 7),
        ("charge", 7),
        ("generation", 7),
        ("export", -7),
        ("discharge", -7),
    ],
)
def test_import_charge_and_generation_are_positive(positive: str, value: int) -> None:
    assert value_of(point("i16", positive=positive), 7) == value
    assert value_of(point("i16", positive=positive), 0xFFF9) == -value


def test_a_direction_turns_scale_and_offset_too() -> None:
    turned = point("u16", positive="export", scale=0.1, offset=-100)

    assert value_of(turned, 1235) == -23.5


def test_a_direction_turns_floats_and_numbers_with_a_scale_register() -> None:
    scaled = point("i16", positive="export", scale={"register": 1})

    assert value_of(point("f32", positive="discharge"), 0x4247, 0xEB85) == -49.98
    assert value_of(scaled, 7, 0xFFFF) == -0.7


FLOW = {"register": 1, "mask": 0b110, "equals": 0b100}


@pytest.mark.parametrize(
    ("raw", "flags", "value"),
    [
        (5, 0b100, -5),
        (5, 0b101, -5),
        (5, 0b110, 5),
        (5, 0, 5),
        (0, 0b100, 0),
        (0xFFFB, 0b100, -5),
        (0xFFFB, 0, -5),
    ],
)
def test_a_positive_number_is_turned_round_when_the_flags_say_so(
    raw: int, flags: int, value: int
) -> None:
    assert value_of(point("i16", reversed_when=FLOW), raw, flags) == value


def test_it_is_the_positive_register_value_that_flags_turn_round() -> None:
    discharge = point("i16", positive="discharge", reversed_when=FLOW)

    assert value_of(discharge, 5, 0) == -5
    assert value_of(discharge, 5, 0b100) == 5
    assert value_of(discharge, 0xFFFB, 0b100) == 5


def test_flags_turn_numbers_with_a_scale_register_too() -> None:
    power = point("u16", scale={"register": 2}, reversed_when=FLOW)

    assert value_of(power, 5, 0b100, 1) == -50


def test_without_its_flags_a_number_is_absent() -> None:
    flow = profile(point("i16", reversed_when=FLOW))

    assert decode(flow, words(5)) == {}
    assert decode(flow, words(5), Block("input", 1, b"\0\4")) == {}
    assert decode(flow, words(5), words(0b100, address=1)) == {"value": -5}


@pytest.mark.parametrize(
    "a_point",
    [
        point("i16", positive="export"),
        point("i16", positive="export", scale=0.1),
        point("i16", positive="discharge", scale={"register": 2}),
        point("i16", scale=0.1, reversed_when={"register": 2, "equals": 0xFFFF}),
        point("f32", positive="export"),
        point("f32", positive="export", scale=0.1),
    ],
    ids=str,
)
def test_there_is_no_negative_zero(a_point: Any) -> None:
    assert repr(value_of(a_point, 0, 0, 0xFFFF)).lstrip("0.") == ""


def test_a_float_that_is_negative_zero_is_zero() -> None:
    assert repr(value_of(point("f32"), 0x8000, 0)) == "0.0"
    assert repr(value_of(point("f64"), 0x8000, 0, 0, 0)) == "0.0"

from __future__ import annotations

import struct
from typing import Any

import pytest
from acme import decode, derived, point, profile, value_of, words
from hypothesis import given
from hypothesis import strategies as st

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import Profile

ORDERS = st.sampled_from(["big", "little"])


@pytest.mark.parametrize(
    ("kind", "numbers", "value"),
    [
        ("u16", (0xFFFE,), 65534),
        ("i16", (0xFFFE,), -2),
        ("u32", (1, 2), 65538),
        ("i32", (0xFFFF, 0xFFFD), -3),
        ("u64", (0, 0, 1, 0), 65536),
        ("i64", (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF), -1),
        ("acc32", (0, 7), 7),
        ("f32", (0x4247, 0xEB85), 49.98),
        ("f64", (0x4049, 0, 0, 0), 50.0),
    ],
)
def test_each_type_is_read_high_word_first(
    kind: str, numbers: tuple[int, ...], value: float
) -> None:
    assert value_of(point(kind), *numbers) == value


@pytest.mark.parametrize(
    ("kind", "numbers", "value"),
    [
        ("u32", (2, 1), 65538),
        ("u64", (4, 3, 2, 1), 0x0001_0002_0003_0004),
        ("f32", (0xEB85, 0x4247), 49.98),
        ("u16", (5,), 5),
    ],
)
def test_little_word_order_turns_the_words_and_not_the_bytes(
    kind: str, numbers: tuple[int, ...], value: float
) -> None:
    assert value_of(point(kind), *numbers, word_order="little") == value
    assert value_of(point(kind, word_order="little"), *numbers) == value
    assert value_of(point(kind, word_order="big"), *numbers[::-1], word_order="little")


@pytest.mark.parametrize(
    ("scale", "offset", "raw", "value"),
    [
        (0.1, 0, 1234, "123.4"),
        (0.1, 0, 3, "0.3"),
        (0.01, 0, 5003, "50.03"),
        (10, 0, 7, "70"),
        (1, 0, 7, "7"),
        (0.1, -100, 1235, "23.5"),
        (0.001, 0, 65535, "65.535"),
        (2.5, 0, 3, "7.5"),
    ],
)
def test_a_scaled_number_has_no_noise(
    scale: float, offset: float, raw: int, value: str
) -> None:
    assert repr(value_of(point("u16", scale=scale, offset=offset), raw)) == value


def test_a_scaled_float_has_no_noise() -> None:
    scaled = point("f32", scale=0.001)

    (high, low) = struct.unpack(">HH", struct.pack(">f", 1234.5))

    assert repr(value_of(scaled, high, low)) == "1.2345"


def test_the_pattern_for_no_value_makes_the_point_absent() -> None:
    of_the_type = {"not_available": {"u32": 0xFFFF_FFFF}}

    assert value_of(point("u32"), 0xFFFF, 0xFFFF, **of_the_type) is None
    assert value_of(point("u32"), 0xFFFF, 0xFFFE, **of_the_type) == 0xFFFF_FFFE
    assert value_of(point("u32"), 0xFFFF, 0xFFFF) == 0xFFFF_FFFF


def test_a_points_own_pattern_goes_before_that_of_the_type() -> None:
    own = point("i16", not_available=0x8000)

    assert value_of(own, 0x8000, not_available={"i16": 0}) is None
    assert value_of(own, 0, not_available={"i16": 0}) == 0


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_float_that_is_no_number_is_absent(number: float) -> None:
    numbers = struct.unpack(">HH", struct.pack(">f", number))

    assert value_of(point("f32"), *numbers) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SUN2000\0", "SUN2000"),
        (b" A 1  \0\0", "A 1"),
        (b"\0\0AB\0\0CD", "AB"),
        (b"ABCDEFGH", "ABCDEFGH"),
        (bytes(8), None),
        (b"        ", None),
        (b"\xff" * 8, None),
        (b"AB\x01CDEFG", None),
    ],
)
def test_a_text_is_trimmed_and_no_text_is_absent(data: bytes, text: str | None) -> None:
    a_profile = profile(point("str", count=4))

    assert decode(a_profile, Block("holding", 0, data)).get("value") == text


def test_an_enumeration_is_its_text_or_else_its_number() -> None:
    state = point("u16", values={1: "off", 4: "producing"})

    assert value_of(state, 4) == "producing"
    assert value_of(state, 5) == 5


def test_a_bit_field_names_the_bits_that_are_set() -> None:
    flags = point("bitfield", count=2, bits={0: "on", 17: "fault"})

    assert value_of(flags, 0b10, 0b1000_0001) == ["on", "bit7", "fault"]
    assert value_of(flags, 0, 0) == []


def scaled_by_register() -> Profile:
    return profile(
        point("i16", key="power_w", scale={"register": 1}),
        point("i16", key="power_sf", address=1),
    )


@pytest.mark.parametrize(
    ("exponent", "value"),
    [(0, 123), (-1, 12.3), (-3, 0.123), (2, 12300), (10, 1230000000000)],
)
def test_a_scale_register_is_a_power_of_ten(exponent: int, value: float) -> None:
    decoded = decode(scaled_by_register(), words(123, exponent & 0xFFFF))

    assert decoded == {"power_w": value, "power_sf": exponent}


@pytest.mark.parametrize("exponent", [0x8000, 11, -11 & 0xFFFF])
def test_without_a_sane_scale_the_point_is_absent(exponent: int) -> None:
    assert "power_w" not in decode(scaled_by_register(), words(123, exponent))


def test_without_its_scale_register_a_point_is_absent() -> None:
    assert decode(scaled_by_register(), words(123)) == {}


def test_the_scale_register_may_be_in_another_block() -> None:
    decoded = decode(scaled_by_register(), words(0xFFFF, address=1), words(123))

    assert decoded["power_w"] == 12.3


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_a_text_survives(text: str) -> None:
    data = text.encode().ljust(2 * (len(text) // 2 + 1), b"\0")
    a_profile = profile(point("str", count=min(len(data) // 2, 125)))

    assert decode(a_profile, Block("holding", 0, data)) == {"value": text[:250]}


@given(bits=st.sets(st.integers(0, 31)), order=ORDERS)
def test_every_bit_is_named_once(bits: set[int], order: str) -> None:
    raw = sum(1 << bit for bit in bits).to_bytes(4)
    data = raw if order == "big" else raw[2:] + raw[:2]
    a_profile = profile(point("bitfield", count=2, word_order=order))

    assert decode(a_profile, Block("holding", 0, data)) == {
        "value": [f"bit{bit}" for bit in sorted(bits)]
    }


@pytest.mark.parametrize("pattern", [0xFFFF, 0x8000])
def test_each_of_several_patterns_makes_the_point_absent(pattern: int) -> None:
    of_the_type: Any = {"u16": (0xFFFF, 0x8000)}

    assert value_of(point("u16"), pattern, not_available=of_the_type) is None
    assert value_of(point("u16", not_available=[0xFFFF, 0x8000]), pattern) is None
    assert value_of(point("u16"), pattern) == pattern


def test_a_pattern_is_compared_in_the_points_own_word_order() -> None:
    little = point("i32", not_available=0x8000_0000, word_order="little")

    assert value_of(little, 0, 0x8000) is None
    assert value_of(little, 0x8000, 0) == 0x8000


def test_a_pattern_of_a_float_or_of_flags_makes_them_absent() -> None:
    assert value_of(point("f32", not_available=0x7F7F_FFFF), 0x7F7F, 0xFFFF) is None
    assert value_of(point("bitfield", count=1, not_available=0xFFFF), 0xFFFF) is None


def test_an_enumeration_without_a_value_is_absent() -> None:
    assert value_of(point("u16", values={1: "on"}, not_available=9), 9) is None


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0x4321, 0x0765), "12345670"),
        ((0xDCBA, 0x0000), "ABCD0000"),
        ((0, 0), None),
        ((0xFFFF, 0xFFFF), None),
    ],
)
def test_reversed_hexadecimal_digits_are_put_in_order(
    numbers: tuple[int, ...], text: str | None
) -> None:
    serial = point("str", count=2, encoding="reversed_hex")

    assert value_of(serial, *numbers) == text


def test_a_float_that_its_scale_makes_infinite_is_absent() -> None:
    assert value_of(point("f64", scale=1000), 0x7FEF, 0xFFFF, 0, 0) is None


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, int),
        ({"scale": 10}, int),
        ({"offset": 5}, int),
        ({"positive": "export"}, int),
        ({"scale": {"register": 1}}, int),
        ({"scale": 0.1}, float),
        ({"scale": {"register": 2}}, float),
    ],
)
def test_whole_numbers_stay_whole_where_the_scale_is(
    more: dict[str, Any], kind: type
) -> None:
    assert type(value_of(point("i16", **more), 70, 1, 0xFFFF)) is kind


def test_only_the_keys_that_are_wanted_are_decoded() -> None:
    summed = profile(
        point("u16", 0, key="a_w"),
        point("u16", 1, key="b_w"),
        point("u16", 2, key="c_w"),
        derived=(derived("d_w", sum=["a_w", "b_w"]), derived("e_w", sum=["c_w"])),
    )

    assert Decoder(summed, keys={"c_w"}).decode([words(1, 2, 4)]) == {"c_w": 4}
    assert Decoder(summed, keys={"d_w"}).decode([words(1, 2, 4)]) == {
        "a_w": 1,
        "b_w": 2,
        "d_w": 3,
    }


@st.composite
def any_blocks(draw: st.DrawFn) -> tuple[str, list[Block]]:
    """Blocks of any content where a profile has its points."""
    name = draw(st.sampled_from(sorted(builtin_profiles())))
    starts = sorted({part.address for part in find_profile(name).harvest.full})
    block = st.builds(
        Block,
        st.sampled_from(["holding", "input"]),
        st.sampled_from(starts),
        st.binary(max_size=250),
    )
    return name, draw(st.lists(block))


@given(any_blocks())
def test_no_words_can_break_a_decoder(read: tuple[str, list[Block]]) -> None:
    name, blocks = read

    values = Decoder(find_profile(name)).decode(blocks)

    assert None not in values.values()

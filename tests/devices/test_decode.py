from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egw.devices.blocks import Block
from egw.devices.decode import Decoder, frequency_range
from egw.devices.encode import encode_value
from egw.devices.loader import find_profile
from egw.devices.profile import (
    WORDS_OF_TYPE,
    Point,
    Profile,
    ProfileError,
    RegisterRange,
    ScaleRegister,
    Variant,
    WriteRange,
)

ANY = WriteRange(min=-1e300, max=1e300)
INTEGERS = ["u16", "i16", "u32", "i32", "u64", "i64", "acc32"]
ORDERS = st.sampled_from(["big", "little"])


def point(kind: str, address: int = 0, count: int = 0, **more: Any) -> Point:
    return msgspec.convert(
        {
            "key": "value",
            "function": "holding",
            "address": address,
            "type": kind,
            "count": count or WORDS_OF_TYPE[kind],
            **more,
        },
        Point,
    )


def profile(*points: Point, **more: Any) -> Profile:
    return Profile(
        name="acme",
        maker="Acme",
        display_name="Acme",
        kind="inverter",
        harvest=(RegisterRange(function="holding", address=0, count=1),),
        frequency=points[0].key,
        points=points,
        **more,
    )


def words(*numbers: int, address: int = 0) -> Block:
    return Block("holding", address, struct.pack(f">{len(numbers)}H", *numbers))


def decode(description: Profile, *blocks: Block) -> dict[str, Any]:
    return Decoder(description).decode(blocks)


def value_of(a_point: Point, *numbers: int, **more: Any) -> Any:
    return decode(profile(a_point, **more), words(*numbers)).get("value")


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


def test_a_point_that_is_not_in_a_block_whole_is_absent() -> None:
    number = profile(point("u32", address=5))

    assert decode(number) == {}
    assert decode(number, words(1, address=5)) == {}
    assert decode(number, words(1, address=6)) == {}
    assert decode(number, words(1, address=5), words(2, address=6)) == {}
    assert decode(number, Block("input", 5, bytes(4))) == {}
    assert decode(number, words(9, 0, 1, 9, address=4)) == {"value": 1}


def test_points_of_a_variant_are_there_only_when_the_device_is_of_it() -> None:
    told_by_9 = Variant(function="holding", address=9, within=((1, 2), (7, 7)))
    big_only = profile(point("u16", applies_to=["big"]), variants={"big": told_by_9})

    assert decode(big_only, words(5), words(2, address=9)) == {"value": 5}
    assert decode(big_only, words(5), words(7, address=9)) == {"value": 5}
    assert decode(big_only, words(5), words(3, address=9)) == {}
    assert decode(big_only, words(5)) == {}


def test_blocks_of_another_shape_are_decoded_by_the_same_decoder() -> None:
    decoder = Decoder(profile(point("u16", address=3)))

    assert decoder.decode([words(1, 2, 3, 4)]) == {"value": 4}
    assert decoder.decode([words(8, address=3)]) == {"value": 8}
    assert decoder.decode([words(1, 2, 3)]) == {}


def test_the_frequency_is_read_with_its_scale_register() -> None:
    before = profile(
        point("u16", address=7, scale={"register": 4}), point("i16", 4, key="sf")
    )

    assert frequency_range(before) == RegisterRange(
        function="holding", address=4, count=4
    )


def test_a_scale_register_too_far_away_is_refused() -> None:
    far = profile(point("u16", scale=msgspec.to_builtins(ScaleRegister(register=125))))

    with pytest.raises(ProfileError, match="125"):
        frequency_range(far)


@pytest.mark.parametrize(
    ("raw", "frequency_hz"),
    [(5003, 50.03), (4000, 40.0), (7000, 70.0), (3999, None), (7001, None), (0, None)],
)
def test_a_frequency_is_one_that_a_grid_can_have(
    raw: int, frequency_hz: float | None
) -> None:
    decoder = Decoder(profile(point("u16", scale=0.01)))

    assert decoder.frequency_hz(words(raw)) == frequency_hz


def test_a_frequency_with_a_scale_register_needs_it() -> None:
    decoder = Decoder(find_profile("solaredge"))

    assert decoder.frequency_hz(words(5001, 0xFFFE, address=40085)) == 50.01
    assert decoder.frequency_hz(words(5001, 0x8000, address=40085)) is None
    assert decoder.frequency_hz(words(5001, address=40085)) is None
    assert decoder.frequency_hz(words(0xFFFF, 0xFFFE, address=40085)) is None
    assert decoder.frequency_hz(words(0, 5001, 0xFFFE, address=40084)) == 50.01
    assert decoder.frequency_hz(words(5001, 0xFFFE, address=40086)) is None
    assert decoder.frequency_hz(Block("input", 40085, b"\x13\x89\xff\xfe")) is None


def round_trip(kind: str, order: str, value: float, **more: Any) -> Any:
    a_point = point(kind, word_order=order, write=ANY, **more)
    a_profile = profile(a_point)
    numbers = encode_value(a_profile, a_point, value)
    return decode(a_profile, words(*numbers)).get("value")


@pytest.mark.parametrize("kind", INTEGERS)
@given(data=st.data(), order=ORDERS, scale=st.sampled_from([1, 0.1, 0.01, 10, 2.5]))
def test_what_was_encoded_is_decoded(
    kind: str, data: st.DataObject, order: str, scale: float
) -> None:
    bits = 16 * WORDS_OF_TYPE[kind] if "64" not in kind else 50
    low = -(2 ** (bits - 1)) if kind.startswith("i") else 0
    raw = data.draw(st.integers(low, low + 2**bits - 1))
    encoded = raw * scale if scale >= 1 else raw / round(1 / scale)

    assert round_trip(kind, order, encoded, scale=scale) == encoded


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False), order=ORDERS)
def test_a_single_float_survives_to_its_last_bit(value: float, order: str) -> None:
    decoded = round_trip("f32", order, value)

    (single,) = struct.unpack(">f", struct.pack(">f", decoded))
    assert single == value


@given(value=st.floats(allow_nan=False, allow_infinity=False), order=ORDERS)
def test_a_double_float_survives(value: float, order: str) -> None:
    assert round_trip("f64", order, value * 1e-9) == value * 1e-9


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


@given(
    st.lists(
        st.builds(
            Block,
            st.sampled_from(["holding", "input"]),
            st.sampled_from([4999, 5112, 13000, 13028, 40000, 40069, 40121]),
            st.binary(max_size=250),
        )
    ),
    st.sampled_from(["solaredge", "sungrow", "growatt", "huawei"]),
)
def test_no_words_can_break_a_decoder(blocks: list[Block], name: str) -> None:
    decoder = Decoder(find_profile(name))

    values = decoder.decode(blocks)

    assert None not in values.values()


LIMIT = {"scale": 0.1, "unit": "%", "write": {"min": 0, "max": 100}}
SWITCH = {"values": {85: "off", 170: "on"}, "write": {"min": 85, "max": 170}}


@pytest.mark.parametrize(
    ("more", "value", "numbers"),
    [
        (LIMIT, 33.3, (333,)),
        (LIMIT, 100, (1000,)),
        (SWITCH, "on", (170,)),
        (SWITCH, 85, (85,)),
    ],
)
def test_a_setting_becomes_words(
    more: dict[str, Any], value: float | str, numbers: tuple[int, ...]
) -> None:
    setting = point("u16", **more)

    assert encode_value(profile(setting), setting, value) == numbers


@pytest.mark.parametrize(
    ("more", "value", "error"),
    [
        (LIMIT, 100.1, r"value: 100\.1 is outside 0\.\.100 %"),
        (LIMIT, -1, "value: -1 is outside"),
        (LIMIT, 33.33, r"33\.33 is not a whole number of steps of 0\.1 %"),
        (LIMIT, "33", "value: expected a number, got '33'"),
        (LIMIT, True, "value: expected a number, got True"),
        (LIMIT, float("nan"), "value: expected a number, got nan"),
        (LIMIT, float("inf"), "value: expected a number, got inf"),
        (SWITCH, 100, r"value: expected 85 \(off\), 170 \(on\), got 100"),
        (SWITCH, "yes", r"value: expected 85 \(off\), 170 \(on\), got 'yes'"),
        ({"write": {"min": 0, "max": 1e9}}, 65536, "65536 does not fit in u16"),
        ({}, 1, "value: is read-only"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused(
    more: dict[str, Any], value: float | str, error: str
) -> None:
    setting = point("u16", **more)

    with pytest.raises(ValueError, match=error):
        encode_value(profile(setting), setting, value)

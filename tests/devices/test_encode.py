from __future__ import annotations

import struct
from typing import Any

import pytest
from acme import decode, point, profile, words
from hypothesis import given
from hypothesis import strategies as st

from egw.devices.encode import encode_value
from egw.devices.profile import WORDS_OF_TYPE

ANY = {"min": -1e300, "max": 1e300}
INTEGERS = ["u16", "i16", "u32", "i32", "u64", "i64", "acc32"]
ORDERS = st.sampled_from(["big", "little"])


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


LIMIT = {"key": "limit_percent", "scale": 0.1, "write": {"min": 0, "max": 100}}
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
        (LIMIT, 100.1, r"limit_percent: 100\.1 is outside 0\.\.100 %"),
        (LIMIT, -1, "limit_percent: -1 is outside"),
        (LIMIT, 33.33, r"33\.33 is not a whole number of steps of 0\.1 %"),
        (LIMIT, "33", "limit_percent: expected a number, got '33'"),
        (LIMIT, True, "limit_percent: expected a number, got True"),
        (LIMIT, float("nan"), "limit_percent: expected a number, got nan"),
        (LIMIT, float("inf"), "limit_percent: expected a number, got inf"),
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


@pytest.mark.parametrize(
    ("positive", "value", "word"),
    [("charge", 300, 300), ("discharge", 300, 0xFED4), ("discharge", -300, 300)],
)
def test_a_setting_is_turned_into_the_devices_own_direction(
    positive: str, value: int, word: int
) -> None:
    setting = point("i16", key="setpoint_w", positive=positive, write=ANY)

    assert encode_value(profile(setting), setting, value) == (word,)


def test_a_setting_with_an_offset_becomes_words() -> None:
    setting = point("u16", key="limit_c", scale=0.1, offset=-100, write=ANY)

    assert encode_value(profile(setting), setting, 23.5) == (1235,)


def test_words_are_written_in_the_order_that_the_device_reads() -> None:
    setting = point("u32", write=ANY)

    assert encode_value(profile(setting), setting, 65538) == (1, 2)
    little = profile(setting, word_order="little")
    assert encode_value(little, setting, 65538) == (2, 1)

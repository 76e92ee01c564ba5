from __future__ import annotations

from typing import Any

import pytest
from acme import point, profile, words

from egw.devices.blocks import Block
from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import find_profile
from egw.devices.profile import Manners, Profile, ProfileError, RegisterRange, Variant


def hertz(address: int = 0, **more: Any) -> Any:
    return point("u16", address, key="grid_frequency_hz", **{"scale": 0.01} | more)


def holding(address: int, count: int) -> RegisterRange:
    return RegisterRange(function="holding", address=address, count=count)


def told_by(address: int, *, table: Any = "holding", value: int = 1) -> Variant:
    return Variant(function=table, address=address, within=((value, value),))


@pytest.mark.parametrize(
    ("raw", "frequency_hz"),
    [(5003, 50.03), (4000, 40.0), (7000, 70.0), (3999, None), (7001, None), (0, None)],
)
def test_a_frequency_is_one_that_a_grid_can_have(
    raw: int, frequency_hz: float | None
) -> None:
    decoder = FrequencyDecoder(profile(hertz()))

    assert decoder.frequency_hz(words(raw)) == frequency_hz


def test_a_frequency_with_a_scale_register_needs_it() -> None:
    decoder = FrequencyDecoder(find_profile("solaredge"))

    assert decoder.frequency_hz(words(5001, 0xFFFE, address=40085)) == 50.01
    assert decoder.frequency_hz(words(5001, 0x8000, address=40085)) is None
    assert decoder.frequency_hz(words(5001, address=40085)) is None
    assert decoder.frequency_hz(words(0xFFFF, 0xFFFE, address=40085)) is None
    assert decoder.frequency_hz(words(0, 5001, 0xFFFE, address=40084)) == 50.01
    assert decoder.frequency_hz(words(5001, 0xFFFE, address=40086)) is None
    assert decoder.frequency_hz(Block("input", 40085, b"\x13\x89\xff\xfe")) is None


def test_the_read_of_a_plain_frequency_is_its_own_registers() -> None:
    single = profile(point("f32", 70, key="grid_frequency_hz"))

    assert frequency_ranges(single) == (holding(70, 2),)


@pytest.mark.parametrize(
    ("more", "read"),
    [
        ({"scale": {"register": 4}}, holding(4, 4)),
        ({"reversed_when": {"register": 9, "equals": 1}}, holding(7, 3)),
        ({"applies_to": ["big"]}, holding(5, 3)),
        ({"applies_to": ["big"], "scale": {"register": 12}}, holding(5, 8)),
    ],
)
def test_the_read_of_a_frequency_has_what_it_depends_on(
    more: dict[str, Any], read: RegisterRange
) -> None:
    dependent = profile(hertz(7, **more), variants={"big": told_by(5)})

    assert frequency_ranges(dependent) == (read,)


def test_the_read_of_a_frequency_in_two_words_has_both() -> None:
    split = profile(point("u32", 7, key="grid_frequency_hz", high_word=3))

    assert frequency_ranges(split) == (holding(3, 5),)


def test_each_alternative_is_a_read_of_its_own_in_order() -> None:
    either = profile(hertz(30), hertz(10), hertz(30, scale=0.1))

    assert frequency_ranges(either) == (holding(30, 1), holding(10, 1))


def test_each_alternative_tells_the_frequency_in_its_own_read() -> None:
    decoder = FrequencyDecoder(profile(hertz(30), hertz(10)))

    assert decoder.frequency_hz(words(5001, address=30)) == 50.01
    assert decoder.frequency_hz(words(4999, address=10)) == 49.99
    assert decoder.frequency_hz(words(4999, address=11)) is None


def by_variant() -> Profile:
    return profile(
        hertz(7, scale=0.1, applies_to=["coarse"]),
        hertz(7, applies_to=["fine"]),
        variants={"coarse": told_by(5, value=1), "fine": told_by(5, value=2)},
    )


@pytest.mark.parametrize(
    ("told", "raw", "frequency_hz"),
    [(1, 501, 50.1), (2, 5012, 50.12), (1, 5012, None), (3, 5012, None)],
)
def test_the_variant_inside_the_read_decides_what_the_register_means(
    told: int, raw: int, frequency_hz: float | None
) -> None:
    decoder = FrequencyDecoder(by_variant())

    assert frequency_ranges(by_variant()) == (holding(5, 3),)
    assert decoder.frequency_hz(words(told, 0, raw, address=5)) == frequency_hz


def test_without_the_register_of_its_variant_there_is_no_frequency() -> None:
    assert FrequencyDecoder(by_variant()).frequency_hz(words(5012, address=7)) is None


def test_what_one_read_cannot_have_is_refused() -> None:
    far = profile(hertz(0, scale={"register": 125}))

    with pytest.raises(ProfileError, match=r"spans 126 registers; one read has 125"):
        frequency_ranges(far)


def test_the_largest_read_of_the_profile_counts() -> None:
    small = Manners(max_registers=3)

    assert frequency_ranges(profile(hertz(0, scale={"register": 2}), manners=small))
    with pytest.raises(ProfileError, match=r"spans 4 registers; one read has 3"):
        frequency_ranges(profile(hertz(0, scale={"register": 3}), manners=small))


def test_a_variant_told_by_another_table_is_refused() -> None:
    elsewhere = profile(
        hertz(7, applies_to=["big"]), variants={"big": told_by(7, table="input")}
    )

    with pytest.raises(ProfileError, match=r"point grid_frequency_hz: .*another table"):
        frequency_ranges(elsewhere)

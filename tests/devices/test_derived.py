from __future__ import annotations

from typing import Any

import pytest
from acme import decode, derived, point, profile, words

from egw.devices.profile import Profile, Variant

SUM = {"sum": ["pv1_w", "pv2_w"]}
STRINGS = (
    point("i16", 0, key="pv1_w", not_available=0x7FFF),
    point("i16", 1, key="pv2_w", not_available=0x7FFF),
)


def total(**more: Any) -> Profile:
    return profile(*STRINGS, derived=(derived("pv_power_w", **more),))


def test_a_sum_adds_its_parts() -> None:
    assert decode(total(**SUM), words(300, 400))["pv_power_w"] == 700


def test_what_is_subtracted_is_subtracted() -> None:
    difference = total(sum=["pv1_w"], minus=["pv2_w"])

    assert decode(difference, words(300, 400))["pv_power_w"] == -100


def test_products_are_added_to_the_sum() -> None:
    mixed = total(sum=["pv1_w"], products=[["pv1_w", "pv2_w"], ["pv2_w", "pv2_w"]])

    assert decode(mixed, words(2, 3))["pv_power_w"] == 2 + 2 * 3 + 3 * 3


def test_a_sum_of_whole_numbers_is_whole() -> None:
    assert type(decode(total(**SUM), words(1, 2))["pv_power_w"]) is int


def test_a_product_has_no_noise() -> None:
    volts = point("u16", 0, key="mppt1_voltage_v", scale=0.1)
    amperes = point("u16", 1, key="mppt1_current_a", scale=0.01)
    power = derived("pv_power_w", products=[["mppt1_voltage_v", "mppt1_current_a"]])

    values = decode(profile(volts, amperes, derived=(power,)), words(4071, 333))

    assert repr(values["pv_power_w"]) == "1355.643"


def test_a_sum_of_zeros_from_both_sides_is_not_a_negative_zero() -> None:
    volts = point("i16", 0, key="pv1_w", scale=0.1)
    amperes = point("i16", 1, key="pv2_w", scale=0.1)
    product = derived("pv_power_w", products=[["pv1_w", "pv2_w"]])

    values = decode(profile(volts, amperes, derived=(product,)), words(0, 0xFFFF))

    assert repr(values["pv_power_w"]) == "0.0"


def test_a_part_that_was_not_read_makes_the_sum_absent() -> None:
    assert decode(total(**SUM), words(300)) == {"pv1_w": 300}
    assert decode(total(sum=["pv1_w"], minus=["pv2_w"]), words(300)) == {"pv1_w": 300}
    assert "pv_power_w" not in decode(
        total(products=[["pv1_w", "pv2_w"]], sum=["pv1_w"]), words(300)
    )


def test_a_part_that_the_device_refuses_adds_nothing() -> None:
    assert decode(total(**SUM), words(300), complete=True)["pv_power_w"] == 300
    assert "pv_power_w" not in decode(
        total(sum=["pv1_w"], minus=["pv2_w"]), words(300), complete=True
    )


def test_a_part_whose_factor_says_nothing_makes_the_sum_absent() -> None:
    scaled = point("i16", 1, key="pv2_w", scale={"register": 2})
    exponent = point("i16", 2, key="power_sf")
    one, sum_of_both = STRINGS[0], (derived("pv_power_w", **SUM),)
    both = profile(one, scaled, exponent, derived=sum_of_both)

    assert decode(both, words(300, 40, 1))["pv_power_w"] == 700
    assert "pv_power_w" not in decode(both, words(300, 40, 0x8000), complete=True)


def test_a_part_without_a_value_adds_nothing() -> None:
    assert decode(total(**SUM), words(300, 0x7FFF))["pv_power_w"] == 300


def test_a_product_without_one_of_its_factors_adds_nothing() -> None:
    both = total(products=[["pv1_w", "pv1_w"], ["pv1_w", "pv2_w"]])

    assert decode(both, words(3, 0x7FFF))["pv_power_w"] == 9


def test_without_any_value_there_is_no_sum() -> None:
    assert decode(total(**SUM), words(0x7FFF, 0x7FFF)) == {}


def test_without_what_is_subtracted_there_is_no_difference() -> None:
    difference = total(sum=["pv1_w"], minus=["pv2_w"])

    assert decode(difference, words(300, 0x7FFF)) == {"pv1_w": 300}


def test_a_point_of_the_same_key_wins() -> None:
    own = point("i16", 5, key="pv_power_w", not_available=0x7FFF)
    fallback = profile(*STRINGS, own, derived=(derived("pv_power_w", **SUM),))

    assert decode(fallback, words(1, 2, 0, 0, 0, 9))["pv_power_w"] == 9
    assert decode(fallback, words(1, 2, 0, 0, 0, 0x7FFF))["pv_power_w"] == 3
    assert decode(fallback, words(1, 2))["pv_power_w"] == 3


def test_parts_are_taken_in_the_one_sign_convention() -> None:
    battery = profile(
        point("i16", 0, key="battery1_power_w", positive="discharge"),
        point("i16", 1, key="battery2_power_w", positive="charge"),
        derived=(
            derived("battery_power_w", sum=["battery1_power_w", "battery2_power_w"]),
        ),
    )

    assert decode(battery, words(100, 30))["battery_power_w"] == -70


def third_string(told_by: int = 9) -> Profile:
    three = Variant(function="holding", address=told_by, within=((3, 3),))
    return profile(
        *STRINGS,
        point("i16", 2, key="pv3_w", applies_to=["three"]),
        derived=(derived("pv_power_w", sum=["pv1_w", "pv2_w", "pv3_w"]),),
        variants={"three": three},
    )


def test_a_part_that_this_variant_lacks_adds_nothing() -> None:
    strings = words(1, 2, 4)

    assert decode(third_string(), strings, words(3, address=9))["pv_power_w"] == 7
    assert decode(third_string(), strings, words(2, address=9))["pv_power_w"] == 3
    assert decode(third_string(), words(1, 2), words(2, address=9))["pv_power_w"] == 3


def test_a_part_of_a_variant_that_is_not_known_makes_the_sum_absent() -> None:
    assert "pv_power_w" not in decode(third_string(), words(1, 2, 4))


def alternatives() -> Profile:
    return profile(
        *STRINGS,
        point("i16", 20, key="pv2_w", not_available=0x7FFF),
        derived=(derived("pv_power_w", **SUM),),
    )


def test_a_part_may_come_from_any_of_its_alternatives() -> None:
    second = words(8, address=20)

    assert decode(alternatives(), words(1, 0x7FFF), second)["pv_power_w"] == 9
    assert decode(alternatives(), words(1), second)["pv_power_w"] == 9
    assert decode(alternatives(), words(1, 2))["pv_power_w"] == 3


def test_a_part_has_no_value_only_when_every_alternative_was_read() -> None:
    nothing = words(0x7FFF, address=20)

    assert decode(alternatives(), words(1, 0x7FFF), nothing)["pv_power_w"] == 1
    assert "pv_power_w" not in decode(alternatives(), words(1, 0x7FFF))
    assert "pv_power_w" not in decode(alternatives(), words(1), nothing)


@pytest.mark.parametrize("extra", [{}, {"high_word": 3, "type": "i32", "count": 2}])
def test_a_part_that_lacks_what_it_depends_on_makes_the_sum_absent(
    extra: dict[str, Any],
) -> None:
    turned = {"reversed_when": {"register": 30, "equals": 1}}
    part = point("i16", 2, key="pv3_w", **turned | extra)
    summed = profile(
        *STRINGS, part, derived=(derived("pv_power_w", sum=["pv1_w", "pv3_w"]),)
    )

    assert "pv_power_w" not in decode(summed, words(1, 2, 4))
    everything = words(1, 2, 4, 0, *[0] * 27)
    assert decode(summed, everything)["pv_power_w"] == 5

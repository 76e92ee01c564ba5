from __future__ import annotations

import pytest
from acme import decode, point, profile, value_of, words

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.profile import Profile, Variant


def told_by(address: int, *spans: tuple[int, int]) -> Variant:
    return Variant(function="holding", address=address, within=spans)


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


@pytest.mark.parametrize(
    ("kind", "numbers", "value"),
    [
        ("u32", (2, 9, 9, 1), 0x1_0002),
        ("i32", (0xFFFD, 9, 9, 0xFFFF), -3),
        ("u32", (0xFFFF, 9, 9, 0), 0xFFFF),
    ],
)
@pytest.mark.parametrize("order", ["big", "little"])
def test_the_upper_word_may_stand_elsewhere(
    kind: str, numbers: tuple[int, ...], value: int, order: str
) -> None:
    assert value_of(point(kind, high_word=3), *numbers, word_order=order) == value


def test_the_upper_word_may_stand_before_the_lower_one() -> None:
    assert value_of(point("u32", address=3, high_word=0), 1, 9, 9, 2) == 0x1_0002


def test_two_words_apart_may_say_that_there_is_no_value() -> None:
    split = point("u32", high_word=2, not_available=0xFFFF_FFFE, scale=0.1)

    assert value_of(split, 0xFFFE, 0, 0xFFFF) is None
    assert value_of(split, 5, 0, 0) == 0.5


def test_two_words_are_taken_from_one_reply_or_not_at_all() -> None:
    split = profile(point("u32", high_word=3))

    assert decode(split, words(2), words(1, address=3)) == {}
    assert decode(split, words(2, 9, 9), words(1, address=3)) == {}
    assert decode(split, words(2, 9, 9), words(2, 9, 9, 1)) == {"value": 0x1_0002}


def alternatives() -> Profile:
    return profile(
        point("u16", 0, not_available=0xFFFF),
        point("u16", 10, scale=0.1, not_available=0xFFFF),
        point("u32", 20, applies_to=["big"]),
        variants={"big": told_by(30, (1, 1))},
    )


def test_the_first_alternative_that_has_a_value_is_taken() -> None:
    first, second = words(7), words(55, address=10)
    third = words(0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, address=20)

    assert decode(alternatives(), third, second, first) == {"value": 7}
    assert decode(alternatives(), words(0xFFFF), second, third) == {"value": 5.5}
    assert decode(alternatives(), second, third) == {"value": 5.5}
    assert decode(alternatives(), third) == {"value": 9}
    assert decode(alternatives(), words(0xFFFF)) == {}


def test_an_alternative_of_another_variant_is_passed_over() -> None:
    kinds = {"coarse": told_by(9, (1, 1)), "fine": told_by(9, (2, 2))}
    either = profile(
        point("u16", scale=0.1, applies_to=["coarse"]),
        point("u16", scale=0.01, applies_to=["fine"]),
        variants=kinds,
    )

    assert decode(either, words(5012), words(1, address=9)) == {"value": 501.2}
    assert decode(either, words(5012), words(2, address=9)) == {"value": 50.12}
    assert decode(either, words(5012), words(3, address=9)) == {}


def test_a_point_of_several_variants_is_there_when_one_of_them_is_known() -> None:
    kinds = {"old": told_by(8, (1, 1)), "new": told_by(9, (1, 1))}
    shared = profile(point("u16", applies_to=["old", "new"]), variants=kinds)

    assert decode(shared, words(5), words(1, address=8)) == {"value": 5}
    assert decode(shared, words(5), words(1, address=9)) == {"value": 5}
    assert decode(shared, words(5), words(0, 1, address=8)) == {"value": 5}
    assert decode(shared, words(5), words(0, address=8)) == {}
    assert decode(shared, words(5), words(0, 0, address=8)) == {}

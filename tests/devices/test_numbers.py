from __future__ import annotations

import struct

import msgspec
import pytest

from egw.devices.blocks import Block
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.numbers import UniqueNumbers
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Function, Harvest, Profile, RegisterRange


def span(function: Function, address: int, count: int) -> RegisterRange:
    return RegisterRange(function=function, address=address, count=count)


def block(function: Function, address: int, count: int) -> Block:
    words = range(address, address + count)
    return Block(function, address, struct.pack(f">{count}H", *words))


def profile(*ranges: RegisterRange) -> Profile:
    return msgspec.structs.replace(
        find_profile("unknown"), harvest=Harvest(full=ranges)
    )


def test_what_has_numbers_of_its_own_stays_as_it_is() -> None:
    numbers = UniqueNumbers(profile(span("holding", 0, 10), span("input", 10, 10)))
    blocks = (block("holding", 0, 10), block("input", 10, 10))

    assert numbers.of(blocks) is blocks


def test_of_two_registers_with_one_number_the_input_register_stays() -> None:
    numbers = UniqueNumbers(profile(span("holding", 0, 10), span("input", 4, 2)))

    left = numbers.of((block("holding", 0, 10), block("input", 4, 2)))

    assert left == (
        block("holding", 0, 4),
        block("holding", 6, 4),
        block("input", 4, 2),
    )


def test_a_holding_register_does_not_take_the_number_of_one_that_was_not_answered() -> (
    None
):
    numbers = UniqueNumbers(profile(span("holding", 0, 10), span("input", 0, 8)))

    assert numbers.of((block("holding", 0, 10),)) == (block("holding", 8, 2),)


@pytest.mark.parametrize("name", builtin_profiles())
def test_no_number_comes_twice_from_any_device(name: str) -> None:
    known = find_profile(name)
    requests = HarvestPlan.for_profile(known, full=True).requests
    asked = tuple(block(r.function, r.address, r.count) for r in requests)

    left = UniqueNumbers(known).of(asked)

    numbers = [b.address + n for b in left for n in range(len(b.words))]
    assert len(numbers) == len(set(numbers))
    assert all(b.words[0] == b.address for b in left)

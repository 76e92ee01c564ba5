"""Profiles of any kind, and devices with any content, for property tests."""

from __future__ import annotations

import random
from typing import Any

from acme import Changes, derived, point, profile
from hypothesis import strategies as st
from naive_decoder import Registers

from egw.devices.profile import (
    WORDS_OF_TYPE,
    Harvest,
    Manners,
    Point,
    Profile,
    RegisterRange,
    Variant,
)

LAST = 59
"""Registers 0 to 59 are all that such a device has in each table."""

EVERYTHING = [
    RegisterRange(function="holding", address=0, count=LAST + 1),
    RegisterRange(function="input", address=0, count=LAST + 1),
]
TABLES = st.sampled_from(["holding", "input"])
ADDRESSES = st.integers(0, LAST)
NUMERIC = sorted(WORDS_OF_TYPE)
SMALL = ["u16", "i16", "u32", "i32", "acc32"]
KEYS = {"number": [f"n{i}_w" for i in range(6)], "part": ["p0_w", "p1_w", "p2_w"]}
SUMS = st.sampled_from(["s_w", "t_w", "n0_w"])
ORDERS = st.sampled_from([None, "big", "little"])
CHUNKS = (
    *((word,) for word in (0, 1, 2, 3, 10, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)),
    *((0, 0), (0x8000, 0), (0, 0x8000), (0xFFFF, 0xFFFF), (0x7FFF, 0xFFFF)),
    (0,) * 4,
    (0x8000, 0, 0, 0),
)
"""Words that say more than others: zero, flags, variants, "no value"."""


def content(seed: int) -> Registers:
    """Return what a device holds: words that mean something among any others."""
    chance = random.Random(seed)
    held: Registers = {}
    for table in ("holding", "input"):
        words: list[int] = []
        while len(words) <= LAST:
            anything = (chance.randrange(65536),)
            words += chance.choice((anything, chance.choice(CHUNKS)))
        held |= {(table, n): words[n] for n in range(LAST + 1)}
    return held


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    names = draw(st.lists(st.sampled_from(["big", "old", "rare"]), unique=True))
    variants = {name: draw(variant()) for name in names}
    numbers = draw(st.lists(numeric(NUMERIC, KEYS["number"], names), max_size=12))
    parts = [
        draw(numeric(SMALL, [key], names, fixed=True))
        for key in KEYS["part"]
        for _ in range(draw(st.integers(1, 2)))
    ]
    others = draw(st.lists(st.one_of(texts(), flags(), states()), max_size=4))
    sums = [
        derived(key, **draw(computations()))
        for key in draw(st.lists(SUMS, min_size=1, unique=True))
    ]
    ranges = tuple(draw(range_lists(min_size=1)))
    return profile(
        *draw(st.permutations([*numbers, *parts, *others])),
        frequency="p0_w",
        word_order=draw(st.sampled_from(["big", "little"])),
        variants=variants,
        not_available=draw(st.sampled_from([{}, {"u16": 0xFFFF, "i16": (0x8000, 1)}])),
        derived=tuple(sums),
        harvest=Harvest(full=ranges),
        manners=Manners(
            max_registers=draw(st.sampled_from([9, 20, 125])),
            bridge_registers=draw(st.sampled_from([0, 4, 30])),
        ),
    )


@st.composite
def numeric(
    draw: st.DrawFn,
    types: list[str],
    keys: list[str],
    variants: list[str],
    *,
    fixed: bool = False,
) -> Point:
    kind = draw(st.sampled_from(types))
    count = WORDS_OF_TYPE[kind]
    address = draw(st.integers(0, LAST + 1 - count))
    more: Changes = {
        "scale": draw(st.sampled_from([1.0, 0.1, 0.01, 10.0, 2.5])),
        "offset": draw(st.sampled_from([0.0, 0.0, -100.0, 7.5])),
    }
    if not fixed and kind[0] != "f" and draw(st.booleans()):
        more = {"scale": {"register": draw(ADDRESSES)}}
    elif more["offset"] == 0 and draw(st.booleans()):
        more |= {"reversed_when": draw(conditions())}
    if kind in ("u32", "i32") and draw(st.booleans()):
        elsewhere = st.integers(max(0, address - 8), min(LAST, address + 8))
        more["high_word"] = draw(elsewhere.filter(lambda a: a != address))
    if draw(st.booleans()):
        patterns = [0, (1 << 16 * count) - 1, 1 << 16 * count - 1]
        more["not_available"] = draw(st.lists(st.sampled_from(patterns), min_size=1))
    return point(
        kind,
        address,
        key=draw(st.sampled_from(keys)),
        function=draw(TABLES),
        word_order=draw(ORDERS),
        positive=draw(st.sampled_from([None, "import", "export", "discharge"])),
        applies_to=draw(st.lists(st.sampled_from(variants), unique=True))
        if variants
        else [],
        **more,
    )


@st.composite
def texts(draw: st.DrawFn) -> Point:
    count = draw(st.integers(1, 5))
    return point(
        "str",
        draw(st.integers(0, LAST + 1 - count)),
        key=draw(st.sampled_from(["model", "serial_number"])),
        count=count,
        function=draw(TABLES),
        encoding=draw(st.sampled_from(["ascii", "reversed_hex"])),
    )


@st.composite
def flags(draw: st.DrawFn) -> Point:
    count = draw(st.integers(1, 3))
    return point(
        "bitfield",
        draw(st.integers(0, LAST + 1 - count)),
        key=draw(st.sampled_from(["alarms", "faults"])),
        count=count,
        function=draw(TABLES),
        word_order=draw(ORDERS),
        bits=draw(st.sampled_from([{}, {0: "low", 15: "high"}])),
    )


def states() -> st.SearchStrategy[Point]:
    return st.builds(
        lambda kind, address, table: point(
            kind,
            address,
            key="device_status",
            function=table,
            values={0: "off", 1: "on", 2: "fault"},
        ),
        st.sampled_from(["u16", "i16", "u32"]),
        st.integers(0, LAST - 1),
        TABLES,
    )


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda register, mask: {"register": register, "mask": mask, "equals": mask},
        ADDRESSES,
        st.sampled_from([1, 2, 0x8000, 0xFFFF]),
    )


def variant() -> st.SearchStrategy[Variant]:
    return st.builds(
        lambda table, address, within: Variant(
            function=table, address=address, within=within
        ),
        TABLES,
        ADDRESSES,
        st.sampled_from([((0, 2),), ((0xFFFE, 0xFFFF), (3, 30000)), ((0, 0xFFFF),)]),
    )


def computations() -> st.SearchStrategy[dict[str, Any]]:
    parts = st.lists(st.sampled_from(KEYS["part"]), min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {"sum": parts},
        optional={
            "minus": parts,
            "products": st.lists(
                st.lists(st.sampled_from(KEYS["part"]), min_size=2, max_size=2),
                max_size=2,
            ),
        },
    )


def range_lists(*, min_size: int = 0) -> st.SearchStrategy[list[RegisterRange]]:
    """Return any ranges, and in half of the cases all that there is."""
    some = st.lists(register_ranges(), min_size=min_size, max_size=4)
    return st.one_of(st.just(EVERYTHING), some)


@st.composite
def register_ranges(draw: st.DrawFn) -> RegisterRange:
    first = draw(ADDRESSES)
    count = draw(st.integers(1, LAST + 1 - first))
    return RegisterRange(function=draw(TABLES), address=first, count=count)

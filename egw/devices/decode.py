"""Register words to values in units, and values to words for a write.

A value that is missing, that the device marks as not available, or that needs a scale
factor which is missing or absurd, is absent from the result: it is never zero, and
never taken from an earlier read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from egw.devices.blocks import Block
from egw.devices.meaning import Meaning, Number, Value, meaning_of
from egw.devices.profile import (
    Function,
    Point,
    Profile,
    ProfileError,
    RegisterRange,
    ScaleRegister,
    Variant,
)

FREQUENCY_LIMITS_HZ = (40.0, 70.0)
"""What a grid can have; anything else in a frequency register is not a frequency."""

_Shape = tuple[tuple[Function, int, int], ...]
"""Table, first register and length in bytes of each block."""

_LARGEST_EXPONENT = 10
_POWERS: tuple[int, ...] = tuple(10**n for n in range(_LARGEST_EXPONENT + 1))


class _Words(NamedTuple):
    """Where words stand: the block's position and the bytes in it."""

    block: int
    start: int
    stop: int


@dataclass(slots=True)
class _Group:
    """The points that a device has when it is of one of the variants."""

    conditions: list[tuple[_Words, Variant]]
    plain: list[tuple[str, int, int, int, Meaning]]
    scaled: list[tuple[str, _Words, Meaning, _Words]]


class Decoder:
    """The named values of one profile's registers. Built once, used for each read."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._meanings = [(p, meaning_of(p, profile)) for p in profile.points]
        self._layout = lru_cache(maxsize=32)(partial(_lay_out, profile, self._meanings))
        self._frequency = profile.point(profile.frequency)
        self._frequency_meaning = meaning_of(self._frequency, profile)

    def decode(self, blocks: Iterable[Block]) -> dict[str, Value]:
        """Return the values, by key, of the points whose registers are present.

        A point is taken from one block; a number in two replies could be torn.
        An enumeration is its text (or its number when that has none), a bit-field the
        names of the bits that are set.
        """
        found = tuple(blocks)
        data = [block.data for block in found]
        shape = tuple((b.function, b.address, len(b.data)) for b in found)
        values: dict[str, Value] = {}
        for group in self._layout(shape):
            if group.conditions and not _applies(group.conditions, data):
                continue
            for key, block, start, stop, meaning in group.plain:
                value = meaning(data[block][start:stop])
                if value is not None:
                    values[key] = value
            for key, words, meaning, factor in group.scaled:
                value = _scaled(
                    meaning(data[words.block][words.start : words.stop]),
                    data[factor.block][factor.start : factor.stop],
                )
                if value is not None:
                    values[key] = value
        return values

    def frequency_hz(self, block: Block) -> float | None:
        """Return the grid frequency in a block of `frequency_range`.

        None when the block does not have it, the device has none to tell, or the
        number lies outside `FREQUENCY_LIMITS_HZ`.
        """
        point = self._frequency
        if block.function != point.function:
            return None
        words = _cut(block, point.address, point.count)
        value = self._frequency_meaning(words) if words else None
        if isinstance(point.scale, ScaleRegister):
            value = _scaled(value, _cut(block, point.scale.register, 1))
        if not isinstance(value, int | float):
            return None
        low_hz, high_hz = FREQUENCY_LIMITS_HZ
        return float(value) if low_hz <= value <= high_hz else None


def frequency_range(profile: Profile) -> RegisterRange:
    """Return the smallest read that has the frequency and its scale register.

    Raises ProfileError when one read cannot have both.
    """
    point = profile.point(profile.frequency)
    first, end = point.address, point.end
    if isinstance(point.scale, ScaleRegister):
        first = min(first, point.scale.register)
        end = max(end, point.scale.register + 1)
    if end - first > profile.manners.max_registers:
        raise ProfileError(
            f"point {point.key}: scale register {end - first} registers away; "
            f"one read has {profile.manners.max_registers}"
        )
    return RegisterRange(function=point.function, address=first, count=end - first)


def _lay_out(
    profile: Profile, meanings: Iterable[tuple[Point, Meaning]], shape: _Shape
) -> list[_Group]:
    """Find each point's words in blocks of this shape, once for the shape."""
    groups: dict[tuple[str, ...], _Group] = {}
    for point, meaning in meanings:
        words = _find(shape, point.function, point.address, point.count)
        if words is None:
            continue
        group = groups.get(point.applies_to)
        if group is None:
            group = _Group(_conditions(profile, point.applies_to, shape), [], [])
            groups[point.applies_to] = group
        if not isinstance(point.scale, ScaleRegister):
            group.plain.append((point.key, *words, meaning))
            continue
        factor = _find(shape, point.function, point.scale.register, 1)
        if factor is not None:
            group.scaled.append((point.key, words, meaning, factor))
    return [g for names, g in groups.items() if g.conditions or not names]


def _conditions(
    profile: Profile, names: tuple[str, ...], shape: _Shape
) -> list[tuple[_Words, Variant]]:
    variants = [profile.variants[name] for name in names]
    found = [(_find(shape, v.function, v.address, 1), v) for v in variants]
    return [(words, variant) for words, variant in found if words is not None]


def _applies(conditions: list[tuple[_Words, Variant]], data: list[bytes]) -> bool:
    for words, variant in conditions:
        raw = int.from_bytes(data[words.block][words.start : words.stop], "big")
        if any(low <= raw <= high for low, high in variant.within):
            return True
    return False


def _find(shape: _Shape, function: Function, address: int, count: int) -> _Words | None:
    for number, (table, first, size) in enumerate(shape):
        start = 2 * (address - first)
        if table == function and start >= 0 and start + 2 * count <= size:
            return _Words(number, start, start + 2 * count)
    return None


def _cut(block: Block, address: int, count: int) -> bytes:
    start = 2 * (address - block.address)
    words = block.data[start : start + 2 * count] if start >= 0 else b""
    return words if len(words) == 2 * count else b""


def _scaled(value: Value | None, factor: bytes) -> Number | None:
    """Apply the power of ten that the device reports; 0x8000 is "not implemented"."""
    if not isinstance(value, int | float) or not factor:
        return None
    exponent = int.from_bytes(factor, "big", signed=True)
    if not -_LARGEST_EXPONENT <= exponent <= _LARGEST_EXPONENT:
        return None
    if exponent >= 0:
        return value * _POWERS[exponent]
    return value / _POWERS[-exponent]

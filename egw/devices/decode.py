"""Register words to values in units, in one sign convention.

Import, charge and generation are positive. A value that is missing, that the device
marks as not available, or that needs a scale factor which is missing or absurd, is
absent from the result: it is never zero, and never taken from an earlier read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from egw.devices.blocks import Block
from egw.devices.derived import Computation, computations
from egw.devices.meaning import Meaning, Number, Value, linear_of, meaning_of
from egw.devices.profile import Function, Point, Profile, ScaleRegister, Variant

_Shape = tuple[tuple[Function, int, int], ...]
"""Table, first register and length in bytes of each block."""

_Data = Sequence[bytes]
_Reader = Callable[[_Data], Value | None]

LARGEST_EXPONENT = 10
_POWERS: tuple[int, ...] = tuple(10**n for n in range(LARGEST_EXPONENT + 1))


class _Words(NamedTuple):
    """Where words stand: the block's position and the bytes in it."""

    block: int
    start: int
    stop: int

    def of(self, data: _Data) -> bytes:
        return data[self.block][self.start : self.stop]


@dataclass(frozen=True, slots=True)
class _Conditions:
    """Holds when one of the variants does; without any variant, always."""

    variants: tuple[tuple[_Words, Variant], ...] = ()

    def hold(self, data: _Data) -> bool:
        if not self.variants:
            return True
        for words, variant in self.variants:
            raw = int.from_bytes(words.of(data), "big")
            if any(low <= raw <= high for low, high in variant.within):
                return True
        return False


@dataclass(slots=True)
class _Group:
    """The points that a device has when the conditions hold."""

    conditions: _Conditions
    plain: list[tuple[str, int, int, int, Meaning]] = field(default_factory=list)
    special: list[tuple[str, _Reader]] = field(default_factory=list)


@dataclass(slots=True)
class _Layout:
    """Where each point's words are in blocks of one shape."""

    groups: dict[_Conditions, _Group] = field(default_factory=dict)
    alternatives: dict[str, list[tuple[_Conditions, _Reader]]] = field(
        default_factory=dict
    )
    conditions: dict[str, list[_Conditions]] = field(default_factory=dict)
    """Under which a key was answered, whatever it says."""


class Decoder:
    """The named values of one profile's registers. Built once, used for each read."""

    def __init__(self, profile: Profile, keys: Collection[str] | None = None) -> None:
        """Decode everything, or only the keys that are wanted and their parts."""
        self._profile = profile
        self._computations = tuple(
            c for c in computations(profile) if keys is None or c.key in keys
        )
        parts = {part for c in self._computations for part in c.parts}
        points = [
            p for p in profile.points if keys is None or p.key in keys or p.key in parts
        ]
        self._meanings = [(point, meaning_of(point, profile)) for point in points]
        names = [point.key for point in points]
        self._repeated = {name for name in names if names.count(name) > 1}
        self._layout = lru_cache(maxsize=32)(self._lay_out)

    def decode(self, blocks: Iterable[Block]) -> dict[str, Value]:
        """Return the values, by key, of the points whose registers are present.

        A point is taken from one block; a number in two replies could be torn.
        An enumeration is its text (or its number when that has none), a bit-field the
        names of the bits that are set.
        """
        found = tuple(blocks)
        data = [block.data for block in found]
        layout = self._layout(
            tuple((b.function, b.address, len(b.data)) for b in found)
        )
        values: dict[str, Value] = {}
        for conditions, group in layout.groups.items():
            if conditions.hold(data):
                _read_group(group, data, values)
        for key, candidates in layout.alternatives.items():
            value = _first(candidates, data)
            if value is not None:
                values[key] = value
        for computation in self._computations:
            self._compute(computation, layout, data, values)
        return values

    def _compute(
        self,
        computation: Computation,
        layout: _Layout,
        data: _Data,
        values: dict[str, Value],
    ) -> None:
        if computation.key in values:
            return
        for part in computation.parts:
            held = layout.conditions.get(part, ())
            if part not in values and not any(c.hold(data) for c in held):
                return
        value = computation.value(values)
        if value is not None:
            values[computation.key] = value

    def _lay_out(self, shape: _Shape) -> _Layout:
        """Find each point's words in blocks of this shape, once for the shape."""
        layout = _Layout()
        for point, meaning in self._meanings:
            words = _place(shape, point)
            conditions = self._conditions(point, shape)
            if words is None or conditions is None:
                continue
            is_plain = _is_plain(point)
            reader = _plain(words, meaning) if is_plain else None
            if not is_plain:
                reader = _special(shape, point, words, meaning)
            if reader is None:
                continue
            layout.conditions.setdefault(point.key, []).append(conditions)
            if point.key in self._repeated:
                candidates = layout.alternatives.setdefault(point.key, [])
                candidates.append((conditions, reader))
                continue
            group = layout.groups.setdefault(conditions, _Group(conditions))
            if is_plain:
                group.plain.append((point.key, *words, meaning))
            else:
                group.special.append((point.key, reader))
        return layout

    def _conditions(self, point: Point, shape: _Shape) -> _Conditions | None:
        if not point.applies_to:
            return _Conditions()
        variants = [self._profile.variants[name] for name in point.applies_to]
        found = [(_find(shape, v.function, v.address, 1), v) for v in variants]
        known = tuple((words, v) for words, v in found if words is not None)
        return _Conditions(known) if known else None


def _read_group(group: _Group, data: _Data, values: dict[str, Value]) -> None:
    for key, block, start, stop, meaning in group.plain:
        value = meaning(data[block][start:stop])
        if value is not None:
            values[key] = value
    for key, reader in group.special:
        value = reader(data)
        if value is not None:
            values[key] = value


def _first(candidates: list[tuple[_Conditions, _Reader]], data: _Data) -> Value | None:
    for conditions, reader in candidates:
        value = reader(data) if conditions.hold(data) else None
        if value is not None:
            return value
    return None


def _is_plain(point: Point) -> bool:
    return (
        point.high_word is None
        and point.reversed_when is None
        and not isinstance(point.scale, ScaleRegister)
    )


def _plain(words: _Words, meaning: Meaning) -> _Reader:
    return lambda data: meaning(words.of(data))


def _special(
    shape: _Shape, point: Point, words: _Words, meaning: Meaning
) -> _Reader | None:
    """Build the reader of a point that depends on more than its own words."""
    reader = _plain(words, meaning)
    if point.high_word is not None:
        low = 2 * (point.address - min(point.address, point.high_word))
        high = 2 * (point.high_word - min(point.address, point.high_word))
        reader = _joined(words, low, high, meaning)
    if isinstance(point.scale, ScaleRegister):
        factor = _find(shape, point.function, point.scale.register, 1)
        if factor is None:
            return None
        reader = _with_factor(reader, factor)
    if point.reversed_when is not None:
        return _reversible(shape, point, reader)
    return reader


def _joined(words: _Words, low: int, high: int, meaning: Meaning) -> _Reader:
    def read(data: _Data) -> Value | None:
        span = words.of(data)
        return meaning(span[high : high + 2] + span[low : low + 2])

    return read


def _with_factor(reader: _Reader, factor: _Words) -> _Reader:
    return lambda data: _scaled(reader(data), factor.of(data))


def _reversible(shape: _Shape, point: Point, reader: _Reader) -> _Reader | None:
    condition = point.reversed_when
    if condition is None:
        return reader
    where = _find(shape, point.function, condition.register, 1)
    if where is None:
        return None
    native = 1 if linear_of(point)[0] > 0 else -1

    def read(data: _Data) -> Value | None:
        value = reader(data)
        if not isinstance(value, int | float) or value * native <= 0:
            return value
        raw = int.from_bytes(where.of(data), "big")
        return -value if raw & condition.mask == condition.equals else value

    return read


def _place(shape: _Shape, point: Point) -> _Words | None:
    if point.high_word is None:
        return _find(shape, point.function, point.address, point.count)
    first = min(point.address, point.high_word)
    span = abs(point.address - point.high_word) + 1
    return _find(shape, point.function, first, span)


def _find(shape: _Shape, function: Function, address: int, count: int) -> _Words | None:
    for number, (table, first, size) in enumerate(shape):
        start = 2 * (address - first)
        if table == function and start >= 0 and start + 2 * count <= size:
            return _Words(number, start, start + 2 * count)
    return None


def _scaled(value: Value | None, factor: bytes) -> Number | None:
    """Apply the power of ten that the device reports; 0x8000 is "not implemented"."""
    if not isinstance(value, int | float):
        return None
    exponent = int.from_bytes(factor, "big", signed=True)
    if not -LARGEST_EXPONENT <= exponent <= LARGEST_EXPONENT:
        return None
    if exponent >= 0:
        return value * _POWERS[exponent]
    return value / _POWERS[-exponent]

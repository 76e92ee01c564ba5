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
from egw.devices.derived import computed, parts_of
from egw.devices.meaning import Meaning, Number, Value, linear_of, meaning_of
from egw.devices.profile import (
    Condition,
    Function,
    Point,
    Profile,
    ScaleRegister,
    Variant,
)

LARGEST_EXPONENT = 10
"""Of a scale register; SunSpec's scale factors go from -10 to 10."""

_POWERS: tuple[int, ...] = tuple(10**n for n in range(LARGEST_EXPONENT + 1))

_Shape = tuple[tuple[Function, int, int], ...]
"""Table, first register and length in bytes of each block."""

_Data = Sequence[bytes]
_Reader = Callable[[_Data], Value | None]


class _Place(NamedTuple):
    """Where words stand: the number of the block and the byte in it."""

    block: int
    start: int

    def word(self, data: _Data) -> int:
        return int.from_bytes(data[self.block][self.start : self.start + 2], "big")


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which devices have a point, as far as blocks of one shape can tell."""

    told: tuple[tuple[_Place, Variant], ...]
    """Its variants whose registers are in the blocks."""
    count: int
    """How many variants it has; 0: every device has the point."""

    def covers(self, data: _Data) -> bool | None:
        """Tell whether this device has the point; None when that is not known."""
        if self.count == 0:
            return True
        for place, variant in self.told:
            raw = place.word(data)
            for low, high in variant.within:
                if low <= raw <= high:
                    return True
        return False if len(self.told) == self.count else None


class _Part(NamedTuple):
    """A point as part of a derived value."""

    scope: int
    was_read: bool
    is_fixed: bool
    """Without a scale register: when it has no value, the device says so."""


@dataclass(slots=True)
class _Layout:
    """Where each point's words are in blocks of one shape.

    Scopes are known by their number, so that each is looked at once.
    """

    scopes: dict[_Scope, int] = field(default_factory=dict)
    plain: list[list[tuple[str, int, int, Meaning]]] = field(default_factory=list)
    """By scope: what depends on nothing but its own words."""
    special: list[list[tuple[str, _Reader]]] = field(default_factory=list)
    alternatives: dict[str, list[tuple[int, _Reader]]] = field(default_factory=dict)
    parts: dict[str, list[_Part]] = field(default_factory=dict)
    """By key: the points with which it may be told."""

    def number_of(self, scope: _Scope) -> int:
        if scope not in self.scopes:
            self.scopes[scope] = len(self.scopes)
            self.plain.append([])
            self.special.append([])
        return self.scopes[scope]


class Decoder:
    """The named values of one profile's registers. Built once, used for each read."""

    def __init__(self, profile: Profile, keys: Collection[str] | None = None) -> None:
        """Decode everything, or only the keys that are wanted and their parts."""
        self._variants = profile.variants
        self._derived = [d for d in profile.derived if keys is None or d.key in keys]
        parts = {part for derived in self._derived for part in parts_of(derived)}
        points = [
            point
            for point in profile.points
            if keys is None or point.key in keys or point.key in parts
        ]
        self._meanings = [(point, meaning_of(point, profile)) for point in points]
        names = [point.key for point in points]
        self._repeated = {name for name in names if names.count(name) > 1}
        self._layout = lru_cache(maxsize=32)(self._lay_out)

    def decode(
        self, blocks: Iterable[Block], *, complete: bool = False
    ) -> dict[str, Value]:
        """Return the values, by key, of the points whose registers are present.

        `complete`: what a cycle asks for and is not here, the device does not have.
        A point is taken from one block; a number in two replies could be torn.
        An enumeration is its text (or its number when that has none), a bit-field the
        names of the bits that are set.
        """
        found = tuple(blocks)
        data = [block.data for block in found]
        layout = self._layout(
            tuple([(b.function, b.address, len(b.data)) for b in found])
        )
        covered = [scope.covers(data) for scope in layout.scopes]
        values: dict[str, Value] = {}
        for number, applies in enumerate(covered):
            if applies:
                _read(layout.plain[number], layout.special[number], data, values)
        for key, candidates in layout.alternatives.items():
            _read_first(key, candidates, covered, data, values)
        for derived in self._derived:
            missing = [part for part in parts_of(derived) if part not in values]
            settled = all(
                _is_settled(layout.parts[part], covered, complete=complete)
                for part in missing
            )
            value = computed(derived, values) if settled else None
            if value is not None:
                values.setdefault(derived.key, value)
        return values

    def _lay_out(self, shape: _Shape) -> _Layout:
        """Find each point's words in blocks of this shape, once for the shape."""
        layout = _Layout()
        for point, meaning in self._meanings:
            number = layout.number_of(self._scope(point, shape))
            read = _reader(shape, point, meaning)
            is_fixed = not isinstance(point.scale, ScaleRegister)
            part = _Part(number, read is not None, is_fixed)
            layout.parts.setdefault(point.key, []).append(part)
            if read is None:
                continue
            place = _find(shape, point.function, point.address, point.count)
            if point.key in self._repeated:
                layout.alternatives.setdefault(point.key, []).append((number, read))
            elif place is not None and _is_plain(point):
                layout.plain[number].append((point.key, *place, meaning))
            else:
                layout.special[number].append((point.key, read))
        return layout

    def _scope(self, point: Point, shape: _Shape) -> _Scope:
        variants = [self._variants[name] for name in point.applies_to]
        found = [(_find(shape, v.function, v.address, 1), v) for v in variants]
        told = tuple((place, v) for place, v in found if place is not None)
        return _Scope(told, len(variants))


def _read(
    plain: list[tuple[str, int, int, Meaning]],
    special: list[tuple[str, _Reader]],
    data: _Data,
    values: dict[str, Value],
) -> None:
    for key, block, start, meaning in plain:
        value = meaning(data[block], start)
        if value is not None:
            values[key] = value
    for key, read in special:
        value = read(data)
        if value is not None:
            values[key] = value


def _read_first(
    key: str,
    candidates: list[tuple[int, _Reader]],
    covered: list[bool | None],
    data: _Data,
    values: dict[str, Value],
) -> None:
    for number, read in candidates:
        value = read(data) if covered[number] else None
        if value is not None:
            values[key] = value
            return


def _is_settled(
    points: list[_Part], covered: list[bool | None], *, complete: bool
) -> bool:
    """Tell whether a part without a value has none, and was not merely unread."""
    return all(
        covered[part.scope] is False
        or (complete and not part.was_read)
        or (covered[part.scope] and part.was_read and part.is_fixed)
        for part in points
    )


def _is_plain(point: Point) -> bool:
    return (
        point.high_word is None
        and point.reversed_when is None
        and not isinstance(point.scale, ScaleRegister)
    )


def _reader(shape: _Shape, point: Point, meaning: Meaning) -> _Reader | None:
    """Build what reads a point from blocks of this shape; None when they lack it."""
    if point.high_word is None:
        place = _find(shape, point.function, point.address, point.count)
        read = None if place is None else _at(place, meaning)
    else:
        read = _joined(shape, point, point.high_word, meaning)
    if read is not None and isinstance(point.scale, ScaleRegister):
        factor = _find(shape, point.function, point.scale.register, 1)
        read = None if factor is None else _scaled(read, factor)
    if read is not None and point.reversed_when is not None:
        register = _find(shape, point.function, point.reversed_when.register, 1)
        is_native = linear_of(point)[0] > 0
        read = (
            None
            if register is None
            else _reversible(read, register, point.reversed_when, is_native=is_native)
        )
    return read


def _at(place: _Place, meaning: Meaning) -> _Reader:
    block, start = place
    return lambda data: meaning(data[block], start)


def _joined(
    shape: _Shape, point: Point, high_word: int, meaning: Meaning
) -> _Reader | None:
    """Read a number whose two words, in one reply, stand apart."""
    first, last = sorted((point.address, high_word))
    place = _find(shape, point.function, first, last - first + 1)
    if place is None:
        return None
    low = place.start + 2 * (point.address - first)
    high = place.start + 2 * (high_word - first)

    def read(data: _Data) -> Value | None:
        words = data[place.block]
        return meaning(words[high : high + 2] + words[low : low + 2], 0)

    return read


def _scaled(read: _Reader, factor: _Place) -> _Reader:
    """Apply the power of ten that the device reports; 0x8000 is "not implemented"."""

    def read_scaled(data: _Data) -> Number | None:
        value = read(data)
        raw = factor.word(data)
        exponent = raw - 0x10000 if raw >> 15 else raw
        if not isinstance(value, int) or abs(exponent) > LARGEST_EXPONENT:
            return None
        if exponent >= 0:
            return value * _POWERS[exponent]
        return value / _POWERS[-exponent]

    return read_scaled


def _reversible(
    read: _Reader, register: _Place, condition: Condition, *, is_native: bool
) -> _Reader:
    """Turn a positive register value round when the condition holds."""

    def read_reversible(data: _Data) -> Value | None:
        value = read(data)
        if not isinstance(value, int | float) or (value > 0) != is_native:
            return value
        holds = register.word(data) & condition.mask == condition.equals
        return -value if holds and value else value

    return read_reversible


def _find(shape: _Shape, function: Function, address: int, count: int) -> _Place | None:
    for number, (table, first, size) in enumerate(shape):
        start = 2 * (address - first)
        if table == function and start >= 0 and start + 2 * count <= size:
            return _Place(number, start)
    return None

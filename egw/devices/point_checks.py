"""What must hold within one point of a profile, and between points that overlap."""

from __future__ import annotations

import math
from collections.abc import Iterator

from egw.devices.encode import encode_value
from egw.devices.meaning import FLOATS, patterns_of
from egw.devices.profile import Function, Point, Profile, ScaleRegister

_NOT_NUMERIC = ("str", "bitfield")
_SCALES = (1e-10, 1e10)


def is_plain_number(point: Point) -> bool:
    """Tell whether the point is a number and not a text, flags or an enumeration."""
    return point.type not in _NOT_NUMERIC and not point.values


def wrong_point(
    point: Point, profile: Profile, exponents: set[tuple[Function, int]]
) -> Iterator[str]:
    """Yield what is wrong with a point; `exponents` are where i16 points stand."""
    if point.end > 65536:
        yield f"address: ends at register {point.end - 1}, past 65535"
    if point.count > profile.manners.max_registers:
        yield f"count: one read has {profile.manners.max_registers} registers"
    for name in point.applies_to:
        if name not in profile.variants:
            yield f"applies_to: there is no variant {name}"
            return
    yield from _wrong_key(point)
    yield from _wrong_scale(point, exponents)
    yield from _wrong_direction(point)
    yield from _wrong_high_word(point, profile)
    yield from _wrong_meanings(point)
    yield from _wrong_patterns(point, profile)
    yield from _wrong_write(point, profile)


def overlaps(points: tuple[Point, ...]) -> Iterator[str]:
    """Yield where two points share a register though a device may have both."""
    users: dict[tuple[Function, int], list[Point]] = {}
    for point in sorted(points, key=lambda p: (p.function, p.address)):
        for address in _registers(point):
            for other in users.setdefault((point.function, address), []):
                if not _exclude(point, other):
                    yield (
                        f"point {point.key}: shares {point.function} {address} "
                        f"with {other.key}"
                    )
            users[point.function, address].append(point)


def _registers(point: Point) -> Iterator[int]:
    yield from range(point.address, point.end)
    if point.high_word is not None:
        yield point.high_word


def _exclude(one: Point, other: Point) -> bool:
    both_limited = bool(one.applies_to) and bool(other.applies_to)
    return both_limited and not set(one.applies_to) & set(other.applies_to)


def _wrong_key(point: Point) -> Iterator[str]:
    if point.unit and not is_plain_number(point):
        yield f"key: ends in the unit {point.unit}, which only a plain number has"


def _wrong_scale(point: Point, exponents: set[tuple[Function, int]]) -> Iterator[str]:
    scaled = point.scale != 1.0 or point.offset != 0.0
    if scaled and not is_plain_number(point):
        yield "scale: only a plain number has a scale or an offset"
    if not math.isfinite(point.offset):
        yield "offset: is not finite"
    if isinstance(point.scale, ScaleRegister):
        if point.offset:
            yield "offset: a point with a scale register has none"
        if point.type in FLOATS:
            yield f"scale register: a {point.type} has none"
        if (point.function, point.scale.register) not in exponents:
            yield (
                f"scale register {point.scale.register}: there is no i16 point at "
                f"{point.function} {point.scale.register}"
            )
    elif not _SCALES[0] <= abs(point.scale) <= _SCALES[1]:
        yield f"scale: {point.scale:g} is no scale"


def _wrong_direction(point: Point) -> Iterator[str]:
    directed = point.positive is not None or point.reversed_when is not None
    if directed and not is_plain_number(point):
        yield "positive: only a plain number has a direction"
    condition = point.reversed_when
    if condition is not None and condition.equals & ~condition.mask:
        yield (
            f"reversed_when: {condition.equals:#x} has bits that the mask "
            f"{condition.mask:#x} has not"
        )


def _wrong_high_word(point: Point, profile: Profile) -> Iterator[str]:
    if point.high_word is None:
        return
    if point.type not in ("u32", "i32"):
        yield f"high_word: a {point.type} has none"
    if point.high_word == point.address:
        yield "high_word: is the register of the low word"
    span = abs(point.high_word - point.address) + 1
    if span > profile.manners.max_registers:
        yield f"high_word: {span} registers away, one read has less"


def _wrong_meanings(point: Point) -> Iterator[str]:
    if point.values and point.type[0] not in "ui":
        yield f"values: a {point.type} has none"
    if point.bits and point.type != "bitfield":
        yield f"bits: a {point.type} has none"
    for bit in point.bits:
        if not 0 <= bit < 16 * point.count:
            yield f"bits: there is no bit {bit} in {16 * point.count} bits"
    if point.encoding != "ascii" and point.type != "str":
        yield f"encoding: a {point.type} has none"


def _wrong_patterns(point: Point, profile: Profile) -> Iterator[str]:
    if point.not_available is not None and point.type == "str":
        yield "not_available: an empty text is absent without a pattern"
    for pattern in patterns_of(point, profile):
        if not 0 <= pattern < 1 << 16 * point.count:
            yield f"not_available: {pattern:#x} does not fit in {point.count} registers"


def _wrong_write(point: Point, profile: Profile) -> Iterator[str]:
    if point.write is None:
        return
    if point.function != "holding":
        yield "write: input registers cannot be written"
    elif point.type in _NOT_NUMERIC:
        yield f"write: a {point.type} cannot be written"
    elif point.high_word is not None or point.reversed_when is not None:
        yield "write: a point that depends on another register cannot be written"
    elif not point.write.min <= point.write.max:
        yield f"write: min {point.write.min:g} is above max {point.write.max:g}"
    else:
        for bound in (point.write.min, point.write.max):
            yield from _unwritable(point, profile, bound)


def _unwritable(point: Point, profile: Profile, bound: float) -> Iterator[str]:
    try:
        encode_value(profile, point, bound)
    except ValueError as error:
        yield f"write: {str(error).removeprefix(f'{point.key}: ')}"

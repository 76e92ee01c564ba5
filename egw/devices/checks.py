"""What must hold between the parts of a profile, beyond the types of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from egw.devices.decode import frequency_range
from egw.devices.encode import encode_value
from egw.devices.profile import (
    Function,
    Point,
    Profile,
    ProfileError,
    ScaleRegister,
)

_NOT_NUMERIC = ("str", "bitfield")


def check_profile(profile: Profile, name: str) -> None:
    """Raise ProfileError with the first contradiction in the profile called `name`."""
    if profile.name != name:
        raise ProfileError(f"name: {profile.name!r} is not the name of the file")
    for reason in _contradictions(profile):
        raise ProfileError(reason)


def _contradictions(profile: Profile) -> Iterator[str]:
    yield from _wrong_keys(profile)
    yield from _wrong_ranges(profile)
    yield from _wrong_references(profile)
    yield from _wrong_variants(profile)
    exponents = {(p.function, p.address) for p in profile.points if p.type == "i16"}
    for point in profile.points:
        for reason in _wrong_point(point, profile, exponents):
            yield f"point {point.key}: {reason}"
    yield from _overlaps(profile.points)


def _wrong_keys(profile: Profile) -> Iterator[str]:
    uses = Counter(point.key for point in profile.points)
    for key, count in uses.items():
        if count > 1:
            yield f"point {key}: the key stands here {count} times"


def _wrong_ranges(profile: Profile) -> Iterator[str]:
    for number, part in enumerate(profile.harvest):
        if part.end > 65536:
            yield f"harvest[{number}]: ends at register {part.end - 1}, past 65535"


def _wrong_references(profile: Profile) -> Iterator[str]:
    points = {point.key: point for point in profile.points}
    frequency = points.get(profile.frequency)
    if frequency is None:
        yield f"frequency: there is no point {profile.frequency}"
    elif frequency.type in _NOT_NUMERIC or frequency.values:
        yield f"frequency: point {frequency.key} is no plain number"
    elif frequency.applies_to:
        yield f"frequency: not every device has point {frequency.key}"
    else:
        yield from _wrong_frequency(profile)
    for use in ("serial", "model"):
        key = getattr(profile.identification, use)
        if key is not None and key not in points:
            yield f"identification.{use}: there is no point {key}"


def _wrong_frequency(profile: Profile) -> Iterator[str]:
    try:
        frequency_range(profile)
    except ProfileError as error:
        yield str(error)


def _wrong_variants(profile: Profile) -> Iterator[str]:
    for name, variant in profile.variants.items():
        for low, high in variant.within:
            if not 0 <= low <= high <= 65535:
                yield f"variants.{name}: {low}..{high} is no span of register values"


def _wrong_point(
    point: Point, profile: Profile, exponents: set[tuple[Function, int]]
) -> Iterator[str]:
    if point.end > 65536:
        yield f"address: ends at register {point.end - 1}, past 65535"
    yield from _wrong_scale(point, exponents)
    yield from _wrong_meanings(point)
    yield from _wrong_pattern(point, profile)
    yield from _wrong_write(point, profile)
    for name in point.applies_to:
        if name not in profile.variants:
            yield f"applies_to: there is no variant {name}"


def _wrong_scale(point: Point, exponents: set[tuple[Function, int]]) -> Iterator[str]:
    scaled = point.scale != 1.0 or point.offset != 0.0
    if scaled and (point.type in _NOT_NUMERIC or point.values):
        yield "scale: only a plain number has a scale or an offset"
    if not math.isfinite(point.offset):
        yield "offset: is not finite"
    if isinstance(point.scale, ScaleRegister):
        if point.offset:
            yield "offset: a point with a scale register has none"
        if (point.function, point.scale.register) not in exponents:
            yield (
                f"scale register {point.scale.register}: there is no i16 point at "
                f"{point.function} {point.scale.register}"
            )
    elif point.scale == 0 or not math.isfinite(point.scale):
        yield f"scale: {point.scale:g} is no scale"


def _wrong_meanings(point: Point) -> Iterator[str]:
    if point.values and point.type[0] not in "ui":
        yield f"values: a {point.type} has none"
    if point.bits and point.type != "bitfield":
        yield f"bits: a {point.type} has none"
    for bit in point.bits:
        if not 0 <= bit < 16 * point.count:
            yield f"bits: there is no bit {bit} in {16 * point.count} bits"


def _wrong_pattern(point: Point, profile: Profile) -> Iterator[str]:
    pattern = point.not_available
    if pattern is None:
        pattern = profile.not_available.get(point.type, 0)
    elif point.type == "str":
        yield "not_available: an empty text is absent without a pattern"
    if not 0 <= pattern < 1 << 16 * point.count:
        yield f"not_available: {pattern:#x} does not fit in {point.count} registers"


def _wrong_write(point: Point, profile: Profile) -> Iterator[str]:
    if point.write is None:
        return
    if point.function != "holding":
        yield "write: input registers cannot be written"
    elif point.type in _NOT_NUMERIC:
        yield f"write: a {point.type} cannot be written"
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


def _overlaps(points: tuple[Point, ...]) -> Iterator[str]:
    """Two points share a register only when no device has both."""
    ordered = sorted(points, key=lambda point: (point.function, point.address))
    for number, point in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other.function != point.function or other.address >= point.end:
                break
            if not _exclude(point, other):
                yield (
                    f"point {other.key}: shares {other.function} {other.address} "
                    f"with {point.key}"
                )


def _exclude(one: Point, other: Point) -> bool:
    both_limited = bool(one.applies_to) and bool(other.applies_to)
    return both_limited and not set(one.applies_to) & set(other.applies_to)

"""Values to register words, for a write."""

from __future__ import annotations

import math
from fractions import Fraction

from egw.devices.meaning import FLOATS, exact, linear_of, swap_words
from egw.devices.profile import Point, Profile, ScaleRegister, WriteRange

_SIGNED = ("i16", "i32", "i64")


def encode_value(profile: Profile, point: Point, value: float | str) -> tuple[int, ...]:
    """Return the words that set `point` to `value`, in the point's unit.

    An enumeration also takes its text. Raises ValueError when the point is read-only,
    the value is of the wrong type, outside the point's `write` range, none of its
    enumeration, or not a whole number of its steps.
    """
    if point.write is None:
        raise ValueError(f"{point.key}: is read-only")
    number = _number(point, value)
    _check_range(point, number, point.write)
    words = _packed(point, number)
    if (point.word_order or profile.word_order) == "little":
        words = swap_words(words)
    return tuple(int.from_bytes(words[i : i + 2]) for i in range(0, len(words), 2))


def _number(point: Point, value: float | str) -> float:
    if isinstance(value, str):
        for raw, text in point.values.items():
            if text == value:
                return raw
    elif not isinstance(value, bool) and math.isfinite(value):
        return value
    expected = _choices(point) if point.values else "a number"
    raise ValueError(f"{point.key}: expected {expected}, got {value!r}")


def _check_range(point: Point, number: float, allowed: WriteRange) -> None:
    if not allowed.min <= number <= allowed.max:
        limits = f"{allowed.min:.15g}..{allowed.max:.15g} {point.unit}".rstrip()
        raise ValueError(f"{point.key}: {number:.15g} is outside {limits}")
    if point.values and number not in point.values:
        raise ValueError(f"{point.key}: expected {_choices(point)}, got {number:.15g}")


def _choices(point: Point) -> str:
    return ", ".join(f"{raw} ({text})" for raw, text in point.values.items())


def _packed(point: Point, number: float) -> bytes:
    if isinstance(point.scale, ScaleRegister):
        raise ValueError(f"{point.key}: only the device knows the scale")  # noqa: TRY004
    factor, shift = linear_of(point)
    raw = (exact(number) - exact(shift)) / exact(factor)
    try:
        if point.type in FLOATS:
            return FLOATS[point.type].pack(float(raw))
        steps = _whole(point, number, raw)
        signed = point.type in _SIGNED
        return steps.to_bytes(2 * point.count, "big", signed=signed)
    except OverflowError as error:
        reason = f"{point.key}: {number:.15g} does not fit in {point.type}"
        raise ValueError(reason) from error


def _whole(point: Point, number: float, raw: Fraction) -> int:
    """Return the raw number; a setting is written as it was asked or not at all."""
    if abs(raw - round(raw)) > Fraction(1, 1_000_000):
        raise ValueError(
            f"{point.key}: {number:.15g} is not a whole number of steps of "
            f"{point.scale:.15g} {point.unit}".rstrip()
        )
    return round(raw)

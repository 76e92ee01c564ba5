"""What the words of one point say: raw number, scale, text, flags, or nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial

from egw.devices.profile import REVERSED_DIRECTIONS, Point, Profile, ScaleRegister

Number = int | float
Value = float | int | str | list[str]
Meaning = Callable[[bytes], Value | None]
"""Words as the device sent them to a value; None when they say "no value"."""

_Finish = Callable[[int], Value]

FLOATS = {"f32": struct.Struct(">f"), "f64": struct.Struct(">d")}
_SIGNED = ("i16", "i32", "i64")


def meaning_of(point: Point, profile: Profile) -> Meaning:
    """Build the function that turns the point's words into its value.

    A scale register is not applied here: the caller has it, or has not. The words of a
    point with a `high_word` come with the high word first.
    """
    if point.type == "str":
        return _text if point.encoding == "ascii" else _reversed_hex
    absent = _absent_words(point, profile)
    read: Meaning
    if point.type in FLOATS:
        factor, shift = linear_of(point)
        read = partial(_float, point.type, absent, factor, shift)
    else:
        signed = point.type in _SIGNED
        read = _integer(absent, _finish(point), signed=signed)
    little = (point.word_order or profile.word_order) == "little"
    if little and point.count > 1 and point.high_word is None:
        return _swapped(read, point.count)
    return read


def linear_of(point: Point) -> tuple[float, float]:
    """Return factor and shift from the raw number to egw's sign convention.

    The factor of a point with a scale register is 1 or -1.
    """
    turn = -1.0 if point.positive in REVERSED_DIRECTIONS else 1.0
    scale = 1.0 if isinstance(point.scale, ScaleRegister) else point.scale
    return turn * scale, turn * point.offset + 0.0


def swap_words(words: bytes) -> bytes:
    """Turn the order of the 16-bit words round; the bytes in a word keep theirs."""
    return b"".join(words[i : i + 2] for i in range(len(words) - 2, -1, -2))


def exact(number: float) -> Fraction:
    """Return the number as it is written in decimal: 0.1 is one tenth."""
    return Fraction(Decimal(repr(number)))


def patterns_of(point: Point, profile: Profile) -> tuple[int, ...]:
    """Return the raw patterns, unsigned, with which the point says "no value"."""
    patterns = point.not_available
    if patterns is None:
        patterns = profile.not_available.get(point.type, ())
    return (patterns,) if isinstance(patterns, int) else patterns


def _swapped(read: Meaning, count: int) -> Meaning:
    if count == 2:
        return lambda words: read(words[2:] + words[:2])
    return lambda words: read(swap_words(words))


def _absent_words(point: Point, profile: Profile) -> tuple[bytes, ...]:
    return tuple(
        pattern.to_bytes(2 * point.count, "big")
        for pattern in patterns_of(point, profile)
    )


def _integer(
    absent: tuple[bytes, ...], finish: _Finish | None, *, signed: bool
) -> Meaning:
    if finish is None:
        return lambda words: (
            None if words in absent else int.from_bytes(words, "big", signed=signed)
        )
    return lambda words: (
        None if words in absent else finish(int.from_bytes(words, "big", signed=signed))
    )


def _finish(point: Point) -> _Finish | None:
    if point.type == "bitfield":
        names = [point.bits.get(bit, f"bit{bit}") for bit in range(16 * point.count)]
        return partial(_flags, names)
    if point.values:
        texts = point.values
        return lambda raw: texts.get(raw, raw)
    return _linear(*linear_of(point))


def _linear(scale: float, offset: float) -> _Finish | None:
    """Return raw * scale + offset in whole numbers and one division.

    One correctly rounded division leaves no noise: 1234 * 0.1 is 123.4.
    """
    factor, shift = exact(scale), exact(offset)
    divisor = math.lcm(factor.denominator, shift.denominator)
    times, plus = int(factor * divisor), int(shift * divisor)
    if divisor > 1:
        return lambda raw: (raw * times + plus) / divisor
    if (times, plus) == (1, 0):
        return None
    return lambda raw: raw * times + plus


def _flags(names: list[str], raw: int) -> list[str]:
    return [name for bit, name in enumerate(names) if raw >> bit & 1]


def _float(
    kind: str, absent: tuple[bytes, ...], scale: float, offset: float, words: bytes
) -> float | None:
    (number,) = FLOATS[kind].unpack(words)
    if words in absent or not math.isfinite(number):
        return None
    if kind == "f32":
        number = _shortest(number, words)
    if scale == 1.0 and offset == 0.0:
        return float(number)
    digits = 9 if kind == "f32" else 15
    return float(f"{number * scale + offset:.{digits}g}")


def _shortest(number: float, words: bytes) -> float:
    """Return the shortest decimal that is this single-precision number."""
    for digits in (7, 8):
        short = float(f"{number:.{digits}g}")
        if _packs_to(short, words):
            return short
    return float(f"{number:.9g}")


def _packs_to(number: float, words: bytes) -> bool:
    try:
        return FLOATS["f32"].pack(number) == words
    except OverflowError:
        return False


def _text(words: bytes) -> str | None:
    """Return the text up to the first NUL; what is no printable text is absent."""
    try:
        text = words.strip(b"\0 ").partition(b"\0")[0].decode().strip()
    except UnicodeDecodeError:
        return None
    return text if text and text.isprintable() else None


def _reversed_hex(words: bytes) -> str | None:
    """Return four hexadecimal digits a register, the last digit of each first."""
    digits = words.hex().upper()
    if not digits.strip("0") or not digits.strip("F"):
        return None
    return "".join(digits[i : i + 4][::-1] for i in range(0, len(digits), 4))

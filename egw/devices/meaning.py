"""What the words of one point say: number, text, flags, or nothing."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from egw.devices.profile import REVERSED_DIRECTIONS, Point, Profile, ScaleRegister

Number = int | float
Value = float | int | str | list[str]
Meaning = Callable[[bytes, int], Value | None]
"""The value whose words begin at a byte of a reply; None when they say "no value"."""

INTEGERS = {
    "u16": struct.Struct(">H"),
    "i16": struct.Struct(">h"),
    "u32": struct.Struct(">I"),
    "acc32": struct.Struct(">I"),
    "i32": struct.Struct(">i"),
    "u64": struct.Struct(">Q"),
    "i64": struct.Struct(">q"),
}
FLOATS = {"f32": struct.Struct(">f"), "f64": struct.Struct(">d")}


def meaning_of(point: Point, profile: Profile) -> Meaning:
    """Build the function that turns the point's words into its value.

    A scale register is not applied here: the caller has it, or has not. The words of a
    point with a `high_word` come with the high word first.
    """
    if point.type == "str":
        read = _ascii if point.encoding == "ascii" else _reversed_hex
        size = 2 * point.count
        return lambda data, start: read(data[start : start + size])
    absent = [p.to_bytes(2 * point.count, "big") for p in patterns_of(point, profile)]
    if point.type == "bitfield":
        meaning = _flags(point, absent)
    elif point.type in FLOATS:
        meaning = _float(point, absent)
    else:
        meaning = _integer(point, absent)
    little = (point.word_order or profile.word_order) == "little"
    if little and point.count > 1 and point.high_word is None:
        return _swapped(meaning, 2 * point.count)
    return meaning


def linear_of(point: Point) -> tuple[float, float]:
    """Return factor and shift from the raw number to egw's sign convention.

    The factor of a point with a scale register is 1 or -1.
    """
    turn = -1.0 if point.positive in REVERSED_DIRECTIONS else 1.0
    scale = 1.0 if isinstance(point.scale, ScaleRegister) else point.scale
    return turn * scale, turn * point.offset


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


def _swapped(meaning: Meaning, size: int) -> Meaning:
    if size == 4:
        return lambda data, start: meaning(
            data[start + 2 : start + 4] + data[start : start + 2], 0
        )
    return lambda data, start: meaning(swap_words(data[start : start + size]), 0)


def _integer(point: Point, absent_words: list[bytes]) -> Meaning:
    """Return raw * scale + offset in whole numbers and one division.

    One correctly rounded division leaves no noise: 1234 * 0.1 is 123.4.
    """
    layout = INTEGERS[point.type]
    unpack = layout.unpack_from
    absent = tuple(layout.unpack(words)[0] for words in absent_words)
    texts = point.values
    factor, shift = (exact(number) for number in linear_of(point))
    divisor = math.lcm(factor.denominator, shift.denominator)
    times, plus = int(factor * divisor), int(shift * divisor)

    def read(data: bytes, start: int) -> Value | None:
        (raw,) = unpack(data, start)
        return None if raw in absent else texts.get(raw, raw)

    def read_linear(data: bytes, start: int) -> Value | None:
        (raw,) = unpack(data, start)
        return None if raw in absent else raw * times + plus

    def read_divided(data: bytes, start: int) -> Value | None:
        (raw,) = unpack(data, start)
        return None if raw in absent else (raw * times + plus) / divisor

    if divisor > 1:
        return read_divided
    return read if (times, plus) == (1, 0) else read_linear


def _flags(point: Point, absent: list[bytes]) -> Meaning:
    size = 2 * point.count
    names = [point.bits.get(bit, f"bit{bit}") for bit in range(8 * size)]

    def read(data: bytes, start: int) -> Value | None:
        words = data[start : start + size]
        if words in absent:
            return None
        raw, found = int.from_bytes(words, "big"), []
        while raw:
            found.append(names[(raw & -raw).bit_length() - 1])
            raw &= raw - 1
        return found

    return read


def _float(point: Point, absent: list[bytes]) -> Meaning:
    layout = FLOATS[point.type]
    factor, shift = linear_of(point)
    is_single = point.type == "f32"
    digits = 9 if is_single else 15

    def read(data: bytes, start: int) -> Value | None:
        words = data[start : start + layout.size]
        (number,) = layout.unpack(words)
        if words in absent or not math.isfinite(number):
            return None
        if is_single:
            number = _shortest(number, words)
        if (factor, shift) != (1.0, 0.0):
            number = float(f"{number * factor + shift:.{digits}g}")
        return number + 0.0 if math.isfinite(number) else None

    return read


def _shortest(number: float, words: bytes) -> float:
    """Return the shortest decimal that is this single-precision number."""
    if number.is_integer():
        return number
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


def _ascii(words: bytes) -> str | None:
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

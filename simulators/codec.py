"""How a value becomes the registers of a point, and back.

Coded apart from the decoder of egw, which it is there to check.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister

if TYPE_CHECKING:
    from egw.devices.profile import Point, Profile

_FLOATS = {"f32": ">f", "f64": ">d"}
_TURNED = ("export", "discharge")
"""Native directions that are the opposite of egw's."""


@dataclass(frozen=True, slots=True)
class Codec:
    """The number format of one point; made once, used many times."""

    key: str
    count: int
    little: bool
    """Whether the low word comes first."""
    factor: float
    """Unit per step of the register, negative when its direction is not egw's."""
    offset: float
    """Value at a register of zero, in egw's direction."""
    floating: str
    """Format of a floating-point type; empty for whole numbers."""
    low: int
    high: int
    """Raw numbers outside these do not fit."""
    absent: tuple[int, ...]
    """Raw patterns, unsigned, that mean "no value"."""

    def encode(self, value: float) -> bytes:
        """Return the words of a measured value; one that does not fit is cut."""
        if self.floating:
            return self._ordered(
                struct.pack(self.floating, (value - self.offset) / self.factor)
            )
        raw = round((value - self.offset) / self.factor)
        raw = min(max(raw, self.low), self.high)
        if self.absent and raw & self._ones in self.absent:
            raw += -1 if raw > self.low else 1
        return self.pack(raw)

    def encode_exact(self, value: float) -> bytes:
        """Return the words that say `value`, to the nearest step.

        Raises ValueError when it does not fit, or would mean "no value".
        """
        if not math.isfinite(value):
            raise ValueError(f"{self.key}: {value} is not finite")
        steps = (as_written(value) - as_written(self.offset)) / as_written(self.factor)
        if self.floating:
            return self._ordered(self._pack_float(float(steps)))
        raw = round(steps)
        if not self.low <= raw <= self.high:
            first, last = sorted((self.value(self.low), self.value(self.high)))
            raise ValueError(
                f"{self.key}: {value:.15g} does not fit in {first:.15g}..{last:.15g}"
            )
        if raw & self._ones in self.absent:
            raise ValueError(f'{self.key}: {value:.15g} is the pattern for "no value"')
        return self.pack(raw)

    def pack(self, raw: int) -> bytes:
        """Return the words of a raw number."""
        data = raw.to_bytes(2 * self.count, "big", signed=self.low < 0)
        return swap_words(data) if self.little else data

    def nothing(self) -> bytes | None:
        """Return the words that mean "no value"; None when there are none."""
        if not self.absent:
            return None
        return self._ordered(self.absent[0].to_bytes(2 * self.count, "big"))

    def decode(self, data: bytes) -> float:
        """Return the value that the words mean, in the point's unit."""
        ordered = self._ordered(data)
        raw: float
        if self.floating:
            (raw,) = struct.unpack(self.floating, ordered)
        else:
            raw = int.from_bytes(ordered, "big", signed=self.low < 0)
        return self.value(raw)

    def value(self, raw: float) -> float:
        """Return the value that a raw number means."""
        return raw * self.factor + self.offset

    @property
    def _ones(self) -> int:
        return (1 << 16 * self.count) - 1

    def _ordered(self, data: bytes) -> bytes:
        return swap_words(data) if self.little else data

    def _pack_float(self, number: float) -> bytes:
        try:
            return struct.pack(self.floating, number)
        except OverflowError:
            raise ValueError(f"{self.key}: {number:g} does not fit") from None


def codec_of(point: Point, profile: Profile, exponent: int = 0) -> Codec:
    """Return the number format of a point that is not a string.

    `exponent` is the content of the point's scale register and counts only for a point
    that has one.
    """
    factor = point.scale
    if isinstance(factor, ScaleRegister):
        factor = float(f"1e{exponent}")
    turn = -1.0 if point.positive in _TURNED else 1.0
    bits = 16 * point.count
    signed = point.type.startswith("i")
    little = (point.word_order or profile.word_order) == "little"
    patterns = point.not_available
    if patterns is None:
        patterns = profile.not_available.get(point.type, ())
    return Codec(
        key=point.key,
        count=point.count,
        little=little and point.count > 1 and point.high_word is None,
        factor=turn * factor,
        offset=turn * point.offset,
        floating=_FLOATS.get(point.type, ""),
        low=-(1 << bits - 1) if signed else 0,
        high=(1 << bits - 1) - 1 if signed else (1 << bits) - 1,
        absent=(patterns,) if isinstance(patterns, int) else patterns,
    )


def encode_text(point: Point, text: str) -> bytes:
    """Return the words of a text, zero-padded; raises ValueError if it does not fit."""
    size = 2 * point.count
    if point.encoding == "reversed_hex":
        return _reversed_hex(point, text)
    data = text.encode()
    if len(data) > size:
        raise ValueError(f"{point.key}: {text!r} is longer than {size} bytes")
    return data.ljust(size, b"\0")


def swap_words(data: bytes) -> bytes:
    """Return the same 16-bit words in the opposite order."""
    return b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))


def as_written(number: float) -> Fraction:
    """Return the decimal number that a float was written as: 0.1 is one tenth."""
    return Fraction(str(number))


def _reversed_hex(point: Point, text: str) -> bytes:
    digits = 4 * point.count
    try:
        data = bytes.fromhex(
            "".join(text[i : i + 4][::-1] for i in range(0, digits, 4))
        )
    except ValueError:
        data = b""
    if len(text) != digits or 2 * len(data) != digits:
        raise ValueError(f"{point.key}: {text!r} is not {digits} hexadecimal digits")
    return data

"""How a value becomes the registers of a point, and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister

if TYPE_CHECKING:
    from egw.devices.profile import Point, WordOrder

_FLOATS = {"f32": ">f", "f64": ">d"}


@dataclass(frozen=True, slots=True)
class Codec:
    """The number format of one point; made once, used many times."""

    count: int
    little: bool
    """Whether the low word comes first."""
    factor: float
    offset: float
    floating: str
    """Format of a floating-point type; empty for whole numbers."""
    low: int
    high: int
    """Raw numbers outside these are cut; all-ones patterns mean "no value"."""

    def encode(self, value: float) -> bytes:
        """Return the words of `value`, which is in the point's unit."""
        if self.floating:
            data = struct.pack(self.floating, (value - self.offset) / self.factor)
        else:
            raw = round((value - self.offset) / self.factor)
            raw = min(max(raw, self.low), self.high)
            data = raw.to_bytes(2 * self.count, "big", signed=self.low < 0)
        return swap_words(data) if self.little else data

    def decode(self, data: bytes) -> float:
        """Return the value that the words mean, in the point's unit."""
        ordered = swap_words(data) if self.little else data
        raw: float
        if self.floating:
            (raw,) = struct.unpack(self.floating, ordered)
        else:
            raw = int.from_bytes(ordered, "big", signed=self.low < 0)
        return raw * self.factor + self.offset


def codec_of(point: Point, word_order: WordOrder, exponent: int = 0) -> Codec:
    """Return the number format of a point that is not a string.

    `word_order` is the profile's; `exponent` is the content of the point's scale
    register and counts only for a point that has one.
    """
    factor = 10.0**exponent if isinstance(point.scale, ScaleRegister) else point.scale
    bits = 16 * point.count
    signed = point.type.startswith("i")
    return Codec(
        count=point.count,
        little=(point.word_order or word_order) == "little" and point.count > 1,
        factor=float(factor),
        offset=point.offset,
        floating=_FLOATS.get(point.type, ""),
        low=-(1 << bits - 1) + 1 if signed else 0,
        high=(1 << bits - 1) - 2 if signed else (1 << bits) - 2,
    )


def encode_text(text: str, count: int) -> bytes:
    """Return `count` words of text, two characters a word, zero-padded."""
    return text.encode("latin-1", "replace")[: 2 * count].ljust(2 * count, b"\0")


def swap_words(data: bytes) -> bytes:
    """Return the same 16-bit words in the opposite order."""
    return b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2))

"""A second decoder, slow and simple, to compare the real one with.

It shares nothing with it but the profile types: registers are numbers in a dictionary,
arithmetic is in fractions.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from egw.devices.profile import Derived, Point, Profile, RegisterRange, ScaleRegister

Registers = dict[tuple[str, int], int]
"""What a device holds, by table and address."""

SIGNED = ("i16", "i32", "i64")


@dataclass
class Near:
    """A number that binary arithmetic may miss by a little."""

    number: Fraction | float
    tolerance: float

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, int | float)
        return abs(other - self.number) <= self.tolerance


@dataclass
class Exactly:
    """A number that is told as it is, or as the nearest binary fraction."""

    number: Fraction

    def __eq__(self, other: object) -> bool:
        return other == (self.number if isinstance(other, int) else float(self.number))


class NaiveDecoder:
    """What the answered ranges of a device's registers mean."""

    def __init__(
        self, profile: Profile, answered: list[RegisterRange], held: Registers
    ) -> None:
        self._profile = profile
        self._answered = answered
        self._held = held

    def decode(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for point in self._profile.points:
            value = self._value(point)
            if value is not None:
                values.setdefault(point.key, value)
        told = {
            key: Exactly(value) if isinstance(value, Fraction) else value
            for key, value in values.items()
        }
        for derived in self._profile.derived:
            value = self._computed(derived, values)
            if value is not None:
                told.setdefault(derived.key, value)
        return told

    def _value(self, point: Point) -> Any:
        if self._applies(point) is not True or not self._is_answered(point):
            return None
        numbers = self._words(point)
        data = b"".join(number.to_bytes(2) for number in numbers)
        if point.type == "str":
            return text(data) if point.encoding == "ascii" else turned(data)
        if int.from_bytes(data) in self._patterns(point):
            return None
        if point.type == "bitfield":
            bits = bin(int.from_bytes(data))[:1:-1]
            return [
                point.bits.get(n, f"bit{n}") for n, b in enumerate(bits) if b == "1"
            ]
        if point.type in ("f32", "f64"):
            return self._float(point, data)
        number = int.from_bytes(data)
        if point.type in SIGNED and number >= 1 << 8 * len(data) - 1:
            number -= 1 << 8 * len(data)
        if point.values:
            return point.values.get(number, number)
        return self._scaled(point, number)

    def _float(self, point: Point, data: bytes) -> Any:
        (number,) = struct.unpack(">f" if point.type == "f32" else ">d", data)
        if not math.isfinite(number):
            return None
        value = self._scaled(point, Fraction(number))
        if value is None or abs(value) >= Fraction(2) ** 1024:
            return None
        near = float(abs(Fraction(number) * Fraction(str(point.scale))))
        near += abs(point.offset)
        single = point.type == "f32"
        return Near(value, 1e-7 * near + 1e-44 if single else 1e-14 * near + 1e-322)

    def _scaled(self, point: Point, number: int | Fraction) -> Fraction | None:
        if isinstance(point.scale, ScaleRegister):
            exponent = self._held[point.function, point.scale.register]
            exponent -= 65536 if exponent >= 32768 else 0
            if not -10 <= exponent <= 10:
                return None
            scale = Fraction(10) ** exponent
        else:
            scale = Fraction(str(point.scale))
        value = number * scale + Fraction(str(point.offset))
        condition = point.reversed_when
        if condition is not None and value > 0:
            flags = self._held[point.function, condition.register]
            if flags & condition.mask == condition.equals:
                value = -value
        return -value if point.positive in ("export", "discharge") else value

    def _words(self, point: Point) -> list[int]:
        if point.high_word is not None:
            addresses = [point.high_word, point.address]
        else:
            addresses = list(range(point.address, point.address + point.count))
            order = point.word_order or self._profile.word_order
            if order == "little" and point.type != "str":
                addresses.reverse()
        return [self._held[point.function, address] for address in addresses]

    def _patterns(self, point: Point) -> tuple[int, ...]:
        patterns = point.not_available
        if patterns is None:
            patterns = self._profile.not_available.get(point.type, ())
        return patterns if isinstance(patterns, tuple) else (patterns,)

    def _applies(self, point: Point) -> bool | None:
        if not point.applies_to:
            return True
        known = []
        for name in point.applies_to:
            variant = self._profile.variants[name]
            if self._has(variant.function, variant.address, variant.address):
                number = self._held[variant.function, variant.address]
                known.append(any(a <= number <= b for a, b in variant.within))
        if any(known):
            return True
        return False if len(known) == len(point.applies_to) else None

    def _is_answered(self, point: Point) -> bool:
        """Tell whether the point and what it depends on were answered."""
        first = last = point.address
        if point.high_word is None:
            last += point.count - 1
        else:
            first, last = sorted((point.address, point.high_word))
        places = [(first, last)]
        if isinstance(point.scale, ScaleRegister):
            places.append((point.scale.register, point.scale.register))
        if point.reversed_when is not None:
            register = point.reversed_when.register
            places.append((register, register))
        return all(self._has(point.function, *place) for place in places)

    def _has(self, function: str, first: int, last: int) -> bool:
        return any(
            part.function == function
            and part.address <= first
            and last < part.address + part.count
            for part in self._answered
        )

    def _computed(self, derived: Derived, values: dict[str, Any]) -> Any:
        pairs = [key for pair in derived.products for key in pair]
        for key in (*derived.sum, *pairs, *derived.minus):
            if key not in values and not self._was_settled(key):
                return None
        added = [values.get(key) for key in derived.sum]
        for one, other in derived.products:
            both = one in values and other in values
            added.append(values[one] * values[other] if both else None)
        known = [term for term in added if term is not None]
        if not known or any(key not in values for key in derived.minus):
            return None
        known += [-values[key] for key in derived.minus]
        return Near(sum(known), 1e-6 + 1e-12 * float(sum(abs(t) for t in known)))

    def _was_settled(self, key: str) -> bool:
        return all(
            applies is False or (applies is True and self._is_answered(point))
            for point in self._profile.points
            if point.key == key
            for applies in [self._applies(point)]
        )


def text(data: bytes) -> str | None:
    try:
        content = data.strip(b"\0 ").split(b"\0")[0].decode().strip()
    except UnicodeDecodeError:
        return None
    return content if content.isprintable() and content else None


def turned(data: bytes) -> str | None:
    if set(data) in ({0}, {255}):
        return None
    registers = struct.unpack(f">{len(data) // 2}H", data)
    return "".join(f"{number:04X}"[::-1] for number in registers)

"""The points of a simulated device as places in its registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister
from simulators.codec import Codec, codec_of, encode_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egw.devices.profile import Point, Profile
    from simulators.bank import Bank
    from simulators.kind import Kind, Place

    Content = float | str | Sequence[str] | None
    """What a point says: a number, a text, flags, or None for "no value"."""

LARGEST_EXPONENT = 10
"""Of a scale register; beyond it the device says that it has no scale."""

_EXPONENT_OF_UNIT = {"Hz": -2, "V": -1, "A": -2, "°C": -2, "%": -2, "": -3}
"""Power of ten that a device with scale registers reports, by unit; others 0."""


@dataclass(frozen=True, slots=True)
class Field:
    """One point and the memory of its registers."""

    point: Point
    codec: Codec
    slots: tuple[memoryview, ...]
    """The registers; of a point with a high word, that one and the low one."""

    def put(self, words: bytes) -> None:
        """Write the words of the point, high word first."""
        if len(self.slots) == 1:
            self.slots[0][:] = words
        else:
            self.slots[0][:], self.slots[1][:] = words[:2], words[2:]

    def words_of(self, content: Content) -> bytes:
        """Return the words that say `content`.

        Raises ValueError when the point cannot say that.
        """
        point = self.point
        if content is None:
            return self.nothing()
        if point.type == "str":
            if not isinstance(content, str):
                raise ValueError(f"{point.key}: expected a text, got {content!r}")
            return encode_text(point, content)
        if isinstance(content, str):
            return self.codec.encode_exact(self._code(content))
        if isinstance(content, bool) or not isinstance(content, int | float):
            return self.codec.pack(self._bits(content))
        return self.codec.encode_exact(content)

    def nothing(self) -> bytes:
        """Return the words that mean "no value"; raises ValueError: there are none."""
        words = None if self.point.type == "str" else self.codec.nothing()
        if words is None and (self.point.type == "str" or self.codec.floating):
            # An empty text and a NaN are absent without a pattern.
            filler = b"\x7f\xff" if self.codec.floating else b"\0\0"
            return filler * self.point.count
        if words is None:
            raise ValueError(f'{self.point.key}: has no pattern for "no value"')
        return words

    def _code(self, text: str) -> int:
        for code, meaning in self.point.values.items():
            if meaning == text:
                return code
        known = ", ".join(self.point.values.values()) or "a number"
        raise ValueError(f"{self.point.key}: expected {known}, got {text!r}")

    def _bits(self, flags: object) -> int:
        point = self.point
        names = {point.bits.get(n, f"bit{n}"): n for n in range(16 * point.count)}
        if point.type != "bitfield" or not isinstance(flags, list | tuple):
            raise ValueError(f"{point.key}: expected a number, got {flags!r}")
        unknown = [flag for flag in flags if flag not in names]
        if unknown:
            known = ", ".join(names)
            raise ValueError(f"{point.key}: no flag {unknown[0]!r}; there are: {known}")
        return sum(1 << names[flag] for flag in flags)


def told_by(fields: Sequence[Field], content: Content) -> list[tuple[Field, bytes]]:
    """Return what alternatives of one key say, so that the key says `content`.

    One that cannot say it (a register for charging while discharging) says "no value",
    or as near as it can when one before it tells. Raises ValueError when none can.
    """
    said: list[tuple[Field, bytes]] = []
    told = False
    refused: ValueError | None = None
    for field in fields:
        try:
            said.append((field, field.words_of(content)))
            told = True
        except ValueError as error:
            refused = refused or error
            words = field.codec.nothing()
            if words is None and told and isinstance(content, int | float):
                words = field.codec.encode(content)
            if words is None:
                raise
            said.append((field, words))
    if refused is not None and not told:
        raise refused
    return said


def fields_of(
    profile: Profile, kind: Kind, bank: Bank, exponents: Mapping[Place, int]
) -> list[Field]:
    """Return the fields of a device's points, in the profile's order."""
    return [
        Field(point, _codec(point, profile, exponents), tuple(_slots(point, bank)))
        for point in kind.points
    ]


def usual_exponents(points: Sequence[Point]) -> dict[Place, int]:
    """Return what the scale registers of points say, by their units."""
    return {
        (point.function, point.scale.register): _EXPONENT_OF_UNIT.get(point.unit, 0)
        for point in points
        if isinstance(point.scale, ScaleRegister)
    }


def _codec(point: Point, profile: Profile, exponents: Mapping[Place, int]) -> Codec:
    exponent = 0
    if isinstance(point.scale, ScaleRegister):
        exponent = exponents[point.function, point.scale.register]
    usable = abs(exponent) <= LARGEST_EXPONENT
    return codec_of(point, profile, exponent if usable else 0)


def _slots(point: Point, bank: Bank) -> Sequence[memoryview]:
    if point.high_word is None:
        return (bank.slot(point.function, point.address, point.count),)
    return (
        bank.slot(point.function, point.high_word, 1),
        bank.slot(point.function, point.address, 1),
    )

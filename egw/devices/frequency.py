"""The grid frequency: which registers have it, and what they say."""

from __future__ import annotations

from collections.abc import Iterable

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.profile import (
    Point,
    Profile,
    ProfileError,
    RegisterRange,
    ScaleRegister,
)

FREQUENCY_LIMITS_HZ = (40.0, 70.0)
"""What a grid can have; anything else in a frequency register is not a frequency."""


class FrequencyDecoder:
    """The frequency of one profile's devices."""

    def __init__(self, profile: Profile) -> None:
        self._key = profile.frequency
        self._decoder = Decoder(profile, keys={profile.frequency})

    def frequency_hz(self, block: Block) -> float | None:
        """Return the grid frequency in a block of one of the `frequency_ranges`.

        None when the block does not have it, the device has none to tell, or the
        number lies outside `FREQUENCY_LIMITS_HZ`.
        """
        value = self._decoder.decode((block,)).get(self._key)
        if not isinstance(value, int | float):
            return None
        low_hz, high_hz = FREQUENCY_LIMITS_HZ
        return float(value) if low_hz <= value <= high_hz else None


def frequency_ranges(profile: Profile) -> tuple[RegisterRange, ...]:
    """Return the smallest reads that have the frequency, the first choice first.

    Each has what the point depends on: its scale register, the registers that tell its
    variants. Raises ProfileError when one read cannot have all.
    """
    ranges: list[RegisterRange] = []
    for point in profile.alternatives(profile.frequency):
        wanted = _range_of(point, profile)
        if all(wanted != known for known in ranges):
            ranges.append(wanted)
    return tuple(ranges)


def _range_of(point: Point, profile: Profile) -> RegisterRange:
    registers = set(_registers_of(point, profile))
    first, end = min(registers), max(registers) + 1
    most = profile.manners.max_registers
    if end - first > most:
        raise ProfileError(
            f"point {point.key}: what it depends on is {end - first} registers away; "
            f"one read has {most}"
        )
    return RegisterRange(function=point.function, address=first, count=end - first)


def _registers_of(point: Point, profile: Profile) -> Iterable[int]:
    yield from range(point.address, point.end)
    if isinstance(point.scale, ScaleRegister):
        yield point.scale.register
    for name in point.applies_to:
        variant = profile.variants[name]
        if variant.function != point.function:
            raise ProfileError(
                f"point {point.key}: variant {name} is told by a register of "
                "another table, which one read cannot have"
            )
        yield variant.address

"""The grid frequency: which registers have it, and what they say."""

from __future__ import annotations

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.needs import needs_of
from egw.devices.profile import Point, Profile, ProfileError, RegisterRange

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

    Each has what the point depends on, as `needs_of` says. Raises ProfileError when
    one read cannot have all.
    """
    points = profile.alternatives(profile.frequency)
    return tuple(dict.fromkeys(_range_of(point, profile) for point in points))


def _range_of(point: Point, profile: Profile) -> RegisterRange:
    registers = {(point.function, a) for a in range(point.address, point.end)}
    registers.update(*(need.registers for need in needs_of(point, profile)))
    if {function for function, _ in registers} != {point.function}:
        raise ProfileError(
            f"point {point.key}: the register of a variant is in another table, which "
            "one read cannot have"
        )
    addresses = [address for _, address in registers]
    count = max(addresses) + 1 - min(addresses)
    most = profile.manners.max_registers
    if count > most:
        raise ProfileError(
            f"point {point.key}: what it depends on spans {count} registers; one read "
            f"has {most}"
        )
    return RegisterRange(function=point.function, address=min(addresses), count=count)

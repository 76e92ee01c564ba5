"""Readings to named points, decoded when someone asks and once for each reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from egw.devices.decode import Decoder
from egw.devices.derived import parts_of
from egw.devices.missing import Expected, cut
from egw.devices.model import data_model, power_w

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egw.devices.blocks import Block
    from egw.devices.profile import Profile
    from egw.messages import Reading, Suspect

_PATIENCE = 2
"""A full reading counts for so many times as long as it takes until the next."""


class PointTable:
    """What one profile's readings say: values, units, what a full one should have."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.units = profile.units
        self.expected = Expected(profile)
        self._decoder = Decoder(profile)

    def decode(self, blocks: Sequence[Block], *, complete: bool) -> dict[str, Any]:
        """Return the values of the points that the blocks have."""
        return dict(self._decoder.decode(blocks, complete=complete))

    def slim_keys(self, blocks: Sequence[Block], *, complete: bool) -> set[str]:
        """Return what of a full reading is also read by the cycles between them."""
        slim = cut(blocks, self.profile.harvest.slim)
        return set(self.decode(slim, complete=complete))

    def without(self, values: dict[str, Any], keys: set[str]) -> dict[str, Any]:
        """Return the values without `keys`, and without what is computed from them."""
        tainted = keys | {
            derived.key
            for derived in self.profile.derived
            if not keys.isdisjoint(parts_of(derived))
        }
        return {key: value for key, value in values.items() if key not in tainted}

    def frequency_hz(self, values: dict[str, Any]) -> float | None:
        """Return the frequency that the values have."""
        value = values.get(self.profile.frequency)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class DecodedReading:
    """A reading and what can be made of it."""

    reading: Reading
    suspects: tuple[Suspect, ...]
    load_table: Callable[[], PointTable]

    @cached_property
    def table(self) -> PointTable:
        """How it is decoded. Raises ProfileError when its profile is wrong."""
        return self.load_table()

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values by key, without those that cannot be right."""
        reading = self.reading
        values = self.table.decode(reading.blocks, complete=reading.complete)
        if not self.suspects:
            return values
        return self.table.without(values, {suspect.key for suspect in self.suspects})

    @cached_property
    def slim_keys(self) -> set[str]:
        """Keys that the cycles between full ones read, too."""
        reading = self.reading
        return self.table.slim_keys(reading.blocks, complete=reading.complete)


@dataclass(frozen=True)
class CurrentPoints:
    """What is known of a device now: the newest reading over the last full one.

    What the newest one asked for and did not get is missing, not what it was before.
    """

    newest: DecodedReading
    last_full: DecodedReading | None
    """None when there was none, or the newest one is full itself."""
    reading_rate_hz: float
    """How often the device is read."""

    @cached_property
    def full(self) -> DecodedReading | None:
        """The last full reading, unless a later full one should have come by now."""
        if self.last_full is None:
            return None
        every = self.newest.table.profile.harvest.full_every
        period_ms = 1000 / min(self.reading_rate_hz, 1.0) if self.reading_rate_hz else 0
        age_ms = self.stamp_ms - self.last_full.reading.stamp_ms
        bound_ms = _PATIENCE * every * max(period_ms, 1000)
        return self.last_full if age_ms <= bound_ms else None

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values by key."""
        if self.full is None:
            return self.newest.values
        newest, full = self.newest.values, self.full
        gone = full.slim_keys - newest.keys()
        gone |= {suspect.key for suspect in self.newest.suspects}
        return full.table.without(full.values, gone) | newest

    @cached_property
    def json(self) -> msgspec.Raw:
        """The points, in the profile's order: `{key: {"value": ..., "unit": ...}}`."""
        values = self.values
        points = {
            key: {"value": values[key], "unit": unit}
            for key, unit in self.newest.table.units.items()
            if key in values
        }
        return msgspec.Raw(msgspec.json.encode(points))

    @cached_property
    def suspects(self) -> list[Suspect]:
        """The values that cannot be right; they are not among the values."""
        found = {s.key: s for r in self._readings for s in r.suspects}
        return [s for key, s in found.items() if key not in self.values]

    @cached_property
    def missing(self) -> list[str]:
        """The points that should be here and are not; suspect ones are not missing."""
        known = self.values.keys() | {suspect.key for suspect in self.suspects}
        blocks = [b for reading in self._readings for b in reading.reading.blocks]
        return list(self.newest.table.expected.missing(known, blocks))

    @cached_property
    def model(self) -> dict[str, dict[str, Any]]:
        """The parts of the common data model; its time is that of the newest reading.

        What only full readings have may be older than that.
        """
        reading = self.newest.reading
        return data_model(
            self.newest.table.profile,
            self.values,
            stamp_ms=reading.stamp_ms,
            read_time_ms=max(0, reading.last_read_ms - reading.stamp_ms),
        )

    @property
    def stamp_ms(self) -> int:
        """Start of the newest reading."""
        return self.newest.reading.stamp_ms

    @property
    def first_read_ms(self) -> int:
        """When the first register of all these values was read."""
        return min(reading.reading.first_read_ms for reading in self._readings)

    @property
    def last_read_ms(self) -> int:
        """When the last register of all these values was read."""
        return max(reading.reading.last_read_ms for reading in self._readings)

    @property
    def power_w(self) -> float | None:
        """The power that says what the device does."""
        return power_w(self.values)

    @property
    def frequency_hz(self) -> float | None:
        """The grid frequency in the newest reading."""
        return self.newest.table.frequency_hz(self.newest.values)

    @property
    def _readings(self) -> list[DecodedReading]:
        return [self.newest] if self.full is None else [self.full, self.newest]

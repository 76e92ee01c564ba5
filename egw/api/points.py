"""Readings to named points, decoded when someone asks and once for each reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from egw.devices.decode import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.devices.profile import Profile
    from egw.messages import Reading

_POWER_KEYS = (
    "pv_power_w",
    "active_power_w",
    "hybrid_active_power_w",
    "tlx_active_power_w",
)


class PointTable:
    """The points of one profile: how to decode them, and in which units."""

    def __init__(self, profile: Profile) -> None:
        self._decoder = Decoder(profile)
        self._frequency_key = profile.frequency
        self.units = {point.key: point.unit for point in profile.points}
        self.expected = [
            point.key
            for point in profile.points
            if not point.applies_to
            and any(
                point.function == run.function
                and run.address <= point.address
                and point.end <= run.end
                for run in profile.harvest
            )
        ]
        """Points that a complete harvest of any such device has."""

    def decode(self, reading: Reading) -> dict[str, Any]:
        """Return the values of the points that the reading has."""
        return dict(self._decoder.decode(reading.blocks))

    def power_w(self, values: dict[str, Any]) -> float | None:
        """Return the power now: from the panels where there are any, else at the grid.

        What reaches the grid of a hybrid inverter says little: the battery takes part.
        """
        for key in _POWER_KEYS:
            value = values.get(key)
            if isinstance(value, int | float):
                return float(value)
        return None

    def frequency_hz(self, values: dict[str, Any]) -> float | None:
        """Return the frequency that the reading has."""
        value = values.get(self._frequency_key)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class DecodedReading:
    """A reading and what can be made of it."""

    reading: Reading
    load_table: Callable[[], PointTable]

    @cached_property
    def table(self) -> PointTable:
        """How it is decoded. Raises ProfileError when its profile is wrong."""
        return self.load_table()

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values by key."""
        return self.table.decode(self.reading)

    @cached_property
    def json(self) -> msgspec.Raw:
        """The points as `{key: {"value": ..., "unit": ...}}`."""
        units = self.table.units
        points = {
            key: {"value": value, "unit": units[key]}
            for key, value in self.values.items()
        }
        return msgspec.Raw(msgspec.json.encode(points))

    @property
    def missing(self) -> list[str]:
        """The points that a complete reading would have and this one has not."""
        return [key for key in self.table.expected if key not in self.values]

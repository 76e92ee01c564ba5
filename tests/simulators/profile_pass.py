"""Values for every point of a simulated device: extremes, negative and random ones."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from profile_values import (
    FLOATS,
    anywhere,
    flags_value,
    float_value,
    lowest,
    patterns,
    present,
    raw_bounds,
    raw_of,
    text_value,
    value_of,
)

from egw.devices.profile import ScaleRegister
from simulators.kind import Kind, registers_of

if TYPE_CHECKING:
    from profile_site import Site
    from profile_values import Pick

    from egw.devices.profile import Point


class Values:
    """Values for all points of a device in one pass."""

    def __init__(self, site: Site, pick: Pick, seed: str, exponent: int) -> None:
        self.site = site
        self.pick = pick
        self.chance = random.Random(seed)
        self.sign = -1 if pick is lowest else 1
        if pick is anywhere:
            self.sign = self.chance.choice((-1, 1))
        self.exponent = exponent
        self.expected: dict[str, Any] = {}

    def set_all(self) -> None:
        """Hold every key at a value, the scale registers first."""
        keys = dict.fromkeys(point.key for point in self.site.points)
        scales = [key for key in keys if self._is_scale(key)]
        for key in scales:
            self.site.device.set_point(key, self.exponent)
            self.expected[key] = self.exponent
        for key in keys:
            if key not in scales and not self._tells_direction(key):
                self._set(key)

    @property
    def unset(self) -> set[str]:
        """Keys that were left as they are."""
        return {point.key for point in self.site.points} - self.expected.keys()

    @property
    def telling(self) -> set[str]:
        """Keys that tell the kind of device or the direction of another point."""
        kind = self.site.kind
        keys = {point.key for point in kind.points}
        return {
            key
            for key in keys
            if self._tells_direction(key) or tells_kind(kind, kind.alternatives(key))
        }

    def _set(self, key: str) -> None:
        points = self.site.kind.alternatives(key)
        if tells_kind(self.site.kind, points):
            self._set_within_kind(key, points)
            return
        value = self._value(points)
        self.site.device.set_point(key, value)
        self.expected[key] = value

    def _set_within_kind(self, key: str, points: tuple[Point, ...]) -> None:
        """Set a point that tells the kind, to something that this kind says."""
        for _ in range(20):
            value = self._value(points)
            try:
                self.site.device.set_point(key, value)
            except ValueError:
                self.pick = anywhere
                continue
            self.expected[key] = value
            return

    def _value(self, points: tuple[Point, ...]) -> Any:
        first = points[0]
        if first.type == "str":
            hexadecimal = [p for p in points if p.encoding == "reversed_hex"]
            shortest = min(points, key=lambda point: point.count)
            return text_value((*hexadecimal, shortest)[0], self.pick, self.chance)
        if first.type == "bitfield":
            return flags_value(first, self.site.profile, self.pick, self.chance)
        if first.type in FLOATS and len(points) == 1:
            return float_value(first, self.pick, self.chance)
        if first.values:
            return self._listed(first)
        points = self._of_one_direction(points)
        first = points[0]
        return value_of(self._raw(points), first, self.exponent)

    def _of_one_direction(self, points: tuple[Point, ...]) -> tuple[Point, ...]:
        """Of registers for two directions, return those that this pass is about."""
        unsigned = [p for p in points if p.type.startswith("u") and p.positive]
        if len({turned(point) for point in unsigned}) < 2:
            return points
        return tuple(p for p in unsigned if turned(p) == (self.sign < 0))

    def _listed(self, point: Point) -> str:
        texts = [
            text
            for raw, text in point.values.items()
            if raw not in patterns(point, self.site.profile)
        ]
        return self.chance.choice(texts)

    def _raw(self, points: tuple[Point, ...]) -> int:
        """Return a raw number of the first alternative whose value all others fit."""
        first = points[0]
        profile = self.site.profile
        lows, highs = zip(*map(self._bounds, points), strict=True)
        ends = [
            raw_of(value, first, self.exponent) for value in (max(lows), min(highs))
        ]
        low, high = sorted(ends)
        raws = [-int(-low // 1), int(high // 1)]
        assert raws[0] <= raws[1], f"{first.key}: alternatives share no value"
        return present(self.pick(raws, self.chance), first, profile)

    def _bounds(self, point: Point) -> tuple[float, float]:
        low, high = raw_bounds(point)
        if point.type in FLOATS:
            return (-1e6, 1e6)
        if point.reversed_when is not None:
            # Points that share a direction are all turned or none is.
            low, high = (-high, 0) if self.sign < 0 else (0, high)
        profile = self.site.profile
        raws = present(low, point, profile), present(high, point, profile)
        first, last = sorted(value_of(raw, point, self.exponent) for raw in raws)
        return first, last

    def _is_scale(self, key: str) -> bool:
        (point, *_) = self.site.kind.alternatives(key)
        return (point.function, point.address) in scale_registers(self.site)

    def _tells_direction(self, key: str) -> bool:
        places = {
            (p.function, p.reversed_when.register)
            for p in self.site.points
            if p.reversed_when is not None
        }
        points = self.site.kind.alternatives(key)
        return any(not places.isdisjoint(registers_of(point)) for point in points)


def turned(point: Point) -> bool:
    return point.positive in ("export", "discharge")


def scale_registers(site: Site) -> set[tuple[str, int]]:
    return {
        (point.function, point.scale.register)
        for point in site.points
        if isinstance(point.scale, ScaleRegister)
    }


def tells_kind(kind: Kind, points: tuple[Point, ...]) -> bool:
    return any(not kind.words.keys().isdisjoint(registers_of(p)) for p in points)

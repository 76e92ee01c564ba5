"""Energy counters that cannot be right: they fell, or rose faster than power allows.

A counter of a life (`_total_wh`) only rises; one of a day (`_today_wh`) also begins
anew. Devices break both rules when they are busy or asleep, or answer half of a
number. Such a value is doubted until the counter is plausible again, or until the new
level has held for a while: an inverter was replaced, a counter was reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from egw.devices.blocks import Block
from egw.devices.decode import LARGEST_EXPONENT, Decoder
from egw.devices.derived import parts_of
from egw.devices.meaning import Number, Value
from egw.devices.profile import Derived, Point, Profile, ScaleRegister
from egw.messages import Suspect

LIFETIME, DAILY = "_total_wh", "_today_wh"

LAG_S = 300.0
"""The energy of so long may show late: many devices count on every five minutes."""

HOLDS_S = 60.0
"""A level that was implausible is taken when it has held so long."""

STEPS = 2
"""Of a counter's resolution, by which a rise may exceed what power allows."""

RATING = "rated_power_w"
RATING_FACTOR = 2.0
"""Panels and battery together may carry more than the inverter's AC rating."""

_OWN = ("energy_generated_", "pv_", "battery_")
"""What flows through the device itself; a grid connection bears more than its rating.
"""


class CounterGuard:
    """Watches the energy counters of one device. Pure: time comes with each call."""

    def __init__(self, profile: Profile) -> None:
        self._most_w = float(profile.max_power_w)
        self._rated_w = 0.0
        self._counters = _counters_of(profile)
        self._computed = [
            (derived.key, parts_of(derived))
            for derived in profile.derived
            if not self._counters.keys().isdisjoint(parts_of(derived))
        ]
        exponents = (key for c in self._counters.values() for key in c.exponents)
        computed = (key for key, _ in self._computed)
        keys = {RATING, *self._counters, *exponents, *computed}
        self._decoder = Decoder(profile, keys=keys)

    def suspects(self, blocks: Iterable[Block], now_s: float) -> tuple[Suspect, ...]:
        """Return the values in these blocks that are not to be published as good.

        `now_s` is on any clock that does not step back. A value computed from a
        doubtful counter is doubtful too. The first value of a counter is believed.
        """
        values = self._decoder.decode(blocks)
        self._learn_rating(values.get(RATING))
        found: dict[str, Suspect] = {}
        for key, counter in self._counters.items():
            value = values.get(key)
            if isinstance(value, int | float):
                limit_w = self._limit_w(key)
                reason = counter.doubt(value, now_s, limit_w, counter.step_wh(values))
                if reason is not None:
                    found[key] = Suspect(key, float(value), reason)
        for key, parts in self._computed:
            value, bad = values.get(key), next((p for p in parts if p in found), None)
            if isinstance(value, int | float) and bad is not None:
                computed = Suspect(key, float(value), f"is computed from {bad}")
                found.setdefault(key, computed)
        return tuple(found.values())

    def _learn_rating(self, rated_w: Value | None) -> None:
        if isinstance(rated_w, int | float) and 0 < rated_w <= self._most_w:
            self._rated_w = max(self._rated_w, rated_w)

    def _limit_w(self, key: str) -> float:
        if self._rated_w and key.startswith(_OWN):
            return min(self._most_w, RATING_FACTOR * self._rated_w)
        return self._most_w


@dataclass(slots=True)
class _Level:
    """Where a counter stood."""

    value_wh: Number
    at_s: float
    unseen_s: float = LAG_S
    """Time at full power whose energy the counter may not have shown yet; negative when
    it is ahead by a part of its steps."""

    def passed_s(self, now_s: float) -> float:
        """Return the time since then."""
        return max(0.0, now_s - self.at_s)

    def doubt(
        self, value_wh: Number, now_s: float, limit_w: float, step_wh: float
    ) -> str | None:
        """Return why the counter cannot stand at the value now; None when it can."""
        if value_wh < self.value_wh:
            return f"fell from {self.value_wh:.15g} Wh to {value_wh:.15g} Wh"
        rise_wh = value_wh - self.value_wh
        energy_wh = (self.unseen_s + self.passed_s(now_s)) * limit_w / 3600
        if rise_wh > energy_wh + STEPS * step_wh:
            return f"leapt by {rise_wh:.15g} Wh where {energy_wh:.0f} Wh are possible"
        return None

    def move(self, value_wh: Number, now_s: float, limit_w: float) -> None:
        """Note a plausible value."""
        shown_s = (value_wh - self.value_wh) * 3600 / limit_w
        unseen_s = self.unseen_s + self.passed_s(now_s) - shown_s
        self.unseen_s = min(unseen_s, LAG_S)
        self.value_wh, self.at_s = value_wh, now_s


class _Counter:
    """What one counter has said."""

    def __init__(self, key: str, points: Iterable[Point], profile: Profile) -> None:
        scales = [(point.function, point.scale) for point in points]
        where = {(p.function, p.address): p.key for p in profile.points}
        self._step_wh = sum(abs(s) for _, s in scales if isinstance(s, int | float))
        self.exponents = tuple(
            where[function, scale.register]
            for function, scale in scales
            if isinstance(scale, ScaleRegister)
        )
        """Keys of the powers of ten that the device itself tells."""
        self._is_daily = key.endswith(DAILY)
        self._good: _Level | None = None
        self._odd: _Level | None = None
        self._odd_until_s = 0.0

    def step_wh(self, values: Mapping[str, Value]) -> float:
        """Return the counter's resolution, or a little more."""
        told = (values.get(key) for key in self.exponents)
        powers = (10.0 ** min(e, LARGEST_EXPONENT) for e in told if isinstance(e, int))
        return self._step_wh + sum(powers)

    def doubt(
        self, value_wh: Number, now_s: float, limit_w: float, step_wh: float
    ) -> str | None:
        """Note a value; return why it cannot be right, or None when it can."""
        if self._good is None:
            self._good = _Level(value_wh, now_s)
            return None
        reason = self._good.doubt(value_wh, now_s, limit_w, step_wh)
        if reason is None:
            self._good.move(value_wh, now_s, limit_w)
            self._odd = None
            return None
        if self._odd is None or self._odd.doubt(value_wh, now_s, limit_w, step_wh):
            since_wh = self._good.passed_s(now_s) * limit_w / 3600 + STEPS * step_wh
            is_new_day = self._is_daily and value_wh <= since_wh
            self._odd = _Level(value_wh, now_s)
            self._odd_until_s = now_s + (0.0 if is_new_day else HOLDS_S)
            return reason
        self._odd.move(value_wh, now_s, limit_w)
        # Zero is what devices say that sleep, all night long.
        if now_s < self._odd_until_s or (value_wh == 0 and not self._is_daily):
            return reason
        self._good, self._odd = self._odd, None
        return None


def _counters_of(profile: Profile) -> dict[str, _Counter]:
    """Return the profile's counters by key; a difference may fall and is none."""
    keys = dict.fromkeys(point.key for point in profile.points)
    sums: dict[str, Derived] = {d.key: d for d in profile.derived if not d.minus}
    counters: dict[str, _Counter] = {}
    for key in [*keys, *sums]:
        if key.endswith((LIFETIME, DAILY)) and key not in counters:
            parts = parts_of(sums[key]) if key in sums else ()
            points = [p for p in profile.points if p.key in (key, *parts)]
            counters[key] = _Counter(key, points, profile)
    return counters

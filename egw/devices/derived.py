"""Values that are computed from points: sums of trackers, import minus export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from egw.devices.meaning import Number, Value
from egw.devices.profile import Derived, Profile

_DECIMALS = 6
"""Kept of a sum: far more than registers have, without the noise of binary floats."""


@dataclass(frozen=True, slots=True)
class Computation:
    """How one value is computed, and from which points."""

    derived: Derived
    parts: tuple[str, ...]
    """Keys whose registers must have been read."""

    @property
    def key(self) -> str:
        """Key of the computed value."""
        return self.derived.key

    def value(self, values: Mapping[str, Value]) -> Number | None:
        """Compute from values whose registers were all read.

        An input that says "no value" adds nothing; None when no input has one, or when
        one of those that are subtracted has none.
        """
        terms = [_number(values, key) for key in self.derived.sum]
        for first, second in self.derived.products:
            one, other = _number(values, first), _number(values, second)
            terms.append(None if one is None or other is None else one * other)
        known = [term for term in terms if term is not None]
        less = [_number(values, key) for key in self.derived.minus]
        if not known or None in less:
            return None
        total = sum(known) - sum(term for term in less if term is not None)
        return total if isinstance(total, int) else round(total, _DECIMALS) + 0.0


def computations(profile: Profile) -> tuple[Computation, ...]:
    """Return how the profile's derived values are computed."""
    return tuple(Computation(d, parts_of(d)) for d in profile.derived)


def parts_of(derived: Derived) -> tuple[str, ...]:
    """Return the keys of the points that a derived value is made of."""
    factors = (key for pair in derived.products for key in pair)
    return (*derived.sum, *factors, *derived.minus)


def _number(values: Mapping[str, Value], key: str) -> Number | None:
    value = values.get(key)
    return value if isinstance(value, int | float) else None

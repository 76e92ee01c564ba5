"""Values that are computed from points: sums of trackers, import minus export."""

from __future__ import annotations

import math
from collections.abc import Mapping

from egw.devices.meaning import Number, Value
from egw.devices.profile import Derived

_DECIMALS = 6
"""Kept of a sum: far more than registers have, without the noise of binary floats."""


def parts_of(derived: Derived) -> tuple[str, ...]:
    """Return the keys of the points that a derived value is made of."""
    factors = (key for pair in derived.products for key in pair)
    return (*derived.sum, *factors, *derived.minus)


def computed(derived: Derived, values: Mapping[str, Value]) -> Number | None:
    """Compute a derived value from parts whose registers were all read.

    An input that says "no value" adds nothing; None when no input has one, or when one
    of those that are subtracted has none.
    """
    terms = [_number(values, key) for key in derived.sum]
    for first, second in derived.products:
        one, other = _number(values, first), _number(values, second)
        terms.append(None if one is None or other is None else one * other)
    known = [term for term in terms if term is not None]
    less = [_number(values, key) for key in derived.minus]
    if not known or None in less:
        return None
    total = sum(known) - sum(term for term in less if term is not None)
    if isinstance(total, int):
        return total
    return round(total, _DECIMALS) + 0.0 if math.isfinite(total) else None


def _number(values: Mapping[str, Value], key: str) -> Number | None:
    value = values.get(key)
    return value if isinstance(value, int | float) else None

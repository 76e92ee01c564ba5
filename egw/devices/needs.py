"""What a point needs besides its own registers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from egw.devices.profile import Function, Point, Profile, ScaleRegister


class Need(NamedTuple):
    """Registers of which at least one must be read for a point to have a value."""

    what: str
    registers: frozenset[tuple[Function, int]]


def needs_of(point: Point, profile: Profile) -> Iterator[Need]:
    """Yield what the point depends on.

    The high word comes with all that stands between it and the low one, because both
    must be in one reply. One variant that is known to hold is enough.
    """
    table = point.function
    if isinstance(point.scale, ScaleRegister):
        yield Need("scale register", frozenset({(table, point.scale.register)}))
    if point.high_word is not None:
        first, last = sorted((point.address, point.high_word))
        for address in range(first, last + 1):
            yield Need("way to its high word", frozenset({(table, address)}))
    if point.reversed_when is not None:
        register = point.reversed_when.register
        yield Need("register of reversed_when", frozenset({(table, register)}))
    variants = [profile.variants[name] for name in point.applies_to]
    if variants:
        telling = frozenset((v.function, v.address) for v in variants)
        yield Need("register of its variant", telling)

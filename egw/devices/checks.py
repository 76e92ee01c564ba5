"""What must hold between the parts of a profile, beyond the types of each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from egw.devices.derived import parts_of
from egw.devices.frequency import frequency_ranges
from egw.devices.needs import needs_of
from egw.devices.point_checks import is_plain_number, overlaps, wrong_point
from egw.devices.profile import (
    Function,
    Point,
    Profile,
    ProfileError,
    RegisterRange,
)


def check_profile(profile: Profile, name: str) -> None:
    """Raise ProfileError with the first contradiction in the profile called `name`."""
    if profile.name != name:
        raise ProfileError(f"name: {profile.name!r} is not the name of the file")
    for reason in _contradictions(profile):
        raise ProfileError(reason)


def _contradictions(profile: Profile) -> Iterator[str]:
    yield from _wrong_variants(profile)
    exponents = {(p.function, p.address) for p in profile.points if p.type == "i16"}
    for point in profile.points:
        for reason in wrong_point(point, profile, exponents):
            yield f"point {point.key}: {reason}"
    yield from overlaps(profile.points)
    yield from _wrong_ranges(profile)
    yield from _wrong_frequency(profile)
    yield from _wrong_identification(profile)
    yield from _wrong_derived(profile)
    yield from _unread(profile)


def _wrong_variants(profile: Profile) -> Iterator[str]:
    for name, variant in profile.variants.items():
        for low, high in variant.within:
            if not 0 <= low <= high <= 65535:
                yield f"variants.{name}: {low}..{high} is no span of register values"


def _wrong_ranges(profile: Profile) -> Iterator[str]:
    harvest = profile.harvest
    for name, ranges in (("full", harvest.full), ("slim", harvest.slim)):
        for number, part in enumerate(ranges):
            if part.end > 65536:
                yield (
                    f"harvest.{name}[{number}]: ends at register {part.end - 1}, "
                    "past 65535"
                )
    if harvest.full_every > 1 and not harvest.slim:
        yield "harvest.full_every: without slim ranges every cycle is full"


def _wrong_frequency(profile: Profile) -> Iterator[str]:
    points = profile.alternatives(profile.frequency)
    if not points:
        yield f"frequency: there is no point {profile.frequency}"
    elif not all(is_plain_number(point) for point in points):
        yield f"frequency: point {profile.frequency} is no plain number"
    elif points[0].unit != "Hz":
        unit = points[0].unit or "no unit"
        yield f"frequency: point {profile.frequency} is in {unit}, not in Hz"
    else:
        try:
            frequency_ranges(profile)
        except ProfileError as error:
            yield str(error)


def _wrong_identification(profile: Profile) -> Iterator[str]:
    keys = {point.key for point in profile.points}
    identification = profile.identification
    uses = [("serial", key) for key in identification.serial]
    if identification.model is not None:
        uses.append(("model", identification.model))
    uses += [("signs", sign.point) for sign in identification.signs]
    for use, key in uses:
        if key not in keys:
            yield f"identification.{use}: there is no point {key}"
    for sign in identification.signs:
        if (sign.pattern is None) == (not sign.within):
            yield f"identification.signs: {sign.point}: needs a pattern or a span"
        kinds = {point.type for point in profile.alternatives(sign.point)}
        if sign.within and kinds == {"str"}:
            yield f"identification.signs: {sign.point}: a text has no span"
        for low, high in sign.within:
            if not low <= high:
                yield f"identification.signs: {sign.point}: {low}..{high} is no span"
        try:
            re.compile(sign.pattern or "")
        except re.error as error:
            yield f"identification.signs: {sign.point}: pattern: {error}"


def _wrong_derived(profile: Profile) -> Iterator[str]:
    names = [derived.key for derived in profile.derived]
    for derived in profile.derived:
        place = f"derived {derived.key}"
        if names.count(derived.key) > 1:
            yield f"{place}: the key stands here {names.count(derived.key)} times"
        if not derived.sum and not derived.products:
            yield f"{place}: needs a sum or products"
        for key in parts_of(derived):
            points = profile.alternatives(key)
            if not points:
                yield f"{place}: there is no point {key}"
            for point in points:
                if not is_plain_number(point):
                    yield f"{place}: point {key} is no plain number"


def _unread(profile: Profile) -> Iterator[str]:
    """A cycle that reads a point reads what the point depends on."""
    harvest = profile.harvest
    for name, ranges in (
        ("slim", harvest.slim),
        ("full", (*harvest.full, *harvest.slim)),
    ):
        read = _registers(ranges)
        for point in profile.points:
            own = {(point.function, a) for a in range(point.address, point.end)}
            if not read.issuperset(own):
                continue
            for need in needs_of(point, profile):
                if read.isdisjoint(need.registers):
                    yield (
                        f"harvest.{name}: reads point {point.key} without the "
                        f"{need.what} that it depends on"
                    )
                    break
        yield from _partly_read(profile, name, read)


def _partly_read(
    profile: Profile, name: str, read: set[tuple[Function, int]]
) -> Iterator[str]:
    """A cycle that reads a part of a derived value reads all of them."""
    keys = {
        point.key
        for point in profile.points
        if read.issuperset((point.function, a) for a in _addresses(point))
    }
    for derived in profile.derived:
        unread = [part for part in parts_of(derived) if part not in keys]
        if unread and len(unread) < len(parts_of(derived)):
            yield (
                f"harvest.{name}: reads other parts of derived {derived.key}, but not "
                f"{unread[0]}"
            )


def _addresses(point: Point) -> Iterator[int]:
    yield from range(point.address, point.end)
    if point.high_word is not None:
        yield point.high_word


def _registers(ranges: tuple[RegisterRange, ...]) -> set[tuple[Function, int]]:
    return {(r.function, a) for r in ranges for a in range(r.address, r.end)}

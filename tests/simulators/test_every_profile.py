"""Each built-in profile, read from its simulator over a socket, point by point."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from profile_pass import Values, scale_registers, tells_kind
from profile_site import Site, every_kind, name_of
from profile_values import (
    EXPONENTS,
    FLOATS,
    agrees,
    anywhere,
    highest,
    is_number,
    lowest,
    patterns,
    present,
    raw_bounds,
    value_of,
)

from egw.devices.encode import encode_value
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.profile import ScaleRegister
from simulators.kind import Kind, kind_of, registers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from profile_values import Pick
    from simulator_bench import Loop

    from egw.devices.profile import Derived, Function, Point, Profile

PASSES: dict[str, Pick] = {"lowest": lowest, "highest": highest, "random": anywhere}


@pytest.fixture
def site(loop: Loop) -> Iterator[Callable[[str, Kind], Site]]:
    sites: list[Site] = []

    def start(name: str, kind: Kind) -> Site:
        sites.append(Site(loop, find_profile(name), kind))
        return sites[-1]

    yield start
    for running in sites:
        running.close()


def may_be_absent(point: Point, profile: Profile) -> bool:
    """Tell whether a point has a way to say "no value"."""
    return point.type in ("str", *FLOATS) or bool(patterns(point, profile))


def is_without_inputs(derived: Derived, told: dict[str, Any]) -> bool:
    """Tell whether a derived value lacks what it takes."""
    inputs = [key in told for key in derived.sum]
    inputs += [one in told and other in told for one, other in derived.products]
    return not any(inputs) or any(key not in told for key in derived.minus)


def words_of(
    raw: int, point: Point, profile: Profile
) -> list[tuple[tuple[Function, int], int]]:
    """Return the registers of a raw number."""
    data = raw.to_bytes(2 * point.count, "big", signed=raw < 0)
    words = [int.from_bytes(data[n : n + 2]) for n in range(0, len(data), 2)]
    apart = point.high_word is not None
    if (point.word_order or profile.word_order) == "little" and not apart:
        words.reverse()
    return list(zip(registers_of(point), words, strict=True))


def wrong(site: Site, told: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Return what was read amiss: key -> (read, expected)."""
    return {
        key: (told.get(key), value)
        for key, value in expected.items()
        if key not in told
        or not agrees(told[key], value, site.kind.alternatives(key)[0])
    }


def computed(profile: Profile, told: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """Compute the derived values from the points that were read."""
    results = {}
    for derived in profile.derived:
        if kind.alternatives(derived.key):
            continue
        terms = [told.get(key) for key in derived.sum]
        for one, other in derived.products:
            pair = (told.get(one), told.get(other))
            terms.append(None if None in pair else pair[0] * pair[1])
        known = [term for term in terms if term is not None]
        less = [told.get(key) for key in derived.minus]
        if known and None not in less:
            results[derived.key] = sum(known) - sum(less)
    return results


@pytest.mark.parametrize("name_of_pass", PASSES)
@pytest.mark.parametrize(("name", "kind"), every_kind(), ids=name_of)
def test_every_point_and_derived_value_is_read_as_it_was_set(
    site: Callable[[str, Kind], Site], name: str, kind: Kind, name_of_pass: str
) -> None:
    running = site(name, kind)
    values = Values(running, PASSES[name_of_pass], name, EXPONENTS[name_of_pass])
    values.set_all()

    told = running.read()

    assert wrong(running, told, values.expected) == {}
    derived = computed(running.profile, told, kind)
    assert {key: told[key] for key in derived} == pytest.approx(derived, rel=1e-9)
    assert values.unset <= values.telling


@pytest.mark.parametrize(("name", "kind"), every_kind(), ids=name_of)
def test_what_the_device_marks_as_not_available_is_absent(
    site: Callable[[str, Kind], Site], name: str, kind: Kind
) -> None:
    running = site(name, kind)
    profile = running.profile
    scales = scale_registers(running)
    emptied = []
    for key in dict.fromkeys(point.key for point in kind.points):
        points = kind.alternatives(key)
        tells = tells_kind(kind, points)
        scale = any((p.function, p.address) in scales for p in points)
        if not tells and not scale and all(may_be_absent(p, profile) for p in points):
            running.device.set_point(key, None)
            emptied.append(key)

    told = running.read()

    assert [key for key in emptied if key in told] == []
    lost = {d.key for d in profile.derived} - told.keys()
    assert lost <= {d.key for d in profile.derived if is_without_inputs(d, told)}
    for point in kind.points:
        if point.key not in emptied and not may_be_absent(point, profile):
            assert point.key in told


@pytest.mark.parametrize(("name", "kind"), every_kind(), ids=name_of)
def test_each_alternative_tells_when_those_before_it_were_not_read(
    site: Callable[[str, Kind], Site], name: str, kind: Kind
) -> None:
    running = site(name, kind)
    for key in dict.fromkeys(point.key for point in kind.points):
        points = kind.alternatives(key)
        if not is_number(points[0]) or tells_kind(kind, points):
            continue
        for point in points[1:]:
            if point.type in FLOATS or isinstance(point.scale, ScaleRegister):
                continue
            raw = present(raw_bounds(point)[1] // 3, point, running.profile)
            for place, word in words_of(raw, point, running.profile):
                running.device.pin(*place, word)

            told = running.read_only(point)

            assert told[key] == value_of(raw, point)


@pytest.mark.parametrize("name", builtin_profiles())
def test_a_written_setting_is_read_back_at_its_bounds(
    site: Callable[[str, Kind], Site], name: str
) -> None:
    running = site(name, kind_of(find_profile(name)))
    writable = [point for point in running.points if point.write is not None]
    if writable:
        running.client.connect()
    for point in writable:
        assert point.write is not None
        wanted: list[Any] = [point.write.min, point.write.max]
        wanted += [
            text
            for raw, text in point.values.items()
            if point.write.min <= raw <= point.write.max
        ]
        for value in wanted:
            for twin in running.kind.alternatives(point.key):
                words = encode_value(running.profile, twin, value)
                running.client.write(twin.address, words)

            told = running.read()[point.key]

            meant = point.values.get(value, value) if point.values else value
            assert told == meant


@pytest.mark.parametrize("name", builtin_profiles())
def test_a_device_bears_the_signs_of_its_type(
    site: Callable[[str, Kind], Site], name: str
) -> None:
    running = site(name, kind_of(find_profile(name)))

    told = running.read()

    for sign in running.profile.identification.signs:
        value = told[sign.point]
        point = running.profile.point(sign.point)
        numbers = {text: raw for raw, text in point.values.items()}
        if sign.pattern is not None:
            assert re.search(sign.pattern, str(value))
        else:
            number = numbers.get(value, value)
            assert any(low <= number <= high for low, high in sign.within)

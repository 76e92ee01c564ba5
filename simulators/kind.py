"""Which kind of device a profile is simulated as: its variants and its points."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from egw.devices.profile import Function, Point, Profile, Sign, Variant

    Place = tuple[Function, int]
    """A register: table and address."""

_HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class _Wish:
    """Variants that a device shall have and shall not have."""

    wanted: frozenset[str]
    without: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of a profile's devices."""

    variants: frozenset[str]
    """Those that hold."""
    words: dict[Place, int]
    """What the registers that tell the variants say."""
    points: tuple[Point, ...]
    """Those that a device of this kind has, in the profile's order."""

    @property
    def has_battery(self) -> bool:
        """Whether the device tells a state of charge."""
        return any(point.key == "battery_soc_percent" for point in self.points)

    @property
    def phases(self) -> int:
        """1 or 3: three when the device has a second phase."""
        three = any(re.search(r"(^|_)l2_", point.key) for point in self.points)
        return 3 if three or self.has_battery else 1

    def alternatives(self, key: str) -> tuple[Point, ...]:
        """Return the points called `key` that the device has, in order."""
        return tuple(point for point in self.points if point.key == key)


def kind_of(
    profile: Profile, wanted: Collection[str] = (), without: Collection[str] = ()
) -> Kind:
    """Return the kind of device that has all `wanted` variants and none of `without`.

    What is left open becomes the kind with the most points, except that a profile of
    inverters is no hybrid unless asked. Raises ValueError when there is no such
    variant or no such device.
    """
    for name in (*wanted, *without):
        if name not in profile.variants:
            known = ", ".join(sorted(profile.variants)) or "none"
            raise ValueError(
                f"{profile.name} has no variant {name!r}; there are: {known}"
            )
    words = _best_words(profile, _Wish(frozenset(wanted), frozenset(without)))
    holding = variants_of(profile, words)
    if holding.intersection(without):
        raise ValueError(f"{profile.name}: every device is {' or '.join(without)}")
    if not holding.issuperset(wanted):
        together = " and ".join(wanted)
        raise ValueError(f"{profile.name}: no device is {together} at the same time")
    return Kind(holding, words, tuple(_points_of(profile, holding)))


def variants_of(profile: Profile, words: dict[Place, int]) -> frozenset[str]:
    """Return the variants that hold when registers say `words`."""
    return frozenset(
        name
        for name, variant in profile.variants.items()
        if _holds(variant, words[variant.function, variant.address])
    )


def registers_of(point: Point) -> Iterator[Place]:
    """Yield every register of a point; a high word that stands apart comes first."""
    if point.high_word is not None:
        yield point.function, point.high_word
    for address in range(point.address, point.end):
        yield point.function, address


def _variants_by_register(profile: Profile) -> dict[Place, dict[str, Variant]]:
    found: dict[Place, dict[str, Variant]] = defaultdict(dict)
    for name, variant in profile.variants.items():
        found[variant.function, variant.address][name] = variant
    return found


def _best_words(profile: Profile, wish: _Wish) -> dict[Place, int]:
    """Return what the registers that tell variants say on the most sensible kind."""
    choices = {
        place: _choices(profile, place, variants, wish)
        for place, variants in _variants_by_register(profile).items()
    }
    best = {place: words[0] for place, words in choices.items()}
    if _is_clean(profile, best):
        return best
    every = (dict(zip(choices, c, strict=True)) for c in product(*choices.values()))
    clean = [words for words in every if _is_clean(profile, words)]
    return max(clean or [best], key=lambda words: _merit(profile, words, wish))


def _choices(
    profile: Profile,
    place: Place,
    variants: dict[str, Variant],
    wish: _Wish,
) -> list[int]:
    """Return one word for each set of variants that it can tell, the best first."""
    words = sorted(_candidates(profile, place, variants))
    words.sort(key=lambda word: _word_merit(profile, place, word, wish), reverse=True)
    by_variants: dict[frozenset[str], int] = {}
    for word in words:
        by_variants.setdefault(_held(variants, word), word)
    return list(by_variants.values())


def _merit(profile: Profile, words: dict[Place, int], wish: _Wish) -> list[int]:
    merits = [_word_merit(profile, place, w, wish) for place, w in words.items()]
    return [sum(parts) for parts in zip(*merits, strict=True)]


def _word_merit(
    profile: Profile, place: Place, word: int, wish: _Wish
) -> tuple[int, ...]:
    variants = _variants_by_register(profile)[place]
    held = _held(variants, word)
    asked = len(held & wish.wanted) - len(held & wish.without)
    modest = _HYBRID in held and profile.kind == "inverter" and asked <= 0
    points = [p for p in profile.points if held.intersection(p.applies_to)]
    texts = [p.values.get(word, "").lower() for p in _points_at(profile, place)]
    return (
        asked,
        int(_is_proper(profile, place, word)),
        -int(modest),
        len(points),
        int(any(texts)),
        int(any("three phase" in text for text in texts)),
    )


def _is_clean(profile: Profile, words: dict[Place, int]) -> bool:
    """Tell whether no two points of a device share a register."""
    points = list(_points_with(profile, variants_of(profile, words)))
    registers = [place for point in points for place in registers_of(point)]
    return len(registers) == len(set(registers))


def _held(variants: dict[str, Variant], word: int) -> frozenset[str]:
    return frozenset(n for n, variant in variants.items() if _holds(variant, word))


def _candidates(
    profile: Profile, place: Place, variants: dict[str, Variant]
) -> set[int]:
    spans = [span for variant in variants.values() for span in variant.within]
    words = {
        word
        for low, high in spans
        for word in (low - 1, low, (low + high) // 2, high, high + 1)
        if 0 <= word <= 0xFFFF
    }
    for point in _points_at(profile, place):
        words.update(word for word in point.values if 0 <= word <= 0xFFFF)
        for sign in profile.identification.signs:
            if sign.point == point.key and not point.unit:
                words.update(int(low) for low, _ in sign.within)
    return words


def _is_proper(profile: Profile, place: Place, word: int) -> bool:
    """Tell whether a register may say `word`: a value that bears the signs."""
    return all(
        _is_present(profile, point, word)
        and all(
            _bears(sign, point, word)
            for sign in profile.identification.signs
            if sign.point == point.key
        )
        for point in _points_at(profile, place)
    )


def _is_present(profile: Profile, point: Point, word: int) -> bool:
    patterns = point.not_available
    if patterns is None:
        patterns = profile.not_available.get(point.type, ())
    absent = (patterns,) if isinstance(patterns, int) else patterns
    return word not in absent


def _bears(sign: Sign, point: Point, word: int) -> bool:
    if sign.pattern is not None:
        return bool(re.search(sign.pattern, point.values.get(word, "")))
    # A measured value has a scale; it is plausible anyway.
    return bool(point.unit) or any(low <= word <= high for low, high in sign.within)


def _points_at(profile: Profile, place: Place) -> Iterable[Point]:
    function, address = place
    return [
        point
        for point in profile.points
        if point.function == function and point.address == address and point.count == 1
    ]


def _holds(variant: Variant, word: int) -> bool:
    return any(low <= word <= high for low, high in variant.within)


def _points_of(profile: Profile, holding: frozenset[str]) -> Iterator[Point]:
    """Yield the points of a device; of two that share a register, the first."""
    taken: set[Place] = set()
    for point in _points_with(profile, holding):
        registers = set(registers_of(point))
        if taken.isdisjoint(registers):
            taken |= registers
            yield point


def _points_with(profile: Profile, holding: frozenset[str]) -> Iterator[Point]:
    for point in profile.points:
        if not point.applies_to or holding.intersection(point.applies_to):
            yield point

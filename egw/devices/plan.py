"""Which blocks one harvest cycle reads, learned from what the device accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from egw.devices.profile import Profile, RegisterRange

REFUSED_REST_S = 300.0
"""Rest of a block that is refused and cannot be cut."""

BUSY_REST_S = 5.0
"""Rest of a block that the device was too busy for `BUSY_LIMIT` times in a row.

Short, because a bad line looks the same, and its end must not go unnoticed.
"""

BUSY_LIMIT = 3


@dataclass(slots=True)
class _Health:
    busy_in_a_row: int = 0
    rests_until_s: float = float("-inf")


class HarvestPlan:
    """The blocks of a harvest, each at most `max_registers` long.

    Pure: time comes with each call, in seconds on any clock that does not step back.
    Every block that `due` returns is reported back, once, with `answered`, `refused`
    or `busy`, or not at all when the connection failed.
    """

    def __init__(
        self,
        ranges: Sequence[RegisterRange],
        max_registers: int,
        *,
        whole: Iterable[RegisterRange] = (),
    ) -> None:
        """Plan to read `ranges`; no cut goes through one of the `whole` runs.

        A number that is read in two parts can be torn, hence `whole`.
        """
        self._whole = [part for part in whole if 1 < part.count <= max_registers]
        self._blocks = {
            block: _Health()
            for part in _merged(ranges)
            for block in self._split(part, max_registers)
        }

    @classmethod
    def for_profile(cls, profile: Profile) -> Self:
        """Plan the profile's harvest; none of its points is cut."""
        spans = (
            RegisterRange(function=p.function, address=p.address, count=p.count)
            for p in profile.points
        )
        return cls(profile.harvest, profile.manners.max_registers, whole=spans)

    def due(self, now_s: float) -> tuple[RegisterRange, ...]:
        """Return the blocks to read in this cycle, in order."""
        return tuple(b for b, h in self._blocks.items() if h.rests_until_s <= now_s)

    def answered(self, block: RegisterRange) -> None:
        """Note that the device answered: the block is asked in every cycle."""
        self._blocks[block] = _Health()

    def refused(self, block: RegisterRange, now_s: float) -> None:
        """Note that the device has no such registers or values.

        The block is asked as two halves from the next cycle on; one that cannot be
        cut rests for `REFUSED_REST_S`.
        """
        cut = self._cut_near(block, block.address + block.count // 2)
        if cut is None:
            self._blocks[block] = _Health(rests_until_s=now_s + REFUSED_REST_S)
        else:
            self._replace(block, _cut_at(block, cut))

    def busy(self, block: RegisterRange, now_s: float) -> None:
        """Note that the device could not answer just now.

        The block stays whole; after `BUSY_LIMIT` times in a row it rests for
        `BUSY_REST_S`, and again each time until it is answered.
        """
        health = self._blocks[block]
        health.busy_in_a_row += 1
        if health.busy_in_a_row >= BUSY_LIMIT:
            health.rests_until_s = now_s + BUSY_REST_S

    def resting(self, now_s: float) -> int:
        """Return how many registers are asked more rarely than in each cycle."""
        resting = (b for b, h in self._blocks.items() if h.rests_until_s > now_s)
        return sum(block.count for block in resting)

    def _replace(self, block: RegisterRange, parts: Iterable[RegisterRange]) -> None:
        blocks: dict[RegisterRange, _Health] = {}
        for known, health in self._blocks.items():
            if known == block:
                blocks |= {part: _Health() for part in parts}
            else:
                blocks[known] = health
        self._blocks = blocks

    def _split(self, part: RegisterRange, size: int) -> Iterable[RegisterRange]:
        while part.count > size:
            limit = part.address + size
            cut = self._cut_below(part, limit)
            first, part = _cut_at(part, limit if cut is None else cut)
            yield first
        yield part

    def _cut_near(self, block: RegisterRange, middle: int) -> int | None:
        """Return the address nearest the middle where the block may be cut."""
        below = self._cut_below(block, middle)
        above = self._cut_above(block, middle)
        cuts = [cut for cut in (below, above) if cut is not None]
        return min(cuts, key=lambda cut: abs(cut - middle), default=None)

    def _cut_below(self, block: RegisterRange, cut: int) -> int | None:
        while inside := self._whole_around(block, cut):
            cut = inside.address
        return cut if cut > block.address else None

    def _cut_above(self, block: RegisterRange, cut: int) -> int | None:
        while inside := self._whole_around(block, cut):
            cut = inside.end
        return cut if block.address < cut < block.end else None

    def _whole_around(self, block: RegisterRange, cut: int) -> RegisterRange | None:
        for part in self._whole:
            if part.function == block.function and part.address < cut < part.end:
                return part
        return None


def _cut_at(block: RegisterRange, cut: int) -> tuple[RegisterRange, RegisterRange]:
    return (
        _span(block, block.address, cut),
        _span(block, cut, block.end),
    )


def _span(like: RegisterRange, first: int, end: int) -> RegisterRange:
    return RegisterRange(function=like.function, address=first, count=end - first)


def _merged(ranges: Sequence[RegisterRange]) -> list[RegisterRange]:
    """Join what touches or overlaps in one table, in the order of first mention."""
    merged: list[RegisterRange] = []
    for part in ranges:
        joined = part
        touching = [other for other in merged if _touch(other, part)]
        for other in touching:
            first = min(joined.address, other.address)
            joined = _span(part, first, max(joined.end, other.end))
        place = merged.index(touching[0]) if touching else len(merged)
        merged = [*merged[:place], joined, *merged[place:]]
        merged = [other for other in merged if other not in touching or other is joined]
    return merged


def _touch(one: RegisterRange, other: RegisterRange) -> bool:
    return (
        one.function == other.function
        and one.address <= other.end
        and other.address <= one.end
    )

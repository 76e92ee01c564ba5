"""Which blocks one harvest cycle reads, learned from what the device accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from egw.devices.merging import (
    Request,
    Whole,
    halves,
    joined,
    merge,
    overlap,
    span_of,
    unmerged,
)
from egw.devices.profile import Profile, RegisterRange

REFUSED_REST_S = 300.0
"""Rest of registers that are refused."""

BUSY_REST_S = 5.0
"""Rest of a block that the device was too busy for `BUSY_LIMIT` times in a row.

Short, because a bad line looks the same, and its end must not go unnoticed.
"""

BUSY_LIMIT = 3

BISECTION_REQUESTS = 24
"""Requests in one cycle to find out what of one block is refused."""

_NO_LIMIT = 65_537

RETRIES = 4
"""Refused parts that are asked again in one cycle, so that it stays short."""


@dataclass(slots=True)
class _Part:
    """A block as it is asked now, and how that went."""

    request: Request
    origin: RegisterRange
    """The planned block that it is, or is a part of."""
    answered: bool = False
    refused: bool = False
    busy_in_a_row: int = 0
    rests_until_s: float = float("-inf")


class HarvestPlan:
    """The blocks of a harvest, each at most `max_registers` long.

    Pure: time comes with each call, in seconds on any clock that does not step back.
    Every block that `due` and `refused` return is reported back, once, with
    `answered`, `refused` or `busy`, or not at all when the connection failed.
    """

    def __init__(
        self,
        ranges: Sequence[RegisterRange],
        max_registers: int,
        *,
        bridge_registers: int = 0,
        whole: Iterable[RegisterRange] = (),
    ) -> None:
        """Plan to read `ranges`; no cut goes through one of the `whole` runs."""
        self._whole = Whole(whole, max_registers)
        requests = merge(
            ranges, longest=max_registers, bridge=bridge_registers, whole=self._whole
        )
        self._parts = {r.block: _Part(r, origin=r.block) for r in requests}
        self._planned = len(self._parts)
        self._spent: dict[RegisterRange, int] = {}
        """Requests that went into bisecting each planned block in this cycle."""
        self._refused_until_s: dict[RegisterRange, float] = {}
        """What was refused as one block, and until when that counts."""

    @classmethod
    def for_profile(
        cls, profile: Profile, *, full: bool, max_registers: int | None = None
    ) -> Self:
        """Plan a full or a slim harvest of the profile; none of its points is cut.

        `max_registers` takes the place of the profile's when it is smaller.
        """
        manners = profile.manners
        return cls(
            _ranges(profile, full=full),
            min(max_registers or manners.max_registers, manners.max_registers),
            bridge_registers=manners.bridge_registers,
            whole=[span_of(point) for point in profile.points],
        )

    @property
    def requests(self) -> tuple[RegisterRange, ...]:
        """All blocks as they are asked now, in order."""
        return tuple(self._parts)

    def due(self, now_s: float) -> tuple[RegisterRange, ...]:
        """Return the blocks to read in a cycle that begins now, in order."""
        self._spent.clear()
        if len(self._parts) > self._planned:
            self._join(now_s)
        blocks, retries = [], 0
        for block, part in self._parts.items():
            if part.rests_until_s > now_s:
                continue
            retries += part.refused
            if not part.refused or retries <= RETRIES:
                blocks.append(block)
        return tuple(blocks)

    def answered(self, block: RegisterRange) -> None:
        """Note that the device answered: the block is asked in every cycle."""
        part = self._parts[block]
        part.answered, part.refused = True, False
        part.busy_in_a_row, part.rests_until_s = 0, float("-inf")

    def refused(self, block: RegisterRange, now_s: float) -> tuple[RegisterRange, ...]:
        """Note that the device has no such registers or values.

        Returns the parts to ask instead, at once: what bridges of a gap part, then
        halves. Parts that cannot be cut, and what is still refused after
        `BISECTION_REQUESTS`, rest for `REFUSED_REST_S`; then nothing is returned.
        """
        part = self._parts[block]
        self._refused_until_s[block] = now_s + REFUSED_REST_S
        requests = halves(part.request, self._whole)
        spent = self._spent.get(part.origin, 0) + len(requests)
        if not requests or spent > BISECTION_REQUESTS:
            part.answered, part.refused = False, True
            part.rests_until_s = now_s + REFUSED_REST_S
            return ()
        self._spent[part.origin] = spent
        self._replace(block, [_Part(r, origin=part.origin) for r in requests])
        return tuple(request.block for request in requests)

    def busy(self, block: RegisterRange, now_s: float) -> None:
        """Note that the device could not answer just now.

        The block stays whole; after `BUSY_LIMIT` times in a row it rests for
        `BUSY_REST_S`, and again each time until it is answered.
        """
        part = self._parts[block]
        part.answered = False
        part.busy_in_a_row += 1
        if part.busy_in_a_row >= BUSY_LIMIT:
            part.rests_until_s = now_s + BUSY_REST_S

    def resting(self, now_s: float) -> int:
        """Return how many registers are asked more rarely than in each cycle."""
        resting = (b for b, p in self._parts.items() if p.rests_until_s > now_s)
        return sum(block.count for block in resting)

    def _replace(self, block: RegisterRange, parts: Iterable[_Part]) -> None:
        known: dict[RegisterRange, _Part] = {}
        for other, part in self._parts.items():
            if other == block:
                known |= {new.request.block: new for new in parts}
            else:
                known[other] = part
        self._parts = known

    def _join(self, now_s: float) -> None:
        """Ask parts of one block together again that were answered apart.

        What was refused though all of it was answered in parts was perhaps too much
        for one request, or the device was in a mood: so many are tried later.
        """
        self._refused_until_s = {
            block: until_s
            for block, until_s in self._refused_until_s.items()
            if until_s > now_s
        }
        bad = [part.request.block for part in self._parts.values() if part.refused]
        too_long = min(
            (
                refused.count
                for refused in self._refused_until_s
                if not any(overlap(refused, block) for block in bad)
            ),
            default=_NO_LIMIT,
        )
        parts: list[_Part] = []
        for part in self._parts.values():
            if parts and _may_join(parts[-1], part, too_long):
                request = joined(parts[-1].request, part.request)
                parts[-1] = _Part(request, origin=part.origin, answered=True)
            else:
                parts.append(part)
        self._parts = {part.request.block: part for part in parts}


def _may_join(one: _Part, other: _Part, too_long: int) -> bool:
    first, last = one.request.block, other.request.block
    return (
        one.origin == other.origin
        and one.answered
        and other.answered
        and first.end == last.address
        and first.count + last.count < too_long
    )


def requests_before_merging(
    profile: Profile, *, full: bool
) -> tuple[RegisterRange, ...]:
    """Return what a cycle would ask if each range of the profile were read apart."""
    longest = profile.manners.max_registers
    whole = Whole([span_of(point) for point in profile.points], longest)
    return unmerged(_ranges(profile, full=full), longest=longest, whole=whole)


def _ranges(profile: Profile, *, full: bool) -> tuple[RegisterRange, ...]:
    harvest = profile.harvest
    return (*harvest.full, *harvest.slim) if full else harvest.slim or harvest.full

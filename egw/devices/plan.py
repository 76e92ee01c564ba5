"""Which blocks one harvest cycle reads, learned from what the device accepts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
"""Requests in one cycle to find out what of one block is refused; what is not asked
yet by then is asked once, as it is."""

_NO_LIMIT = 65_537

RETRIES = 4
"""Refused parts that are asked again in one cycle, so that it stays short."""


@dataclass(slots=True, eq=False)
class _Part:
    """A block as it is asked now, and how that went."""

    request: Request
    origin: RegisterRange
    """The planned block that it is, or is a part of."""
    answered: bool = False
    refused: bool = False
    trouble: str = ""
    """Why the device could not answer it the last time."""
    busy_in_a_row: int = 0
    rests_until_s: float = float("-inf")

    @property
    def block(self) -> RegisterRange:
        return self.request.block


@dataclass(slots=True)
class _Search:
    """How far the bisection of one planned block has come in this cycle.

    One end of what is refused is found first, then what lies beyond it is asked in one
    request; when that is refused too, its other end is found next. So a run of refused
    registers costs no more than its two ends.
    """

    spent: int = 0
    from_end: bool = False
    halved: int = 0
    """Size of the part of which a half is being asked."""
    other: _Part | None = None
    """Its other half, until the answer is there."""
    unknown: list[_Part] = field(default_factory=list)
    """What is not asked yet."""


class HarvestPlan:
    """The blocks of a harvest, each at most `max_registers` long.

    Pure: time comes with each call, in seconds on any clock that does not step back.
    Every block that `due` returns is reported back, once, with `answered`, `refused` or
    `busy`, or not at all when the cycle ends early. They return what to ask at once, to
    find out what of a refused block can be read; that is reported likewise.
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
        self._searches: dict[RegisterRange, _Search] = {}
        """By planned block; in this cycle."""
        self._longest_answered = 0
        self._were_answered: set[RegisterRange] = set()
        self._refused_until_s: dict[RegisterRange, float] = {}
        """What was refused as one block, and until when that counts."""
        self._perhaps_too_long: set[RegisterRange] = set()
        """Of these, what is longer than all that was answered since."""

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
        self._searches.clear()
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

    @property
    def refusing(self) -> tuple[RegisterRange, ...]:
        """What was refused the last time it was asked, as far as it is known."""
        return tuple(block for block, part in self._parts.items() if part.refused)

    @property
    def trouble(self) -> str:
        """Why a block was not answered the last time it was asked; empty when all were.

        Registers that the device does not have are no trouble; it has what it answered
        before, until it refuses that again after `REFUSED_REST_S`.
        """
        return next((p.trouble for p in self._parts.values() if p.trouble), "")

    def answered(self, block: RegisterRange, now_s: float) -> tuple[RegisterRange, ...]:
        """Note that the device answered: the block is asked in every cycle."""
        part = self._parts[block]
        part.answered, part.refused, part.trouble = True, False, ""
        self._were_answered.add(block)
        if self._perhaps_too_long:
            self._perhaps_too_long = {
                refused
                for refused in self._perhaps_too_long
                if refused.count > block.count
            }
        part.busy_in_a_row, part.rests_until_s = 0, float("-inf")
        self._longest_answered = max(self._longest_answered, block.count)
        search = self._searches.get(part.origin)
        if search is None:
            return ()
        other, search.other = search.other, None
        if other is None:
            return self._next(search)
        # What is no longer than others was not refused for its length: it is the other
        # half that has what the device lacks.
        is_at_fault = search.halved <= self._longest_answered
        if is_at_fault and halves(other.request, self._whole):
            return self._cut(other, search, now_s)
        search.unknown.append(other)
        return self._next(search)

    def refused(self, block: RegisterRange, now_s: float) -> tuple[RegisterRange, ...]:
        """Note that the device has no such registers or values.

        The block is cut where a gap is bridged, else in halves, until its smallest
        refused parts are known. Those, and what is still refused after
        `BISECTION_REQUESTS`, rest for `REFUSED_REST_S`.
        """
        part = self._parts[block]
        part.trouble = ""
        self._refused_until_s[block] = now_s + REFUSED_REST_S
        self._perhaps_too_long.add(block)
        search = self._searches.setdefault(part.origin, _Search())
        self._set_aside(search)
        return self._cut(part, search, now_s)

    def busy(
        self, block: RegisterRange, now_s: float, trouble: str
    ) -> tuple[RegisterRange, ...]:
        """Note that the device could not answer just now, and why.

        The block stays whole; after `BUSY_LIMIT` times in a row it rests for
        `BUSY_REST_S`, and again each time until it is answered.
        """
        part = self._parts[block]
        part.answered, part.trouble = False, trouble
        part.busy_in_a_row += 1
        if part.busy_in_a_row >= BUSY_LIMIT:
            part.rests_until_s = now_s + BUSY_REST_S
        search = self._searches.get(part.origin)
        if search is None:
            return ()
        self._set_aside(search)
        return self._next(search)

    def resting(self, now_s: float) -> int:
        """Return how many registers are asked more rarely than in each cycle."""
        resting = (b for b, p in self._parts.items() if p.rests_until_s > now_s)
        return sum(block.count for block in resting)

    def _cut(
        self, part: _Part, search: _Search, now_s: float
    ) -> tuple[RegisterRange, ...]:
        """Ask one half of a part that has what the device lacks, if it can be cut."""
        requests = halves(part.request, self._whole)
        if not requests or search.spent >= BISECTION_REQUESTS:
            self._rest(part, now_s)
            search.from_end = not search.from_end
            return self._next(search)
        pieces = [_Part(request, origin=part.origin) for request in requests]
        self._replace([part], pieces)
        asked, search.other = reversed(pieces) if search.from_end else pieces
        search.halved = part.block.count
        if pieces[0].block.end < pieces[1].block.address:
            # Perhaps nothing but the gap between them was refused.
            self._set_aside(search)
        search.spent += 1
        return (asked.block,)

    def _rest(self, part: _Part, now_s: float) -> None:
        block = part.block
        if not part.refused and any(overlap(block, b) for b in self._were_answered):
            part.trouble = (
                f"{block.function} {block.address}+{block.count}: "
                "refused now, answered before"
            )
        part.answered, part.refused = False, True
        part.rests_until_s = now_s + REFUSED_REST_S

    def _next(self, search: _Search) -> tuple[RegisterRange, ...]:
        if not search.unknown:
            return ()
        search.spent += 1
        return (search.unknown.pop().block,)

    def _set_aside(self, search: _Search) -> None:
        """Let the other half be asked later, together with what comes after it."""
        part, search.other = search.other, None
        if part is None:
            return
        if search.unknown:
            one, other = search.unknown[-1], part
            if one.block.address > other.block.address:
                one, other = other, one
            if one.block.end == other.block.address:
                part = _Part(joined(one.request, other.request), origin=one.origin)
                self._replace([one, other], [part])
                search.unknown.pop()
        search.unknown.append(part)

    def _replace(self, old: Sequence[_Part], new: Sequence[_Part]) -> None:
        """Put parts in the place of others that follow one another."""
        parts = list(self._parts.values())
        place = parts.index(old[0])
        parts[place : place + len(old)] = new
        self._parts = {part.block: part for part in parts}

    def _join(self, now_s: float) -> None:
        """Ask parts of one block together again that were answered apart.

        What was refused though all of it was answered in parts was perhaps too much
        for one request: so many are tried later, unless as many were answered since.
        Or it cannot be read together, or the device was in a mood: it is tried later.
        """
        self._refused_until_s = {
            block: until_s
            for block, until_s in self._refused_until_s.items()
            if until_s > now_s
        }
        self._perhaps_too_long &= self._refused_until_s.keys()
        bad = [part.block for part in self._parts.values() if part.refused]
        apart = [
            refused
            for refused in self._refused_until_s
            if not any(overlap(refused, block) for block in bad)
        ]
        too_long = min(
            (block.count for block in self._perhaps_too_long.intersection(apart)),
            default=_NO_LIMIT,
        )
        parts: list[_Part] = []
        for part in self._parts.values():
            if parts and _may_join(parts[-1], part, too_long, apart):
                request = joined(parts[-1].request, part.request)
                parts[-1] = _Part(request, origin=part.origin, answered=True)
            else:
                parts.append(part)
        self._parts = {part.block: part for part in parts}


def _may_join(
    one: _Part, other: _Part, too_long: int, apart: Iterable[RegisterRange]
) -> bool:
    first, last = one.block, other.block
    return (
        one.origin == other.origin
        and one.answered
        and other.answered
        and first.end == last.address
        and first.count + last.count < too_long
        and not any(
            first.function == block.function
            and first.address <= block.address
            and block.end <= last.end
            for block in apart
        )
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

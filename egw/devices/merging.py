"""Ranges of registers to few requests, and requests to halves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from egw.devices.needs import needs_of
from egw.devices.profile import Point, Profile, RegisterRange


class Request(NamedTuple):
    """One read: a block, and what of it is wanted."""

    block: RegisterRange
    wanted: tuple[RegisterRange, ...]
    """In order; what lies between two of them is only read along."""


class Whole:
    """Runs of registers that no cut goes through.

    A number that is read in two parts can be torn.
    """

    def __init__(self, runs: Iterable[RegisterRange], longest: int) -> None:
        """Keep `runs` whole, except those that no request can have."""
        self._runs = [run for run in runs if 1 < run.count <= longest]

    def cut_below(self, block: RegisterRange, at: int) -> int | None:
        """Return the last address, up to `at`, where the block may be cut."""
        while run := self._around(block, at):
            at = run.address
        return at if at > block.address else None

    def cut_near_middle(self, block: RegisterRange) -> int | None:
        """Return the address nearest the middle where the block may be cut."""
        middle = block.address + block.count // 2
        cuts = [self.cut_below(block, middle), self._cut_above(block, middle)]
        known = [cut for cut in cuts if cut is not None]
        return min(known, key=lambda cut: abs(cut - middle), default=None)

    def _cut_above(self, block: RegisterRange, at: int) -> int | None:
        while run := self._around(block, at):
            at = run.end
        return at if block.address < at < block.end else None

    def _around(self, block: RegisterRange, at: int) -> RegisterRange | None:
        for run in self._runs:
            if run.function == block.function and run.address < at < run.end:
                return run
        return None

    def joins(self, one: RegisterRange, other: RegisterRange) -> bool:
        """Tell whether a run goes from `one` into `other`, which comes after it."""
        return any(
            run.function == one.function == other.function
            and run.address < one.end
            and run.end > other.address
            for run in self._runs
        )


def span_of(point: Point) -> RegisterRange:
    """Return the registers of a point, with its high word and what lies between."""
    high = point.address if point.high_word is None else point.high_word
    first, end = min(point.address, high), max(point.end, high + 1)
    return RegisterRange(function=point.function, address=first, count=end - first)


def registers_of(point: Point, profile: Profile) -> tuple[RegisterRange, ...]:
    """Return the registers of a point, then those that say what they mean."""
    span = span_of(point)
    needed = {place for need in needs_of(point, profile) for place in need.registers}
    single = (
        RegisterRange(function=function, address=address, count=1)
        for function, address in sorted(needed)
    )
    return (span, *(part for part in single if not overlap(part, span)))


def overlap(one: RegisterRange, other: RegisterRange) -> bool:
    """Tell whether two ranges share a register."""
    same_table = one.function == other.function
    return same_table and one.address < other.end and other.address < one.end


def unmerged(
    ranges: Sequence[RegisterRange], *, longest: int, whole: Whole
) -> tuple[RegisterRange, ...]:
    """Return each range on its own, cut where it is too long for one request."""
    return tuple(piece for part in ranges for piece in _pieces(part, longest, whole))


def merge(
    ranges: Sequence[RegisterRange], *, longest: int, bridge: int, whole: Whole
) -> tuple[Request, ...]:
    """Return few requests, of at most `longest` registers each, that read all ranges.

    Ranges of one table are read together when at most `bridge` registers lie between
    them and one request can have both; otherwise each begins where it is said to. The
    requests come in the order in which the ranges name their registers first.
    """
    requests: list[Request] = []
    for part in _united(ranges, whole):
        for piece in _pieces(part, longest, whole):
            request = Request(piece, (piece,))
            if requests and _may_join(requests[-1].block, piece, longest, bridge):
                requests[-1] = joined(requests[-1], request)
            else:
                requests.append(request)
    return tuple(sorted(requests, key=lambda request: _mention(ranges, request.block)))


def halves(request: Request, whole: Whole) -> tuple[Request, ...]:
    """Return the two parts of a request; none when it cannot be cut.

    A request with gaps is cut at the one that is nearest its middle.
    """
    block, wanted = request
    if len(wanted) > 1:
        middle = 2 * block.address + block.count

        def off_centre(place: int) -> int:
            return abs(wanted[place - 1].end + wanted[place].address - middle)

        place = min(range(1, len(wanted)), key=off_centre)
        return _request(wanted[:place]), _request(wanted[place:])
    cut = whole.cut_near_middle(block)
    if cut is None:
        return ()
    parts = (_span(block, block.address, cut), _span(block, cut, block.end))
    return tuple(Request(part, (part,)) for part in parts)


def joined(one: Request, other: Request) -> Request:
    """Return one request for both, the one with the lower addresses first."""
    last, first = one.wanted[-1], other.wanted[0]
    if last.end < first.address:
        return _request((*one.wanted, *other.wanted))
    between = _span(last, last.address, first.end)
    return _request((*one.wanted[:-1], between, *other.wanted[1:]))


def _request(wanted: tuple[RegisterRange, ...]) -> Request:
    return Request(_span(wanted[0], wanted[0].address, wanted[-1].end), wanted)


def _united(ranges: Iterable[RegisterRange], whole: Whole) -> list[RegisterRange]:
    """Join what overlaps, and what a point goes through; in the order of addresses."""
    united: list[RegisterRange] = []
    for part in sorted(ranges, key=lambda part: (part.function, part.address)):
        last = united[-1] if united else None
        if last and (overlap(last, part) or whole.joins(last, part)):
            united[-1] = _span(last, last.address, max(last.end, part.end))
        else:
            united.append(part)
    return united


def _pieces(part: RegisterRange, longest: int, whole: Whole) -> Iterator[RegisterRange]:
    while part.count > longest:
        limit = part.address + longest
        cut = whole.cut_below(part, limit) or limit
        yield _span(part, part.address, cut)
        part = _span(part, cut, part.end)
    yield part


def _may_join(
    block: RegisterRange, piece: RegisterRange, longest: int, bridge: int
) -> bool:
    return (
        block.function == piece.function
        and piece.address - block.end <= bridge
        and piece.end - block.address <= longest
    )


def _mention(ranges: Sequence[RegisterRange], block: RegisterRange) -> int:
    for number, part in enumerate(ranges):
        if overlap(part, block):
            return number
    return len(ranges)


def _span(like: RegisterRange, first: int, end: int) -> RegisterRange:
    return RegisterRange(function=like.function, address=first, count=end - first)

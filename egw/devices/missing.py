"""Which points a complete harvest has, and why those that are missing are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from egw.devices.blocks import Block
from egw.devices.derived import parts_of
from egw.devices.profile import Point, Profile, RegisterRange, Variant

Reason = Literal["not available", "refused", "no answer"]
"""`not available`: the registers were read, and the device says that it has no value
(or none that makes sense). `refused`: it has no such registers. `no answer`: it was
silent, or was not asked."""

_BEST_FIRST: tuple[Reason, ...] = ("not available", "refused", "no answer")


class Expected:
    """The points that full harvests of one profile have, those of variants included."""

    def __init__(self, profile: Profile) -> None:
        self._variants = profile.variants
        ranges = (*profile.harvest.full, *profile.harvest.slim)
        self._points: dict[str, list[Point]] = {}
        for point in profile.points:
            if any(_holds(r, point.function, point.address, point.end) for r in ranges):
                self._points.setdefault(point.key, []).append(point)
        self._derived = profile.derived

    def missing(
        self,
        known: Iterable[str],
        blocks: Sequence[Block],
        refused: Sequence[RegisterRange] = (),
    ) -> dict[str, Reason]:
        """Return the keys that are not `known`, and why, in the profile's order.

        What only another kind of device has is not missing; which kind it is, the
        `blocks` tell, and until they do all points are expected.
        """
        have = set(known)
        kinds = {name: _is_of(v, blocks) for name, v in self._variants.items()}
        reasons: dict[str, Reason] = {}
        for key, points in self._points.items():
            found = [
                _reason(point, blocks, refused)
                for point in points
                if not point.applies_to
                or any(kinds[name] is not False for name in point.applies_to)
            ]
            if found and key not in have:
                reasons[key] = min(found, key=_BEST_FIRST.index)
        for derived in self._derived:
            parts = parts_of(derived)
            if derived.key not in have and all(
                p in have or p in reasons for p in parts
            ):
                why = [reasons[p] for p in parts if p in reasons]
                reasons[derived.key] = max(
                    why, key=_BEST_FIRST.index, default="not available"
                )
        return reasons


def cut(blocks: Iterable[Block], ranges: Sequence[RegisterRange]) -> list[Block]:
    """Return what of the blocks lies in the ranges, as blocks."""
    parts = []
    for block in blocks:
        end = block.address + len(block.data) // 2
        for part in ranges:
            first, last = max(part.address, block.address), min(part.end, end)
            if part.function == block.function and first < last:
                start, stop = first - block.address, last - block.address
                data = block.data[2 * start : 2 * stop]
                parts.append(Block(block.function, first, data))
    return parts


def _reason(
    point: Point, blocks: Sequence[Block], refused: Sequence[RegisterRange]
) -> Reason:
    if any(_has(b, point) for b in blocks):
        return "not available"
    if any(
        r.function == point.function and r.address < point.end and point.address < r.end
        for r in refused
    ):
        return "refused"
    return "no answer"


def _has(block: Block, point: Point) -> bool:
    end = block.address + len(block.data) // 2
    return (
        block.function == point.function
        and block.address <= point.address
        and point.end <= end
    )


def _holds(part: RegisterRange, function: str, first: int, end: int) -> bool:
    return part.function == function and part.address <= first and end <= part.end


def _is_of(variant: Variant, blocks: Sequence[Block]) -> bool | None:
    """Tell whether the device is of a variant; None when that was not read."""
    for block in blocks:
        start = 2 * (variant.address - block.address)
        if block.function == variant.function and 0 <= start < len(block.data):
            raw = int.from_bytes(block.data[start : start + 2], "big")
            return any(low <= raw <= high for low, high in variant.within)
    return None

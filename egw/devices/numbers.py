"""Which registers a packet can name: it knows their numbers, but not their tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from egw.devices.blocks import Block
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Profile


class UniqueNumbers:
    """Leaves out holding registers whose number is also that of an input register.

    Measured values stand in input registers, settings in holding ones. What is left
    out does not depend on what was answered: under one number comes always the same
    register.
    """

    def __init__(self, profile: Profile) -> None:
        tables: dict[str, set[int]] = {"holding": set(), "input": set()}
        for full in (True, False):
            for block in HarvestPlan.for_profile(profile, full=full).requests:
                tables[block.function].update(range(block.address, block.end))
        self._doubles = tables["holding"] & tables["input"]
        self._cuts = lru_cache(maxsize=64)(self._find_cuts)

    def of(self, blocks: tuple[Block, ...]) -> tuple[Block, ...]:
        """Return the blocks without such registers; cut where they stood."""
        if not self._doubles:
            return blocks
        return tuple(part for block in blocks for part in self._parts(block))

    def _parts(self, block: Block) -> Iterator[Block]:
        if block.function == "input":
            yield block
            return
        for first, start, stop in self._cuts(block.address, len(block.data)):
            yield Block(block.function, first, block.data[start:stop])

    def _find_cuts(self, address: int, size: int) -> list[tuple[int, int, int]]:
        """Return first register and bytes of what is left of a holding block."""
        left = [
            a for a in range(address, address + size // 2) if a not in self._doubles
        ]
        return [
            (first, 2 * (first - address), 2 * (last + 1 - address))
            for first, last in _runs(left)
        ]


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and the last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs

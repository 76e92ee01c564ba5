"""One harvest cycle of a device: which blocks are still to be read, and what came."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from egw.messages import Reading

if TYPE_CHECKING:
    from egw.devices.blocks import Block
    from egw.devices.plan import HarvestPlan
    from egw.devices.profile import RegisterRange

CYCLE_S = 1.0
_LONGEST_S = 5.0
_SMOOTHING = 0.2


class Cycle:
    """Cycles start on a one-second grid; one that is not over skips the next start.

    So a slow device is harvested less often, and nothing queues. Pure; times are
    monotonic seconds.
    """

    def __init__(self, plan: HarvestPlan, *, first_at: float) -> None:
        self.plan = plan
        self.incomplete = ""
        """Why the last finished cycle lacks a block; empty when it lacks none."""
        self._next_at = first_at
        self._pending: deque[RegisterRange] = deque()
        self._blocks: list[Block] = []
        self._started_at = 0.0
        self._stamp_ms = 0
        self._missing = ""
        self._last_stamp_ms = 0
        self._block_s = 0.0
        self._starved = False

    def never_stamp_below(self, stamp_ms: int) -> None:
        """Let all later stamps be above one that an earlier incarnation used."""
        self._last_stamp_ms = max(self._last_stamp_ms, stamp_ms)

    def begin(self, now: float, wall_ms: int) -> None:
        """Start a cycle when one is due and the last one is over.

        One that an outage has interrupted for long is over: what it still lacks would
        be of another time than what it has.
        """
        if self._pending and now - self._started_at > _LONGEST_S:
            self._missing = f"the cycle took longer than {_LONGEST_S:g} s"
            self._pending.clear()
            return
        if now < self._next_at:
            return
        self._next_at += CYCLE_S * (1 + int((now - self._next_at) / CYCLE_S))
        if self._pending or self._stamp_ms:
            return
        self._pending.extend(self.plan.due(now))
        self._blocks = []
        # Without a block to ask for, nothing is known to be better than it was.
        self._missing = "" if self._pending else self.incomplete
        self._started_at = now
        self._stamp_ms = max(wall_ms, self._last_stamp_ms + 1)

    def next_block(self, now: float, *, until: float) -> RegisterRange | None:
        """Return the block to read now, None when there is none or no time for it.

        Frequency goes first: a block is read when it will be over `until` the next
        sample is due. But a block that did not fit goes after the next sample, fit or
        not, so that a slow device is harvested too.
        """
        if not self._pending:
            return None
        if now + self._block_s > until and not self._starved:
            self._starved = True
            return None
        self._starved = False
        return self._pending.popleft()

    def answered(self, asked: RegisterRange, block: Block, took_s: float) -> None:
        """Keep a block."""
        self.plan.answered(asked)
        self._blocks.append(block)
        self._block_s += _SMOOTHING * (took_s - self._block_s)

    def refused(
        self, asked: RegisterRange, now: float, reason: str, *, for_good: bool
    ) -> None:
        """Leave a block out; `for_good`: the device does not have these registers."""
        self._missing = f"{asked.function} {asked.address}+{asked.count}: {reason}"
        if for_good:
            self.plan.refused(asked, now)
        else:
            self.plan.busy(asked, now)

    def finish(self) -> Reading | None:
        """Return the reading when the cycle is over; it may have no block at all."""
        if self._pending or not self._stamp_ms:
            return None
        reading = Reading(self._stamp_ms, tuple(self._blocks))
        self.incomplete = self._missing
        self._blocks, self._stamp_ms = [], 0
        if reading.blocks:
            self._last_stamp_ms = reading.stamp_ms
        return reading

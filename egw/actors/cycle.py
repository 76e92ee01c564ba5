"""One harvest cycle of a device: which blocks are still to be read, and what came.

How frequency and harvest share the device, in one rule: frequency goes first. While
there is time, blocks fill the gaps: a block is read when it will be over before the
next sample is due. While there is not, samples and blocks alternate: after each sample
comes one block, fit or not. So frequency never takes more than half of the requests,
a slow device is harvested as fast as it can, and no block is left out for ever.

A cycle goes on until all its blocks were asked, however long that takes. Those that
would have begun meanwhile are left out: nothing queues, and nothing is made up for.
Only an outage ends a cycle early.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from egw.messages import Reading

if TYPE_CHECKING:
    from egw.devices.blocks import Block
    from egw.devices.plan import HarvestPlan
    from egw.devices.profile import RegisterRange

CYCLE_S = 1.0
_SMOOTHING = 0.2
_RATE_WINDOW_S = 10.0


class Cycle:
    """Cycles start on a one-second grid. Pure; times are monotonic seconds."""

    def __init__(
        self,
        full: HarvestPlan,
        slim: HarvestPlan,
        *,
        full_every: int,
        first_at_s: float,
    ) -> None:
        """Make every `full_every`-th cycle a full one, the first one too."""
        self.incomplete = ""
        """Why a block is lacking since it was asked last; empty when none is."""
        self._full_every = full_every
        self._next_at_s = first_at_s
        self._last_stamp_ms = 0
        self._block_s = 0.0
        self._starved = False
        self._finished: deque[float] = deque(maxlen=round(_RATE_WINDOW_S / CYCLE_S) + 1)
        self._took_s = {True: 0.0, False: 0.0}
        """How long the last full and the last slim cycle took."""
        self._running = False
        self.replace_plans(full, slim)

    def replace_plans(self, full: HarvestPlan, slim: HarvestPlan) -> None:
        """Read by other plans from now on, beginning with a full cycle."""
        self._plans = {True: full, False: slim}
        self._number = 0
        self._is_full = True
        self._pending: deque[RegisterRange] = deque()

    def never_stamp_below(self, stamp_ms: int) -> None:
        """Let all later stamps be above one that an earlier incarnation used."""
        self._last_stamp_ms = max(self._last_stamp_ms, stamp_ms)

    def begin(self, now_s: float, wall_ms: int) -> None:
        """Start a cycle when one is due and the last one is over."""
        if now_s < self._next_at_s:
            return
        self._next_at_s += CYCLE_S * (1 + int((now_s - self._next_at_s) / CYCLE_S))
        if self._running:
            return
        self._running = True
        self._is_full = self._number % self._full_every == 0
        self._number += 1
        self._pending.extend(self._plans[self._is_full].due(now_s))
        self._blocks: list[Block] = []
        self._refusal = ""
        # Without a block to ask for, nothing is known to be better than it was.
        self._missing = "" if self._pending else self.incomplete
        self._started_at_s, self._started_ms = now_s, wall_ms
        self._stamp_ms = max(wall_ms, self._last_stamp_ms + 1)
        self._first_read_ms = self._last_read_ms = self._stamp_ms

    def next_block(self, now_s: float, *, until_s: float) -> RegisterRange | None:
        """Return the block to read now, None when there is none or no time for it.

        `until_s` is when the next sample is due. See the rule above.
        """
        if not self._pending:
            return None
        if now_s + self._block_s > until_s and not self._starved:
            self._starved = True
            return None
        self._starved = False
        return self._pending.popleft()

    def answered(
        self, asked: RegisterRange, block: Block, now_s: float, took_s: float
    ) -> None:
        """Keep a block that came `now_s`."""
        self._go_on(self._plans[self._is_full].answered(asked, now_s))
        since_ms = round((now_s - self._started_at_s) * 1000)
        self._last_read_ms = self._started_ms + since_ms
        if not self._blocks:
            self._first_read_ms = self._last_read_ms
        self._blocks.append(block)
        known_s = self._block_s or took_s
        self._block_s = known_s + _SMOOTHING * (took_s - known_s)

    def refused(self, asked: RegisterRange, now_s: float, reason: str) -> None:
        """Leave out registers that the device does not have, and ask for the others.

        That is no trouble, unless nothing is left.
        """
        parts = self._plans[self._is_full].refused(asked, now_s)
        self._go_on(parts)
        if not parts:
            self._refusal = _told(asked, reason)

    def failed(self, asked: RegisterRange, now_s: float, reason: str) -> None:
        """Leave out a block that the device could not give just now."""
        plan = self._plans[self._is_full]
        self._go_on(plan.busy(asked, now_s, _told(asked, reason)))

    def _go_on(self, parts: tuple[RegisterRange, ...]) -> None:
        self._pending.extendleft(reversed(parts))

    def interrupt(self, reason: str) -> None:
        """End the cycle: what it still lacks would be of another time than the rest.

        After a full one that was cut short comes a full one.
        """
        if self._pending:
            self._pending.clear()
            self._missing = reason
            self._number = 0 if self._is_full else self._number

    def finish(self, now_s: float) -> Reading | None:
        """Return the reading when the cycle is over; it may have no block at all."""
        if self._pending or not self._running:
            return None
        self._running = False
        self._took_s[self._is_full] = now_s - self._started_at_s
        plans = self._plans
        lacking = self._missing or plans[self._is_full].trouble
        refusal = "" if self._blocks else self._refusal
        self.incomplete = lacking or plans[not self._is_full].trouble or refusal
        if self._blocks:
            self._last_stamp_ms = self._stamp_ms
            self._finished.append(now_s)
        return Reading(
            self._stamp_ms,
            tuple(self._blocks),
            full=self._is_full,
            complete=not lacking,
            first_read_ms=self._first_read_ms,
            last_read_ms=self._last_read_ms,
        )

    def resting(self, now_s: float) -> int:
        """Return how many registers are asked more rarely than they are planned."""
        return max(plan.resting(now_s) for plan in self._plans.values())

    def rate_hz(self, now_s: float) -> float:
        """Return the readings a second that were achieved of late."""
        finished = self._finished
        while len(finished) > 2 and finished[0] < now_s - _RATE_WINDOW_S:
            finished.popleft()
        if len(finished) < 2:
            return 0.0
        spacing_s = (finished[-1] - finished[0]) / (len(finished) - 1)
        since_s = now_s - finished[-1]
        return 1 / (spacing_s if since_s < 2 * spacing_s else since_s)

    @property
    def slowness(self) -> str:
        """Why there are fewer readings than one a second; empty when there are not."""
        slow = {kind: s for kind, s in self._took_s.items() if s > CYCLE_S}
        if not slow:
            return ""
        longest = max(slow, key=lambda kind: slow[kind])
        what = "a full harvest" if len(slow) < self._kinds else "a harvest"
        return (
            f"{what} takes {slow[longest]:.1f} s, "
            f"{self._block_s * 1000:.0f} ms for each request"
        )

    @property
    def _kinds(self) -> int:
        return 1 if self._full_every == 1 else 2


def _told(asked: RegisterRange, reason: str) -> str:
    return f"{asked.function} {asked.address}+{asked.count}: {reason}"

"""When to start again what has failed: back-off, intensity, and when to give up."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The first restart comes at once, later ones after growing, jittered pauses."""

    intensity: int
    """Failures within `period_s` that are borne; one more and it is given up."""
    period_s: float = 60.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 1.0
    jitter: float = 0.2
    healthy_after_s: float = 1.0
    """Being up for so long ends a streak of failures: the next restart is at once."""


WORKER_POLICY = Policy(intensity=40)
"""A new worker costs milliseconds; a kill from outside every two seconds is borne."""
ACTOR_POLICY = Policy(intensity=5)


class Failures:
    """The failures of one actor or worker."""

    def __init__(self, policy: Policy) -> None:
        self.total = 0
        self._policy = policy
        self._times: deque[float] = deque()
        self._streak = 0

    def add(self, now: float, *, up_since: float | None) -> float | None:
        """Count a failure; return the pause before the restart, None to give up."""
        policy = self._policy
        self.total += 1
        if up_since is not None and now - up_since >= policy.healthy_after_s:
            self._streak = 0
        self._streak += 1
        self._times.append(now)
        while self._times[0] < now - policy.period_s:
            self._times.popleft()
        if len(self._times) > policy.intensity:
            return None
        return self._pause_s()

    def _pause_s(self) -> float:
        if self._streak == 1:
            return 0.0
        policy = self._policy
        pause_s = policy.first_pause_s * 2 ** min(self._streak - 2, 20)
        spread = 1 + random.uniform(-policy.jitter, policy.jitter)  # noqa: S311
        return float(min(pause_s, policy.longest_pause_s) * spread)

    def clear(self) -> None:
        """Forget what counts towards giving up."""
        self._times.clear()
        self._streak = 0

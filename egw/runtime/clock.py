"""Time, injected so that timing is tested without waiting."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Scheduling uses `monotonic`; stamps use `wall_ms`."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC; may step when the clock is set."""


class SystemClock:
    """The clocks of the machine."""

    monotonic = staticmethod(time.monotonic)

    @staticmethod
    def wall_ms() -> int:
        """Milliseconds since 1970 UTC."""
        return time.time_ns() // 1_000_000

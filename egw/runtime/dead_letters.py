"""What could not be delivered: counted, the first of a kind logged, then summed up."""

from __future__ import annotations

import threading
import time

import structlog

from egw.runtime.errors import ActorDown

_SUMMARY_EVERY_S = 60.0


class DeadLetters:
    """Counts by addressee, message and reason. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str, str], int] = {}
        self._logged_at: dict[tuple[str, str, str], float] = {}

    def add(self, to: str, message: str, why: str) -> None:
        """Count one."""
        key = (to, message, why)
        now = time.monotonic()
        with self._lock:
            count = self._counts[key] = self._counts.get(key, 0) + 1
            if now - self._logged_at.get(key, -_SUMMARY_EVERY_S) < _SUMMARY_EVERY_S:
                return
            self._logged_at[key] = now
        log = structlog.get_logger()
        # That an actor is down is an event of its own already.
        write = log.debug if why == ActorDown.code else log.warning
        write("dead_letter", to=to, message=message, why=why, count=count)

    @property
    def total(self) -> int:
        """All that were counted."""
        with self._lock:
            return sum(self._counts.values())

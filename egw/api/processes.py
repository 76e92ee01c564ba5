"""What processes cost: CPU time and memory, from Linux's /proc."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egw.runtime.clock import Clock

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_MAX_AGE_S = 1.0
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Fields of /proc/PID/stat after the name in parentheses, see proc(5)."""


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """What a process has used. None where the system does not tell."""

    cpu_s: float | None
    """User and system time since its start."""
    pss_mb: float | None
    """Memory, pages that it shares divided by those who share them; 10^6 bytes."""


def process_cost(pid: int) -> ProcessCost:
    """Read what a process has used."""
    return ProcessCost(_cpu_s(pid), _pss_mb(pid))


def _cpu_s(pid: int) -> float | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])
    return ticks / os.sysconf("SC_CLK_TCK")


def _pss_mb(pid: int) -> float | None:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return None
    match = _PSS.search(rollup)
    return round(int(match[1]) * 1024 / 1e6, 2) if match else None


class ProcessCosts:
    """Keeps what it read for a second: the kernel walks every page for a PSS."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: dict[int, ProcessCost] = {}
        self._read_at_s = float("-inf")
        self._lock = threading.Lock()

    def of(self, pids: Iterable[int]) -> dict[int, ProcessCost]:
        """Return the costs of these processes, at most a second old."""
        wanted = set(pids)
        with self._lock:
            now_s = self._clock.monotonic()
            if now_s - self._read_at_s > _MAX_AGE_S or not wanted <= set(self._read):
                self._read = {pid: process_cost(pid) for pid in wanted}
                self._read_at_s = now_s
            return self._read

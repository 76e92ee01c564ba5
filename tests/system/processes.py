"""Processes as the system shows them, and waiting for what they do."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

HANG_S = 30.0
"""Nothing takes so long unless something stands still."""

_PAUSE_S = 0.01
_SESSION = 3
"""Index among the fields of `/proc/PID/stat` that follow the name: proc(5)."""


def until(look: Callable[[], T | None], what: str, *, within_s: float = HANG_S) -> T:
    """Look again and again; return the first thing seen that is true."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"{what}: not within {within_s:g} s"
        time.sleep(_PAUSE_S)
    return seen


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in ("Z", "X")


def session_of(leader: int) -> set[int]:
    """Return every running process of a session, orphans among them.

    A gateway is started as the leader of a session that nothing of it leaves.
    """
    pids = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if _is_in(pid, leader)}


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Send a signal to each of the processes that still runs."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def parent_of(pid: int) -> int:
    """Return the pid of the parent, 0 when the process is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _is_in(pid: int, session: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z" and int(fields[_SESSION]) == session


def _stat(pid: int) -> list[str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()

"""Waiting for what threads do."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HANG_S = 20.0
"""No test takes so long unless something stands still."""


def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + HANG_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        pause.wait(0.002)

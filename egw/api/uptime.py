"""How long the gateway has been running."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import falcon

from egw.runtime.control import TreeView
from egw.runtime.errors import ActorError

if TYPE_CHECKING:
    from egw.runtime.clock import Clock

DescribeTree = Callable[[], TreeView]
"""Asks the supervisor for its tree; raises an ActorError without an answer."""


def described(describe: DescribeTree) -> TreeView:
    """Return the supervision tree; an HTTP 503 when the supervisor does not answer."""
    try:
        return describe()
    except ActorError as error:
        raise falcon.HTTPServiceUnavailable(
            description=f"the supervisor did not answer: {error}"
        ) from error


class Uptime:
    """Asks the supervisor once; from then on the clock knows."""

    def __init__(self, describe: DescribeTree, clock: Clock) -> None:
        self._describe = describe
        self._clock = clock
        self._started_s: float | None = None

    def ms_if_known(self) -> int | None:
        """Return milliseconds since the gateway's start, if the supervisor told."""
        try:
            return self.ms()
        except falcon.HTTPServiceUnavailable:
            return None

    def ms(self) -> int:
        """Return milliseconds since the gateway's start, or raise an HTTP 503."""
        now_s = self._clock.monotonic()
        if self._started_s is None:
            self._started_s = now_s - described(self._describe).uptime_s
        return max(0, round((now_s - self._started_s) * 1000))

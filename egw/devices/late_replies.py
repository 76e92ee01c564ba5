"""Replies that were given up for lost, and may come yet.

Where a reply does not say which request it is for, one that comes late would be taken
for the reply to the next request of the same shape.
"""

from __future__ import annotations

from collections.abc import Callable

LATEST_S = 10.0
"""Later than this after a request its reply is not expected any more."""


class LateReplies:
    """Knows what late replies would begin with."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._given_up: dict[bytes, float] = {}

    def __bool__(self) -> bool:
        return bool(self._given_up)

    def expect(self, beginning: bytes) -> None:
        """Remember a reply that did not come in time."""
        self._given_up[beginning] = self._monotonic()

    def clear(self) -> None:
        """Forget all: a later request was answered, so none can come any more."""
        self._given_up.clear()

    def may_be(self, beginning: bytes) -> bool:
        """Tell whether a late reply would fit a request; forget those of long ago."""
        if not self._given_up:
            return False
        since_s = self._monotonic() - LATEST_S
        self._given_up = {
            reply: at_s for reply, at_s in self._given_up.items() if at_s >= since_s
        }
        return beginning in self._given_up

    def other_count(self, most: int) -> int:
        """Return how many registers, up to `most`, to read so that no late reply fits.

        A device answers in order: after the reply to such a read, none can come. What
        replies to reads begin with ends in the number of their bytes.
        """
        lost = {beginning[-1] // 2 for beginning in self._given_up}
        return next((count for count in range(1, most) if count not in lost), 1)

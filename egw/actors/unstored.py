"""Readings that are not known to be on disk."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egw.messages import Reading

_LIMIT = 600
_SENT = 100


class Unstored:
    """Keeps readings, oldest first, until they are stored. Bounded. Pure."""

    def __init__(self) -> None:
        self.taken = self.dropped = 0
        self._readings: deque[Reading] = deque()

    def __len__(self) -> int:
        return len(self._readings)

    def keep(self, reading: Reading) -> tuple[Reading, ...]:
        """Keep one more; returns what to send, beginning with the oldest."""
        self.taken += 1
        self._readings.append(reading)
        if len(self._readings) > _LIMIT:
            self._readings.popleft()
            self.dropped += 1
        return self.oldest()

    def oldest(self) -> tuple[Reading, ...]:
        """Return as many of the oldest as one message can have."""
        return tuple(islice(self._readings, _SENT))

    def stored(self, up_to_ms: int) -> None:
        """Let go of all readings up to this stamp."""
        while self._readings and self._readings[0].stamp_ms <= up_to_ms:
            self._readings.popleft()

    def messages(self) -> Iterator[tuple[Reading, ...]]:
        """Return all that is kept, in pieces that one message can have."""
        readings = tuple(self._readings)
        for start in range(0, len(readings), _SENT):
            yield readings[start : start + _SENT]

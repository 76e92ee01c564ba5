"""The frequency samples of one device: when they are due, and how many there are."""

from __future__ import annotations

from collections import deque

from egw.messages import FrequencySamples

PERIOD_S = 0.1
_RATE_WINDOW = 10


class Samples:
    """Collects samples until they are published once a second. Pure."""

    def __init__(self) -> None:
        self.taken = 0
        self.empty = 0
        """Instants of the grid that were met, but gave no sample."""
        self._stamps_ms: list[int] = []
        self._hz: list[float] = []
        self._late_ms: list[float] = []
        self._per_second: deque[int] = deque(maxlen=_RATE_WINDOW)

    def add(self, stamp_ms: int, hz: float, late_s: float) -> None:
        """Take a sample; `late_s` after its instant on the grid."""
        self.taken += 1
        self._stamps_ms.append(stamp_ms)
        self._hz.append(hz)
        self._late_ms.append(round(late_s * 1000, 2))

    def batch(self) -> FrequencySamples:
        """Return what came since the last batch. To be called once a second."""
        batch = FrequencySamples(
            tuple(self._stamps_ms), tuple(self._hz), tuple(self._late_ms)
        )
        self._per_second.append(len(self._hz))
        self._stamps_ms.clear()
        self._hz.clear()
        self._late_ms.clear()
        return batch

    @property
    def rate_hz(self) -> float:
        """Samples per second over the last ten batches."""
        return sum(self._per_second) / max(1, len(self._per_second))

"""The frequency samples of one device: when, from where, and how many there are."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from egw.messages import FrequencySamples

if TYPE_CHECKING:
    from egw.devices.profile import RegisterRange

PERIOD_S = 0.1
_RATE_WINDOW = 10
_REFUSED_LIMIT = 3
_EMPTY_LIMIT = 10
_REST_S = 30.0


class Samples:
    """Collects samples until they are published once a second. Pure."""

    def __init__(self) -> None:
        self.taken = 0
        self.empty = 0
        """Instants of the grid that were met, but gave no sample."""
        self._stamps_ms: list[int] = []
        self._hz: list[float] = []
        self._late_ms: list[float] = []
        self._batches: deque[tuple[float, int]] = deque(maxlen=_RATE_WINDOW + 1)
        """When each batch was taken, and how many samples it has."""

    def add(self, stamp_ms: int, hz: float, late_s: float) -> None:
        """Take a sample; `late_s` after its instant on the grid."""
        self.taken += 1
        self._stamps_ms.append(stamp_ms)
        self._hz.append(hz)
        self._late_ms.append(round(late_s * 1000, 2))

    def batch(self, now_s: float) -> FrequencySamples:
        """Return what came since the last batch, about a second ago."""
        batch = FrequencySamples(
            tuple(self._stamps_ms), tuple(self._hz), tuple(self._late_ms)
        )
        self._batches.append((now_s, len(self._hz)))
        self._stamps_ms.clear()
        self._hz.clear()
        self._late_ms.clear()
        return batch

    @property
    def rate_hz(self) -> float:
        """Samples per second over the last ten batches."""
        counts = [count for _, count in self._batches]
        passed_s = self._batches[-1][0] - self._batches[0][0] if counts else 0.0
        return sum(counts[1:]) / passed_s if passed_s > 0 else float(sum(counts))


class FrequencyReads:
    """Which of the profile's reads gives the frequency of this device. Pure.

    One that is refused, or that goes on having no frequency, gives way to the next.
    When all are refused they rest.
    """

    def __init__(self, ranges: tuple[RegisterRange, ...]) -> None:
        self._ranges = ranges
        self._place = 0
        self._refused_in_a_row = self._empty_in_a_row = 0
        self._rests_until_s = float("-inf")

    def due(self, now_s: float) -> RegisterRange | None:
        """Return what to read, None while all rest."""
        return None if now_s < self._rests_until_s else self._ranges[self._place]

    def answered(self, hz: float | None) -> None:
        """Note the frequency that was found, None for none."""
        self._refused_in_a_row = 0
        self._empty_in_a_row = 0 if hz is not None else self._empty_in_a_row + 1
        if self._empty_in_a_row >= _EMPTY_LIMIT:
            self._give_way()

    def refused(self, now_s: float) -> None:
        """Note that the read was refused."""
        self._refused_in_a_row += 1
        self._give_way()
        if self._refused_in_a_row >= max(_REFUSED_LIMIT, len(self._ranges)):
            self._rests_until_s = now_s + _REST_S

    def _give_way(self) -> None:
        self._place = (self._place + 1) % len(self._ranges)
        self._empty_in_a_row = 0

"""The frequency samples of one device: ten minutes of them, in 16 bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egw.messages import FrequencySamples

CAPACITY = 6_000
"""Samples kept: ten minutes at 10 Hz."""

_SLACK = 600
_UNITS_PER_HZ = 10_000


@dataclass(frozen=True, slots=True)
class Samples:
    """A run of samples, in order."""

    stamp_ms: list[int]
    hz: list[float]
    """To 0.1 mHz."""
    late_ms: list[float]


class FrequencySeries:
    """Batches of samples under growing numbers; the oldest batches go first."""

    def __init__(self) -> None:
        self._stamps_ms = array("q")
        self._hz = array("i")
        self._late_ms = array("f")
        self._dropped = 0
        self._numbers = array("q")
        self._ends = array("q")
        self.dropped_number = 0
        """The last batch that was dropped; 0 when all are here."""

    def append(self, number: int, batch: FrequencySamples) -> None:
        """Add a batch; `number` is larger than any before."""
        if not batch.stamps_ms:
            return
        self._stamps_ms.extend(batch.stamps_ms)
        self._hz.extend([round(hz * _UNITS_PER_HZ) for hz in batch.hz])
        self._late_ms.extend(batch.late_ms)
        self._numbers.append(number)
        self._ends.append(self._dropped + len(self._stamps_ms))
        if len(self._stamps_ms) > CAPACITY + _SLACK:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        surplus = len(self._stamps_ms) - CAPACITY
        last = bisect_right(self._ends, self._dropped + surplus - 1)
        count = self._ends[last] - self._dropped
        self.dropped_number = self._numbers[last]
        self._dropped += count
        del self._stamps_ms[:count], self._hz[:count], self._late_ms[:count]
        del self._numbers[: last + 1], self._ends[: last + 1]

    def newest(self) -> tuple[int, float] | None:
        """Return stamp (ms) and frequency (Hz) of the newest sample."""
        if not self._stamps_ms:
            return None
        return self._stamps_ms[-1], self._hz[-1] / _UNITS_PER_HZ

    def batches_after(self, number: int) -> list[tuple[int, int]]:
        """Return number and size of each batch after `number`."""
        first = bisect_right(self._numbers, number)
        start = self._ends[first - 1] if first else self._dropped
        sizes = []
        for n, end in zip(self._numbers[first:], self._ends[first:], strict=True):
            sizes.append((n, end - start))
            start = end
        return sizes

    def before_last(self, count: int) -> int:
        """Return the number of the batch before those that hold the last `count`."""
        total = self._dropped + len(self._stamps_ms)
        first = bisect_right(self._ends, total - count)
        return self._numbers[first - 1] if first else self.dropped_number

    def between(self, after: int, up_to: int) -> Samples:
        """Return the samples of the batches after `after`, up to `up_to` included."""
        start = self._offset(bisect_right(self._numbers, after))
        end = self._offset(bisect_right(self._numbers, up_to))
        return Samples(
            stamp_ms=self._stamps_ms[start:end].tolist(),
            hz=[value / _UNITS_PER_HZ for value in self._hz[start:end]],
            late_ms=[round(value, 3) for value in self._late_ms[start:end]],
        )

    def _offset(self, batches: int) -> int:
        return self._ends[batches - 1] - self._dropped if batches else 0

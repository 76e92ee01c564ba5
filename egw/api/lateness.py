"""How late frequency samples were, over all devices since the API started."""

from __future__ import annotations

from collections.abc import Iterable

BUCKETS = 5000
BUCKETS_PER_MS = 10


class Lateness:
    """A histogram with buckets of 0.1 ms up to 500 ms, and one for what is later."""

    def __init__(self) -> None:
        self._counts = [0] * (BUCKETS + 1)
        self.samples = 0
        self.max_ms = 0.0

    def add(self, late_ms: Iterable[float]) -> None:
        """Count samples; one that was early counts as punctual."""
        counts = self._counts
        for late in late_ms:
            bucket = int(late * BUCKETS_PER_MS)
            counts[0 if bucket < 0 else min(bucket, BUCKETS)] += 1
            self.max_ms = max(self.max_ms, late)
            self.samples += 1

    def quantile_ms(self, share: float) -> float | None:
        """Return the upper edge of the bucket that `share` of the samples reach.

        The largest lateness where that lies beyond 500 ms; None without a sample.
        """
        wanted = share * self.samples
        reached = 0
        for bucket, count in enumerate(self._counts[:BUCKETS]):
            reached += count
            if reached and reached >= wanted:
                return (bucket + 1) / BUCKETS_PER_MS
        return round(self.max_ms, 3) if self.samples else None

    def buckets(self) -> dict[str, int]:
        """Return the counts that are not zero by upper edge in ms; `inf` is the last.

        A bucket includes its lower edge.
        """
        return {_edge(n): count for n, count in enumerate(self._counts) if count}


def _edge(bucket: int) -> str:
    return "inf" if bucket == BUCKETS else f"{(bucket + 1) / BUCKETS_PER_MS:.1f}"

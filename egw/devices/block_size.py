"""The largest block that a device, or the bridge in front of it, answers."""

from __future__ import annotations

from egw.devices.profile import RegisterRange

SUSPICIOUS_FAILURES = 3
"""Failures of large reads, none of that size answered, before a search."""

CERTAIN_FAILURES = 4
"""Failures of the size that gave rise to a search, before it counts as too large."""

TRIES = 2
"""Failures of any other size."""

CLOSE_ENOUGH = 8
"""The search ends within one part in so many of the right size."""


class BlockSize:
    """Notices when only small reads are answered, and finds out how small. Pure.

    Each read that is answered, and each that fails by silence, garbage or a broken
    connection, is reported. When all large ones fail, `probe` says what to read next,
    in the place of any other block. Neither single timeouts nor a device that is off
    make blocks smaller.
    """

    def __init__(self, most: int, *, known: int | None = None) -> None:
        """Begin with `known` from an earlier search, else with `most` registers."""
        self._most = most
        self.limit = most if known is None else min(known, most)
        """Largest block to ask for."""
        self._suspect: RegisterRange | None = None
        """Smallest block that failed since one of its size was answered."""
        self._failures = 0
        self._answered = 1
        """Largest read that was answered meanwhile."""
        self._search: _Search | None = None

    @property
    def probe(self) -> RegisterRange | None:
        """What to read now; None when there is nothing to find out."""
        return None if self._search is None else self._search.probe

    def answered(self, count: int) -> None:
        """Note that a read of so many registers was answered."""
        if self._suspect is None:
            return
        if count >= self._suspect.count:
            self._suspect = None
        else:
            self._answered = max(self._answered, count)

    def failed(self, registers: RegisterRange) -> None:
        """Note that a read failed, and not because the device refused it."""
        if self._search is not None or registers.count == 1:
            return
        if self._suspect is None:
            self._suspect, self._failures, self._answered = registers, 0, 1
        elif registers.count < self._suspect.count:
            self._suspect = registers
        self._failures += 1
        if self._failures >= SUSPICIOUS_FAILURES:
            answered = min(self._answered, self._suspect.count - 1)
            self._search = _Search(self._suspect, answered)
            self._suspect = None

    def try_larger(self, block: RegisterRange) -> None:
        """Search anew, beginning with a block that was too large once.

        Perhaps it was the line that failed then, or the bridge was another one.
        """
        if self._search is None and self.limit < block.count:
            self._search = _Search(block, self.limit)

    def probed(self, *, answered: bool) -> bool:
        """Note how the probe went; returns whether the search ends with a new limit."""
        search = self._search
        if search is None:
            return False
        search.probed(answered=answered)
        if search.is_over:
            self._search = None
        former = self.limit
        if search.found is not None:
            self.limit = search.found
        elif search.is_fine and search.size > self.limit:
            self.limit = self._most
        return self.limit != former


class _Search:
    """Halves the size until it is answered, then approaches the limit from below.

    After each failure comes a read of a size that was answered. When it is not
    answered now, it is the line and not the size that fails, and the search is off.
    """

    def __init__(self, block: RegisterRange, answered: int) -> None:
        self._block = block
        self._good, self._bad = answered, block.count + 1
        self._size = block.count
        self._doubts_line = True
        """Whether the next read is of the size that was answered."""
        self._failures = 0
        self.is_over = False
        self.is_fine = False
        """Whether the block that gave rise to the search was answered."""
        self.found: int | None = None
        """The size; None when the line was at fault, or nothing at all."""

    @property
    def size(self) -> int:
        """Of the block that gave rise to the search."""
        return self._block.count

    @property
    def probe(self) -> RegisterRange:
        block = self._block
        count = self._good if self._doubts_line else self._size
        return RegisterRange(
            function=block.function, address=block.address, count=count
        )

    def probed(self, *, answered: bool) -> None:
        if self._doubts_line:
            self._line_told(answered=answered)
        elif not answered:
            self._failures += 1
            self._doubts_line = True
        elif self._size == self._block.count:
            self.is_over = self.is_fine = True
        else:
            self._good = self._size
            self._next_size()

    def _line_told(self, *, answered: bool) -> None:
        self._doubts_line = False
        self.is_over = not answered
        is_first = self._size == self._block.count
        if answered and self._failures >= (CERTAIN_FAILURES if is_first else TRIES):
            self._bad = self._size
            self._next_size()

    def _next_size(self) -> None:
        self._failures = 0
        if self._bad - self._good <= max(1, self._good // CLOSE_ENOUGH):
            self.found, self.is_over = self._good, True
            return
        half = self._bad // 2
        between = (self._good + self._bad) // 2
        self._size = half if half > self._good else between

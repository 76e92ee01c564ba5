"""Recorded registers of a real device, served in their own time.

The format of a recording is described in docs/recordings.md.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from simulators.bank import ILLEGAL_DATA_ADDRESS, Bank, ModbusExceptionReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.devices.profile import Function

Register = Annotated[int, Meta(ge=0, le=65535)]
Word = Annotated[int, Meta(ge=0, le=65535)]


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was read at one time."""

    at_ms: int
    """Milliseconds since 1970; only the distances between samples matter."""
    registers: dict[Literal["holding", "input"], dict[Register, Word]]


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A run of samples of one device, oldest first."""

    profile: str
    samples: Annotated[list[Sample], Meta(min_length=1)]
    origin: str = ""
    """Where the recording comes from, in words."""


class RecordingError(ValueError):
    """Raised when a file is not a recording; the text names what is wrong."""


def load_recording(path: Path) -> Recording:
    """Read a recording; raises RecordingError."""
    try:
        recording = msgspec.json.decode(path.read_bytes(), type=Recording)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path}: {error}") from error
    times = [sample.at_ms for sample in recording.samples]
    for index, (earlier, later) in enumerate(pairwise(times), 1):
        if later <= earlier:
            raise RecordingError(
                f"{path}: samples[{index}].at_ms is {later}, expected > {earlier}"
            )
    return recording


class ReplayedDevice:
    """The registers of a recording; the first request starts its clock.

    A register that a sample lacks keeps its value; one that comes first in a later
    sample has that first value from the start; any other does not exist.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start over after the last sample if `loop`, else stay on it."""
        self._samples = recording.samples
        self._loop = loop
        self._clock = clock
        self._started_at: float | None = None
        self._next = 0
        self.bank = Bank(_recorded_addresses(recording))
        for sample in reversed(self._samples):
            self._apply(sample)

    def read(self, function: Function, address: int, count: int) -> bytes:
        """Return the words of this moment; raises ModbusExceptionReply 2."""
        self._step()
        return self.bank.read(function, address, count)

    @property
    def is_dark(self) -> bool:
        """Never: a recording has the nights that it has."""
        return False

    def doze(self, *_: object) -> None:
        """Change nothing: a recording is served as it is."""

    def snapshot(self) -> dict[Function, dict[int, int]]:
        """Return every register as it was last served: table -> address -> word."""
        return self.bank.words()

    def write(self, address: int, data: bytes) -> None:  # noqa: ARG002 - read-only
        """Refuse: raises ModbusExceptionReply 2, a recording cannot be written."""
        raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)

    def pin(self, *_: object) -> None:
        """Refuse: raises ModbusExceptionReply 2, a recording is served as it is."""
        raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)

    def set_point(self, *_: object) -> None:
        """Refuse: raises ModbusExceptionReply 2, a recording is served as it is."""
        raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)

    def free_points(self) -> None:
        """Change nothing: no point of a recording is held."""

    def _step(self) -> None:
        now = self._clock()
        if self._started_at is None:
            self._started_at = now
        while self._due(now):
            self._apply(self._samples[self._next])
            self._next += 1
        if self._loop and self._next == len(self._samples) and self._over(now):
            self._started_at, self._next = now, 0
            self._step()

    def _due(self, now: float) -> bool:
        return self._next < len(self._samples) and now >= self._begins(self._next)

    def _begins(self, index: int) -> float:
        offset_ms = self._samples[index].at_ms - self._samples[0].at_ms
        return (self._started_at or 0.0) + offset_ms / 1000

    def _over(self, now: float) -> bool:
        """The last sample stays as long as the one before it, a single one a second."""
        last = len(self._samples) - 1
        stay_s = self._begins(last) - self._begins(max(last - 1, 0)) or 1.0
        return now >= self._begins(last) + stay_s

    def _apply(self, sample: Sample) -> None:
        for function, words in sample.registers.items():
            for address, word in words.items():
                self.bank.write(function, address, word.to_bytes(2, "big"))


def _recorded_addresses(recording: Recording) -> dict[Function, set[int]]:
    addresses: dict[Function, set[int]] = {"holding": set(), "input": set()}
    for sample in recording.samples:
        for function, words in sample.registers.items():
            addresses[function].update(words)
    return addresses

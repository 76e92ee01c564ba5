"""What a backend has received: every reading once, in order of arrival."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from simulators.packet import Packet


class Entry(msgspec.Struct, frozen=True):
    """One reading."""

    sn: str
    model: str
    stamp_ms: int
    packet: str
    """SHA-256 of the packet's bytes, in hex."""


class JournalError(Exception):
    """Raised when a journal file cannot be used; the text names file and reason."""


@dataclass(slots=True)
class Counts:
    """What arrived, as counts."""

    packets: int = 0
    readings: int = 0
    redelivered: int = 0
    """Packets that came again with the same bytes."""
    doubled: int = 0
    """Readings that came again in a different packet."""
    invalid: int = 0
    unknown: int = 0
    """Packets of gateways whose public key is not known."""
    out_of_order: int = 0
    """Readings older than one of the same device before them."""


class Journal:
    """Remembers readings; the file, if any, is extended with each packet."""

    def __init__(self, path: Path | None = None) -> None:
        """Continue the journal at `path`; raises JournalError."""
        self.counts = Counts()
        self.entries: list[Entry] = []
        self._packets: set[str] = set()
        self._packet_of: dict[str, dict[int, str]] = defaultdict(dict)
        self._doubled: dict[str, list[int]] = defaultdict(list)
        self._latest_ms: dict[str, int] = {}
        self._file: IO[bytes] | None = None
        if path is not None:
            self._open(path)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def add(self, packet: Packet) -> bool:
        """Take a packet's readings; return False for the same bytes again."""
        if packet.sha256 in self._packets:
            self.counts.redelivered += 1
            return False
        entries = [
            Entry(packet.sn, packet.model, stamp_ms, packet.sha256)
            for stamp_ms in packet.stamps_ms
        ]
        if self._file is not None:
            self._file.write(_lines(entries))
            self._file.flush()
        self._remember(entries)
        return True

    def report(self, after_ms: int = 0) -> dict[str, object]:
        """Return the counts, and readings with first and last stamp for each device.

        Only readings with a stamp greater than `after_ms` count as readings.
        """
        devices: dict[str, dict[str, int]] = {}
        for sn, packet_of in self._packet_of.items():
            stamps = [stamp for stamp in packet_of if stamp > after_ms]
            if stamps:
                devices[sn] = {
                    "readings": len(stamps),
                    "first_ms": min(stamps),
                    "last_ms": max(stamps),
                }
        counts = {name: getattr(self.counts, name) for name in Counts.__slots__}
        counts["readings"] = sum(device["readings"] for device in devices.values())
        return {**counts, "devices": devices}

    def compare(self, expected: Mapping[str, Iterable[int]]) -> dict[str, object]:
        """Return which expected readings are missing and which came doubled, by sn."""
        missing = {}
        for sn, stamps in expected.items():
            absent = sorted(set(stamps) - self._packet_of.get(sn, {}).keys())
            if absent:
                missing[sn] = absent
        doubled = {sn: self._doubled[sn] for sn in expected if self._doubled.get(sn)}
        return {"missing": missing, "doubled": doubled}

    def ndjson(self) -> bytes:
        """Return every reading in order of arrival, one JSON object a line."""
        return _lines(self.entries)

    def _remember(self, entries: list[Entry]) -> None:
        self.counts.packets += 1
        self._packets.add(entries[0].packet)
        for entry in entries:
            packet_of = self._packet_of[entry.sn]
            if entry.stamp_ms in packet_of:
                self.counts.doubled += 1
                self._doubled[entry.sn].append(entry.stamp_ms)
            else:
                packet_of[entry.stamp_ms] = entry.packet
                self.counts.readings += 1
            latest_ms = self._latest_ms.get(entry.sn, 0)
            self.counts.out_of_order += entry.stamp_ms < latest_ms
            self._latest_ms[entry.sn] = max(entry.stamp_ms, latest_ms)
        self.entries.extend(entries)

    def _open(self, path: Path) -> None:
        try:
            file = path.open("a+b")
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from error
        self._file = file
        file.seek(0)
        whole, _, torn = file.read().rpartition(b"\n")
        file.truncate(file.seek(0, 2) - len(torn))
        try:
            entries = [msgspec.json.decode(e, type=Entry) for e in whole.splitlines()]
        except (ValueError, RecursionError) as error:
            file.close()
            raise JournalError(f"{path}: not a journal: {error}") from error
        by_packet: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            by_packet[entry.packet].append(entry)
        for of_one_packet in by_packet.values():
            self._remember(of_one_packet)


def _lines(entries: Iterable[Entry]) -> bytes:
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)

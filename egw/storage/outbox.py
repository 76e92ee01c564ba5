"""The outbox: packets on disk from their commit until all endpoints have them.

One SQLite database in WAL mode with full synchronisation: what `transaction` has
committed survives a power cut. The payload is immutable and compressed, header and
signature are added once, so that every delivery sends the same bytes.
"""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from egw.crypto import jws
from egw.messages import Packet
from egw.storage.database import is_damage, move_aside, open_database

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS packet (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    sn TEXT NOT NULL,
    model TEXT NOT NULL,
    dtype TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    last_ms INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    payload BLOB NOT NULL,
    header TEXT,
    signature BLOB,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS packet_waiting ON packet (id) WHERE done = 0;
CREATE INDEX IF NOT EXISTS packet_unsigned ON packet (id) WHERE signature IS NULL;
CREATE INDEX IF NOT EXISTS packet_age ON packet (done, created_ms);
CREATE TABLE IF NOT EXISTS outcome (
    packet INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (packet, endpoint)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcome_quarantined ON outcome (packet) WHERE reason != '';
CREATE TABLE IF NOT EXISTS stored (device TEXT PRIMARY KEY, last_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS count (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
"""

_PRUNE_BATCH = 200
_ZLIB_LEVEL = 1


@dataclass(frozen=True, slots=True)
class NewPacket:
    """A packet before it is signed."""

    device: str
    sn: str
    model: str
    dtype: str
    first_ms: int
    last_ms: int
    readings: int
    payload: str


@dataclass(frozen=True, slots=True)
class Unsigned:
    """What the header and the digest of a packet are made from."""

    id: int
    sn: str
    model: str
    dtype: str
    payload: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts since the first start, and what is there now."""

    waiting: int
    unsigned: int
    quarantined: int
    oldest_waiting_ms: int | None
    stored_bytes: int
    committed_readings: int
    committed_packets: int
    signed_packets: int
    delivered_packets: int
    dropped_packets: int
    damaged_files: int


class Outbox:
    """For one owner. All changes belong into a `transaction`."""

    def __init__(self, path: Path, *, now_ms: int) -> None:
        """Open or make the database; a damaged one is moved aside.

        Raises sqlite3.OperationalError when the place cannot be written.
        """
        self._path = path
        self._db = open_database(path, lambda db: _prepare(db, now_ms))
        self._damaged_files = len(list(path.parent.glob(f"{path.name}.damaged-*[0-9]")))
        self._bytes = self._one("SELECT value FROM count WHERE name = 'stored_bytes'")
        self._unreadable: set[int] = set()
        """Packets whose payload the disk has spoiled; the next `prune` drops them."""
        self._log = structlog.get_logger()

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def abandon_when_damaged(self, error: sqlite3.Error) -> None:
        """Close the database, and move it aside when the error says it is damaged."""
        if is_damage(error):
            self._db.close()
            move_aside(self._path, str(error))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside, or nothing of it.

        Raises sqlite3.OperationalError, for example when the disk is full.
        """
        bytes_before = self._bytes
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self._bytes != bytes_before:
                self._count("stored_bytes", self._bytes - bytes_before)
            self._db.execute("COMMIT")
        except BaseException:
            self._bytes = bytes_before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def add(self, packet: NewPacket, *, now_ms: int) -> int:
        """Add a packet; returns its number. Numbers only grow."""
        payload = zlib.compress(packet.payload.encode(), _ZLIB_LEVEL)
        cursor = self._db.execute(
            "INSERT INTO packet (device, sn, model, dtype, first_ms, last_ms,"
            " readings, created_ms, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                packet.device,
                packet.sn,
                packet.model,
                packet.dtype,
                packet.first_ms,
                packet.last_ms,
                packet.readings,
                now_ms,
                payload,
            ),
        )
        self._db.execute(
            "INSERT INTO stored VALUES (?, ?) ON CONFLICT (device)"
            " DO UPDATE SET last_ms = max(last_ms, excluded.last_ms)",
            (packet.device, packet.last_ms),
        )
        self._bytes += len(payload)
        self._count("committed_packets", 1)
        self._count("committed_readings", packet.readings)
        number = cursor.lastrowid
        if number is None:
            raise sqlite3.DatabaseError("an inserted packet has no number")
        return number

    def stored_up_to_ms(self, device: str) -> int:
        """Return the last stamp of the device on disk, 0 when there is none."""
        return self._one(
            "SELECT coalesce(max(last_ms), 0) FROM stored WHERE device = ?", device
        )

    def unsigned(self, *, after: int, limit: int) -> list[Unsigned]:
        """Return the oldest unsigned packets with numbers above `after`."""
        rows = self._db.execute(
            "SELECT id, sn, model, dtype, payload FROM packet"
            " WHERE signature IS NULL AND id > ? ORDER BY id LIMIT ?",
            (after, limit),
        )
        return [
            Unsigned(number, sn, model, dtype, text)
            for number, sn, model, dtype, payload in rows
            if (text := self._readable(number, payload)) is not None
        ]

    def sign(self, packet: int, *, header: str, signature: bytes) -> None:
        """Add header and signature; a packet that has one keeps it."""
        cursor = self._db.execute(
            "UPDATE packet SET header = ?, signature = ?"
            " WHERE id = ? AND signature IS NULL",
            (header, signature, packet),
        )
        self._count("signed_packets", cursor.rowcount)

    def to_deliver(
        self, endpoint: str, *, after: int, limit: int, without: Collection[str] = ()
    ) -> list[Packet]:
        """Return the next packets for an endpoint in order, up to the first unsigned.

        Those that already have an outcome there are left out, and those of the
        devices `without`.
        """
        places = ", ".join("?" * len(without))
        rows = self._db.execute(
            "SELECT id, device, header, payload, signature"  # noqa: S608 - only marks
            " FROM packet LEFT JOIN outcome"
            " ON outcome.packet = packet.id AND outcome.endpoint = ?"
            " WHERE done = 0 AND id > ? AND outcome.packet IS NULL"
            f" AND device NOT IN ({places}) ORDER BY id LIMIT ?",
            (endpoint, after, *without, limit),
        )
        packets = []
        for number, device, header, payload, signature in rows:
            text = self._readable(number, payload)
            if text is None:
                continue
            if signature is None:
                break
            signed = jws.signing_input(header, text)
            packets.append(Packet(number, device, jws.compact(signed, signature)))
        return packets

    def _readable(self, packet: int, payload: bytes) -> str | None:
        try:
            return _text(payload)
        except (zlib.error, UnicodeDecodeError) as error:
            if packet not in self._unreadable:
                self._unreadable.add(packet)
                self._log.error("packet.damaged", packet=packet, reason=str(error))
            return None

    def finish(
        self, packet: int, endpoint: str, *, reason: str, endpoints: int, now_ms: int
    ) -> None:
        """Note that an endpoint took the packet, or with a `reason`, why it never will.

        With an outcome for each of the `endpoints` the packet is done.
        """
        cursor = self._db.execute(
            "INSERT INTO outcome SELECT id, ?, ?, ? FROM packet WHERE id = ?"
            " ON CONFLICT DO NOTHING",
            (endpoint, now_ms, reason, packet),
        )
        if cursor.rowcount and not reason:
            self._count("delivered_packets", 1)
        self._db.execute(
            "UPDATE packet SET done = 1 WHERE id = ?"
            " AND (SELECT count(*) FROM outcome WHERE packet = ?) >= ?",
            (packet, packet, endpoints),
        )

    def prune(
        self, *, max_bytes: int, max_age_ms: int, keep_done_ms: int, now_ms: int
    ) -> int:
        """Drop what is done and old, then what is beyond the bounds.

        Delivered packets go first, then the oldest, and what cannot be read. Returns
        how many were dropped that some endpoint had not yet got; they are counted and
        logged.
        """
        self._delete("done = 1 AND created_ms < ?", now_ms - keep_done_ms)
        self._delete("done = 1", down_to_bytes=max_bytes)
        dropped = self._delete("done = 0 AND created_ms < ?", now_ms - max_age_ms)
        dropped += self._delete("done = 0", down_to_bytes=max_bytes)
        for packet in self._unreadable:
            dropped += self._delete("id = ?", packet)
        if dropped:
            self._count("dropped_packets", dropped)
            self._log.warning("outbox.dropped", packets=dropped)
        return dropped

    def _delete(self, where: str, *arguments: int, down_to_bytes: int = -1) -> int:
        """Delete the oldest packets that match while there is more; returns how many.

        In batches, so that there are never more than a few rows in memory.
        """
        deleted = 0
        while self._bytes > down_to_bytes:
            rows = self._db.execute(
                "SELECT id, length(payload) FROM packet"  # noqa: S608 - our own texts
                f" WHERE {where} ORDER BY created_ms, id LIMIT {_PRUNE_BATCH}",
                arguments,
            ).fetchall()
            if not rows:
                break
            for number, size in rows:
                if self._bytes > down_to_bytes:
                    self._forget(number, size)
                    deleted += 1
        return deleted

    def _forget(self, packet: int, size: int) -> None:
        self._db.execute("DELETE FROM packet WHERE id = ?", (packet,))
        self._db.execute("DELETE FROM outcome WHERE packet = ?", (packet,))
        self._bytes -= size

    def totals(self) -> Totals:
        """Return what is shown of the outbox."""
        counts = dict(self._db.execute("SELECT name, value FROM count"))
        waiting, oldest_ms = self._db.execute(
            "SELECT count(*), min(created_ms) FROM packet WHERE done = 0"
        ).fetchone()
        return Totals(
            waiting=waiting,
            unsigned=self._one("SELECT count(*) FROM packet WHERE signature IS NULL"),
            quarantined=self._one("SELECT count(*) FROM outcome WHERE reason != ''"),
            oldest_waiting_ms=oldest_ms,
            stored_bytes=self._bytes,
            committed_readings=counts.get("committed_readings", 0),
            committed_packets=counts.get("committed_packets", 0),
            signed_packets=counts.get("signed_packets", 0),
            delivered_packets=counts.get("delivered_packets", 0),
            dropped_packets=counts.get("dropped_packets", 0),
            damaged_files=self._damaged_files,
        )

    def payloads(self) -> Iterator[tuple[str, str]]:
        """Yield serial number and payload of every packet that is still there."""
        for sn, payload in self._db.execute("SELECT sn, payload FROM packet"):
            yield sn, _text(payload)

    def _count(self, name: str, by: int) -> None:
        self._db.execute(
            "INSERT INTO count VALUES (?, ?) ON CONFLICT (name)"
            " DO UPDATE SET value = value + excluded.value",
            (name, by),
        )

    def _one(self, query: str, *arguments: str | int) -> int:
        value: int = self._db.execute(query, arguments).fetchone()[0]
        return value


def _prepare(db: sqlite3.Connection, now_ms: int) -> None:
    db.executescript(_SCHEMA)
    # A new file must not use the numbers of one that was lost: an uplink may
    # still remember those.
    db.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'packet', ?"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)",
        (now_ms * 1000,),
    )
    # Counted once and then kept: reading all payloads at each start takes too long.
    if not db.execute("SELECT 1 FROM count WHERE name = 'stored_bytes'").fetchone():
        db.execute(
            "INSERT INTO count"
            " SELECT 'stored_bytes', coalesce(sum(length(payload)), 0) FROM packet"
        )


def _text(payload: bytes) -> str:
    return zlib.decompress(payload).decode()

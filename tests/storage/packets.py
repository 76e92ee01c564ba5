"""Packets for tests of the outbox."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from egw.storage.outbox import NewPacket, Outbox

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_800_000_000_000
ENDPOINT = "http://backend/gw/data/"
HEADER = '{"alg": "ES256"}'
SIGNATURE = bytes(range(64))


def packet(
    first_ms: int = 1000, *, device: str = "roof", payload: str | None = None
) -> NewPacket:
    """Return a packet of ten readings, a second apart."""
    return NewPacket(
        device=device,
        sn=f"SN-{device}",
        model="huawei",
        dtype="modbus_registers",
        first_ms=first_ms,
        last_ms=first_ms + 9000,
        readings=10,
        payload=f'{{"{first_ms}": {{"1": 2}}}}' if payload is None else payload,
    )


def add(outbox: Outbox, *packets: NewPacket, now_ms: int = NOW_MS) -> list[int]:
    """Commit packets; returns their numbers."""
    with outbox.transaction():
        return [outbox.add(p, now_ms=now_ms) for p in packets or (packet(),)]


def add_signed(outbox: Outbox, *packets: NewPacket, now_ms: int = NOW_MS) -> list[int]:
    """Commit packets with their signatures; returns their numbers."""
    numbers = add(outbox, *packets, now_ms=now_ms)
    with outbox.transaction():
        for number in numbers:
            outbox.sign(number, header=HEADER, signature=SIGNATURE)
    return numbers


def finish(
    outbox: Outbox,
    number: int,
    *,
    endpoint: str = ENDPOINT,
    reason: str = "",
    endpoints: int = 1,
) -> None:
    """Commit the outcome of a packet."""
    with outbox.transaction():
        outbox.finish(
            number, endpoint, reason=reason, endpoints=endpoints, now_ms=NOW_MS
        )


def waiting(outbox: Outbox, *, endpoint: str = ENDPOINT, after: int = 0) -> list[int]:
    """Return the numbers of what is to be delivered."""
    return [p.id for p in outbox.to_deliver(endpoint, after=after, limit=1000)]


def numbers_on_disk(path: Path) -> list[int]:
    """Return the packets that another connection sees."""
    db = sqlite3.connect(path)
    try:
        return [row[0] for row in db.execute("SELECT id FROM packet ORDER BY id")]
    finally:
        db.close()

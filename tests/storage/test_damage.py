from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from packets import (
    ENDPOINT,
    HEADER,
    NOW_MS,
    SIGNATURE,
    add,
    add_signed,
    numbers_on_disk,
    packet,
    waiting,
)

from egw.storage.outbox import Outbox

PAGE_BYTES = 4096


def filled(path: Path) -> list[int]:
    """Make a database of some hundred pages and close it; returns its packets."""
    outbox = Outbox(path, now_ms=NOW_MS)
    noise = random.Random(1)
    packets = [
        packet(n, device=f"roof-{n % 7}", payload=noise.randbytes(3000).hex())
        for n in range(100)
    ]
    numbers = add(outbox, *packets)
    outbox.close()
    return numbers


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_inside_a_page(path: Path) -> None:
    os.truncate(path, PAGE_BYTES + 100)


def all_garbage(path: Path) -> None:
    path.write_bytes(random.Random(2).randbytes(path.stat().st_size))


def garbage_in_the_middle(path: Path) -> None:
    middle = path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES
    overwrite(path, middle, random.Random(3).randbytes(8 * PAGE_BYTES))


def garbage_in_the_schema(path: Path) -> None:
    overwrite(path, 100, random.Random(4).randbytes(PAGE_BYTES - 100))


def zeros_at_the_end(path: Path) -> None:
    overwrite(path, path.stat().st_size - 8 * PAGE_BYTES, bytes(8 * PAGE_BYTES))


def a_text(path: Path) -> None:
    path.write_text("this was a database\n" * 1000)


DAMAGE = [
    truncated,
    cut_inside_a_page,
    all_garbage,
    garbage_in_the_middle,
    garbage_in_the_schema,
    zeros_at_the_end,
    a_text,
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_moved_aside_counted_and_logged_and_a_new_one_made(
    damage: Any, path: Path, events: list[Any]
) -> None:
    before = filled(path)
    damage(path)

    outbox = Outbox(path, now_ms=NOW_MS + 1000)
    (number,) = add_signed(outbox)

    assert waiting(outbox) == [number]
    assert outbox.totals().damaged_files == 1
    assert number > max(before)
    outbox.close()
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    (event,) = (e for e in events if e["event"] == "storage.damaged")
    assert event["moved_to"] == str(aside)
    assert event["reason"]


def test_damage_is_still_counted_after_a_new_start(path: Path) -> None:
    for start in range(2):
        filled(path)
        a_text(path)
        Outbox(path, now_ms=NOW_MS + start).close()

    again = Outbox(path, now_ms=NOW_MS)
    totals = again.totals()
    again.close()

    assert totals.damaged_files == 2


def test_a_log_of_garbage_costs_only_what_was_in_it(path: Path) -> None:
    numbers = filled(path)
    path.with_name("outbox.db-wal").write_bytes(random.Random(5).randbytes(50_000))

    outbox = Outbox(path, now_ms=NOW_MS)

    assert numbers_on_disk(path) == numbers
    assert outbox.totals().damaged_files == 0
    outbox.close()


def test_the_log_of_a_damaged_file_does_not_enter_the_new_one(path: Path) -> None:
    filled(path)
    log = path.with_name("outbox.db-wal")
    writer = sqlite3.connect(path)
    writer.execute("UPDATE packet SET device = 'later'")
    writer.commit()
    left_behind = log.read_bytes()
    writer.close()
    a_text(path)
    log.write_bytes(left_behind)

    outbox = Outbox(path, now_ms=NOW_MS)

    assert numbers_on_disk(path) == []
    outbox.close()


def spoil(outbox: Outbox, number: int) -> None:
    """Change a payload as a bad sector does: the database itself stays well formed."""
    (payload,) = outbox._db.execute(
        "SELECT payload FROM packet WHERE id = ?", (number,)
    ).fetchone()
    spoiled = payload[:-4] + bytes(b ^ 0xFF for b in payload[-4:])
    outbox._db.execute("UPDATE packet SET payload = ? WHERE id = ?", (spoiled, number))


def test_a_signed_packet_that_cannot_be_read_does_not_hold_up_the_others(
    outbox: Outbox, events: list[Any]
) -> None:
    first, spoiled, third = add_signed(outbox, packet(1), packet(2), packet(3))
    spoil(outbox, spoiled)

    assert waiting(outbox) == [first, third]
    assert waiting(outbox) == [first, third]

    reports = [e for e in events if e["event"] == "packet.damaged"]
    assert [e["packet"] for e in reports] == [spoiled]


def test_an_unsigned_packet_that_cannot_be_read_does_not_hold_up_the_others(
    outbox: Outbox,
) -> None:
    spoiled, second = add(outbox, packet(1), packet(2))
    spoil(outbox, spoiled)

    assert [u.id for u in outbox.unsigned(after=0, limit=9)] == [second]
    with outbox.transaction():
        outbox.sign(second, header=HEADER, signature=SIGNATURE)
    assert waiting(outbox) == [second]


def test_a_packet_that_cannot_be_read_is_dropped_and_counted(
    path: Path, outbox: Outbox
) -> None:
    spoiled, second = add_signed(outbox, packet(1), packet(2))
    spoil(outbox, spoiled)
    outbox.to_deliver(ENDPOINT, after=0, limit=9)

    for _ in range(2):
        with outbox.transaction():
            outbox.prune(
                max_bytes=10**9, max_age_ms=10**9, keep_done_ms=0, now_ms=NOW_MS
            )

    assert numbers_on_disk(path) == [second]
    assert outbox.totals().dropped_packets == 1


def test_damage_in_a_large_file_is_met_later_and_the_file_then_moved_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egw.storage.database._CHECKED_UP_TO_BYTES", 0)
    filled(path)
    garbage_in_the_middle(path)
    outbox = Outbox(path, now_ms=NOW_MS)
    with pytest.raises(sqlite3.DatabaseError, match="malformed") as met:
        list(outbox.payloads())

    outbox.abandon_when_damaged(met.value)

    after = Outbox(path, now_ms=NOW_MS)
    totals = after.totals()
    after.close()
    assert (totals.damaged_files, totals.waiting) == (1, 0)


def test_a_database_that_is_only_locked_stays_where_it_is(path: Path) -> None:
    numbers = filled(path)
    outbox = Outbox(path, now_ms=NOW_MS)

    outbox.abandon_when_damaged(sqlite3.OperationalError("database is locked"))
    outbox.close()

    assert numbers_on_disk(path) == numbers

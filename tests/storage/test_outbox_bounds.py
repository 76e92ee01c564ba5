from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from packets import (
    ENDPOINT,
    NOW_MS,
    add,
    add_signed,
    finish,
    numbers_on_disk,
    packet,
    waiting,
)

from egw.storage.outbox import NewPacket, Outbox

HOUR_MS = 3_600_000
PLENTY = 1_000_000_000


def prune(
    outbox: Outbox,
    *,
    max_bytes: int = PLENTY,
    max_age_ms: int = PLENTY,
    keep_done_ms: int = HOUR_MS,
    now_ms: int = NOW_MS,
) -> int:
    with outbox.transaction():
        return outbox.prune(
            max_bytes=max_bytes,
            max_age_ms=max_age_ms,
            keep_done_ms=keep_done_ms,
            now_ms=now_ms,
        )


def bulky(first_ms: int) -> NewPacket:
    """Return a packet of which 2,000 bytes remain when it is compressed."""
    noise = random.Random(first_ms).randbytes(2000).hex()
    return packet(first_ms, payload=noise)


def test_a_delivered_packet_goes_when_it_has_been_kept_long_enough(
    path: Path, outbox: Outbox
) -> None:
    (old,) = add_signed(outbox, packet(1))
    (new,) = add_signed(outbox, packet(2), now_ms=NOW_MS + HOUR_MS)
    (waits,) = add_signed(outbox, packet(3))
    finish(outbox, old)
    finish(outbox, new)

    dropped = prune(outbox, now_ms=NOW_MS + HOUR_MS + 1)

    assert dropped == 0
    assert numbers_on_disk(path) == [new, waits]
    assert outbox.totals().dropped_packets == 0


def test_beyond_the_bound_delivered_packets_go_first(
    path: Path, outbox: Outbox
) -> None:
    waits = add_signed(outbox, *(bulky(n) for n in range(3)))
    bound = outbox.totals().stored_bytes
    done = add_signed(outbox, *(bulky(n) for n in range(3, 6)))
    for number in done:
        finish(outbox, number)

    dropped = prune(outbox, max_bytes=bound)

    assert dropped == 0
    assert numbers_on_disk(path) == waits


def test_beyond_the_bound_the_oldest_undelivered_go_counted_and_logged(
    path: Path, outbox: Outbox, events: list[Any]
) -> None:
    numbers = add(outbox, *(bulky(n) for n in range(300)))
    size = outbox.totals().stored_bytes

    dropped = prune(outbox, max_bytes=size // 2)

    left = numbers_on_disk(path)
    assert left == numbers[dropped:]
    assert left
    assert outbox.totals().stored_bytes <= size // 2
    assert outbox.totals().dropped_packets == dropped
    assert {"event": "outbox.dropped", "packets": dropped}.items() <= events[-1].items()


def test_no_more_is_dropped_than_the_bound_asks_for(path: Path, outbox: Outbox) -> None:
    numbers = add(outbox, *(bulky(n) for n in range(10)))
    size = outbox.totals().stored_bytes

    prune(outbox, max_bytes=size - 1)

    assert numbers_on_disk(path) == numbers[1:]


def test_an_undelivered_packet_goes_when_it_is_too_old(
    path: Path, outbox: Outbox
) -> None:
    add(outbox, packet(1))
    (young,) = add(outbox, packet(2), now_ms=NOW_MS + HOUR_MS)

    dropped = prune(outbox, max_age_ms=HOUR_MS, now_ms=NOW_MS + HOUR_MS + 1)

    assert dropped == 1
    assert numbers_on_disk(path) == [young]
    assert outbox.totals().dropped_packets == 1


def test_a_delivered_packet_that_is_kept_for_long_does_not_count_as_dropped(
    outbox: Outbox,
) -> None:
    (number,) = add_signed(outbox, packet(1))
    finish(outbox, number)

    later_ms = NOW_MS + 2 * HOUR_MS
    prune(outbox, max_age_ms=HOUR_MS, keep_done_ms=9 * HOUR_MS, now_ms=later_ms)

    assert outbox.totals().dropped_packets == 0


def test_however_many_packets_are_too_old_they_all_go(
    path: Path, outbox: Outbox
) -> None:
    add(outbox, *(packet(n) for n in range(450)))

    dropped = prune(outbox, max_age_ms=HOUR_MS, now_ms=NOW_MS + HOUR_MS + 1)

    assert dropped == 450
    assert numbers_on_disk(path) == []


def test_the_outcomes_of_a_packet_go_with_it(outbox: Outbox) -> None:
    (number,) = add_signed(outbox)
    finish(outbox, number, reason="HTTP 400: bad")

    prune(outbox, keep_done_ms=0, now_ms=NOW_MS + 1)

    assert outbox.totals().quarantined == 0


def test_the_size_is_the_same_after_a_new_start(path: Path, outbox: Outbox) -> None:
    add(outbox, *(bulky(n) for n in range(5)))
    prune(outbox, max_bytes=outbox.totals().stored_bytes // 2)
    size = outbox.totals().stored_bytes
    outbox.close()

    again = Outbox(path, now_ms=NOW_MS)
    found = again.totals().stored_bytes
    again.close()

    assert found == size > 0


def let_it_grow(outbox: Outbox, *, pages: int) -> None:
    """Bound the size of the database, as a full disk does."""
    (now,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {now + pages}")


def test_a_full_disk_takes_nothing_of_a_transaction(path: Path, outbox: Outbox) -> None:
    first = add(outbox, bulky(0))
    let_it_grow(outbox, pages=2)
    before = outbox.totals()

    with pytest.raises(sqlite3.OperationalError, match="full"):
        add(outbox, *(bulky(n) for n in range(1, 9)))

    assert numbers_on_disk(path) == first
    assert outbox.totals() == before


def test_a_full_disk_still_takes_outcomes_and_then_what_they_made_room_for(
    path: Path, outbox: Outbox
) -> None:
    numbers = add_signed(outbox, *(bulky(n) for n in range(9)))
    let_it_grow(outbox, pages=0)
    with pytest.raises(sqlite3.OperationalError):
        add(outbox, *(bulky(n) for n in range(9, 14)))

    for number in numbers[:6]:
        finish(outbox, number)
    prune(outbox, keep_done_ms=0, now_ms=NOW_MS + 1)
    added = add(outbox, *(bulky(n) for n in range(9, 14)))

    assert numbers_on_disk(path) == [*numbers[6:], *added]
    assert waiting(outbox, endpoint=ENDPOINT) == numbers[6:]

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from packets import (
    ENDPOINT,
    HEADER,
    NOW_MS,
    SIGNATURE,
    add,
    add_signed,
    finish,
    numbers_on_disk,
    packet,
    waiting,
)

from egw.crypto import jws
from egw.storage.outbox import Outbox

OTHER = "http://other/gw/data/"


def test_what_is_committed_another_process_sees_at_once(
    path: Path, outbox: Outbox
) -> None:
    numbers = add(outbox, packet(1000), packet(11_000))

    program = "import sys, json, packets; from pathlib import Path\n"
    program += "print(json.dumps(packets.numbers_on_disk(Path(sys.argv[1]))))"
    seen = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert json.loads(seen.stdout) == numbers


def test_nothing_of_a_transaction_is_there_before_its_end(
    path: Path, outbox: Outbox
) -> None:
    with outbox.transaction():
        outbox.add(packet(), now_ms=NOW_MS)

        assert numbers_on_disk(path) == []
    assert len(numbers_on_disk(path)) == 1


def add_and_fail(outbox: Outbox) -> None:
    with outbox.transaction():
        outbox.add(packet(), now_ms=NOW_MS)
        jws.compact(b"", b"short")


def test_a_transaction_that_fails_leaves_nothing_behind(
    path: Path, outbox: Outbox
) -> None:
    before = outbox.totals()

    with pytest.raises(ValueError, match="64 bytes"):
        add_and_fail(outbox)

    assert numbers_on_disk(path) == []
    assert outbox.totals() == before
    assert outbox.stored_up_to_ms("roof") == 0


def test_every_commit_is_flushed_to_the_disk(outbox: Outbox) -> None:
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_only_the_owner_may_read_the_file(path: Path, outbox: Outbox) -> None:
    add(outbox)

    for file in path.parent.glob("outbox.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_numbers_only_grow_even_when_all_packets_are_gone(outbox: Outbox) -> None:
    (first,) = add_signed(outbox)
    finish(outbox, first)
    with outbox.transaction():
        outbox.prune(max_bytes=0, max_age_ms=0, keep_done_ms=0, now_ms=NOW_MS)

    (second,) = add(outbox)

    assert second > first


def test_numbers_go_on_growing_when_the_file_is_lost(tmp_path: Path) -> None:
    numbers = []
    for start in range(2):
        path = tmp_path / f"{start}" / "outbox.db"
        outbox = Outbox(path, now_ms=NOW_MS + start)
        numbers += add(outbox, *(packet(1000 + 10_000 * n) for n in range(20)))
        outbox.close()

    assert numbers == sorted(set(numbers))


def test_numbers_go_on_where_they_were_after_a_new_start(
    path: Path, outbox: Outbox
) -> None:
    (first,) = add(outbox)
    outbox.close()

    again = Outbox(path, now_ms=NOW_MS + 3_600_000)
    (second,) = add(again)
    again.close()

    assert second == first + 1


def test_the_last_stamp_on_disk_is_known_for_each_device(outbox: Outbox) -> None:
    add(outbox, packet(11_000), packet(1000), packet(500, device="cellar"))

    assert outbox.stored_up_to_ms("roof") == 20_000
    assert outbox.stored_up_to_ms("cellar") == 9500
    assert outbox.stored_up_to_ms("barn") == 0


def test_the_last_stamp_outlives_the_packets(outbox: Outbox) -> None:
    add(outbox, packet(1000))
    with outbox.transaction():
        outbox.prune(max_bytes=0, max_age_ms=0, keep_done_ms=0, now_ms=NOW_MS)

    assert outbox.stored_up_to_ms("roof") == 10_000


def test_unsigned_packets_come_oldest_first_as_they_were_added(outbox: Outbox) -> None:
    first, second, third = add(outbox, packet(1), packet(2), packet(3))

    found = outbox.unsigned(after=first, limit=1)

    assert [u.id for u in found] == [second]
    assert found[0].payload == packet(2).payload
    assert (found[0].sn, found[0].model, found[0].dtype) == (
        "SN-roof",
        "huawei",
        "modbus_registers",
    )
    assert [u.id for u in outbox.unsigned(after=0, limit=9)] == [first, second, third]


def test_a_packet_is_signed_once(outbox: Outbox) -> None:
    (number,) = add_signed(outbox)

    with outbox.transaction():
        outbox.sign(number, header='{"other": 1}', signature=bytes(64))

    (delivery,) = outbox.to_deliver(ENDPOINT, after=0, limit=1)
    signed = jws.signing_input(HEADER, packet().payload)
    assert delivery.jwt == jws.compact(signed, SIGNATURE)
    assert outbox.totals().signed_packets == 1
    assert outbox.unsigned(after=0, limit=9) == []


def test_every_delivery_has_the_same_bytes_also_after_a_new_start(
    path: Path, outbox: Outbox
) -> None:
    add_signed(outbox, packet(payload='{"1": {"2": 3}, "ü": {}}'))
    before = [outbox.to_deliver(ENDPOINT, after=0, limit=1) for _ in range(2)]
    outbox.close()

    again = Outbox(path, now_ms=NOW_MS)
    after = again.to_deliver(ENDPOINT, after=0, limit=1)
    again.close()

    assert before[0] == before[1] == after


def test_nothing_is_delivered_past_the_first_unsigned_packet(outbox: Outbox) -> None:
    (first,) = add_signed(outbox, packet(1))
    (unsigned,) = add(outbox, packet(2))
    (third,) = add_signed(outbox, packet(3))

    assert waiting(outbox) == [first]
    with outbox.transaction():
        outbox.sign(unsigned, header=HEADER, signature=SIGNATURE)
    assert waiting(outbox) == [first, unsigned, third]
    assert waiting(outbox, after=first) == [unsigned, third]


def test_a_packet_is_done_when_every_endpoint_has_it(outbox: Outbox) -> None:
    (number,) = add_signed(outbox)

    finish(outbox, number, endpoints=2)

    assert waiting(outbox) == []
    assert waiting(outbox, endpoint=OTHER) == [number]
    assert outbox.totals().waiting == 1
    finish(outbox, number, endpoint=OTHER, endpoints=2)
    assert waiting(outbox, endpoint=OTHER) == []
    assert outbox.totals().waiting == 0
    assert outbox.totals().delivered_packets == 2


def test_an_outcome_that_is_told_twice_counts_once(outbox: Outbox) -> None:
    (number,) = add_signed(outbox)

    finish(outbox, number, endpoints=2)
    finish(outbox, number, endpoints=2)

    assert outbox.totals().delivered_packets == 1
    assert outbox.totals().waiting == 1


def test_an_outcome_of_a_packet_that_is_gone_is_of_no_consequence(
    outbox: Outbox,
) -> None:
    finish(outbox, 12345)

    assert outbox.totals().delivered_packets == 0


def test_what_one_endpoint_has_taken_does_not_hide_what_comes_after(
    outbox: Outbox,
) -> None:
    taken = add_signed(outbox, *(packet(n) for n in range(20)))
    for number in taken:
        finish(outbox, number, endpoints=2)
    (new,) = add_signed(outbox, packet(99))

    found = outbox.to_deliver(ENDPOINT, after=0, limit=4)

    assert [p.id for p in found] == [new]


def test_a_rejected_packet_is_visible_and_not_delivered_again(outbox: Outbox) -> None:
    (number,) = add_signed(outbox)

    finish(outbox, number, reason="HTTP 400: bad")

    totals = outbox.totals()
    assert waiting(outbox) == []
    assert totals.quarantined == 1
    assert totals.delivered_packets == 0
    assert totals.waiting == 0


def test_totals_count_since_the_first_start(path: Path, outbox: Outbox) -> None:
    first, _ = add_signed(outbox, packet(1), packet(2), now_ms=NOW_MS + 5)
    add(outbox, packet(3), now_ms=NOW_MS + 9)
    finish(outbox, first)
    before = outbox.totals()
    outbox.close()

    again = Outbox(path, now_ms=NOW_MS)
    totals = again.totals()
    again.close()

    assert totals == before
    assert totals.committed_packets == 3
    assert totals.committed_readings == 30
    assert totals.signed_packets == 2
    assert totals.delivered_packets == 1
    assert totals.waiting == 2
    assert totals.unsigned == 1
    assert totals.oldest_waiting_ms == NOW_MS + 5
    assert totals.stored_bytes > 0
    assert totals.damaged_files == 0


def test_a_place_that_cannot_be_written_is_an_operational_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "outbox.db").mkdir()

    with pytest.raises(sqlite3.OperationalError):
        Outbox(tmp_path / "outbox.db", now_ms=NOW_MS)

    assert (tmp_path / "outbox.db").is_dir()

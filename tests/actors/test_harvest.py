from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from harvesting import FIRST_MS, Harvesting, OnDisk, readings

from egw.actors.packing import Buffers
from egw.messages import Stored, TellStored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def harvest(tmp_path: Path) -> Iterator[Harvesting]:
    running = Harvesting(tmp_path / "outbox.db")
    yield running
    running.kill()


def numbers(harvest: Harvesting) -> list[list[int]]:
    return [packet.numbers for packet in harvest.on_disk()]


def test_ten_readings_make_a_packet(harvest: Harvesting) -> None:
    harvest.take(readings(1, 25))

    harvest.flush()

    assert numbers(harvest) == [list(range(1, 11)), list(range(11, 21))]
    assert harvest.status().committed_readings == 20


def test_a_device_is_told_what_is_on_disk_only_when_it_is(harvest: Harvesting) -> None:
    harvest.take(readings(1, 10))
    assert harvest.stored() == []
    assert harvest.on_disk() == []

    harvest.flush()

    assert harvest.stored() == [10]
    assert numbers(harvest) == [list(range(1, 11))]


def test_readings_may_come_again_and_overlap(harvest: Harvesting) -> None:
    for last in range(1, 11):
        harvest.take(readings(1, last))
    harvest.take(readings(1, 10), readings(3, 12))
    harvest.flush()
    harvest.take(readings(1, 12))

    harvest.flush(11)

    assert numbers(harvest) == [list(range(1, 11)), [11, 12]]


def test_readings_that_are_on_disk_are_answered_at_once(harvest: Harvesting) -> None:
    harvest.take(readings(1, 10))
    harvest.flush()
    harvest.stored()

    harvest.take(readings(5, 14))

    assert harvest.stored() == [10]


def test_a_message_that_was_lost_costs_nothing(harvest: Harvesting) -> None:
    harvest.take(readings(1, 4))
    harvest.take(readings(1, 9), readings(1, 10))

    harvest.flush()

    assert numbers(harvest) == [list(range(1, 11))]


def test_readings_survive_a_kill_once_they_are_stored_and_come_again_before(
    harvest: Harvesting,
) -> None:
    harvest.take(readings(1, 13))
    harvest.flush()
    assert harvest.stored() == [10]
    harvest.kill()

    harvest.start()
    harvest.take(readings(11, 20))
    harvest.flush()

    assert numbers(harvest) == [list(range(1, 11)), list(range(11, 21))]


def test_a_packet_that_is_not_full_is_committed_within_the_interval(
    harvest: Harvesting,
) -> None:
    harvest.take(readings(1, 3))
    harvest.flush(9)
    assert harvest.on_disk() == []

    harvest.flush(1)

    assert numbers(harvest) == [[1, 2, 3]]
    assert harvest.stored() == [3]


def test_the_interval_is_the_configured_one(tmp_path: Path) -> None:
    harvest = Harvesting(
        tmp_path / "o.db", {"commit_interval_s": 2.0, "packet_readings": 3}
    )
    harvest.take(readings(1, 4))
    harvest.flush(1)
    assert numbers(harvest) == [[1, 2, 3]]

    harvest.flush(1)

    assert numbers(harvest) == [[1, 2, 3], [4]]
    harvest.kill()


def test_stopping_puts_everything_on_disk(harvest: Harvesting) -> None:
    harvest.take(readings(1, 3), readings(1, 12, device="cellar", sn="HV2"))

    harvest.actor.stopping()

    assert sorted(harvest.on_disk(), key=lambda p: (p.sn, p.numbers)) == [
        OnDisk("HV1", [1, 2, 3]),
        OnDisk("HV2", list(range(1, 11))),
        OnDisk("HV2", [11, 12]),
    ]


def test_devices_do_not_mix(harvest: Harvesting) -> None:
    for n in range(1, 11):
        harvest.take(readings(n, n), readings(n, n, device="cellar", sn="HV2"))

    harvest.flush()

    assert sorted(p.sn for p in harvest.on_disk()) == ["HV1", "HV2"]
    assert all(p.numbers == list(range(1, 11)) for p in harvest.on_disk())


def test_another_device_under_the_same_name_gets_packets_of_its_own(
    harvest: Harvesting,
) -> None:
    harvest.take(readings(1, 4), readings(5, 14, sn="NEW"))

    harvest.flush()

    assert harvest.on_disk() == [
        OnDisk("HV1", [1, 2, 3, 4]),
        OnDisk("NEW", list(range(5, 15))),
    ]
    assert harvest.stored()[-1] == 14


def test_many_full_packets_do_not_wait_for_the_next_commit(harvest: Harvesting) -> None:
    for n in range(64):
        harvest.take(readings(1, 10, device=f"roof-{n}"))

    assert len(harvest.on_disk()) == 64


def test_a_device_that_asks_is_told_what_is_on_disk(harvest: Harvesting) -> None:
    harvest.take(readings(1, 10))
    harvest.flush()
    harvest.stored()

    harvest.take(TellStored("roof"), TellStored("barn"))

    assert harvest.stored() == [10]
    assert harvest.peers.probe("inverter/barn").expect(Stored).up_to_ms == 0


def test_a_full_disk_is_a_state_and_loses_nothing(
    harvest: Harvesting, events: list[Any]
) -> None:
    harvest.take(readings(1, 10))
    harvest.flush()
    harvest.fill_disk()
    for n in range(2, 30):
        harvest.take(readings(10 * n - 9, 10 * n))
        harvest.flush()
    stuck_at = harvest.stored()[-1]
    assert harvest.status().state == "disk_full"
    assert stuck_at < 290

    harvest.empty_disk()
    harvest.flush()

    assert harvest.status().state == "ok"
    assert harvest.stored() == [290]
    assert sorted(n for p in numbers(harvest) for n in p) == list(range(1, 291))
    assert [e["event"] for e in events].count("outbox.disk_full") == 1


def test_a_full_disk_is_not_tried_again_for_every_single_outcome(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[None] = []

    def full() -> None:
        tried.append(None)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(harvest.actor._outbox, "transaction", full)

    harvest.delivered(*range(1, 200))

    # To commit, and to make room.
    assert len(tried) == 2


def test_a_full_disk_makes_room_by_dropping_what_was_delivered(
    harvest: Harvesting,
) -> None:
    done = harvest.signed_packets(30)
    harvest.want(30)
    harvest.delivered(*done)
    harvest.flush()
    harvest.stored()
    harvest.fill_disk()

    for n in range(31, 41):
        harvest.take(readings(10 * n - 9, 10 * n))
        harvest.flush()

    assert harvest.stored()[-1] == 400
    assert harvest.status().state == "ok"
    assert harvest.status().dropped_packets == 0


def test_a_disk_that_stays_full_does_not_fill_the_memory() -> None:
    buffers = Buffers(packet_readings=10, longest_wait_s=9.5)

    for n in range(100):
        buffers.add(readings(100 * n, 100 * n + 99), above_ms=0, now=0.0)

    assert buffers.full <= 100


def test_what_is_beyond_the_bound_is_dropped_oldest_first(tmp_path: Path) -> None:
    harvest = Harvesting(tmp_path / "o.db", {"max_bytes": 400})
    for n in range(1, 21):
        harvest.take(readings(10 * n - 9, 10 * n))
        harvest.flush()

    harvest.flush(31)

    left = numbers(harvest)
    status = harvest.status()
    assert 0 < len(left) < 20
    assert left[-1] == list(range(191, 201))
    assert status.dropped_packets == 20 - len(left)
    assert status.stored_bytes <= 400
    harvest.kill()


def test_a_reading_keeps_its_stamp_and_its_words(harvest: Harvesting) -> None:
    harvest.take(readings(3, 3))

    harvest.actor.stopping()

    ((_, payload),) = list(outbox_rows(harvest.path))
    assert payload == f'{{"{FIRST_MS + 3000}": {{"30000": 3, "30001": 7}}}}'


def outbox_rows(path: Path) -> list[tuple[str, str]]:
    from egw.storage.outbox import Outbox

    outbox = Outbox(path, now_ms=FIRST_MS)
    rows = list(outbox.payloads())
    outbox.close()
    return rows


def test_a_database_that_is_found_damaged_is_replaced_at_the_restart(
    harvest: Harvesting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meets_damage(*_arguments: Any, **_options: Any) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    harvest.take(readings(1, 10))
    harvest.flush()
    harvest.take(readings(11, 20))
    monkeypatch.setattr(harvest.actor._outbox, "add", meets_damage)

    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        harvest.flush()
    harvest.start()
    harvest.take(readings(11, 20))
    harvest.flush()

    assert [packet.numbers for packet in harvest.on_disk()] == [list(range(11, 21))]

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from harvesting import ENDPOINT, ME, UPLINK, Harvesting, readings

from egw.messages import Delivered, Rejected, Want

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHER = "http://other/gw/data/"


@pytest.fixture
def harvest(tmp_path: Path) -> Iterator[Harvesting]:
    running = Harvesting(tmp_path / "outbox.db")
    running.take(ME)
    yield running
    running.kill()


def test_an_uplink_is_given_the_oldest_packets_that_it_has_room_for(
    harvest: Harvesting,
) -> None:
    packets = harvest.signed_packets(5)

    harvest.want(3)

    assert harvest.given_numbers() == packets[:3]


def test_asking_again_does_not_hand_out_again(harvest: Harvesting) -> None:
    packets = harvest.signed_packets(5)

    harvest.want(3)
    harvest.want(3)
    harvest.want(3)

    assert harvest.given_numbers() == packets


def test_room_that_was_left_is_filled_when_packets_come(harvest: Harvesting) -> None:
    harvest.want(4)
    assert harvest.given() == []

    packets = harvest.signed_packets(6)

    assert harvest.given_numbers() == packets[:4]
    harvest.flush(2)
    assert harvest.given() == []


def test_all_that_there_is_room_for_is_handed_out_in_the_end(
    harvest: Harvesting,
) -> None:
    packets = harvest.signed_packets(40)

    harvest.want(32)
    for n in range(41, 45):
        harvest.take(readings(10 * n - 9, 10 * n))
        harvest.flush()

    assert harvest.given_numbers() == packets[:32]


def test_a_new_session_is_given_everything_again_from_the_beginning(
    harvest: Harvesting,
) -> None:
    packets = harvest.signed_packets(3)
    harvest.want()
    before = harvest.given()

    harvest.want(session="s2")

    assert [p.id for p in before] == packets
    assert harvest.given() == before


def test_a_new_session_is_not_given_what_is_delivered(harvest: Harvesting) -> None:
    packets = harvest.signed_packets(4)
    harvest.want()
    harvest.given()
    harvest.delivered(packets[0], packets[2])

    harvest.want(session="s2")

    assert harvest.given_numbers() == [packets[1], packets[3]]


def test_even_a_full_disk_does_not_hand_out_again_what_is_delivered(
    harvest: Harvesting,
) -> None:
    packets = harvest.signed_packets(4)
    harvest.want()
    harvest.given()
    harvest.fill_disk()
    for n in range(5, 30):
        harvest.take(readings(10 * n - 9, 10 * n))
        harvest.flush()
    assert harvest.status().state == "disk_full"
    harvest.delivered(packets[0], packets[1])

    harvest.want(session="s2")

    assert harvest.given_numbers()[:2] == packets[2:]


def test_after_a_restart_only_what_is_not_delivered_is_handed_out(
    harvest: Harvesting,
) -> None:
    packets = harvest.signed_packets(4)
    harvest.want()
    given = harvest.given()
    harvest.delivered(*packets[:2])
    harvest.flush()
    harvest.kill()

    harvest.start()
    harvest.want()

    assert harvest.given() == given[2:]


def test_what_is_delivered_counts_and_waits_no_more(harvest: Harvesting) -> None:
    packets = harvest.signed_packets(3)
    assert harvest.status().waiting_packets == 3

    harvest.delivered(*packets, packets[0])
    harvest.flush()

    status = harvest.status()
    assert (status.waiting_packets, status.delivered_packets) == (0, 3)
    assert status.oldest_waiting_ms is None


def test_a_rejected_packet_is_quarantined_and_said(
    harvest: Harvesting, events: list[Any]
) -> None:
    packets = harvest.signed_packets(2)
    harvest.want()
    harvest.given()

    harvest.take(Rejected(ENDPOINT, packets[0], "HTTP 400: bad"))
    harvest.flush()

    status = harvest.status()
    assert (status.quarantined_packets, status.delivered_packets) == (1, 0)
    assert status.waiting_packets == 1
    (event,) = (e for e in events if e["event"] == "packet.quarantined")
    assert (event["packet"], event["reason"]) == (packets[0], "HTTP 400: bad")
    harvest.want(session="s2")
    assert harvest.given_numbers() == [packets[1]]


def test_many_outcomes_do_not_wait_for_the_next_commit(harvest: Harvesting) -> None:
    packets = harvest.signed_packets(64)

    harvest.delivered(*packets)

    assert harvest.status().delivered_packets == 64


def test_each_endpoint_gets_each_packet_at_its_own_pace(tmp_path: Path) -> None:
    harvest = Harvesting(tmp_path / "o.db", {"endpoints": (ENDPOINT, OTHER)})
    harvest.take(ME)
    packets = harvest.signed_packets(3)
    harvest.want(1)
    harvest.take(Want("uplink/2", OTHER, "s", 3))

    harvest.take(*(Delivered(OTHER, number) for number in packets))
    harvest.flush()

    assert [p.id for p in harvest.given(UPLINK)] == packets[:1]
    assert [p.id for p in harvest.given("uplink/2")] == packets
    assert harvest.status().waiting_packets == 3
    harvest.delivered(*packets)
    harvest.flush()
    assert harvest.status().waiting_packets == 0
    harvest.kill()


def test_a_device_of_which_the_uplink_has_enough_leaves_the_room_to_others(
    harvest: Harvesting,
) -> None:
    roof = harvest.signed_packets(4)
    barn = harvest.signed_packets(3, device="barn")
    harvest.want(2)
    assert harvest.given_numbers() == roof[:2]

    harvest.want(8, full=("roof",))

    assert harvest.given_numbers() == barn


def test_what_was_passed_over_comes_when_there_is_room_for_it_and_nothing_twice(
    harvest: Harvesting,
) -> None:
    roof = harvest.signed_packets(4)
    barn = harvest.signed_packets(3, device="barn")
    harvest.want(2)
    harvest.want(8, full=("roof",))
    assert harvest.given_numbers() == roof[:2] + barn

    harvest.want(8)
    harvest.want(8)

    assert harvest.given_numbers() == roof[2:]

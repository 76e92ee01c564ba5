from __future__ import annotations

from typing import TYPE_CHECKING

from delivering import NAME, Delivering, Gate, packet
from http_script import reply
from waiting_for import until

from egw.actors.uplink import Posted
from egw.messages import (
    Delivered,
    Rejected,
    UplinkStatus,
    Want,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_asks_harvest_for_as_many_packets_as_it_has_room_for(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(in_flight=3)

    want = uplink.harvest.expect(Want)

    assert want.uplink == NAME
    assert want.endpoint == uplink.endpoint.url
    assert want.free == 12
    uplink.deliver(packet(1), packet(2))
    uplink.pass_time(1)
    uplink.settle()
    uplink.harvest.tells.clear()
    uplink.deliver(*(packet(n) for n in range(3, 8)))
    uplink.actor._want()
    again = uplink.harvest.expect(Want)
    assert (again.session, again.free) == (want.session, 7)


def test_a_packet_is_posted_as_it_is_and_reported_when_the_endpoint_has_it(
    uplink: Delivering,
) -> None:
    uplink.deliver(packet(7))

    uplink.tick()

    assert uplink.endpoint.bodies == [b"packet 7"]
    assert "Content-Type: text/plain" in uplink.endpoint.received[0].head
    told = uplink.harvest.expect(Delivered)
    assert told == Delivered(uplink.endpoint.url, 7)
    assert uplink.status == UplinkStatus(
        NAME, uplink.endpoint.url, "idle", "", 1, 0, 0, 0.0
    )


def test_the_packets_of_a_device_arrive_oldest_first(uplink: Delivering) -> None:
    uplink.deliver(*(packet(n) for n in range(1, 21)))

    uplink.tick()

    assert uplink.numbers == list(range(1, 21))
    assert uplink.delivered == list(range(1, 21))


def test_a_device_has_one_packet_in_flight_and_several_devices_one_each(
    uplink: Delivering,
) -> None:
    gate = Gate(uplink.endpoint)
    devices = ("roof", "cellar", "barn")
    uplink.deliver(
        *(
            packet(10 * n + k, device)
            for n in range(3)
            for k, device in enumerate(devices)
        )
    )

    uplink.pass_time()
    until(lambda: len(uplink.numbers) == 3)
    uplink.pass_time()

    assert sorted(uplink.numbers) == [0, 1, 2]
    gate.open()
    uplink.settle()
    for offset in range(3):
        mine = [n for n in uplink.numbers if n % 10 == offset]
        assert mine == [offset, 10 + offset, 20 + offset]


def test_no_more_packets_are_in_flight_than_allowed(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(in_flight=2)
    gate = Gate(uplink.endpoint)
    uplink.deliver(*(packet(n, f"roof-{n}") for n in range(6)))

    uplink.pass_time()
    until(lambda: len(uplink.numbers) == 2)

    assert len(uplink.actor._posting) == 2
    gate.open()
    uplink.settle()
    assert sorted(uplink.numbers) == list(range(6))


def test_a_backlog_is_drained_no_faster_than_allowed(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(max_packets_per_s=20)
    uplink.deliver(*(packet(n) for n in range(30)))
    counts = []

    for _ in range(10):
        uplink.tick()
        counts.append(len(uplink.numbers))

    assert counts == [2 * n for n in range(1, 11)]


def test_an_allowance_that_was_not_used_is_not_saved_up(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(max_packets_per_s=20)
    uplink.tick(5)

    uplink.deliver(*(packet(n) for n in range(30)))
    uplink.settle()

    assert len(uplink.numbers) == 2


def test_a_rate_below_one_in_a_tick_is_kept_too(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(max_packets_per_s=1)
    uplink.deliver(*(packet(n) for n in range(30)))

    uplink.tick(11)

    assert len(uplink.numbers) in (9, 10)


def test_a_packet_that_is_offered_again_while_it_is_held_is_posted_once(
    uplink: Delivering,
) -> None:
    uplink.deliver(packet(1), packet(2))
    uplink.deliver(packet(1), packet(2))

    uplink.tick()

    assert uplink.numbers == [1, 2]


def test_a_packet_that_is_offered_again_after_its_delivery_is_acknowledged_at_once(
    uplink: Delivering,
) -> None:
    uplink.deliver(packet(1))
    uplink.tick()
    uplink.harvest.tells.clear()

    uplink.deliver(packet(1))

    assert uplink.harvest.expect(Delivered).packet == 1
    uplink.tick()
    assert uplink.numbers == [1]


def test_a_packet_that_is_offered_again_after_its_rejection_is_rejected_again(
    uplink: Delivering,
) -> None:
    uplink.endpoint.answer_with(reply(400, b"bad"))
    uplink.deliver(packet(1))
    uplink.tick()
    first = uplink.harvest.expect(Rejected)
    uplink.harvest.tells.clear()

    uplink.deliver(packet(1))
    uplink.tick()

    assert uplink.harvest.expect(Rejected) == first
    assert uplink.delivered == []


def test_news_of_a_former_incarnations_posts_are_ignored(uplink: Delivering) -> None:
    uplink.deliver(packet(1))

    uplink.actor.receive(Posted("another session", packet(1), 200, "", None))

    assert uplink.delivered == []
    uplink.tick()
    assert uplink.delivered == [1]


def test_stopping_starts_no_more_posts(start: Callable[..., Delivering]) -> None:
    uplink = start(in_flight=1)
    gate = Gate(uplink.endpoint)
    uplink.deliver(packet(1), packet(2, "cellar"))
    uplink.pass_time()
    until(lambda: uplink.numbers == [1])

    uplink.actor.stopping()
    gate.open()

    until(lambda: uplink.peers.probe(NAME).tells)
    assert uplink.numbers == [1]


def test_it_names_the_devices_of_which_it_has_enough(uplink: Delivering) -> None:
    uplink.deliver(*(packet(number) for number in range(1, 9)), packet(9, "barn"))

    uplink.harvest.tells.clear()
    uplink.actor._want()

    assert uplink.harvest.expect(Want).full == ("roof",)

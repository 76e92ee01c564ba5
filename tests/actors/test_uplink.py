from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from http_script import HttpScript, raw, reply
from waiting_for import until

from egw.actors.uplink import Posted, UplinkActor
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    Deliver,
    Delivered,
    Packet,
    Rejected,
    UplinkStatus,
    Want,
)
from egw.testing import Peers, run_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "uplink/1"


def packet(number: int, device: str = "roof") -> Packet:
    return Packet(number, device, f"packet {number}".encode())


class Delivering:
    """An UplinkActor at a real server, with a clock that the test moves."""

    def __init__(self, endpoint: HttpScript, **settings: Any) -> None:
        self.endpoint = endpoint
        self.peers = Peers(NAME)
        self.harvest = self.peers.probe(HARVEST)
        self.actor = UplinkActor(
            self.peers, endpoint=endpoint.url, **{"timeout_s": 5.0, **settings}
        )
        self.actor.started()

    def deliver(self, *packets: Packet) -> None:
        self.actor.receive(Deliver(packets))

    def pass_time(self, seconds: float = 0.1) -> None:
        """Let time pass in the steps of the actor's grid, without waiting for posts."""
        for _ in range(round(seconds / 0.1)):
            self.peers.clock.advance(0.1)
            run_due(self.actor)

    def settle(self) -> None:
        """Let all posts end that are under way, and those that follow them."""
        while self.actor._posting:
            self.one_ends()

    def one_ends(self) -> Posted:
        own = self.peers.probe(NAME)
        until(lambda: own.tells)
        posted = own.expect(Posted)
        self.actor.receive(posted)
        return posted

    def tick(self, seconds: float = 0.1) -> None:
        """Let time pass, and let every post end before more of it does."""
        for _ in range(round(seconds / 0.1)):
            self.pass_time()
            self.settle()

    @property
    def numbers(self) -> list[int]:
        """The packets that the endpoint got, in order."""
        return [int(body.split()[1]) for body in self.endpoint.bodies]

    @property
    def delivered(self) -> list[int]:
        tells = self.harvest.tells
        return [told.packet for told in tells if isinstance(told, Delivered)]

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def status(self) -> UplinkStatus:
        for name in (API, GATEWAY):
            self.peers.probe(name).tells.clear()
        self.actor._publish()
        told = self.peers.probe(API).expect(UplinkStatus)
        assert self.peers.probe(GATEWAY).expect(UplinkStatus) == told
        return told


@pytest.fixture
def start(endpoint: HttpScript) -> Iterator[Callable[..., Delivering]]:
    running: list[Delivering] = []

    def start(**settings: Any) -> Delivering:
        running.append(Delivering(endpoint, **settings))
        return running[-1]

    yield start
    for uplink in running:
        uplink.actor.stopping()


@pytest.fixture
def uplink(start: Callable[..., Delivering]) -> Delivering:
    return start()


class Gate:
    """Holds every request until it is opened."""

    def __init__(self, endpoint: HttpScript) -> None:
        self._endpoint = endpoint
        self._open = endpoint.closing
        endpoint.answer_with(self.answer)

    def answer(self, connection: socket.socket) -> bool:
        self._open.wait()
        return reply()(connection)

    def open(self) -> None:
        self._open.set()


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


def nobody(connection: socket.socket) -> bool:
    return False


@pytest.mark.parametrize(
    "trouble",
    [
        reply(401),
        reply(403),
        reply(404),
        reply(408),
        reply(429),
        reply(500),
        reply(502),
        reply(503),
        reply(201),
        reply(204, b""),
        reply(302, b"", Location="http://example.invalid/"),
        raw(b"\x00\xff"),
        nobody,
    ],
)
def test_what_may_pass_is_repeated_with_the_same_bytes_until_it_is_taken(
    trouble: Any, uplink: Delivering
) -> None:
    uplink.endpoint.answer_with(trouble, trouble, reply())
    uplink.deliver(packet(1), packet(2))

    uplink.tick()
    assert uplink.delivered == []
    assert uplink.state == "failing"
    assert uplink.status.reason
    uplink.tick(0.6)
    uplink.tick(1.1)

    assert uplink.numbers == [1, 1, 1, 2]
    assert len(set(uplink.endpoint.bodies[:3])) == 1
    assert uplink.delivered == [1, 2]
    assert uplink.state == "idle"
    assert (uplink.status.delivered, uplink.status.failed) == (2, 2)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_packet_that_is_bad_itself_is_rejected_and_the_next_goes_on(
    status: int, uplink: Delivering
) -> None:
    uplink.endpoint.answer_with(reply(status, b"not a \xff packet" * 100), reply())
    uplink.deliver(packet(1), packet(2))

    uplink.tick()

    rejected = uplink.harvest.expect(Rejected)
    assert (rejected.endpoint, rejected.packet) == (uplink.endpoint.url, 1)
    assert rejected.reason.startswith(f"HTTP {status}: not a \ufffd packet")
    assert len(rejected.reason) < 300
    assert uplink.delivered == [2]
    assert (uplink.status.rejected, uplink.status.failed) == (1, 0)


def test_after_a_failure_a_single_packet_tries_and_the_pause_doubles(
    uplink: Delivering,
) -> None:
    uplink.endpoint.answer_with(reply(503))
    uplink.deliver(packet(1, "roof"), packet(2, "cellar"), packet(3, "barn"))
    uplink.tick()
    attempts = len(uplink.numbers)
    pauses_s = []

    for _ in range(5):
        since = uplink.peers.clock.monotonic()
        while len(uplink.numbers) == attempts:
            uplink.tick()
        assert len(uplink.numbers) == attempts + 1
        attempts += 1
        pauses_s.append(uplink.peers.clock.monotonic() - since)

    # Three posts failed together, which counts as one failure.
    for pause_s, longest_s in zip(pauses_s, (0.5, 1, 2, 4, 8), strict=True):
        assert longest_s * 0.8 - 0.01 <= pause_s <= longest_s + 0.11


def test_the_pause_is_never_longer_than_a_minute(uplink: Delivering) -> None:
    uplink.endpoint.answer_with(reply(503))
    uplink.deliver(packet(1))

    for _ in range(30):
        uplink.tick()
        assert uplink.status.retry_in_s <= 60
        uplink.peers.clock.advance(60)

    assert len(uplink.numbers) == 30


def test_after_a_recovery_all_devices_are_served_at_once_again(
    uplink: Delivering,
) -> None:
    uplink.endpoint.answer_with(reply(503), reply())
    uplink.deliver(packet(1, "roof"))
    uplink.tick()
    uplink.deliver(packet(2, "cellar"), packet(3, "barn"))

    uplink.tick(0.6)

    assert sorted(uplink.delivered) == [1, 2, 3]


def test_a_packet_that_fails_for_ever_does_not_hold_up_other_devices(
    uplink: Delivering,
) -> None:
    def moody(connection: socket.socket) -> bool:
        bad = uplink.endpoint.bodies[-1] == b"packet 1"
        return reply(500 if bad else 200)(connection)

    uplink.endpoint.answer_with(moody)
    uplink.deliver(packet(1, "roof"))
    uplink.tick()
    uplink.deliver(packet(2, "cellar"), packet(3, "barn"))

    for _ in range(20):
        uplink.tick()
        uplink.peers.clock.advance(60)

    assert sorted(uplink.delivered) == [2, 3]


def test_the_endpoint_may_say_when_to_come_back(uplink: Delivering) -> None:
    uplink.endpoint.answer_with(reply(503, b"", Retry_After="30"), reply())
    uplink.deliver(packet(1))
    uplink.tick()

    uplink.tick(29)
    assert len(uplink.numbers) == 1
    uplink.tick(1.5)

    assert len(uplink.numbers) == 2


def test_an_outage_is_logged_once_and_its_end_too(
    uplink: Delivering, events: list[Any]
) -> None:
    uplink.endpoint.answer_with(reply(503), reply(503), reply(503), reply())
    uplink.deliver(packet(1))

    uplink.tick(10)

    logged = [e["event"] for e in events if e["event"].startswith("uplink.")]
    assert logged == ["uplink.failing", "uplink.recovered"]


def test_an_endpoint_that_hangs_costs_a_timeout_and_not_the_actor(
    start: Callable[..., Delivering],
) -> None:
    uplink = start(timeout_s=0.2)

    def silence(_connection: socket.socket) -> bool:
        uplink.endpoint.closing.wait()
        return False

    uplink.endpoint.answer_with(silence, reply())
    uplink.deliver(packet(1))
    uplink.pass_time()

    assert uplink.state == "delivering"
    assert "timed out" in uplink.one_ends().error
    assert uplink.state == "failing"
    uplink.tick(0.6)
    assert uplink.delivered == [1]


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

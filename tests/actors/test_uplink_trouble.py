from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from delivering import Delivering, packet
from http_script import raw, reply

from egw.messages import (
    Rejected,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_an_unforeseen_failure_of_a_post_is_shown_and_the_packet_sent_again(
    uplink: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise RuntimeError("unforeseen")

    uplink.endpoint.answer_with(reply())
    uplink.deliver(packet(1))
    with monkeypatch.context() as patch:
        patch.setattr(uplink.actor._poster, "post", fail)
        uplink.tick()
    assert (uplink.state, uplink.status.reason) == (
        "failing",
        "RuntimeError: unforeseen",
    )

    uplink.tick(0.6)

    assert uplink.delivered == [1]

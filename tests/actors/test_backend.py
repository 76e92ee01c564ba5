from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from http_script import HttpScript, raw, reply
from waiting_for import until

from egw.actors.backend import Answered, BackendActor
from egw.messages import API, SIGNER, BackendStatus, Identity, TellIdentity
from egw.testing import Peers, run_due

if TYPE_CHECKING:
    from collections.abc import Iterator

ME = Identity("file", "software", "5f0011223344556677", bytes(64))


def named(name: str) -> Any:
    answer = {"data": {"gatewayConfiguration": {"gatewayName": {"name": name}}}}
    return reply(200, json.dumps(answer).encode())


class Asking:
    """A BackendActor at a real server, with a clock that the test moves."""

    def __init__(self, endpoint: HttpScript) -> None:
        self.endpoint = endpoint
        self.peers = Peers("backend")
        self.actor = BackendActor(self.peers, url=endpoint.url, timeout_s=5)
        self.actor.started()

    def told_identity(self) -> None:
        self.actor.receive(ME)
        self.settle()

    def after(self, seconds: float) -> None:
        self.peers.clock.advance(seconds)
        run_due(self.actor)
        self.settle()

    def settle(self) -> None:
        """Let the actor receive what its thread has for it."""
        if self.actor._is_asking:
            until(lambda: self.peers.probe("backend").tells)
            self.actor.receive(self.peers.probe("backend").expect(Answered))

    @property
    def status(self) -> BackendStatus:
        api = self.peers.probe(API)
        api.tells.clear()
        self.peers.clock.advance(1)
        run_due(self.actor)
        self.settle()
        return api.expect(BackendStatus)


@pytest.fixture
def asking(endpoint: HttpScript) -> Iterator[Asking]:
    asking = Asking(endpoint)
    yield asking
    asking.actor.stopping()


def test_it_asks_by_the_serial_number_as_soon_as_that_is_known(asking: Asking) -> None:
    asking.endpoint.answer_with(named("calm cedar owl"))

    asking.peers.probe(SIGNER).expect(TellIdentity)
    asking.told_identity()

    assert asking.status == BackendStatus("calm cedar owl", "known", "")
    (request,) = asking.endpoint.received
    assert "Content-Type: application/json\r\n" in request.head
    assert json.loads(request.body) == {
        "query": "query { gatewayConfiguration { gatewayName(id: "
        '"5f0011223344556677") { name } } }'
    }


def test_it_asks_the_signer_again_while_nobody_has_said_who_signs(
    asking: Asking,
) -> None:
    signer = asking.peers.probe(SIGNER)
    signer.expect(TellIdentity)

    asking.after(10)

    assert signer.expect(TellIdentity) == TellIdentity("backend")
    assert asking.endpoint.received == []
    assert asking.status.state == "asking"


def test_it_asks_every_ten_seconds_until_it_knows_and_then_hourly(
    asking: Asking,
) -> None:
    asking.endpoint.answer_with(reply(503), reply(503), named("calm cedar owl"))
    asking.told_identity()
    asking.after(9)
    assert len(asking.endpoint.received) == 1
    asking.after(1)
    assert len(asking.endpoint.received) == 2
    asking.after(10)
    assert len(asking.endpoint.received) == 3

    for _ in range(359):
        asking.after(10)
    assert len(asking.endpoint.received) == 3
    asking.after(10)
    assert len(asking.endpoint.received) == 4


def test_the_same_identity_told_again_is_no_reason_to_ask(asking: Asking) -> None:
    asking.endpoint.answer_with(named("calm cedar owl"))
    asking.told_identity()

    asking.told_identity()

    assert len(asking.endpoint.received) == 1


def test_an_answer_for_a_former_serial_is_not_taken(asking: Asking) -> None:
    asking.endpoint.answer_with(named("old name"), named("new name"))
    asking.actor.receive(ME)
    asking.actor.receive(Identity("file", "software", "5fff", bytes(64)))

    asking.settle()
    asking.settle()

    assert asking.status.name == "new name"


def test_a_known_name_is_kept_while_the_backend_is_failing(asking: Asking) -> None:
    asking.endpoint.answer_with(named("calm cedar owl"), reply(500))
    asking.told_identity()

    asking.after(3600)

    assert asking.status == BackendStatus("calm cedar owl", "failing", "HTTP 500")


@pytest.mark.parametrize(
    "garbage",
    [
        reply(200, b""),
        reply(200, b"null"),
        reply(200, b'{"errors": [{"message": "no"}]}'),
        reply(200, b'{"data": {"gatewayConfiguration": null}}'),
        reply(200, b'{"data": {"gatewayConfiguration": {"gatewayName": null}}}'),
        reply(200, b'{"data":{"gatewayConfiguration":{"gatewayName":{"name":7}}}}'),
        reply(
            200, b'{"data":{"gatewayConfiguration":{"gatewayName":{"name":"\xff"}}}}'
        ),
        reply(200, b'{"x":' + b"[" * 60_000),
        reply(404, b"not here"),
        reply(302, b"", Location="http://example.invalid/"),
        raw(b"\x00\xff\x00"),
    ],
)
def test_whatever_it_answers_the_backend_is_only_shown_as_failing(
    garbage: Any, asking: Asking, events: list[Any]
) -> None:
    asking.endpoint.answer_with(garbage)

    asking.told_identity()
    asking.after(10)

    status = asking.status
    assert (status.name, status.state) == ("", "failing")
    assert status.reason
    assert [e["event"] for e in events] == ["backend.failing"]


def test_a_long_name_is_cut(asking: Asking) -> None:
    asking.endpoint.answer_with(named("x" * 5000))

    asking.told_identity()

    assert asking.status.name == "x" * 100


def test_a_backend_that_hangs_is_asked_once_and_hangs_nobody(asking: Asking) -> None:
    def silence(_connection: object) -> bool:
        asking.endpoint.closing.wait()
        return False

    asking.endpoint.answer_with(silence)
    asking.actor.receive(ME)
    asking.peers.clock.advance(60)
    run_due(asking.actor)

    assert asking.peers.probe(API).expect(BackendStatus).state == "asking"
    until(lambda: len(asking.endpoint.received) == 1)
    asking.endpoint.closing.set()
    asking.settle()


def test_without_an_address_nobody_is_asked() -> None:
    peers = Peers("backend")
    actor = BackendActor(peers, url="")
    actor.started()

    actor.receive(ME)
    peers.clock.advance(100)
    run_due(actor)

    status = peers.probe(API).expect(BackendStatus)
    assert status == BackendStatus("", "off", "no backend is configured")
    actor.stopping()

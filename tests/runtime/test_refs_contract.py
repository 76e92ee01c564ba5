"""What a reference promises, next door and across processes alike."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from played import Held, Hold, HoldOn, Stage
from sample_actors import (
    Decline,
    Echo,
    Fail,
    Number,
    Numbers,
    Sample,
)
from waiting import HANG_S, until

from egw.runtime import (
    ActorDown,
    ActorError,
    AskTimeout,
    MailboxFull,
    NotDeclared,
    PeerFailed,
    Refused,
)
from egw.runtime.ref import NamedRef

if TYPE_CHECKING:
    from egw.runtime import Ref
    from egw.runtime.switchboard import Switchboard


class Way:
    """From an asker to where the addressee lives."""

    def __init__(self, kind: str, stage: Stage) -> None:
        star = stage.star
        self._stage = stage
        self.here: Switchboard = star.main
        self.there: Switchboard = star.main
        if kind != "next door":
            self.there = star.worker("there")
            star.main.route("peer", star.down["there"])
        if kind == "from worker to worker":
            self.here = star.worker("here")

    def start(self, kind: type[Any]) -> Any:
        actor, self.peers = self._stage.run(kind, "peer", self.there)
        assert self.peers.ready.wait(HANG_S)
        return actor

    def ref(self, *, may_ask: bool = True) -> Ref:
        return NamedRef(self.here, "peer", may_ask=may_ask)

    def asking(self) -> Asking:
        return Asking(self.ref())


class Asking(threading.Thread):
    """An ask in flight."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(daemon=True)
        self._ref = ref
        self.outcome: object = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self._ref.ask(Hold(), timeout=HANG_S)
        except ActorError as error:
            self.outcome = error


@pytest.fixture(params=["next door", "in a worker", "from worker to worker"])
def way(request: pytest.FixtureRequest, stage: Stage) -> Way:
    return Way(request.param, stage)


def test_an_ask_returns_the_answer(way: Way) -> None:
    way.start(Sample)

    assert way.ref().ask(Echo("hello"), timeout=HANG_S) == "hello"


def test_tells_arrive_in_order_and_none_is_lost(way: Way) -> None:
    way.start(Sample)
    peer = way.ref()

    for value in range(5000):
        peer.tell(Number(value))

    assert peer.ask(Numbers(), timeout=HANG_S) == tuple(range(5000))


def test_a_refusal_comes_with_its_reason_and_text(way: Way) -> None:
    way.start(Sample)

    with pytest.raises(Refused, match="come back later") as refusal:
        way.ref().ask(Decline(), timeout=HANG_S)

    assert refusal.value.reason == "busy"


def test_a_failure_of_the_peer_comes_as_peer_failed_with_its_text(way: Way) -> None:
    way.start(Sample)

    with pytest.raises(PeerFailed, match="RuntimeError: bug"):
        way.ref().ask(Fail("bug"), timeout=HANG_S)


def test_an_ask_to_an_actor_that_has_ended_fails_at_once(way: Way) -> None:
    actor = way.start(Sample)
    actor.stop()
    assert actor.ended.wait(HANG_S)

    with pytest.raises(ActorDown):
        way.ref().ask(Echo("?"), timeout=HANG_S)


def test_an_ask_to_an_actor_that_was_never_there_fails_at_once(way: Way) -> None:
    with pytest.raises(ActorDown):
        way.ref().ask(Echo("?"), timeout=HANG_S)


def test_a_tell_to_an_actor_that_is_not_there_raises_nothing(way: Way) -> None:
    way.ref().tell(Number(1))

    boards = (way.here, way.there, way._stage.star.main)
    until(lambda: any(board.dead_letters.total for board in boards))


def test_an_ask_without_an_answer_in_time_times_out(way: Way) -> None:
    way.start(Held)

    with pytest.raises(AskTimeout, match=r"peer did not answer within 0\.02 s"):
        way.ref().ask(Hold(), timeout=0.02)


def test_an_answer_that_comes_too_late_disturbs_no_later_ask(way: Way) -> None:
    actor = way.start(Held)
    with pytest.raises(AskTimeout):
        way.ref().ask(Hold(), timeout=0.02)

    actor.release.set()

    assert way.ref().ask(Hold(), timeout=HANG_S) == "released"


def test_an_ask_to_a_full_mailbox_is_refused_at_once(way: Way) -> None:
    actor = way.start(Held)
    peer = way.ref()
    peer.tell(HoldOn())
    assert actor.holding.wait(HANG_S)
    for _ in range(actor.mailbox_capacity):
        peer.tell(HoldOn())

    with pytest.raises(MailboxFull):
        peer.ask(Hold(), timeout=HANG_S)


def test_an_ask_that_is_not_declared_is_not_sent(way: Way) -> None:
    actor = way.start(Held)

    with pytest.raises(NotDeclared, match="peer"):
        way.ref(may_ask=False).ask(Hold(), timeout=HANG_S)

    assert not actor.holding.is_set()


def test_a_tell_needs_no_declaration(way: Way) -> None:
    way.start(Sample)

    way.ref(may_ask=False).tell(Number(1))

    until(lambda: way.ref().ask(Numbers(), timeout=HANG_S) == (1,))


def test_an_ask_that_waits_in_the_mailbox_fails_when_the_actor_stops(way: Way) -> None:
    actor = way.start(Held)
    way.ref().tell(HoldOn())
    assert actor.holding.wait(HANG_S)
    actor.stop()
    asking = way.asking()
    until(lambda: actor.mailbox.depth == 2)

    actor.release.set()

    asking.join(HANG_S)
    assert isinstance(asking.outcome, ActorDown)


def test_a_reference_outlives_the_incarnations_of_its_actor(way: Way) -> None:
    peer = way.ref()
    first = way.start(Sample)
    with pytest.raises(PeerFailed):
        peer.ask(Fail("bug"), timeout=HANG_S)
    assert first.ended.wait(HANG_S)

    way.start(Sample)

    assert peer.ask(Echo("again"), timeout=HANG_S) == "again"


def test_many_threads_get_each_their_own_answers(way: Way) -> None:
    way.start(Sample)
    peer = way.ref()
    wrong: list[object] = []

    def ask(thread: int) -> None:
        for number in range(100):
            text = f"{thread}-{number}"
            answer = peer.ask(Echo(text), timeout=HANG_S)
            if answer != text:
                wrong.append(answer)

    threads = [threading.Thread(target=ask, args=(n,), daemon=True) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_S)

    assert wrong == []
    assert not any(thread.is_alive() for thread in threads)


def test_a_reference_has_the_name_of_its_actor(way: Way) -> None:
    assert way.ref().name == "peer"

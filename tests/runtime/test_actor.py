from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from played import Held, Hold, HoldOn, Stage, ref
from sample_actors import Decline, Echo, Fail, FailLater, Number, Numbers, Sample
from waiting import HANG_S, until

from egw.runtime import ActorDown, PeerFailed, Refused
from egw.runtime.message import Letter

if TYPE_CHECKING:
    from collections.abc import Callable


class FailsInStarted(Sample):
    def started(self) -> None:
        raise RuntimeError("no such port")


class LeavesInStarted(Sample):
    def started(self) -> None:
        raise SystemExit(3)


class FailsInStopping(Sample):
    def stopping(self) -> None:
        raise RuntimeError("cannot flush")


class Fatal(Sample):
    """Raises what must not reach its neighbours."""

    error: Callable[[], BaseException] = KeyboardInterrupt

    def receive(self, message: Any) -> object:
        raise type(self).error()


class Ticking(Sample):
    def started(self) -> None:
        self.after(0.0, Number(1))


def test_an_ask_gets_what_receive_returns(stage: Stage) -> None:
    stage.run(Sample, "sample", stage.star.main)

    answer = ref(stage.star.main, "sample").ask(Echo("hello"), timeout=HANG_S)

    assert answer == "hello"


def test_an_exception_ends_the_actor_when_a_tell_brought_it(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "sample", stage.star.main)

    ref(stage.star.main, "sample").tell(FailLater("bug"))

    assert actor.ended.wait(HANG_S)
    assert peers.failure.text == "RuntimeError: bug"


def test_an_exception_ends_the_actor_when_an_ask_brought_it(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "sample", stage.star.main)

    with pytest.raises(PeerFailed, match="RuntimeError: bug"):
        ref(stage.star.main, "sample").ask(Fail("bug"), timeout=HANG_S)

    assert actor.ended.wait(HANG_S)
    assert peers.failure.text == "RuntimeError: bug"


def test_the_failure_carries_the_trace_with_the_guilty_line(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "sample", stage.star.main)

    ref(stage.star.main, "sample").tell(FailLater("bug"))

    assert actor.ended.wait(HANG_S)
    assert "raise RuntimeError(text)" in peers.failure.trace


def test_after_a_failure_nothing_that_waits_is_handled(stage: Stage) -> None:
    actor, peers = stage.run(Held, "held", stage.star.main)
    actor.mailbox.put(Letter(HoldOn()))
    assert actor.holding.wait(HANG_S)
    actor.receive = lambda _message: 1 / 0

    actor.mailbox.put(Letter(HoldOn()))
    actor.mailbox.put(Letter(Number(1)))
    actor.release.set()

    assert actor.ended.wait(HANG_S)
    assert peers.failure.text.startswith("ZeroDivisionError")
    assert peers.dead_letters == [(Number(1), "actor_down")]


def test_an_ask_that_waits_behind_a_failure_is_answered(stage: Stage) -> None:
    actor, _ = stage.run(Held, "held", stage.star.main)
    actor.mailbox.put(Letter(HoldOn()))
    assert actor.holding.wait(HANG_S)
    actor.receive = lambda _message: 1 / 0
    actor.mailbox.put(Letter(HoldOn()))
    actor.release.set()

    with pytest.raises(ActorDown):
        ref(stage.star.main, "held").ask(Hold(), timeout=HANG_S)


def test_a_refusal_is_an_answer_and_the_actor_goes_on(stage: Stage) -> None:
    stage.run(Sample, "sample", stage.star.main)
    sample = ref(stage.star.main, "sample")

    with pytest.raises(Refused, match="come back later") as refusal:
        sample.ask(Decline(), timeout=HANG_S)

    assert refusal.value.reason == "busy"
    assert sample.ask(Echo("still here"), timeout=HANG_S) == "still here"


def test_a_refused_tell_is_logged_and_the_actor_goes_on(
    stage: Stage, events: list[Any]
) -> None:
    actor, _ = stage.run(Sample, "sample", stage.star.main)
    actor.receive = lambda _message: (_ for _ in ()).throw(Refused("busy"))

    actor.mailbox.put(Letter(Number(1)))

    until(lambda: any(event["event"] == "tell.refused" for event in events))
    assert not actor.actor_stopped.is_set()


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit]
)
def test_what_is_no_exception_ends_its_actor_and_no_other(
    stage: Stage, error: type[BaseException]
) -> None:
    Fatal.error = error
    fatal, peers = stage.run(Fatal, "fatal", stage.star.main)
    stage.run(Sample, "neighbour", stage.star.main)

    with pytest.raises(PeerFailed, match=error.__name__):
        ref(stage.star.main, "fatal").ask(Echo("?"), timeout=HANG_S)

    assert fatal.ended.wait(HANG_S)
    assert peers.failure.text.startswith(error.__name__)
    neighbour = ref(stage.star.main, "neighbour")
    assert neighbour.ask(Echo("unharmed"), timeout=HANG_S) == "unharmed"


@pytest.mark.parametrize("kind", [FailsInStarted, LeavesInStarted])
def test_an_actor_that_fails_to_start_is_never_ready(
    stage: Stage, kind: type[Sample]
) -> None:
    actor, peers = stage.run(kind, "sample", stage.star.main)

    assert actor.ended.wait(HANG_S)
    assert not peers.ready.is_set()
    assert peers.failure is not None


def test_an_ask_to_an_actor_that_failed_to_start_is_answered(stage: Stage) -> None:
    actor, _ = stage.run(FailsInStarted, "sample", stage.star.main)

    with pytest.raises(ActorDown):
        ref(stage.star.main, "sample").ask(Echo("?"), timeout=HANG_S)

    assert actor.ended.wait(HANG_S)


def test_a_stop_handles_what_waits_before_it_and_then_ends(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "sample", stage.star.main)
    for value in range(100):
        actor.mailbox.put(Letter(Number(value)))

    actor.stop()

    assert actor.ended.wait(HANG_S)
    assert actor.receive(Numbers()) == tuple(range(100))
    assert peers.failure is None


def test_what_comes_behind_the_stop_becomes_a_dead_letter(stage: Stage) -> None:
    actor, peers = stage.run(Held, "held", stage.star.main)
    actor.mailbox.put(Letter(HoldOn()))
    assert actor.holding.wait(HANG_S)
    actor.stop()

    actor.mailbox.put(Letter(Number(1)))
    actor.release.set()

    assert actor.ended.wait(HANG_S)
    assert peers.dead_letters == [(Number(1), "actor_down")]


def test_stopping_twice_is_harmless(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "sample", stage.star.main)

    actor.stop()
    assert actor.ended.wait(HANG_S)
    actor.stop()

    assert peers.failure is None


def test_an_exception_while_stopping_is_reported_and_the_actor_ends(
    stage: Stage,
) -> None:
    actor, peers = stage.run(FailsInStopping, "sample", stage.star.main)

    actor.stop()

    assert actor.ended.wait(HANG_S)
    assert peers.failure.text == "RuntimeError: cannot flush"


def test_a_timer_set_while_starting_reaches_receive(stage: Stage) -> None:
    actor, _ = stage.run(Ticking, "ticking", stage.star.main)

    ticking = ref(stage.star.main, "ticking")

    until(lambda: ticking.ask(Numbers(), timeout=HANG_S) == (1,))
    assert actor.mailbox.missed_ticks == 0


def test_the_thread_of_an_actor_carries_its_name(stage: Stage) -> None:
    actor, peers = stage.run(Sample, "inverter/roof", stage.star.main)
    assert peers.ready.wait(HANG_S)

    names = {thread.ident: thread.name for thread in threading.enumerate()}
    assert names[actor.thread_id] == "inverter/roof"

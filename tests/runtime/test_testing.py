"""The probes, peers and clock that other tests rely on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from played import Stage
from sample_actors import AskPeer, Echo, Number, Numbers, Sample
from waiting import HANG_S

from egw.runtime import Actor, ActorDown, Refused, Tell
from egw.testing import Clock, Peers, Probe, due, run_due


@dataclass(frozen=True, slots=True)
class Other(Tell):
    pass


class Teller(Actor[Any]):
    """Tells the meter each second what it received."""

    def started(self) -> None:
        self.every(1.0, Number(1))

    def receive(self, message: Any) -> object:
        self.ref("meter/roof").tell(message)
        return None


def test_receive_is_called_without_a_thread() -> None:
    actor = Sample(Peers("sample"))

    actor.receive(Number(1))

    assert actor.receive(Numbers()) == (1,)


def test_an_ask_is_answered_with_the_value_of_the_script() -> None:
    actor = Sample(Peers("sample", Probe("peer", {Echo: "scripted"})))

    assert actor.receive(AskPeer("peer", "hello")) == "scripted"


def test_a_callable_of_the_script_is_given_the_message() -> None:
    probe = Probe("peer", {Echo: lambda message: message.text.upper()})

    assert probe.ask(Echo("hello"), timeout=1) == "HELLO"
    assert probe.asks == [Echo("hello")]


def test_an_exception_of_the_script_is_raised() -> None:
    probe = Probe("peer", {Echo: Refused("busy")})

    with pytest.raises(Refused, match="busy"):
        probe.ask(Echo("hello"), timeout=1)


def test_an_answer_can_be_changed_later() -> None:
    probe = Probe("peer", {Echo: "first"})

    probe.answer(Echo, ActorDown("gone"))

    with pytest.raises(ActorDown):
        probe.ask(Echo("hello"), timeout=1)


def test_an_ask_without_a_script_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="<probe peer> has no answer to Echo"):
        Probe("peer").ask(Echo("hello"), timeout=1)


def test_expect_takes_the_first_message_of_its_class_and_leaves_others() -> None:
    probe = Probe("peer")
    for message in (Other(), Number(1), Number(2)):
        probe.tell(message)

    assert probe.expect(Number) == Number(1)
    assert probe.tells == [Other(), Number(2)]


def test_expect_fails_when_there_is_no_such_message_and_shows_the_others() -> None:
    probe = Probe("peer")
    probe.tell(Other())

    with pytest.raises(AssertionError, match=r"no Number, but \[Other\(\)\]"):
        probe.expect(Number)


def test_expect_nothing_fails_when_something_was_told() -> None:
    probe = Probe("peer")
    probe.expect_nothing()
    probe.tell(Number(1))

    probe.expect_nothing(Other)
    with pytest.raises(AssertionError, match="Number"):
        probe.expect_nothing()


def test_expect_waits_for_an_actor_that_runs_in_its_thread(stage: Stage) -> None:
    actor, peers = stage.run(Teller, "teller")

    actor.mailbox.after(0.0, Number(7))
    peers.clock.advance(0.5)
    actor.actor_ref.tell(Other())

    probe = peers.probe("meter/roof")
    assert probe.expect(Number, within_s=HANG_S) == Number(7)
    assert probe.expect(Other, within_s=HANG_S) == Other()


def test_a_probe_is_made_when_its_name_is_first_used() -> None:
    peers = Peers("sample")

    assert peers.ref("inverter/roof") is peers.probe("inverter/roof")


def test_nothing_is_due_before_its_time() -> None:
    peers = Peers("teller")
    actor = Teller(peers)
    actor.started()

    peers.clock.advance(0.99)

    assert due(actor) == []


def test_due_takes_each_tick_once() -> None:
    peers = Peers("teller")
    actor = Teller(peers)
    actor.started()
    peers.clock.advance(1.0)

    assert due(actor) == [Number(1)]
    assert due(actor) == []


def test_run_due_lets_the_actor_receive_its_ticks() -> None:
    peers = Peers("teller")
    actor = Teller(peers)
    actor.started()
    peers.clock.advance(1.0)

    assert run_due(actor) == 1
    assert peers.probe("meter/roof").expect(Number) == Number(1)


def test_both_clocks_advance_together_and_the_wall_clock_can_be_stepped() -> None:
    clock = Clock(monotonic_s=5.0, wall_ms=1000)

    clock.advance(0.25)
    assert (clock.monotonic(), clock.wall_ms()) == (5.25, 1250)
    clock.set_wall(500)

    assert (clock.monotonic(), clock.wall_ms()) == (5.25, 500)


def test_the_monotonic_clock_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        Clock().advance(-1.0)

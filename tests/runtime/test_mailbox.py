from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sample_actors import Echo, Number
from waiting import HANG_S

from egw.runtime import ActorDown, MailboxFull
from egw.runtime.mailbox import Mailbox
from egw.runtime.message import Letter, LocalReply
from egw.testing import Clock

if TYPE_CHECKING:
    from egw.runtime import Message


@pytest.fixture
def clock() -> Clock:
    return Clock(monotonic_s=0.0)


def put_ask(mailbox: Mailbox) -> LocalReply:
    reply = LocalReply()
    mailbox.put(Letter(Echo("?"), reply))
    return reply


def test_letters_come_out_in_the_order_in_which_they_went_in() -> None:
    mailbox = Mailbox()

    for value in range(3):
        mailbox.put(Letter(Number(value)))

    assert [mailbox.get().message.value for _ in range(3)] == [0, 1, 2]
    assert mailbox.empty()


def test_ticks_that_take_longer_than_their_period_leave_letters_their_turn(
    clock: Clock,
) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.every(0.1, Number(0))
    for value in (1, 2):
        mailbox.put(Letter(Number(value)))

    order = []
    for _ in range(5):
        clock.advance(0.15)
        order.append(mailbox.get().message.value)

    assert order == [0, 1, 0, 2, 0]


def test_a_letter_wakes_the_actor_that_waits_for_one() -> None:
    mailbox = Mailbox()
    got: list[Letter] = []
    consumer = threading.Thread(target=lambda: got.append(mailbox.get()), daemon=True)
    consumer.start()

    mailbox.put(Letter(Number(7)))

    consumer.join(HANG_S)
    assert [letter.message for letter in got] == [Number(7)]


def test_a_full_mailbox_refuses_an_ask_at_once() -> None:
    mailbox = Mailbox(capacity=1)
    mailbox.put(Letter(Number(0)))

    reply = put_ask(mailbox)

    with pytest.raises(MailboxFull):
        reply.wait(HANG_S, "it")
    assert mailbox.depth == 1


def test_a_full_mailbox_buries_a_tell_and_counts_it() -> None:
    dead: list[tuple[Message, str]] = []
    mailbox = Mailbox(capacity=1, dead_letter=lambda *letter: dead.append(letter))
    mailbox.put(Letter(Number(0)))

    mailbox.put(Letter(Number(1)))

    assert dead == [(Number(1), "mailbox_full")]
    assert mailbox.dropped == 1
    assert mailbox.get().message == Number(0)


def test_a_mailbox_of_live_values_drops_the_oldest_tell() -> None:
    dead: list[tuple[Message, str]] = []
    mailbox = Mailbox(
        capacity=2, overflow="oldest", dead_letter=lambda *letter: dead.append(letter)
    )

    for value in range(3):
        mailbox.put(Letter(Number(value)))

    assert dead == [(Number(0), "overtaken")]
    assert [mailbox.get().message for _ in range(2)] == [Number(1), Number(2)]


def test_a_mailbox_of_live_values_never_drops_an_ask() -> None:
    mailbox = Mailbox(capacity=2, overflow="oldest")
    first, second = put_ask(mailbox), put_ask(mailbox)

    mailbox.put(Letter(Number(1)))
    third = put_ask(mailbox)

    with pytest.raises(MailboxFull):
        third.wait(HANG_S, "it")
    assert [mailbox.get().reply_to for _ in range(2)] == [first, second]
    assert mailbox.dropped == 2


def test_what_is_no_message_of_ours_always_gets_in() -> None:
    mailbox = Mailbox(capacity=1)
    mailbox.put(Letter(Number(0)))

    mailbox.put(Letter("poison pill"))

    assert mailbox.depth == 2


def test_closing_answers_every_waiting_ask_and_buries_every_tell() -> None:
    dead: list[tuple[Message, str]] = []
    mailbox = Mailbox(dead_letter=lambda *letter: dead.append(letter))
    replies = [put_ask(mailbox) for _ in range(3)]
    mailbox.put(Letter(Number(1)))

    mailbox.close()

    for reply in replies:
        with pytest.raises(ActorDown):
            reply.wait(HANG_S, "it")
    assert dead == [(Number(1), "actor_down")]


def test_a_closed_mailbox_refuses_what_comes_later() -> None:
    dead: list[tuple[Message, str]] = []
    mailbox = Mailbox(dead_letter=lambda *letter: dead.append(letter))
    mailbox.close()

    reply = put_ask(mailbox)
    mailbox.put(Letter(Number(1)))
    mailbox.every(1.0, Number(2))

    with pytest.raises(ActorDown):
        reply.wait(HANG_S, "it")
    assert dead == [(Number(1), "actor_down")]
    assert mailbox.tick() is None


@pytest.mark.usefixtures("quick_switches")
def test_no_ask_is_lost_when_asks_race_with_the_close() -> None:
    for _ in range(60):
        mailbox = Mailbox(capacity=10)
        replies: list[LocalReply] = []
        begin = threading.Barrier(4)

        def produce(
            mailbox: Mailbox = mailbox,
            replies: list[LocalReply] = replies,
            begin: threading.Barrier = begin,
        ) -> None:
            begin.wait(HANG_S)
            replies.extend(put_ask(mailbox) for _ in range(20))

        producers = [threading.Thread(target=produce, daemon=True) for _ in range(3)]
        for producer in producers:
            producer.start()
        begin.wait(HANG_S)
        for _ in range(5):
            mailbox.get().reply_to.set("answer")  # type: ignore[union-attr]
        mailbox.close()
        for producer in producers:
            producer.join(HANG_S)

        outcomes = [outcome(reply) for reply in replies]
        assert len(outcomes) == 60
        assert outcomes.count("answer") == 5


def outcome(reply: LocalReply) -> object:
    """An AskTimeout, raised without an answer, fails the test."""
    try:
        return reply.wait(1.0, "it")
    except (ActorDown, MailboxFull) as error:
        return type(error)


def test_ticks_stand_on_a_fixed_grid_however_late_they_are_taken(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.every(1.0, Number(0))

    due_at = []
    for lateness_s in (0.2, 0.9, 0.0, 0.5):
        clock.advance(len(due_at) + 1 + lateness_s - clock.monotonic())
        mailbox.get()
        due_at.append(mailbox.due_at)

    assert due_at == [1.0, 2.0, 3.0, 4.0]


def test_missed_ticks_are_counted_and_not_queued(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.every(1.0, Number(0))
    clock.advance(3.5)

    tick = mailbox.tick()

    assert tick is not None
    assert mailbox.due_at == 3.0
    assert mailbox.missed_ticks == 2
    assert mailbox.tick() is None


def test_a_phase_shifts_the_first_tick_only(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.every(1.0, Number(0), phase_s=0.25)

    clock.advance(0.25)
    mailbox.get()
    first = mailbox.due_at
    clock.advance(1.0)
    mailbox.get()

    assert (first, mailbox.due_at) == (0.25, 1.25)


def test_a_tick_comes_before_the_letters_that_wait(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.every(1.0, Number(1))
    mailbox.put(Letter(Number(2)))
    clock.advance(1.0)

    assert mailbox.get().message == Number(1)
    assert mailbox.get().message == Number(2)
    assert mailbox.due_at is None


def test_of_several_timers_the_earliest_comes_first(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.after(2.0, Number(2))
    mailbox.after(1.0, Number(1))
    clock.advance(5.0)

    assert [mailbox.get().message for _ in range(2)] == [Number(1), Number(2)]


def test_a_timer_for_once_comes_once(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.after(1.0, Number(1))
    clock.advance(10.0)

    assert mailbox.get().message == Number(1)
    assert mailbox.tick() is None
    assert mailbox.missed_ticks == 0


def test_a_cancelled_timer_never_comes_even_when_it_was_due(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    timer = mailbox.every(1.0, Number(1))
    clock.advance(1.0)

    mailbox.cancel(timer)
    mailbox.cancel(timer)

    assert mailbox.tick() is None


def test_a_waiting_actor_is_woken_by_its_timer() -> None:
    mailbox = Mailbox()
    mailbox.after(0.01, Number(1))

    assert mailbox.get().message == Number(1)


def test_the_gauges_tell_what_the_actor_is_busy_with_and_how_long(clock: Clock) -> None:
    mailbox = Mailbox(clock=clock)
    mailbox.put(Letter(Number(1)))
    mailbox.put(Letter(Echo("?"), LocalReply()))
    mailbox.get()
    mailbox.get()

    clock.advance(0.5)

    assert mailbox.busy() == (0.5, "Echo")
    assert mailbox.high_water == 2
    assert mailbox.handled == 1


def test_handling_times_are_shown_as_upper_edges_of_doubling_steps(
    clock: Clock,
) -> None:
    mailbox = Mailbox(clock=clock)
    for took_s in (0.001, 0.001, 0.001, 1.0):
        mailbox.put(Letter(Number(1)))
        mailbox.get()
        clock.advance(took_s)
    assert mailbox.tick() is None

    assert 1_000 <= mailbox.handling_us(0.5) <= 2_000
    assert 1_000_000 <= mailbox.handling_us(0.99) <= 2_000_000

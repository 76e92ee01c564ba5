"""What the runtime relies on in Pykka, and nothing of ours.

When one of these fails after an upgrade of Pykka, `egw/runtime/actor.py` must be looked
at before anything else.
"""

from __future__ import annotations

import threading
from collections import deque
from importlib.metadata import version
from typing import Any

import pykka
import pytest
from pykka._envelope import Envelope
from waiting import HANG_S


class Inbox:
    """Has the three methods of Pykka's inbox protocol and no other."""

    def __init__(self) -> None:
        self._letters: deque[Any] = deque()
        self._filled = threading.Semaphore(0)

    def put(self, letter: Any, /) -> None:
        self._letters.append(letter)
        self._filled.release()

    def get(self) -> Any:
        assert self._filled.acquire(timeout=HANG_S)
        return self._letters.popleft()

    def empty(self) -> bool:
        return not self._letters


class Note:
    """Has the two attributes of an envelope and no other."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: object, reply_to: Answer | None = None) -> None:
        self.message = message
        self.reply_to = reply_to


class Answer:
    """Has the two methods that Pykka's loop calls on a future and no other."""

    __slots__ = ("answered", "error", "value")

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.value: object = None
        self.error: object = None

    def set(self, value: object) -> None:
        self.value = value
        self.answered.set()

    def set_exception(self, exc_info: Any = None) -> None:
        self.error = exc_info[1] if exc_info else "the current one"
        self.answered.set()


class Plain(pykka.ThreadingActor):
    """Fills the two seams and notes which hooks Pykka calls."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks: list[str] = []
        self.over = threading.Event()

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Inbox()

    def _start_actor_loop(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._actor_loop()
        self.over.set()

    def on_start(self) -> None:
        self.hooks.append("on_start")

    def on_stop(self) -> None:
        self.hooks.append("on_stop")

    def on_receive(self, message: object) -> object:
        if isinstance(message, Exception):
            raise message
        return message


class StopsAtStart(Plain):
    def on_start(self) -> None:
        self.actor_stopped.set()


def running(kind: type[Plain] = Plain) -> Plain:
    actor = kind()
    actor._start_actor_loop()
    return actor


def stop(actor: Plain) -> None:
    actor.stop()
    assert actor.over.wait(HANG_S)


def test_the_version_is_one_that_the_package_allows() -> None:
    major, minor = map(int, version("pykka").split(".")[:2])

    assert (4, 4) <= (major, minor) < (5, 0)


def test_an_actor_uses_the_inbox_that_the_hook_returns() -> None:
    assert isinstance(Plain().actor_inbox, Inbox)


def test_the_loop_takes_any_object_with_the_two_attributes_for_an_envelope() -> None:
    actor = running()
    answer = Answer()

    actor.actor_inbox.put(Note("hello", answer))  # type: ignore[arg-type]

    assert answer.answered.wait(HANG_S)
    assert answer.value == "hello"
    stop(actor)


def test_an_envelope_of_pykka_has_these_two_attributes_only() -> None:
    assert set(Envelope.__slots__) == {"message", "reply_to"}


def test_an_exception_goes_to_the_asker_as_the_one_being_handled() -> None:
    actor = running()
    answer = Answer()

    actor.actor_inbox.put(Note(ValueError("bug"), answer))  # type: ignore[arg-type]

    assert answer.answered.wait(HANG_S)
    assert answer.error == "the current one"
    stop(actor)


def test_stop_puts_an_envelope_into_the_inbox_behind_what_waits() -> None:
    actor = Plain()
    answer = Answer()
    actor.actor_inbox.put(Note("first", answer))  # type: ignore[arg-type]
    actor.stop()

    actor._start_actor_loop()

    assert actor.over.wait(HANG_S)
    assert answer.value == "first"
    assert actor.hooks == ["on_start", "on_stop"]


def test_what_is_left_behind_the_stop_is_answered_with_actor_dead() -> None:
    actor = Plain()
    answer = Answer()
    actor.stop()
    actor.actor_inbox.put(Note("late", answer))  # type: ignore[arg-type]

    actor._start_actor_loop()

    assert answer.answered.wait(HANG_S)
    assert isinstance(answer.error, pykka.ActorDeadError)


def test_setting_actor_stopped_ends_the_loop_without_a_further_message() -> None:
    actor = StopsAtStart()
    actor.actor_inbox.put(Note("never handled"))  # type: ignore[arg-type]

    actor._start_actor_loop()

    assert actor.over.wait(HANG_S)
    assert actor.hooks == []


def test_telling_a_stopped_actor_raises_actor_dead() -> None:
    actor = running()
    stop(actor)

    with pytest.raises(pykka.ActorDeadError):
        actor.stop()


def test_an_actor_that_was_never_registered_can_be_unregistered() -> None:
    actor = Plain()

    pykka.ActorRegistry.unregister(actor.actor_ref)

    assert actor.actor_ref not in pykka.ActorRegistry.get_all()

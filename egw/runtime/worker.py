"""What runs in a worker process: an agent that starts and stops actors as told.

The agent is the process's main thread. It decides nothing: the supervisor does. Twice
a second it reports how its actors are, from the gauges of their mailboxes, with the
stack of one that is busy for longer than its patience.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from egw.runtime.actor import Actor, Failure
from egw.runtime.clock import SystemClock
from egw.runtime.control import (
    SUPERVISOR,
    ActorEnded,
    ActorGauges,
    ActorUp,
    Beat,
    StartActor,
    StopActor,
    StopWorker,
    WorkerUp,
    agent_name,
)
from egw.runtime.link import Link
from egw.runtime.logs import configure_logs
from egw.runtime.mailbox import Mailbox
from egw.runtime.message import Message, Tell
from egw.runtime.ref import NamedRef, Ref
from egw.runtime.spec import ChildSpec, load_actor
from egw.runtime.switchboard import Switchboard

if TYPE_CHECKING:
    import socket

    from egw.runtime.clock import Clock

BEAT_S = 0.5
_GAUGES_EVERY = 4
_EXIT_GUARD_S = 2.0
_DEFAULT_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker process is started with."""

    name: str
    incarnation: int
    log_level: str
    stack_file: str
    """Where faulthandler writes all stacks on SIGUSR1."""


@dataclass(frozen=True, slots=True)
class _BeatNow(Tell):
    """Timer of the agent."""


@dataclass(frozen=True, slots=True)
class _MainGone(Tell):
    """The link to the main process has ended."""


def run_worker(sock: socket.socket, settings: WorkerSettings) -> None:
    """Run a worker until it is told to stop or the main process is gone."""
    # The order in which things end belongs to the supervisor, not to the terminal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Path(settings.stack_file).open("w", encoding="utf-8") as stack_file:
        faulthandler.register(signal.SIGUSR1, file=stack_file, all_threads=True)
        configure_logs(
            settings.name, level=settings.log_level, incarnation=settings.incarnation
        )
        _Agent(sock, settings).run()
    # Threads of libraries may still be about; nothing of theirs matters any more.
    os._exit(0)


class ActorContext:
    """What an actor in a worker is given."""

    def __init__(self, agent: _Agent, spec: ChildSpec, incarnation: int) -> None:
        self.name = spec.name
        self.clock: Clock = SystemClock()
        self.incarnation = incarnation
        self._agent = agent
        self._needs = frozenset((*spec.needs, SUPERVISOR))

    def ref(self, name: str) -> Ref:
        """Return the reference to another actor."""
        return NamedRef(self._agent.switchboard, name, may_ask=name in self._needs)

    def dead_letter(self, message: Message, why: str) -> None:
        """Count a message that this actor could not take."""
        self._agent.switchboard.dead_letters.add(self.name, type(message).__name__, why)

    def on_ready(self, _actor: Actor[Any]) -> None:
        """Report that the actor is up."""
        self._agent.report(ActorUp(self.name, self.incarnation))

    def on_down(self, actor: Actor[Any], failure: Failure | None) -> None:
        """Report that the actor is gone."""
        self._agent.ended(actor, self.incarnation, failure)


class _Agent:
    def __init__(self, sock: socket.socket, settings: WorkerSettings) -> None:
        self.settings = settings
        self.switchboard = Switchboard(settings.name, incarnation=settings.incarnation)
        self._mailbox = Mailbox(capacity=100_000)
        self._actors: dict[str, Actor[Any]] = {}
        self._beats = 0
        self._name = agent_name(settings.name)
        self._link = Link(
            sock,
            name="main",
            on_frame=lambda frame, data: self.switchboard.on_frame(
                self._link, frame, data
            ),
            on_closed=lambda: self.switchboard.tell(self._name, _MainGone()),
        )

    def run(self) -> None:
        settings = self.settings
        self.switchboard.attach(self._name, self._mailbox)
        self.switchboard.route_all(self._link)
        self._link.start()
        self.report(WorkerUp(settings.name, settings.incarnation))
        self._mailbox.every(BEAT_S, _BeatNow())
        while self._handle(self._mailbox.get().message):
            pass
        self._link.flush(0.5)

    def _handle(self, message: Message) -> bool:
        match message:
            case _BeatNow():
                self._beat()
            case StartActor(spec, incarnation):
                self._start(spec, incarnation)
            case StopActor(name):
                actor = self._actors.get(name)
                if actor is not None:
                    actor.stop()
            case StopWorker():
                return False
            case _MainGone():
                self._abandon()
                return False
        return True

    def report(self, message: Tell) -> None:
        self.switchboard.tell(SUPERVISOR, message)

    def _start(self, spec: ChildSpec, incarnation: int) -> None:
        context = ActorContext(self, spec, incarnation)
        try:
            actor = load_actor(spec.actor)(context, **spec.arguments)
        except Exception as error:  # noqa: BLE001 - any bug in a constructor
            failure = Failure.of(error)
            self.report(ActorEnded(spec.name, incarnation, failure.text, failure.trace))
            return
        self._actors[spec.name] = actor
        self.switchboard.attach(spec.name, actor.mailbox)
        actor._start_actor_loop()  # noqa: SLF001 - Pykka's registry is not for us

    def ended(
        self, actor: Actor[Any], incarnation: int, failure: Failure | None
    ) -> None:
        if self._actors.get(actor.name) is actor:
            self.switchboard.detach(actor.name)
            self._actors.pop(actor.name, None)
        text, trace = (failure.text, failure.trace) if failure else ("", "")
        self.report(ActorEnded(actor.name, incarnation, text, trace))

    def _beat(self) -> None:
        actors = list(self._actors.values())
        self._beats += 1
        shown = actors if self._beats % _GAUGES_EVERY == 1 else _overdue(actors)
        patience_s = min(
            (actor.patience_s for actor in actors), default=_DEFAULT_PATIENCE_S
        )
        self.report(
            Beat(
                self.settings.name,
                self.settings.incarnation,
                patience_s,
                self.switchboard.dead_letters.total,
                tuple(_gauges(actor) for actor in shown),
            )
        )

    def _abandon(self) -> None:
        """Main is dead: let the actors end, but not for longer than the guard."""
        guard = threading.Timer(_EXIT_GUARD_S, os._exit, (75,))
        guard.daemon = True
        guard.start()
        structlog.get_logger().warning("worker.abandoned")
        actors = list(self._actors.values())
        for actor in actors:
            actor.stop()
        for actor in actors:
            actor.ended.wait(_EXIT_GUARD_S)


def _overdue(actors: list[Actor[Any]]) -> list[Actor[Any]]:
    return [actor for actor in actors if actor.mailbox.busy()[0] > actor.patience_s]


def _gauges(actor: Actor[Any]) -> ActorGauges:
    mailbox = actor.mailbox
    busy_s, busy_with = mailbox.busy()
    stack = _stack(actor) if busy_s > actor.patience_s else ""
    return ActorGauges(
        name=actor.name,
        depth=mailbox.depth,
        high_water=mailbox.high_water,
        handled=mailbox.handled,
        dropped=mailbox.dropped,
        missed_ticks=mailbox.missed_ticks,
        busy_s=busy_s,
        busy_with=busy_with,
        p50_us=mailbox.handling_us(0.5),
        p99_us=mailbox.handling_us(0.99),
        stack=stack,
    )


def _stack(actor: Actor[Any]) -> str:
    frame = sys._current_frames().get(actor.thread_id or 0)  # noqa: SLF001
    return "".join(traceback.format_stack(frame)) if frame else "no Python frame"

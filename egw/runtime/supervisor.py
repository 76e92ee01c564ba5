"""The supervisor: starts workers and actors in order, restarts them, stops them.

It is an actor in the main process and keeps all its state to itself; the pure parts
(specifications, back-off) are modules of their own. It never asks anybody anything.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from egw.runtime.actor import Actor, Context
from egw.runtime.children import Child, ChildState, Worker
from egw.runtime.control import (
    ActorEnded,
    ActorUp,
    Beat,
    Describe,
    StartActor,
    Stop,
    StopActor,
    StopWorker,
    TreeView,
    WorkerDied,
    WorkerUp,
    agent_name,
)
from egw.runtime.message import Tell
from egw.runtime.spec import WorkerSpec, generations

if TYPE_CHECKING:
    from egw.runtime.control import ActorGauges
    from egw.runtime.process import Processes

EXIT_OK = 0
EXIT_GAVE_UP = 70
"""EX_SOFTWARE of sysexits.h: the container's restart policy is the next supervisor."""

_GRID_S = 0.05
_SUSPENDED_S = 30.0
_ESCALATION_MEMORY_S = 300.0
_SILENCE_MARGIN_S = 0.5
_DUMP_S = 0.1
_WORKER_GRACE_S = 1.0
_STARTING_PATIENCE_S = 5.0
_MAX_RECOVERIES = 1000


@dataclass(frozen=True, slots=True)
class _Look(Tell):
    """Timer: look what is due."""


Inbox = _Look | WorkerUp | WorkerDied | ActorUp | ActorEnded | Beat | Stop | Describe


class Supervisor(Actor[Inbox]):
    """`done` is set when everything has ended; `status` is the exit status then."""

    mailbox_capacity = 100_000

    def __init__(
        self, context: Context, *, workers: tuple[WorkerSpec, ...], processes: Processes
    ) -> None:
        super().__init__(context)
        self.done = threading.Event()
        self.status = EXIT_OK
        self._processes = processes
        self._generations = generations(workers)
        self._workers = {spec.name: Worker(spec) for spec in workers}
        self._children = {
            child.name: Child(child, spec.name)
            for spec in workers
            for child in spec.children
        }
        self._started_at = self.clock.monotonic()
        self._stopping = False
        self._stop_groups: list[tuple[str, ...]] = []
        self._stop_deadline = 0.0
        self._recoveries_ms: list[float] = []

    def started(self) -> None:
        """Start the tree."""
        self.every(_GRID_S, _Look())
        self._advance()

    def receive(self, message: Inbox) -> object:
        """Handle one report, then do what has become due."""
        match message:
            case _Look():
                self._look_for_silence()
            case WorkerUp(name, incarnation):
                self._worker_up(self._workers[name], incarnation)
            case WorkerDied():
                self._worker_died(message)
            case ActorUp(name, incarnation):
                self._actor_up(self._children[name], incarnation)
            case ActorEnded():
                self._actor_ended(message)
            case Beat():
                self._beat(message)
            case Stop(reason):
                self._begin_stop(reason)
            case Describe():
                return self._describe()
            case _:
                assert_never(message)
        self._advance()
        return None

    # Starting

    def _advance(self) -> None:
        if self._stopping:
            self._advance_stop()
            return
        now = self.clock.monotonic()
        for worker in self._workers.values():
            if worker.state == "waiting" and worker.due_at <= now:
                self._start_worker(worker)
        for child in self._children.values():
            if child.state == "waiting" and child.due_at <= now:
                self._start_child(child, now)
            elif child.state == "starting" and child.deadline <= now:
                self._overdue(child)

    def _start_worker(self, worker: Worker) -> None:
        worker.incarnation += 1
        worker.state = "starting"
        worker.heard_at = self.clock.monotonic()
        worker.patience_s = _STARTING_PATIENCE_S
        try:
            worker.pid = self._processes.start_process(worker.name, worker.incarnation)
        except OSError as error:
            worker.killed_because = f"could not be started: {error}"
            now = self.clock.monotonic()
            self._worker_died(WorkerDied(worker.name, worker.incarnation, now))

    def _worker_up(self, worker: Worker, incarnation: int) -> None:
        # The news of its death, which comes another way, may have been faster.
        if incarnation != worker.incarnation or worker.state != "starting":
            return
        worker.state = "up"
        worker.up_since = worker.heard_at = self.clock.monotonic()
        self.log.info("worker.up", worker=worker.name, worker_pid=worker.pid)

    def _start_child(self, child: Child, now: float) -> None:
        if self._workers[child.worker].state != "up":
            return
        # The order of needs is for the first start; later, names bridge a restart.
        needs = [self._children[need] for need in child.spec.needs]
        if not all(need.was_up or need.suspended for need in needs):
            return
        child.incarnation += 1
        child.state = "starting"
        child.deadline = now + child.spec.start_within_s
        self._processes.route(child.worker, child.name)
        self._tell_agent(child.worker, StartActor(child.spec, child.incarnation))

    def _overdue(self, child: Child) -> None:
        self.log.error("actor.start_overdue", actor=child.name)
        child.last_failure = f"did not start within {child.spec.start_within_s:g} s"
        child.deadline = float("inf")
        self._kill(self._workers[child.worker], "an actor did not start")

    def _actor_up(self, child: Child, incarnation: int) -> None:
        if incarnation != child.incarnation or child.state != "starting":
            return
        now = self.clock.monotonic()
        child.state = "up"
        child.was_up = True
        child.suspended = False
        child.up_since = now
        self.log.debug("actor.up", of=child.name, actor_incarnation=incarnation)
        worker = self._workers[child.worker]
        if worker.died_at is not None and self._is_whole(worker):
            worker.recovery_ms = (now - worker.died_at) * 1000
            self._recoveries_ms.append(worker.recovery_ms)
            del self._recoveries_ms[:-_MAX_RECOVERIES]
            worker.died_at = None
            self.log.info(
                "worker.recovered",
                worker=worker.name,
                took_ms=round(worker.recovery_ms, 1),
            )

    def _is_whole(self, worker: Worker) -> bool:
        children = (self._children[spec.name] for spec in worker.spec.children)
        return all(c.state in ("up", "stopped") or c.suspended for c in children)

    # Failing

    def _worker_died(self, death: WorkerDied) -> None:
        worker = self._workers[death.worker]
        if death.incarnation != worker.incarnation:
            return
        up_since, worker.up_since = worker.up_since, None
        worker.pid = None
        if self._stopping:
            worker.state = "stopped"
            self._children_down(worker, "stopped")
            return
        now = self.clock.monotonic()
        worker.died_at = worker.died_at or death.died_at
        self._children_down(worker, "waiting")
        pause_s = worker.failures.add(now, up_since=up_since)
        self.log.warning(
            "worker.died",
            worker=worker.name,
            why=worker.killed_because or "ended from outside",
            deaths=worker.failures.total,
        )
        worker.killed_because = ""
        if pause_s is None and worker.critical:
            self._give_up(f"worker {worker.name} keeps dying")
            return
        worker.state = "waiting"
        worker.due_at = now + (_SUSPENDED_S if pause_s is None else pause_s)

    def _children_down(self, worker: Worker, state: ChildState) -> None:
        for spec in worker.spec.children:
            child = self._children[spec.name]
            if child.state != "stopped":
                child.state = state
                child.due_at = child.due_at if child.suspended else 0.0
                child.gauges = None

    def _actor_ended(self, end: ActorEnded) -> None:
        child = self._children[end.name]
        if end.incarnation != child.incarnation:
            return
        if self._stopping or child.state == "stopping":
            child.state = "stopped"
            return
        up_since = child.up_since if child.state == "up" else None
        failed = bool(end.failure)
        if failed:
            child.last_failure = end.failure
            self.log.error(
                "actor.failed", of=child.name, error=end.failure, trace=end.trace
            )
        restart = child.spec.restart
        if restart == "temporary" or (restart == "transient" and not failed):
            child.state = "stopped"
            return
        self._restart(child, up_since)

    def _restart(self, child: Child, up_since: float | None) -> None:
        now = self.clock.monotonic()
        child.state = "waiting"
        if child.suspended:
            child.due_at = now + _SUSPENDED_S
            return
        pause_s = child.failures.add(now, up_since=up_since)
        if pause_s is not None:
            child.due_at = now + pause_s
            return
        child.failures.clear()
        recently = now - child.escalated_at < _ESCALATION_MEMORY_S
        child.escalated_at = now
        if not recently:
            self._kill(self._workers[child.worker], f"actor {child.name} keeps failing")
        elif child.spec.critical:
            self._give_up(f"actor {child.name} keeps failing")
        else:
            child.state = "waiting"
            child.due_at = now + _SUSPENDED_S
            child.suspended = True
            self.log.error("actor.suspended", of=child.name, retry_in_s=_SUSPENDED_S)

    def _give_up(self, reason: str) -> None:
        self.log.critical("supervisor.gave_up", reason=reason)
        self.status = EXIT_GAVE_UP
        self._begin_stop(reason)

    # Hanging

    def _beat(self, beat: Beat) -> None:
        worker = self._workers[beat.worker]
        if beat.incarnation != worker.incarnation:
            return
        worker.heard_at = self.clock.monotonic()
        worker.patience_s = beat.patience_s
        worker.dead_letters = beat.dead_letters
        for gauges in beat.actors:
            child = self._children[gauges.name]
            child.gauges = gauges
            if gauges.stack and not self._stopping:
                self._hung(child, gauges)

    def _hung(self, child: Child, gauges: ActorGauges) -> None:
        worker = self._workers[child.worker]
        if worker.killed_because:
            return
        child.last_failure = f"hung in {gauges.busy_with}"
        self.log.error(
            "actor.hung",
            of=child.name,
            busy_s=round(gauges.busy_s, 2),
            busy_with=gauges.busy_with,
            stack=gauges.stack,
        )
        self._kill(worker, f"actor {child.name} hung")

    def _look_for_silence(self) -> None:
        """A worker whose interpreter stands still cannot say which actor hangs."""
        now = self.clock.monotonic()
        for worker in self._workers.values():
            if worker.pid is None or self._stopping:
                continue
            silent_s = now - worker.heard_at
            if silent_s <= worker.patience_s + _SILENCE_MARGIN_S:
                worker.dump_asked = False
            elif not worker.dump_asked:
                worker.dump_asked = True
                self._processes.dump(worker.name)
            elif silent_s > worker.patience_s + _SILENCE_MARGIN_S + _DUMP_S:
                self.log.error(
                    "worker.silent",
                    worker=worker.name,
                    silent_s=round(silent_s, 2),
                    stack=self._processes.stacks(worker.name),
                )
                worker.heard_at = now
                self._kill(worker, "silent")

    def _kill(self, worker: Worker, why: str) -> None:
        if worker.pid is not None and not worker.killed_because:
            worker.killed_because = why
            self._processes.kill(worker.name)

    # Stopping

    def _begin_stop(self, reason: str) -> None:
        if self._stopping:
            # Asked twice: whoever asks has no patience left.
            for worker in self._workers.values():
                self._kill(worker, "stopped twice")
            return
        self.log.info("gateway.stopping", reason=reason)
        self._stopping = True
        self._stop_groups = list(reversed(self._generations))
        for child in self._children.values():
            if child.state == "waiting":
                child.state = "stopped"
        self._stop_deadline = 0.0

    def _advance_stop(self) -> None:
        now = self.clock.monotonic()
        while self._stop_groups:
            group = [self._children[name] for name in self._stop_groups[0]]
            if self._stop_deadline == 0.0:
                grace_s = max(child.spec.grace_s for child in group)
                self._stop_deadline = now + grace_s
                for child in group:
                    self._stop_child(child)
            running = [child.name for child in group if child.state != "stopped"]
            if running and now < self._stop_deadline:
                return
            if running:
                self.log.warning("actor.stop_overdue", actors=running)
            self._stop_groups.pop(0)
            self._stop_deadline = 0.0
        self._stop_workers(now)

    def _stop_child(self, child: Child) -> None:
        if child.state in ("up", "starting"):
            child.state = "stopping"
            self._tell_agent(child.worker, StopActor(child.name))

    def _stop_workers(self, now: float) -> None:
        running = [w for w in self._workers.values() if w.pid is not None]
        if not running:
            self.done.set()
        for worker in running:
            if worker.stop_by is None:
                worker.stop_by = now + _WORKER_GRACE_S
                self._tell_agent(worker.name, StopWorker())
            elif now > worker.stop_by:
                self._kill(worker, "did not end")

    def _tell_agent(self, worker: str, message: Tell) -> None:
        self.ref(agent_name(worker)).tell(message)

    def _describe(self) -> TreeView:
        return TreeView(
            main_pid=os.getpid(),
            uptime_s=self.clock.monotonic() - self._started_at,
            dead_letters=self._processes.dead_letters(),
            recoveries_ms=tuple(self._recoveries_ms),
            workers=tuple(worker.view() for worker in self._workers.values()),
            actors=tuple(child.view() for child in self._children.values()),
        )

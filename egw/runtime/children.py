"""What the supervisor knows of each worker and each actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from egw.runtime.control import ActorView, WorkerView
from egw.runtime.restarts import ACTOR_POLICY, WORKER_POLICY, Failures

if TYPE_CHECKING:
    from egw.runtime.control import ActorGauges
    from egw.runtime.spec import ChildSpec, WorkerSpec

ChildState = Literal["waiting", "starting", "up", "stopping", "stopped"]
WorkerState = Literal["waiting", "starting", "up", "stopped"]


class Child:
    """One actor. All instants are monotonic seconds."""

    def __init__(self, spec: ChildSpec, worker: str) -> None:
        self.spec = spec
        self.name = spec.name
        self.worker = worker
        self.state: ChildState = "waiting"
        self.incarnation = 0
        self.due_at = 0.0
        self.deadline = 0.0
        self.up_since: float | None = None
        self.was_up = False
        self.suspended = False
        self.escalated_at = float("-inf")
        self.failures = Failures(ACTOR_POLICY)
        self.last_failure = ""
        self.gauges: ActorGauges | None = None

    def view(self) -> ActorView:
        """Return what is shown of it."""
        suspended = self.suspended and self.state == "waiting"
        return ActorView(
            name=self.name,
            worker=self.worker,
            state="suspended" if suspended else self.state,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
            critical=self.spec.critical,
            last_failure=self.last_failure,
            gauges=self.gauges,
        )


class Worker:
    """One worker process through all its incarnations."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.critical = any(child.critical for child in spec.children)
        self.state: WorkerState = "waiting"
        self.incarnation = 0
        self.pid: int | None = None
        self.due_at = 0.0
        self.up_since: float | None = None
        self.heard_at = 0.0
        self.patience_s = 0.0
        self.dump_asked = False
        self.killed_because = ""
        self.died_at: float | None = None
        self.recovery_ms: float | None = None
        self.stop_by: float | None = None
        self.dead_letters = 0
        self.failures = Failures(WORKER_POLICY)

    def view(self) -> WorkerView:
        """Return what is shown of it."""
        return WorkerView(
            name=self.name,
            pid=self.pid,
            state=self.state,
            incarnation=self.incarnation,
            restarts=max(0, self.incarnation - 1),
            last_recovery_ms=self.recovery_ms,
            dead_letters=self.dead_letters,
        )

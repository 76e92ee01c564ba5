"""The conversation between the supervisor and the workers, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from egw.runtime.message import Ask, Tell

if TYPE_CHECKING:
    from egw.runtime.spec import ChildSpec

SUPERVISOR = "supervisor"
"""The name under which every actor may ask the supervisor for a `Describe`."""


def agent_name(worker: str) -> str:
    """Return the name under which a worker's agent is told to start and stop actors."""
    return f"worker/{worker}"


@dataclass(frozen=True, slots=True)
class StartActor(Tell):
    """To an agent: construct and start this actor."""

    spec: ChildSpec
    incarnation: int


@dataclass(frozen=True, slots=True)
class StopActor(Tell):
    """To an agent: let this actor handle what it has, then end."""

    name: str


@dataclass(frozen=True, slots=True)
class StopWorker(Tell):
    """To an agent: end the process."""


@dataclass(frozen=True, slots=True)
class WorkerUp(Tell):
    """From an agent: the process runs and listens."""

    worker: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class WorkerDied(Tell):
    """From the watch: the process is gone."""

    worker: str
    incarnation: int
    died_at: float
    """Monotonic seconds."""


@dataclass(frozen=True, slots=True)
class ActorUp(Tell):
    """From an agent: `started` has returned."""

    name: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class ActorEnded(Tell):
    """From an agent: the actor is gone; no `failure` when it was asked to stop."""

    name: str
    incarnation: int
    failure: str
    trace: str


class ActorGauges(NamedTuple):
    """What a mailbox knows of its actor. A tuple, for there are many in a beat."""

    name: str
    depth: int
    high_water: int
    handled: int
    dropped: int
    missed_ticks: int
    busy_s: float
    busy_with: str
    p50_us: int
    p99_us: int
    stack: str
    """Where the actor stands, when a message took longer than its patience."""


@dataclass(frozen=True, slots=True)
class Beat(Tell):
    """From an agent, twice a second."""

    worker: str
    incarnation: int
    patience_s: float
    """The shortest patience of the worker's actors: how long it may be silent."""
    dead_letters: int
    actors: tuple[ActorGauges, ...]
    """Those that are overdue; every two seconds all."""


@dataclass(frozen=True, slots=True)
class Stop(Tell):
    """To the supervisor: stop everything in order."""

    reason: str


@dataclass(frozen=True, slots=True)
class ActorView:
    """One row of the supervision tree."""

    name: str
    worker: str
    state: str
    """waiting, starting, up, suspended, stopping or stopped."""
    incarnation: int
    restarts: int
    critical: bool
    last_failure: str
    gauges: ActorGauges | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker process."""

    name: str
    pid: int | None
    state: str
    incarnation: int
    restarts: int
    last_recovery_ms: float | None
    """From the death to the last of its actors being up again."""
    dead_letters: int


@dataclass(frozen=True, slots=True)
class TreeView:
    """The whole supervision tree now."""

    main_pid: int
    uptime_s: float
    dead_letters: int
    """Of the main process."""
    recoveries_ms: tuple[float, ...]
    """The last 1,000 recoveries of workers."""
    workers: tuple[WorkerView, ...]
    actors: tuple[ActorView, ...]


@dataclass(frozen=True, slots=True)
class Describe(Ask[TreeView]):
    """To the supervisor: show the tree."""

"""A supervisor under test: no process, no thread, no wait."""

from __future__ import annotations

from typing import Any

from egw.runtime.control import (
    ActorEnded,
    ActorGauges,
    ActorUp,
    Beat,
    Describe,
    StartActor,
    StopActor,
    WorkerDied,
    WorkerUp,
    agent_name,
)
from egw.runtime.spec import ChildSpec, WorkerSpec
from egw.runtime.supervisor import Supervisor
from egw.testing import Peers, Probe, run_due

CORE = WorkerSpec(
    "core",
    (
        ChildSpec("store", "m:Store"),
        ChildSpec("harvest", "m:Harvest", needs=("store", "signer"), grace_s=3.0),
    ),
)
SIGNER = WorkerSpec("signer", (ChildSpec("signer", "m:Signer"),))
RADIO = WorkerSpec("radio", (ChildSpec("ble", "m:Ble", critical=False),))


class FakeProcesses:
    """Notes what the supervisor wants of the operating system."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.killed: list[str] = []
        self.dumped: list[str] = []
        self.routes: list[tuple[str, str]] = []
        self.cannot_start = False

    def start_process(self, worker: str, incarnation: int) -> int:
        self.started.append((worker, incarnation))
        if self.cannot_start:
            raise OSError("no more processes")
        return 1000 + len(self.started)

    def route(self, worker: str, actor: str) -> None:
        self.routes.append((worker, actor))

    def dump(self, worker: str) -> None:
        self.dumped.append(worker)

    def stacks(self, worker: str) -> str:
        return f"stacks of {worker}"

    def kill(self, worker: str) -> None:
        self.killed.append(worker)

    def dead_letters(self) -> int:
        return 0


class Tree:
    """A supervisor under test and the conversation with its workers."""

    def __init__(self, *workers: WorkerSpec) -> None:
        self.peers = Peers("supervisor")
        self.processes = FakeProcesses()
        self.silent: set[str] = set()
        self.supervisor = Supervisor(
            self.peers, workers=workers, processes=self.processes
        )
        self.specs = {c.name: (w.name, c) for w in workers for c in w.children}
        self.supervisor.started()

    def receive(self, message: Any) -> Any:
        return self.supervisor.receive(message)

    def agent(self, worker: str) -> Probe:
        return self.peers.probe(agent_name(worker))

    def wait(self, seconds: float) -> None:
        """Let time pass; workers that are up and not `silent` beat meanwhile."""
        self.peers.clock.advance(seconds)
        for worker in self.receive(Describe()).workers:
            if worker.state == "up" and worker.name not in self.silent:
                self.beat(worker.name)
        run_due(self.supervisor)

    def worker_up(self, *workers: str) -> None:
        for name in workers:
            self.receive(WorkerUp(name, self.worker(name).incarnation))

    def worker_dies(self, name: str) -> None:
        now = self.peers.clock.monotonic()
        self.receive(WorkerDied(name, self.worker(name).incarnation, now))

    def actor_up(self, *actors: str) -> None:
        for name in actors:
            self.receive(ActorUp(name, self.actor(name).incarnation))

    def actor_ends(self, name: str, failure: str = "ValueError: bug") -> None:
        end = ActorEnded(name, self.actor(name).incarnation, failure, "trace")
        self.receive(end)

    def fails_for_good(self, name: str) -> None:
        """Let an actor fail at each start until its intensity is used up."""
        for _ in range(6):
            self.actor_ends(name)
            self.wait(1.5)

    def starts(self, worker: str) -> list[str]:
        """Take what the agent was told to start."""
        told = self.agent(worker).tells
        names = [m.spec.name for m in told if isinstance(m, StartActor)]
        told[:] = [m for m in told if not isinstance(m, StartActor)]
        return names

    def stops(self, worker: str) -> list[str]:
        """Take what the agent was told to stop."""
        told = self.agent(worker).tells
        names = [m.name for m in told if isinstance(m, StopActor)]
        told[:] = [m for m in told if not isinstance(m, StopActor)]
        return names

    def worker(self, name: str) -> Any:
        return {w.name: w for w in self.receive(Describe()).workers}[name]

    def actor(self, name: str) -> Any:
        return {a.name: a for a in self.receive(Describe()).actors}[name]

    def beat(self, worker: str, *gauges: ActorGauges, patience_s: float = 1.0) -> None:
        incarnation = self.worker(worker).incarnation
        self.receive(Beat(worker, incarnation, patience_s, 0, gauges))


def gauges(name: str, *, stack: str = "") -> ActorGauges:
    return ActorGauges(name, 0, 0, 0, 0, 0, 2.0, "Sign", 0, 0, stack)


def running(*workers: WorkerSpec) -> Tree:
    """Return a tree in which everything is up."""
    tree = Tree(*workers)
    names = [worker.name for worker in workers]
    tree.worker_up(*names)
    for name in ("signer", "store", "harvest", "ble", "ticker"):
        if name in tree.specs:
            tree.actor_up(name)
    for name in names:
        tree.starts(name)
    assert {a.state for a in tree.receive(Describe()).actors} == {"up"}
    return tree

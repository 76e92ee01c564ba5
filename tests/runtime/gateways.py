"""Supervision trees of real processes, ended whatever a test does."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from waiting import until

from egw.runtime import SUPERVISOR, ActorError, ChildSpec, Describe, Ref, WorkerSpec
from egw.runtime.system import System


def child(name: str, kind: str = "Sample", **options: Any) -> ChildSpec:
    """Specify one of the sample actors."""
    return ChildSpec(name, f"sample_actors:{kind}", **options)


def worker(name: str, *children: ChildSpec) -> WorkerSpec:
    return WorkerSpec(name, children)


class Gateway:
    """A running tree."""

    def __init__(self, *workers: WorkerSpec, fork_here: bool = False) -> None:
        self.system = System(workers, fork_here=fork_here)
        self.status: int | None = None
        self.pids: set[int] = set()
        self.system.start()

    def ref(self, name: str) -> Ref:
        return self.system.ref(name)

    def pid(self, worker: str) -> int:
        return self._rows("workers")[worker].pid

    def actor(self, name: str) -> Any:
        return self._rows("actors")[name]

    def _rows(self, kind: str) -> dict[str, Any]:
        view = self.ref(SUPERVISOR).ask(Describe(), timeout=5)
        self.pids |= {w.pid for w in view.workers if w.pid is not None}
        return {row.name: row for row in getattr(view, kind)}

    def all_up(self) -> bool:
        return all(row.state == "up" for row in self._rows("actors").values())

    def until_up(self) -> Gateway:
        until(self.all_up)
        return self

    def until_heard(self, actor: str) -> None:
        """Wait for the first beat with an actor: its patience is known then."""
        until(lambda: self.actor(actor).gauges is not None)

    def until_answers(self, name: str, message: Any) -> Any:
        """Ask until there is an answer; return it."""
        answers: list[Any] = []

        def answered() -> bool:
            with contextlib.suppress(ActorError):
                answers.append(self.ref(name).ask(message, timeout=1))
            return bool(answers)

        until(answered)
        return answers[0]

    def stop(self) -> int | None:
        self.system.stop("the test stops it")
        return self.wait()

    def wait(self) -> int | None:
        self.status = self.system.wait(15)
        return self.status

    def end(self) -> None:
        """Stop it if it still runs, patiently at first."""
        for reason in ("the test is over", "at once"):
            if self.status is None:
                self.system.stop(reason)
                self.status = self.system.wait(5)
        for process in list(self.system._running):
            process.kill()


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"

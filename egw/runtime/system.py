"""The main process: the supervisor, the links to all workers, and their processes."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egw.runtime.clock import SystemClock
from egw.runtime.control import SUPERVISOR, Stop, WorkerDied, agent_name
from egw.runtime.forkserver import ForkServer
from egw.runtime.link import Link
from egw.runtime.process import DeathWatch, WorkerProcess
from egw.runtime.ref import NamedRef, Ref
from egw.runtime.supervisor import EXIT_GAVE_UP, Supervisor
from egw.runtime.switchboard import Switchboard
from egw.runtime.worker import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egw.runtime.actor import Actor, Failure
    from egw.runtime.clock import Clock
    from egw.runtime.message import Message
    from egw.runtime.spec import WorkerSpec

_FAREWELL_S = 2.0


class _MainContext:
    """What the supervisor is given."""

    name = SUPERVISOR

    def __init__(self, system: System) -> None:
        self.clock: Clock = SystemClock()
        self._system = system

    def ref(self, name: str) -> Ref:
        return NamedRef(self._system.switchboard, name, may_ask=False)

    def dead_letter(self, message: Message, why: str) -> None:
        self._system.switchboard.dead_letters.add(
            self.name, type(message).__name__, why
        )

    def on_ready(self, actor: Actor[Any]) -> None:
        """Nobody supervises the supervisor."""

    def on_down(self, _actor: Actor[Any], failure: Failure | None) -> None:
        if failure is not None:
            self._system.supervisor_failed(failure)


class System:
    """A supervision tree, to be started once, from the process's main thread."""

    def __init__(
        self,
        workers: tuple[WorkerSpec, ...],
        *,
        preload: Sequence[str] = ("egw.runtime.worker",),
        log_level: str = "info",
        fork_here: bool = False,
    ) -> None:
        """Prepare the tree; `preload` are the modules that workers need.

        `fork_here`: fork the fork server from this process, which must have one
        thread only. It saves the memory of a second set of modules.
        """
        self._fork_server = ForkServer(preload, fork_here=fork_here)
        self.switchboard = Switchboard("main")
        self._log_level = log_level
        self._stack_dir = Path(tempfile.mkdtemp(prefix="egw-stacks-"))
        self._processes: dict[str, WorkerProcess] = {}
        self._links: dict[str, Link] = {}
        self._running: set[WorkerProcess] = set()
        self._watch = DeathWatch(self._on_death)
        context = _MainContext(self)
        self.supervisor = Supervisor(context, workers=workers, processes=self)
        self.switchboard.attach(SUPERVISOR, self.supervisor.mailbox)

    def start(self) -> None:
        """Start everything; returns at once."""
        self.supervisor._start_actor_loop()  # noqa: SLF001 - see worker.py

    def stop(self, reason: str) -> None:
        """Ask for an ordered stop; a second time: kill what still runs."""
        self.switchboard.tell(SUPERVISOR, Stop(reason))

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait for the end; return the exit status, None without an end in time."""
        if not self.supervisor.done.wait(timeout_s):
            return None
        deadline = time.monotonic() + _FAREWELL_S
        while self._running and time.monotonic() < deadline:
            threading.Event().wait(0.001)
        self.supervisor.stop()
        self._watch.close()
        self._fork_server.close()
        shutil.rmtree(self._stack_dir, ignore_errors=True)
        return self.supervisor.status

    def ref(self, name: str) -> Ref:
        """Return a reference for use by the main process itself."""
        return NamedRef(self.switchboard, name, may_ask=True)

    def supervisor_failed(self, failure: Failure) -> None:
        """Without a supervisor there is no promise left to keep: end everything."""
        self.supervisor.log.critical(
            "supervisor.failed", error=failure.text, trace=failure.trace
        )
        self.supervisor.status = EXIT_GAVE_UP
        for process in list(self._running):
            process.kill()
        self.supervisor.done.set()

    # What the supervisor needs of the operating system.

    def start_process(self, worker: str, incarnation: int) -> int:
        """Start a worker process and the link to it. Raises OSError."""
        settings = WorkerSettings(
            name=worker,
            incarnation=incarnation,
            log_level=self._log_level,
            stack_file=str(self._stack_dir / f"{worker}-{incarnation}"),
        )
        process = WorkerProcess(self._fork_server, settings)
        link = Link(
            process.socket,
            name=f"{worker}#{incarnation}",
            on_frame=lambda frame, data: self.switchboard.on_frame(link, frame, data),
            on_closed=lambda: self.switchboard.unroute(link),
        )
        self._processes[worker] = process
        self._running.add(process)
        self._links[worker] = link
        self.switchboard.route(worker, link)
        self.switchboard.route(agent_name(worker), link)
        link.start()
        self._watch.add(process)
        return process.pid

    def route(self, worker: str, actor: str) -> None:
        """Send what is for the actor to this worker."""
        self.switchboard.route(actor, self._links[worker])

    def dump(self, worker: str) -> None:
        """Make a silent worker write all its stacks."""
        self._processes[worker].dump()

    def stacks(self, worker: str) -> str:
        """Return what it wrote."""
        return self._processes[worker].stacks()

    def kill(self, worker: str) -> None:
        """End the process now."""
        self._processes[worker].kill()

    def dead_letters(self) -> int:
        """Return how many messages the main process could not deliver."""
        return self.switchboard.dead_letters.total

    def _on_death(self, process: WorkerProcess, died_at: float) -> None:
        settings = process.settings
        self.switchboard.tell(
            SUPERVISOR, WorkerDied(settings.name, settings.incarnation, died_at)
        )
        process.close()
        self._running.discard(process)

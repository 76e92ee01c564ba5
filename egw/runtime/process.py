"""Worker processes: started by the fork server, watched and killed through pidfds."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from egw.runtime.worker import WorkerSettings, run_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.context import ForkServerContext


_REAP_S = 1.0


def fork_server(preload: Sequence[str]) -> ForkServerContext:
    """Return the context whose fork server has the heavy modules loaded.

    Plain `fork` is never used: a process with threads must not be forked, and a child
    would inherit the other workers' links, so that nobody saw them end.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


class Processes(Protocol):
    """What the supervisor needs of the operating system."""

    def start_process(self, worker: str, incarnation: int) -> int:
        """Start a worker process, return its pid; its death comes as WorkerDied.

        Raises OSError when the system cannot give one.
        """

    def route(self, worker: str, actor: str) -> None:
        """Send what is for the actor to this worker."""

    def dump(self, worker: str) -> None:
        """Make a silent worker write all its stacks."""

    def stacks(self, worker: str) -> str:
        """Return what it wrote."""

    def kill(self, worker: str) -> None:
        """End the process now."""

    def dead_letters(self) -> int:
        """Return how many messages the main process could not deliver."""


class WorkerProcess:
    """One incarnation of a worker."""

    def __init__(self, context: ForkServerContext, settings: WorkerSettings) -> None:
        self.settings = settings
        ours, theirs = socket.socketpair()
        try:
            process = context.Process(
                target=run_worker, args=(theirs, settings), name=settings.name
            )
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.socket = ours
        self.process = process
        self.pid: int = process.pid or 0
        # The fork server may die and take its knowledge of the child with it; the
        # pidfd goes on meaning this process.
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.pidfd = -1

    def _signal(self, number: int) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """End it now."""
        self._signal(signal.SIGKILL)

    def dump(self) -> None:
        """Make faulthandler write all stacks."""
        self._signal(signal.SIGUSR1)

    def stacks(self) -> str:
        """Return what SIGUSR1 made faulthandler write."""
        try:
            return Path(self.settings.stack_file).read_text("utf-8", "replace")
        except OSError as error:
            return f"no stacks: {error}"

    def close(self) -> None:
        """Let go of a process that has ended."""
        self.process.join(_REAP_S)
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        Path(self.settings.stack_file).unlink(missing_ok=True)


def start_worker(context: ForkServerContext, settings: WorkerSettings) -> WorkerProcess:
    """Start a worker; once more when the fork server had just died."""
    try:
        return WorkerProcess(context, settings)
    except (EOFError, OSError):
        return WorkerProcess(context, settings)


class DeathWatch:
    """One thread that waits on all pidfds."""

    def __init__(self, on_death: Callable[[WorkerProcess, float], None]) -> None:
        self._on_death = on_death
        self._poll = select.epoll()
        self._end = os.eventfd(0)
        self._poll.register(self._end, select.EPOLLIN)
        self._watched: dict[int, WorkerProcess] = {}
        self._thread = threading.Thread(
            target=self._run, name="death-watch", daemon=True
        )
        self._thread.start()

    def add(self, process: WorkerProcess) -> None:
        """Report the end of this process, once, in the watch's thread."""
        if process.pidfd < 0:
            self._on_death(process, time.monotonic())
            return
        self._watched[process.pidfd] = process
        self._poll.register(process.pidfd, select.EPOLLIN)

    def close(self) -> None:
        """Watch no longer."""
        os.eventfd_write(self._end, 1)
        self._thread.join()

    def _run(self) -> None:
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._end:
                    self._poll.close()
                    os.close(self._end)
                    return
                died_at = time.monotonic()
                self._poll.unregister(fd)
                self._on_death(self._watched.pop(fd), died_at)

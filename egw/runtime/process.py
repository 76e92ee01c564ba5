"""Worker processes: started by the fork server, watched and killed through pidfds."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.runtime.forkserver import ForkServer
    from egw.runtime.worker import WorkerSettings


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

    def __init__(self, server: ForkServer, settings: WorkerSettings) -> None:
        """Start it; raises ForkServerError."""
        self.settings = settings
        ours, theirs = socket.socketpair()
        try:
            self.pid = server.fork(theirs, settings)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.socket = ours
        self._lock = threading.Lock()
        # The fork server may die; a pidfd goes on meaning this process.
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.pidfd = -1

    def _signal(self, number: int) -> None:
        # The death watch may close the descriptor meanwhile.
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self.pidfd >= 0:
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
        with self._lock:
            if self.pidfd >= 0:
                os.close(self.pidfd)
                self.pidfd = -1
        Path(self.settings.stack_file).unlink(missing_ok=True)


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

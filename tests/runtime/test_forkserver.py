from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from gateways import is_alive, kill
from waiting import HANG_S, until

from egw.runtime.forkserver import ForkServer, ForkServerError
from egw.runtime.worker import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


class Nursery:
    """Forks workers and knows their links."""

    def __init__(self, server: ForkServer, folder: Path) -> None:
        self.server = server
        self._settings = WorkerSettings("one", 1, "critical", str(folder / "stacks"))
        self._links: list[socket.socket] = []
        self._pids: list[int] = []

    def fork(self) -> int:
        ours, theirs = socket.socketpair()
        ours.settimeout(HANG_S)
        self._links.append(ours)
        with theirs:
            self._pids.append(self.server.fork(theirs, self._settings))
        return self._pids[-1]

    def kill_server(self) -> None:
        kill(self.server.pid)
        until(lambda: not is_alive(self.server.pid))

    def hear(self) -> bytes:
        return self._links[-1].recv(65536)

    def close(self) -> None:
        for link in self._links:
            link.close()
        self.server.close()
        until(lambda: not any(map(is_alive, self._pids)))


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(ForkServer(("egw.runtime.worker",)), tmp_path)
    yield nursery
    nursery.close()


def test_a_worker_reports_over_the_link_that_it_was_given(nursery: Nursery) -> None:
    pid = nursery.fork()

    assert b"WorkerUp" in nursery.hear()
    assert is_alive(pid)


def test_a_worker_ends_with_its_link(nursery: Nursery) -> None:
    pid = nursery.fork()
    assert nursery.hear()

    nursery._links[-1].close()

    until(lambda: not is_alive(pid))


def test_no_worker_holds_the_link_of_another(nursery: Nursery) -> None:
    first = nursery.fork()
    assert nursery.hear()
    nursery.fork()
    assert nursery.hear()

    kill(first)

    nursery._links.reverse()
    while nursery.hear():
        pass


def test_a_fork_server_that_was_killed_is_replaced(nursery: Nursery) -> None:
    killed = nursery.server.pid
    nursery.kill_server()

    pid = nursery.fork()

    assert nursery.server.pid != killed
    assert is_alive(pid)


def test_a_link_is_not_given_away_twice_when_the_fork_server_dies_without_an_answer(
    nursery: Nursery,
) -> None:
    nursery.server.close()
    control, dying = socket.socketpair()
    nursery.server._use(control)
    taken: list[int] = []

    def die_with_the_link() -> None:
        taken.extend(socket.recv_fds(dying, 65536, 1)[1])
        dying.close()

    thread = threading.Thread(target=die_with_the_link)
    thread.start()

    with pytest.raises(ForkServerError, match="has ended"):
        nursery.fork()

    thread.join()
    os.close(taken[0])
    assert nursery.hear() == b""
    assert is_alive(nursery.fork())


def test_a_worker_that_cannot_run_says_why(tmp_path: Path) -> None:
    script = f"""
import socket
from egw.runtime.forkserver import ForkServer
from egw.runtime.worker import WorkerSettings
server = ForkServer(())
ours, theirs = socket.socketpair()
server.fork(theirs, WorkerSettings("one", 1, "info", {str(tmp_path / "no/stacks")!r}))
theirs.close()
ours.recv(1)
"""

    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=HANG_S, check=True
    )

    assert b"worker.failed" in ended.stdout
    assert b"FileNotFoundError" in ended.stdout


def test_after_a_time_without_new_processes_workers_are_forked_again(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process(*_arguments: Any, **_options: Any) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    nursery.kill_server()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", no_process)
        for _ in range(2):
            with pytest.raises(OSError, match="temporarily unavailable"):
                nursery.fork()

    assert is_alive(nursery.fork())


def test_a_process_with_threads_is_not_forked() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(HANG_S,))
    thread.start()

    try:
        with pytest.raises(ForkServerError, match="threads must not be forked"):
            ForkServer((), fork_here=True)
    finally:
        over.set()
        thread.join()


def test_closing_leaves_no_process_behind(nursery: Nursery) -> None:
    pid = nursery.server.pid

    nursery.server.close()
    nursery.server.close()

    assert not is_alive(pid)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)

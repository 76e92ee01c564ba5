"""The fork server: a process with one thread and all heavy modules, that forks workers.

A process with threads must not be forked, so the main process has this one do it. It
comes about in one of two ways: forked from the main process before that has any thread
(then both share the modules' memory), or started anew, with the same code, when the
first one has died. `multiprocessing`'s fork server can do only the second, and brings
a resource tracker that nothing here needs.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import structlog

from egw.runtime.worker import WorkerSettings, run_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

_PID = struct.Struct("=q")
_MAX_REQUEST = 65536
_ANSWER_WITHIN_S = 10.0
_FIRST_INHERITED_FD = 3


class ForkServerError(OSError):
    """Raised when no worker process could be started."""


class ForkServer:
    """The main process's end. `fork` may be called from one thread at a time."""

    def __init__(self, preload: Sequence[str], *, fork_here: bool = False) -> None:
        """Start it with these modules loaded.

        `fork_here`: fork the calling process, which must not have a second thread.
        """
        self._preload = tuple(preload)
        self._control: socket.socket
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0
        if fork_here:
            self._fork_here()
        else:
            self._start_anew()

    def fork(self, sock: socket.socket, settings: WorkerSettings) -> int:
        """Start a worker that has `sock` as its link; returns its pid.

        Raises OSError. After a ForkServerError there may be a worker that holds
        `sock`, so that it must not be used again.
        """
        request = pickle.dumps(settings)
        try:
            socket.send_fds(self._control, [request], [sock.fileno()])
        except OSError:
            self.close()
            self._start_anew()
            socket.send_fds(self._control, [request], [sock.fileno()])
        try:
            return self._answer()
        except OSError as error:
            self.close()
            raise ForkServerError(f"the fork server does not fork: {error}") from error

    def close(self) -> None:
        """End it; the workers live on."""
        self._control.close()
        # Once reaped, the number may be another process's.
        pid, self.pid = self.pid, 0
        if pid == 0:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        else:
            os.waitpid(pid, 0)

    def _answer(self) -> int:
        answer = self._control.recv(_PID.size)
        if len(answer) != _PID.size:
            raise BrokenPipeError("the fork server has ended")
        pid: int = _PID.unpack(answer)[0]
        return pid

    def _fork_here(self) -> None:
        if threading.active_count() > 1:
            raise ForkServerError("a process with threads must not be forked")
        for module in self._preload:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            _keep_only(theirs)
            serve(theirs)
        theirs.close()
        self._use(ours)

    def _start_anew(self) -> None:
        ours, theirs = socket.socketpair()
        code = f"from egw.runtime.forkserver import main; main({theirs.fileno()})"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *self._preload],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._use(ours)

    def _use(self, control: socket.socket) -> None:
        control.settimeout(_ANSWER_WITHIN_S)
        self._control = control


def main(control_fd: int) -> None:
    """Run a fork server that was started anew; the modules are in `sys.argv`."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    serve(socket.socket(fileno=control_fd))


def serve(control: socket.socket) -> None:
    """Fork on request until the main process is gone. Does not return."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The kernel reaps the workers; the main process watches them through pidfds.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, fds, _, _ = socket.recv_fds(control, _MAX_REQUEST, 1)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            _become_worker(control, fds[0], request)
        os.close(fds[0])
        control.sendall(_PID.pack(pid))


def _become_worker(control: socket.socket, link_fd: int, request: bytes) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    settings: WorkerSettings = pickle.loads(request)  # noqa: S301 - from main
    try:
        run_worker(socket.socket(fileno=link_fd), settings)
    except BaseException:  # noqa: BLE001 - it must not run on as a second fork server
        structlog.get_logger().critical("worker.failed", exc_info=True)
    finally:
        os._exit(1)


def _keep_only(control: socket.socket) -> None:
    """Close what was inherited, so that its other ends see it end with the main one."""
    keep = control.fileno()
    os.closerange(_FIRST_INHERITED_FD, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

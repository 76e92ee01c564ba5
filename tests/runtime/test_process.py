from __future__ import annotations

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from egw.runtime.process import WorkerProcess
from egw.runtime.worker import WorkerSettings

if TYPE_CHECKING:
    import socket
    from pathlib import Path


class Sleepers:
    """Plays the fork server; the workers sleep."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[bytes]] = []

    def fork(self, _sock: socket.socket, _settings: WorkerSettings) -> int:
        self.running.append(subprocess.Popen(["sleep", "60"]))
        return self.running[-1].pid


def test_a_process_can_be_killed_while_it_is_let_go_of(
    tmp_path: Path, quick_switches: None
) -> None:
    server = Sleepers()
    settings = WorkerSettings("one", 1, "critical", str(tmp_path / "stacks"))
    for _ in range(30):
        process = WorkerProcess(server, settings)  # type: ignore[arg-type]
        process.kill()
        assert server.running[-1].wait() == -signal.SIGKILL

        with ThreadPoolExecutor(1) as threads:
            killing = [threads.submit(process.kill) for _ in range(50)]
            process.close()

        for future in killing:
            future.result()
        process.socket.close()

"""The processes of a demo: the simulated site and the gateway itself."""

from __future__ import annotations

import contextlib
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Self

import urllib3

if TYPE_CHECKING:
    from pathlib import Path

_STOP_WITHIN_S = 15.0
_ANNOUNCE_WITHIN_S = 30.0


class DemoError(Exception):
    """Raised when the demo cannot go on; the text says why and what to do."""


class Child:
    """A child process that ends when this one does, however this one ends.

    Its standard input is a pipe; when that ends, it stops.
    """

    def __init__(self, arguments: list[str], *, output: IO[bytes] | int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            # Ctrl-C is for the demo; it stops its children in order.
            start_new_session=True,
        )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self) -> int:
        """Ask it to stop and wait; returns its exit status."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()

    def first_line(self, timeout_s: float) -> bytes:
        """Return the first line of its output; empty when none came."""
        stream = self._process.stdout
        if stream is None:
            return b""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            return stream.readline() if selector.select(timeout_s) else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Site(Child):
    """Simulated devices and a backend."""

    def __init__(self, *, devices: int, gateway: str, profiles: str = "") -> None:
        command = ["simulators", "site", "--json", "--until-eof"]
        command += ["--profiles", profiles] if profiles else []
        command += ["--devices", str(devices), "--gateway", gateway]
        super().__init__(command, output=subprocess.PIPE)
        line = self.first_line(_ANNOUNCE_WITHIN_S)
        if not line:
            self.stop()
            raise DemoError("the simulated site did not start")
        announced = json.loads(line)
        self.devices: list[dict[str, Any]] = announced["devices"]
        self.backend_url: str = announced["backend"]["url"]
        self.control = (announced["control"]["host"], announced["control"]["port"])
        self.endpoint: str = announced["backend"]["endpoint"]
        self._http = urllib3.PoolManager(retries=False, timeout=30)

    def report(self) -> dict[str, Any]:
        """Return the backend's own account."""
        reply = self._http.request("GET", self.backend_url + "report")
        report: dict[str, Any] = reply.json()
        return report

    def journal(self) -> list[tuple[str, int]]:
        """Return serial number and stamp of every reading that the backend got."""
        reply = self._http.request("GET", self.backend_url + "journal")
        entries = (json.loads(line) for line in reply.data.splitlines())
        return [(entry["sn"], entry["stamp_ms"]) for entry in entries]


class Gateway(Child):
    """A gateway as anybody would start it: `egw run`."""

    def __init__(self, config: Path, *, port: int, log: IO[bytes]) -> None:
        self.started_at_ms = time.time() * 1000
        super().__init__(
            ["egw", "run", "--config", str(config), "--until-eof"], output=log
        )
        self._url = f"http://127.0.0.1:{port}"
        self._http = urllib3.PoolManager(retries=False, timeout=2)

    def get(self, path: str) -> dict[str, Any] | None:
        """Return what the API answers; None while it does not."""
        try:
            reply = self._http.request("GET", self._url + path)
            body: dict[str, Any] | None = reply.json() if reply.status == 200 else None
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            return None
        return body

    def patient_get(self, path: str, within_s: float = 10.0) -> dict[str, Any]:
        """Return what the API answers; raises DemoError when it does not in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if not self.running:
                raise DemoError("the gateway ended; its log says why")
            if (body := self.get(path)) is not None:
                return body
            time.sleep(0.05)
        raise DemoError(f"the gateway did not answer {path} within {within_s:g} s")


def free_port(wished: int) -> int:
    """Return the wished port when it is free, else any that is."""
    for port in (wished, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            free: int = sock.getsockname()[1]
            return free
    raise DemoError("there is no free port on 127.0.0.1")


def kill_a_worker(gateway: Gateway) -> None:
    """Kill a random worker that runs now; none when the API does not answer."""
    tree = gateway.get("/api/actors")
    pids = [w["pid"] for w in tree["workers"] if w["pid"]] if tree else []
    if not pids:
        return
    # The pid is seconds old at most; a process that has ended is left in peace.
    with contextlib.suppress(ProcessLookupError):
        os.kill(random.choice(pids), signal.SIGKILL)  # noqa: S311 - no secret

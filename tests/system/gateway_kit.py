"""A whole gateway, started as anybody would: `egw run`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import urllib3
from processes import HANG_S, parent_of, send, session_of, until

from egw.crypto.file_key import FileKey
from egw.demo.children import Child, free_port
from egw.storage.outbox import Outbox, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DEVICE_KEYS = ("name", "profile", "host", "port", "unit")
_ANSWER_WITHIN_S = 5.0


class Home:
    """A gateway's data directory and configuration; it may be started many times."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = FileKey.open(directory / "signer.pem")
        self.port = free_port(0)
        self.log = directory / "gateway.log"
        self.config = directory / "egw.toml"
        self.settings: dict[str, Any] = {}
        self.devices: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Of the API."""
        return f"http://127.0.0.1:{self.port}"

    def configure(self, devices: Iterable[dict[str, Any]], **settings: Any) -> None:
        """Write the configuration; `uplink__timeout_s=2` is `uplink.timeout_s = 2`."""
        self.devices = list(devices)
        self.settings = {
            "data_dir": str(self.directory),
            "api__host": "127.0.0.1",
            "api__port": self.port,
            "signer__provider": "file",
        } | settings
        lines = [
            f"{key.replace('__', '.')} = {json.dumps(value)}"
            for key, value in self.settings.items()
        ]
        for device in self.devices:
            lines.append("[[device]]")
            lines += [f"{key} = {json.dumps(device[key])}" for key in _DEVICE_KEYS]
        self.config.write_text("\n".join(lines) + "\n")

    def drain(self) -> None:
        """Let a gateway without devices deliver what is left on disk."""
        self.configure([], **self.settings)
        gateway = Gateway(self)
        try:
            gateway.until_delivered()
            assert gateway.stop() == 0
        finally:
            gateway.end()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of this name that were logged so far."""
        lines = self.log.read_text("utf-8").splitlines()
        logged = (json.loads(line) for line in lines if f'"{name}"' in line)
        return [event for event in logged if event["event"] == name]

    def readings_taken(self) -> int:
        """Return how many readings all devices took, by their last word."""
        released = {e["session"]: e for e in self.events("device.released")}
        return sum(event["readings_taken"] for event in released.values())

    # Only while no gateway runs.

    def totals(self) -> Totals:
        """Return the counts of the outbox."""
        outbox = self._open_outbox()
        try:
            return outbox.totals()
        finally:
            outbox.close()

    def committed(self) -> Counter[tuple[str, int]]:
        """Return serial number and stamp of every reading on disk."""
        outbox = self._open_outbox()
        try:
            return Counter(
                (sn, int(stamp))
                for sn, payload in outbox.payloads()
                for stamp in json.loads(payload)
            )
        finally:
            outbox.close()

    def _open_outbox(self) -> Outbox:
        path = self.directory / "outbox.db"
        return Outbox(path, now_ms=time.time_ns() // 1_000_000)


class Gateway(Child):
    """A running gateway, the leader of its session."""

    def __init__(self, home: Home) -> None:
        self._home = home
        with home.log.open("ab") as log:
            super().__init__(
                ["egw", "run", "--config", str(home.config), "--until-eof"], output=log
            )

    def get(self, path: str) -> dict[str, Any]:
        """Return what the API answers, when it does."""
        return until(lambda: self.try_get(path), f"an answer to GET {path}")

    def try_get(self, path: str) -> dict[str, Any] | None:
        """Return what the API answers; None when it does not."""
        try:
            with urllib3.PoolManager(retries=False, timeout=_ANSWER_WITHIN_S) as http:
                reply = http.request("GET", self._home.url + path)
        except urllib3.exceptions.HTTPError:
            return None
        body: dict[str, Any] | None = reply.json() if reply.status == 200 else None
        return body

    def workers(self) -> dict[str, int]:
        """Return the pids of all workers by name, once every one runs."""
        return until(self._running_workers, "every worker runs")

    def _running_workers(self) -> dict[str, int] | None:
        tree = self.try_get("/api/actors")
        if tree is None or any(actor["state"] != "up" for actor in tree["actors"]):
            return None
        pids = {worker["name"]: worker["pid"] for worker in tree["workers"]}
        return pids if all(pids.values()) else None

    def devices(self) -> dict[str, dict[str, Any]]:
        """Return the state of every device by name."""
        return {d["device"]: d for d in self.get("/api/state")["devices"]}

    def until_device(self, device: str, state: str) -> dict[str, Any]:
        """Wait until a device is in a state; return all that is told of it."""

        def look() -> dict[str, Any] | None:
            told = self.devices()[device]
            return told if told["state"] == state else None

        return until(look, f"{device} is {state}", within_s=2 * HANG_S)

    def until_sampling(self) -> None:
        """Wait until every device was sampled and harvested."""
        until(
            lambda: all(
                device.get("samples_taken") and device.get("readings_taken")
                for device in self.devices().values()
            ),
            "every device is sampled",
        )

    def outbox(self) -> dict[str, Any]:
        """Return the state of the outbox, once it is known."""
        return until(lambda: self.get("/api/state")["outbox"], "the outbox is known")

    def until_delivered(self) -> None:
        """Wait until nothing waits in the outbox, which takes silent devices."""
        until(
            lambda: self.outbox()["waiting_packets"] == 0,
            "everything is delivered",
            within_s=2 * HANG_S,
        )

    def fork_server(self) -> int:
        """Return the pid of the process whose children the workers are."""
        return parent_of(next(iter(self.workers().values())))

    def processes(self) -> set[int]:
        """Return every process of it that runs, orphans among them."""
        return session_of(self.pid)

    def cut_power(self) -> None:
        """End every process at one moment: none sees another one die."""
        stopped: set[int] = {self.pid}
        send(signal.SIGSTOP, stopped)
        while new := self.processes() - stopped:
            send(signal.SIGSTOP, new)
            stopped |= new
        send(signal.SIGKILL, stopped)
        self.stop()

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        send(signal.SIGCONT, self.processes())
        self.stop()
        send(signal.SIGKILL, self.processes())


def egw(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "egw", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )

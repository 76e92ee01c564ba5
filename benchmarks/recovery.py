"""From the SIGKILL of a worker to the next request at every device.

    python -m benchmarks.recovery

Judged by the simulated devices: each counts the requests that it gets. The device
types are ones that need no pause after a connection is made.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from egw.demo.children import Gateway, Site, free_port
from egw.demo.measure import percentile
from egw.demo.setting import Setting

ROUNDS = 8
DEVICES = 4
PAUSE_S = 1.5
"""Longer than the second after which a worker counts as healthy again."""


class Counters:
    """Asks the simulators' control port."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._file = self._socket.makefile("rw")

    def requests(self, devices: list[str]) -> dict[str, int]:
        return {name: self._get(name)["counters"]["requests"] for name in devices}

    def _get(self, name: str) -> dict[str, Any]:
        self._file.write(json.dumps({"get": name}) + "\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline())
        return answer

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def run() -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(prefix="egw-bench-") as directory,
        Setting(
            Path(directory),
            devices=DEVICES,
            port=free_port(0),
            profiles="solaredge,sungrow,fronius",
        ) as setting,
        setting.start() as gateway,
    ):
        return _measured(gateway, setting.site)


def _measured(gateway: Gateway, site: Site) -> dict[str, float]:
    devices = [device["name"] for device in site.devices]
    counters = Counters(site.control)
    _await_requests(counters, dict.fromkeys(devices, 0), 10.0)
    took_ms: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for worker in gateway.patient_get("/api/actors")["workers"]:
            time.sleep(PAUSE_S)
            tree = gateway.patient_get("/api/actors")
            pid = next(w["pid"] for w in tree["workers"] if w["name"] == worker["name"])
            killed_at = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            _await_requests(counters, counters.requests(devices), 10.0)
            took = (time.perf_counter() - killed_at) * 1000
            took_ms.setdefault(worker["name"], []).append(took)
    counters.close()
    tree = gateway.patient_get("/api/actors")
    every = [value for values in took_ms.values() for value in values]
    result = {f"{n}_p50_ms": percentile(v, 0.5) or 0.0 for n, v in took_ms.items()}
    result["sampling_again_p95_ms"] = percentile(every, 0.95) or 0.0
    result["sampling_again_max_ms"] = max(every)
    result["worker_whole_p95_ms"] = percentile(tree["recoveries_ms"], 0.95) or 0.0
    return {name: round(value, 1) for name, value in result.items()}


def _await_requests(
    counters: Counters, before: dict[str, int], within_s: float
) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        now = counters.requests(list(before))
        if all(now[name] > count for name, count in before.items()):
            return
        time.sleep(0.001)
    raise SystemExit("a device was not sampled again")


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:24} {value}")

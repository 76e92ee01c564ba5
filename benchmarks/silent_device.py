"""How late the samples of nine devices are while a tenth does not answer.

    python -m benchmarks.silent_device

Phases with and without the silent device take turns, so that whatever else the machine
does falls on both.
"""

from __future__ import annotations

import json
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from egw.demo.children import Gateway, free_port
from egw.demo.measure import percentile
from egw.demo.setting import Setting

DEVICES = 10
ROUNDS = 4
PHASE_S = 12.0
SETTLE_S = 3.0
PROFILES = "solaredge,sungrow,sdm630"
"""Types that need no pause between requests, which would make their samples late."""


class Samples:
    """Follows the live feed, and keeps how late the samples of some devices were."""

    def __init__(self, gateway: Gateway, devices: set[str]) -> None:
        self._gateway = gateway
        self._devices = devices
        self._cursor = ""

    def late_ms(self, seconds: float) -> list[float]:
        """Return the lateness of each sample that comes in so long."""
        late: list[float] = []
        self._news()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.5)
            late += self._news()
        return late

    def _news(self) -> list[float]:
        since = f"?since={self._cursor}" if self._cursor else ""
        news = self._gateway.patient_get(f"/api/live{since}")
        self._cursor = news["cursor"]
        return [
            late
            for name, device in news["devices"].items()
            if name in self._devices
            for late in device["samples"]["late_ms"]
        ]


def run() -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="egw-bench-") as directory,
        Setting(
            Path(directory), devices=DEVICES, port=free_port(0), profiles=PROFILES
        ) as setting,
        setting.start() as gateway,
        socket.create_connection(setting.site.control) as control,
    ):
        names = [device["name"] for device in setting.site.devices]
        samples = Samples(gateway, set(names[:-1]))
        samples.late_ms(SETTLE_S + PHASE_S)
        before: list[float] = []
        during: list[float] = []
        for _ in range(ROUNDS):
            before += samples.late_ms(PHASE_S)
            _suffer(control, names[-1], {"silent": True})
            samples.late_ms(SETTLE_S)
            during += samples.late_ms(PHASE_S)
            _suffer(control, names[-1], None)
            samples.late_ms(SETTLE_S)
    return _result(before, during)


def _result(before: list[float], during: list[float]) -> dict[str, Any]:
    result: dict[str, Any] = {"samples": len(before) + len(during)}
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        healthy, silent = percentile(before, share), percentile(during, share)
        if healthy is None or silent is None:
            raise SystemExit("no device was sampled")
        result[f"{name}_healthy_ms"] = round(healthy, 3)
        result[f"{name}_with_silent_ms"] = round(silent, 3)
        result[f"{name}_ratio"] = round(silent / healthy, 3)
    return result


def _suffer(control: socket.socket, device: str, faults: dict[str, Any] | None) -> None:
    control.sendall(json.dumps({"device": device, "fault": faults}).encode() + b"\n")
    reply = json.loads(control.recv(65_536))
    if not reply["ok"]:
        raise SystemExit(reply["error"])


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:24} {value}")

"""A backend that refuses, hangs and resets for a minute, and ten devices meanwhile.

python -m benchmarks.outage
"""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from egw.demo.children import Gateway, free_port
from egw.demo.measure import Measurements
from egw.demo.setting import Setting

DEVICES = 10
PHASE_S = 20.0
PHASES: tuple[dict[str, Any], ...] = ({"refuse": True}, {"hang": True}, {"reset": True})


def run() -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="egw-bench-") as directory,
        Setting(Path(directory), devices=DEVICES, port=free_port(0)) as setting,
    ):
        with setting.start() as gateway:
            measurements = Measurements()
            while measurements.sampling < DEVICES:
                _measure(gateway, measurements, 0.1)
            for phase in PHASES:
                _suffer(setting, phase)
                _measure(gateway, measurements, PHASE_S)
            waiting = gateway.patient_get("/api/state")["outbox"]["waiting_packets"]
            _suffer(setting, None)
        setting.drain()
        verdict = setting.judge()
        return {
            "seconds": PHASE_S * len(PHASES),
            "slowest_device_hz": measurements.frequency()["slowest_hz"],
            "late_p99_ms": measurements.frequency()["late_p99_ms"],
            "waiting_at_the_end": waiting,
            "committed_readings": verdict.totals.committed_readings,
            "lost": verdict.lost,
            "duplicated": verdict.duplicated,
        }


def _measure(gateway: Gateway, measurements: Measurements, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        measurements.take(gateway.patient_get("/api/state?lateness=buckets"))
        time.sleep(min(1.0, max(0.0, end - time.monotonic())))


def _suffer(setting: Setting, faults: dict[str, Any] | None) -> None:
    """Heal the backend, then give it these faults."""
    for body in (None, faults):
        url = setting.site.backend_url + "control"
        data = json.dumps(body).encode()
        with urllib.request.urlopen(url, data=data, timeout=5) as reply:
            reply.read()


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:24} {value}")

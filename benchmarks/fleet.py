"""Many devices on one gateway, while clients ask its API.

    python -m benchmarks.fleet [DEVICES [SECONDS]]

Runs `egw demo` and asks the API 50 times a second meanwhile. Samples, lateness and CPU
are measured over the time in which all devices are sampled; the simulators run on the
same machine and are not counted.
"""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
import sys
import threading
import time
from typing import Any

from egw.demo.children import free_port
from egw.demo.measure import percentile

REQUESTS_PER_S = 50
PATHS = ("/api/inverter", "/api/live?device=roof-1", "/api/state", "/api/name")


class Clients:
    """Asks at a fixed rate over a kept-alive connection and notes how long it took."""

    def __init__(self, port: int) -> None:
        self.took_ms: list[float] = []
        self.failed = 0
        self._port = port
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        self._thread.join()

    def _ask_on(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        due_at = time.monotonic()
        for path in itertools.cycle(PATHS):
            due_at += 1 / REQUESTS_PER_S
            if self._end.wait(max(0.0, due_at - time.monotonic())):
                break
            started = time.perf_counter()
            try:
                connection.request("GET", path)
                connection.getresponse().read()
                self.took_ms.append((time.perf_counter() - started) * 1000)
            except (OSError, http.client.HTTPException):
                # Before the gateway listens and after it has ended.
                self.failed += 1
                connection.close()
        connection.close()


def run(devices: int, seconds: float) -> dict[str, Any]:
    port = free_port(0)
    command = ["egw", "demo", "--devices", str(devices), "--seconds", str(seconds)]
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--json", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as demo:
        clients = Clients(port)
        output, _ = demo.communicate()
        clients.stop()
    result = json.loads(output.splitlines()[-1])
    sampled_s = result["seconds"]
    cpu_s = sum(worker["cpu_s"] for worker in result["workers"])
    cpu_s -= result["cpu_before_s"]
    return {
        "devices": devices,
        "seconds": sampled_s,
        "slowest_device_hz": result["frequency"]["slowest_hz"],
        "samples_taken": result["frequency"]["taken"],
        "late_p99_ms": result["frequency"]["late_p99_ms"],
        "gateway_cpu_percent": round(100 * cpu_s / sampled_s, 1),
        "api_requests": len(clients.took_ms),
        "api_p99_ms": round(percentile(clients.took_ms, 0.99) or 0.0, 1),
        "lost": result["lost"],
        "duplicated": result["duplicated"],
        "invalid": result["packets"]["invalid"],
        "pss_mb": round(sum(w["pss_mb"] or 0 for w in result["workers"]), 1),
    }


if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    how_long = float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    for name, value in run(how_many, how_long).items():
        print(f"{name:20} {value}")

"""One demo from start to verdict."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egw.demo.children import DemoError, Gateway, free_port, kill_a_worker
from egw.demo.measure import Measurements, percentile, process_table
from egw.demo.screen import Screen
from egw.demo.setting import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egw.demo.verdict import Verdict

__all__ = ["Demo", "DemoError"]

_POLL_S = 1.0
_CHAOS_S = 2.0
_FIRST_SAMPLES_WITHIN_S = 60.0
_USUAL_PORT = 5000


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is known when the gateway has been stopped."""

    measurements: Measurements
    seconds: float
    startup_ms: float | None
    tree: dict[str, Any]
    processes: list[dict[str, Any]]
    cpu_before_s: float
    """What the gateway had used when the measured time began."""


class Demo:
    """Runs a site and a gateway; `run` returns the exit status."""

    def __init__(
        self,
        *,
        devices: int,
        seconds: float | None,
        chaos: bool,
        single: bool,
        as_json: bool,
        port: int,
    ) -> None:
        self._devices = devices
        self._seconds = seconds
        self._chaos = chaos
        self._single = single
        self._as_json = as_json
        self._port = free_port(port or _USUAL_PORT)
        self._screen = Screen(f"http://127.0.0.1:{self._port}/", quiet=as_json)

    def run(self) -> int:
        """Run to the end; raises DemoError when it cannot go on."""
        with (
            tempfile.TemporaryDirectory(prefix="egw-demo-") as directory,
            Setting(
                Path(directory),
                devices=self._devices,
                port=self._port,
                tables=[f"workers = {{ single = {json.dumps(self._single)} }}"],
            ) as setting,
        ):
            try:
                return self._run(setting)
            except DemoError as error:
                raise DemoError(f"{error}\n{setting.log_tail()}") from error

    def _run(self, setting: Setting) -> int:
        outcome = self._watch(setting)
        outcome.measurements.take_log(setting.log)
        self._screen.say("Delivering what is left ...")
        setting.drain()
        return self._conclude(outcome, setting.judge(), setting.site.report())

    def _watch(self, setting: Setting) -> _Outcome:
        self._screen.say(f"Starting a gateway for {self._devices} simulated devices.")
        with setting.start() as gateway:
            setting.check_it_is_ours(gateway)
            measurements = Measurements()
            started_at = time.monotonic()
            startup_ms = self._await_samples(gateway, measurements)
            sampling_since = time.monotonic()
            cpu_before_s = sum(p["cpu_s"] for p in process_table(gateway.pid, {}))
            try:
                for state in self._states(gateway, sampling_since):
                    if not setting.site.running:
                        raise DemoError("the simulated site ended")
                    measurements.take(state)
                    self._screen.show(state, time.monotonic() - started_at)
            except KeyboardInterrupt:
                self._screen.say("Stopping; Ctrl-C again to leave at once.")
            seconds = time.monotonic() - sampling_since
            tree = gateway.patient_get("/api/actors")
            measurements.take(gateway.patient_get("/api/state?lateness=buckets"))
            names = {w["pid"]: w["name"] for w in tree["workers"]}
            processes = process_table(gateway.pid, names)
            if status := gateway.stop():
                raise DemoError(f"the gateway ended with status {status}")
        return _Outcome(
            measurements, seconds, startup_ms, tree, processes, cpu_before_s
        )

    def _await_samples(
        self, gateway: Gateway, measurements: Measurements
    ) -> float | None:
        """Wait until every device is sampled; return how long the first one took."""
        live = gateway.patient_get("/api/live", 30)
        while not _stamps_ms(live):
            time.sleep(0.05)
            live = gateway.patient_get("/api/live")
        first_ms = min(_stamps_ms(live))
        deadline = time.monotonic() + _FIRST_SAMPLES_WITHIN_S
        while measurements.sampling < self._devices:
            if time.monotonic() > deadline:
                raise DemoError(f"only {measurements.sampling} devices were sampled")
            measurements.take(gateway.patient_get("/api/state?lateness=buckets"))
            time.sleep(0.1)
        return first_ms - gateway.started_at_ms

    def _states(self, gateway: Gateway, since: float) -> Iterator[dict[str, Any]]:
        end = since + self._seconds if self._seconds is not None else float("inf")
        kill_at = since + _CHAOS_S if self._chaos else float("inf")
        while (now := time.monotonic()) < end:
            if now >= kill_at:
                kill_a_worker(gateway)
                kill_at += _CHAOS_S
            if not gateway.running:
                raise DemoError("the gateway ended; its log says why")
            state = gateway.get("/api/state?lateness=buckets")
            if state is not None:
                yield state
            time.sleep(max(0.0, min(now + _POLL_S, end, kill_at) - time.monotonic()))

    def _conclude(
        self, outcome: _Outcome, verdict: Verdict, report: dict[str, Any]
    ) -> int:
        totals, tree = verdict.totals, outcome.tree
        recovery_p95 = percentile(tree["recoveries_ms"], 0.95)
        duplicated = max(verdict.duplicated, report["doubled"])
        result = {
            "devices": self._devices,
            "seconds": round(outcome.seconds, 1),
            "frequency": outcome.measurements.frequency(),
            "readings": {
                # A killed actor could not tell of its last second.
                "taken": max(
                    outcome.measurements.readings_taken(), totals.committed_readings
                ),
                "committed": totals.committed_readings,
                "delivered": report["readings"],
            },
            "packets": {
                "committed": totals.committed_packets,
                "signed": totals.signed_packets,
                "delivered": totals.delivered_packets,
                "verified": report["packets"],
                "invalid": report["invalid"],
            },
            "lost": verdict.lost,
            "duplicated": duplicated,
            "redelivered": report["redelivered"],
            "restarts": dict(
                Counter({w["name"]: w["restarts"] for w in tree["workers"]})
            ),
            "recovery_p95_ms": None if recovery_p95 is None else round(recovery_p95, 1),
            "startup_ms": outcome.startup_ms and round(outcome.startup_ms),
            "workers": outcome.processes,
            "cpu_before_s": round(outcome.cpu_before_s, 2),
        }
        good = not (verdict.lost or duplicated or report["invalid"])
        self._screen.conclude(result, good=good)
        if self._as_json:
            print(json.dumps(result), flush=True)
        return 0 if good else 1


def _stamps_ms(live: dict[str, Any]) -> list[int]:
    devices = live["devices"].values()
    return [stamp for device in devices for stamp in device["samples"]["stamp_ms"]]

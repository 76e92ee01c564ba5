"""What a demo measures, from the gateway's API and log and from the system."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egw.api.processes import process_cost

if TYPE_CHECKING:
    from collections.abc import Iterable

GRID_HZ = 10


@dataclass(slots=True)
class _Device:
    """Counts by session: a restarted actor counts anew."""

    samples: dict[str, int] = field(default_factory=dict)
    readings: dict[str, int] = field(default_factory=dict)
    samples_before: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    @property
    def taken(self) -> int:
        return sum(self.samples.values()) - self.samples_before

    @property
    def window_s(self) -> float:
        return self.last_at - self.first_at

    @property
    def rate_hz(self) -> float:
        return self.taken / self.window_s if self.window_s else 0.0


class Measurements:
    """Collects what `GET /api/state` says while the demo runs.

    A device tells its counts once a second, so its window reaches from the first to
    the last time that it told them.
    """

    def __init__(self) -> None:
        self._devices: dict[str, _Device] = defaultdict(_Device)
        self._lateness: dict[str, dict[float, int]] = {}

    def take(self, state: dict[str, Any]) -> None:
        """Take one answer."""
        now = time.monotonic()
        for told in state["devices"]:
            if not told.get("session"):
                continue
            device = self._devices[told["device"]]
            session = told["session"]
            device.samples[session] = told["samples_taken"]
            device.readings[session] = told["readings_taken"]
            if told["samples_taken"] or device.first_at:
                device.last_at = now - told["age_ms"] / 1000
            if not device.first_at and told["samples_taken"]:
                device.first_at = device.last_at
                device.samples_before = told["samples_taken"]
        lateness = state["lateness"]
        buckets = {float(k): int(v) for k, v in lateness["buckets"].items()}
        self._lateness[lateness["session"]] = buckets

    def take_log(self, log: Path) -> None:
        """Take the last counts of the actors that were stopped in order."""
        for line in log.read_text("utf-8", "replace").splitlines():
            if '"device.released"' in line:
                event = json.loads(line)
                device = self._devices[event["device"]]
                device.readings[event["session"]] = event["readings_taken"]

    @property
    def sampling(self) -> int:
        """How many devices have been sampled."""
        return sum(bool(device.first_at) for device in self._devices.values())

    def frequency(self) -> dict[str, Any]:
        """Return expected and taken samples, lateness, and the slowest device."""
        devices = self._devices.values()
        return {
            "expected": round(sum(d.window_s * GRID_HZ for d in devices)),
            "taken": sum(d.taken for d in devices),
            "late_p99_ms": self._late_ms(0.99),
            "slowest_hz": round(min((d.rate_hz for d in devices), default=0.0), 2),
        }

    def readings_taken(self) -> int:
        """Return how many readings all devices have taken."""
        return sum(sum(d.readings.values()) for d in self._devices.values())

    def _late_ms(self, share: float) -> float | None:
        """Return a bucket's upper edge; None where it has none, or without samples."""
        total: dict[float, int] = defaultdict(int)
        for buckets in self._lateness.values():
            for edge_ms, count in buckets.items():
                total[edge_ms] += count
        wanted = share * sum(total.values())
        seen = 0
        for edge_ms in sorted(total):
            seen += total[edge_ms]
            if seen >= wanted:
                # JSON has no word for infinity.
                return edge_ms if math.isfinite(edge_ms) else None
        return None


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the value that `share` of the values do not exceed; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[math.ceil(share * len(ordered)) - 1]


def process_table(main_pid: int, workers: dict[int, str]) -> list[dict[str, Any]]:
    """Return name, pid, memory and CPU of all processes of a gateway.

    The fork server is among them.
    """
    rows = []
    for pid in _family(main_pid):
        cost = process_cost(pid)
        if cost.cpu_s is None:
            continue
        rows.append(
            {
                "name": "main" if pid == main_pid else workers.get(pid, "fork-server"),
                "pid": pid,
                "pss_mb": None if cost.pss_mb is None else round(cost.pss_mb, 1),
                "cpu_s": round(cost.cpu_s, 2),
            }
        )
    return rows


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        # Children belong to the thread that started them.
        for children in Path(f"/proc/{member}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                family += [int(child) for child in children.read_text("ascii").split()]
    return family

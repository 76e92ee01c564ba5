"""All figures of the README, in one run: `make bench` (about ten minutes).

    python -m benchmarks [NAME ...]

Names: runtime, read_block, decoding, delivery, demo, fleet, big_fleet, recovery,
outage, silent_device, power_cuts, simulator_rate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from benchmarks import (
    decoding,
    delivery,
    fleet,
    outage,
    read_block,
    recovery,
    runtime,
    silent_device,
    simulator_rate,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def demo() -> dict[str, Any]:
    """Start, memory and the two verdicts of `egw demo`."""
    plain = _demo("--devices", "1", "--seconds", "10")
    single = _demo("--devices", "1", "--seconds", "10", "--single")
    quiet = _demo("--devices", "3", "--seconds", "20")
    chaos = _demo("--devices", "3", "--seconds", "20", "--chaos")
    return {
        "startup_ms": plain["startup_ms"],
        "one_device_pss_mb": _pss_mb(plain),
        "one_device_single_worker_pss_mb": _pss_mb(single),
    } | {
        f"{name}_{key}": value
        for name, result in (("quiet", quiet), ("chaos", chaos))
        for key, value in _verdict(result).items()
    }


def fifty_power_cuts() -> dict[str, Any]:
    """Every process killed at once, fifty times, in one data directory."""
    command = [sys.executable, "-m", "benchmarks.power_cuts", "--cuts", "50"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=900)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _verdict(result: dict[str, Any]) -> dict[str, Any]:
    return {
        "committed": result["readings"]["committed"],
        "lost": result["lost"],
        "duplicated": result["duplicated"],
        "invalid": result["packets"]["invalid"],
        "redelivered": result["redelivered"],
        "restarts": sum(result["restarts"].values()),
        "recovery_p95_ms": result["recovery_p95_ms"],
    }


def _demo(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "egw", "demo", "--json", *options]
    output = subprocess.run(
        command, capture_output=True, check=False, timeout=300
    ).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _pss_mb(result: dict[str, Any]) -> float:
    return round(sum(row["pss_mb"] or 0.0 for row in result["workers"]), 1)


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "runtime": runtime.run,
    "read_block": read_block.run,
    "decoding": decoding.run,
    "delivery": delivery.run,
    "demo": demo,
    "fleet": lambda: fleet.run(100, 60),
    "big_fleet": lambda: fleet.run(300, 60),
    "recovery": recovery.run,
    "outage": outage.run,
    "silent_device": silent_device.run,
    "power_cuts": fifty_power_cuts,
    "simulator_rate": simulator_rate.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are: {', '.join(BENCHMARKS)}")
        return 2
    for name in names or BENCHMARKS:
        print(f"\n{name}", flush=True)
        for key, value in BENCHMARKS[name]().items():
            print(f"  {key:36} {value}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

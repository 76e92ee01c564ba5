"""Packets per second from readings in memory to verified at a backend.

    python -m benchmarks.delivery

Harvest, signer and uplink are real actors in their worker processes; the backend is
the simulated one, which verifies every signature. A packet has 10 readings of 168
registers. The clock runs from the first reading to the last verified packet.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
import urllib.request
from pathlib import Path

from egw.actors.settings import HarvestSettings
from egw.crypto.file_key import FileKey
from egw.demo.children import Site
from egw.devices.blocks import Block
from egw.messages import HARVEST, Reading, Readings
from egw.runtime import SUPERVISOR, ChildSpec, Describe, WorkerSpec
from egw.runtime.logs import configure_logs
from egw.runtime.system import System

DEVICES = 50
PACKETS_EACH = 40
READINGS = 10
BLOCKS = ((40000, 61), (40069, 37), (40121, 70))


def readings(device: int, packet: int) -> Readings:
    start_ms = 1_700_000_000_000 + packet * READINGS * 1000
    return Readings(
        device=f"bench-{device}",
        model="solaredge",
        dtype="modbus_registers",
        sn=f"BENCH{device:04}",
        readings=tuple(
            Reading(
                start_ms + number * 1000,
                tuple(
                    Block("holding", address, random.randbytes(2 * count))
                    for address, count in BLOCKS
                ),
            )
            for number in range(READINGS)
        ),
    )


def run() -> dict[str, float]:
    messages = [
        readings(device, packet)
        for packet in range(PACKETS_EACH)
        for device in range(DEVICES)
    ]
    with tempfile.TemporaryDirectory(prefix="egw-bench-") as directory:
        return _delivered(Path(directory), messages)


def _delivered(directory: Path, messages: list[Readings]) -> dict[str, float]:
    key_file = directory / "signer.pem"
    key = FileKey.open(key_file)
    configure_logs("main", level="error")
    site = Site(devices=1, gateway=f"{key.serial}:{key.public_key().hex()}")
    system = System(
        _workers(directory, key_file, site.endpoint),
        preload=("egw.preload",),
        log_level="error",
    )
    with site:
        system.start()
        try:
            return _timed(system, site, messages)
        finally:
            system.stop("done")
            system.wait()


def _timed(system: System, site: Site, messages: list[Readings]) -> dict[str, float]:
    while "uplink/1" not in _up(system):
        time.sleep(0.01)
    harvest = system.ref(HARVEST)
    started = time.perf_counter()
    for message in messages:
        harvest.tell(message)
    deadline = started + 120
    while _packets(site) < len(messages) and time.perf_counter() < deadline:
        time.sleep(0.02)
    took_s = time.perf_counter() - started
    report = site.report()
    return {
        "packets": report["packets"],
        "invalid": report["invalid"],
        "doubled": report["doubled"],
        "packets_per_s": round(report["packets"] / took_s, 1),
    }


def _packets(site: Site) -> int:
    # `after` far in the future leaves the list of devices out of the report.
    url = f"{site.backend_url}report?after=9999999999999"
    with urllib.request.urlopen(url) as reply:
        return int(json.load(reply)["packets"])


def _up(system: System) -> set[str]:
    tree = system.ref(SUPERVISOR).ask(Describe(), timeout=5)
    return {actor.name for actor in tree.actors if actor.state == "up"}


def _workers(directory: Path, key: Path, endpoint: str) -> tuple[WorkerSpec, ...]:
    harvest = HarvestSettings(path=directory / "outbox.db", endpoints=(endpoint,))
    return (
        WorkerSpec(
            "signer",
            (
                ChildSpec(
                    "signer",
                    "egw.actors.signer:SignerActor",
                    {"provider": "file", "key_file": key},
                ),
            ),
        ),
        WorkerSpec(
            "core",
            (
                ChildSpec(
                    HARVEST,
                    "egw.actors.harvest:HarvestActor",
                    {"settings": harvest},
                    needs=("signer",),
                ),
                ChildSpec(
                    "uplink/1",
                    "egw.actors.uplink:UplinkActor",
                    {"endpoint": endpoint, "max_packets_per_s": 5000.0},
                    needs=(HARVEST,),
                ),
            ),
        ),
    )


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:20} {value}")

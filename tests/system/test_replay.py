"""A recording of a device, from its registers to the backend and the screen."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from gateway_kit import egw
from processes import until
from site_kit import announced

from egw.demo.children import Child
from egw.devices.loader import find_profile
from egw.devices.plan import HarvestPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from collector import Collector, Words
    from gateway_kit import Gateway, Home
    from site_kit import BackendClient

pytestmark = pytest.mark.slow

PROFILE = "huawei"
HARVEST = HarvestPlan.for_profile(find_profile(PROFILE), full=True).requests
"""Every cycle of this profile is full."""
SAMPLES = 3
SAMPLE_MS = 2000
SERIAL = "EGW-REPLAY-1"
SERIAL_AT = 30015
MODEL_AT = 30000
PV_POWER_AT = 32064
POWER_AT = 32080
FREQUENCY_AT = 32085


def sample(number: int) -> Words:
    """Return words of which each is found at one register of one sample only."""
    addresses = [a for run in HARVEST for a in range(run.address, run.end)]
    words = {str(a): 1000 * (number + 2) + n for n, a in enumerate(addresses)}
    words |= text(MODEL_AT, "SUN2000-TEST", 15) | text(SERIAL_AT, SERIAL, 10)
    words |= {str(POWER_AT): 0, str(POWER_AT + 1): 1900 + number}
    words |= {str(PV_POWER_AT): 0, str(PV_POWER_AT + 1): 2900 + number}
    words[str(FREQUENCY_AT)] = 5000
    return words


def text(address: int, content: str, count: int) -> Words:
    data = content.encode().ljust(2 * count, b"\0")
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    return {str(address + n): int.from_bytes(p, "big") for n, p in enumerate(pairs)}


def block(words: Words, address: int, count: int) -> Words:
    return {str(a): words[str(a)] for a in range(address, address + count)}


@pytest.fixture
def replayed(home: Home) -> Iterator[dict[str, Any]]:
    """The address of a device that replays the samples."""
    file = home.directory / "recording.json"
    samples = [
        {
            "at_ms": 1_700_000_000_000 + SAMPLE_MS * n,
            "registers": {"holding": sample(n)},
        }
        for n in range(SAMPLES)
    ]
    file.write_text(json.dumps({"profile": PROFILE, "samples": samples}))
    options = ["--replay", str(file), "--port", "0", "--json", "--until-eof"]
    with Child(
        ["simulators", "inverter", *options], output=subprocess.PIPE
    ) as simulator:
        yield announced(simulator)["devices"][0]


@pytest.fixture
def gateway(
    home: Home,
    replayed: dict[str, Any],
    backend: Callable[[], BackendClient],
    collector: Collector,
    start: Callable[[], Gateway],
) -> Gateway:
    """A gateway that has got to the end of the recording."""
    home.configure(
        [replayed | {"name": "roof"}],
        uplink__endpoints=[backend().endpoint, collector.endpoint],
        harvest__packet_readings=3,
    )
    gateway = start()
    until(
        lambda: power_w(gateway) == 1900 + SAMPLES - 1, "the last sample has been read"
    )
    return gateway


def power_w(gateway: Gateway) -> float | None:
    points = gateway.get("/api/devices/roof/points")["points"]
    value: float | None = points.get("active_power_w", {}).get("value")
    return value


def test_the_recorded_words_are_delivered_under_their_registers_and_shown(
    home: Home, gateway: Gateway, collector: Collector
) -> None:
    points = gateway.get("/api/devices/roof/points")["points"]
    device = gateway.devices()["roof"]
    shown = egw("status", "--url", home.url, "--device", "roof")

    assert points["active_power_w"] == {"value": 1902, "unit": "W"}
    assert points["grid_frequency_hz"] == {"value": 50.0, "unit": "Hz"}
    assert (device["power_w"], device["frequency_hz"]) == (2902, 50.0)
    assert device["sn"] == SERIAL
    assert shown.returncode == 0, shown.stderr
    lines = {
        line.split()[0]: line for line in shown.stdout.splitlines() if line.split()
    }
    assert any("1902" in line and "W" in line for line in lines.values()), shown.stdout
    assert any("50" in line and "Hz" in line for line in lines.values()), shown.stdout

    assert gateway.stop() == 0
    home.drain()
    readings = collector.readings()
    assert set(readings) == {SERIAL}
    assert len(readings[SERIAL]) == home.totals().committed_readings >= SAMPLES
    seen = set()
    for words in readings[SERIAL].values():
        assert set(words) == {str(a) for r in HARVEST for a in range(r.address, r.end)}
        for run in HARVEST:
            got = block(words, run.address, run.count)
            served = [
                n
                for n in range(SAMPLES)
                if block(sample(n), run.address, run.count) == got
            ]
            assert len(served) == 1, (run, got)
            seen.add((run.address, served[0]))
    assert len(seen) == SAMPLES * len(HARVEST)

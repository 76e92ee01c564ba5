"""Independent masters read the simulators and agree with `egw read`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from simulator_bench import RunningDevice
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from egw.devices.loader import find_profile
from egw.devices.profile import REVERSED_DIRECTIONS, ScaleRegister
from simulators.device import SimulatedDevice
from simulators.plant import Grid, Plant

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.devices.profile import Point, Profile

_LINE = re.compile(r"^\[(\d+)\]:\s+(\S+)", re.MULTILINE)
_TABLE = {"input": "3", "holding": "4"}
_MBPOLL_TYPE = {"u16": "", "i16": "", "u32": ":int", "i32": ":int", "f32": ":float"}


def standing_still(name: str) -> SimulatedDevice:
    """Return a device at ten in the morning, for ever, so that reads compare."""
    profile = find_profile(name)

    def clock() -> float:
        return 1000.0

    plant = Plant(hybrid=profile.kind == "hybrid", seed=7, clock=clock)
    grid = Grid(seed=7, clock=clock)
    return SimulatedDevice(profile, plant, grid, serial="SIM0000007", clock=clock)


def egw_read(name: str, port: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "egw", "read", "--profile", name]
    address = ["--host", "127.0.0.1", "--port", str(port), "--json"]
    done = subprocess.run(
        [*command, *address], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def mbpoll(port: int, unit: int, point: Point, profile: Profile) -> float:
    """Return the raw number that mbpoll shows for a point."""
    order = point.word_order or profile.word_order
    command = [
        "mbpoll",
        "-1",
        "-0",
        "-q",
        "-m",
        "tcp",
        "-p",
        str(port),
        "-a",
        str(unit),
    ]
    command += ["-t", _TABLE[point.function] + _MBPOLL_TYPE[point.type]]
    command += ["-r", str(point.address), "-c", "1"]
    command += ["-B"] if order == "big" and point.count == 2 else []
    done = subprocess.run(
        [*command, "127.0.0.1"], capture_output=True, text=True, timeout=20, check=True
    )
    shown = _LINE.search(done.stdout)
    assert shown is not None, done.stdout
    number = float(shown[2])
    bits = 16 * point.count
    if point.type.startswith("u") and number < 0:
        number += 1 << bits
    if point.type.startswith("i") and number >= 1 << bits - 1:
        number -= 1 << bits
    return number


def comparable(point: Point) -> bool:
    """Tell whether the point is what mbpoll can show: a plain number as it stands."""
    return (
        point.type in _MBPOLL_TYPE
        and not point.values
        and point.high_word is None
        and point.reversed_when is None
        and not isinstance(point.scale, ScaleRegister)
    )


@pytest.mark.skipif(not shutil.which("mbpoll"), reason="needs Debian's mbpoll")
@pytest.mark.parametrize("name", ["huawei_hybrid", "sungrow", "sdm630", "ferroamp"])
def test_mbpoll_and_egw_read_see_the_same_values(
    name: str, serve: Callable[..., RunningDevice]
) -> None:
    profile = find_profile(name)
    device = serve(standing_still(name))
    keys = [point.key for point in profile.points]

    points = egw_read(name, device.server.port)["points"]

    compared = 0
    for point in profile.points:
        if (
            point.key not in points
            or not comparable(point)
            or keys.count(point.key) > 1
        ):
            continue
        raw = mbpoll(device.server.port, device.server.unit, point, profile)
        assert isinstance(point.scale, float)
        value = raw * point.scale + point.offset
        if point.positive in REVERSED_DIRECTIONS:
            value = -value
        assert points[point.key] == pytest.approx(value, rel=1e-5), point.key
        compared += 1
    assert compared >= 20


@pytest.mark.parametrize(
    ("name", "model_id"),
    [("solaredge", 103), ("fronius", 113), ("fronius_sf", 103), ("sunspec", 103)],
)
def test_pysunspec2_walks_a_simulated_device_and_agrees_with_egw_read(
    name: str, model_id: int, serve: Callable[..., RunningDevice]
) -> None:
    device = serve(standing_still(name))

    points = egw_read(name, device.server.port)["points"]
    client = SunSpecModbusClientDeviceTCP(
        slave_id=device.server.unit, ipaddr="127.0.0.1", ipport=device.server.port
    )
    try:
        client.scan()
    finally:
        client.disconnect()
    inverter = client.models[model_id][0]
    common = client.models[1][0]

    assert common.SN.value == points["serial_number"]
    for key, value in (
        ("active_power_w", inverter.W.cvalue),
        ("grid_frequency_hz", inverter.Hz.cvalue),
        ("l1_voltage_v", inverter.PhVphA.cvalue),
        ("ac_current_a", inverter.A.cvalue),
        ("energy_generated_total_wh", inverter.WH.cvalue),
    ):
        assert points[key] == pytest.approx(value, rel=1e-6), key

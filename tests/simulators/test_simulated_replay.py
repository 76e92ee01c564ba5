from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import ModbusExceptionCode, Ticks

from simulators.bank import ModbusExceptionReply
from simulators.replay import RecordingError, ReplayedDevice, load_recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator_bench import RunningDevice

RECORDING: dict[str, Any] = {
    "profile": "huawei",
    "origin": "made for a test",
    "samples": [
        {"at_ms": 5_000, "registers": {"holding": {"100": 1, "101": 65535}}},
        {"at_ms": 6_000, "registers": {"holding": {"100": 2}}},
        {"at_ms": 8_000, "registers": {"holding": {"100": 3}, "input": {"7": 70}}},
    ],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recording.json"
    path.write_text(json.dumps(RECORDING))
    return path


def word(device: ReplayedDevice, address: int) -> int:
    return int.from_bytes(device.read("holding", address, 1), "big")


def test_samples_are_served_in_their_own_time(file: Path) -> None:
    ticks = Ticks()
    device = ReplayedDevice(load_recording(file), clock=ticks)

    seen = []
    for _ in range(6):
        seen.append((word(device, 100), word(device, 101)))
        ticks.now += 1.0

    assert [first for first, _ in seen] == [1, 2, 2, 3, 3, 3]
    assert {second for _, second in seen} == {65535}


def test_the_clock_starts_with_the_first_request(file: Path) -> None:
    ticks = Ticks()
    device = ReplayedDevice(load_recording(file), clock=ticks)

    ticks.now += 3_600.0

    assert word(device, 100) == 1


def test_a_loop_starts_over_after_the_last_sample(file: Path) -> None:
    ticks = Ticks()
    device = ReplayedDevice(load_recording(file), loop=True, clock=ticks)

    seen = []
    for _ in range(8):
        seen.append(word(device, 100))
        ticks.now += 1.0

    assert seen == [1, 2, 2, 3, 3, 1, 2, 2]


def test_a_register_first_recorded_later_has_that_value_from_the_start(
    file: Path,
) -> None:
    device = ReplayedDevice(load_recording(file))

    assert device.read("input", 7, 1) == b"\x00\x46"


def test_a_register_never_recorded_answers_exception_2(
    file: Path, serve: Callable[..., RunningDevice]
) -> None:
    master = serve(ReplayedDevice(load_recording(file))).master()

    assert master.read(3, 100, 2) == (1, 65535)
    with pytest.raises(ModbusExceptionCode, match="2"):
        master.read(3, 100, 3)
    with pytest.raises(ModbusExceptionCode, match="2"):
        master.write(100, 5)


def test_a_recording_cannot_be_pinned(file: Path) -> None:
    device = ReplayedDevice(load_recording(file))

    with pytest.raises(ModbusExceptionReply):
        device.pin("holding", 100, 5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "truncated"),
        ('{"profile": "huawei", "samples": []}', "samples"),
        (
            '{"profile": "h", "samples": [{"at_ms": 1, "registers": {"coil": {}}}]}',
            "coil",
        ),
        (
            '{"profile": "h", "samples": [{"at_ms": 1,'
            ' "registers": {"input": {"1": 65536}}}]}',
            "65535",
        ),
        (
            '{"profile": "h", "samples": [{"at_ms": 2, "registers": {}},'
            ' {"at_ms": 2, "registers": {}}]}',
            r"samples\[1\]\.at_ms",
        ),
    ],
)
def test_a_file_that_is_no_recording_is_refused_with_the_reason(
    tmp_path: Path, text: str, named: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)

    with pytest.raises(RecordingError, match=named) as refused:
        load_recording(path)

    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"absent\.json: cannot be read"):
        load_recording(tmp_path / "absent.json")

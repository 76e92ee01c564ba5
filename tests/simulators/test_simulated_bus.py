"""A simulated serial bus: its time, its faults, and masters that agree about it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulated_bus import RunningBus, on_a_bus
from simulator_bench import Loop, simulated
from simulator_client import eventually

from egw.devices.profile import Manners, RegisterRange
from egw.devices.reach import Reach, make_transport
from egw.devices.transport import (
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    NoPort,
    Refused,
)
from egw.devices.wire import SerialLine
from simulators.rtu import character_s, crc16, framed, unframed

if TYPE_CHECKING:
    from egw.devices.transport import Transport

VOLTAGES = RegisterRange(function="input", address=0, count=6)
FAST = 115_200
TIMEOUT_S = 0.3


class Numbered:
    """Registers that each hold unit * 1000 + address."""

    is_dark = False

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self.written: dict[int, bytes] = {}

    def read(self, function: str, address: int, count: int) -> bytes:
        words = [self._unit * 1000 + a for a in range(address, address + count)]
        return b"".join(word.to_bytes(2) for word in words)

    def write(self, address: int, data: bytes) -> None:
        self.written[address] = data

    def doze(self, how: str | None) -> None:
        assert how is None


@pytest.fixture
def bus(loop: Loop, tmp_path: Path) -> Iterator[RunningBus]:
    units = {number: Numbered(number) for number in (1, 2, 3)}
    with on_a_bus(loop, units, tmp_path / "bus", baud_rate=FAST) as running:
        yield running


@pytest.fixture
def master() -> Iterator[Callable[..., Transport]]:
    opened: list[Transport] = []

    def connect(reach: Reach, *, unit: int = 1, timeout_s: float = TIMEOUT_S) -> Any:
        manners = Manners()
        device = make_transport(reach, unit=unit, timeout_s=timeout_s, manners=manners)
        opened.append(device)
        device.connect()
        return device

    yield connect
    for device in opened:
        device.close()


def port_of(bus: RunningBus, baud_rate: int = FAST) -> Reach:
    line = SerialLine(baud_rate)
    return Reach(str(bus.path), transport="modbus-rtu", line=line)


def bridge_of(bus: RunningBus) -> Reach:
    return Reach("127.0.0.1", bus.bridge.port, transport="rtu-over-tcp")


REACHES = pytest.mark.parametrize("reach", [port_of, bridge_of])


def words(unit: int, wanted: RegisterRange = VOLTAGES) -> tuple[int, ...]:
    return tuple(unit * 1000 + a for a in range(wanted.address, wanted.end))


def test_the_check_sum_is_that_of_the_specification() -> None:
    assert crc16(bytes.fromhex("01 03 00 00 00 0A")) == bytes.fromhex("C5 CD")
    assert unframed(framed(7, b"\3\0")) == (7, b"\3\0")
    assert unframed(framed(7, b"\3\0")[:-1] + b"\0") is None


@REACHES
def test_every_unit_on_the_bus_answers_for_itself(
    bus: RunningBus,
    master: Callable[..., Transport],
    reach: Callable[[RunningBus], Reach],
) -> None:
    device = master(reach(bus))

    for unit in (1, 3, 2, 1):
        device.unit = unit
        assert device.read(VOLTAGES).words == words(unit)

    assert bus.bus.counters.bad_frames == bus.bus.counters.collisions == 0


@REACHES
def test_a_write_reaches_the_unit_that_it_is_for(
    bus: RunningBus,
    master: Callable[..., Transport],
    reach: Callable[[RunningBus], Reach],
) -> None:
    device = master(reach(bus), unit=2)

    device.write(7, (1, 2))

    written = [unit.registers.written for unit in bus.units.values()]  # type: ignore[attr-defined]
    assert written == [{}, {7: b"\0\1\0\2"}, {}]


def test_a_reply_takes_as_long_as_its_characters_do(
    loop: Loop, tmp_path: Path, master: Callable[..., Transport]
) -> None:
    long = RegisterRange(function="input", address=0, count=125)
    units = {1: Numbered(1)}
    with on_a_bus(loop, units, tmp_path / "bus", baud_rate=9600) as bus:
        device = master(port_of(bus, 9600))
        started_s = time.monotonic()

        device.read(long)

        took_s = time.monotonic() - started_s
    assert took_s >= (8 + 255) * character_s(9600)


@REACHES
def test_a_unit_that_is_silent_does_not_keep_the_others_from_answering(
    bus: RunningBus,
    master: Callable[..., Transport],
    reach: Callable[[RunningBus], Reach],
) -> None:
    bus.suffer(2, silent=True)
    device = master(reach(bus))

    for unit in (1, 2, 3, 2, 1):
        device.unit = unit
        device.connect()
        if unit == 2:
            with pytest.raises(NoAnswer):
                device.read(VOLTAGES)
        else:
            assert device.read(VOLTAGES).words == words(unit)


def test_nobody_answers_for_a_unit_that_is_not_there_or_off(
    bus: RunningBus, master: Callable[..., Transport]
) -> None:
    bus.suffer(2, off=True)
    device = master(port_of(bus))

    for unit in (2, 9):
        device.unit = unit
        device.connect()
        with pytest.raises(NoAnswer):
            device.read(VOLTAGES)

    assert bus.bus.counters.foreign_unit == 2


FAULTS: dict[str, tuple[type[DeviceError], dict[str, object]]] = {
    "bad_crc": (Garbage, {"bad_crc": True}),
    "noise": (Garbage, {"noise": True}),
    "garbage": (Garbage, {"garbage": True}),
    "truncate": (Garbage, {"truncate": True}),
    "trailing": (Garbage, {"trailing": True}),
    "exception": (Refused, {"exception": 4}),
    "drop": (NoAnswer, {"drop": True}),
    "late": (NoAnswer, {"late": True}),
    "slow": (NoAnswer, {"latency_ms": 1000 * TIMEOUT_S + 200}),
}


@pytest.mark.parametrize("fault", FAULTS)
@REACHES
def test_each_fault_is_told_and_over_when_it_is_healed(
    bus: RunningBus,
    master: Callable[..., Transport],
    reach: Callable[[RunningBus], Reach],
    fault: str,
) -> None:
    error, change = FAULTS[fault]
    device = master(reach(bus))
    bus.suffer(1, **change)

    with pytest.raises(error):
        device.read(VOLTAGES)

    bus.heal(1)
    assert eventually(lambda: reads(device) == words(1))


def reads(device: Transport) -> tuple[int, ...] | None:
    try:
        device.connect()
        return device.read(VOLTAGES).words
    except DeviceError:
        return None


@REACHES
def test_replies_that_are_late_or_damaged_are_never_a_wrong_value(
    bus: RunningBus,
    master: Callable[..., Transport],
    reach: Callable[[RunningBus], Reach],
) -> None:
    device = master(reach(bus), timeout_s=0.06)
    bus.suffer(1, jitter_ms=80, bad_crc=0.1, noise=0.1, truncate=0.1, late=0.1)

    for address in range(25):
        wanted = RegisterRange(function="holding", address=address, count=3)
        try:
            device.connect()
            read = device.read(wanted).words
        except DeviceError:
            continue
        assert read == words(1, wanted)

    bus.heal(1)
    assert eventually(lambda: reads(device) == words(1))


LONG_READ = framed(1, b"\4\0\0\0\x7d")


def test_two_who_send_at_once_spoil_both_frames(loop: Loop, tmp_path: Path) -> None:
    units = {1: Numbered(1)}
    with (
        on_a_bus(loop, units, tmp_path / "bus", baud_rate=9600) as bus,
        socket.create_connection(("127.0.0.1", bus.bridge.port), 10) as master,
    ):
        master.sendall(LONG_READ)
        heard = master.recv(512)

        master.sendall(LONG_READ)

        while len(heard) < 255:
            heard += master.recv(512)
        assert eventually(lambda: bus.bus.counters.bad_frames == 1)
        assert bus.bus.counters.collisions == 1
        assert heard[:3] == LONG_READ[:2] + b"\xfa"
        assert unframed(heard) is None


def test_a_request_without_silence_before_it_is_lost(
    loop: Loop, tmp_path: Path
) -> None:
    units = {1: Numbered(1)}
    request = framed(1, b"\4\0\0\0\1")
    with (
        on_a_bus(loop, units, tmp_path / "bus", baud_rate=300) as bus,
        socket.create_connection(("127.0.0.1", bus.bridge.port), 10) as master,
    ):
        master.sendall(request)
        heard = b""
        while len(heard) < 7:
            heard += master.recv(512)

        master.sendall(request)

        assert eventually(lambda: bus.bus.counters.bad_frames == 1)
        assert unframed(heard) == (1, b"\4\2\x03\xe8")
        assert bus.bus.counters.frames == 1


def test_a_port_that_is_unplugged_is_gone_and_comes_back(
    bus: RunningBus, master: Callable[..., Transport]
) -> None:
    device = master(port_of(bus))
    device.read(VOLTAGES)

    bus.unplug()

    with pytest.raises(NoConnection):
        device.read(VOLTAGES)
    with pytest.raises(NoPort):
        device.connect()
    bus.plug_in()
    device.connect()
    assert device.read(VOLTAGES).words == words(1)


def test_a_file_is_not_replaced_by_a_serial_port(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "bus").write_text("mine")

    with (
        pytest.raises(FileExistsError, match="is there and no link"),
        on_a_bus(loop, {}, tmp_path / "bus"),
    ):
        pass

    assert (tmp_path / "bus").read_text() == "mine"


@pytest.mark.skipif(not shutil.which("mbpoll"), reason="needs Debian's mbpoll")
@pytest.mark.parametrize("unit", [1, 2])
def test_mbpoll_reads_what_egw_reads(
    loop: Loop, tmp_path: Path, master: Callable[..., Transport], unit: int
) -> None:
    units = {1: Numbered(1), 2: Numbered(2)}
    with on_a_bus(loop, units, tmp_path / "bus", baud_rate=9600) as bus:
        device = master(port_of(bus, 9600), unit=unit)
        read = device.read(VOLTAGES).words
        device.close()

        shown = mbpoll(bus.path, unit, VOLTAGES)

    assert shown == read == words(unit)


def mbpoll(path: Path, unit: int, wanted: RegisterRange) -> tuple[int, ...]:
    command = ["mbpoll", "-1", "-0", "-q", "-m", "rtu", "-b", "9600", "-P", "none"]
    command += [
        "-t",
        "3",
        "-a",
        str(unit),
        "-r",
        str(wanted.address),
        "-c",
        str(wanted.count),
    ]
    done = subprocess.run(
        [*command, str(path)], capture_output=True, text=True, timeout=20, check=True
    )
    found = re.findall(r"^\[(\d+)\]:\s+(\d+)", done.stdout, re.MULTILINE)
    assert [int(address) for address, _ in found] == list(range(wanted.count))
    return tuple(int(word) for _, word in found)


# The command line.


@contextmanager
def started(*options: str) -> Iterator[dict[str, Any]]:
    """Run the command; gives what it announces."""
    command = [sys.executable, "-m", "simulators", "inverter", "--json"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(20) == 0


def egw_read(*options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "egw", "read", "--json", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def test_several_devices_on_one_port_are_started_and_read_by_command(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bus"
    place = ("--serial-port", str(path), "--baud-rate", "57600")

    with started(
        *("--profile", "sdm630", "--serial-link", str(path), "--baud-rate", "57600"),
        *("--beside", "sungrow:5", "--control-port", "0"),
    ) as told:
        meter = egw_read("--profile", "sdm630", *place)
        inverter = egw_read("--profile", "sungrow", "--unit", "5", *place)

    assert [(d["name"], d["unit"], d["host"]) for d in told["devices"]] == [
        ("roof-1", 1, str(path)),
        ("beside-1", 5, str(path)),
    ]
    assert told["control"]["port"] > 0
    assert 45 < meter["points"]["grid_frequency_hz"] < 65
    assert (meter["host"], meter["port"]) == (str(path), 0)
    assert inverter["serial"] == "SIM0000002"
    assert inverter["doubts"] == []


def test_a_bridge_is_started_and_read_by_command() -> None:
    with started(
        *("--profile", "sdm630", "--rtu-tcp", "--port", "0", "--baud-rate", "57600")
    ) as told:
        (device,) = told["devices"]
        read = egw_read(
            *("--profile", "sdm630", "--rtu-over-tcp", "--host", device["host"]),
            *("--port", str(device["port"])),
        )

    assert device["transport"] == "rtu-over-tcp"
    assert 45 < read["points"]["grid_frequency_hz"] < 65


def test_the_port_goes_when_the_command_ends(tmp_path: Path) -> None:
    path = tmp_path / "bus"

    with started("--profile", "sdm630", "--serial-link", str(path)):
        assert path.is_char_device()

    assert not path.is_symlink()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--beside", "sdm630:2"), "--beside needs a bus"),
        (("--rtu-tcp", "--port", "0", "--beside", "sdm630:1"), "the same unit id"),
        (("--rtu-tcp", "--beside", "sdm630"), "is not PROFILE:UNIT"),
        (("--rtu-tcp", "--beside", "nonsense:2"), "nonsense"),
    ],
)
def test_wrong_use_ends_with_one_line(options: tuple[str, ...], reason: str) -> None:
    command = [sys.executable, "-m", "simulators", "inverter", "--profile", "sdm630"]

    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 2
    assert reason in done.stderr.splitlines()[-1]


def test_a_simulated_device_shows_the_same_registers_on_a_bus(
    loop: Loop, tmp_path: Path, master: Callable[..., Transport]
) -> None:
    registers = simulated("sdm630")
    registers.set_point("grid_frequency_hz", 49.5)
    with on_a_bus(loop, {1: registers}, tmp_path / "bus") as bus:
        block = master(port_of(bus)).read(
            RegisterRange(function="input", address=70, count=2)
        )

    assert block.data.hex() == "42460000"

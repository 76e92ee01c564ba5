from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted_server
from scripted_bus import ScriptedPort, exception, framed, plugged_in, registers

from egw.devices.modbus_rtu import ModbusRtu
from egw.devices.profile import Function, Manners, RegisterRange
from egw.devices.serial_port import SerialPort
from egw.devices.tcp_bridge import TcpBridge
from egw.devices.transport import (
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    NoPort,
    Refused,
)
from egw.devices.wire import SerialLine, Wire

BLOCK = RegisterRange(function="holding", address=100, count=3)
LONG_TIMEOUT_S = 10.0
SHORT_TIMEOUT_S = 0.05
FAST = SerialLine(baud_rate=115_200)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[ScriptedPort]:
    with plugged_in(tmp_path / "port") as port:
        yield port


@pytest.fixture(params=["serial port", "bridge"])
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A device on a pseudo-terminal, and one behind a bridge."""
    if request.param == "bridge":
        with scripted_server.serving() as server:
            server.answer = registers
            yield server
    else:
        with plugged_in(tmp_path / "port") as port:
            yield port


@pytest.fixture
def open_to() -> Iterator[Callable[..., ModbusRtu]]:
    opened: list[ModbusRtu] = []

    def open_one(bus: Any, *, timeout_s: float = LONG_TIMEOUT_S) -> ModbusRtu:
        device = ModbusRtu(wire(bus), unit=7, timeout_s=timeout_s, manners=Manners())
        opened.append(device)
        device.connect()
        return device

    yield open_one
    for device in opened:
        device.close()


@pytest.fixture
def device(bus: Any, open_to: Callable[..., ModbusRtu]) -> ModbusRtu:
    return open_to(bus)


@pytest.fixture
def impatient(bus: Any, open_to: Callable[..., ModbusRtu]) -> ModbusRtu:
    return open_to(bus, timeout_s=SHORT_TIMEOUT_S)


def wire(bus: Any) -> Wire:
    if isinstance(bus, ScriptedPort):
        return SerialPort(bus.path, FAST)
    return TcpBridge("127.0.0.1", bus.port, reset_at_end=False)


def silent(request: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(("function", "code"), [("holding", 3), ("input", 4)])
def test_a_read_returns_the_registers_that_the_device_sent(
    bus: Any, device: ModbusRtu, function: Function, code: int
) -> None:
    block = device.read(RegisterRange(function=function, address=100, count=3))

    assert block.words == (100, 101, 102)
    assert (block.function, block.address) == (function, 100)
    assert bus.requests == [framed(bytes([7, code, 0, 100, 0, 3]))]


def test_the_check_sum_is_that_of_the_specification(
    bus: Any, device: ModbusRtu
) -> None:
    device.unit = 1

    device.read(RegisterRange(function="holding", address=0, count=10))

    assert bus.requests == [bytes.fromhex("01 03 00 00 00 0A C5 CD")]


def test_a_read_of_125_registers_arrives_whole(device: ModbusRtu) -> None:
    block = device.read(RegisterRange(function="input", address=0, count=125))

    assert block.words == tuple(range(125))


def test_a_reply_in_many_pieces_is_put_together(bus: Any, device: ModbusRtu) -> None:
    def dribble(request: bytes) -> bytes:
        for byte in registers(request):
            bus.push(bytes([byte]))
        return b""

    bus.answer = dribble

    assert device.read(BLOCK).words == (100, 101, 102)


def test_a_write_sends_the_words_with_function_16(bus: Any, device: ModbusRtu) -> None:
    device.write(0x1234, (1, 0xFFFF))

    assert bus.requests == [framed(b"\7\x10\x12\x34\0\2\4\0\1\xff\xff")]


def test_more_registers_than_fit_are_a_mistake_of_the_caller(
    device: ModbusRtu,
) -> None:
    with pytest.raises(ValueError, match="125 registers at most"):
        device.read(RegisterRange(function="input", address=0, count=126))
    with pytest.raises(ValueError, match="123 registers at most"):
        device.write(0, [0] * 124)

    assert device.connected


def test_a_refusal_is_told_with_its_name_and_breaks_nothing(
    bus: Any, device: ModbusRtu
) -> None:
    bus.answer = exception(2)

    with pytest.raises(Refused, match="illegal data address"):
        device.read(BLOCK)

    bus.answer = registers
    assert device.connected
    assert device.read(BLOCK).words == (100, 101, 102)


def test_silence_is_no_answer_and_the_next_request_is_answered(
    bus: Any, impatient: ModbusRtu
) -> None:
    bus.answer = silent

    with pytest.raises(NoAnswer):
        impatient.read(BLOCK)

    assert not impatient.connected
    bus.answer = registers
    impatient.connect()
    assert impatient.read(BLOCK).words == (100, 101, 102)


def test_a_request_without_a_connection_is_refused(
    bus: Any, impatient: ModbusRtu
) -> None:
    bus.answer = silent
    with pytest.raises(NoAnswer):
        impatient.read(BLOCK)

    with pytest.raises(NoConnection, match="not connected"):
        impatient.read(BLOCK)

    assert len(bus.requests) == 1


def test_nobody_is_asked_as_unit_0_for_that_is_everybody(
    bus: Any, device: ModbusRtu
) -> None:
    device.unit = 0

    with pytest.raises(NoAnswer, match="broadcast"):
        device.write(0, (1,))

    assert bus.requests == []
    assert device.connected


WRONG_REPLIES = {
    "another unit": framed(bytes([8, 3, 6, *range(6)])),
    "another function": framed(bytes([7, 4, 6, *range(6)])),
    "another size": framed(bytes([7, 3, 4, *range(4)])),
    "a wrong check sum": framed(bytes([7, 3, 6, *range(6)]))[:-1] + b"\0",
    "a wrong word": b"\7\3\6\0\x65" + framed(b"\7\3\6\0\x64\0\x65\0\x66")[5:],
    "noise before it": b"\0" + framed(b"\7\3\6\0\x64\0\x65\0\x66"),
    "another reply after it": 2 * framed(b"\7\3\6\0\x64\0\x65\0\x66"),
    "a refusal with a wrong check sum": framed(b"\7\x83\2")[:-1] + b"\0",
    "a refusal by another unit": framed(b"\x08\x83\2"),
    "a refusal of another function": framed(b"\7\x84\2"),
    "a refusal with exception 0": framed(b"\7\x83\0"),
    "Modbus TCP": b"\0\1\0\0\0\5\7\3\2\0\1",
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("what", WRONG_REPLIES)
def test_what_is_not_the_reply_is_garbage(
    bus: Any, device: ModbusRtu, what: str
) -> None:
    bus.answer = lambda request: WRONG_REPLIES[what]

    with pytest.raises(Garbage):
        device.read(BLOCK)

    assert not device.connected
    bus.answer = registers
    device.connect()
    assert device.read(BLOCK).words == (100, 101, 102)


def test_half_a_reply_is_garbage(bus: Any, impatient: ModbusRtu) -> None:
    bus.answer = lambda request: registers(request)[:6]

    with pytest.raises(Garbage, match="half a reply"):
        impatient.read(BLOCK)


@pytest.mark.parametrize(
    "confirmed", [b"\7\x10\0\5\0\2", b"\7\x10\0\6\0\1", b"\7\x06\0\5\0\1"]
)
def test_the_confirmation_of_another_write_is_garbage(
    bus: Any, device: ModbusRtu, confirmed: bytes
) -> None:
    bus.answer = lambda request: framed(confirmed)

    with pytest.raises(Garbage):
        device.write(5, (1,))


def test_the_noise_of_a_switching_transceiver_is_passed_over(
    bus: Any, device: ModbusRtu
) -> None:
    bus.answer = lambda request: registers(request) + b"\0\xff"

    assert device.read(BLOCK).words == (100, 101, 102)
    assert device.read(BLOCK).words == (100, 101, 102)


def test_a_reply_that_nobody_waited_for_is_garbage(bus: Any, device: ModbusRtu) -> None:
    device.read(BLOCK)
    bus.push(framed(b"\7\3\6\0\1\0\2\0\3"))
    wait_for_bytes(device)

    with pytest.raises(Garbage, match="nobody waited for"):
        device.read(BLOCK)

    assert len(bus.requests) == 1


def wait_for_bytes(device: ModbusRtu) -> None:
    arrivals: Any = device._wire
    assert arrivals._arrivals.poll(1000 * LONG_TIMEOUT_S)


class Slow:
    """A device that answers each request only when the next one has come."""

    def __init__(self) -> None:
        self.due = b""

    def __call__(self, request: bytes) -> bytes:
        late, self.due = self.due, registers(request)
        return late


def test_a_late_reply_is_never_taken_for_another_one(
    bus: Any, impatient: ModbusRtu
) -> None:
    bus.answer = Slow()

    for address in range(100, 140, 2):
        wanted = RegisterRange(function="holding", address=address, count=2)
        try:
            impatient.connect()
            words = impatient.read(wanted).words
        except DeviceError:
            continue
        assert words == (address, address + 1)

    bus.answer = registers
    impatient.connect()
    assert impatient.read(BLOCK).words == (100, 101, 102)


def test_a_late_confirmation_is_never_taken_for_that_of_another_write(
    bus: Any, impatient: ModbusRtu
) -> None:
    bus.answer = Slow()

    for word in range(5):
        impatient.connect()
        with pytest.raises(DeviceError):
            impatient.write(5, (word,))


def test_a_reply_that_comes_while_connecting_is_dropped(
    port: ScriptedPort, open_to: Callable[..., ModbusRtu]
) -> None:
    device = open_to(port, timeout_s=SHORT_TIMEOUT_S)
    port.answer = silent
    with pytest.raises(NoAnswer):
        device.read(BLOCK)
    port.push(framed(b"\7\3\6\0\1\0\2\0\3"))
    port.answer = registers

    device.connect()

    assert device.read(BLOCK).words == (100, 101, 102)


def test_the_serial_port_stays_open_after_a_failure(
    port: ScriptedPort, open_to: Callable[..., ModbusRtu]
) -> None:
    device = open_to(port, timeout_s=SHORT_TIMEOUT_S)
    opened: Any = device._wire
    before = opened._port
    port.answer = silent
    with pytest.raises(NoAnswer):
        device.read(BLOCK)

    device.connect()

    assert opened._port is before


def test_a_line_that_is_never_silent_is_no_connection(
    port: ScriptedPort, open_to: Callable[..., ModbusRtu]
) -> None:
    device = open_to(port, timeout_s=SHORT_TIMEOUT_S)
    port.answer = lambda request: b"nonsense" * 2
    with pytest.raises(Garbage):
        device.read(BLOCK)
    wire: Any = device._wire
    wire.receive = lambda timeout_s: b"babble"

    with pytest.raises(NoConnection, match="does not fall silent"):
        device.connect()

    del wire.receive
    device.connect()
    assert device.connected


def test_a_port_that_is_not_there_is_no_port(tmp_path: Path) -> None:
    wire = SerialPort(str(tmp_path / "none"), FAST)

    with pytest.raises(NoPort, match="there is no such port"):
        wire.open(LONG_TIMEOUT_S)

    assert not wire.is_open


@pytest.mark.parametrize("path", ["/dev/null", "/", "/dev/null/x"])
def test_what_is_no_serial_port_is_no_connection(path: str) -> None:
    wire = SerialPort(path, FAST)

    with pytest.raises(NoConnection, match=f"cannot open {path}: "):
        wire.open(LONG_TIMEOUT_S)

    assert not wire.is_open


def test_a_bridge_that_is_not_there_is_no_connection() -> None:
    with scripted_server.serving() as gone:
        wire = TcpBridge("127.0.0.1", gone.port, reset_at_end=False)

    with pytest.raises(NoConnection, match="connection refused"):
        wire.open(LONG_TIMEOUT_S)

    assert not wire.is_open


def test_a_port_that_is_unplugged_is_no_connection_until_it_is_back(
    port: ScriptedPort, open_to: Callable[..., ModbusRtu]
) -> None:
    device = open_to(port)
    device.read(BLOCK)

    port.unplug()

    with pytest.raises(NoConnection, match="broke"):
        device.read(BLOCK)
    with pytest.raises(NoPort):
        device.connect()
    port.plug_in()
    device.connect()
    assert device.read(BLOCK).words == (100, 101, 102)


def test_a_port_that_is_unplugged_while_a_reply_is_awaited_is_no_connection(
    port: ScriptedPort, open_to: Callable[..., ModbusRtu]
) -> None:
    device = open_to(port)
    opened: Any = device._wire
    receive = opened.receive

    def unplugged_first(timeout_s: float) -> bytes:
        if timeout_s:
            port.unplug()
        read: bytes = receive(timeout_s)
        return read

    opened.receive = unplugged_first

    with pytest.raises(NoConnection, match="broke"):
        device.read(BLOCK)

    assert not device.connected


def test_a_bridge_that_hangs_up_is_no_connection_until_it_is_called_again(
    open_to: Callable[..., ModbusRtu],
) -> None:
    with scripted_server.serving() as bridge:
        bridge.answer = registers
        device = open_to(bridge)
        device.read(BLOCK)
        bridge.hang_up()
        wait_for_bytes(device)

        with pytest.raises(NoConnection, match="broke"):
            device.read(BLOCK)

        device.connect()
        assert device.read(BLOCK).words == (100, 101, 102)
        assert bridge.accepted == 2
        device.close()


def test_a_port_is_open_once_at_a_time(port: ScriptedPort) -> None:
    first, second = SerialPort(port.path, FAST), SerialPort(port.path, FAST)
    first.open(LONG_TIMEOUT_S)

    with pytest.raises(NoConnection, match="in use by another program"):
        second.open(LONG_TIMEOUT_S)

    first.close()
    second.open(LONG_TIMEOUT_S)
    assert second.is_open
    second.close()

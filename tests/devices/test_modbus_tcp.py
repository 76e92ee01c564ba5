from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import (
    Answer,
    ScriptedServer,
    exception,
    registers,
    reply_to,
    serving,
)

from egw.devices.blocks import Block
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.profile import Function, Manners, RegisterRange
from egw.devices.transport import (
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    Refused,
    Transport,
)

BLOCK = RegisterRange(function="holding", address=100, count=3)
LONG_TIMEOUT_S = 10.0
SHORT_TIMEOUT_S = 0.05


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as server:
        yield server


@pytest.fixture
def device(server: ScriptedServer) -> Iterator[ModbusTcp]:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S)
    device.connect()
    yield device
    device.close()


@pytest.fixture
def impatient(server: ScriptedServer) -> Iterator[ModbusTcp]:
    device = transport_to(server, timeout_s=SHORT_TIMEOUT_S)
    device.connect()
    yield device
    device.close()


def transport_to(
    server: ScriptedServer, *, timeout_s: float, manners: Manners | None = None
) -> ModbusTcp:
    return ModbusTcp(
        "127.0.0.1",
        server.port,
        unit=7,
        timeout_s=timeout_s,
        manners=manners or Manners(),
    )


@pytest.mark.parametrize(("function", "code"), [("holding", 3), ("input", 4)])
def test_a_read_returns_the_registers_that_the_device_sent(
    server: ScriptedServer, device: Transport, function: Function, code: int
) -> None:
    block = device.read(RegisterRange(function=function, address=100, count=3))

    assert block.words == (100, 101, 102)
    assert (block.function, block.address) == (function, 100)
    assert server.requests[0][2:] == b"\0\0\0\6\7" + bytes([code]) + b"\0\x64\0\3"


def test_a_read_of_125_registers_arrives_whole(device: ModbusTcp) -> None:
    block = device.read(RegisterRange(function="input", address=0, count=125))

    assert block.words == tuple(range(125))


def test_a_reply_in_many_pieces_is_put_together(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    def dribble(request: bytes) -> bytes:
        for byte in registers(request):
            server.push(bytes([byte]))
        return b""

    server.answer = dribble

    assert device.read(BLOCK).words == (100, 101, 102)


def test_a_read_of_126_registers_is_a_mistake_of_the_caller(device: ModbusTcp) -> None:
    with pytest.raises(ValueError, match="125 registers at most"):
        device.read(RegisterRange(function="input", address=0, count=126))

    assert device.connected


def test_a_write_sends_the_words_with_function_16(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    device.write(0x1234, (1, 0xFFFF))

    assert server.requests[0][7:] == b"\x10\x12\x34\0\2\4\0\1\xff\xff"


def test_a_device_that_is_not_there_is_no_connection() -> None:
    with serving() as gone:
        device = transport_to(gone, timeout_s=LONG_TIMEOUT_S)

    with pytest.raises(NoConnection, match="cannot connect to "):
        device.connect()


def test_a_host_name_that_cannot_be_one_is_no_connection() -> None:
    device = ModbusTcp("x" * 70, 502, unit=1, timeout_s=1, manners=Manners())

    with pytest.raises(NoConnection, match="cannot connect to "):
        device.connect()


def test_a_read_without_a_connection_makes_none(server: ScriptedServer) -> None:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S)

    with pytest.raises(NoConnection, match="not connected"):
        device.read(BLOCK)

    assert server.accepted == 0


def test_connecting_twice_keeps_the_connection(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    device.connect()
    device.read(BLOCK)

    assert server.accepted == 1


def test_the_connection_neither_delays_small_packets_nor_trusts_silence(
    device: ModbusTcp,
) -> None:
    connection = device._client.socket

    assert connection is not None
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15


@pytest.mark.parametrize(
    ("code", "name"),
    [(2, "illegal data address"), (6, "server device busy"), (99, "exception code 99")],
)
def test_a_modbus_exception_is_a_refusal_and_keeps_the_connection(
    server: ScriptedServer, device: ModbusTcp, code: int, name: str
) -> None:
    server.answer = exception(code)

    with pytest.raises(Refused) as refusal:
        device.read(BLOCK)

    assert (refusal.value.exception_code, refusal.value.name) == (code, name)
    server.answer = registers
    assert device.read(BLOCK).words == (100, 101, 102)
    assert server.accepted == 1


def test_a_refused_write_is_a_refusal(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    server.answer = exception(3)

    with pytest.raises(Refused, match="illegal data value"):
        device.write(0, (1,))

    assert device.connected


def test_silence_is_no_answer_and_closes_the_connection(
    server: ScriptedServer, impatient: ModbusTcp
) -> None:
    server.answer = lambda _: b""

    with pytest.raises(NoAnswer):
        impatient.read(BLOCK)

    assert not impatient.connected


def test_half_a_reply_is_no_answer_and_closes_the_connection(
    server: ScriptedServer, impatient: ModbusTcp
) -> None:
    server.answer = lambda request: registers(request)[:-3]

    with pytest.raises(NoAnswer):
        impatient.read(BLOCK)

    assert not impatient.connected


def test_a_late_reply_is_never_taken_for_the_next_one(
    server: ScriptedServer, impatient: ModbusTcp
) -> None:
    timed_out = threading.Event()

    def late(request: bytes) -> bytes:
        assert timed_out.wait(LONG_TIMEOUT_S)
        return registers(request)

    server.answer = late
    with pytest.raises(NoAnswer):
        impatient.read(BLOCK)
    server.answer = registers
    timed_out.set()

    impatient.connect()
    block = impatient.read(RegisterRange(function="holding", address=500, count=3))

    assert block.words == (500, 501, 502)


def test_a_device_that_hangs_up_is_no_connection(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    server.answer = lambda _: None

    with pytest.raises(NoConnection):
        device.read(BLOCK)

    assert not device.connected


def another_transaction(request: bytes) -> bytes:
    number = int.from_bytes(request[:2]) - 1
    return number.to_bytes(2) + registers(request)[2:]


def no_transaction(request: bytes) -> bytes:
    return b"\0\0" + registers(request)[2:]


def another_protocol(request: bytes) -> bytes:
    return request[:2] + b"\0\1" + registers(request)[4:]


def another_unit(request: bytes) -> bytes:
    return registers(request)[:6] + b"\x63" + registers(request)[7:]


def another_function(request: bytes) -> bytes:
    return reply_to(request, registers(request)[8:], function=4)


def fewer_registers(request: bytes) -> bytes:
    return reply_to(request, b"\2\0\1")


def more_registers(request: bytes) -> bytes:
    return reply_to(request, b"\x08" + bytes(8))


def wrong_byte_count(request: bytes) -> bytes:
    return reply_to(request, b"\4" + bytes(6))


def two_replies(request: bytes) -> bytes:
    return registers(request) * 2


def endless_length(request: bytes) -> bytes:
    return request[:4] + b"\xff\xff" + registers(request)[6:]


def exception_of_another_function(request: bytes) -> bytes:
    return reply_to(request, b"\2", function=0x84)


def exception_without_code(request: bytes) -> bytes:
    return reply_to(request, b"\0", function=0x83)


def two_exceptions(request: bytes) -> bytes:
    return exception(2)(request) * 2  # type: ignore[operator]


def web_page(_: bytes) -> bytes:
    return b"HTTP/1.1 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        another_transaction,
        no_transaction,
        another_protocol,
        another_unit,
        another_function,
        fewer_registers,
        more_registers,
        wrong_byte_count,
        two_replies,
        endless_length,
        exception_of_another_function,
        exception_without_code,
        two_exceptions,
        web_page,
    ],
)
def test_what_is_not_the_reply_is_garbage_at_once_and_closes_the_connection(
    server: ScriptedServer, device: ModbusTcp, answer: Answer
) -> None:
    device.read(BLOCK)
    server.answer = answer

    with pytest.raises(Garbage):
        device.read(BLOCK)

    assert not device.connected


def arrived(device: ModbusTcp) -> None:
    """Wait until bytes that nobody asked for are in the device's socket."""
    connection = device._client.socket
    assert connection is not None
    assert select.select([connection], [], [], LONG_TIMEOUT_S)[0]


def test_a_reply_that_nobody_asked_for_spoils_the_next_read(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    device.read(BLOCK)
    server.push(registers(server.requests[0]))
    arrived(device)

    with pytest.raises(Garbage, match="a reply came that nobody waited for"):
        device.read(BLOCK)

    assert not device.connected
    assert len(server.requests) == 1


def test_a_device_that_hung_up_in_a_pause_is_no_connection(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    server.answer = lambda _: None
    with pytest.raises(NoConnection):
        device.read(BLOCK)
    device.connect()
    server.wait_for(lambda: server.accepted == 2)
    server.hang_up()
    arrived(device)

    with pytest.raises(NoConnection, match="the connection broke"):
        device.read(BLOCK)

    assert len(server.requests) == 1


def test_the_unit_can_be_changed_between_two_requests(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    device.unit = 71
    device.read(BLOCK)

    assert server.requests[0][6] == 71


BRIDGE = Manners(echoes_transaction_id=False)


def own_transaction(request: bytes) -> bytes:
    return b"\x12\x34" + registers(request)[2:]


@pytest.mark.parametrize("answer", [own_transaction, no_transaction, registers])
def test_a_bridge_may_answer_with_a_transaction_id_of_its_own(
    server: ScriptedServer, answer: Answer
) -> None:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S, manners=BRIDGE)
    device.connect()
    server.answer = answer

    assert device.read(BLOCK).words == (100, 101, 102)
    device.write(5, (1, 2))
    server.answer = lambda request: own_transaction_of(exception(2), request)
    with pytest.raises(Refused):
        device.read(BLOCK)
    device.close()


def own_transaction_of(answer: Answer, request: bytes) -> bytes:
    return b"\x12\x34" + (answer(request) or b"")[2:]


def test_a_reply_of_a_bridge_may_come_byte_by_byte(server: ScriptedServer) -> None:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S, manners=BRIDGE)
    device.connect()

    def dribble(request: bytes) -> bytes:
        for byte in own_transaction(request):
            server.push(bytes([byte]))
        return b""

    server.answer = dribble

    assert device.read(BLOCK).words == (100, 101, 102)
    device.close()


@pytest.mark.parametrize(
    "answer",
    [
        another_protocol,
        another_unit,
        another_function,
        fewer_registers,
        more_registers,
        wrong_byte_count,
        two_replies,
        exception_of_another_function,
        web_page,
    ],
)
def test_everything_else_in_a_bridges_reply_is_compared(
    server: ScriptedServer, answer: Answer
) -> None:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S, manners=BRIDGE)
    device.connect()
    server.answer = answer

    with pytest.raises(Garbage):
        device.read(BLOCK)

    assert not device.connected


def test_a_bridges_late_reply_that_waits_in_the_socket_is_not_taken(
    server: ScriptedServer,
) -> None:
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S, manners=BRIDGE)
    device.connect()
    device.read(BLOCK)
    server.push(registers(server.requests[0]))
    arrived(device)

    with pytest.raises(Garbage):
        device.read(RegisterRange(function="holding", address=500, count=3))

    assert not device.connected


def test_after_a_timeout_a_bridges_late_reply_is_awaited_and_dropped(
    server: ScriptedServer,
) -> None:
    pauses_s: list[float] = []

    def the_late_reply_comes(pause_s: float) -> None:
        pauses_s.append(pause_s)
        server.wait_for(lambda: server.accepted == 2)
        server.push(registers(server.requests[0]))
        arrived(device)

    device = ModbusTcp(
        "127.0.0.1",
        server.port,
        unit=7,
        timeout_s=SHORT_TIMEOUT_S,
        manners=BRIDGE,
        sleep=the_late_reply_comes,
    )
    server.answer = lambda _: b""
    device.connect()
    with pytest.raises(NoAnswer):
        device.read(BLOCK)
    server.answer = own_transaction

    device.connect()
    block = device.read(RegisterRange(function="holding", address=500, count=3))

    assert block.words == (500, 501, 502)
    assert pauses_s == [SHORT_TIMEOUT_S]
    device.close()
    device.connect()
    assert pauses_s == [SHORT_TIMEOUT_S]
    device.close()


def test_a_late_reply_that_comes_after_the_next_request_was_sent_is_not_taken(
    server: ScriptedServer,
) -> None:
    late: list[bytes] = []

    def one_behind(request: bytes) -> bytes:
        late.append(own_transaction(request))
        return late.pop(0) if len(late) > 1 else b""

    device = ModbusTcp(
        "127.0.0.1",
        server.port,
        unit=7,
        timeout_s=SHORT_TIMEOUT_S,
        manners=BRIDGE,
        sleep=lambda _: None,
    )
    server.answer = one_behind
    found = []
    for address in range(100, 1000, 100):
        device.connect()
        wanted = RegisterRange(function="holding", address=address, count=3)
        outcome = outcome_of_read(device, wanted)
        found += [(address, outcome)] if isinstance(outcome, Block) else []

    server.answer = own_transaction
    device.connect()
    outcome_of_read(device, BLOCK)
    device.connect()
    back = outcome_of_read(device, BLOCK)

    assert all(block.words[0] == address for address, block in found)
    assert isinstance(back, Block)
    assert back.words == (100, 101, 102)
    device.close()


def test_a_device_that_echoes_transaction_ids_is_asked_at_once_after_a_timeout(
    server: ScriptedServer,
) -> None:
    device = ModbusTcp(
        "127.0.0.1",
        server.port,
        unit=7,
        timeout_s=SHORT_TIMEOUT_S,
        manners=Manners(),
        sleep=lambda _: pytest.fail("slept"),
    )
    server.answer = lambda _: b""
    device.connect()
    with pytest.raises(NoAnswer):
        device.read(BLOCK)

    device.connect()
    device.close()


@pytest.mark.parametrize(("single", "ending"), [(True, "reset"), (False, "closed")])
def test_the_only_place_of_a_device_is_freed_by_a_reset(
    single: bool, ending: str, server: ScriptedServer
) -> None:
    manners = Manners(single_connection=single)
    device = transport_to(server, timeout_s=LONG_TIMEOUT_S, manners=manners)
    device.connect()
    device.read(BLOCK)

    device.close()

    server.wait_for(lambda: server.endings == [ending])


CONNECTED = """
import sys, time
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.profile import Manners
manners = Manners(single_connection=True)
port = int(sys.argv[1])
device = ModbusTcp("127.0.0.1", port, unit=7, timeout_s=9, manners=manners)
device.connect()
print("connected", flush=True)
time.sleep(60)
"""


def test_the_only_place_of_a_device_is_free_when_its_user_is_killed(
    server: ScriptedServer,
) -> None:
    command = [sys.executable, "-c", CONNECTED, str(server.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"connected\n"
        user.kill()

    server.wait_for(lambda: server.endings == ["reset"])


def test_a_confirmation_of_another_write_is_garbage(
    server: ScriptedServer, device: ModbusTcp
) -> None:
    server.answer = lambda request: reply_to(request, b"\0\1\0\1")

    with pytest.raises(Garbage):
        device.write(2, (1,))

    assert not device.connected


def mutated(request: bytes, cut: int, position: int, byte: int, tail: bytes) -> bytes:
    reply = bytearray(registers(request))
    reply[position % len(reply)] = byte
    return bytes(reply[: len(reply) - cut]) + tail


@settings(max_examples=150, deadline=None)
@given(
    noise=st.one_of(
        st.binary(min_size=1, max_size=300),
        st.tuples(
            st.integers(0, 4), st.integers(0, 14), st.integers(0, 255), st.binary()
        ),
    )
)
def test_whatever_the_device_sends_is_its_registers_or_a_device_error(
    noise: bytes | tuple[int, int, int, bytes],
) -> None:
    with serving() as server:
        device = transport_to(server, timeout_s=0.005)
        server.answer = lambda request: (
            noise if isinstance(noise, bytes) else mutated(request, *noise)
        )
        device.connect()

        outcome = outcome_of_read(device)

        accepted = isinstance(outcome, Block) and len(outcome.words) == BLOCK.count
        assert device.connected == (accepted or isinstance(outcome, Refused))
        device.close()


def outcome_of_read(
    device: ModbusTcp, wanted: RegisterRange = BLOCK
) -> Block | DeviceError:
    try:
        return device.read(wanted)
    except DeviceError as error:
        return error


def test_the_device_gets_its_pauses() -> None:
    pauses_s: list[float] = []
    now_s = 1000.0

    def sleep(pause_s: float) -> None:
        nonlocal now_s
        pauses_s.append(round(pause_s, 6))
        now_s += pause_s

    with serving() as server:
        device = ModbusTcp(
            "127.0.0.1",
            server.port,
            unit=7,
            timeout_s=LONG_TIMEOUT_S,
            manners=Manners(gap_ms=50, connect_delay_ms=1000),
            sleep=sleep,
            monotonic=lambda: now_s,
        )
        device.connect()
        device.read(BLOCK)
        device.read(BLOCK)
        now_s += 0.02
        device.read(BLOCK)
        now_s += 5.0
        device.read(BLOCK)
        device.close()

    assert pauses_s == [1.0, 0.05, 0.05, 0.03]


def test_a_device_without_manners_is_never_waited_for() -> None:
    with serving() as server:
        device = ModbusTcp(
            "127.0.0.1",
            server.port,
            unit=7,
            timeout_s=LONG_TIMEOUT_S,
            manners=Manners(),
            sleep=lambda _: pytest.fail("slept"),
        )
        device.connect()
        device.read(BLOCK)
        device.read(BLOCK)
        device.close()

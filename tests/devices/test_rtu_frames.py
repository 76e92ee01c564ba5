"""Modbus RTU over a wire in memory: timing, and replies that were changed on it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_bus import PlayedWire, framed, registers

from egw.devices.modbus_rtu import ModbusRtu
from egw.devices.profile import Manners, RegisterRange
from egw.devices.transport import DeviceError, NoAnswer
from egw.devices.wire import SerialLine

BLOCK = RegisterRange(function="input", address=1000, count=4)
MUTATIONS_AT_ONCE = 20
TIMEOUT_S = 0.5


def connected(
    wire: PlayedWire, *, manners: Manners | None = None, timeout_s: float = TIMEOUT_S
) -> ModbusRtu:
    device = ModbusRtu(
        wire,  # type: ignore[arg-type] # it has what is used
        unit=7,
        timeout_s=timeout_s,
        manners=manners or Manners(),
        sleep=wire.sleep,
        monotonic=wire.monotonic,
    )
    device.connect()
    return device


@pytest.mark.parametrize(
    ("baud_rate", "gap_ms", "silence_s"),
    [
        (9600, 0, 3.5 * 11 / 9600),
        (19_200, 0, 3.5 * 11 / 19_200),
        (38_400, 0, 0.00175),
        (115_200, 0, 0.00175),
        (9600, 50, 0.05),
    ],
)
def test_the_line_is_silent_for_three_and_a_half_characters_before_a_request(
    baud_rate: int, gap_ms: int, silence_s: float
) -> None:
    wire = PlayedWire(SerialLine(baud_rate))
    device = connected(wire, manners=Manners(gap_ms=gap_ms))

    device.read(BLOCK)
    device.read(BLOCK)

    assert wire.sleeps == pytest.approx([silence_s, silence_s])


def test_no_time_is_lost_when_the_line_has_been_silent_anyway() -> None:
    wire = PlayedWire(SerialLine())
    device = connected(wire)
    device.read(BLOCK)
    wire.sleeps.clear()
    wire.now_s += 1

    device.read(BLOCK)

    assert wire.sleeps == []


def test_the_timeout_begins_when_a_slow_line_has_carried_the_request() -> None:
    wire = PlayedWire(SerialLine(300))
    device = connected(wire)
    wire.answer = lambda request: []

    with pytest.raises(NoAnswer):
        device.read(BLOCK)

    assert wire.now_s - device.sent_at_s == pytest.approx(TIMEOUT_S + 8 * 11 / 300)


def test_after_no_answer_the_line_is_left_alone_for_another_timeout() -> None:
    wire = PlayedWire(SerialLine())
    device = connected(wire)
    wire.answer = lambda request: []
    with pytest.raises(NoAnswer):
        device.read(BLOCK)
    failed_at_s = wire.now_s

    device.connect()

    assert wire.now_s - failed_at_s == pytest.approx(TIMEOUT_S)


def test_a_read_that_a_late_reply_would_fit_comes_after_one_that_it_would_not() -> None:
    wire = PlayedWire(SerialLine())
    device = connected(wire)
    wire.answer = lambda request: []
    with pytest.raises(NoAnswer):
        device.read(BLOCK)
    wire.answer = lambda request: [registers(request)]
    wire.sent.clear()

    device.connect()
    device.read(BLOCK)
    device.read(BLOCK)

    assert [request[5] for request in wire.sent] == [1, 4, 4]


def test_the_reply_of_one_unit_says_nothing_of_what_another_one_owes() -> None:
    wire = PlayedWire(SerialLine())
    device = connected(wire)
    wire.answer = lambda request: []
    with pytest.raises(NoAnswer):
        device.read(BLOCK)
    wire.answer = lambda request: [registers(request)]
    wire.sent.clear()

    device.connect()
    device.unit = 8
    device.read(BLOCK)
    device.unit = 7
    device.read(BLOCK)

    assert [(request[0], request[5]) for request in wire.sent] == [
        (8, 4),
        (7, 1),
        (7, 4),
    ]


Mutation = tuple[str, int, int]
MUTATIONS = st.tuples(
    st.sampled_from(["flip", "set", "insert", "delete", "cut", "swap", "repeat"]),
    st.integers(0, 12),
    st.integers(0, 255),
)


def mutated(frame: bytes, mutation: Mutation) -> bytes:
    how, at, value = mutation
    changed = bytearray(frame)
    match how:
        case "flip":
            changed[at] ^= 1 << value % 8
        case "set":
            changed[at] = value
        case "insert":
            changed.insert(at, value)
        case "delete":
            del changed[at : at + 1 + value % 3]
        case "cut":
            del changed[at:]
        case "swap":
            other = value % len(changed)
            changed[at], changed[other] = changed[other], changed[at]
        case "repeat":
            changed[at:at] = changed[at : at + 1 + value % 8]
    return bytes(changed)


def is_right(reply: bytes, frame: bytes) -> bool:
    """Tell whether the frame comes first, with at most a little noise after it."""
    return reply.startswith(frame) and len(reply) <= len(frame) + 3


@settings(max_examples=500, deadline=None)
@given(
    st.lists(MUTATIONS, min_size=MUTATIONS_AT_ONCE, max_size=MUTATIONS_AT_ONCE),
    st.integers(1, 13),
)
def test_a_mutated_reply_is_no_wrong_value(
    mutations: Sequence[Mutation], lump: int
) -> None:
    frame = registers(framed(b"\7\4\x03\xe8\0\4"))
    for mutation in mutations:
        wire = PlayedWire(SerialLine())
        device = connected(wire)
        reply = mutated(frame, mutation)
        wire.answer = (
            lambda request, reply=reply: [  # type: ignore[misc]
                reply[start : start + lump] for start in range(0, len(reply), lump)
            ]
        )

        try:
            words = device.read(BLOCK).words
        except DeviceError:
            assert not is_right(reply, frame)
            continue

        assert words == (1000, 1001, 1002, 1003)


def test_noise_is_no_value_and_ends_in_an_error_that_is_known() -> None:
    chance = random.Random(4)
    for _ in range(10_000):
        wire = PlayedWire(SerialLine())
        device = connected(wire)
        noise = chance.randbytes(chance.randrange(40))
        beginning = b"\7\4\x08"[: chance.randrange(4)]
        wire.answer = lambda request, noise=beginning + noise: [noise]  # type: ignore[misc]

        with pytest.raises(DeviceError):
            device.read(BLOCK)

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from any_profile import content, profiles, range_lists
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_decoder import NaiveDecoder, Registers
from scripted_server import ScriptedServer, exception, reply_to, serving

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Profile, RegisterRange
from egw.devices.transport import NO_SUCH_REGISTERS, DeviceError, Refused

EXCEPTION_SIZE = 9
SEEDS = st.integers(0, 2**32)
TIMEOUT_S = 0.03
PATIENT_S = 5.0


def block_of(part: RegisterRange, held: Registers) -> Block:
    numbers = (held[part.function, a] for a in range(part.address, part.end))
    data = b"".join(number.to_bytes(2) for number in numbers)
    return Block(part.function, part.address, data)


def check(profile: Profile, blocks: list[Block], held: Registers) -> None:
    """Compare all that is told of these blocks with what the device held."""
    answered = [
        RegisterRange(function=b.function, address=b.address, count=len(b.data) // 2)
        for b in blocks
    ]

    values: dict[str, Any] = dict(Decoder(profile).decode(blocks))

    expected = NaiveDecoder(profile, answered, held).decode()
    assert values == {key: expected[key] for key in expected}
    assert "-0.0" not in map(repr, values.values())


@settings(max_examples=300, deadline=None)
@given(profiles(), range_lists(), SEEDS)
def test_every_value_is_what_the_answered_registers_say(
    profile: Profile, answered: list[RegisterRange], seed: int
) -> None:
    held = content(seed)

    check(profile, [block_of(part, held) for part in answered], held)


@dataclass
class Asked:
    """A request to a device, and its only proper reply."""

    request: bytes
    part: RegisterRange
    block: Block
    proper: bytes


class FaultyDevice:
    """Answers with what it holds now, except where a fault is due."""

    def __init__(self, server: ScriptedServer, faults: list[str]) -> None:
        self.held: Registers = {}
        self.answered: list[Block] = []
        """What it answered properly since it holds this."""
        self.refused: list[RegisterRange] = []
        """What it refused properly since it holds this."""
        self.push = server.push
        self._faults = deque(faults)
        self._earlier: list[bytes] = []

    def holds(self, held: Registers) -> None:
        self.held, self.answered, self.refused = held, [], []

    def answer(self, request: bytes) -> bytes | None:
        part = RegisterRange(
            function="holding" if request[7] == 3 else "input",
            address=int.from_bytes(request[8:10]),
            count=int.from_bytes(request[10:12]),
        )
        block = block_of(part, self.held)
        proper = reply_to(request, bytes([len(block.data)]) + block.data)
        fault = self._faults.popleft() if self._faults else "none"
        reply = FAULTS[fault](self, Asked(request, part, block, proper))
        was_refused = reply is not None and len(reply) == EXCEPTION_SIZE
        self._earlier.append(reply if reply and was_refused else proper)
        return reply

    def properly(self, asked: Asked) -> bytes:
        self.answered.append(asked.block)
        return asked.proper

    def refusing(self, asked: Asked, code: int) -> bytes:
        self.refused.append(asked.part)
        return exception(code)(asked.request) or b""

    def late(self, asked: Asked) -> bytes:
        """Return what it said, or would have said, to some request before.

        One that could be mistaken for the present reply, if there was one.
        """
        sizes = (len(asked.proper), EXCEPTION_SIZE)
        similar = [reply for reply in self._earlier if len(reply) in sizes]
        return b"".join((similar or self._earlier)[-1:])


def late_and_proper(device: FaultyDevice, asked: Asked) -> bytes:
    device.push(device.late(asked))
    return device.properly(asked)


def doubled(device: FaultyDevice, asked: Asked) -> bytes:
    device.push(device.properly(asked))
    return asked.proper


def cut_off(device: FaultyDevice, asked: Asked) -> None:
    device.push(asked.proper[:-3])


def shorter(_: FaultyDevice, asked: Asked) -> bytes:
    data = asked.block.data[2:]
    return reply_to(asked.request, bytes([len(data)]) + data)


FAULTS: dict[str, Callable[[FaultyDevice, Asked], bytes | None]] = {
    "none": FaultyDevice.properly,
    "illegal address": lambda device, asked: device.refusing(asked, 2),
    "busy": lambda device, asked: device.refusing(asked, 6),
    "broken": lambda device, asked: device.refusing(asked, 4),
    "silence": lambda _, __: b"",
    "hang-up": lambda _, __: None,
    "cut off, silent": lambda _, asked: asked.proper[:-3],
    "cut off, hung up": cut_off,
    "one register less": shorter,
    "a byte more": lambda _, asked: asked.proper + b"\0",
    "garbage": lambda _, asked: asked.proper[::-1],
    "other unit": lambda _, asked: altered(asked.proper, 6, b"\x77"),
    "other function": lambda _, asked: altered(asked.proper, 7, b"\x06"),
    "other protocol": lambda _, asked: altered(asked.proper, 2, b"\1\1"),
    "late reply instead": FaultyDevice.late,
    "late reply before": late_and_proper,
    "doubled": doubled,
    "doubled at once": lambda device, asked: 2 * device.properly(asked),
}


def altered(frame: bytes, place: int, part: bytes) -> bytes:
    return frame[:place] + part + frame[place + len(part) :]


SLOW = ("silence", "cut off, silent")
"""Cost a timeout each."""


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with serving() as a_server:
        yield a_server


def connection(
    server: ScriptedServer, profile: Profile, *, timeout_s: float
) -> ModbusTcp:
    return ModbusTcp(
        "127.0.0.1",
        server.port,
        unit=1,
        timeout_s=timeout_s,
        manners=profile.manners,
    )


def cycle(
    plan: HarvestPlan, transport: ModbusTcp, device: FaultyDevice, now_s: float
) -> list[Block]:
    """Read what is due, as the gateway does."""
    blocks: list[Block] = []
    due = deque(plan.due(now_s))
    while due:
        part = due.popleft()
        others: tuple[RegisterRange, ...] = ()
        try:
            transport.connect()
            blocks.append(transport.read(part))
            others = plan.answered(part, now_s)
        except Refused as refusal:
            assert part in device.refused
            if refusal.exception_code in NO_SUCH_REGISTERS:
                others = plan.refused(part, now_s)
            else:
                others = plan.busy(part, now_s, str(refusal))
        except DeviceError:
            assert not transport.connected
        due.extendleft(reversed(others))
    return blocks


def fault_lists() -> st.SearchStrategy[list[str]]:
    quick = st.sampled_from([name for name in FAULTS if name not in SLOW])
    any_fault = st.one_of(st.just("none"), quick)
    slow = st.lists(st.sampled_from(SLOW), max_size=2)
    return st.builds(
        lambda few, many, chance: chance.sample([*few, *many], len(few) + len(many)),
        slow,
        st.lists(any_fault, max_size=30),
        st.randoms(use_true_random=False),
    )


@settings(max_examples=120, deadline=None)
@given(profiles(), fault_lists(), st.lists(SEEDS, min_size=2, max_size=5))
def test_no_fault_makes_a_wrong_value_or_one_that_was_not_answered_in_the_cycle(
    server: ScriptedServer, profile: Profile, faults: list[str], seeds: list[int]
) -> None:
    device = FaultyDevice(server, faults)
    server.answer = device.answer
    transport = connection(server, profile, timeout_s=TIMEOUT_S)
    plan = HarvestPlan.for_profile(profile, full=True)
    try:
        for number, seed in enumerate(seeds):
            device.holds(content(seed))

            blocks = cycle(plan, transport, device, now_s=float(number))

            assert all(block in device.answered for block in blocks)
            check(profile, blocks, device.held)
    finally:
        transport.close()


@settings(max_examples=40, deadline=None)
@given(profiles(), SEEDS)
def test_without_a_fault_everything_is_read(
    server: ScriptedServer, profile: Profile, seed: int
) -> None:
    device = FaultyDevice(server, [])
    device.holds(content(seed))
    server.answer = device.answer
    transport = connection(server, profile, timeout_s=PATIENT_S)
    plan = HarvestPlan.for_profile(profile, full=True)
    try:
        blocks = cycle(plan, transport, device, now_s=0.0)
    finally:
        transport.close()

    read = {
        (b.function, b.address + n) for b in blocks for n in range(len(b.data) // 2)
    }
    wanted = {
        (part.function, address)
        for part in profile.harvest.full
        for address in range(part.address, part.end)
    }
    assert wanted <= read
    check(profile, blocks, device.held)

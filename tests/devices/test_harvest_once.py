from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest

from egw.devices.blocks import Block
from egw.devices.harvest_once import ATTEMPTS, Harvested, harvest_once
from egw.devices.profile import Harvest, Manners, Point, Profile, RegisterRange
from egw.devices.transport import DeviceError, NoAnswer, NoConnection, Refused


def run(address: int, count: int) -> RegisterRange:
    return RegisterRange(function="input", address=address, count=count)


PROFILE = Profile(
    name="acme",
    maker="Acme",
    display_name="Acme One",
    kind="meter",
    transports=("modbus-tcp",),
    max_power_w=10_000,
    harvest=Harvest(full=(run(0, 8), run(100, 2), run(200, 2), run(300, 2))),
    frequency="grid_frequency_hz",
    manners=Manners(max_registers=8),
    points=(
        Point(
            key="grid_frequency_hz",
            function="input",
            address=0,
            type="u16",
            count=1,
        ),
    ),
)

Answer = Callable[[RegisterRange], None]
"""Raises what the device fails with."""


class Device:
    """A transport in memory; each register holds its own address."""

    unit = 1
    sent_at_s = 0.0

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.connected = False
        self.asked: list[tuple[int, int]] = []
        self.rested_s = 0.0

    def connect(self) -> None:
        self.connected = True

    def close(self) -> None:
        self.connected = False

    def rest(self, seconds: float) -> None:
        self.rested_s += seconds

    def write(self, address: int, words: Sequence[int]) -> None:
        raise AssertionError("nothing is written")

    def read(self, registers: RegisterRange) -> Block:
        assert self.connected
        self.asked.append((registers.address, registers.count))
        self._answer(registers)
        words = range(registers.address, registers.end)
        data = b"".join(word.to_bytes(2, "big") for word in words)
        return Block("input", registers.address, data)


def harvest(answer: Answer) -> tuple[Harvested, Device]:
    device = Device(answer)
    return harvest_once(device, PROFILE, progress=lambda done, of: None), device


def places(blocks: Iterable[Block]) -> list[tuple[int, int]]:
    return [(block.address, len(block.words)) for block in blocks]


def failing(at: int, error: DeviceError, *, times: int = 10_000) -> Answer:
    """Fail each read that has the register `at`, the first `times`."""
    left = [times]

    def answer(registers: RegisterRange) -> None:
        if registers.address <= at < registers.end and left[0] > 0:
            left[0] -= 1
            raise error

    return answer


def healthy(_registers: RegisterRange) -> None:
    return None


def test_everything_is_read_once() -> None:
    harvested, device = harvest(healthy)

    assert places(harvested.blocks) == [(0, 8), (100, 2), (200, 2), (300, 2)]
    assert device.asked == places(harvested.blocks)
    assert harvested.stamp_ms <= harvested.first_read_ms <= harvested.last_read_ms


def test_a_refused_register_costs_only_itself() -> None:
    harvested, _ = harvest(failing(5, Refused(2)))

    read = {a for b in harvested.blocks for a in range(b.address, b.address + 8)}
    assert [(r.address, r.count) for r in harvested.refused] == [(5, 1)]
    assert {0, 1, 2, 3, 4, 6, 7} <= read
    assert places(harvested.blocks)[-3:] == [(100, 2), (200, 2), (300, 2)]


def test_a_busy_device_is_asked_again_after_a_pause() -> None:
    harvested, device = harvest(failing(100, Refused(6), times=ATTEMPTS - 1))

    assert (100, 2) in places(harvested.blocks)
    assert device.asked.count((100, 2)) == ATTEMPTS
    assert device.rested_s > 0


def test_what_a_device_stays_too_busy_for_is_unanswered() -> None:
    harvested, _ = harvest(failing(100, Refused(6)))

    assert [r.address for r in harvested.unanswered] == [100]
    assert [address for address, _ in places(harvested.blocks)] == [0, 200, 300]


def test_one_silent_block_does_not_end_the_harvest() -> None:
    harvested, device = harvest(failing(100, NoAnswer("no answer in time")))

    assert [r.address for r in harvested.unanswered] == [100]
    assert [address for address, _ in places(harvested.blocks)] == [0, 200, 300]
    assert device.asked.count((100, 2)) == ATTEMPTS


def test_a_lost_connection_is_made_again() -> None:
    harvested, _ = harvest(failing(200, NoConnection("broke"), times=1))

    assert harvested.unanswered == []
    assert len(harvested.blocks) == 4


def test_a_device_that_stops_answering_fails_instead_of_being_asked_to_the_end() -> (
    None
):
    def answer(registers: RegisterRange) -> None:
        if registers.address >= 100:
            raise NoAnswer("no answer in time")

    device = Device(answer)

    with pytest.raises(NoAnswer):
        harvest_once(device, PROFILE, progress=lambda done, of: None)

    assert (300, 2) not in device.asked


@pytest.mark.parametrize("error", [NoAnswer("silent"), Refused(6)])
def test_a_device_that_answers_nothing_fails(error: DeviceError) -> None:
    def answer(_registers: RegisterRange) -> None:
        raise error

    with pytest.raises(type(error)):
        harvest(answer)


def test_a_device_that_has_nothing_of_it_is_no_failure() -> None:
    def answer(_registers: RegisterRange) -> None:
        raise Refused(2)

    harvested, _ = harvest(answer)

    assert harvested.blocks == []
    assert {r.address for r in harvested.refused} >= {0, 100, 200, 300}


def test_progress_ends_with_all_done() -> None:
    told: list[tuple[int, int]] = []

    harvest_once(
        Device(healthy), PROFILE, progress=lambda done, of: told.append((done, of))
    )

    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]

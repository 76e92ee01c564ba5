from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest
from simulator_bench import RunningDevice
from simulator_client import (
    Master,
    ModbusExceptionCode,
    Ticks,
    eventually,
)

from egw.devices.loader import builtin_profiles, find_profile
from simulators.device import SimulatedDevice
from simulators.faults import HEALTHY, Faults
from simulators.plant import Grid, Plant
from simulators.vendor import quirks_of

if TYPE_CHECKING:
    from collections.abc import Callable

REQUEST = struct.pack(">BHH", 3, 40000, 2)
LONGER = struct.pack(">BHH", 3, 40000, 3)
SUNS = (0x5375, 0x6E53)
POWER_LIMIT = 61441


def read(master: Master) -> tuple[int, ...]:
    return master.read(3, 40000, 2)


def words(reply: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{(len(reply) - 2) // 2}H", reply[2:])


def test_a_second_connection_takes_over_and_ends_the_first(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(single_connection="takeover")
    first = solaredge.master()
    assert read(first) == SUNS

    second = solaredge.master()

    assert read(second) == SUNS
    assert first.is_closed_by_peer()


def test_a_closed_connection_lingers_and_a_reset_one_does_not(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(single_connection=True, linger_ms=60_000)
    first = solaredge.master()
    assert read(first) == SUNS
    now = struct.pack("ii", 1, 0)
    first.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    first.close()
    assert eventually(lambda: not solaredge.server.connections)
    second = solaredge.master()
    assert read(second) == SUNS

    second.close()

    assert solaredge.master().is_closed_by_peer()


def test_a_lingering_connection_is_free_after_its_time(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(single_connection=True, linger_ms=20)
    first = solaredge.master()
    assert read(first) == SUNS

    first.close()

    assert eventually(lambda: not solaredge.server.connections)
    assert read(solaredge.master()) == SUNS


def test_a_request_too_soon_after_connecting_is_not_answered(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(connect_delay_ms=60_000)
    master = solaredge.master()

    master.send(REQUEST)

    assert master.hears_nothing()


@pytest.mark.parametrize("oversize", ["exception", "silent", "truncate"])
def test_a_read_of_too_many_registers_meets_what_was_chosen(
    solaredge: RunningDevice, oversize: str
) -> None:
    solaredge.suffer(max_registers=2, oversize=oversize)
    master = solaredge.master()
    assert read(master) == SUNS

    master.send(LONGER)

    if oversize == "exception":
        assert master.receive()[1] == b"\x83\x03"
    elif oversize == "truncate":
        assert len(master.socket.recv(100)) == 7
    assert master.hears_nothing()


def test_a_busy_device_answers_with_its_code(solaredge: RunningDevice) -> None:
    master = solaredge.master()
    for code in (4, 6, 11):
        solaredge.suffer(busy=True, busy_code=code)

        with pytest.raises(ModbusExceptionCode) as refused:
            read(master)

        assert refused.value.args == (code,)


def test_a_late_reply_comes_after_the_next_request(solaredge: RunningDevice) -> None:
    solaredge.suffer(late=True)
    master = solaredge.master()
    master.send(REQUEST)
    assert master.hears_nothing()

    master.send(LONGER)

    transaction, reply = master.receive()
    assert transaction == 1
    assert words(reply) == SUNS


def test_a_late_reply_comes_on_the_next_connection(solaredge: RunningDevice) -> None:
    solaredge.suffer(late=True)
    first = solaredge.master()
    first.send(REQUEST)
    assert eventually(lambda: solaredge.server.counters.requests == 1)
    first.close()
    second = solaredge.master()

    second.send(LONGER)

    assert words(second.receive()[1]) == SUNS


@pytest.mark.parametrize(("kind", "expected"), [("counter", [1, 2]), ("zero", [0, 0])])
def test_a_bridge_may_have_transaction_ids_of_its_own(
    solaredge: RunningDevice, kind: str, expected: list[int]
) -> None:
    solaredge.suffer(transaction_id=kind)
    master = solaredge.master()
    master.transaction = 7_000

    seen = []
    for _ in range(2):
        master.send(REQUEST)
        transaction, reply = master.receive()
        seen.append(transaction)

    assert seen == expected
    assert words(reply) == SUNS


def test_old_data_may_come_under_the_new_transaction_id(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()
    assert read(master) == SUNS
    solaredge.suffer(previous_data=True)

    master.send(LONGER)

    transaction, reply = master.receive()
    assert transaction == 2
    assert words(reply) == SUNS


def test_trailing_bytes_follow_a_whole_reply(solaredge: RunningDevice) -> None:
    solaredge.suffer(trailing=True)
    master = solaredge.master()

    master.send(REQUEST)

    assert words(master.receive()[1]) == SUNS
    assert master.socket.recv(100) == struct.pack(">HH", *SUNS)


def test_a_write_shows_only_when_it_has_settled(solaredge: RunningDevice) -> None:
    solaredge.suffer(settle_ms=60_000)
    master = solaredge.master()
    before = master.read(3, POWER_LIMIT, 1)

    master.write(POWER_LIMIT, 55)
    master.write(POWER_LIMIT, 56)

    assert master.read(3, POWER_LIMIT, 1) == before
    solaredge.suffer(settle_ms=0)
    assert master.read(3, POWER_LIMIT, 1) == (56,)


def test_a_write_settles_in_its_time(solaredge: RunningDevice) -> None:
    solaredge.suffer(settle_ms=30)
    master = solaredge.master()

    master.write(POWER_LIMIT, 55)

    assert eventually(lambda: master.read(3, POWER_LIMIT, 1) == (55,))


def test_a_refused_write_stays_refused_while_writes_settle(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(settle_ms=30)
    master = solaredge.master()

    with pytest.raises(ModbusExceptionCode, match="3"):
        master.write(POWER_LIMIT, 101)
    with pytest.raises(ModbusExceptionCode, match="2"):
        master.write(1, 1)


def test_several_unit_ids_are_answered_under_their_own(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(units=[7])
    other, stranger = solaredge.master(unit=7), solaredge.master(unit=8)

    other.send(REQUEST)
    stranger.send(REQUEST)

    assert other.socket.recv(100)[6] == 7
    assert stranger.hears_nothing()
    assert read(solaredge.master()) == SUNS


class Night:
    """A device whose sun a test moves."""

    def __init__(self, serve: Callable[..., RunningDevice]) -> None:
        self.ticks = Ticks()
        plant = Plant(hybrid=True, start_hour=23.0, seed=1, clock=self.ticks)
        self.registers = SimulatedDevice(
            find_profile("solaredge"),
            plant,
            Grid(seed=1, clock=self.ticks),
            serial="SIM0000001",
            clock=self.ticks,
        )
        self.device = serve(self.registers)

    def end(self) -> None:
        self.ticks.now += 12 * 3600

    def voltage(self, master: Master) -> int:
        return master.read(3, 40079, 1)[0]


@pytest.fixture
def night(serve: Callable[..., RunningDevice]) -> Night:
    return Night(serve)


@pytest.mark.parametrize(("sleep", "word"), [("unavailable", 0xFFFF), ("zeros", 0)])
def test_measured_values_sleep_by_night_and_the_name_does_not(
    night: Night, sleep: str, word: int
) -> None:
    master = night.device.master()
    night.device.suffer(sleep=sleep)

    by_night = night.voltage(master)
    name = read(master)
    night.end()
    by_day = night.voltage(master)

    assert by_night == word
    assert name == SUNS
    assert by_day > 2_000


def test_a_device_may_not_answer_by_night(night: Night) -> None:
    master = night.device.master()
    night.device.suffer(sleep="silent")

    master.send(REQUEST)

    assert master.hears_nothing()
    night.end()
    assert read(master) == SUNS


def test_a_device_may_be_off_by_night(night: Night) -> None:
    night.device.suffer(sleep="off")

    with pytest.raises(ConnectionRefusedError):
        night.device.master()
    night.end()

    assert eventually(lambda: is_reachable(night.device))
    night.device.suffer(sleep=None)


def is_reachable(device: RunningDevice) -> bool:
    try:
        return read(device.master()) == SUNS
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("name", builtin_profiles())
def test_a_strict_device_bears_what_the_manners_of_its_profile_say(name: str) -> None:
    profile = find_profile(name)
    manners = profile.manners

    quirks = quirks_of(profile)

    assert bool(quirks.single_connection) is manners.single_connection
    assert quirks.max_registers == manners.max_registers
    assert quirks.min_gap_ms <= manners.gap_ms
    assert quirks.connect_delay_ms <= manners.connect_delay_ms
    assert quirks.settle_ms <= manners.settle_ms
    assert (quirks is HEALTHY) == (quirks == Faults())


def test_a_strict_huawei_lets_a_second_connection_take_over() -> None:
    quirks = quirks_of(find_profile("huawei"))

    assert quirks.single_connection == "takeover"
    assert quirks.min_gap_ms > 0
    assert quirks.connect_delay_ms > 0

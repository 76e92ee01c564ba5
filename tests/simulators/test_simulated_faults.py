from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from simulator_client import Master, ModbusExceptionCode, eventually

from simulators.faults import HEALTHY, Faults, changed, happens

if TYPE_CHECKING:
    from simulator_bench import RunningDevice

REQUEST = struct.pack(">BHH", 3, 40000, 2)
SUNS = (0x5375, 0x6E53)


def read(master: Master) -> tuple[int, ...]:
    return master.read(3, 40000, 2)


def test_latency_delays_each_reply(solaredge: RunningDevice) -> None:
    solaredge.suffer(latency_ms=60, jitter_ms=10)
    master = solaredge.master()
    began = time.monotonic()

    words = read(master)

    assert words == SUNS
    assert time.monotonic() - began >= 0.06


def test_replies_keep_their_order_when_latency_ends(solaredge: RunningDevice) -> None:
    solaredge.suffer(latency_ms=80)
    master = solaredge.master()
    master.send(REQUEST)
    assert eventually(lambda: solaredge.server.counters.requests == 1)
    solaredge.suffer(latency_ms=0)

    master.send(REQUEST)

    assert [master.receive()[0], master.receive()[0]] == [1, 2]


def test_drop_closes_the_connection_instead_of_an_answer(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(drop=True)
    master = solaredge.master()

    master.send(REQUEST)

    assert master.is_closed_by_peer()


def test_silent_device_does_not_answer_until_healed(solaredge: RunningDevice) -> None:
    solaredge.suffer(silent=True)
    master = solaredge.master()

    master.send(REQUEST)

    assert master.hears_nothing()
    solaredge.suffer(silent=False)
    assert read(master) == SUNS


def test_every_request_is_answered_with_the_wanted_exception(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(exception=4)

    with pytest.raises(ModbusExceptionCode, match="4"):
        read(solaredge.master())


def test_only_requests_that_touch_a_refused_block_are_refused(
    solaredge: RunningDevice,
) -> None:
    block = {"function": "holding", "address": 40069, "count": 37, "code": 2}
    solaredge.suffer(refuse=[block])
    master = solaredge.master()

    for address, count in ((40069, 37), (40105, 1), (40068, 2)):
        with pytest.raises(ModbusExceptionCode, match="2"):
            master.read(3, address, count)
    assert master.read(3, 40000, 61)
    assert master.read(3, 40106, 1)


def test_a_truncated_reply_is_half_a_reply(solaredge: RunningDevice) -> None:
    solaredge.suffer(truncate=True)
    master = solaredge.master()

    master.send(REQUEST)

    assert len(master.socket.recv(100)) == 6
    assert master.hears_nothing()


def test_garbage_is_not_the_reply(solaredge: RunningDevice) -> None:
    solaredge.suffer(garbage=True)
    master = solaredge.master()

    master.send(REQUEST)

    assert struct.pack(">HH", *SUNS) not in master.socket.recv(100)


def test_a_wrong_transaction_id_comes_with_the_right_words(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(wrong_transaction_id=True)
    master = solaredge.master()

    master.send(REQUEST)
    transaction, reply = master.receive()

    assert transaction != 1
    assert struct.unpack(">HH", reply[2:]) == SUNS


def test_the_previous_reply_comes_with_its_own_transaction_id(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()
    assert read(master) == SUNS
    solaredge.suffer(previous_reply=True)

    master.send(struct.pack(">BHH", 3, 40002, 1))
    transaction, reply = master.receive()

    assert transaction == 1
    assert struct.unpack(">HH", reply[2:]) == SUNS


def test_a_second_connection_is_closed_while_there_is_one(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(single_connection=True)
    first = solaredge.master()
    assert read(first) == SUNS

    second = solaredge.master()

    assert second.is_closed_by_peer()
    assert read(first) == SUNS
    first.close()
    assert eventually(lambda: not solaredge.server.connections)
    assert read(solaredge.master()) == SUNS


def test_a_request_sooner_than_the_gap_is_not_answered(
    solaredge: RunningDevice,
) -> None:
    solaredge.suffer(min_gap_ms=60_000)
    master = solaredge.master()
    assert read(master) == SUNS

    master.send(REQUEST)

    assert master.hears_nothing()
    assert solaredge.server.counters.faults == 1


def test_a_device_that_is_off_does_not_listen_until_it_is_on_again(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()
    assert read(master) == SUNS

    solaredge.suffer(off=True)

    assert master.is_closed_by_peer()
    with pytest.raises(ConnectionRefusedError):
        solaredge.master()
    solaredge.suffer(off=False)
    assert read(solaredge.master()) == SUNS


def test_a_chance_strikes_about_as_often_as_it_says() -> None:
    struck = sum(happens(0.3) for _ in range(2_000))

    assert 450 < struck < 750
    assert happens(True)
    assert not happens(False)


def test_a_change_keeps_the_faults_that_it_does_not_name() -> None:
    faults = changed(changed(HEALTHY, {"latency_ms": 5}), {"silent": True})

    assert faults == Faults(latency_ms=5, silent=True)
    assert changed(faults, None) is HEALTHY
    assert changed(faults, {"latency_ms": 0, "silent": False}) is HEALTHY


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"latency": 5}, "latency"),
        ({"drop": 1.5}, "drop"),
        ({"latency_ms": -1}, "latency_ms"),
        ({"exception": 0}, "exception"),
        ({"refuse": [{"function": "coil", "address": 1}]}, "function"),
    ],
)
def test_a_fault_that_does_not_exist_or_fit_is_named(
    change: dict[str, object], named: str
) -> None:
    with pytest.raises(msgspec.ValidationError, match=named):
        changed(HEALTHY, change)

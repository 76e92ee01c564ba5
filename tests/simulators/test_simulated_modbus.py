from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from simulator_client import ModbusExceptionCode

if TYPE_CHECKING:
    from simulator_bench import RunningDevice

HOLDING, INPUT = 3, 4
POWER_LIMIT = 61441


def test_registers_of_the_harvest_ranges_are_served(solaredge: RunningDevice) -> None:
    words = solaredge.master().read(HOLDING, 40000, 61)

    assert words[:2] == (0x5375, 0x6E53)


def test_up_to_125_registers_are_served_and_not_one_more(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()

    assert len(master.read(HOLDING, 40000, 109)) == 109
    with pytest.raises(ModbusExceptionCode, match="3"):
        master.read(HOLDING, 40000, 126)
    with pytest.raises(ModbusExceptionCode, match="3"):
        master.read(HOLDING, 40000, 0)


def test_a_register_outside_the_profile_answers_exception_2(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()

    with pytest.raises(ModbusExceptionCode, match="2"):
        master.read(HOLDING, 39999, 2)
    with pytest.raises(ModbusExceptionCode, match="2"):
        master.read(INPUT, 40000, 1)


def test_an_unknown_function_answers_exception_1(solaredge: RunningDevice) -> None:
    with pytest.raises(ModbusExceptionCode, match="1"):
        solaredge.master().ask(struct.pack(">BHH", 1, 0, 1))


def test_a_foreign_unit_id_gets_no_answer(solaredge: RunningDevice) -> None:
    stranger = solaredge.master(unit=7)

    stranger.send(struct.pack(">BHH", HOLDING, 40000, 2))

    assert stranger.hears_nothing()
    assert solaredge.master().read(HOLDING, 40000, 2)


def test_requests_sent_together_are_answered_in_order(solaredge: RunningDevice) -> None:
    master = solaredge.master()
    requests = b"".join(
        struct.pack(">HHHBBHH", number, 0, 6, 1, HOLDING, 40000, 1)
        for number in range(20)
    )

    master.socket.sendall(requests)

    assert [master.receive()[0] for _ in range(20)] == list(range(20))


def test_a_request_sent_byte_by_byte_is_answered(solaredge: RunningDevice) -> None:
    master = solaredge.master()

    for byte in struct.pack(">HHHBBHH", 9, 0, 6, 1, HOLDING, 40000, 1):
        master.socket.sendall(bytes((byte,)))

    assert master.receive()[0] == 9


def test_bytes_that_are_not_modbus_close_the_connection(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()

    master.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert master.is_closed_by_peer()
    assert solaredge.master().read(HOLDING, 40000, 1)


def test_a_writable_register_keeps_what_was_written(solaredge: RunningDevice) -> None:
    master = solaredge.master()

    single = master.ask(struct.pack(">BHH", 6, POWER_LIMIT, 55))
    after_single = master.read(HOLDING, POWER_LIMIT, 1)
    multiple = master.write(POWER_LIMIT, 66)

    assert single == struct.pack(">BHH", 6, POWER_LIMIT, 55)
    assert after_single == (55,)
    assert multiple == struct.pack(">BHH", 16, POWER_LIMIT, 1)
    assert master.read(HOLDING, POWER_LIMIT, 1) == (66,)


def test_a_value_outside_its_range_answers_exception_3_and_changes_nothing(
    solaredge: RunningDevice,
) -> None:
    master = solaredge.master()

    with pytest.raises(ModbusExceptionCode, match="3"):
        master.write(POWER_LIMIT, 101)

    assert master.read(HOLDING, POWER_LIMIT, 1) == (100,)


def test_measured_registers_cannot_be_written(solaredge: RunningDevice) -> None:
    master = solaredge.master()

    with pytest.raises(ModbusExceptionCode, match="2"):
        master.write(40083, 1)
    with pytest.raises(ModbusExceptionCode, match="2"):
        master.write(POWER_LIMIT, 50, 50)


def test_a_write_whose_byte_count_is_wrong_answers_exception_3(
    solaredge: RunningDevice,
) -> None:
    pdu = struct.pack(">BHHBH", 16, POWER_LIMIT, 2, 4, 50)

    with pytest.raises(ModbusExceptionCode, match="3"):
        solaredge.master().ask(pdu)

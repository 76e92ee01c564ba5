"""Modbus requests and replies without a transport: functions 3, 4, 6 and 16.

Source: MODBUS Application Protocol Specification V1.1b3, sections 6.3, 6.4, 6.6, 6.12.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from simulators.bank import (
    ILLEGAL_DATA_VALUE,
    ILLEGAL_FUNCTION,
    ModbusExceptionReply,
)

if TYPE_CHECKING:
    from egw.devices.profile import Function

READ_HOLDING = 3
READ_INPUT = 4
WRITE_SINGLE = 6
WRITE_MULTIPLE = 16
MAX_READ_COUNT = 125
MAX_WRITE_COUNT = 123

TABLE_OF_CODE: dict[int, Function] = {
    READ_HOLDING: "holding",
    READ_INPUT: "input",
    WRITE_SINGLE: "holding",
    WRITE_MULTIPLE: "holding",
}

_TWO_WORDS = struct.Struct(">BHH")
_REQUEST_BYTES = 5


class Registers(Protocol):
    """What a device offers to requests."""

    def read(self, function: Function, address: int, count: int) -> bytes:
        """Return `count` words, big-endian; raises ModbusExceptionReply."""

    def write(self, address: int, data: bytes) -> None:
        """Write holding registers as a master asked; raises ModbusExceptionReply."""


def answer(pdu: bytes, registers: Registers) -> bytes:
    """Return the reply to a request, which may be an exception reply."""
    code = pdu[0]
    try:
        if code in (READ_HOLDING, READ_INPUT):
            return _read(pdu, registers)
        if code == WRITE_SINGLE:
            return _write_single(pdu, registers)
        if code == WRITE_MULTIPLE:
            return _write_multiple(pdu, registers)
    except ModbusExceptionReply as refusal:
        return exception(code, refusal.code)
    return exception(code, ILLEGAL_FUNCTION)


def exception(function_code: int, code: int) -> bytes:
    """Return the exception reply with `code` to a request."""
    return bytes((function_code | 0x80, code))


def registers_asked(pdu: bytes) -> tuple[Function, int, int] | None:
    """Return table, address and count that a request touches; None: no registers."""
    table = TABLE_OF_CODE.get(pdu[0])
    if table is None or len(pdu) < _REQUEST_BYTES:
        return None
    _, address, count = _TWO_WORDS.unpack_from(pdu)
    return table, address, 1 if pdu[0] == WRITE_SINGLE else count


def _read(pdu: bytes, registers: Registers) -> bytes:
    if len(pdu) != _REQUEST_BYTES:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)
    code, address, count = _TWO_WORDS.unpack(pdu)
    if not 1 <= count <= MAX_READ_COUNT:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)
    words = registers.read(TABLE_OF_CODE[code], address, count)
    return bytes((code, 2 * count)) + words


def _write_single(pdu: bytes, registers: Registers) -> bytes:
    if len(pdu) != _REQUEST_BYTES:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)
    registers.write(_TWO_WORDS.unpack(pdu)[1], pdu[3:5])
    return pdu


def _write_multiple(pdu: bytes, registers: Registers) -> bytes:
    if len(pdu) <= _REQUEST_BYTES:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)
    _, address, count = _TWO_WORDS.unpack_from(pdu)
    data = pdu[6:]
    if not 1 <= count <= MAX_WRITE_COUNT or not len(data) == pdu[5] == 2 * count:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)
    registers.write(address, data)
    return pdu[:_REQUEST_BYTES]

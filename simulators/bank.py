"""The register image of a simulated device: two tables of 16-bit words."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egw.devices.profile import Function

ILLEGAL_FUNCTION = 1
ILLEGAL_DATA_ADDRESS = 2
ILLEGAL_DATA_VALUE = 3


class ModbusExceptionReply(Exception):
    """Raised when a request has to be answered with a Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class _Span:
    """Adjacent registers that exist."""

    __slots__ = ("end", "start", "words")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.words = bytearray(2 * (end - start))


class Bank:
    """Words by table and address; what was not declared does not exist."""

    def __init__(self, registers: Mapping[Function, Iterable[int]]) -> None:
        """Make the image, all zero.

        `registers` names the addresses (0..65535) that exist in each table.
        """
        self._tables: dict[Function, dict[int, _Span]] = {
            function: _spans_by_address(addresses)
            for function, addresses in registers.items()
        }

    def read(self, function: Function, address: int, count: int) -> bytes:
        """Return `count` words, big-endian.

        Raises ModbusExceptionReply 2 when one of them does not exist.
        """
        span = self._span(function, address, count)
        offset = 2 * (address - span.start)
        return bytes(span.words[offset : offset + 2 * count])

    def write(self, function: Function, address: int, data: bytes) -> None:
        """Put words (big-endian bytes) at `address`.

        Raises ModbusExceptionReply 2 when one of them does not exist.
        """
        span = self._span(function, address, len(data) // 2)
        offset = 2 * (address - span.start)
        span.words[offset : offset + len(data)] = data

    def slot(self, function: Function, address: int, count: int) -> memoryview:
        """Return the memory of `count` words, for a writer that comes often."""
        span = self._span(function, address, count)
        offset = 2 * (address - span.start)
        return memoryview(span.words)[offset : offset + 2 * count]

    def words(self) -> dict[Function, dict[int, int]]:
        """Return every register as table -> address -> word."""
        return {
            function: {
                address: struct.unpack_from(
                    ">H", span.words, 2 * (address - span.start)
                )[0]
                for address, span in table.items()
            }
            for function, table in self._tables.items()
        }

    def _span(self, function: Function, address: int, count: int) -> _Span:
        table = self._tables.get(function)
        span = table.get(address) if table else None
        if span is None or address + count > span.end:
            raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)
        return span


def _spans_by_address(addresses: Iterable[int]) -> dict[int, _Span]:
    by_address: dict[int, _Span] = {}
    ordered = sorted(set(addresses))
    for run in _runs(ordered):
        span = _Span(run[0], run[-1] + 1)
        by_address.update(dict.fromkeys(run, span))
    return by_address


def _runs(ordered: Sequence[int]) -> list[list[int]]:
    if not ordered:
        return []
    runs = [[ordered[0]]]
    for previous, address in pairwise(ordered):
        if address == previous + 1:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs

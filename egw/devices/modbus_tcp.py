"""Modbus TCP, through pymodbus, with every reply checked byte by byte.

pymodbus skips frames it does not expect, and reads on until the timeout. Here each
buffer is compared with the request as it arrives (pymodbus hands it to
`trace_packet`), and the first byte that is not of the one proper reply ends the
connection. Frame layout: Modbus Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3.
"""

from __future__ import annotations

import contextlib
import logging
import select
import struct
import time
from collections.abc import Callable, Sequence

import msgspec
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from egw.devices.blocks import Block
from egw.devices.late_replies import LateReplies
from egw.devices.profile import Manners, RegisterRange
from egw.devices.sockets import connect
from egw.devices.transport import (
    MAX_READ,
    Garbage,
    NoAnswer,
    NoConnection,
    Refused,
)

_LENGTH_COUNTS_FROM = 6
"""Transaction, protocol and length take two bytes each; the length counts what
follows: unit, function code and data."""

_EXCEPTION_BIT = 0x80

logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class _RegistersReply(ModbusPDU):
    def __str__(self) -> str:
        """Spare pymodbus the long form, which it makes for each reply it might log."""
        return "registers"


class _HoldingReply(_RegistersReply):
    """Reply to function 3; its words are taken from the frame, not one by one."""

    function_code = 3


class _InputReply(_RegistersReply):
    """Reply to function 4; its words are taken from the frame, not one by one."""

    function_code = 4


class ModbusTcp:
    """A Modbus TCP connection to one device; implements `Transport`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        unit: int,
        timeout_s: float,
        manners: Manners,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a connection; `timeout_s` bounds connecting and each reply."""
        self._where = (host, port)
        self._timeout_s = timeout_s
        self.unit = unit
        self._gap_s = manners.gap_ms / 1000
        self._connect_delay_s = manners.connect_delay_ms / 1000
        self._single_connection = manners.single_connection
        self._echoes_id = manners.echoes_transaction_id
        self._late_replies = LateReplies(monotonic)
        self._sleep = sleep
        self._monotonic = monotonic
        self._quiet_since_s = 0.0
        self.sent_at_s = 0.0
        self._arrivals = select.poll()
        self._expected = b""
        self._reply = b""
        self._client = ModbusTcpClient(
            host, port=port, timeout=timeout_s, retries=0, trace_packet=self._inspect
        )
        self._client.register(_HoldingReply)
        self._client.register(_InputReply)

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        return self._client.socket is not None

    def connect(self) -> None:
        """Connect, if not connected, and wait as long as the device needs after it.

        Raises NoConnection.
        """
        if self.connected:
            return
        # pymodbus's own connect does not say why it failed.
        connection = connect(
            self._where, self._timeout_s, reset_at_end=self._single_connection
        )
        self._client.socket = connection
        self._arrivals = select.poll()
        self._arrivals.register(connection, select.POLLIN)
        if self._connect_delay_s:
            self._sleep(self._connect_delay_s)
        if self._late_replies:
            self._await_late_reply()
        self._quiet_since_s = self._monotonic()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._client.close()  # type: ignore[no-untyped-call]

    def rest(self, seconds: float) -> None:
        """Leave the device alone for so long."""
        self._sleep(seconds)

    def read(self, registers: RegisterRange) -> Block:
        """Read up to 125 registers in one request.

        Raises Refused, and after closing the connection NoConnection, NoAnswer or
        Garbage.
        """
        if registers.count > MAX_READ:
            raise ValueError(f"one request reads {MAX_READ} registers at most")
        size = 2 * registers.count
        if registers.function == "holding":
            function, read = 3, self._client.read_holding_registers
        else:
            function, read = 4, self._client.read_input_registers
        expected = struct.pack(">HBBB", size + 3, self.unit, function, size)
        if self._late_replies.may_be(expected):
            self._read_other_length(registers)
        self._exchange(
            lambda: read(registers.address, count=registers.count, device_id=self.unit),
            expected,
        )
        return Block(registers.function, registers.address, self._reply[9:])

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write up to 123 holding registers in one request (function 16).

        Raises as `read` does.
        """
        self._exchange(
            lambda: self._client.write_registers(
                address, list(words), device_id=self.unit
            ),
            struct.pack(">HBBHH", 6, self.unit, 16, address, len(words)),
        )

    def _read_other_length(self, registers: RegisterRange) -> None:
        """Read something else before a read that a late reply would fit.

        A bridge answers in order: after the reply to this, none of before can come.
        """
        count = self._late_replies.other_count(MAX_READ)
        with contextlib.suppress(Refused):
            self.read(msgspec.structs.replace(registers, count=count))

    def _exchange(self, request: Callable[[], ModbusPDU], expected: bytes) -> None:
        """Send a request and await its reply, which starts with `expected`.

        `expected` begins with the length, after the transaction and protocol id.
        """
        if self._client.socket is None:  # pymodbus would connect on its own
            raise NoConnection("not connected")
        if self._gap_s:
            self._wait_for_gap()
        if self._arrivals.poll(0):
            self._refuse_what_has_arrived()
        self._expected = expected
        try:
            request()
        except Garbage:
            self._give_up(expected)
            raise
        except (ConnectionException, OSError) as error:
            self.close()
            raise NoConnection("the connection broke") from error
        except ModbusException as error:
            self._give_up(expected)
            raise NoAnswer("no answer in time") from error
        finally:
            self._quiet_since_s = self._monotonic()
        if self._reply[7] & _EXCEPTION_BIT:
            raise Refused(self._reply[8])
        self._late_replies.clear()

    def _give_up(self, expected: bytes) -> None:
        self.close()
        if not self._echoes_id:
            self._late_replies.expect(expected)

    def _await_late_reply(self) -> None:
        """Let a reply that was given up for lost arrive, and drop it.

        A bridge with transaction ids of its own may send it into the next connection.
        """
        self._sleep(self._timeout_s)
        self._take_arrived()

    def _refuse_what_has_arrived(self) -> None:
        """Close the connection: before a request is sent, nothing may wait in it.

        It is a reply to an earlier request, and would be taken for the reply to this
        one if only its numbers fit.
        """
        late = self._take_arrived()
        if late:
            self.close()
            raise Garbage("a reply came that nobody waited for")

    def _take_arrived(self) -> bytes:
        """Return what waits in the socket. Raises NoConnection when it has ended."""
        try:
            arrived = self._client.recv(None) if self._arrivals.poll(0) else None
        except (ConnectionException, OSError) as error:
            self.close()
            raise NoConnection("the connection broke") from error
        return arrived or b""

    def _wait_for_gap(self) -> None:
        rest_s = self._quiet_since_s + self._gap_s - self._monotonic()
        if rest_s > 0:
            self._sleep(rest_s)

    def _inspect(self, sending: bool, frame: bytes) -> bytes:  # noqa: FBT001
        """Note the request; compare what has arrived with its only proper reply."""
        if sending:
            self.sent_at_s = self._monotonic()
            self._expected = frame[:4] + self._expected
            return frame
        expected = self._expected
        if not self._echoes_id:
            frame = expected[: min(2, len(frame))] + frame[2:]
        self._reply = frame
        if not frame.startswith(expected) and not expected.startswith(frame):
            self._check_exception(frame)
        elif len(frame) > _LENGTH_COUNTS_FROM + int.from_bytes(expected[4:6], "big"):
            raise Garbage("more bytes than the reply has")
        return frame

    def _check_exception(self, frame: bytes) -> None:
        expected = self._expected
        if frame[:4] != expected[: len(frame[:4])]:
            raise Garbage("reply to another request")
        unit, function = expected[6], expected[7]
        exception = expected[:4] + bytes((0, 3, unit, function | _EXCEPTION_BIT))
        if not exception.startswith(frame[:8]):
            raise Garbage("not the unit, function or size that was asked for")
        if len(frame) > 9 or frame[8:] == b"\0":
            raise Garbage("not an exception reply")

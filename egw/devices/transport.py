"""What every way of talking to a device offers, and how it fails.

DeviceError
    NoConnection    there is none, or it broke
        NoPort      this machine has no such serial port
    NoAnswer        the device was silent for the whole timeout
    Refused         the device answered with a Modbus exception; nothing is broken
    Garbage         the device answered what no device may answer

After any failure but `Refused` the transport is not connected any more, and connecting
makes sure that a late reply is not taken for the reply to another request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from egw.devices.blocks import Block
from egw.devices.profile import RegisterRange

MAX_READ = 125
"""Registers in one read: Modbus Application Protocol V1.1b3, 6.3 and 6.4."""

MAX_WRITE = 123
"""Registers in one write: Modbus Application Protocol V1.1b3, 6.12."""

EXCEPTION_NAMES = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""Modbus Application Protocol Specification V1.1b3, section 7."""

NO_SUCH_REGISTERS = (1, 2, 3)
"""Exceptions that say that asking again is no use."""

NOBODY_THERE = (10, 11)
"""Exceptions with which a gateway says that it does not reach the unit."""


class DeviceError(Exception):
    """Root of everything that can go wrong with a device."""


class NoConnection(DeviceError):
    """Raised when there is no connection to the device, or it broke."""


class NoPort(NoConnection):
    """Raised when this machine has no such serial port: an adapter is not plugged in.

    Looking for it disturbs nobody.
    """


class NoAnswer(DeviceError):
    """Raised when the device did not answer in time."""


class Garbage(DeviceError):
    """Raised when what came is not the reply to the request."""


class Refused(DeviceError):
    """Raised when the device answered with a Modbus exception."""

    def __init__(self, exception_code: int) -> None:
        self.exception_code = exception_code
        super().__init__(f"device refused: {self.name}")

    @property
    def name(self) -> str:
        """The exception's name in the Modbus specification."""
        code = self.exception_code
        return EXCEPTION_NAMES.get(code, f"exception code {code}")


class Transport(Protocol):
    """A connection to one device. One request at a time; not for several threads."""

    unit: int
    """Unit id that requests are for; may be changed between two of them."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known without asking."""
        ...

    @property
    def sent_at_s(self) -> float:
        """When the last request went out, in monotonic seconds."""
        ...

    def connect(self) -> None:
        """Connect, if not connected. Raises NoConnection."""
        ...

    def close(self) -> None:
        """Close the connection, if there is one."""
        ...

    def read(self, registers: RegisterRange) -> Block:
        """Read up to 125 registers in one request. Raises DeviceError."""
        ...

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write up to 123 holding registers in one request. Raises DeviceError."""
        ...

    def rest(self, seconds: float) -> None:
        """Leave the device alone for so long."""
        ...

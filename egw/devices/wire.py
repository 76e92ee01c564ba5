"""What carries the bytes of Modbus RTU: a serial port, or TCP to a bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Parity = Literal["none", "even", "odd"]

CHARACTER_BITS = 11
"""Start bit, 8 data bits, parity or a second stop bit, stop bit: Modbus over Serial
Line V1.02, 2.5.1. Lines without parity mostly send 10; the longer time does no harm."""

_SILENT_CHARACTERS = 3.5
_FAST_BAUD = 19_200
_FAST_SILENCE_S = 0.00175


@dataclass(frozen=True, slots=True)
class SerialLine:
    """How characters are sent on a line; the default is 9600 8N1.

    RTU needs 8 data bits.
    """

    baud_rate: int = 9600
    parity: Parity = "none"
    stop_bits: int = 1

    @property
    def character_s(self) -> float:
        """How long one character takes, in seconds."""
        return CHARACTER_BITS / self.baud_rate

    @property
    def silence_s(self) -> float:
        """Pause between frames, in seconds: Modbus over Serial Line V1.02, 2.5.1.1."""
        if self.baud_rate > _FAST_BAUD:
            return _FAST_SILENCE_S
        return _SILENT_CHARACTERS * self.character_s


class Wire(Protocol):
    """Carries bytes both ways; knows nothing of frames."""

    @property
    def line(self) -> SerialLine:
        """The line that the bytes come to in the end."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent, as far as is known without trying."""
        ...

    def open(self, timeout_s: float) -> None:
        """Open it; it must be closed. Raises NoConnection."""
        ...

    def close(self) -> None:
        """Close it, if it is open."""
        ...

    def start_afresh(self) -> None:
        """Close it if opening it anew helps after a reply was lost or damaged."""
        ...

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError."""
        ...

    def receive(self, timeout_s: float) -> bytes:
        """Wait until bytes have come; none means that none did. Raises OSError."""
        ...

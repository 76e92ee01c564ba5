"""Registers as they came from a device: the currency of harvests."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egw.devices.profile import Function


@dataclass(frozen=True, slots=True)
class Block:
    """A run of registers that the device answered in one reply."""

    function: Function
    address: int
    """Wire address of the first register."""
    data: bytes
    """The words, big-endian, two bytes each."""

    @property
    def words(self) -> tuple[int, ...]:
        """The registers as unsigned 16-bit numbers."""
        return struct.unpack(f">{len(self.data) // 2}H", self.data)

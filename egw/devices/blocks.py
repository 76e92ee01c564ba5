"""Registers as they came from a device: the currency of harvests."""

from __future__ import annotations

import struct

import msgspec

from egw.devices.profile import Function


class Block(msgspec.Struct, frozen=True, gc=False):
    """A run of registers that the device answered in one reply.

    A struct, because thousands go between processes each second.
    """

    function: Function
    address: int
    """Wire address of the first register."""
    data: bytes
    """The words, big-endian, two bytes each."""

    @property
    def words(self) -> tuple[int, ...]:
        """The registers as unsigned 16-bit numbers."""
        return struct.unpack(f">{len(self.data) // 2}H", self.data)

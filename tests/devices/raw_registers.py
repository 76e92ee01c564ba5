"""Registers as devices send them, written down by hand, and what they decode to."""

from __future__ import annotations

import struct
from functools import cache

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import find_profile
from egw.devices.profile import Function

Registers = dict[int, int]


@cache
def decoder(name: str) -> Decoder:
    """Return the decoder of the built-in profile called `name`."""
    return Decoder(find_profile(name))


def block(function: Function, address: int, count: int, registers: Registers) -> Block:
    """Return what a device with these registers, and zeros else, answers."""
    numbers = (registers.get(n, 0) for n in range(address, address + count))
    return Block(function, address, struct.pack(f">{count}H", *numbers))


def words(address: int, *numbers: int) -> Registers:
    """Return registers from `address` on; negative numbers are 16-bit signed."""
    return {address + n: number & 0xFFFF for n, number in enumerate(numbers)}


def text(address: int, content: str) -> Registers:
    """Return registers with two characters each; an even number of them."""
    data = content.encode()
    return words(address, *struct.unpack(f">{len(data) // 2}H", data))

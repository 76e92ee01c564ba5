"""Registers of imagined inverters, and what a cycle of a profile makes of them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import find_profile
from egw.devices.meaning import Value
from egw.devices.profile import Function, Profile, RegisterRange

NOT_IMPLEMENTED = 0xFFFF
FACTOR_1 = 0
FACTOR_01 = 0xFFFF
FACTOR_001 = 0xFFFE
FACTOR_0001 = 0xFFFD
NO_FACTOR = 0x8000


def block(
    function: Function, address: int, count: int, registers: Mapping[int, int]
) -> Block:
    """Answer a read from `registers`; what is not among them is not implemented."""
    span = range(address, address + count)
    words = [registers.get(number, NOT_IMPLEMENTED) for number in span]
    return Block(function, address, struct.pack(f">{count}H", *words))


def decoded(
    profile: Profile, ranges: Sequence[RegisterRange], registers: Mapping[int, int]
) -> dict[str, Value]:
    blocks = [block(r.function, r.address, r.count, registers) for r in ranges]
    return Decoder(profile).decode(blocks)


def slim(name: str, registers: Mapping[int, int]) -> dict[str, Value]:
    """Decode what a slim cycle of the profile reads."""
    profile = find_profile(name)
    return decoded(profile, profile.harvest.slim, registers)


def full(name: str, registers: Mapping[int, int]) -> dict[str, Value]:
    """Decode what a full cycle of the profile reads."""
    profile = find_profile(name)
    ranges = (*profile.harvest.full, *profile.harvest.slim)
    return decoded(profile, ranges, registers)


def text(address: int, written: str, count: int) -> dict[int, int]:
    padded = written.encode().ljust(2 * count, b"\0")
    words = struct.unpack(f">{count}H", padded)
    return {address + number: word for number, word in enumerate(words)}


def run(address: int, *words: int) -> dict[int, int]:
    return {address + number: word for number, word in enumerate(words)}


COMMON = {
    **run(40000, 0x5375, 0x6E53, 1, 65),
    **text(40004, "SolarEdge", 16),
    **text(40020, "SE10K-RW0TEBEN4", 16),
    **text(40052, "7E1A2B3C", 16),
}

INVERTER = {
    **run(40069, 103, 50),
    **run(40071, 2174, 725, 724, 725, FACTOR_001),
    **run(40076, 3991, 3987, 3995, 2304, 2302, 2306, FACTOR_01),
    **run(40083, 49951, FACTOR_01),
    **run(40085, 4998, FACTOR_001),
    **run(40087, 4999, FACTOR_1, 0xFF9C, FACTOR_1, 0xD8F1, FACTOR_001),
    **run(40093, 0x0133, 0x6A27, FACTOR_1),
    **run(40096, 6800, FACTOR_0001, 7512, FACTOR_01, 5108, FACTOR_1),
    **run(40102, 0x8000, 4512, 0x8000, 0x8000, FACTOR_001, 4, 0),
}
"""5 kW from three phases; 40083 is read as a signed number, hence 49951 is below 0."""

FLOATS = {
    **run(40000, 0x5375, 0x6E53, 1, 65),
    **text(40004, "Fronius", 16),
    **run(40069, 113, 60),
    **run(40071, 0x41AE, 0x0000),  # 21.75
    **run(40085, 0x4366, 0x8000),  # 230.5
    **run(40091, 0x459C, 0x4000),  # 5000
    **run(40093, 0x4247, 0xEB85),  # 49.98
    **run(40097, 0xC2C8, 0x0000),  # -100
    **run(40099, 0x42C5, 0x0000),  # 98.5
    **run(40101, 0x4B3C, 0x614E),  # 12345678
    **run(40107, 0x45A0, 0x0000),  # 5120
    **run(40111, 0x7FC0, 0x0000),
    **run(40117, 5, 0),
}

"""Points decoded a second on one core, beside pymodbus's own conversion of the same.

    python -m benchmarks.decoding

Each profile's full harvest is decoded, with all that a decoded value is: named, scaled,
turned into one sign convention, absent where the device has none. pymodbus converts the
same points one by one, to raw numbers and texts. Both take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from pymodbus.client import ModbusTcpClient
from pymodbus.client.mixin import ModbusClientMixin

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.loader import find_profile
from egw.devices.profile import Function, Point, Profile, ScaleRegister

PROFILES = ("huawei", "solaredge", "sungrow", "sofar", "goodwe", "sdm630")
HARVESTS = 200
ROUNDS = 7
WORD = 0x4348
"""What most registers hold: a text, a number, and half of a float that is one."""

_DATA = ModbusClientMixin.DATATYPE
_DATA_TYPES = {
    "u16": _DATA.UINT16,
    "i16": _DATA.INT16,
    "u32": _DATA.UINT32,
    "acc32": _DATA.UINT32,
    "i32": _DATA.INT32,
    "u64": _DATA.UINT64,
    "i64": _DATA.INT64,
    "f32": _DATA.FLOAT32,
    "f64": _DATA.FLOAT64,
    "str": _DATA.STRING,
    "bitfield": _DATA.BITS,
}


def run() -> dict[str, float]:
    results: dict[str, float] = {}
    for name in PROFILES:
        ours, theirs = _points_per_s(find_profile(name))
        results[f"{name}_points_per_s"] = round(ours)
        results[f"{name}_pymodbus_points_per_s"] = round(theirs)
        results[f"{name}_ratio"] = round(ours / theirs, 1)
    return results


def _points_per_s(profile: Profile) -> tuple[float, float]:
    held = _content(profile)
    blocks = [
        Block(
            part.function,
            part.address,
            b"".join(
                held.get((part.function, a), WORD).to_bytes(2)
                for a in range(part.address, part.end)
            ),
        )
        for part in profile.harvest.full
    ]
    decoder = Decoder(profile)
    points = _told(profile, decoder, blocks)
    ours = partial(decoder.decode, blocks)
    theirs = partial(_convert, _conversions(profile, points, blocks))
    rounds = [(_cpu_s(ours), _cpu_s(theirs)) for _ in range(ROUNDS)]
    return (
        len(points) / min(ours_s for ours_s, _ in rounds),
        len(points) / min(theirs_s for _, theirs_s in rounds),
    )


def _content(profile: Profile) -> dict[tuple[Function, int], int]:
    """Return registers with which points that depend on others have a value."""
    held: dict[tuple[Function, int], int] = {}
    for point in profile.points:
        if isinstance(point.scale, ScaleRegister):
            held[point.function, point.scale.register] = 0xFFFF
    for variant in profile.variants.values():
        held.setdefault((variant.function, variant.address), variant.within[0][0])
    return held


def _told(profile: Profile, decoder: Decoder, blocks: list[Block]) -> list[Point]:
    """Return one point for each value that is told and not computed."""
    values = decoder.decode(blocks)
    return [
        profile.point(key)
        for key in values
        if profile.alternatives(key)
        and any(_offset(profile.point(key), block) is not None for block in blocks)
    ]


def _offset(point: Point, block: Block) -> int | None:
    """Return where a block has the point, in registers."""
    first = point.address - block.address
    has = 0 <= first <= len(block.data) // 2 - point.count
    return first if has and point.function == block.function else None


Conversion = tuple[list[int], int, int, _DATA, str]


def _conversions(
    profile: Profile, points: list[Point], blocks: list[Block]
) -> list[Conversion]:
    """Return each point's registers, as pymodbus returns them, and its type."""
    replies = [(block, list(block.words)) for block in blocks]
    conversions: list[Conversion] = []
    for point in points:
        for block, registers in replies:
            first = _offset(point, block)
            if first is not None:
                order = point.word_order or profile.word_order
                kind = _DATA_TYPES[point.type]
                end = first + point.count
                conversions.append((registers, first, end, kind, order))
                break
    return conversions


def _convert(conversions: list[Conversion]) -> None:
    convert = ModbusTcpClient.convert_from_registers
    for registers, first, end, kind, order in conversions:
        convert(registers[first:end], kind, order)  # type: ignore[arg-type]


def _cpu_s(harvest: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(HARVESTS):
        harvest()
    return (time.process_time() - started) / HARVESTS


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:34} {value:,}")

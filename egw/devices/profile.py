"""What a device profile says: the types behind one YAML file.

A profile is data about one type of device. Everything in it is checked once, when it
is loaded (see `egw.devices.loader`); from then on these types are trusted.
Addresses are wire addresses (0-based, as in the Modbus PDU).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Function = Literal["holding", "input"]
"""Register table: `holding` is read with function code 3, `input` with 4."""

WordOrder = Literal["big", "little"]
"""Order of the 16-bit words of a longer number; bytes in a word are always big."""

PointType = Literal[
    "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "acc32", "str", "bitfield"
]

WORDS_OF_TYPE: dict[str, int] = {
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "i32": 2,
    "u64": 4,
    "i64": 4,
    "f32": 2,
    "f64": 4,
    "acc32": 2,
}
"""Registers that a type takes; `str` and `bitfield` state a count."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen part of a profile that refuses keys it does not know."""


class RegisterRange(Strict):
    """A run of registers in one table."""

    function: Function
    address: int
    count: int


class ScaleRegister(Strict):
    """A scale factor that the device itself reports (SunSpec `sunssf`)."""

    register: int
    """Address, in the point's table, of the signed power of ten."""


class WriteRange(Strict):
    """What may be written to a point, in the point's unit."""

    min: float
    max: float


class Point(Strict):
    """One named value. value = raw * scale + offset, in `unit`."""

    key: str
    """snake_case, ends in the unit where there is one: `grid_frequency_hz`."""
    function: Function
    address: int
    type: PointType
    count: int
    """Registers taken; filled in by the loader where the type decides it."""
    scale: float | ScaleRegister = 1.0
    offset: float = 0.0
    unit: str = ""
    sign: str = ""
    """Meaning of a positive value, for example `positive=export`."""
    word_order: WordOrder | None = None
    """None: the profile's order."""
    not_available: int | None = None
    """Raw pattern that means "no value"; None: the profile's pattern for the type."""
    values: dict[int, str] = {}
    bits: dict[int, str] = {}
    write: WriteRange | None = None
    """None: the point is read-only."""
    description: str = ""


class Identification(Strict):
    """How a device names itself; None where no register is known."""

    serial: str | None = None
    """Key of the point that holds the serial number."""
    model: str | None = None
    """Key of the point that holds the model."""


class Manners(Strict):
    """What the device bears."""

    max_registers: int = 125
    """Largest block in one read (Modbus allows 125)."""
    gap_ms: int = 0
    """Pause that the device needs between two requests."""
    connect_delay_ms: int = 0
    """Pause that the device needs after a connection is made."""


class Profile(Strict):
    """One type of device."""

    name: str
    """Machine name; goes into packets as `model`."""
    maker: str
    display_name: str
    kind: Literal["inverter", "hybrid", "meter"]
    default_port: int = 502
    default_unit: int = 1
    word_order: WordOrder = "big"
    harvest: tuple[RegisterRange, ...]
    """What one harvest cycle reads, in this order."""
    frequency: str
    """Key of the point that is sampled ten times a second."""
    identification: Identification = Identification()
    not_available: dict[PointType, int] = {}
    """Raw patterns that mean "no value", by type."""
    manners: Manners = Manners()
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    """Where sources disagree: what was chosen and why."""

    def point(self, key: str) -> Point:
        """Return the point called `key`; raises KeyError when there is none."""
        for point in self.points:
            if point.key == key:
                return point
        raise KeyError(key)

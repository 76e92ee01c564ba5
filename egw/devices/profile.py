"""What a device profile says: the types behind one YAML file.

A profile is data about one type of device. Everything in it is checked once, when it
is loaded (see `egw.devices.loader`); from then on these types are trusted.
Addresses are wire addresses (0-based, as in the Modbus PDU).
"""

from __future__ import annotations

from typing import Annotated, Literal

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

Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class ProfileError(ValueError):
    """Raised when a profile is wrong or missing; one line with file, point, reason."""


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A frozen part of a profile that refuses keys it does not know."""


class RegisterRange(Strict, frozen=True, kw_only=True):
    """A run of registers in one table."""

    function: Function
    address: Address
    count: Annotated[int, msgspec.Meta(ge=1, le=65535)]

    @property
    def end(self) -> int:
        """Address of the first register after the range."""
        return self.address + self.count


class ScaleRegister(Strict, frozen=True, kw_only=True):
    """A scale factor that the device itself reports (SunSpec `sunssf`)."""

    register: Address
    """Address, in the point's table, of the signed power of ten."""


class WriteRange(Strict, frozen=True, kw_only=True):
    """What may be written to a point, in the point's unit."""

    min: float
    max: float


class Variant(Strict, frozen=True, kw_only=True):
    """A kind of this device, told by the value of one register."""

    function: Function
    address: Address
    within: Annotated[tuple[tuple[int, int], ...], msgspec.Meta(min_length=1)]
    """The device is of this kind when the register, unsigned, lies in one of these
    spans (both ends included)."""


class Point(Strict, frozen=True, kw_only=True):
    """One named value. value = raw * scale + offset, in `unit`."""

    key: Key
    """snake_case, ends in the unit where there is one: `grid_frequency_hz`."""
    function: Function
    address: Address
    type: PointType
    count: Annotated[int, msgspec.Meta(ge=1, le=125)]
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
    applies_to: tuple[str, ...] = ()
    """Variants that have the point; empty: every device has it. A device is of a
    variant only when the register that tells it was read."""
    write: WriteRange | None = None
    """None: the point is read-only."""
    description: str = ""

    @property
    def end(self) -> int:
        """Address of the first register after the point."""
        return self.address + self.count


class Identification(Strict, frozen=True, kw_only=True):
    """How a device names itself; None where no register is known."""

    serial: str | None = None
    """Key of the point that holds the serial number."""
    model: str | None = None
    """Key of the point that holds the model."""


class Manners(Strict, frozen=True, kw_only=True):
    """What the device bears."""

    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    """Largest block in one read (Modbus allows 125)."""
    gap_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """Pause that the device needs between two requests."""
    connect_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """Pause that the device needs after a connection is made."""


class Profile(Strict, frozen=True, kw_only=True):
    """One type of device."""

    name: Key
    """Machine name; goes into packets as `model`."""
    maker: Text
    display_name: Text
    kind: Literal["inverter", "hybrid", "meter"]
    default_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502
    default_unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    word_order: WordOrder = "big"
    harvest: Annotated[tuple[RegisterRange, ...], msgspec.Meta(min_length=1)]
    """What one harvest cycle reads, in this order."""
    frequency: str
    """Key of the point that is sampled ten times a second."""
    identification: Identification = Identification()
    not_available: dict[PointType, int] = {}
    """Raw patterns that mean "no value", by type."""
    variants: dict[str, Variant] = {}
    """Kinds of this device whose registers differ, by name."""
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

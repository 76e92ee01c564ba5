"""What a device profile says: the types behind one YAML file.

A profile is data about one type of device. Everything in it is checked once, when it
is loaded (see `egw.devices.loader`); from then on these types are trusted.
Addresses are wire addresses (0-based, as in the Modbus PDU).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

Function = Literal["holding", "input"]
"""Register table: `holding` is read with function code 3, `input` with 4."""

WordOrder = Literal["big", "little"]
"""Order of the 16-bit words of a longer number; bytes in a word are always big."""

TransportName = Literal["modbus-tcp", "modbus-rtu", "solarman"]

PointType = Literal[
    "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "acc32", "str", "bitfield"
]

Direction = Literal["import", "export", "charge", "discharge", "generation"]
"""What a positive register value means. Values leave the decoder in one convention:
import, charge and generation are positive."""

REVERSED_DIRECTIONS: tuple[Direction, ...] = ("export", "discharge")
"""Directions that the decoder turns round."""

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

UNIT_OF_SUFFIX = {
    "w": "W",
    "wh": "Wh",
    "v": "V",
    "a": "A",
    "hz": "Hz",
    "va": "VA",
    "var": "var",
    "vah": "VAh",
    "varh": "varh",
    "ah": "Ah",
    "percent": "%",
    "c": "°C",
    "s": "s",
    "min": "min",
    "h": "h",
    "ohm": "Ω",
    "deg": "°",
    "kg": "kg",
}
"""Unit of a point by the end of its key."""

Address = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Key = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Patterns = int | Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
"""One raw pattern, or several."""


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


class Harvest(Strict, frozen=True, kw_only=True):
    """What harvest cycles read. A full cycle reads both sets."""

    full: Annotated[tuple[RegisterRange, ...], msgspec.Meta(min_length=1)]
    slim: tuple[RegisterRange, ...] = ()
    """What every cycle reads: the values that change from second to second."""
    full_every: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 1
    """Every how manieth cycle is full; 1: all are."""


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


class Condition(Strict, frozen=True, kw_only=True):
    """Holds when the register, masked, is the value. In the point's own table."""

    register: Address
    mask: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 0xFFFF
    equals: Annotated[int, msgspec.Meta(ge=0, le=65535)]


class Point(Strict, frozen=True, kw_only=True):
    """One named value: raw * scale + offset, turned into egw's sign convention.

    Points may share a key: they are alternatives, and the first that has a value is
    taken.
    """

    key: Key
    """snake_case, ends in the unit where there is one: `grid_frequency_hz`."""
    function: Function
    address: Address
    type: PointType
    count: Annotated[int, msgspec.Meta(ge=1, le=125)]
    """Registers taken; filled in by the loader where the type decides it."""
    high_word: Address | None = None
    """Register with the upper 16 bits of a 32-bit number when they do not stand next to
    the lower ones, which are then at `address`."""
    scale: float | ScaleRegister = 1.0
    offset: float = 0.0
    positive: Direction | None = None
    """What a positive register value means, where a direction is meant at all."""
    reversed_when: Condition | None = None
    """A positive register value means the opposite when this holds."""
    word_order: WordOrder | None = None
    """None: the profile's order."""
    encoding: Literal["ascii", "reversed_hex"] = "ascii"
    """Of a `str`. `reversed_hex`: each register holds four hexadecimal digits, the
    last one first."""
    not_available: Patterns | None = None
    """Raw patterns that mean "no value"; None: the profile's patterns for the type."""
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
        return self.address + (1 if self.high_word is not None else self.count)

    @property
    def unit(self) -> str:
        """The unit that the key ends in; empty when it ends in none."""
        return unit_of(self.key)


class Derived(Strict, frozen=True, kw_only=True):
    """A value that is computed: sum of `sum` and of products, minus `minus`.

    The parts are keys of points, in egw's sign convention. An input that says "no
    value" (a tracker that this device lacks), or whose registers the device refuses (a
    battery that it lacks), adds nothing; without any input there is no value. It is
    absent when a part could merely not be read.
    """

    key: Key
    sum: tuple[Key, ...] = ()
    products: tuple[tuple[Key, Key], ...] = ()
    minus: tuple[Key, ...] = ()
    description: str = ""

    @property
    def unit(self) -> str:
        """The unit that the key ends in."""
        return unit_of(self.key)


class Sign(Strict, frozen=True, kw_only=True):
    """What a point says on each device of this type, and not on others."""

    point: Key
    pattern: str | None = None
    """Regular expression that is found in a text."""
    within: tuple[tuple[float, float], ...] = ()
    """Spans, both ends included, that hold the number."""


class Identification(Strict, frozen=True, kw_only=True):
    """How a device names itself, and how it is recognised."""

    serial: tuple[Key, ...] = ()
    """Keys of the points that may hold the serial number; the first that does."""
    model: Key | None = None
    """Key of the point that holds the model."""
    signs: tuple[Sign, ...] = ()
    """All hold for a device of this type."""


class Manners(Strict, frozen=True, kw_only=True):
    """What the device bears."""

    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    """Largest block in one read (Modbus allows 125)."""
    bridge_registers: Annotated[int, msgspec.Meta(ge=0, le=124)] = 0
    """Registers between two ranges that may be read along to save a request."""
    gap_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """Pause that the device needs between two requests."""
    connect_delay_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """Pause that the device needs after a connection is made."""
    settle_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    """How long after a write the device may still tell the old value."""
    single_connection: bool = False
    """The device serves one connection; another one is refused or ends the first."""
    units: tuple[Annotated[int, msgspec.Meta(ge=0, le=255)], ...] = ()
    """Unit ids to try after `default_unit` when none is configured."""
    echoes_transaction_id: bool = True
    """False: a bridge answers with a transaction id of its own."""


class Disagreement(Strict, frozen=True, kw_only=True):
    """A place where sources disagree."""

    about: Text
    """The points or registers, and the claims."""
    chosen: Text
    why: Text


class Profile(Strict, frozen=True, kw_only=True):
    """One type of device."""

    name: Key
    """Machine name; goes into packets as `model`."""
    maker: Text
    display_name: Text
    kind: Literal["inverter", "hybrid", "meter"]
    transports: Annotated[tuple[TransportName, ...], msgspec.Meta(min_length=1)]
    """The usual one first."""
    default_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 502
    default_unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    word_order: WordOrder = "big"
    max_power_w: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
    """Of the largest device of this type; no energy counter grows faster."""
    harvest: Harvest
    frequency: Key
    """Key of the point that is sampled ten times a second."""
    identification: Identification = Identification()
    not_available: dict[PointType, Patterns] = {}
    """Raw patterns that mean "no value", by type."""
    variants: dict[str, Variant] = {}
    """Kinds of this device whose registers differ, by name."""
    manners: Manners = Manners()
    points: tuple[Point, ...]
    derived: tuple[Derived, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    """Where sources disagree: what was chosen and why."""
    notes: tuple[str, ...] = ()

    def point(self, key: str) -> Point:
        """Return the first point called `key`; raises KeyError when there is none."""
        for point in self.points:
            if point.key == key:
                return point
        raise KeyError(key)

    def alternatives(self, key: str) -> tuple[Point, ...]:
        """Return the points called `key`, in order; there may be none."""
        return tuple(point for point in self.points if point.key == key)

    @property
    def units(self) -> dict[str, str]:
        """The unit of every point and derived value, by key."""
        keys = [p.key for p in self.points] + [d.key for d in self.derived]
        return {key: unit_of(key) for key in keys}


_SUFFIX = re.compile(r"_([a-z]+)$")


def unit_of(key: str) -> str:
    """Return the unit that a key ends in; empty when it ends in none."""
    suffix = _SUFFIX.search(key)
    return UNIT_OF_SUFFIX.get(suffix[1], "") if suffix else ""

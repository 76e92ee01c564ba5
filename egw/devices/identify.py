"""Who a device is: its unit id, its serial number, and whether it is of the type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from egw.devices.blocks import Block
from egw.devices.decode import Decoder
from egw.devices.meaning import Value
from egw.devices.merging import Whole, merge, overlap, registers_of
from egw.devices.profile import Profile, RegisterRange, Sign
from egw.devices.transport import (
    NO_SUCH_REGISTERS,
    NOBODY_THERE,
    Garbage,
    NoAnswer,
    NoConnection,
    Refused,
    Transport,
)

Read = Callable[[RegisterRange], Block]

UNIT_TRIES = 2
"""For each unit id: the next one may be another device, which one lost reply must not
put in the place of this one."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What a device says of itself."""

    serial: str
    """Empty when it names none."""
    model: str
    """Empty when it names none."""
    doubts: tuple[str, ...]
    """Each sign of its type that it does not show, in words."""


def find_unit(device: Transport, profile: Profile) -> int:
    """Try the unit ids that the profile names; return the first that answers.

    A refusal is an answer too, unless a gateway says that nobody is there. Leaves
    `device` set to the unit, and connected. Raises NoConnection when there is none to
    be had, NoAnswer when all units are silent.
    """
    point = profile.point(profile.frequency)
    wanted = RegisterRange(function=point.function, address=point.address, count=1)
    units = tuple(dict.fromkeys((profile.default_unit, *profile.manners.units)))
    for unit in units:
        device.unit = unit
        if any(_unit_answers(device, wanted) for _ in range(UNIT_TRIES)):
            return unit
    device.unit = profile.default_unit
    tried = ", ".join(str(unit) for unit in units)
    raise NoAnswer(f"no unit id answers (tried {tried})")


def _unit_answers(device: Transport, wanted: RegisterRange) -> bool:
    device.connect()
    try:
        device.read(wanted)
    except Refused as error:
        return error.exception_code not in NOBODY_THERE
    except (NoAnswer, Garbage, NoConnection):
        return False
    return True


def identify(read: Read, profile: Profile) -> Identified:
    """Ask a device who it is, in few requests.

    Raises DeviceError when `read` does, except for registers that the device does not
    have: they say nothing.
    """
    identification = profile.identification
    keys = {*identification.serial, *(sign.point for sign in identification.signs)}
    if identification.model:
        keys.add(identification.model)
    values = Decoder(profile, keys=keys).decode(_blocks(read, profile, keys))
    serials = (_text(values.get(key)) for key in identification.serial)
    doubts = (_doubt(s, values.get(s.point), profile) for s in identification.signs)
    return Identified(
        serial=next((serial for serial in serials if serial), ""),
        model=_text(values.get(identification.model or "")),
        doubts=tuple(doubt for doubt in doubts if doubt),
    )


def _blocks(read: Read, profile: Profile, keys: set[str]) -> list[Block]:
    points = [point for point in profile.points if point.key in keys]
    ranges = list(dict.fromkeys(r for p in points for r in registers_of(p, profile)))
    manners = profile.manners
    requests = merge(
        ranges,
        longest=manners.max_registers,
        bridge=manners.bridge_registers,
        whole=Whole(ranges, manners.max_registers),
    )
    blocks: list[Block] = []
    for block, _ in requests:
        found = _answers(read, [block])
        inside = [r for r in ranges if r != block and overlap(r, block)]
        blocks += found or _answers(read, inside)
    return blocks


def _answers(read: Read, ranges: Iterable[RegisterRange]) -> list[Block]:
    blocks = []
    for wanted in ranges:
        try:
            blocks.append(read(wanted))
        except Refused as error:
            if error.exception_code not in NO_SUCH_REGISTERS:
                raise
    return blocks


def _text(value: Value | None) -> str:
    """Return what a serial number or model says; zeros and flags say nothing."""
    if value is None or isinstance(value, list):
        return ""
    text = str(value)
    return text if text.strip("0") else ""


def _doubt(sign: Sign, value: Value | None, profile: Profile) -> str:
    """Return what is odd; empty when the sign holds."""
    if value is not None and _holds(sign, value, profile):
        return ""
    told = "not told" if value is None else _shown(value)
    return (
        f"{sign.point} is {told}, expected {_expected(sign, profile)}: "
        f"is it another type than {profile.name}?"
    )


def _holds(sign: Sign, value: Value, profile: Profile) -> bool:
    if sign.pattern is not None:
        return re.search(sign.pattern, str(value)) is not None
    number = value
    if isinstance(value, str):
        texts = profile.point(sign.point).values
        number = next((raw for raw, text in texts.items() if text == value), value)
    if not isinstance(number, int | float):
        return False
    return any(low <= number <= high for low, high in sign.within)


def _shown(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _expected(sign: Sign, profile: Profile) -> str:
    if sign.pattern is None:
        return " or ".join(f"{low:.15g}..{high:.15g}" for low, high in sign.within)
    texts = profile.point(sign.point).values.values()
    fitting = [f'"{text}"' for text in texts if re.search(sign.pattern, text)]
    return " or ".join(fitting) if fitting else f"a text like {sign.pattern}"

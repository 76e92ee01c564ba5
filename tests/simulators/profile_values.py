"""What the points of a profile can say, worked out from its register types.

Apart from the simulators and from the decoder, which are both compared with it.
"""

from __future__ import annotations

import math
import random
import string
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from egw.devices.profile import ScaleRegister

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egw.devices.profile import Point, Profile

    Pick = Callable[[list[int], random.Random], int]

SIGNED = ("i16", "i32", "i64")
FLOATS = ("f32", "f64")
LARGEST_EXACT = 2**53
"""Whole numbers beyond this are not all floats; a value with decimals is one."""

EXPONENTS = {"lowest": 2, "highest": -3, "random": -1}
"""What scale registers say in a pass."""


def lowest(raws: list[int], _: random.Random) -> int:
    return raws[0]


def highest(raws: list[int], _: random.Random) -> int:
    return raws[-1]


def anywhere(raws: list[int], chance: random.Random) -> int:
    return chance.randint(raws[0], raws[-1])


def is_number(point: Point) -> bool:
    return point.type not in ("str", "bitfield") and not point.values


def patterns(point: Point, profile: Profile) -> tuple[int, ...]:
    found = point.not_available
    if found is None:
        found = profile.not_available.get(point.type, ())
    return (found,) if isinstance(found, int) else found


def raw_bounds(point: Point) -> list[int]:
    """Return the lowest and the highest number of the point's type."""
    bits = 16 * point.count
    bounds = [0, (1 << bits) - 1]
    if point.type in SIGNED:
        bounds = [-(1 << bits - 1), (1 << bits - 1) - 1]
    fractional = not isinstance(point.scale, ScaleRegister) and point.scale % 1
    if bits == 64 and (fractional or isinstance(point.scale, ScaleRegister)):
        bounds = [max(bounds[0], -LARGEST_EXACT), LARGEST_EXACT]
    return bounds


def present(raw: int, point: Point, profile: Profile) -> int:
    """Return the raw number, or the next one towards zero that means a value."""
    ones = (1 << 16 * point.count) - 1
    while raw & ones in patterns(point, profile):
        raw += -1 if raw > 0 else 1
    return raw


def value_of(raw: int, point: Point, exponent: int = 0) -> float:
    """Return what a raw number means in egw's sign convention."""
    scale = point.scale
    step = Fraction(10) ** exponent
    if not isinstance(scale, ScaleRegister):
        step = Fraction(str(scale))
    native = raw * step + Fraction(str(point.offset))
    turned = -native if point.positive in ("export", "discharge") else native
    return int(turned) if turned.denominator == 1 else float(turned)


def raw_of(value: float, point: Point, exponent: int = 0) -> Fraction:
    """Return the raw number, perhaps between two, that means a value."""
    turn = -1 if point.positive in ("export", "discharge") else 1
    scale = point.scale
    step = Fraction(10) ** exponent
    if not isinstance(scale, ScaleRegister):
        step = Fraction(str(scale))
    return (turn * Fraction(str(value)) - Fraction(str(point.offset))) / step


def float_value(point: Point, pick: Pick, chance: random.Random) -> float:
    """Return an extreme or random value of a floating-point register."""
    largest = 3.0e38 if point.type == "f32" else 1.0e300
    largest *= 1e-6 if isinstance(point.scale, ScaleRegister) else abs(point.scale)
    share = {lowest: -1.0, highest: 1.0}.get(pick, chance.uniform(-1e-30, 1e-30))
    return share * largest


def text_value(point: Point, pick: Pick, chance: random.Random) -> str:
    """Return the shortest, the longest or some text."""
    if point.encoding == "reversed_hex":
        digits = chance.choices("0123456789ABCDEF", k=4 * point.count - 1)
        return "1" + "".join(digits)
    size = {lowest: 1, highest: 2 * point.count}.get(pick, point.count)
    return "".join(chance.choices(string.ascii_letters + string.digits, k=size))


def flags_value(
    point: Point, profile: Profile, pick: Pick, chance: random.Random
) -> list[str]:
    """Return no flag, as many as mean something, or some."""
    bits = 16 * point.count
    raw = present(pick([0, (1 << bits) - 1], chance), point, profile)
    return [point.bits.get(n, f"bit{n}") for n in range(bits) if raw >> n & 1]


def agrees(told: Any, expected: Any, point: Point) -> bool:
    """Tell whether a decoded value is the expected one, floats to their precision."""
    if point.type in FLOATS:
        digits = 6 if point.type == "f32" else 12
        return math.isclose(told, expected, rel_tol=10.0**-digits)
    return bool(told == expected)


def runs(addresses: Iterable[int]) -> list[list[int]]:
    """Return adjacent numbers together."""
    found: list[list[int]] = []
    for address in sorted(set(addresses)):
        if found and found[-1][-1] == address - 1:
            found[-1].append(address)
        else:
            found.append([address])
    return found

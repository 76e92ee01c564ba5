"""Points whose direction another register tells (`reversed_when`)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egw.devices.profile import Condition, Function
    from simulators.bank import Bank
    from simulators.fields import Content, Field
    from simulators.plant import Plant
    from simulators.signals import Signal

    _Values = dict[str, float | None]


class Reversals:
    """Keeps numbers and the registers that turn their sign in step."""

    def __init__(self, measured: list[tuple[Field, Signal]], bank: Bank) -> None:
        self._bank = bank
        self._signals = measured
        self._groups: dict[tuple[Function, Condition], list[Field]] = defaultdict(list)
        for field, _ in measured:
            condition = field.point.reversed_when
            if condition is not None:
                self._groups[field.point.function, condition].append(field)
        self._measured: _Values = {}
        self._held: _Values = {}

    def measure(self, plant: Plant) -> None:
        """Take what the plant says."""
        for field, signal in self._signals:
            self._measured[field.point.key] = signal(plant)

    def rest(self, value: float | None) -> None:
        """Say the same of all points."""
        self._measured = dict.fromkeys(self._measured, value)

    def hold(self, key: str, value: Content) -> None:
        """Hold a point at a value; raises ValueError when no register content says it.

        That depends on the other values held: they share the direction.
        """
        held = self._held | {key: _number(key, value)}
        for group in self._groups.values():
            turned = _direction(group, held)
            for field in group:
                if field.point.key == key:
                    _exact(field, held[key], turned=turned is True)
        self._held = held

    def settle(self) -> None:
        """Write the numbers and the registers that tell their direction."""
        values = self._measured | self._held
        for (function, condition), group in self._groups.items():
            natives = [_native(f, values.get(f.point.key)) for f in group]
            turned = _direction(group, self._held)
            if turned is None:
                turned = min(natives) < 0 and max(natives) <= 0
            for field in group:
                key = field.point.key
                if key in self._held:
                    field.put(_exact(field, self._held[key], turned=turned))
                else:
                    field.put(_rough(field, values.get(key), turned=turned))
            if any(natives):
                self._tell(function, condition, turned=turned)

    def _tell(self, function: Function, condition: Condition, *, turned: bool) -> None:
        word = int.from_bytes(self._bank.read(function, condition.register, 1))
        if turned:
            word = (word & ~condition.mask & 0xFFFF) | condition.equals
        elif word & condition.mask == condition.equals:
            word ^= condition.mask & -condition.mask
        self._bank.write(function, condition.register, word.to_bytes(2, "big"))


def _direction(group: list[Field], held: _Values) -> bool | None:
    """Return whether the held values need the reversed direction; None: either will do.

    Raises ValueError when they need both.
    """
    needs: dict[str, bool] = {}
    for field in group:
        native = _native(field, held.get(field.point.key))
        # A signed register can say a negative number in either direction.
        if native > 0 or (native < 0 and field.codec.low == 0):
            needs[field.point.key] = native < 0
    if len(set(needs.values())) > 1:
        raise ValueError(f"{' and '.join(needs)} share a direction and differ in sign")
    return next(iter(needs.values()), None)


def _native(field: Field, value: float | None) -> float:
    """Return the value in the direction of the register."""
    return (value or 0.0) * (1 if field.codec.factor > 0 else -1)


def _exact(field: Field, value: float | None, *, turned: bool) -> bytes:
    if value is None:
        return field.nothing()
    if turned and _native(field, value) < 0:
        try:
            return field.codec.encode_exact(-value)
        except ValueError:
            # The lowest number of a signed type has no positive twin.
            return field.codec.encode_exact(value)
    return field.codec.encode_exact(value)


def _rough(field: Field, value: float | None, *, turned: bool) -> bytes:
    if value is None:
        return field.codec.nothing() or bytes(2 * field.point.count)
    magnitude = turned or field.codec.low == 0
    upright = -value if magnitude and _native(field, value) < 0 else value
    return field.codec.encode(upright)


def _number(key: str, value: Content) -> float | None:
    if value is None or (
        isinstance(value, int | float) and not isinstance(value, bool)
    ):
        return value
    raise ValueError(f"{key}: expected a number, got {value!r}")

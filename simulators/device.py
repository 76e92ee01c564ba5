"""A simulated device: a profile's registers, filled by the physics when read."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

from egw.devices.profile import ScaleRegister
from simulators.bank import (
    ILLEGAL_DATA_ADDRESS,
    ILLEGAL_DATA_VALUE,
    Bank,
    ModbusExceptionReply,
)
from simulators.fields import Field, fields_of, told_by, usual_exponents
from simulators.image import addresses_of
from simulators.kind import kind_of, registers_of, variants_of
from simulators.plant import DAY_S, NOMINAL_HZ, Grid, Plant
from simulators.reversal import Reversals
from simulators.settings import constant_of, nominal_hz
from simulators.signals import flags_of, is_frequency, signal_of
from simulators.sunspec import lay_models
from simulators.texts import number_in, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from egw.devices.profile import Function, Point, Profile
    from simulators.fields import Content
    from simulators.kind import Kind, Place
    from simulators.signals import Signal

FREQUENCY_MAX_AGE_S = 0.05
MAX_AGE_S = 0.5

Doze = Literal["unavailable", "zeros"]
"""What measured registers say while the device sleeps."""


class SimulatedDevice:
    """The registers of one device; `read` and `write` are what a master reaches.

    Values are brought up to date when they are read and older than 50 ms (grid
    frequency) or 500 ms (the rest), so a device that nobody reads costs nothing.
    """

    def __init__(
        self,
        profile: Profile,
        plant: Plant,
        grid: Grid,
        *,
        serial: str,
        kind: Kind | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`kind` is the profile's usual one when it is None."""
        self.kind = kind or kind_of(profile)
        self._profile = profile
        self._plant = plant
        self._grid = grid
        self._clock = clock
        self._serial = serial
        self._above_hz = nominal_hz(profile) - NOMINAL_HZ
        self._doze: Doze | None = None
        self.bank = Bank(addresses_of(profile))
        self._exponents = usual_exponents(self.kind.points)
        self._quick: set[Place] = set()
        self._values: dict[str, Content] = {}
        """What `set_point` holds; the words of it are in `_held`."""
        self._held: dict[str, list[tuple[Field, bytes]]] = {}
        self._pins: dict[Place, bytes] = {}
        self._frequency_at = self._measured_at = float("-inf")
        self._begin()

    @property
    def is_dark(self) -> bool:
        """Whether it is night at the device."""
        self._plant.advance()
        return self._plant.is_dark

    def doze(self, how: Doze | None) -> None:
        """Say by night that measured values are unavailable or zero; None: do not."""
        self._doze = how
        self._measured_at = self._frequency_at = float("-inf")

    def read(self, function: Function, address: int, count: int) -> bytes:
        """Return the words as they are now; raises ModbusExceptionReply 2."""
        self._refresh(frequency_only=self._only_frequency(function, address, count))
        return self.bank.read(function, address, count)

    def snapshot(self) -> dict[Function, dict[int, int]]:
        """Return every register as it is now: table -> address -> word."""
        self._refresh(frequency_only=False)
        return self.bank.words()

    def write(self, address: int, data: bytes) -> None:
        """Write holding registers as a master may.

        Raises ModbusExceptionReply 2 when one of them is not writable, 3 when a value
        would leave its range.
        """
        first, last = address, address + len(data) // 2
        fields = [
            field
            for field in self._writable
            if field.point.address < last and first < field.point.end
        ]
        covered = {a for f in fields for a in range(f.point.address, f.point.end)}
        if not covered.issuperset(range(first, last)):
            raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)
        for field in fields:
            _check_range(field, self._after_write(field.point, address, data))
        self.bank.write("holding", address, data)
        for field in fields:
            self._held.pop(field.point.key, None)
            self._values.pop(field.point.key, None)

    def set_point(self, key: str, value: Content) -> None:
        """Hold a point at a value, whatever the physics says.

        The value is in the point's unit and egw's sign convention: a number; the text
        of a string or an enumeration; the names of the raised flags; None for "no
        value". It is rounded to what the registers can say, and told by every
        alternative of the key that the device has and that can say it. Raises
        ValueError when no point can say it, or the value is another kind of device's.
        """
        fields = [field for field in self._fields if field.point.key == key]
        if not fields:
            raise ValueError(f"{self._profile.name} has no point {key!r} of this kind")
        said = told_by(
            [field for field in fields if field.point.reversed_when is None], value
        )
        for field, words in said:
            self._keep_kind(field, words)
        if len(said) < len(fields):
            self._reversals.hold(key, value)
        self._held[key] = said
        self._values[key] = value
        for field, words in said:
            self._rescale(field, words)
        self._put_held()

    def free_points(self) -> None:
        """Give every point that `set_point` holds back to the physics."""
        self._values.clear()
        self._held.clear()
        self._exponents = usual_exponents(self.kind.points)
        self._frequency_at = self._measured_at = float("-inf")
        self._begin()

    def pin(self, function: Function, address: int, word: int | None) -> None:
        """Hold a register at `word`, whatever the physics says; None lets it go.

        Raises ModbusExceptionReply 2 when the register does not exist.
        """
        if word is None:
            self._pins.pop((function, address), None)
            return
        data = word.to_bytes(2, "big")
        self.bank.write(function, address, data)
        self._pins[function, address] = data

    def _begin(self) -> None:
        self._arrange()
        self._fill()
        self._refresh_frequency()
        self._refresh_rest()
        lay_models(self._profile, self.kind, self.bank)

    def _keep_kind(self, field: Field, words: bytes) -> None:
        """Refuse a value that would make the device one of another kind."""
        told = dict(self.kind.words)
        for number, place in enumerate(registers_of(field.point)):
            if place in told:
                told[place] = int.from_bytes(words[2 * number : 2 * number + 2])
        if variants_of(self._profile, told) != self.kind.variants:
            raise ValueError(f"{field.point.key}: is another kind of device's")

    def _rescale(self, field: Field, words: bytes) -> None:
        """Let points follow their scale register.

        Held values that do not fit at the new scale are let go.
        """
        place = (field.point.function, field.point.address)
        exponent = int.from_bytes(words, signed=True)
        if self._exponents.get(place, exponent) == exponent:
            return
        self._exponents[place] = exponent
        held, self._values, self._held = self._values, {}, {}
        self._arrange()
        for key, value in held.items():
            with contextlib.suppress(ValueError):
                self.set_point(key, value)

    def _refresh(self, *, frequency_only: bool) -> None:
        now = self._clock()
        if now - self._frequency_at >= FREQUENCY_MAX_AGE_S:
            self._frequency_at = now
            self._refresh_frequency()
        if not frequency_only and now - self._measured_at >= MAX_AGE_S:
            self._measured_at = now
            self._refresh_rest()

    def _only_frequency(self, function: Function, address: int, count: int) -> bool:
        quick = self._quick
        return all((function, a) in quick for a in range(address, address + count))

    def _after_write(self, point: Point, address: int, data: bytes) -> bytes:
        words = bytearray(self.bank.read("holding", point.address, point.count))
        for register in range(point.address, point.end):
            source = 2 * (register - address)
            if 0 <= source < len(data):
                target = 2 * (register - point.address)
                words[target : target + 2] = data[source : source + 2]
        return bytes(words)

    def _refresh_frequency(self) -> None:
        frequency_hz = self._grid.frequency_hz() + self._above_hz
        dozing = self._doze if self._doze and self._plant.is_dark else None
        for field in self._frequency:
            field.put(_asleep(field, dozing) or field.codec.encode(frequency_hz))
        if self._held or self._pins:
            self._put_held()

    def _refresh_rest(self) -> None:
        plant = self._plant
        plant.advance()
        if self._doze and plant.is_dark:
            for field, _ in self._measured:
                field.put(_asleep(field, self._doze) or bytes(2 * field.point.count))
            self._reversals.rest(0.0 if self._doze == "zeros" else None)
        else:
            for field, signal in self._measured:
                value = signal(plant)
                words = field.codec.encode(value) if value is not None else None
                field.put(words or _lacking(field))
            for field, flags in self._flags:
                field.put(field.words_of(flags(plant)))
            self._reversals.measure(plant)
        self._put_held()

    def _put_held(self) -> None:
        for held in self._held.values():
            for field, words in held:
                field.put(words)
        self._reversals.settle()
        for (function, address), data in self._pins.items():
            self.bank.write(function, address, data)

    def _arrange(self) -> None:
        """Say which field is filled how."""
        fields = fields_of(self._profile, self.kind, self.bank, self._exponents)
        self._fields = fields
        self._frequency: list[Field] = []
        self._measured: list[tuple[Field, Signal]] = []
        self._flags: list[tuple[Field, Callable[[Plant], list[str]]]] = []
        self._writable = [f for f in fields if f.point.write is not None]
        reversible: list[tuple[Field, Signal]] = []
        for field in fields:
            point = field.point
            signal = self._signal(point)
            flags = flags_of(point)
            if is_frequency(point):
                self._frequency.append(field)
                self._quick.update(_read_at_once(point))
            elif point.reversed_when is not None:
                reversible.append((field, signal or (lambda _: 0.0)))
            elif signal is not None:
                self._measured.append((field, signal))
            elif flags is not None:
                self._flags.append((field, flags))
        self._reversals = Reversals(reversible, self.bank)

    def _signal(self, point: Point) -> Signal | None:
        fixed = not point.unit and self._is_fixed(point)
        return None if fixed or point.type == "str" else signal_of(point, self._profile)

    def _is_fixed(self, point: Point) -> bool:
        """Tell whether a point's registers say the kind or a scale."""
        told = self._exponents.keys() | self.kind.words.keys()
        return not told.isdisjoint(registers_of(point))

    def _fill(self) -> None:
        """Write what stays as it is."""
        measured = {id(field) for field, _ in self._measured}
        for field in self._fields:
            if id(field) not in measured and not is_frequency(field.point):
                field.put(self._constant(field))
        for places in (self.kind.words, self._exponents):
            for (function, address), word in places.items():
                if not self._is_measured(function, address):
                    data = (word & 0xFFFF).to_bytes(2, "big")
                    self.bank.write(function, address, data)

    def _is_measured(self, function: Function, address: int) -> bool:
        return any(
            (function, address) in registers_of(point) and point.unit
            for point in self.kind.points
        )

    def _constant(self, field: Field) -> bytes:
        point, profile = field.point, self._profile
        if point.type == "str":
            return words_of(point, profile, self._serial)
        if point.type == "bitfield":
            return bytes(2 * point.count)
        if point.key in profile.identification.serial:
            return field.codec.encode(number_in(self._serial))
        return field.codec.encode(constant_of(point, profile, self._plant))


def simulated(
    profile: Profile,
    grid: Grid,
    *,
    serial: str,
    variants: Collection[str] = (),
    without: Collection[str] = (),
    rated_power_w: float = 10_000.0,
    start_hour: float = 10.0,
    day_length_s: float = DAY_S,
) -> SimulatedDevice:
    """Return a device of the kind that has these variants, on a plant of its own.

    Raises ValueError when there is no such kind.
    """
    kind = kind_of(profile, variants, without)
    plant = Plant(
        hybrid=kind.has_battery,
        phases=kind.phases,
        rated_power_w=rated_power_w,
        start_hour=start_hour,
        day_length_s=day_length_s,
    )
    return SimulatedDevice(profile, plant, grid, serial=serial, kind=kind)


def _read_at_once(point: Point) -> Iterator[Place]:
    """Yield what a sampling of the frequency reads."""
    yield from registers_of(point)
    if isinstance(point.scale, ScaleRegister):
        yield point.function, point.scale.register


def _check_range(field: Field, words: bytes) -> None:
    allowed = field.point.write
    value = field.codec.decode(words)
    if allowed is None or not allowed.min <= round(value, 9) <= allowed.max:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)


def _lacking(field: Field) -> bytes:
    """Return what a point says that the device lacks: "no value", or else zero."""
    return field.codec.nothing() or bytes(2 * field.point.count)


def _asleep(field: Field, dozing: Doze | None) -> bytes | None:
    if dozing is None:
        return None
    zeros = bytes(2 * field.point.count)
    return zeros if dozing == "zeros" else field.codec.nothing() or zeros

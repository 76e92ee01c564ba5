"""A simulated device: a profile's registers, filled by the physics when read."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

from egw.devices.profile import ScaleRegister
from simulators.bank import (
    ILLEGAL_DATA_ADDRESS,
    ILLEGAL_DATA_VALUE,
    Bank,
    ModbusExceptionReply,
)
from simulators.codec import Codec, codec_of, encode_text
from simulators.plant import Grid, Plant
from simulators.signals import constant_of, is_frequency, meter_exports, signal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from egw.devices.profile import Function, Point, Profile
    from simulators.signals import Signal

FREQUENCY_MAX_AGE_S = 0.05
MAX_AGE_S = 0.5

_EXPONENT_OF_UNIT = {"Hz": -2, "V": -1, "A": -2, "degC": -2, "C": -2, "%": -2}
"""Power of ten that a device with scale registers reports, by unit; others 0."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._profile = profile
        self._plant = plant
        self._grid = grid
        self._clock = clock
        self._texts = _texts(profile, serial)
        self._meter_exports = meter_exports(profile.points)
        self.bank = Bank(_addresses(profile))
        self._frequency: list[tuple[Codec, memoryview]] = []
        self._quick: set[tuple[Function, int]] = set()
        self._measured: list[tuple[Codec, memoryview, Signal]] = []
        self._writable: list[tuple[Point, Codec]] = []
        self._pins: dict[tuple[Function, int], bytes] = {}
        self._fill()
        self._frequency_at = self._measured_at = float("-inf")
        self._refresh_frequency()
        self._refresh_rest()

    def read(self, function: Function, address: int, count: int) -> bytes:
        """Return the words as they are now; raises ModbusExceptionReply 2."""
        self._refresh(frequency_only=self._only_frequency(function, address, count))
        return self.bank.read(function, address, count)

    def snapshot(self) -> dict[Function, dict[int, int]]:
        """Return every register as it is now: table -> address -> word."""
        self._refresh(frequency_only=False)
        return self.bank.words()

    def _refresh(self, *, frequency_only: bool) -> None:
        now = self._clock()
        if now - self._frequency_at >= FREQUENCY_MAX_AGE_S:
            self._frequency_at = now
            self._refresh_frequency()
        if not frequency_only and now - self._measured_at >= MAX_AGE_S:
            self._measured_at = now
            self._refresh_rest()

    def write(self, address: int, data: bytes) -> None:
        """Write holding registers as a master may.

        Raises ModbusExceptionReply 2 when one of them is not writable, 3 when a value
        would leave its range.
        """
        first, last = address, address + len(data) // 2
        points = [
            (point, codec)
            for point, codec in self._writable
            if point.address < last and first < point.address + point.count
        ]
        covered = {
            register
            for point, _ in points
            for register in range(point.address, point.address + point.count)
        }
        if not covered.issuperset(range(first, last)):
            raise ModbusExceptionReply(ILLEGAL_DATA_ADDRESS)
        for point, codec in points:
            _check_range(point, codec, self._after_write(point, address, data))
        self.bank.write("holding", address, data)

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

    def _only_frequency(self, function: Function, address: int, count: int) -> bool:
        registers = range(address, address + count)
        return all((function, register) in self._quick for register in registers)

    def _after_write(self, point: Point, address: int, data: bytes) -> bytes:
        words = bytearray(self.bank.read("holding", point.address, point.count))
        for register in range(point.address, point.address + point.count):
            source = 2 * (register - address)
            if 0 <= source < len(data):
                target = 2 * (register - point.address)
                words[target : target + 2] = data[source : source + 2]
        return bytes(words)

    def _refresh_frequency(self) -> None:
        frequency_hz = self._grid.frequency_hz()
        for codec, slot in self._frequency:
            slot[:] = codec.encode(frequency_hz)
        self._hold_pins()

    def _refresh_rest(self) -> None:
        plant = self._plant
        plant.advance()
        for codec, slot, signal in self._measured:
            slot[:] = codec.encode(signal(plant))
        self._hold_pins()

    def _hold_pins(self) -> None:
        for (function, address), data in self._pins.items():
            self.bank.write(function, address, data)

    def _fill(self) -> None:
        points = _own_points(self._profile)
        exponents = dict(_scale_registers(points))
        taken = set(exponents)
        for (function, address), exponent in exponents.items():
            self.bank.write(function, address, struct.pack(">h", exponent))
        for point in points:
            registers = {(point.function, a) for a in _registers(point)}
            # A scale register is often a point as well; its exponent stands already.
            if taken.isdisjoint(registers):
                taken |= registers
                self._fill_point(point, exponents)

    def _fill_point(
        self, point: Point, exponents: dict[tuple[Function, int], int]
    ) -> None:
        slot = self.bank.slot(point.function, point.address, point.count)
        if point.type == "str":
            slot[:] = encode_text(self._texts.get(point.key, ""), point.count)
            return
        scale = point.scale
        register = scale.register if isinstance(scale, ScaleRegister) else point.address
        exponent = exponents.get((point.function, register), 0)
        codec = codec_of(point, self._profile.word_order, exponent)
        signal = signal_of(point, meter_exports=self._meter_exports)
        if point.write is not None and point.function == "holding":
            self._writable.append((point, codec))
            slot[:] = codec.encode(constant_of(point, self._plant))
        elif is_frequency(point):
            self._frequency.append((codec, slot))
            self._quick.update((point.function, a) for a in _registers(point))
            self._quick.add((point.function, register))
        elif signal is not None:
            self._measured.append((codec, slot, signal))
        else:
            slot[:] = codec.encode(constant_of(point, self._plant))


def _check_range(point: Point, codec: Codec, words: bytes) -> None:
    allowed = point.write
    if allowed is None or not allowed.min <= codec.decode(words) <= allowed.max:
        raise ModbusExceptionReply(ILLEGAL_DATA_VALUE)


def _registers(point: Point) -> range:
    return range(point.address, point.address + point.count)


def _own_points(profile: Profile) -> list[Point]:
    """Return the points without those of variants that this device is not."""
    foreign = _foreign_variants(profile)
    return [
        point
        for point in profile.points
        if not point.applies_to or not foreign.issuperset(point.applies_to)
    ]


def _foreign_variants(profile: Profile) -> set[str]:
    """Of variants that use the same registers for different things, keep the first."""
    variants = dict.fromkeys(v for point in profile.points for v in point.applies_to)
    foreign: set[str] = set()
    claimed: set[tuple[Function, int]] = set()
    for variant in sorted(variants, key="hybrid".__eq__):
        registers = {
            (point.function, register)
            for point in profile.points
            if variant in point.applies_to
            for register in _registers(point)
        }
        if claimed.isdisjoint(registers):
            claimed |= registers
        else:
            foreign.add(variant)
    return foreign


def _scale_registers(
    points: Iterable[Point],
) -> Iterator[tuple[tuple[Function, int], int]]:
    for point in points:
        if isinstance(point.scale, ScaleRegister):
            exponent = _EXPONENT_OF_UNIT.get(point.unit, 0)
            yield (point.function, point.scale.register), exponent


def _addresses(profile: Profile) -> dict[Function, set[int]]:
    addresses: dict[Function, set[int]] = {"holding": set(), "input": set()}
    for run in profile.harvest:
        addresses[run.function].update(range(run.address, run.address + run.count))
    for point in profile.points:
        addresses[point.function].update(_registers(point))
    for (function, address), _ in _scale_registers(profile.points):
        addresses[function].add(address)
    return addresses


_MODEL_OF_MAKER = {
    "solaredge": "SE10K-RW0TEBEN4",
    "huawei": "SUN2000-10KTL-M1",
    "growatt": "MOD 10KTL3-X",
}


def _texts(profile: Profile, serial: str) -> dict[str, str]:
    identification = profile.identification
    model = _MODEL_OF_MAKER.get(profile.maker.lower(), f"{profile.maker} 10K")
    texts = {
        "sunspec_marker": "SunS",
        "manufacturer": profile.maker,
        "firmware_version": "1.0.0",
        "arm_firmware_version": "SIM_ARM_1.0.0",
        "dsp_firmware_version": "SIM_DSP_1.0.0",
        "part_number": "SIM-PART",
        "model": model,
    }
    for point in profile.points:
        if "serial_number" in point.key and not point.key.startswith("meter_"):
            texts[point.key] = serial
    if identification.model is not None:
        texts[identification.model] = model
    if identification.serial is not None:
        texts[identification.serial] = serial
    return texts

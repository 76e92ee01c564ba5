"""What others ask of a device, checked before the device is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egw.devices.decode import Decoder
from egw.devices.encode import encode_value
from egw.devices.merging import registers_of
from egw.devices.profile import RegisterRange
from egw.devices.transport import NO_SUCH_REGISTERS
from egw.devices.transport import Refused as DeviceRefused
from egw.runtime import Refused

if TYPE_CHECKING:
    from egw.actors.line import Line
    from egw.devices.blocks import Block
    from egw.devices.profile import Point, Profile
    from egw.messages import ReadRegisters, WritePoint

_ADDRESSES = 65536


def registers_to_read(profile: Profile, asked: ReadRegisters) -> RegisterRange:
    """Return what to read; raises Refused `invalid` for what no request can have."""
    most = profile.manners.max_registers
    if not 1 <= asked.count <= most:
        raise Refused("invalid", f"count: found {asked.count}, expected 1 to {most}")
    last = _ADDRESSES - asked.count
    if not 0 <= asked.address <= last:
        raise Refused(
            "invalid", f"address: found {asked.address}, expected 0 to {last}"
        )
    return RegisterRange(
        function=asked.function, address=asked.address, count=asked.count
    )


class Writing:
    """One write of a point: to the registers that this device has, and read back."""

    def __init__(self, profile: Profile, asked: WritePoint) -> None:
        """Check what is asked.

        Raises Refused `invalid` for a point that is unknown or read-only, and for a
        value that it cannot have.
        """
        self._profile = profile
        self._key = asked.key
        self._value = asked.value
        self._points = profile.alternatives(asked.key)
        if not self._points:
            raise Refused("invalid", f"{profile.name} has no point {asked.key}")
        errors = [error for point in self._points if (error := self._wrong(point))]
        if len(errors) == len(self._points):
            raise Refused("invalid", errors[0])

    def carry_out(self, line: Line) -> float:
        """Write the point; returns what the device then tells.

        Raises DeviceError, and Refused `invalid` when the device is not one of those
        that have the point.
        """
        point = self._point_of(line)
        if error := self._wrong(point):
            raise Refused("invalid", error)
        words = encode_value(self._profile, point, self._value)
        line.write(point.address, words)
        blocks = self._read(line, point)
        settle_s = self._profile.manners.settle_ms / 1000
        if settle_s and blocks[0].words != words:
            line.device.rest(settle_s)
            blocks = self._read(line, point)
        told = Decoder(self._profile, keys={self._key}).decode(blocks).get(self._key)
        return float(told) if isinstance(told, int | float) else self._value

    def _wrong(self, point: Point) -> str:
        try:
            encode_value(self._profile, point, self._value)
        except ValueError as error:
            return str(error)
        return ""

    def _point_of(self, line: Line) -> Point:
        """Ask the device which of the alternatives it has, when there is a choice."""
        if len(self._points) == 1 and not self._points[0].applies_to:
            return self._points[0]
        for point in self._points:
            if self._has(line, point):
                return point
        names = sorted({name for point in self._points for name in point.applies_to})
        kinds = f" (only {', '.join(names)})" if names else ""
        raise Refused("invalid", f"{self._key}: this device does not have it{kinds}")

    def _has(self, line: Line, point: Point) -> bool:
        try:
            if not point.applies_to:
                return bool(self._read(line, point))
            return any(self._is_of(line, name) for name in point.applies_to)
        except DeviceRefused as error:
            if error.exception_code not in NO_SUCH_REGISTERS:
                raise
            return False

    def _is_of(self, line: Line, name: str) -> bool:
        variant = self._profile.variants[name]
        where = RegisterRange(
            function=variant.function, address=variant.address, count=1
        )
        (word,) = line.read(where).words
        return any(low <= word <= high for low, high in variant.within)

    def _read(self, line: Line, point: Point) -> list[Block]:
        return [line.read(part) for part in registers_of(point, self._profile)]

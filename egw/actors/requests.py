"""What others ask of a device, checked before the device is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egw.devices.encode import encode_value
from egw.devices.profile import RegisterRange
from egw.runtime import Refused

if TYPE_CHECKING:
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


def words_to_write(
    profile: Profile, asked: WritePoint
) -> tuple[RegisterRange, tuple[int, ...]]:
    """Return where to write what.

    Raises Refused `invalid` for a point that is unknown or read-only, and for a value
    that it cannot have.
    """
    try:
        point = profile.point(asked.key)
        words = encode_value(profile, point, asked.value)
    except KeyError:
        raise Refused("invalid", f"{profile.name} has no point {asked.key}") from None
    except ValueError as error:
        raise Refused("invalid", str(error)) from error
    return registers_of(point), words


def registers_of(point: Point) -> RegisterRange:
    """Return the registers that a point takes."""
    return RegisterRange(
        function=point.function, address=point.address, count=point.count
    )

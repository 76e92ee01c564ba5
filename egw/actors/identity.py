"""Who a device is, found out as soon as it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egw.devices.identify import find_unit, identify
from egw.devices.transport import Refused

if TYPE_CHECKING:
    from egw.actors.line import Line
    from egw.actors.settings import DeviceSettings
    from egw.devices.profile import Profile

_REFUSALS = 20
_ASKED_AGAIN_S = 300.0


class Identity:
    """Unit id, serial number, and doubts whether the device is of its type."""

    def __init__(self, profile: Profile, settings: DeviceSettings, line: Line) -> None:
        self.sn = ""
        """Empty until it is known."""
        self.model = ""
        self.doubts: tuple[str, ...] = ()
        self.unit_is_known = settings.unit is not None or not profile.manners.units
        self._profile = profile
        self._settings = settings
        self._line = line
        self._refusals = 0
        self._next_at_s = 0.0
        unit = settings.unit
        line.device.unit = profile.default_unit if unit is None else unit

    def find_unit(self) -> int:
        """Find the unit id that answers. Raises DeviceError when none does."""
        unit = find_unit(self._line.device, self._profile)
        self.unit_is_known = True
        return unit

    def is_due(self, now_s: float) -> bool:
        """Whether to ask the device who it is: at first, and again while in doubt."""
        return now_s >= self._next_at_s

    def find_out(self, now_s: float) -> bool:
        """Ask the device who it is; returns whether its serial number is new.

        It is the device's own, else the configured one, else its name, and stays.
        Raises DeviceError.
        """
        is_new, serial = not self.sn, ""
        try:
            found = identify(self._line.read_in_pieces, self._profile)
        except Refused:
            self._refusals += 1
            if self._refusals < _REFUSALS:
                return False
            self._next_at_s = now_s + _ASKED_AGAIN_S
        else:
            serial, self.model, self.doubts = found.serial, found.model, found.doubts
            self._next_at_s = now_s + _ASKED_AGAIN_S if found.doubts else float("inf")
        self.sn = self.sn or serial or self._settings.sn or self._settings.name
        return is_new

"""Who a device is, found out as soon as it can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egw.devices.blocks import Block
from egw.devices.identify import find_unit, identify
from egw.devices.profile import RegisterRange
from egw.devices.transport import NO_SUCH_REGISTERS, Refused

if TYPE_CHECKING:
    from egw.actors.line import Line
    from egw.actors.settings import DeviceSettings
    from egw.devices.profile import Profile
    from egw.runtime.clock import Clock

_REFUSALS = 20
_ASKED_AGAIN_S = 300.0


class _NoTime(Exception):
    """Raised when the next question must wait for the next turn."""


class Identity:
    """Unit id, serial number, and doubts whether the device is of its type."""

    def __init__(
        self, profile: Profile, settings: DeviceSettings, line: Line, clock: Clock
    ) -> None:
        self.sn = ""
        """Empty until it is known."""
        self.model = ""
        self.doubts: tuple[str, ...] = ()
        self.unit_is_known = settings.unit is not None or not profile.manners.units
        self._profile = profile
        self._settings = settings
        self._line = line
        self._clock = clock
        self._answers: dict[RegisterRange, Block | Refused] = {}
        self._until_s = 0.0
        self._asked = False
        self._other_sn = ""
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

    @property
    def is_another(self) -> bool:
        """Whether the device names another serial number than it had so far."""
        return bool(self._other_sn)

    def ask_again(self) -> None:
        """Ask again as soon as the device answers: it may be another one then."""
        self._next_at_s = 0.0
        self._refusals = 0
        self._forget_answers()

    def find_out(self, *, until_s: float, may_change: bool) -> bool:
        """Go on asking the device who it is; returns whether its serial number is new.

        One question at least, others while they will be over by `until_s`: a slow
        device needs several calls, in which `is_due` stays true. So it does while the
        device names another serial number than before but it must not change yet.

        The number is the device's own, else the configured one, else its name.
        Raises DeviceError.
        """
        self._until_s, self._asked = until_s, False
        try:
            found = identify(self._read_in_pieces, self._profile)
        except _NoTime:
            return False
        except Refused:
            self._forget_answers()
            self._refusals += 1
            if self._refusals < _REFUSALS:
                return False
            self._next_at_s = self._clock.monotonic() + _ASKED_AGAIN_S
            return self._take("")
        self._forget_answers()
        if not self._may_be(found.serial, may_change=may_change):
            return False
        self.model, self.doubts = found.model, found.doubts
        asked_again_s = _ASKED_AGAIN_S if found.doubts else float("inf")
        self._next_at_s = self._clock.monotonic() + asked_again_s
        return self._take(found.serial)

    def _may_be(self, serial: str, *, may_change: bool) -> bool:
        """Tell whether to believe a serial number: another one only when told twice."""
        if not self.sn or serial in ("", self.sn):
            self._other_sn = ""
            return True
        is_certain, self._other_sn = serial == self._other_sn, serial
        return is_certain and may_change

    def _take(self, serial: str) -> bool:
        former, self._other_sn = self.sn, ""
        settings = self._settings
        self.sn = serial or self.sn or settings.sn or settings.name
        return self.sn != former

    def _forget_answers(self) -> None:
        self._answers = {}

    def _read_in_pieces(self, wanted: RegisterRange) -> Block:
        """Read registers that may be too many for the device, in several requests.

        Only for what does not change: a number could be torn. Raises DeviceError.
        """
        function, most = wanted.function, self._line.sizes.limit
        pieces = [
            RegisterRange(
                function=function, address=first, count=min(most, wanted.end - first)
            )
            for first in range(wanted.address, wanted.end, most)
        ]
        data = b"".join(self._read(piece).data for piece in pieces)
        return Block(function, wanted.address, data)

    def _read(self, wanted: RegisterRange) -> Block:
        known = self._answers.get(wanted)
        if isinstance(known, Refused):
            raise known
        if known is not None:
            return known
        now_s = self._clock.monotonic()
        took_s = now_s - self._line.device.sent_at_s
        if self._asked and now_s + took_s > self._until_s:
            raise _NoTime
        self._asked = True
        try:
            block = self._answers[wanted] = self._line.read(wanted)
        except Refused as error:
            if error.exception_code in NO_SUCH_REGISTERS:
                self._answers[wanted] = error
            raise
        return block

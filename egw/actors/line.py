"""The one connection of a device: what is asked, how that goes, when to try again."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from egw.devices.identify import UNIT_TRIES
from egw.devices.transport import DeviceError, NoConnection, NoPort, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egw.devices.block_size import BlockSize
    from egw.devices.blocks import Block
    from egw.devices.profile import Manners, RegisterRange
    from egw.devices.transport import Transport
    from egw.messages import DeviceState
    from egw.runtime.clock import Clock

_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LONGEST_PAUSE_FOR_A_PORT_S = 3.0
_JUDGED_REQUESTS = 100
_REQUESTS_AT_ONCE = 6
_MARGIN_S = 2.0


class Waiting(DeviceError):
    """Raised in the pause between two attempts to connect."""


def patience_s(timeout_s: float, manners: Manners) -> float:
    """Return how long one message may take an actor that talks to such a device.

    It may connect, twice, try every unit id, ask who it is, sample and read a block, or
    write and read back, each at its slowest.
    """
    connect_s = 2 * timeout_s + manners.connect_delay_ms / 1000
    tries = UNIT_TRIES * (len(manners.units) + 1) if manners.units else 0
    units_s = tries * (connect_s + timeout_s)
    request_s = timeout_s + manners.gap_ms / 1000
    settle_s = manners.settle_ms / 1000
    return (
        2 * connect_s + units_s + _REQUESTS_AT_ONCE * request_s + settle_s + _MARGIN_S
    )


class Line:
    """Counts requests and knows the device's state; `on_state` hears of changes."""

    def __init__(
        self,
        device: Transport,
        sizes: BlockSize,
        clock: Clock,
        on_state: Callable[[], None],
    ) -> None:
        self.device = device
        self.sizes = sizes
        self.state: DeviceState = "connecting"
        self.reason = ""
        self.requests = self.failures = 0
        self._clock = clock
        self._on_state = on_state
        self._successes: deque[bool] = deque(maxlen=_JUDGED_REQUESTS)
        self._answered_here = False
        """Whether the connection that there is, or was, has brought a reply."""
        self._retry_at_s = 0.0
        self._outage_since_s: float | None = None

    @property
    def success_percent(self) -> float | None:
        """Share of the last hundred requests that were answered, and not refused."""
        if not self._successes:
            return None
        return 100 * sum(self._successes) / len(self._successes)

    def connect(self) -> None:
        """Connect, if not connected. Raises NoConnection, and Waiting in a pause."""
        if self.device.connected:
            return
        if self._clock.monotonic() < self._retry_at_s:
            raise Waiting
        self._answered_here = False
        self.device.connect()

    def read(self, wanted: RegisterRange) -> Block:
        """Read; once more when a connection that was good has ended meanwhile.

        Some devices close it after each reply, or when nothing was asked for a while.
        Raises DeviceError.
        """
        try:
            return self._read(wanted)
        except NoConnection:
            if not self._answered_here:
                raise
        self.connect()
        return self._read(wanted)

    def _read(self, wanted: RegisterRange) -> Block:
        self.requests += 1
        try:
            block = self.device.read(wanted)
        except Refused:
            self._refused()
            raise
        except DeviceError:
            self._failed()
            self.sizes.failed(wanted)
            raise
        self._successes.append(True)
        self.sizes.answered(wanted.count)
        self._alive()
        return block

    def probe(self, wanted: RegisterRange) -> bool:
        """Find out whether the device answers a block of this size.

        Returns whether a new limit is known now. Raises DeviceError when it does not.
        """
        try:
            self.read(wanted)
        except Refused:
            return self.sizes.probed(answered=True)
        except DeviceError:
            self.sizes.probed(answered=False)
            raise
        return self.sizes.probed(answered=True)

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write once. Raises DeviceError."""
        self.requests += 1
        try:
            self.device.write(address, words)
        except Refused:
            self._refused()
            raise
        except DeviceError:
            self._failed()
            raise
        self._successes.append(True)
        self._alive()

    def lost(self, error: DeviceError) -> bool:
        """Plan to reconnect: at once the first time, then ever more patiently.

        Returns whether the device is offline, or was just disturbed.
        """
        now_s = self._clock.monotonic()
        if self._outage_since_s is None:
            self._outage_since_s = self._retry_at_s = now_s
            if self.state != "connecting":
                self.say("degraded", str(error))
                return False
        # Half of the outage so far: back soon after a short drop, rarely in a long one.
        pause_s = (now_s - self._outage_since_s) / 2
        is_unplugged = isinstance(error, NoPort)
        longest_s = _LONGEST_PAUSE_FOR_A_PORT_S if is_unplugged else _LONGEST_PAUSE_S
        pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), longest_s)
        self._retry_at_s = now_s + pause_s * random.uniform(0.9, 1.0)  # noqa: S311
        self.say("offline", str(error))
        return True

    def say(self, state: DeviceState, reason: str) -> None:
        """Set the state, and why it is so."""
        changed, self.state, self.reason = state != self.state, state, reason
        if changed:
            self._on_state()

    def _refused(self) -> None:
        self._failed()
        self._alive()

    def _failed(self) -> None:
        self.failures += 1
        self._successes.append(False)

    def _alive(self) -> None:
        """Any proper reply, even a refusal, is proof of life."""
        self._outage_since_s = None
        self._answered_here = True
        if self.state in ("connecting", "offline"):
            self.say("online", "")

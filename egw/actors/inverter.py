"""InverterActor: one device, one connection, one request in flight.

Ten times a second it samples the grid frequency, once a second it reads the harvest
blocks in the gaps. A device that is off is a state, not a failure.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from egw.actors.cycle import Cycle
from egw.actors.requests import registers_of, registers_to_read, words_to_write
from egw.actors.sampling import PERIOD_S, Samples
from egw.actors.settings import DeviceSettings
from egw.devices.decode import Decoder, frequency_range
from egw.devices.loader import find_profile
from egw.devices.modbus_tcp import ModbusTcp
from egw.devices.plan import HarvestPlan
from egw.devices.profile import RegisterRange
from egw.devices.transport import DeviceError, Refused, Transport
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    DeviceState,
    DeviceStatus,
    Live,
    Reading,
    Readings,
    ReadRegisters,
    Stored,
    TellStored,
    WritePoint,
)
from egw.runtime import Actor, Context, Tell
from egw.runtime import Refused as Declined

if TYPE_CHECKING:
    from egw.devices.blocks import Block

_PUBLISH_S = 1.0
_TELL_GATEWAY_EVERY = 5
_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_STAMP_PATIENCE_S = 2.0
_PATIENCE_MARGIN_S = 2.0
_UNSTORED_LIMIT = 600
_UNSTORED_SENT = 100
_IDENTITY_REFUSALS = 20
_FREQUENCY_REFUSALS = 3
_FREQUENCY_REST_S = 30.0
_NO_SUCH_REGISTERS = (1, 2, 3)
"""Modbus exceptions that say that asking again is no use."""
_DTYPE = "modbus_registers"


@dataclass(frozen=True, slots=True)
class _Tick(Tell):
    """Timer: the 100 ms grid."""


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer."""


Inbox = Stored | ReadRegisters | WritePoint | _Tick | _Publish


class InverterActor(Actor[Inbox]):
    """See the module."""

    patience_s = 10.0
    mailbox_capacity = 200

    def __init__(
        self,
        context: Context,
        *,
        settings: DeviceSettings,
        transport: Transport | None = None,
    ) -> None:
        super().__init__(context)
        self._settings = settings
        self._profile = find_profile(settings.profile, settings.profiles_dir)
        manners = self._profile.manners
        self._decoder = Decoder(self._profile)
        self._frequency_at = frequency_range(self._profile)
        self._device: Transport = transport or ModbusTcp(
            settings.host,
            settings.port,
            unit=settings.unit,
            timeout_s=settings.timeout_s,
            manners=manners,
        )
        self._gap_s = manners.gap_ms / 1000
        # One tick may connect, identify, sample and read a block, each at its slowest.
        slowest_s = 4 * settings.timeout_s + manners.connect_delay_ms / 1000
        self.patience_s = max(type(self).patience_s, slowest_s + _PATIENCE_MARGIN_S)  # type: ignore[misc] # a device's own
        self._state: DeviceState = "connecting"
        self._reason = ""
        self._sn = ""
        self._identity_refusals = 0
        self._session = uuid.uuid4().hex
        self._since_ms = 0
        self._requests = self._failures = 0
        self._retry_at = 0.0
        self._outage_since: float | None = None
        self._samples = Samples()
        self._frequency_refusals = 0
        self._frequency_rests_until = 0.0
        self._cycle: Cycle
        self._stamps_known_at = 0.0
        self._unstored: deque[Reading] = deque()
        self._readings_taken = self._readings_dropped = 0
        self._newest: Reading | None = None
        self._published = 0

    def started(self) -> None:
        """Take this device's place in the grid."""
        now = self.clock.monotonic()
        slot = self._settings.slot
        plan = HarvestPlan.for_profile(self._profile)
        self._cycle = Cycle(plan, first_at=now + slot)
        self._stamps_known_at = now + _STAMP_PATIENCE_S
        self._since_ms = self.clock.wall_ms()
        self.ref(HARVEST).tell(TellStored(self._settings.name))
        self.every(PERIOD_S, _Tick(), phase_s=0.001 + slot * PERIOD_S)
        self.every(_PUBLISH_S, _Publish())

    def stopping(self) -> None:
        """Leave the device to others; hand over once more what is not stored yet."""
        self._device.close()
        unstored = tuple(self._unstored)
        for start in range(0, len(unstored), _UNSTORED_SENT):
            self._send(unstored[start : start + _UNSTORED_SENT])
        self.log.info(
            "device.released",
            device=self._settings.name,
            session=self._session,
            readings_taken=self._readings_taken,
        )

    def receive(self, message: Inbox) -> object:
        """Handle one message."""
        match message:
            case _Tick():
                self._tick()
            case Stored(up_to_ms):
                self._stored(up_to_ms)
            case _Publish():
                self._publish()
            case ReadRegisters():
                wanted = registers_to_read(self._profile, message)
                return self._read_for_others(wanted).words
            case WritePoint():
                return self._write(message)
            case _:
                assert_never(message)
        return None

    def _tick(self) -> None:
        due_at = self.mailbox.due_at or self.clock.monotonic()
        taken = self._samples.taken
        try:
            if not self._device.connected:
                self._connect()
            if not self._sn:
                self._identify()
            self._sample(due_at)
            if self._sn:
                self._harvest(due_at + PERIOD_S - self._gap_s)
        except DeviceError as error:
            self._lost(error)
        if self._settings.frequency and self._samples.taken == taken:
            self._samples.empty += 1

    # Connection

    def _connect(self) -> None:
        if self.clock.monotonic() < self._retry_at:
            raise _Waiting
        self._device.connect()

    def _identify(self) -> None:
        """Find out the serial number: the device's, else the configured one."""
        sn = self._serial_number()
        if sn is None and self._identity_refusals < _IDENTITY_REFUSALS:
            self._identity_refusals += 1
            return
        self._sn = sn or self._settings.sn or self._settings.name
        self.log.info("device.identified", sn=self._sn)

    def _serial_number(self) -> str | None:
        """Return the device's own, empty when it has none, None when it is busy."""
        key = self._profile.identification.serial
        if key is None:
            return ""
        where = registers_of(self._profile.point(key))
        try:
            return str(self._decoder.decode([self._read(where)]).get(key, ""))
        except Refused as error:
            return "" if error.exception_code in _NO_SUCH_REGISTERS else None

    def _read(self, wanted: RegisterRange) -> Block:
        self._requests += 1
        try:
            block = self._device.read(wanted)
        except Refused:
            self._alive()
            raise
        self._alive()
        return block

    def _alive(self) -> None:
        """Any proper reply, even a refusal, is proof of life."""
        self._outage_since = None
        if self._state in ("connecting", "offline"):
            self._set_state("online", "")

    def _lost(self, error: DeviceError) -> None:
        """Reconnect: at once the first time, then ever more patiently."""
        if isinstance(error, _Waiting):
            return
        self._failures += 1
        now = self.clock.monotonic()
        if self._outage_since is None:
            self._outage_since = now
            self._retry_at = now
            if self._state != "connecting":
                self._set_state("degraded", str(error))
                return
        # Half of the outage so far: back soon after a short drop, rarely in a long one.
        pause_s = (now - self._outage_since) / 2
        pause_s = min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)
        self._retry_at = now + pause_s * random.uniform(0.9, 1.0)  # noqa: S311
        self._set_state("offline", str(error))

    def _set_state(self, state: DeviceState, reason: str) -> None:
        changed, self._state, self._reason = state != self._state, state, reason
        if changed:
            self.log.info(f"device.{state}", reason=reason)
            self.ref(GATEWAY).tell(self._status())

    # Frequency

    def _sample(self, due_at: float) -> None:
        now = self.clock.monotonic()
        if not self._settings.frequency or now < self._frequency_rests_until:
            return
        try:
            hz = self._decoder.frequency_hz(self._read(self._frequency_at))
        except Refused:
            self._frequency_refused(now)
            return
        self._frequency_refusals = 0
        if hz is not None:
            late_s = self._device.sent_at_s - due_at
            self._samples.add(self.clock.wall_ms(), hz, late_s)

    def _frequency_refused(self, now: float) -> None:
        self._failures += 1
        self._frequency_refusals += 1
        if self._frequency_refusals >= _FREQUENCY_REFUSALS:
            self._frequency_rests_until = now + _FREQUENCY_REST_S

    # Harvest

    def _harvest(self, until: float) -> None:
        cycle = self._cycle
        now = self.clock.monotonic()
        if now < self._stamps_known_at:
            return
        cycle.begin(now, self.clock.wall_ms())
        while (block := cycle.next_block(now, until=until)) is not None:
            self._read_block(block, now)
            now = self.clock.monotonic()
        reading = cycle.finish()
        if reading is None:
            return
        if reading.blocks:
            self._keep(reading)
        state: DeviceState = "degraded" if cycle.incomplete else "online"
        if (state, cycle.incomplete) != (self._state, self._reason):
            self._set_state(state, cycle.incomplete)

    def _read_block(self, wanted: RegisterRange, asked_at: float) -> None:
        try:
            block = self._read(wanted)
        except DeviceError as error:
            now = self.clock.monotonic()
            code = error.exception_code if isinstance(error, Refused) else 0
            self._cycle.refused(
                wanted, now, str(error), for_good=code in _NO_SUCH_REGISTERS
            )
            if not code:
                raise
            self._failures += 1
            return
        took_s = self.clock.monotonic() - asked_at
        self._cycle.answered(wanted, block, took_s)

    def _keep(self, reading: Reading) -> None:
        self._readings_taken += 1
        self._newest = reading
        self._unstored.append(reading)
        if len(self._unstored) > _UNSTORED_LIMIT:
            self._unstored.popleft()
            self._readings_dropped += 1
        self._send(tuple(islice(self._unstored, _UNSTORED_SENT)))

    def _send(self, readings: tuple[Reading, ...]) -> None:
        self.ref(HARVEST).tell(
            Readings(
                self._settings.name, self._profile.name, _DTYPE, self._sn, readings
            )
        )

    def _stored(self, up_to_ms: int) -> None:
        self._stamps_known_at = 0.0
        self._cycle.never_stamp_below(up_to_ms)
        while self._unstored and self._unstored[0].stamp_ms <= up_to_ms:
            self._unstored.popleft()

    # Requests of others

    def _read_for_others(self, wanted: RegisterRange) -> Block:
        if not self._device.connected:
            raise Declined("offline", f"{self._settings.name} is not connected")
        try:
            return self._read(wanted)
        except Refused as error:
            raise Declined("modbus", error.name) from error
        except DeviceError as error:
            self._lost(error)
            raise Declined("offline", str(error)) from error

    def _write(self, asked: WritePoint) -> float:
        where, words = words_to_write(self._profile, asked)
        if not self._device.connected:
            raise Declined("offline", f"{self._settings.name} is not connected")
        try:
            self._requests += 1
            self._device.write(where.address, words)
        except Refused as error:
            raise Declined("modbus", error.name) from error
        except DeviceError as error:
            self._lost(error)
            raise Declined("offline", str(error)) from error
        written = self._decoder.decode([self._read_for_others(where)]).get(asked.key)
        return float(written) if isinstance(written, int | float) else asked.value

    # Publishing

    def _publish(self) -> None:
        reading, self._newest = self._newest, None
        batch = self._samples.batch()
        status = self._status()
        self.ref(API).tell(Live(status, batch, reading))
        self._published += 1
        if self._published % _TELL_GATEWAY_EVERY == 1:
            self.ref(GATEWAY).tell(status)

    def _status(self) -> DeviceStatus:
        settings, samples = self._settings, self._samples
        return DeviceStatus(
            device=settings.name,
            profile=self._profile.name,
            host=settings.host,
            port=settings.port,
            unit=settings.unit,
            sn=self._sn,
            state=self._state,
            reason=self._reason,
            session=self._session,
            since_ms=self._since_ms,
            samples_taken=samples.taken,
            samples_missed=samples.empty + self.mailbox.missed_ticks,
            readings_taken=self._readings_taken,
            readings_unstored=len(self._unstored),
            readings_dropped=self._readings_dropped,
            sample_rate_hz=samples.rate_hz,
            requests=self._requests,
            failures=self._failures,
            quarantined=self._cycle.plan.resting(self.clock.monotonic()),
        )


class _Waiting(DeviceError):
    """Raised inside a tick that falls into a pause between two attempts."""

"""InverterActor: one device, one connection, one request in flight.

Ten times a second it samples the grid frequency, once a second it reads the harvest
blocks in the gaps. A device that is off is a state, not a failure.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from egw.actors.cycle import Cycle
from egw.actors.identity import Identity
from egw.actors.learning import learned_size, remember_size
from egw.actors.line import Line, Waiting, patience_s
from egw.actors.requests import Writing, registers_to_read
from egw.actors.sampling import PERIOD_S, FrequencyReads, Samples
from egw.actors.settings import DeviceSettings
from egw.actors.unstored import Unstored
from egw.devices.block_size import BlockSize
from egw.devices.counters import CounterGuard
from egw.devices.frequency import FrequencyDecoder, frequency_ranges
from egw.devices.loader import find_profile
from egw.devices.numbers import UniqueNumbers
from egw.devices.plan import HarvestPlan
from egw.devices.reach import make_transport
from egw.devices.transport import NO_SUCH_REGISTERS, DeviceError, Refused, Transport
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    DeviceStatus,
    Live,
    Reading,
    Readings,
    ReadRegisters,
    Stored,
    Suspect,
    TellStored,
    WritePoint,
)
from egw.runtime import Actor, Context, Tell
from egw.runtime import Refused as Declined

if TYPE_CHECKING:
    from egw.devices.profile import RegisterRange

_PUBLISH_S = 1.0
_TELL_GATEWAY_EVERY = 5
_STAMP_PATIENCE_S = 2.0
_DTYPE = "modbus_registers"
_SEARCHING = "finding the largest block that is answered"
_LARGER_TRIED_EVERY_S = 86_400.0


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
        profile = self._profile = find_profile(settings.profile, settings.profiles_dir)
        device = transport or make_transport(
            settings.reach,
            unit=profile.default_unit,
            timeout_s=settings.timeout_s,
            manners=profile.manners,
        )
        self._sizes = BlockSize(
            profile.manners.max_registers, known=learned_size(settings)
        )
        self._line = Line(device, self._sizes, self.clock, self._state_changed)
        self._identity = Identity(profile, settings, self._line, self.clock)
        self._gap_s = profile.manners.gap_ms / 1000
        own_s = patience_s(settings.timeout_s, profile.manners)
        self.patience_s = max(type(self).patience_s, own_s)  # type: ignore[misc] # a device's own
        self._frequency = FrequencyDecoder(profile)
        self._frequency_reads = FrequencyReads(frequency_ranges(profile))
        self._samples = Samples()
        self._counters = CounterGuard(profile)
        self._cycle: Cycle
        self._gave_way = False
        self._session = uuid.uuid4().hex
        self._since_ms = 0
        self._larger_at_s = 0.0
        self._stamps_known_at_s = 0.0
        self._numbers = UniqueNumbers(profile)
        self._unstored = Unstored()
        self._newest: Reading | None = None
        self._suspects: tuple[Suspect, ...] = ()
        self._published = 0

    def started(self) -> None:
        """Take this device's place in the grid."""
        now_s = self.clock.monotonic()
        slot = self._settings.slot
        self._cycle = Cycle(
            *self._plans(),
            full_every=self._profile.harvest.full_every,
            first_at_s=now_s + slot,
        )
        self._stamps_known_at_s = now_s + _STAMP_PATIENCE_S
        self._larger_at_s = now_s + _LARGER_TRIED_EVERY_S
        self._since_ms = self.clock.wall_ms()
        self.ref(HARVEST).tell(TellStored(self._settings.name))
        self.every(PERIOD_S, _Tick(), phase_s=0.001 + slot * PERIOD_S)
        self.every(_PUBLISH_S, _Publish())

    def stopping(self) -> None:
        """Leave the device to others; hand over once more what is not stored yet."""
        self._line.device.close()
        for readings in self._unstored.messages():
            self._send(readings)
        self.log.info(
            "device.released",
            device=self._settings.name,
            session=self._session,
            readings_taken=self._unstored.taken,
        )

    def receive(self, message: Inbox) -> object:
        """Handle one message."""
        match message:
            case _Tick():
                self._tick()
            case Stored(up_to_ms):
                self._stamps_known_at_s = 0.0
                self._cycle.never_stamp_below(up_to_ms)
                self._unstored.stored(up_to_ms)
            case _Publish():
                self._publish()
            case ReadRegisters():
                return self._read_for_others(message)
            case WritePoint():
                return self._write_for_others(message)
            case _:
                assert_never(message)
        return None

    def _tick(self) -> None:
        due_at_s = self.mailbox.due_at or self.clock.monotonic()
        taken = self._samples.taken
        try:
            self._line.connect()
            if not self._identity.unit_is_known:
                unit = self._identity.find_unit()
                self.log.info("device.unit_found", unit=unit)
            self._sample(due_at_s)
            self._use_the_rest(due_at_s + PERIOD_S - self._gap_s)
        except DeviceError as error:
            self._lost(error)
        if self._settings.frequency and self._samples.taken == taken:
            self._samples.empty += 1

    def _use_the_rest(self, until_s: float) -> None:
        probe = self._sizes.probe
        if probe is not None:
            self._probe(probe)
        elif self._identity.is_due(self.clock.monotonic()):
            self._identify(until_s)
        elif self.clock.monotonic() >= self._stamps_known_at_s:
            self._harvest(until_s)

    def _lost(self, error: DeviceError) -> None:
        if isinstance(error, Waiting):
            return
        if self._line.lost(error):
            self._cycle.interrupt(str(error))
            self._keep_finished()
            self._identity.ask_again()

    def _state_changed(self) -> None:
        self.log.info(f"device.{self._line.state}", reason=self._line.reason)
        self.ref(GATEWAY).tell(self._status())

    # Who the device is, and what it bears

    def _identify(self, until_s: float) -> None:
        identity, former_sn = self._identity, self._identity.sn
        # What is sent again must go under the number that it went under before.
        may_change = len(self._unstored) == 0
        if not identity.find_out(until_s=until_s, may_change=may_change):
            return
        self.log.info("device.identified", sn=identity.sn, model=identity.model)
        for doubt in identity.doubts:
            self.log.warning("device.doubted", reason=doubt)
        if former_sn:
            self.log.warning("device.replaced", sn=identity.sn, former_sn=former_sn)
            self._counters = CounterGuard(self._profile)
            self._cycle.replace_plans(*self._plans())
            self._larger_at_s = 0.0

    def _probe(self, wanted: RegisterRange) -> None:
        self._cycle.interrupt(_SEARCHING)
        self._keep_finished()
        self._line.say("degraded", f"{_SEARCHING}: trying {wanted.count} registers")
        if self._line.probe(wanted):
            limit = self._sizes.limit
            self.log.info("device.max_registers", max_registers=limit)
            remember_size(self._settings, limit)
            self._cycle.replace_plans(*self._plans())

    def _try_larger(self, now_s: float) -> None:
        """Let no size be for ever that was found on a bad day, or at another bridge."""
        if now_s >= self._larger_at_s:
            self._larger_at_s = now_s + _LARGER_TRIED_EVERY_S
            blocks = HarvestPlan.for_profile(self._profile, full=True).requests
            self._sizes.try_larger(max(blocks, key=lambda block: block.count))

    def _plans(self) -> tuple[HarvestPlan, HarvestPlan]:
        profile, limit = self._profile, self._sizes.limit
        full = HarvestPlan.for_profile(profile, full=True, max_registers=limit)
        slim = HarvestPlan.for_profile(profile, full=False, max_registers=limit)
        return full, slim

    # Frequency

    def _sample(self, due_at_s: float) -> None:
        now_s = self.clock.monotonic()
        wanted = self._frequency_reads.due(now_s)
        if wanted is None or not self._settings.frequency:
            return
        try:
            hz = self._frequency.frequency_hz(self._line.read(wanted))
        except Refused:
            self._frequency_reads.refused(now_s)
            return
        self._frequency_reads.answered(hz)
        if hz is not None:
            late_s = self._line.device.sent_at_s - due_at_s
            self._samples.add(self.clock.wall_ms(), hz, late_s)

    # Harvest

    def _harvest(self, until_s: float) -> None:
        cycle = self._cycle
        now_s = self.clock.monotonic()
        cycle.begin(now_s, self.clock.wall_ms())
        while not self._gives_way():
            block = cycle.next_block(now_s, until_s=until_s)
            if block is None:
                break
            self._read_block(block, now_s)
            now_s = self.clock.monotonic()
        if self._keep_finished():
            self._judge()

    def _gives_way(self) -> bool:
        """Whether somebody waits for an answer; true only once between two blocks."""
        self._gave_way = not self._gave_way and not self.mailbox.empty()
        return self._gave_way

    def _read_block(self, wanted: RegisterRange, asked_at_s: float) -> None:
        cycle = self._cycle
        try:
            block = self._line.read(wanted)
        except Refused as error:
            now_s = self.clock.monotonic()
            if error.exception_code in NO_SUCH_REGISTERS:
                cycle.refused(wanted, now_s, str(error))
            else:
                cycle.failed(wanted, now_s, str(error))
        except DeviceError as error:
            cycle.failed(wanted, self.clock.monotonic(), str(error))
            raise
        else:
            now_s = self.clock.monotonic()
            cycle.answered(wanted, block, now_s, now_s - asked_at_s)

    def _keep_finished(self) -> bool:
        """Keep what a cycle read that is over; returns whether one is."""
        now_s = self.clock.monotonic()
        reading = self._cycle.finish(now_s)
        if reading is None:
            return False
        if reading.blocks:
            self._newest = reading
            self._suspects = self._counters.suspects(reading.blocks, now_s)
            self._keep(replace(reading, blocks=self._numbers.of(reading.blocks)))
        return True

    def _keep(self, reading: Reading) -> None:
        if reading.blocks:
            self._send(self._unstored.keep(reading))

    def _judge(self) -> None:
        """Say how the device is, after a whole cycle."""
        cycle, line = self._cycle, self._line
        troubles = [t for t in (cycle.incomplete, *self._identity.doubts) if t]
        if troubles:
            line.say("degraded", "; ".join(troubles))
        else:
            line.say("online", cycle.slowness)

    def _send(self, readings: tuple[Reading, ...]) -> None:
        name, sn = self._settings.name, self._identity.sn
        self.ref(HARVEST).tell(Readings(name, self._profile.name, _DTYPE, sn, readings))

    # Requests of others

    def _read_for_others(self, asked: ReadRegisters) -> tuple[int, ...]:
        wanted = registers_to_read(self._profile, asked)
        self._insist_on_connection()
        try:
            return self._line.read(wanted).words
        except DeviceError as error:
            raise self._declined(error) from error

    def _write_for_others(self, asked: WritePoint) -> float:
        writing = Writing(self._profile, asked)
        self._insist_on_connection()
        try:
            return writing.carry_out(self._line)
        except DeviceError as error:
            raise self._declined(error) from error

    def _insist_on_connection(self) -> None:
        if not self._line.device.connected:
            raise Declined("offline", f"{self._settings.name} is not connected")

    def _declined(self, error: DeviceError) -> Declined:
        if isinstance(error, Refused):
            return Declined("modbus", error.name)
        self._lost(error)
        return Declined("offline", str(error))

    # Publishing

    def _publish(self) -> None:
        if self._identity.is_another:
            self._send(self._unstored.oldest())
        reading, self._newest = self._newest, None
        batch = self._samples.batch(self.clock.monotonic())
        status = self._status()
        suspects = self._suspects if reading is not None else ()
        self.ref(API).tell(Live(status, batch, reading, suspects))
        self._try_larger(self.clock.monotonic())
        self._published += 1
        if self._published % _TELL_GATEWAY_EVERY == 1:
            self.ref(GATEWAY).tell(status)

    def _status(self) -> DeviceStatus:
        settings, samples, line = self._settings, self._samples, self._line
        now_s = self.clock.monotonic()
        return DeviceStatus(
            device=settings.name,
            profile=self._profile.name,
            host=settings.host,
            port=settings.port,
            unit=line.device.unit,
            sn=self._identity.sn,
            state=line.state,
            reason=line.reason,
            session=self._session,
            since_ms=self._since_ms,
            samples_taken=samples.taken,
            samples_missed=samples.empty + self.mailbox.missed_ticks,
            readings_taken=self._unstored.taken,
            readings_unstored=len(self._unstored),
            readings_dropped=self._unstored.dropped,
            sample_rate_hz=samples.rate_hz,
            reading_rate_hz=self._cycle.rate_hz(now_s),
            requests=line.requests,
            failures=line.failures,
            success_percent=line.success_percent,
            quarantined=self._cycle.resting(now_s),
            max_registers=self._sizes.limit,
        )

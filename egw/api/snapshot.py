"""What the API knows: the latest of each status, and what devices did lately.

Written by the API actor's thread, read by the threads that answer requests.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Generic, TypeVar

from egw.api.lateness import Lateness
from egw.api.points import CurrentPoints, DecodedReading, PointTable
from egw.api.series import FrequencySeries, Samples
from egw.devices.loader import find_profile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from egw.messages import (
        BackendStatus,
        DeviceStatus,
        GatewayStatus,
        Identity,
        Live,
        OutboxStatus,
        Reading,
        SignerStatus,
        UplinkStatus,
    )
    from egw.runtime.clock import Clock

T = TypeVar("T")

SILENT_AFTER_MS = 5_000
"""Statuses come each second; one that is older says nothing about now."""
STALE_AFTER_MS = 15_000
"""Readings that are older are not shown as the power now, unless the device takes so
long for one that there can be no newer."""
MOST_STALE_MS = 60_000
"""Nor are these, however slow the device."""
_PATIENCE = 3
"""A reading of a slow device counts for so many times as long as one takes: its stamp
is the start, it comes at the end, and the next takes as long again."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """A status and when it came, in monotonic seconds."""

    status: T
    at_s: float


@dataclass(slots=True)
class DeviceRecord:
    """One device. `*_number` is the number of the message that brought it."""

    name: str
    profile: str
    status: Heard[DeviceStatus] | None = None
    status_number: int = 0
    series: FrequencySeries = field(default_factory=FrequencySeries)
    full: DecodedReading | None = None
    """The last full reading."""
    points: CurrentPoints | None = None
    points_number: int = 0


@dataclass(frozen=True, slots=True)
class DeviceNews:
    """What came from a device between two cursors."""

    name: str
    status: DeviceStatus | None
    samples: Samples
    points: CurrentPoints | None


@dataclass(frozen=True, slots=True)
class News:
    """What came from all devices, up to the message `number`."""

    number: int
    more: bool
    devices: list[DeviceNews]


class Snapshot:
    """`profiles` maps the configured devices, in order, to their profiles' names."""

    def __init__(
        self,
        profiles: Mapping[str, str],
        *,
        clock: Clock,
        profile_dir: Path | None = None,
    ) -> None:
        self.clock = clock
        self.session = secrets.token_hex(4)
        """This incarnation: counts and cursors start anew with each."""
        self.signer: Heard[SignerStatus] | None = None
        self.identity: Identity | None = None
        self.outbox: Heard[OutboxStatus] | None = None
        self.backend: Heard[BackendStatus] | None = None
        self.gateway: Heard[GatewayStatus] | None = None
        self._uplinks: dict[str, Heard[UplinkStatus]] = {}
        self._devices = {name: DeviceRecord(name, p) for name, p in profiles.items()}
        self._table = cache(lambda name: PointTable(find_profile(name, profile_dir)))
        self._lateness = Lateness()
        self._number = 0
        self._lock = threading.Lock()

    # For the actor.

    def add_live(self, live: Live) -> None:
        """Take a second of a device's life."""
        heard = Heard(live.status, self.clock.monotonic())
        with self._lock:
            self._number += 1
            record = self._record(live.status)
            record.status = heard
            record.status_number = self._number
            record.series.append(self._number, live.frequency)
            self._lateness.add(live.frequency.late_ms)
            if live.reading is not None:
                self._add_reading(record, live.reading, live)

    def _add_reading(self, record: DeviceRecord, reading: Reading, live: Live) -> None:
        load_table = partial(self._table, record.profile)
        newest = DecodedReading(reading, live.suspects, load_table)
        last_full = None if reading.full else record.full
        rate_hz = live.status.reading_rate_hz
        record.points = CurrentPoints(newest, last_full, rate_hz)
        record.points_number = self._number
        if reading.full:
            record.full = newest

    def add_device_status(self, status: DeviceStatus) -> None:
        """Take a status that came without values."""
        heard = Heard(status, self.clock.monotonic())
        with self._lock:
            self._number += 1
            record = self._record(status)
            record.status = heard
            record.status_number = self._number

    def _record(self, status: DeviceStatus) -> DeviceRecord:
        record = self._devices.get(status.device)
        if record is None:
            record = DeviceRecord(status.device, status.profile)
            self._devices[status.device] = record
        return record

    def add_signer(self, status: SignerStatus) -> None:
        """Take the signer's state, and who signs when it knows."""
        self.signer = Heard(status, self.clock.monotonic())
        if status.identity is not None:
            self.identity = status.identity

    def add_identity(self, identity: Identity) -> None:
        """Take who signs."""
        self.identity = identity

    def add_outbox(self, status: OutboxStatus) -> None:
        """Take the outbox's state."""
        self.outbox = Heard(status, self.clock.monotonic())

    def add_uplink(self, status: UplinkStatus) -> None:
        """Take an uplink's state."""
        heard = Heard(status, self.clock.monotonic())
        with self._lock:
            self._uplinks[status.uplink] = heard

    def add_backend(self, status: BackendStatus) -> None:
        """Take what the backend says."""
        self.backend = Heard(status, self.clock.monotonic())

    def add_gateway(self, status: GatewayStatus) -> None:
        """Take the state of the whole."""
        self.gateway = Heard(status, self.clock.monotonic())

    # For requests.

    def age_ms(self, heard: Heard[T]) -> int:
        """Return how long ago a status came."""
        return round((self.clock.monotonic() - heard.at_s) * 1000)

    def is_silent(self, heard: Heard[T] | None) -> bool:
        """Tell whether a status never came or is too old to be believed."""
        return heard is None or self.age_ms(heard) > SILENT_AFTER_MS

    def uplinks(self) -> list[Heard[UplinkStatus]]:
        """Return the uplinks' states in the order of their names."""
        with self._lock:
            return [self._uplinks[name] for name in sorted(self._uplinks)]

    def devices(self) -> list[DeviceRecord]:
        """Return the devices: those of the configuration first, in its order."""
        with self._lock:
            return list(self._devices.values())

    def table(self, profile: str) -> PointTable:
        """Return how a profile's readings are decoded. Raises ProfileError."""
        return self._table(profile)

    def device(self, name: str) -> DeviceRecord | None:
        """Return one device."""
        return self._devices.get(name)

    def power_w(self, record: DeviceRecord) -> float | None:
        """Return the device's power if it is known now."""
        points = record.points
        if points is None or not self._is_fresh(record, points.stamp_ms):
            return None
        return points.power_w

    def reduced_max_registers(self, record: DeviceRecord) -> int | None:
        """Return how many registers one read has, where the profile allows more."""
        if record.status is None:
            return None
        allowed = self._table(record.profile).profile.manners.max_registers
        found = record.status.status.max_registers
        return found if found < allowed else None

    def frequency_hz(self, record: DeviceRecord) -> float | None:
        """Return the grid frequency at the device if it is known now."""
        with self._lock:
            newest = record.series.newest()
        if newest is not None and self._is_fresh(record, newest[0]):
            return newest[1]
        points = record.points
        if points is None or not self._is_fresh(record, points.stamp_ms):
            return None
        return points.frequency_hz

    def _is_fresh(self, record: DeviceRecord, stamp_ms: int) -> bool:
        heard = record.status
        if heard is None or self.is_silent(heard):
            return False
        status = heard.status
        bound_ms: float = STALE_AFTER_MS
        if status.state == "online" and status.reading_rate_hz:
            slow_ms = _PATIENCE * 1000 / status.reading_rate_hz
            bound_ms = min(max(bound_ms, slow_ms), MOST_STALE_MS)
        answers = status.state in ("online", "degraded")
        return answers and self.clock.wall_ms() - stamp_ms <= bound_ms

    def lateness(self) -> Lateness:
        """Return the histogram; its figures may grow while they are read."""
        return self._lateness

    def knows(self, number: int, device: str | None) -> bool:
        """Tell whether all that came after this message is still here."""
        with self._lock:
            return number <= self._number and all(
                record.series.dropped_number <= number
                for record in self._chosen(device)
            )

    def news(
        self, after: int | None, *, device: str | None, most: int, recent: int
    ) -> News:
        """Return what came after the message `after`, of one device or of all.

        At most about `most` samples, the oldest first. Without `after`: the newest
        `recent` samples of each device, as far as `most` allows.
        """
        with self._lock:
            chosen = self._chosen(device)
            if after is None:
                after = self._start(chosen, most, recent)
                fresh = 0
            else:
                fresh = after
            up_to = self._stop(chosen, after, most)
            devices = [_news_of(r, fresh, after, up_to) for r in chosen]
            return News(up_to, up_to < self._number, devices)

    def _chosen(self, device: str | None) -> list[DeviceRecord]:
        if device is None:
            return list(self._devices.values())
        return [self._devices[device]]

    def _start(self, chosen: list[DeviceRecord], most: int, recent: int) -> int:
        batches = sorted(
            batch
            for record in chosen
            for batch in record.series.batches_after(record.series.before_last(recent))
        )
        total = 0
        for number, size in reversed(batches):
            total += size
            if total > most:
                return number
        return batches[0][0] - 1 if batches else self._number

    def _stop(self, chosen: list[DeviceRecord], after: int, most: int) -> int:
        batches = sorted(
            batch for record in chosen for batch in record.series.batches_after(after)
        )
        total = 0
        stop = after
        for number, size in batches:
            if total and total + size > most:
                return stop
            total += size
            stop = number
        return self._number


def _news_of(record: DeviceRecord, fresh: int, after: int, up_to: int) -> DeviceNews:
    heard = record.status
    has_status = heard is not None and fresh < record.status_number
    has_points = fresh < record.points_number <= up_to
    return DeviceNews(
        name=record.name,
        status=heard.status if heard is not None and has_status else None,
        samples=record.series.between(after, up_to),
        points=record.points if has_points else None,
    )

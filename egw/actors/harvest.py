"""HarvestActor: makes packets, commits them, has them signed and hands them out.

It owns the outbox. Nothing here waits for anybody: a signer that takes half a second
or a backend that takes ten only age what is in the outbox.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass, field
from typing import Literal, assert_never

from egw.actors.packing import Buffers
from egw.actors.settings import HarvestSettings
from egw.crypto import jws
from egw.messages import (
    API,
    GATEWAY,
    SIGNER,
    Deliver,
    Delivered,
    Identity,
    OutboxStatus,
    Readings,
    Rejected,
    Sign,
    Signed,
    Stored,
    TellIdentity,
    TellStored,
    Want,
    inverter_name,
)
from egw.runtime import Actor, Context, Tell
from egw.storage.outbox import Outbox

FLUSH_S = 0.5
_FLUSH_AT = 64
_SIGNING_AT_ONCE = 64
_SIGNING_PATIENCE_S = 10.0
_PUBLISH_S = 1.0
_PRUNE_S = 30.0
_HANDED_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class _Flush(Tell):
    """Timer: commit what is ready."""


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer: tell how the outbox is."""


@dataclass(slots=True)
class _Uplink:
    endpoint: str
    session: str
    handed_up_to: int = 0
    handed: dict[str, int] = field(default_factory=dict)
    """The last packet of each device."""
    free: int = 0
    full: tuple[str, ...] = ()


@dataclass(slots=True)
class _Uncommitted:
    """What the next transaction will write besides packets."""

    signatures: list[tuple[int, str, bytes]] = field(default_factory=list)
    outcomes: list[tuple[int, str, str]] = field(default_factory=list)


Inbox = (
    Readings
    | TellStored
    | Identity
    | Signed
    | Want
    | Delivered
    | Rejected
    | _Flush
    | _Publish
)


class HarvestActor(Actor[Inbox]):
    """See the module."""

    patience_s = 30.0
    mailbox_capacity = 20_000

    def __init__(self, context: Context, *, settings: HarvestSettings) -> None:
        super().__init__(context)
        self._settings = settings
        self._outbox: Outbox
        self._buffers = Buffers(
            packet_readings=settings.packet_readings,
            # A reading waits for at most one more flush after it is due.
            longest_wait_s=settings.commit_interval_s - FLUSH_S,
        )
        self._uncommitted = _Uncommitted()
        self._identity: Identity | None = None
        self._signing: dict[int, tuple[str, bytes]] = {}
        self._asked_up_to = 0
        self._signer_heard_at = 0.0
        self._uplinks: dict[str, _Uplink] = {}
        self._state: Literal["ok", "disk_full"] = "ok"
        self._pruned_at = 0.0

    def started(self) -> None:
        """Open the outbox and find out who signs."""
        self._outbox = Outbox(self._settings.path, now_ms=self.clock.wall_ms())
        self.ref(SIGNER).tell(TellIdentity(self.name))
        self.every(FLUSH_S, _Flush())
        self.every(_PUBLISH_S, _Publish())

    def stopping(self) -> None:
        """Put everything on disk."""
        self._flush(everything=True)
        self._outbox.close()

    def receive(self, message: Inbox) -> None:
        """Handle one message."""
        try:
            self._handle(message)
        except sqlite3.Error as error:
            # The next incarnation then begins with a file that is whole.
            self._outbox.abandon_when_damaged(error)
            raise

    def _handle(self, message: Inbox) -> None:
        match message:
            case Readings():
                self._take(message)
            case TellStored(device):
                # Its former incarnation is gone, and with it all copies but ours.
                self._buffers.hurry(device)
                self._flush()
                self._tell_stored(device)
            case Identity():
                self._identity = message
                self._forget_signing()
                self._request_signatures()
            case Signed():
                self._signed(message)
            case Want():
                self._want(message)
            case Delivered(endpoint, packet):
                self._finished(packet, endpoint, "")
            case Rejected(endpoint, packet, reason):
                self.log.error("packet.quarantined", packet=packet, reason=reason)
                self._finished(packet, endpoint, reason)
            case _Flush():
                self._flush()
                self._request_signatures()
            case _Publish():
                self._publish()
            case _:
                assert_never(message)

    def _take(self, message: Readings) -> None:
        device = message.device
        stored_ms = self._outbox.stored_up_to_ms(device)
        if message.readings and message.readings[0].stamp_ms <= stored_ms:
            self._tell_stored(device)
        self._buffers.add(message, above_ms=stored_ms, now=self.clock.monotonic())
        if self._state == "ok" and self._buffers.full >= _FLUSH_AT:
            self._flush()
            self._request_signatures()

    def _tell_stored(self, device: str) -> None:
        stored_ms = self._outbox.stored_up_to_ms(device)
        self.ref(inverter_name(device)).tell(Stored(stored_ms))

    # Committing

    def _flush(self, *, everything: bool = False) -> None:
        now_ms = self.clock.wall_ms()
        packets = self._buffers.due(self.clock.monotonic(), everything=everything)
        uncommitted = self._uncommitted
        if not (packets or uncommitted.signatures or uncommitted.outcomes):
            self._prune_sometimes()
            return
        try:
            with self._outbox.transaction():
                for packet in packets:
                    self._outbox.add(packet, now_ms=now_ms)
                self._write(uncommitted, now_ms)
        except sqlite3.OperationalError as error:
            self._disk_trouble(error)
            return
        self._uncommitted = _Uncommitted()
        self._buffers.committed(packets)
        self._state = "ok"
        for device in {packet.device for packet in packets}:
            self._tell_stored(device)
        self._prune_sometimes()
        for name in self._uplinks:
            self._hand_out(name)

    def _write(self, uncommitted: _Uncommitted, now_ms: int) -> None:
        for number, header, signature in uncommitted.signatures:
            self._outbox.sign(number, header=header, signature=signature)
        for number, endpoint, reason in uncommitted.outcomes:
            self._outbox.finish(
                number,
                endpoint,
                reason=reason,
                endpoints=len(self._settings.endpoints),
                now_ms=now_ms,
            )

    def _flush_when_many(self) -> None:
        uncommitted = self._uncommitted
        many = len(uncommitted.signatures) + len(uncommitted.outcomes) >= _FLUSH_AT
        if self._state == "ok" and many:
            self._flush()
            self._request_signatures()

    def _disk_trouble(self, error: sqlite3.OperationalError) -> None:
        """Keep everything in memory and make room; the next flush tries again."""
        if self._state == "ok":
            self.log.error("outbox.disk_full", error=str(error))
        self._state = "disk_full"
        self._prune(keep_done_ms=0)

    def _prune_sometimes(self) -> None:
        if self.clock.monotonic() - self._pruned_at >= _PRUNE_S:
            self._prune(keep_done_ms=self._settings.keep_done_ms)

    def _prune(self, *, keep_done_ms: int) -> None:
        self._pruned_at = self.clock.monotonic()
        settings = self._settings
        try:
            with self._outbox.transaction():
                self._outbox.prune(
                    max_bytes=settings.max_bytes,
                    max_age_ms=settings.max_age_ms,
                    keep_done_ms=keep_done_ms,
                    now_ms=self.clock.wall_ms(),
                )
        except sqlite3.OperationalError as error:
            self.log.warning("outbox.prune_failed", error=str(error))

    # Signing

    def _request_signatures(self) -> None:
        if self._identity is None:
            return
        now = self.clock.monotonic()
        if self._signing and now - self._signer_heard_at > _SIGNING_PATIENCE_S:
            self._forget_signing()
        room = _SIGNING_AT_ONCE - len(self._signing)
        for packet in self._outbox.unsigned(after=self._asked_up_to, limit=room):
            header = jws.header_json(
                self._identity.serial,
                model=packet.model,
                dtype=packet.dtype,
                sn=packet.sn,
            )
            signed = jws.signing_input(header, packet.payload)
            digest = hashlib.sha256(signed).digest()
            if not self._signing:
                self._signer_heard_at = now
            self._signing[packet.id] = (header, digest)
            self._asked_up_to = packet.id
            self.ref(SIGNER).tell(Sign(packet.id, digest))

    def _forget_signing(self) -> None:
        self._signing.clear()
        self._asked_up_to = 0

    def _signed(self, message: Signed) -> None:
        header, digest = self._signing.get(message.packet, ("", b""))
        if digest != message.digest:
            return
        del self._signing[message.packet]
        self._signer_heard_at = self.clock.monotonic()
        self._uncommitted.signatures.append((message.packet, header, message.signature))
        self._flush_when_many()

    # Delivering

    def _want(self, message: Want) -> None:
        uplink = self._uplinks.get(message.uplink)
        if uplink is None or uplink.session != message.session:
            # What the former session delivered must not be handed out again.
            self._flush()
            uplink = _Uplink(message.endpoint, message.session)
            self._uplinks[message.uplink] = uplink
        # What was passed over while a device was full comes next.
        freed = set(uplink.full) - set(message.full)
        passed_over = [uplink.handed.get(device, 0) for device in freed]
        uplink.handed_up_to = min([uplink.handed_up_to, *passed_over])
        uplink.free, uplink.full = message.free, message.full
        self._hand_out(message.uplink)

    def _hand_out(self, name: str) -> None:
        uplink = self._uplinks[name]
        if uplink.free <= 0:
            return
        found = self._outbox.to_deliver(
            uplink.endpoint,
            after=uplink.handed_up_to,
            limit=min(uplink.free, _HANDED_AT_ONCE),
            without=uplink.full,
        )
        if found:
            uplink.handed_up_to = found[-1].id
        # A disk that is full takes no outcomes, but they are known.
        outcomes = self._uncommitted.outcomes
        finished = {number for number, at, _ in outcomes if at == uplink.endpoint}
        packets = [
            packet
            for packet in found
            if packet.id > uplink.handed.get(packet.device, 0)
            and packet.id not in finished
        ]
        if packets:
            uplink.handed |= {packet.device: packet.id for packet in packets}
            uplink.free -= len(packets)
            self.ref(name).tell(Deliver(tuple(packets)))

    def _finished(self, packet: int, endpoint: str, reason: str) -> None:
        self._uncommitted.outcomes.append((packet, endpoint, reason))
        self._flush_when_many()

    def _publish(self) -> None:
        totals = self._outbox.totals()
        status = OutboxStatus(
            state=self._state,
            waiting_packets=totals.waiting,
            unsigned_packets=totals.unsigned,
            quarantined_packets=totals.quarantined,
            oldest_waiting_ms=totals.oldest_waiting_ms,
            stored_bytes=totals.stored_bytes,
            committed_readings=totals.committed_readings,
            committed_packets=totals.committed_packets,
            signed_packets=totals.signed_packets,
            delivered_packets=totals.delivered_packets,
            dropped_packets=totals.dropped_packets,
            damaged_files=totals.damaged_files,
        )
        self.ref(API).tell(status)
        self.ref(GATEWAY).tell(status)

"""A HarvestActor with played peers, and what it is told."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from egw.actors.harvest import HarvestActor
from egw.actors.settings import HarvestSettings
from egw.crypto import jws
from egw.devices.blocks import Block
from egw.messages import (
    HARVEST,
    SIGNER,
    Deliver,
    Delivered,
    Identity,
    OutboxStatus,
    Packet,
    Reading,
    Readings,
    Sign,
    Signed,
    Stored,
    Want,
    inverter_name,
)
from egw.storage.outbox import Outbox
from egw.testing import Clock, Peers, run_due

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = "http://backend/gw/data/"
UPLINK = "uplink/1"
ME = Identity("file", "software", "5f0011223344556677", bytes(64))
FIRST_MS = 1_700_000_000_000


def readings(first: int, last: int, **head: Any) -> Readings:
    """Return readings number `first` to `last`, a second apart."""
    found = tuple(
        Reading(FIRST_MS + 1000 * n, (Block("input", 30000, struct.pack(">2H", n, 7)),))
        for n in range(first, last + 1)
    )
    return Readings(
        **{
            "device": "roof",
            "model": "huawei",
            "dtype": "modbus_registers",
            "sn": "HV1",
            "readings": found,
            **head,
        }
    )


@dataclass
class OnDisk:
    """A packet as another process finds it."""

    sn: str
    numbers: list[int]
    """Its readings."""


@dataclass
class Harvesting:
    """The actor, and the clock that the test moves."""

    path: Path
    settings: dict[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=lambda: Clock(wall_ms=FIRST_MS))

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start an incarnation; one that was there before was killed."""
        self.peers = Peers(HARVEST, clock=self.clock)
        self.signer = self.peers.probe(SIGNER)
        self.uplink = self.peers.probe(UPLINK)
        settings = {"path": self.path, "endpoints": (ENDPOINT,), **self.settings}
        self.actor = HarvestActor(self.peers, settings=HarvestSettings(**settings))
        self.actor.started()

    def kill(self) -> None:
        """End the incarnation without a word, as SIGKILL does."""
        self.actor._outbox.close()

    def take(self, *messages: Any) -> None:
        for message in messages:
            self.actor.receive(message)

    def flush(self, seconds: float = 0.5) -> None:
        """Let time pass up to the next commit, or for longer."""
        for _ in range(round(seconds / 0.5)):
            self.clock.advance(0.5)
            run_due(self.actor)

    def stored(self, device: str = "roof") -> list[int]:
        """Return up to which reading the device was told that all is on disk."""
        tells = self.peers.probe(inverter_name(device)).tells
        found = [(t.up_to_ms - FIRST_MS) // 1000 for t in tells if type(t) is Stored]
        tells.clear()
        return found

    def on_disk(self) -> list[OnDisk]:
        outbox = Outbox(self.path, now_ms=FIRST_MS)
        rows = [
            OnDisk(sn, [(int(s) - FIRST_MS) // 1000 for s in json.loads(payload)])
            for sn, payload in outbox.payloads()
        ]
        outbox.close()
        return rows

    def asked(self) -> list[Sign]:
        """Take what the signer was asked."""
        found = [m for m in self.signer.tells if isinstance(m, Sign)]
        self.signer.tells.clear()
        return found

    def sign(self, *, salt: bytes = b"") -> list[int]:
        """Answer what the signer was asked; returns the packets."""
        asked = self.asked()
        for sign in asked:
            signature = hashlib.sha512(sign.digest + salt).digest()
            self.take(Signed(sign.packet, sign.digest, signature))
        return [sign.packet for sign in asked]

    def signed_packets(self, count: int, *, device: str = "roof") -> list[int]:
        """Commit and have signed some packets; returns their numbers."""
        for n in range(count):
            self.take(readings(10 * n + 1, 10 * n + 10, device=device))
        self.flush()
        numbers = self.sign()
        self.flush()
        return numbers

    def want(
        self,
        free: int = 8,
        *,
        session: str = "s1",
        uplink: str = UPLINK,
        full: tuple[str, ...] = (),
    ) -> None:
        self.take(Want(uplink, ENDPOINT, session, free, full))

    def given(self, uplink: str = UPLINK) -> list[Packet]:
        """Take what the uplink was given."""
        tells = self.peers.probe(uplink).tells
        found = [p for m in tells if isinstance(m, Deliver) for p in m.packets]
        tells.clear()
        return found

    def given_numbers(self) -> list[int]:
        return [packet.id for packet in self.given()]

    def delivered(self, *numbers: int) -> None:
        self.take(*(Delivered(ENDPOINT, number) for number in numbers))

    def status(self) -> OutboxStatus:
        self.actor._publish()
        api = self.peers.probe("api")
        told = [m for m in api.tells if isinstance(m, OutboxStatus)][-1]
        api.tells.clear()
        return told

    def fill_disk(self) -> None:
        """Let the disk take nothing more."""
        db = self.actor._outbox._db
        (now,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {now}")

    def empty_disk(self) -> None:
        self.actor._outbox._db.execute("PRAGMA max_page_count = 1000000")


def header_of(packet: Packet) -> dict[str, Any]:
    """Return the header of a JWT without looking at its signature."""
    import base64

    text = packet.jwt.split(b".")[0]
    header: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    )
    return header


def digest_of(packet: Packet) -> bytes:
    """Return the digest that its signature must be of."""
    return hashlib.sha256(packet.jwt.rsplit(b".", 1)[0]).digest()


def with_signature(packet: Packet, signature: bytes) -> bytes:
    return jws.compact(packet.jwt.rsplit(b".", 1)[0], signature)

"""Every message that crosses an actor boundary, grouped by conversation.

Stamps are wall-clock milliseconds since 1970 UTC. `device` is the name from the
configuration; the InverterActor of `roof` is called `inverter/roof`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from egw.runtime.message import Ask, Tell

if TYPE_CHECKING:
    from egw.devices.blocks import Block
    from egw.devices.profile import Function

HARVEST = "harvest"
SIGNER = "signer"
BACKEND = "backend"
GATEWAY = "gateway"
API = "api"


def inverter_name(device: str) -> str:
    """Return the name of the actor that talks to a device."""
    return f"inverter/{device}"


def uplink_name(number: int) -> str:
    """Return the name of the actor that delivers to the endpoint `number`, from 1."""
    return f"uplink/{number}"


# Readings: inverter -> harvest, and back when they are on disk.


class Reading(msgspec.Struct, frozen=True):
    """What one harvest cycle read. A block that could not be read is absent."""

    stamp_ms: int
    """Start of the cycle; grows strictly within a device."""
    blocks: tuple[Block, ...]
    full: bool = True
    """Whether the cycle asked for everything, or for the slim set only."""
    complete: bool = False
    """Whether the device answered or refused for good all that was asked for."""
    first_read_ms: int = 0
    last_read_ms: int = 0
    """Wall clock at the answers that brought the first and the last block."""


@dataclass(frozen=True, slots=True)
class Readings(Tell):
    """To harvest: readings of a device that are not known to be on disk.

    Every message begins with the oldest of them, so that a lost one costs nothing.
    """

    device: str
    model: str
    """The profile's name."""
    dtype: str
    """The kind of payload: `modbus_registers`."""
    sn: str
    """The device's serial number."""
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Stored(Tell):
    """To an inverter: all readings up to this stamp are on disk."""

    up_to_ms: int


@dataclass(frozen=True, slots=True)
class TellStored(Tell):
    """To harvest: answer with the last stamp on disk (0 when there is none)."""

    device: str


# Signing: harvest -> signer and back.


@dataclass(frozen=True, slots=True)
class Sign(Tell):
    """To the signer: sign the SHA-256 digest (32 bytes) of a packet."""

    packet: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Signed(Tell):
    """From the signer: r and s, 32 big-endian bytes each."""

    packet: int
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class TellIdentity(Tell):
    """To the signer: tell `to` who signs, as soon as it is known."""

    to: str


@dataclass(frozen=True, slots=True)
class Identity(Tell):
    """From the signer, at its start and on request."""

    kind: str
    """Kind of key: `file` for a software key."""
    device_name: str
    serial: str
    """Lower-case hex, 9 bytes."""
    public_key: bytes
    """64 bytes, X then Y."""


@dataclass(frozen=True, slots=True)
class SignerStatus(Tell):
    """From the signer each second."""

    state: Literal["ready", "unavailable", "none"]
    """`none`: the configuration has no key provider, so nothing is signed."""
    reason: str
    signed: int
    """Signatures since the actor started."""
    identity: Identity | None


# Delivery: harvest <-> uplink.


@dataclass(frozen=True, slots=True)
class Want(Tell):
    """To harvest: this uplink can take `free` more packets.

    `session` names the uplink's incarnation: a new one has forgotten what it was given.
    """

    uplink: str
    endpoint: str
    session: str
    free: int
    full: tuple[str, ...] = ()
    """Devices of which it holds as many packets as it takes of one: a device whose
    packets cannot be delivered must not take the room of the others."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A signed packet as it goes to a backend, the same bytes each time."""

    id: int
    device: str
    jwt: bytes


@dataclass(frozen=True, slots=True)
class Deliver(Tell):
    """To an uplink: the oldest packets that it has not been given."""

    packets: tuple[Packet, ...]


@dataclass(frozen=True, slots=True)
class Delivered(Tell):
    """To harvest: the endpoint answered 200."""

    endpoint: str
    packet: int


@dataclass(frozen=True, slots=True)
class Rejected(Tell):
    """To harvest: the endpoint said that the packet itself is bad."""

    endpoint: str
    packet: int
    reason: str


@dataclass(frozen=True, slots=True)
class UplinkStatus(Tell):
    """From an uplink each second."""

    uplink: str
    endpoint: str
    state: Literal["idle", "delivering", "failing"]
    reason: str
    delivered: int
    rejected: int
    failed: int
    """Attempts that will be repeated. All three since the actor started."""
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class OutboxStatus(Tell):
    """From harvest each second. The counts are since the first start of all."""

    state: Literal["ok", "disk_full"]
    waiting_packets: int
    """Committed, and not yet delivered everywhere."""
    unsigned_packets: int
    quarantined_packets: int
    oldest_waiting_ms: int | None
    stored_bytes: int
    committed_readings: int
    committed_packets: int
    signed_packets: int
    delivered_packets: int
    dropped_packets: int
    """Dropped unsent because the outbox was at its bound."""
    damaged_files: int
    """Databases that were moved aside because they could not be read."""


# Live values: inverter -> api, lossy.

DeviceState = Literal["connecting", "online", "degraded", "offline"]


class FrequencySamples(msgspec.Struct, frozen=True):
    """About a second of samples, in order."""

    stamps_ms: tuple[int, ...]
    hz: tuple[float, ...]
    late_ms: tuple[float, ...]
    """How long after its instant on the 100 ms grid each request was sent."""


@dataclass(frozen=True, slots=True)
class DeviceStatus(Tell):
    """From an inverter to api each second, to the gateway on change and every 5 s."""

    device: str
    profile: str
    host: str
    port: int
    unit: int
    sn: str
    state: DeviceState
    reason: str
    """Why it is not online, in words; online: why its readings come slowly, if so."""
    session: str
    """The actor's incarnation: counts start anew with each."""
    since_ms: int
    """Wall clock of the actor's first request."""
    samples_taken: int
    samples_missed: int
    """Instants of the 100 ms grid without a sample, since the actor started."""
    readings_taken: int
    readings_unstored: int
    readings_dropped: int
    sample_rate_hz: float
    """Achieved over the last ten seconds."""
    reading_rate_hz: float
    """Harvest cycles finished, over the last ten seconds or the last cycle."""
    requests: int
    failures: int
    """Requests without a usable answer."""
    success_percent: float | None
    """Of the last hundred requests; None before the first."""
    quarantined: int
    """Registers that the device refuses and that are asked more rarely."""
    max_registers: int
    """Largest block that is asked for: the profile's, or less if that failed."""


class Suspect(msgspec.Struct, frozen=True):
    """A value of a reading that cannot be right: a counter that fell or leapt."""

    key: str
    value: float
    reason: str


@dataclass(frozen=True, slots=True)
class Live(Tell):
    """From an inverter each second: what came since the last one."""

    status: DeviceStatus
    frequency: FrequencySamples
    reading: Reading | None
    suspects: tuple[Suspect, ...] = ()
    """Values of the reading that are not to be published as good."""


# Backend and gateway.


@dataclass(frozen=True, slots=True)
class BackendStatus(Tell):
    """From the BackendActor each second."""

    name: str
    """The gateway's name at the backend; empty until it is known."""
    state: Literal["off", "asking", "known", "failing"]
    reason: str


GatewayState = Literal[
    "provisioning", "connecting", "harvesting", "offline-buffering", "degraded"
]


@dataclass(frozen=True, slots=True)
class GatewayStatus(Tell):
    """From the GatewayActor each second."""

    state: GatewayState
    reasons: tuple[str, ...]
    since_ms: int


# Registers on request: api -> inverter.


@dataclass(frozen=True, slots=True)
class ReadRegisters(Ask[tuple[int, ...]]):
    """To an inverter: read registers now.

    Refused with the reason `offline`, `invalid` or `modbus` (the text has the
    exception's name).
    """

    function: Function
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class WritePoint(Ask[float]):
    """To an inverter: write a point of its profile; answers what was read back.

    Refused with the reason `offline`, `invalid` (unknown, read-only or out of range)
    or `modbus`.
    """

    key: str
    value: float

"""GatewayActor: one word for the whole gateway, from what the others report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from egw.messages import (
    API,
    DeviceStatus,
    GatewayState,
    GatewayStatus,
    OutboxStatus,
    SignerStatus,
    UplinkStatus,
)
from egw.runtime import Actor, Context, Tell

_PUBLISH_S = 1.0
_STEP_MS = 500.0


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer."""


Inbox = DeviceStatus | SignerStatus | UplinkStatus | OutboxStatus | _Publish


@dataclass(slots=True)
class Reports:
    """The newest word of everybody."""

    devices: dict[str, DeviceStatus] = field(default_factory=dict)
    uplinks: dict[str, UplinkStatus] = field(default_factory=dict)
    signer: SignerStatus | None = None
    outbox: OutboxStatus | None = None


def judge(
    reports: Reports, *, devices: int, endpoints: int
) -> tuple[GatewayState, tuple[str, ...]]:
    """Return the gateway's state and the reasons for it.

    In this order, the first that holds:

    * `provisioning`: a device, a key or an endpoint is not configured;
    * `connecting`: no device has been reached yet;
    * `degraded`: a device, the key or the disk is in trouble;
    * `offline-buffering`: an endpoint does not take packets, they are kept;
    * `harvesting`: all is well.
    """
    if missing := _missing(reports, devices=devices, endpoints=endpoints):
        return "provisioning", missing
    reached = [d for d in reports.devices.values() if d.state != "connecting"]
    if not reached:
        return "connecting", ("no device has been reached yet",)
    failing = tuple(
        f"{u.endpoint}: {u.reason}"
        for u in reports.uplinks.values()
        if u.state == "failing"
    )
    if trouble := _trouble(reports):
        return "degraded", trouble + failing
    if failing:
        return "offline-buffering", failing
    return "harvesting", ()


def _missing(reports: Reports, *, devices: int, endpoints: int) -> tuple[str, ...]:
    missing = []
    if not devices:
        missing.append("no device is configured")
    if reports.signer is not None and reports.signer.state == "none":
        missing.append("no key provider is configured: packets are kept unsigned")
    if not endpoints:
        missing.append("no endpoint is configured: packets are kept")
    return tuple(missing)


def _trouble(reports: Reports) -> tuple[str, ...]:
    trouble = [
        f"{d.device} is {d.state}: {d.reason}"
        for d in reports.devices.values()
        if d.state in ("offline", "degraded")
    ]
    if reports.signer is not None and reports.signer.state == "unavailable":
        trouble.append(f"nothing is signed: {reports.signer.reason}")
    if reports.outbox is not None and reports.outbox.state == "disk_full":
        trouble.append("the disk takes no more data")
    return tuple(trouble)


class GatewayActor(Actor[Inbox]):
    """Publishes the state and logs each change."""

    def __init__(self, context: Context, *, devices: int, endpoints: int) -> None:
        super().__init__(context)
        self._devices = devices
        self._endpoints = endpoints
        self._reports = Reports()
        self._state: GatewayState | None = None
        self._since_ms = 0
        self._wall_minus_monotonic_ms: float | None = None

    def started(self) -> None:
        """Begin to publish."""
        self.every(_PUBLISH_S, _Publish())

    def receive(self, message: Inbox) -> None:
        """Handle one message."""
        match message:
            case DeviceStatus(device=device):
                self._reports.devices[device] = message
            case UplinkStatus(uplink=uplink):
                self._reports.uplinks[uplink] = message
            case SignerStatus():
                self._reports.signer = message
            case OutboxStatus():
                self._reports.outbox = message
            case _Publish():
                self._watch_clock()
                self._publish()
            case _:
                assert_never(message)

    def _watch_clock(self) -> None:
        offset_ms = self.clock.wall_ms() - self.clock.monotonic() * 1000
        before_ms, self._wall_minus_monotonic_ms = (
            self._wall_minus_monotonic_ms,
            offset_ms,
        )
        if before_ms is not None and abs(offset_ms - before_ms) > _STEP_MS:
            self.log.warning("clock.stepped", by_ms=round(offset_ms - before_ms))

    def _publish(self) -> None:
        state, reasons = judge(
            self._reports, devices=self._devices, endpoints=self._endpoints
        )
        if state != self._state:
            self.log.info(
                "gateway.state", state=state, was=self._state, reasons=reasons[:5]
            )
            self._state, self._since_ms = state, self.clock.wall_ms()
        self.ref(API).tell(GatewayStatus(state, reasons[:20], self._since_ms))

"""`GET /api/state`: the whole gateway at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from egw.api.identity import VERSION
from egw.api.replies import BadField, send

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import DeviceRecord, Heard, Snapshot
    from egw.api.uptime import Uptime

NOT_HEARD = "nothing has been heard of it yet"


class State:
    """Every part has `age_ms`: how long ago it spoke; null when it never did."""

    def __init__(self, snapshot: Snapshot, uptime: Uptime) -> None:
        self._snapshot = snapshot
        self._uptime = uptime

    def on_get(self, req: Request, resp: Response) -> None:
        """Answer all statuses; `?lateness=buckets` adds the histogram's buckets."""
        lateness = req.get_param("lateness")
        if lateness not in (None, "buckets"):
            raise BadField("lateness", "the only value is: buckets")
        snapshot = self._snapshot
        gateway = self._gateway()
        uptime_ms = self._uptime.ms_if_known()
        send(
            resp,
            {
                "gateway": gateway | {"version": VERSION, "uptime_ms": uptime_ms},
                "signer": self._signer(),
                "backend": self._plain(snapshot.backend),
                "outbox": self._outbox(),
                "uplinks": [self._plain(heard) for heard in snapshot.uplinks()],
                "devices": [self._device(d) for d in snapshot.devices()],
                "lateness": self._lateness(with_buckets=lateness is not None),
                "status": {
                    "version": VERSION,
                    "uptime": uptime_ms,
                    "messages": self._messages(gateway["reasons"]),
                },
                "timestamp": snapshot.clock.wall_ms(),
            },
        )

    def _plain(self, heard: Heard[Any] | None) -> dict[str, Any] | None:
        if heard is None:
            return None
        known: dict[str, Any] = msgspec.to_builtins(heard.status)
        known["age_ms"] = self._snapshot.age_ms(heard)
        return known

    def _gateway(self) -> dict[str, Any]:
        known = self._plain(self._snapshot.gateway)
        if known is not None:
            return known
        return {
            "state": "starting",
            "reasons": [NOT_HEARD],
            "since_ms": None,
            "age_ms": None,
        }

    def _signer(self) -> dict[str, Any]:
        identity = self._snapshot.identity
        known = self._plain(self._snapshot.signer) or {
            "state": "unavailable",
            "reason": NOT_HEARD,
            "signed": None,
            "age_ms": None,
        }
        known.pop("identity", None)
        return known | {
            "kind": identity.kind if identity else None,
            "device_name": identity.device_name if identity else None,
            "serial": identity.serial if identity else None,
        }

    def _outbox(self) -> dict[str, Any] | None:
        known = self._plain(self._snapshot.outbox)
        if known is None:
            return None
        oldest_ms = known["oldest_waiting_ms"]
        now_ms = self._snapshot.clock.wall_ms()
        age_ms = None if oldest_ms is None else max(0, now_ms - oldest_ms)
        return known | {"oldest_waiting_age_ms": age_ms}

    def _device(self, record: DeviceRecord) -> dict[str, Any]:
        known = self._plain(record.status) or {
            "device": record.name,
            "profile": record.profile,
            "state": "connecting",
            "reason": NOT_HEARD,
            "age_ms": None,
        }
        points = record.points
        known["is_silent"] = self._snapshot.is_silent(record.status)
        if known["is_silent"] and known["age_ms"] is not None:
            known["reason"] = (
                f"nothing has been heard of it for {known['age_ms'] / 1000:.0f} s"
            )
        known["power_w"] = self._snapshot.power_w(record)
        known["frequency_hz"] = self._snapshot.frequency_hz(record)
        known["reading_stamp_ms"] = points.stamp_ms if points else None
        if record.status is not None:
            known["max_registers"] = self._snapshot.reduced_max_registers(record)
        return known

    def _lateness(self, *, with_buckets: bool) -> dict[str, Any]:
        lateness = self._snapshot.lateness()
        figures: dict[str, Any] = {
            "session": self._snapshot.session,
            "p50_ms": lateness.quantile_ms(0.5),
            "p99_ms": lateness.quantile_ms(0.99),
            "samples": lateness.samples,
        }
        return figures | ({"buckets": lateness.buckets()} if with_buckets else {})

    def _messages(self, reasons: list[str]) -> list[dict[str, Any]]:
        """Return the gateway's reasons as older clients read messages."""
        now_s = self._snapshot.clock.wall_ms() // 1000
        return [
            {"message": reason, "type": "warning", "timestamp": now_s, "id": number}
            for number, reason in enumerate(reasons)
        ]

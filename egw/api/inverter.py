"""`GET /api/inverter`: the first device, in the words of two generations of clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egw.api.replies import send

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import DeviceRecord, Snapshot


class Inverter:
    """Older clients read `type`, `host` and `address`, newer `device_type`, `ip`."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the first device that has been heard of."""
        heard = [d for d in self._snapshot.devices() if d.status is not None]
        if heard:
            send(resp, self._described(heard[0]))
        else:
            send(resp, {"status": "No inverter"})

    def _described(self, record: DeviceRecord) -> dict[str, object]:
        assert record.status is not None  # noqa: S101 - on_get chose it so
        status = record.status.status
        is_open = status.state in ("online", "degraded")
        is_open = is_open and not self._snapshot.is_silent(record.status)
        return {
            "connection": "TCP",
            "type": status.profile,
            "address": status.unit,
            "host": status.host,
            "port": status.port,
            "status": "open" if is_open else "closed",
            "device_type": status.profile,
            "slave_id": status.unit,
            "ip": status.host,
            "sn": status.sn,
            "mac": "",
        }

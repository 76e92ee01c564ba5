"""`GET /api/devices/{name}/points`: the named values of one device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from egw.api.replies import send

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import Snapshot


def unknown_device(snapshot: Snapshot, name: str) -> falcon.HTTPNotFound:
    """Return the error that says which devices there are."""
    names = [record.name for record in snapshot.devices()]
    known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return falcon.HTTPNotFound(
        description=f"no device {name!r}; there are: {known or 'none'}"
    )


class DevicePoints:
    """The newest reading, decoded."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, _req: Request, resp: Response, name: str) -> None:
        """Answer the points; `missing` names those that the reading should have."""
        record = self._snapshot.device(name)
        if record is None:
            raise unknown_device(self._snapshot, name)
        reading = record.reading
        if reading is None:
            expected = self._snapshot.table(record.profile).expected
            send(resp, {"points": {}, "stamp_ms": None, "missing": expected})
            return
        send(
            resp,
            {
                "points": reading.json,
                "stamp_ms": reading.reading.stamp_ms,
                "missing": reading.missing,
            },
        )

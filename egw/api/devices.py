"""`GET /api/devices/{name}/points`: the named values of one device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon

from egw.api.replies import send

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import DeviceRecord, Snapshot


def unknown_device(snapshot: Snapshot, name: str) -> falcon.HTTPNotFound:
    """Return the error that says which devices there are."""
    names = [record.name for record in snapshot.devices()]
    known = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return falcon.HTTPNotFound(
        description=f"no device {name!r}; there are: {known or 'none'}"
    )


class DevicePoints:
    """What is known of a device now, decoded."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, _req: Request, resp: Response, name: str) -> None:
        """Answer the points and what is made of them.

        `missing` names the points that the device should have; what `suspect` names
        has a value that cannot be right, and is in neither `points` nor `model`.
        """
        record = self._snapshot.device(name)
        if record is None:
            raise unknown_device(self._snapshot, name)
        points = record.points
        if points is None:
            send(resp, self._nothing(record))
            return
        send(
            resp,
            {
                "points": points.json,
                "stamp_ms": points.stamp_ms,
                "first_read_ms": points.first_read_ms,
                "last_read_ms": points.last_read_ms,
                "missing": points.missing,
                "suspect": points.suspects,
                "model": points.model,
            },
        )

    def _nothing(self, record: DeviceRecord) -> dict[str, Any]:
        expected = self._snapshot.table(record.profile).expected
        return {
            "points": {},
            "stamp_ms": None,
            "first_read_ms": None,
            "last_read_ms": None,
            "missing": list(expected.missing((), ())),
            "suspect": [],
            "model": {},
        }

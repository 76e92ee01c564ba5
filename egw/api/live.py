"""`GET /api/live`: what came since the last call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from egw.api.devices import unknown_device
from egw.api.replies import BadField, send

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import DeviceNews, Snapshot

MOST_SAMPLES = 5_000
"""In one reply; the rest follows under its cursor."""
RECENT_SAMPLES = 600
"""What a client without a cursor gets of each device: a minute at 10 Hz."""

_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})")


class LiveResource:
    """A cursor is the API's session and the number of the last message seen."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, req: Request, resp: Response) -> None:
        """Answer samples, states and newest readings since the cursor `since`.

        A cursor of another session, or one whose samples are gone, starts anew and
        `restarted` says so.
        """
        device = req.get_param("device")
        if device is not None and self._snapshot.device(device) is None:
            raise unknown_device(self._snapshot, device)
        cursor = req.get_param("since")
        after = None if cursor is None else self._after(cursor, device)
        news = self._snapshot.news(
            after, device=device, most=MOST_SAMPLES, recent=RECENT_SAMPLES
        )
        send(
            resp,
            {
                "cursor": f"{self._snapshot.session}-{news.number}",
                "restarted": cursor is not None and after is None,
                "more": news.more,
                "now_ms": self._snapshot.clock.wall_ms(),
                "devices": {d.name: self._device(d) for d in news.devices},
            },
        )

    def _after(self, cursor: str, device: str | None) -> int | None:
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise BadField("since", "not a cursor that this API has given")
        number = int(match[2])
        if match[1] != self._snapshot.session:
            return None
        return number if self._snapshot.knows(number, device) else None

    def _device(self, news: DeviceNews) -> dict[str, Any]:
        body: dict[str, Any] = {"samples": news.samples}
        if news.status is not None:
            body |= {
                "state": news.status.state,
                "reason": news.status.reason,
                "sample_rate_hz": news.status.sample_rate_hz,
                "reading_rate_hz": news.status.reading_rate_hz,
            }
        if news.points is not None:
            body |= {
                "reading_stamp_ms": news.points.stamp_ms,
                "points": news.points.json,
            }
        return body

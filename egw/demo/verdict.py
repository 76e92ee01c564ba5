"""What became of the readings: what is on disk against what the backend got."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egw.storage.outbox import Outbox, Totals

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Verdict:
    """Readings are told apart by serial number and stamp."""

    totals: Totals
    lost: int
    """Committed to disk, and the backend did not get them."""
    duplicated: int
    """In more than one packet."""


def judge(outbox: Path, journal: Iterable[tuple[str, int]]) -> Verdict:
    """Compare the outbox of a gateway that has ended with the backend's journal."""
    database = Outbox(outbox, now_ms=time.time_ns() // 1_000_000)
    try:
        committed = Counter(
            (sn, int(stamp))
            for sn, payload in database.payloads()
            for stamp in json.loads(payload)
        )
        got = Counter(journal)
        return Verdict(
            totals=database.totals(),
            lost=sum(1 for reading in committed if reading not in got),
            duplicated=sum(count - 1 for count in (committed | got).values()),
        )
    finally:
        database.close()

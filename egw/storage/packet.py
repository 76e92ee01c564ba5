"""Readings as the payload of a packet.

The payload is one JSON object: millisecond stamps (decimal strings) to readings, a
reading being register numbers (decimal strings) to words 0..65535, with the spaces
that Python's `json` puts after colons and commas.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egw.devices.blocks import Block
    from egw.messages import Reading


def payload_json(readings: Iterable[Reading]) -> str:
    """Return the payload of a packet with these readings."""
    rows = (f'"{r.stamp_ms}": {{{_reading(r.blocks)}}}' for r in readings)
    return "{" + ", ".join(rows) + "}"


def _reading(blocks: Iterable[Block]) -> str:
    return ", ".join(
        _template(block.address, len(block.data) // 2) % block.words for block in blocks
    )


@cache
def _template(address: int, count: int) -> str:
    """Formatting a whole block at once is ten times faster than a JSON encoder."""
    return ", ".join(f'"{address + offset}": %d' for offset in range(count))

"""The decoded points of one device, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from egw.cli_text import cell, new_table, printable

_COMMON = ("type", "make", "timestamp", "read_time_ms")

Parts = list[Table | Text | None]


def device_view(shown: Mapping[str, Any]) -> Parts:
    """Return what a gateway says of a device's points, `device` being its name."""
    stamp_ms = shown["stamp_ms"]
    if stamp_ms is None:
        return [Text(printable(f"{shown['device']}: nothing has been read yet"))]
    read_at = datetime.fromtimestamp(stamp_ms / 1000, UTC).astimezone()
    return [
        Text(printable(f"{shown['device']} at {read_at:%F %T}"), style="bold"),
        points_view(shown["points"]),
        *missing_view(dict.fromkeys(shown["missing"], "missing")),
        suspect_view(shown["suspect"]),
        model_view(shown["model"]),
    ]


def points_view(points: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the points, `{key: {"value": ..., "unit": ...}}`, with their units."""
    table = new_table("point", "value", "unit")
    for key, point in points.items():
        table.add_row(cell(key), cell(point["value"]), cell(point["unit"]))
    return table


def points_of(
    values: Mapping[str, Any], units: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return values with their units, as the gateway tells them."""
    return {key: {"value": v, "unit": units[key]} for key, v in values.items()}


def missing_view(missing: Mapping[str, str]) -> list[Text]:
    """Return the points that have no value, gathered by the reason."""
    keys_by_reason: dict[str, list[str]] = {}
    for key, reason in missing.items():
        keys_by_reason.setdefault(reason, []).append(key)
    return [
        Text(printable(f"{reason}: {', '.join(keys)}"))
        for reason, keys in keys_by_reason.items()
    ]


def suspect_view(suspects: Sequence[Mapping[str, Any]]) -> Text | None:
    """Return the values that cannot be right, and why not."""
    lines = [f"suspect: {s['key']} {s['value']}: {s['reason']}" for s in suspects]
    return Text(printable("\n".join(lines)), style="yellow") if lines else None


def model_view(model: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """Return the parts of the common data model."""
    if not model:
        return None
    table = new_table("data model", "field", "value")
    for part, fields in model.items():
        shown = [name for name in fields if name not in _COMMON]
        for number, name in enumerate(shown):
            first = cell(part if number == 0 else "")
            table.add_row(first, cell(name), cell(fields[name]))
    return table

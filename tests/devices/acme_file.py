"""The file of a good profile, and the same with something changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

GOOD: dict[str, Any] = {
    "name": "acme",
    "maker": "Acme",
    "display_name": "Acme One",
    "kind": "inverter",
    "transports": ["modbus-tcp"],
    "max_power_w": 10_000,
    "harvest": {"full": [{"function": "holding", "address": 0, "count": 20}]},
    "frequency": "grid_frequency_hz",
    "identification": {
        "serial": ["serial_number"],
        "signs": [{"point": "serial_number", "pattern": "^AC"}],
    },
    "variants": {
        "big": {"function": "holding", "address": 9, "within": [[1, 2]]},
        "far": {"function": "holding", "address": 99, "within": [[1, 2]]},
    },
    "points": [
        {
            "key": "grid_frequency_hz",
            "function": "holding",
            "address": 0,
            "type": "u16",
            "scale": {"register": 1},
        },
        {"key": "frequency_sf", "function": "holding", "address": 1, "type": "i16"},
        {
            "key": "serial_number",
            "function": "holding",
            "address": 2,
            "type": "str",
            "count": 4,
        },
        {
            "key": "limit_percent",
            "function": "holding",
            "address": 6,
            "type": "u32",
            "scale": 0.1,
            "write": {"min": 0, "max": 100},
        },
        {
            "key": "flags",
            "function": "holding",
            "address": 8,
            "type": "bitfield",
            "count": 1,
            "bits": {0: "running"},
        },
        {"key": "pv1_w", "function": "holding", "address": 10, "type": "i16"},
        {"key": "pv2_w", "function": "holding", "address": 11, "type": "i16"},
    ],
    "derived": [{"key": "pv_power_w", "sum": ["pv1_w", "pv2_w"]}],
}


class _Plain(yaml.SafeDumper):
    """Writes no aliases: a profile must not have any."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write(folder: Path, profile: object, name: str = "acme") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.dump(profile, Dumper=_Plain))
    return path


def changed(path: str, value: object) -> dict[str, Any]:
    """Return GOOD with the entry at `path` set; points go by their key."""
    profile = copy.deepcopy(GOOD)
    place: Any = profile
    *parents, last = path.split("/")
    for name in parents:
        place = place[_index(place, name)]
    place[_index(place, last)] = value
    return profile


def _index(place: Any, name: str) -> str | int:
    """Return where an entry stands; those of a list go by their key or number."""
    if isinstance(place, dict):
        return name
    return [name in (e.get("key"), str(n)) for n, e in enumerate(place)].index(True)

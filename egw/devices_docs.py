"""docs/devices.md, made from the profiles.

`python -m egw.devices_docs > docs/devices.md` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from egw.devices.cost import cycle_costs
from egw.devices.loader import builtin_profiles, load_profile
from egw.devices.manners_text import manners_in_words
from egw.devices.model import FIELDS, Field
from egw.devices.profile import Disagreement, Profile
from egw.devices.standard import STANDARD_KEYS, instances
from egw.devices.yaml_data import read_yaml

_INTRODUCTION = """\
# Devices

This page is made from the profiles (`python -m egw.devices_docs > docs/devices.md`).
A profile is one YAML file in `egw/devices/profiles/`;
[adding a device](adding-a-device.md) says how to write another.
`egw profile show NAME` shows one with all its registers.
"""

_SIGNS = """\
## Signs and units

A key ends in the unit of its value, and values are always in that unit.
Whatever a device counts positive natively, in egw these are positive:

- power and current from the grid to the site (import); export is negative
- power and current into a battery (charge); discharge is negative
- power and current that a device generates; what it takes in is negative
- energies, each of which counts one direction

Where no source says what the sign of a register means, the profile says so, and the
value is what the register says.

A value that a device marks as not available is absent, never zero. A counter that
falls, or rises faster than the device's largest power allows, is told apart as suspect.

### The common data model

From the points come the parts `pv`, `battery` and `meter` of the common data model,
version 1, each with `type`, `make`, `timestamp` (ms, start of the read) and
`read_time_ms`. Its signs are those above with one exception: generation is negative.
Totals are positive, the state of charge is a fraction; a phase's current at the meter
has the direction of its power, as many meters tell no direction. A field without a
value is absent; so is `pv` without a power, `battery` without power and state of
charge, and `meter` without power and totals. `pv` has `HV_LV` where a point
`voltage_class` exists. Where an inverter without a battery does not tell the power of
its panels, `pv.W` is its AC power.
"""

_COSTS = """\
## What a harvest costs

A cycle runs each second if the device bears it; where there are slim cycles, one in so
many is full. *Points*: requests if each point were read on its own. *Before*: if each
range of the profile were. *After*: as egw reads, merged within what the device bears; a
few registers between two ranges may be read along to save a request. What a device
refuses is left out, and asked again every five minutes.
"""


def render_docs() -> str:
    """Return the text of docs/devices.md."""
    profiles = {n: load_profile(path) for n, path in builtin_profiles().items()}
    sections = [
        _INTRODUCTION,
        _overview(profiles.values()),
        f"{_COSTS}\n{_costs(profiles.values())}",
        f"{_SIGNS}\n{_model()}",
        _standard_keys(profiles.values()),
        "## Manners, notes and disagreements\n",
        *(_details(profile, profiles) for profile in profiles.values()),
    ]
    return "\n".join(sections)


def _overview(profiles: Iterable[Profile]) -> str:
    rows = [
        (
            f"[{p.name}](#{p.name})",
            p.maker,
            p.kind,
            p.display_name,
            ", ".join(p.transports),
            f"{p.default_port} / {', '.join(map(str, _units(p)))}",
            ", ".join(p.identification.serial) or "-",
            ", ".join(_writable(p)) or "-",
        )
        for p in profiles
    ]
    columns = ("profile", "maker", "kind", "what it is", "transports", "port / unit")
    table = _table((*columns, "serial number", "may be written"), rows)
    return f"## All profiles\n\n{table}"


def _units(profile: Profile) -> tuple[int, ...]:
    return tuple(dict.fromkeys((profile.default_unit, *profile.manners.units)))


def _writable(profile: Profile) -> list[str]:
    return list(dict.fromkeys(p.key for p in profile.points if p.write is not None))


def _costs(profiles: Iterable[Profile]) -> str:
    rows = []
    for profile in profiles:
        every = profile.harvest.full_every
        for cost in cycle_costs(profile):
            rhythm = {"full": f"1 of {every}", "slim": "the others"}[cost.cycle]
            figures = (
                cost.points,
                cost.requests_before,
                cost.registers_before,
                cost.requests,
                cost.registers,
            )
            which = rhythm if every > 1 else "all"
            rows.append((profile.name, cost.cycle, which, *map(str, figures)))
    columns = ("points", "requests before", "registers", "requests after", "registers")
    return _table(("profile", "cycle", "which", *columns), rows, numbers=5)


def _model() -> str:
    rows = [
        (
            f"`{part}.{field.name}`",
            " else ".join(f"`{k}`" for k in field.keys),
            _turn(field),
        )
        for part, fields in FIELDS.items()
        for field in fields
    ]
    return _table(("field", "from", "how"), rows)


def _turn(field: Field) -> str:
    return {1.0: "as it is", -1.0: "negated", 0.01: "divided by 100"}[field.turn(1.0)]


def _standard_keys(profiles: Iterable[Profile]) -> str:
    known = [profile.units for profile in profiles]
    rows = [
        (
            f"`{key}`",
            meaning,
            str(sum(any(k in units for k in instances(key)) for units in known)),
        )
        for key, meaning in STANDARD_KEYS.items()
    ]
    table = _table(("key", "meaning", "profiles"), rows, numbers=1)
    return (
        "## Standard keys\n\nThese mean the same in every profile. `N` stands for a "
        f"number from 1. All other keys are a maker's own.\n\n{table}"
    )


def _details(profile: Profile, profiles: dict[str, Profile]) -> str:
    base = profiles.get(_base_of(profile) or "")
    notes: Iterable[str] = profile.notes
    disagreements: Iterable[Disagreement] = profile.disagreements
    lines = [f"### {profile.name}\n", f"{profile.display_name}.\n"]
    if base is not None:
        notes = [note for note in notes if note not in base.notes]
        disagreements = [d for d in disagreements if d not in base.disagreements]
        lines.append(
            f"Based on [{base.name}](#{base.name}): what is said there holds here.\n"
        )
    lines.append(f"Manners: {'; '.join(manners_in_words(profile.manners))}.")
    lines += _bullets("Disagreements", map(_disagreement, disagreements))
    lines += _bullets("Notes", notes)
    return "\n".join(lines) + "\n"


def _base_of(profile: Profile) -> str | None:
    name = read_yaml(builtin_profiles()[profile.name]).get("based_on")
    return name if isinstance(name, str) else None


def _disagreement(disagreement: Disagreement) -> str:
    about = disagreement.about.strip().rstrip(".")
    chosen = disagreement.chosen.strip().rstrip(".")
    return f"{about}. **Chosen:** {chosen}. **Why:** {disagreement.why}"


def _bullets(title: str, texts: Iterable[str]) -> list[str]:
    lines = [f"- {' '.join(text.split())}" for text in texts]
    return [f"\n{title}:\n", *lines] if lines else []


def _table(
    titles: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: int = 0
) -> str:
    """Return a table whose last `numbers` columns are aligned right."""
    names = tuple(titles)
    rules = ["---"] * (len(names) - numbers) + ["---:"] * numbers
    lines = [_line(names), _line(rules), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.stdout.write(render_docs())

"""`egw profile`: check, list and show the descriptions of device types."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table
from rich.text import Text

from egw.cli_text import cell, complain, new_table, printable, show
from egw.devices.cost import Cost, cycle_costs
from egw.devices.loader import (
    builtin_profiles,
    find_profile,
    known_profiles,
    load_profile,
)
from egw.devices.manners_text import manners_in_words
from egw.devices.profile import (
    Disagreement,
    Point,
    Profile,
    ProfileError,
    ScaleRegister,
    Variant,
)


def check(files: Sequence[Path]) -> int:
    """Say of each file whether it is a good profile; return the exit status.

    0: all are. 1: at least one is not; a line names its file, the point and the reason.
    """
    status = 0
    for file in files:
        try:
            load_profile(file)
        except ProfileError as error:
            reason = str(error).removeprefix(f"{file.name}: ")
            print(_one_line(f"{file}: {reason}"))
            status = 1
        else:
            unseen = "" if file.suffix == ".yaml" else ", but found only as NAME.yaml"
            print(_one_line(f"{file}: good{unseen}"))
    return status


def list_all(profiles_dir: Path | None, *, as_json: bool) -> int:
    """Show all profiles; return the exit status.

    1 when one of the user's own is wrong; a line on standard error says why.
    """
    status, profiles = 0, []
    for name, path in known_profiles(profiles_dir).items():
        try:
            profiles.append((find_profile(name, profiles_dir), path))
        except ProfileError as error:
            complain("profile list", str(error))
            status = 1
    rows = [_row(profile, path) for profile, path in profiles]
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        show([_list_view(rows)])
    return status


def show_one(name: str, profiles_dir: Path | None, *, as_json: bool) -> int:
    """Show one profile; return the exit status: 1 when it is unknown or wrong."""
    try:
        profile = named(name, profiles_dir)
    except ProfileError as error:
        complain("profile show", str(error))
        return 1
    if as_json:
        encoded = msgspec.json.encode(_body(profile))
        print(msgspec.json.format(encoded, indent=2).decode())
    else:
        show(_view(profile))
    return 0


def named(name: str, profiles_dir: Path | None) -> Profile:
    """Return a profile; raises ProfileError, which tells names that are close."""
    names = sorted(known_profiles(profiles_dir))
    if name in names:
        return find_profile(name, profiles_dir)
    close = difflib.get_close_matches(name, names)
    meant = f"; did you mean {' or '.join(close)}?" if close else "."
    raise ProfileError(f"no profile {name!r}{meant} All: egw profile list")


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())


# The list.


def _row(profile: Profile, path: Path) -> dict[str, Any]:
    return {
        "name": profile.name,
        "maker": profile.maker,
        "kind": profile.kind,
        "display_name": profile.display_name,
        "transports": list(profile.transports),
        "port": profile.default_port,
        "unit": profile.default_unit,
        "points": len(profile.units),
        "own": path not in builtin_profiles().values(),
    }


def _list_view(rows: Iterable[dict[str, Any]]) -> Table:
    words = ("name", "maker", "kind", "what it is", "transports", "")
    table = new_table(*words, "port", "unit", "points", words=len(words))
    for row in rows:
        table.add_row(
            *(cell(row[key]) for key in ("name", "maker", "kind", "display_name")),
            cell(row["transports"]),
            cell("your own" if row["own"] else ""),
            *(cell(row[key]) for key in ("port", "unit", "points")),
        )
    return table


# One profile.


def _body(profile: Profile) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(profile, str_keys=True)
    costs = {cost.cycle: cost for cost in cycle_costs(profile)}
    return body | {
        "units": profile.units,
        "cost": msgspec.to_builtins(costs),
    }


def _view(profile: Profile) -> list[Table | Text | None]:
    return [
        _headline(profile),
        _rhythm(profile),
        _costs(cycle_costs(profile)),
        _variants(profile.variants),
        _points(profile),
        _derived(profile),
        _disagreements(profile.disagreements),
        _paragraphs("Notes", profile.notes),
    ]


def _headline(profile: Profile) -> Text:
    says = profile.identification
    lines = [
        f"{profile.maker}, {profile.kind}, up to {profile.max_power_w} W; "
        f"{', '.join(profile.transports)}; port {profile.default_port}, "
        f"unit {profile.default_unit}",
        f"serial number: {', '.join(says.serial) or 'not told'}; "
        f"model: {says.model or 'not told'}; frequency: {profile.frequency}",
        *manners_in_words(profile.manners),
    ]
    title = f"{profile.name}: {profile.display_name}\n"
    return Text.assemble((printable(title), "bold"), printable("\n".join(lines)))


def _rhythm(profile: Profile) -> Text:
    every = profile.harvest.full_every
    rest = f"; every {every}th cycle is full, the others slim" if every > 1 else ""
    return Text(f"\nA cycle a second, if the device bears it{rest}.")


def _costs(costs: Iterable[Cost]) -> Table:
    table = new_table(
        "cycle", "requests", "registers", "before merging", "registers", words=1
    )
    for cost in costs:
        table.add_row(
            cell(cost.cycle),
            cell(cost.requests),
            cell(cost.registers),
            cell(cost.requests_before),
            cell(cost.registers_before),
        )
    return table


def _variants(variants: dict[str, Variant]) -> Table | None:
    if not variants:
        return None
    table = new_table("variant", "when register", "is")
    for name, variant in variants.items():
        spans = [
            str(low) if low == high else f"{low}..{high}"
            for low, high in variant.within
        ]
        place = f"{variant.function} {variant.address}"
        table.add_row(cell(name), cell(place), cell(" or ".join(spans)))
    return table


def _points(profile: Profile) -> Table:
    words = ("point", "unit", "registers", "type", "scale", "write", "only", "positive")
    table = new_table(*words, words=len(words))
    for point in profile.points:
        table.add_row(
            cell(point.key),
            cell(point.unit),
            cell(_registers(point)),
            cell(point.type),
            cell(_scale(point)),
            cell(_writable(point)),
            cell(", ".join(point.applies_to)),
            cell(point.positive or ""),
        )
    return table


def _registers(point: Point) -> str:
    last = point.end - 1
    where = f"{point.function} {point.address}"
    where += f"..{last}" if last > point.address else ""
    return where if point.high_word is None else f"{where}, {point.high_word}"


def _scale(point: Point) -> str:
    if isinstance(point.scale, ScaleRegister):
        return f"by {point.scale.register}"
    plus = f" {point.offset:+.15g}" if point.offset else ""
    return f"{point.scale:.15g}{plus}" if point.scale != 1 or plus else ""


def _writable(point: Point) -> str:
    if point.write is None:
        return ""
    if point.values:
        return ", ".join(point.values.values())
    return f"{point.write.min:.15g}..{point.write.max:.15g}"


def _derived(profile: Profile) -> Table | None:
    if not profile.derived:
        return None
    table = new_table("computed", "unit", "from")
    for derived in profile.derived:
        terms = [*derived.sum, *(f"{a} x {b}" for a, b in derived.products)]
        less = "".join(f" - {key}" for key in derived.minus)
        table.add_row(
            cell(derived.key), cell(derived.unit), cell(" + ".join(terms) + less)
        )
    return table


def _disagreements(disagreements: Sequence[Disagreement]) -> Text | None:
    lines = [
        f"{d.about}. Chosen: {d.chosen.strip().rstrip('.')}. {d.why}"
        for d in disagreements
    ]
    return _paragraphs("Where sources disagree", lines)


def _paragraphs(title: str, texts: Sequence[str]) -> Text | None:
    if not texts:
        return None
    lines = "".join(f"\n- {' '.join(text.split())}" for text in texts)
    return Text.assemble((title, "bold"), printable(lines), "\n")

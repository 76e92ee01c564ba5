"""Profiles from YAML files, checked as they are read.

A profile that is `based_on` another one takes everything from it that it does not say
itself; its points, derived values, variants, disagreements and notes are added.
Every mistake in a file is a `ProfileError` of one line that names the file, the point
and the reason: `solaredge.yaml: point grid_frequency_hz: unit: Expected str, got int`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from egw.devices.checks import check_profile
from egw.devices.choices import choices
from egw.devices.profile import WORDS_OF_TYPE, Profile, ProfileError
from egw.devices.yaml_data import read_yaml

_BUILTIN_DIR = Path(__file__).parent / "profiles"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIELD = re.compile(r"[a-z_]+")
_POINT_PATH = re.compile(r"(points|derived)\[(\d+)\]\.?")
_ADDED = ("derived", "disagreements", "notes")
"""Lists that a profile adds to those of the profile it is based on."""


def load_profile(path: Path) -> Profile:
    """Read and check one profile.

    Raises ProfileError when the file cannot be read or anything in it is wrong.
    """
    try:
        profile = _typed(_counted(_complete(read_yaml(path), path)))
        check_profile(profile, path.stem)
    except ProfileError as error:
        reason = " ".join(str(error).split())
        raise ProfileError(f"{path.name}: {reason}") from error.__cause__
    return profile


@cache
def builtin_profiles() -> dict[str, Path]:
    """Return the files of the profiles that come with egw, by name."""
    return {path.stem: path for path in sorted(_BUILTIN_DIR.glob("*.yaml"))}


def known_profiles(extra_dir: Path | None = None) -> dict[str, Path]:
    """Return the files of all profiles, by name; the user's own win."""
    known = dict(builtin_profiles())
    if extra_dir is not None:
        known |= {path.stem: path for path in sorted(extra_dir.glob("*.yaml"))}
    return known


def find_profile(name: str, extra_dir: Path | None = None) -> Profile:
    """Return the profile called `name`, from the user's directory or built in.

    Raises ProfileError when there is none of that name or its file is wrong.
    """
    known = known_profiles(extra_dir)
    if name not in known:
        raise ProfileError(
            f"no profile {name!r}; there are: {', '.join(sorted(known))}"
        )
    path = known[name]
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        return load_profile(path)
    return _loaded(path, changed_ns)


@cache
def _loaded(path: Path, _changed_ns: int) -> Profile:
    return load_profile(path)


def _complete(raw: Any, path: Path) -> Any:
    """Add what the profile takes from the one that it is based on."""
    if not _is_dict(raw) or "based_on" not in raw:
        return raw
    own = {key: value for key, value in raw.items() if key != "based_on"}
    base_path = _base_path(raw["based_on"], path)
    base = read_yaml(base_path)
    if _is_dict(base) and "based_on" in base:
        raise ProfileError(f"based_on: {base_path.stem} is based on another itself")
    load_profile(base_path)
    return _merged(base, own)


def _base_path(name: object, path: Path) -> Path:
    builtin = builtin_profiles()
    if isinstance(name, str) and _NAME.fullmatch(name):
        beside = path.with_name(f"{name}.yaml")
        if beside != path and beside.is_file():
            return beside
        if name in builtin and builtin[name] != path:
            return builtin[name]
    raise ProfileError(
        f"based_on: no profile {name!r}; there are: {', '.join(builtin)}"
    )


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = base | own
    for part in _ADDED:
        if part in base and part in own:
            merged[part] = base[part] + _list(own, part)
    if "variants" in base and _is_dict(own.get("variants")):
        merged["variants"] = base["variants"] | own["variants"]
    if "points" in own:
        replaced = {str(p.get("key")) for p in _list(own, "points") if _is_dict(p)}
        kept = [p for p in base["points"] if p["key"] not in replaced]
        merged["points"] = kept + own["points"]
    return merged


def _list(raw: dict[str, Any], part: str) -> list[Any]:
    found = raw[part]
    if not isinstance(found, list):
        raise ProfileError(f"{part}: expected a list")
    return found


def _counted(raw: Any) -> Any:
    """Fill in the register counts that follow from the types."""
    points = raw.get("points") if isinstance(raw, dict) else None
    for point in points if isinstance(points, list) else ():
        words = WORDS_OF_TYPE.get(str(point.get("type"))) if _is_dict(point) else None
        if words is not None and point.setdefault("count", words) != words:
            raise ProfileError(
                f"point {point.get('key')}: count: a {point['type']} takes {words}"
            )
    return raw


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _typed(raw: Any) -> Profile:
    try:
        return msgspec.convert(raw, Profile)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).replace("`", "").partition(" - at ")
        path = path.replace("$.", "").replace("$", "")
        inside = path.removeprefix("key in ")
        place = _place(raw, inside) + ("key: " if inside != path else "")
        words = choices(_FIELD.findall(path)[-1]) if "enum" in reason else ()
        expected = f", expected one of: {', '.join(words)}" if words else ""
        raise ProfileError(f"{place}{reason}{expected}") from error


def _place(raw: Any, path: str) -> str:
    """Say where in the file a msgspec path leads, with the point's own key."""
    match = _POINT_PATH.match(path)
    if match is None:
        return f"{path}: " if path else ""
    point = raw[match[1]][int(match[2])]
    key = point.get("key") if isinstance(point, dict) else None
    inner = path[match.end() :]
    kind = "point" if match[1] == "points" else match[1]
    name = f"{kind} {key}: " if key else f"{kind} number {int(match[2]) + 1}: "
    return name + (f"{inner}: " if inner else "")

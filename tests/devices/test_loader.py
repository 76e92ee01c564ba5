from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from egw.devices.loader import builtin_profiles, find_profile, load_profile
from egw.devices.profile import ProfileError

GOOD: dict[str, Any] = {
    "name": "acme",
    "maker": "Acme",
    "display_name": "Acme One",
    "kind": "inverter",
    "harvest": [{"function": "holding", "address": 0, "count": 20}],
    "frequency": "grid_frequency_hz",
    "identification": {"serial": "serial_number"},
    "variants": {"big": {"function": "holding", "address": 9, "within": [[1, 2]]}},
    "points": [
        {
            "key": "grid_frequency_hz",
            "function": "holding",
            "address": 0,
            "type": "u16",
            "scale": {"register": 1},
            "unit": "Hz",
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
    ],
}


def write(folder: Path, profile: object, name: str = "acme") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(profile))
    return path


def changed(path: str, value: object) -> dict[str, Any]:
    """Return GOOD with the entry at `path` set; points go by their key."""
    profile = copy.deepcopy(GOOD)
    place: Any = profile
    *parents, last = path.split("/")
    for name in parents:
        if isinstance(place, list):
            place = next(
                p for p in place if name in (p.get("key"), str(place.index(p)))
            )
        else:
            place = place[name]
    place[last] = value
    return profile


def test_counts_follow_from_the_types(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))

    assert [point.count for point in profile.points] == [1, 1, 4, 2, 1]


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))

    limit = profile.point("limit_percent")
    assert (limit.scale, limit.function, limit.address) == (0.1, "holding", 6)
    assert limit.write is not None
    assert (limit.write.min, limit.write.max) == (0, 100)
    assert profile.point("flags").bits == {0: "running"}


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        ("name", "other", "name: 'other' is not the name of the file"),
        ("colour", "red", "Object contains unknown field colour"),
        ("kind", "toaster", "kind: Invalid enum value 'toaster'"),
        ("default_unit", 256, "default_unit: Expected int <= 255"),
        ("harvest", [], "harvest: Expected array of length >= 1"),
        ("harvest/0/count", 0, "harvest[0].count: Expected int >= 1"),
        ("harvest/0/count", 65536, "harvest[0].count: Expected int <= 65535"),
        ("harvest/0/address", 65530, "harvest[0]: ends at register 65549, past 65535"),
        (
            "manners",
            {"max_registers": 126},
            "manners.max_registers: Expected int",
        ),
        ("frequency", "voltage_v", "frequency: there is no point voltage_v"),
        ("frequency", "flags", "frequency: point flags is no plain number"),
        (
            "points/grid_frequency_hz/applies_to",
            ["big"],
            "frequency: not every device has point grid_frequency_hz",
        ),
        (
            "identification",
            {"model": "nameplate"},
            "identification.model: there is no point nameplate",
        ),
        (
            "variants/big/within",
            [[5, 3]],
            "variants.big: 5..3 is no span of register values",
        ),
        ("points/flags/colour", 1, "point flags: Object contains unknown field colour"),
        ("points/flags/type", "u12", "point flags: type: Invalid enum value 'u12'"),
        ("points/flags/address", 65536, "point flags: address: Expected int <= 65535"),
        ("points/flags/address", -1, "point flags: address: Expected int >= 0"),
        (
            "points/flags/key",
            "Flags!",
            "point Flags!: key: Expected str matching",
        ),
        (
            "points/flags/key",
            "frequency_sf",
            "point frequency_sf: the key stands here",
        ),
        (
            "points/serial_number/address",
            65533,
            "point serial_number: address: ends at register 65536, past 65535",
        ),
        ("points/limit_percent/count", 1, "point limit_percent: count: a u32 takes 2"),
        ("points/limit_percent/scale", 0, "point limit_percent: scale: 0 is no scale"),
        (
            "points/limit_percent/scale",
            {"register": 5},
            "point limit_percent: scale register 5: there is no i16 point at holding 5",
        ),
        (
            "points/limit_percent/scale",
            {"register": 1},
            "point limit_percent: write: only the device knows the scale",
        ),
        (
            "points/limit_percent/write",
            {"min": 5, "max": 4},
            "point limit_percent: write: min 5 is above max 4",
        ),
        (
            "points/limit_percent/write",
            {"min": -1, "max": 4},
            "point limit_percent: write: -1 does not fit in u32",
        ),
        (
            "points/flags/write",
            {"min": 0, "max": 1},
            "point flags: write: a bitfield cannot be written",
        ),
        (
            "points/limit_percent/function",
            "input",
            "point limit_percent: write: input registers cannot be written",
        ),
        ("points/flags/bits", {16: "x"}, "point flags: bits: there is no bit 16 in 16"),
        ("points/flags/values", {1: "x"}, "point flags: values: a bitfield has none"),
        (
            "points/frequency_sf/bits",
            {1: "x"},
            "point frequency_sf: bits: a i16 has",
        ),
        (
            "points/flags/scale",
            2,
            "point flags: scale: only a plain number",
        ),
        (
            "points/flags/not_available",
            0x10000,
            "point flags: not_available: 0x10000 does not fit in 1 registers",
        ),
        (
            "points/flags/applies_to",
            ["small"],
            "point flags: applies_to: there is no variant small",
        ),
        (
            "points/flags/address",
            7,
            "point flags: shares holding 7 with limit_percent",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line_with_file_point_and_reason(
    tmp_path: Path, path: str, value: object, error: str
) -> None:
    with pytest.raises(ProfileError) as mistake:
        load_profile(write(tmp_path, changed(path, value)))

    text = str(mistake.value)
    assert text.startswith(f"acme.yaml: {error}")
    assert "\n" not in text


def test_a_text_states_how_many_registers_it_takes(tmp_path: Path) -> None:
    profile = copy.deepcopy(GOOD)
    del profile["points"][2]["count"]

    with pytest.raises(ProfileError, match=r"point serial_number: .* field count"):
        load_profile(write(tmp_path, profile))


def test_a_point_without_a_key_is_named_by_its_place(tmp_path: Path) -> None:
    profile = copy.deepcopy(GOOD)
    del profile["points"][1]["key"]

    with pytest.raises(ProfileError, match=r"point number 2: .* field key"):
        load_profile(write(tmp_path, profile))


def test_the_frequency_and_its_scale_fit_in_one_read(tmp_path: Path) -> None:
    profile = changed("points/frequency_sf/address", 126)
    profile["points"][0]["scale"] = {"register": 126}

    with pytest.raises(ProfileError, match="point grid_frequency_hz: scale register"):
        load_profile(write(tmp_path, profile))


def test_points_of_variants_that_exclude_each_other_may_share_registers(
    tmp_path: Path,
) -> None:
    profile = changed("points/flags/applies_to", ["big"])
    profile["variants"]["small"] = profile["variants"]["big"]
    twin = {**profile["points"][-1], "key": "other_flags", "applies_to": ["small"]}
    profile["points"].append(twin)

    assert len(load_profile(write(tmp_path, profile)).points) == 6


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name: [", "line 2: did not find expected node content"),
        ("name: a\nname: b\n", "line 2: key 'name' stands here twice"),
        ("? [1, 2]\n: b\n", "line 1: a key must be a plain word"),
        ("!!python/object/apply:os.getcwd []", "line 1: could not determine a constr"),
        ("\x07", "is not YAML: "),
        ("", "Expected object, got null"),
        ("- 1", "Expected object, got array"),
        ("points: 7", "points: Expected array, got int"),
        ("points: [7]", "point number 1: Expected object, got int"),
    ],
)
def test_what_is_no_profile_is_told_in_one_line(
    tmp_path: Path, text: str, error: str
) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(text)

    with pytest.raises(ProfileError) as mistake:
        load_profile(path)

    assert str(mistake.value).startswith(f"acme.yaml: {error}")
    assert "\n" not in str(mistake.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"^gone\.yaml: cannot be read: No such"):
        load_profile(tmp_path / "gone.yaml")


def test_a_profile_is_found_by_its_name() -> None:
    assert find_profile("huawei").maker == "Huawei"


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"no profile '../x'; there are: growatt, "):
        find_profile("../x")


def test_the_users_own_profile_goes_before_the_built_in_one(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "name": "huawei"}, "huawei")
    write(tmp_path, GOOD)

    assert find_profile("huawei", tmp_path).maker == "Acme"
    assert find_profile("acme", tmp_path).maker == "Acme"
    assert find_profile("growatt", tmp_path).maker == "Growatt"


def test_the_built_in_profiles_are_those_of_the_gateways_before() -> None:
    assert list(builtin_profiles()) == [
        "growatt",
        "huawei",
        "lqt40s",
        "solaredge",
        "sungrow",
        "sungrow_hybrid",
        "unknown",
    ]

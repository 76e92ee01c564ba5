from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from acme_file import GOOD, write

from egw.devices.loader import builtin_profiles, find_profile, load_profile
from egw.devices.profile import Profile, ProfileError


def test_counts_follow_from_the_types(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))

    assert [point.count for point in profile.points] == [1, 1, 4, 2, 1, 1, 1]


def test_a_profile_says_what_its_file_says(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))

    limit = profile.point("limit_percent")
    assert (limit.scale, limit.function, limit.address) == (0.1, "holding", 6)
    assert limit.write is not None
    assert (limit.write.min, limit.write.max) == (0, 100)
    assert profile.point("flags").bits == {0: "running"}


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


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name: [", "line 2: did not find expected node content"),
        ("name: a\nname: b\n", "line 2: key 'name' stands here twice"),
        ("? [1, 2]\n: b\n", "line 1: a key must be a plain word"),
        ("!!python/object/apply:os.getcwd []", "line 1: a tag (!) is not allowed here"),
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


@pytest.mark.parametrize("written", ["0010", "1:30", "0o10", "1_0"])
def test_a_number_that_may_be_meant_otherwise_is_none(
    written: str, tmp_path: Path
) -> None:
    path = write(tmp_path, GOOD)
    text = path.read_text().replace("address: 10\n", f"address: {written}\n")
    path.write_text(text)

    with pytest.raises(ProfileError, match="pv1_w: address: Expected int, got str"):
        load_profile(path)


@pytest.mark.parametrize("written", ["1e-1", "0.1", ".1", "+1.0E-1"])
def test_a_number_may_have_an_exponent(written: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.write_text(path.read_text().replace("scale: 0.1\n", f"scale: {written}\n"))

    assert load_profile(path).point("limit_percent").scale == 0.1


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"no profile '../x'; there are: deye, "):
        find_profile("../x")


def test_the_users_own_profile_goes_before_the_built_in_one(tmp_path: Path) -> None:
    write(tmp_path, {**GOOD, "name": "huawei"}, "huawei")
    write(tmp_path, GOOD)

    assert find_profile("huawei", tmp_path).maker == "Acme"
    assert find_profile("acme", tmp_path).maker == "Acme"
    assert find_profile("growatt", tmp_path).maker == "Growatt"


def test_there_is_a_profile_for_every_type_of_the_gateways_before() -> None:
    before = {
        *("deye", "deye_hybrid", "deye_micro", "ferroamp", "fronius", "fronius_sf"),
        *("goodwe", "growatt", "huawei", "huawei_hybrid", "lqt40s", "sdm630", "sma"),
        *("sofar", "solaredge", "solaredge_us", "solax", "solis", "solis_hybrid"),
        *("sungrow", "sungrow_hybrid", "sungrow_sf", "sunspec", "unknown"),
    }

    assert before <= set(builtin_profiles())


def based(folder: Path, **own: Any) -> Profile:
    write(folder, GOOD)
    return load_profile(write(folder, {"based_on": "acme"} | own, "acme_two"))


def test_a_profile_takes_from_another_what_it_does_not_say_itself(
    tmp_path: Path,
) -> None:
    two = based(tmp_path, name="acme_two", maker="Acme Sons", default_unit=7)

    one = load_profile(tmp_path / "acme.yaml")
    changed_parts = {"name": "acme_two", "maker": "Acme Sons", "default_unit": 7}
    assert two == msgspec.structs.replace(one, **changed_parts)


def test_a_point_takes_the_place_of_all_those_of_its_key(tmp_path: Path) -> None:
    own = [
        {"key": "flags", "function": "input", "address": 1, "type": "u16"},
        {"key": "flags", "function": "input", "address": 2, "type": "u16"},
        {"key": "new_w", "function": "input", "address": 3, "type": "u16"},
    ]

    two = based(tmp_path, name="acme_two", points=own)

    assert [p.address for p in two.alternatives("flags")] == [1, 2]
    assert two.point("new_w").function == "input"
    assert len(two.points) == len(GOOD["points"]) - 1 + 3


def test_what_a_profile_computes_and_tells_is_added(tmp_path: Path) -> None:
    far = GOOD["variants"]["far"]

    two = based(
        tmp_path,
        name="acme_two",
        derived=[{"key": "twice_w", "sum": ["pv1_w", "pv1_w"]}],
        notes=["two"],
        disagreements=[{"about": "1", "chosen": "2", "why": "3"}],
        variants={"new": far, "big": far},
    )

    assert [d.key for d in two.derived] == ["pv_power_w", "twice_w"]
    assert two.notes == ("two",)
    assert two.disagreements[0].why == "3"
    assert set(two.variants) == {"big", "far", "new"}
    assert two.variants["big"] == two.variants["far"]


def test_the_rest_of_a_profile_is_replaced_as_a_whole(tmp_path: Path) -> None:
    two = based(tmp_path, name="acme_two", identification={"model": "serial_number"})

    assert two.identification.serial == ()


@pytest.mark.parametrize(
    ("own", "error"),
    [
        ({"based_on": "nobody"}, "based_on: no profile 'nobody'; there are: deye, "),
        ({"based_on": "acme_two"}, "based_on: no profile 'acme_two'; there are: "),
        ({"based_on": "../acme"}, "based_on: no profile '../acme'; there are: "),
        ({"based_on": ["acme"]}, "based_on: no profile ['acme']; there are: "),
        ({"name": "other"}, "name: 'other' is not the name of the file"),
        ({"points": 7}, "points: expected a list"),
        ({"derived": "two"}, "derived: expected a list"),
        ({"points": [7]}, "point number 8: Expected object, got int"),
        ({"derived": [{"key": "pv_power_w", "sum": ["pv1_w"]}]}, "derived pv_power_w"),
        ({"frequency": "flags"}, "frequency: point flags is no plain number"),
    ],
)
def test_a_mistake_in_a_profile_that_is_based_on_another_is_told(
    tmp_path: Path, own: dict[str, Any], error: str
) -> None:
    with pytest.raises(ProfileError) as mistake:
        based(tmp_path, **{"name": "acme_two"} | own)

    assert str(mistake.value).startswith(f"acme_two.yaml: {error}")


def test_a_profile_is_not_based_on_one_that_is_based_on_another(
    tmp_path: Path,
) -> None:
    based(tmp_path, name="acme_two")
    three = {"based_on": "acme_two", "name": "three"}

    with pytest.raises(ProfileError, match="acme_two is based on another itself"):
        load_profile(write(tmp_path, three, "three"))


@pytest.mark.parametrize("base", [None, [], {**GOOD, "kind": "toaster"}])
def test_a_mistake_in_the_base_is_told_with_its_file(
    tmp_path: Path, base: object
) -> None:
    write(tmp_path, base, "base")

    with pytest.raises(ProfileError, match=r"^two\.yaml: base\.yaml: "):
        load_profile(write(tmp_path, {"based_on": "base", "name": "two"}, "two"))


def test_a_users_profile_may_be_based_on_the_built_in_one_of_its_name(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"based_on": "sdm630", "name": "sdm630", "maker": "Me"}, "sdm630")

    assert find_profile("sdm630", tmp_path).maker == "Me"

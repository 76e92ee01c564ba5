"""`egw profile`: good files, every kind of broken file, lists and details."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from egw.devices.loader import builtin_profiles
from egw.main import main

HOLDING = {"function": "holding"}
GOOD: dict[str, Any] = {
    "name": "acme",
    "maker": "Acme",
    "display_name": "Acme One",
    "kind": "inverter",
    "transports": ["modbus-tcp"],
    "default_port": 502,
    "default_unit": 1,
    "word_order": "big",
    "max_power_w": 20_000,
    "harvest": {
        "full": [HOLDING | {"address": 0, "count": 40}],
        "slim": [HOLDING | {"address": 0, "count": 2}],
        "full_every": 10,
    },
    "frequency": "grid_frequency_hz",
    "identification": {
        "serial": ["serial_number"],
        "model": "serial_number",
        "signs": [{"point": "grid_frequency_hz", "within": [[45, 65]]}],
    },
    "not_available": {"u16": 0xFFFF},
    "variants": {"big": HOLDING | {"address": 9, "within": [[1, 2]]}},
    "manners": {"max_registers": 60, "bridge_registers": 8, "units": [2, 3]},
    "points": [
        HOLDING
        | {
            "key": "grid_frequency_hz",
            "address": 0,
            "type": "u16",
            "scale": {"register": 1},
        },
        HOLDING | {"key": "frequency_sf", "address": 1, "type": "i16"},
        HOLDING | {"key": "serial_number", "address": 2, "type": "str", "count": 4},
        HOLDING
        | {
            "key": "limit_percent",
            "address": 6,
            "type": "u32",
            "scale": 0.1,
            "write": {"min": 0, "max": 100},
        },
        HOLDING | {"key": "flags", "address": 8, "type": "bitfield", "count": 1},
        HOLDING | {"key": "mode", "address": 9, "type": "u16", "values": {1: "on"}},
        HOLDING
        | {
            "key": "active_power_w",
            "address": 10,
            "type": "i32",
            "positive": "export",
            "applies_to": ["big"],
        },
        HOLDING | {"key": "pv1_w", "address": 12, "type": "u16"},
    ],
    "derived": [{"key": "pv_power_w", "sum": ["pv1_w"]}],
    "disagreements": [{"about": "all", "chosen": "this", "why": "so"}],
    "notes": ["none"],
}

Change = Callable[[dict[str, Any]], object]


def put(path: str, value: object) -> Change:
    """Set the entry at `path`; points go by their key."""

    def change(profile: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        place: Any = profile
        for name in parents:
            place = entry(place, name)
        place[int(last) if isinstance(place, list) else last] = value

    return change


def leave_out(path: str) -> Change:
    def change(profile: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        place: Any = profile
        for name in parents:
            place = entry(place, name)
        del place[last]

    return change


def entry(place: Any, name: str) -> Any:
    if isinstance(place, list):
        return next(p for n, p in enumerate(place) if name in (str(n), p.get("key")))
    return place[name]


FREQUENCY = "points/grid_frequency_hz"
LIMIT = "points/limit_percent"

BROKEN: dict[str, tuple[Change, str]] = {
    # Fields of the profile.
    "other name": (put("name", "other"), "name: 'other' is not the name of the file"),
    "odd name": (put("name", "Acme One"), "name: Expected str matching regex"),
    "no maker": (leave_out("maker"), "Object missing required field maker"),
    "empty maker": (put("maker", ""), "maker: Expected str of length >= 1"),
    "display name": (put("display_name", 7), "display_name: Expected str, got int"),
    "kind": (
        put("kind", "toaster"),
        "kind: Invalid enum value 'toaster', expected one of: hybrid, inverter, meter",
    ),
    "no transport": (put("transports", []), "transports: Expected array of length"),
    "transport": (
        put("transports", ["udp"]),
        "transports[0]: Invalid enum value 'udp', expected one of: modbus-rtu, "
        "modbus-tcp, solarman",
    ),
    "port": (put("default_port", 0), "default_port: Expected int >= 1"),
    "unit": (put("default_unit", 256), "default_unit: Expected int <= 255"),
    "word order": (
        put("word_order", "middle"),
        "word_order: Invalid enum value 'middle', expected one of: big, little",
    ),
    "no largest power": (leave_out("max_power_w"), "Object missing required field max"),
    "largest power": (put("max_power_w", -5), "max_power_w: Expected int >= 1"),
    "unknown field": (put("colour", "red"), "Object contains unknown field colour"),
    "no harvest": (leave_out("harvest"), "Object missing required field harvest"),
    "empty harvest": (put("harvest/full", []), "harvest.full: Expected array of len"),
    "harvest as a list": (put("harvest", []), "harvest: Expected object, got array"),
    "harvest table": (
        put("harvest/full/0/function", "coil"),
        "harvest.full[0].function: Invalid enum value 'coil', expected one of: "
        "holding, input",
    ),
    "harvest count": (
        put("harvest/full/0/count", 0),
        "harvest.full[0].count: Expected int >= 1",
    ),
    "harvest end": (
        put("harvest/slim/0/address", 65535),
        "harvest.slim[0]: ends at register 65536, past 65535",
    ),
    "full every": (put("harvest/full_every", 0), "harvest.full_every: Expected int >="),
    "full without slim": (
        leave_out("harvest/slim"),
        "harvest.full_every: without slim ranges every cycle is full",
    ),
    "slim without scale": (
        put("harvest/slim/0/count", 1),
        "harvest.slim: reads point grid_frequency_hz without the scale register",
    ),
    "no frequency": (leave_out("frequency"), "Object missing required field frequency"),
    "frequency": (put("frequency", "hum_hz"), "frequency: there is no point hum_hz"),
    "frequency of flags": (
        put("frequency", "flags"),
        "frequency: point flags is no plain number",
    ),
    "serial number": (
        put("identification/serial", ["plate"]),
        "identification.serial: there is no point plate",
    ),
    "serial number as a word": (
        put("identification/serial", "serial_number"),
        "identification.serial: Expected array, got str",
    ),
    "model": (
        put("identification/model", "plate"),
        "identification.model: there is no point plate",
    ),
    "sign of nothing": (
        put("identification/signs/0/point", "plate"),
        "identification.signs: there is no point plate",
    ),
    "sign without a mark": (
        put("identification/signs", [{"point": "mode"}]),
        "identification.signs: mode: needs a pattern or a span",
    ),
    "sign with a bad pattern": (
        put("identification/signs", [{"point": "serial_number", "pattern": "("}]),
        "identification.signs: serial_number: pattern: missing )",
    ),
    "absence of a type": (
        put("not_available", {"u17": 1}),
        "not_available: key: Invalid enum value 'u17', expected one of: acc32, ",
    ),
    "absence as a text": (
        put("not_available/u16", "none"),
        "not_available[...]: Expected int | array, got str",
    ),
    "variant": (
        put("variants/big/within", [[5, 3]]),
        "variants.big: 5..3 is no span of register values",
    ),
    "variant without a span": (
        put("variants/big/within", []),
        "variants[...].within: Expected array of length >= 1",
    ),
    "manner": (
        put("manners/gap", 5),
        "manners: Object contains unknown field gap",
    ),
    "largest read": (
        put("manners/max_registers", 126),
        "manners.max_registers: Expected int <= 125",
    ),
    "bridge": (put("manners/bridge_registers", -1), "manners.bridge_registers: Expec"),
    "gap": (put("manners/gap_ms", "long"), "manners.gap_ms: Expected int, got str"),
    "connect delay": (
        put("manners/connect_delay_ms", 1e9),
        "manners.connect_delay_ms: Expected int",
    ),
    "settling": (put("manners/settle_ms", -1), "manners.settle_ms: Expected int >= 0"),
    "connections": (
        put("manners/single_connection", "maybe"),
        "manners.single_connection: Expected bool, got str",
    ),
    "unit ids": (put("manners/units", [300]), "manners.units[0]: Expected int <= 255"),
    "transaction id": (
        put("manners/echoes_transaction_id", 3),
        "manners.echoes_transaction_id: Expected bool, got int",
    ),
    "no points": (leave_out("points"), "Object missing required field points"),
    "points as a word": (put("points", "many"), "points: Expected array, got str"),
    "disagreement": (
        put("disagreements/0", {"about": "x", "chosen": "y"}),
        "disagreements[0]: Object missing required field why",
    ),
    "note": (put("notes", [3]), "notes[0]: Expected str, got int"),
    # Fields of a point.
    "no key": (leave_out("points/flags/key"), "point number 5: Object missing requir"),
    "key": (put("points/flags/key", "F!"), "point F!: key: Expected str matching reg"),
    "key of two lines": (
        put("points/flags/key", "a\nb: c"),
        "point a b: c: key: Expected str matching",
    ),
    "unit in a text's key": (
        put("points/serial_number/key", "serial_w"),
        "point serial_w: key: ends in the unit W, which only a plain number has",
    ),
    "table": (
        put("points/mode/function", "coil"),
        "point mode: function: Invalid enum value 'coil', expected one of: holding,",
    ),
    "address": (put("points/mode/address", -1), "point mode: address: Expected int >="),
    "end": (
        put("points/serial_number/address", 65533),
        "point serial_number: address: ends at register 65536, past 65535",
    ),
    "type": (
        put("points/mode/type", "u17"),
        "point mode: type: Invalid enum value 'u17', expected one of: acc32, bitfield",
    ),
    "no count": (leave_out("points/flags/count"), "point flags: Object missing requi"),
    "count": (put(f"{LIMIT}/count", 1), "point limit_percent: count: a u32 takes 2"),
    "count above a read": (
        put("points/serial_number/count", 61),
        "point serial_number: count: one read has 60 registers",
    ),
    "high word": (
        put("points/mode/high_word", 20),
        "point mode: high_word: a u16 has none",
    ),
    "scale": (put(f"{LIMIT}/scale", 0), "point limit_percent: scale: 0 is no scale"),
    "scale that is not a number": (
        put(f"{LIMIT}/scale", float("nan")),
        "point limit_percent: scale: nan is no scale",
    ),
    "scale register": (
        put(f"{FREQUENCY}/scale", {"register": 5}),
        "point grid_frequency_hz: scale register 5: there is no i16 point at holding 5",
    ),
    "scale of flags": (
        put("points/flags/scale", 2),
        "point flags: scale: only a plain number has a scale or an offset",
    ),
    "offset": (
        put(f"{LIMIT}/offset", float("inf")),
        "point limit_percent: offset: is not finite",
    ),
    "direction": (
        put("points/active_power_w/positive", "up"),
        "point active_power_w: positive: Invalid enum value 'up', expected one of: ch",
    ),
    "direction of a text": (
        put("points/serial_number/positive", "import"),
        "point serial_number: positive: only a plain number has a direction",
    ),
    "reversal": (
        put("points/active_power_w/reversed_when", {"register": 5}),
        "point active_power_w: reversed_when: Object missing required field equals",
    ),
    "word order of a point": (
        put(f"{LIMIT}/word_order", "odd"),
        "point limit_percent: word_order: Invalid enum value 'odd', expected one of: ",
    ),
    "encoding": (
        put("points/serial_number/encoding", "utf-8"),
        "point serial_number: encoding: Invalid enum value 'utf-8', expected one of: ",
    ),
    "encoding of a number": (
        put("points/mode/encoding", "reversed_hex"),
        "point mode: encoding: a u16 has none",
    ),
    "absence that does not fit": (
        put("points/mode/not_available", 0x10000),
        "point mode: not_available: 0x10000 does not fit in 1 registers",
    ),
    "value": (
        put("points/mode/values", {"on": 1}),
        "point mode: values: key: Expected int, got str",
    ),
    "values of flags": (
        put("points/flags/values", {1: "x"}),
        "point flags: values: a bitfield has none",
    ),
    "bits": (put("points/flags/bits", {16: "x"}), "point flags: bits: there is no bi"),
    "bits of a number": (
        put("points/mode/bits", {1: "x"}),
        "point mode: bits: a u16 has none",
    ),
    "variant that is not there": (
        put("points/mode/applies_to", ["small"]),
        "point mode: applies_to: there is no variant small",
    ),
    "write without a bound": (
        put(f"{LIMIT}/write", {"min": 1}),
        "point limit_percent: write: Object missing required field max",
    ),
    "write turned round": (
        put(f"{LIMIT}/write", {"min": 5, "max": 4}),
        "point limit_percent: write: min 5 is above max 4",
    ),
    "write that does not fit": (
        put(f"{LIMIT}/write", {"min": -1, "max": 4}),
        "point limit_percent: write: -1 does not fit in u32",
    ),
    "write of a text": (
        put("points/serial_number/write", {"min": 0, "max": 1}),
        "point serial_number: write: a str cannot be written",
    ),
    "write of an input register": (
        put(f"{LIMIT}/function", "input"),
        "point limit_percent: write: input registers cannot be written",
    ),
    "description": (
        put("points/mode/description", ["x"]),
        "point mode: description: Expected str, got array",
    ),
    "overlap": (
        put("points/flags/address", 7),
        "point flags: shares holding 7 with limit_percent",
    ),
    # Derived values.
    "derived from nothing": (
        put("derived/0/sum", ["pv9_w"]),
        "derived pv_power_w: there is no point pv9_w",
    ),
    "derived from a text": (
        put("derived/0/sum", ["serial_number"]),
        "derived pv_power_w: point serial_number is no plain number",
    ),
    "derived without parts": (
        put("derived/0/sum", []),
        "derived pv_power_w: needs a sum or products",
    ),
    "derived without a key": (
        leave_out("derived/0/key"),
        "derived number 1: Object missing required field key",
    ),
    "product of three": (
        put("derived/0/products", [["pv1_w", "pv1_w", "pv1_w"]]),
        "derived pv_power_w: products[0]: Expected array of length 2, got 3",
    ),
    # What it is based on.
    "base that is not there": (
        put("based_on", "../../etc/passwd"),
        "based_on: no profile '../../etc/passwd'; there are: ",
    ),
    "base that is a list": (
        put("based_on", ["huawei"]),
        "based_on: no profile ['huawei']; there are: ",
    ),
    "base that is itself": (
        put("based_on", "acme"),
        "based_on: no profile 'acme'; the",
    ),
}

NO_PROFILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Expected object, got null"),
    "list": (b"- 1\n", "Expected object, got array"),
    "word": (b"hello", "Expected object, got str"),
    "open bracket": (b"name: [", "line 2: did not find expected node content"),
    "tabs": (b"name:\n\t- x", "line 2: found character that cannot start any token"),
    "binary": (bytes(range(256)) * 8, "is not YAML: "),
    "zeros": (bytes(5000), "is not YAML: "),
    "not UTF-8": (b"name: caf\xe9", "is not YAML: "),
    "key twice": (b"name: a\nname: b\n", "line 2: key 'name' stands here twice"),
    "key of a list": (b"? [1, 2]\n: b\n", "line 1: a key must be a plain word"),
    "alias": (b"a: &a [1]\nb: *a\n", "line 2: an alias (*) is not allowed here"),
    "bomb": (
        b"a: &a [x]\n" + b"".join(b"a%d: [*a, *a]\n" % n for n in range(50)),
        "line 2: an alias (*) is not allowed here",
    ),
    "tag": (b"name: !!binary 7\n", "line 1: a tag (!) is not allowed here"),
    "code": (b"!!python/object/apply:os.getcwd []", "line 1: a tag (!) is not allowed"),
    "deep": (b"[" * 200_000, "line 1: nested deeper than 20"),
    "deep mapping": (b"{a: " * 200_000, "line 1: nested deeper than 20"),
    "huge": (b"name: " + b"x" * 2_000_000, "is larger than 1 MB"),
    "huge number": (b"max_power_w: " + b"9" * 5000, "is not YAML: "),
    "two documents": (b"name: a\n---\nname: b\n", "line 2: but found another document"),
    "bad date": (b"name: 2020-99-99\n", "is not YAML: "),
}


def write(folder: Path, profile: object, name: str = "acme") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(profile, sort_keys=False))
    return path


def checked(capsys: pytest.CaptureFixture[str], *paths: Path) -> tuple[int, list[str]]:
    status = main(["profile", "check", *map(str, paths)])
    output = capsys.readouterr()
    assert output.err == ""
    return status, output.out.splitlines()


def test_a_good_profile_is_called_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, GOOD)

    assert checked(capsys, path) == (0, [f"{path}: good"])


def test_a_good_profile_that_is_not_found_by_its_file_name_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, GOOD).rename(tmp_path / "acme.yml")

    assert checked(capsys, path) == (
        0,
        [f"{path}: good, but found only as NAME.yaml"],
    )


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_profile_is_told_in_one_line_with_file_point_and_reason(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, expected = BROKEN[kind]
    profile = copy.deepcopy(GOOD)
    change(profile)
    path = write(tmp_path, profile)

    status, lines = checked(capsys, path)

    assert status == 1
    (line,) = lines
    assert line.startswith(f"{path}: {expected}")


@pytest.mark.parametrize("kind", NO_PROFILE)
def test_what_is_no_profile_is_told_in_one_line_too(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, expected = NO_PROFILE[kind]
    path = tmp_path / "acme.yaml"
    path.write_bytes(content)

    status, lines = checked(capsys, path)

    assert status == 1
    (line,) = lines
    assert line.startswith(f"{path}: {expected}")


def test_what_cannot_be_read_is_told_and_the_other_files_are_still_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path, GOOD)
    gone = tmp_path / "gone.yaml"
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    status, lines = checked(capsys, gone, tmp_path, pipe, Path("/dev/zero"), good)

    assert status == 1
    assert lines == [
        f"{gone}: cannot be read: No such file or directory",
        f"{tmp_path}: cannot be read: is a folder",
        f"{pipe}: cannot be read: is not a file",
        "/dev/zero: cannot be read: is not a file",
        f"{good}: good",
    ]


def test_a_profile_based_on_a_broken_one_names_what_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [1], "base")
    path = write(tmp_path, {"name": "acme", "based_on": "base"})

    assert checked(capsys, path) == (
        1,
        [f"{path}: base.yaml: Expected object, got array"],
    )


def test_every_profile_that_comes_with_egw_is_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = list(builtin_profiles().values())

    assert checked(capsys, *paths) == (0, [f"{path}: good" for path in paths])


# Lists and details.


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["profile", *arguments]) == 0
    return capsys.readouterr().out


def test_the_list_has_every_profile(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(output_of(capsys, "list", "--json"))

    assert [row["name"] for row in rows] == list(builtin_profiles())
    (huawei,) = (row for row in rows if row["name"] == "huawei")
    assert huawei.keys() == {
        "name",
        "maker",
        "kind",
        "display_name",
        "transports",
        "port",
        "unit",
        "points",
        "own",
    }
    assert (huawei["maker"], huawei["kind"], huawei["own"]) == (
        "Huawei",
        "inverter",
        False,
    )


def test_a_narrow_terminal_leaves_the_names_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    text = re.sub(r"\x1b\[[0-9;]*m", "", output_of(capsys, "list"))

    names = {line.split()[0] for line in text.splitlines() if line.strip()}
    assert builtin_profiles().keys() <= names
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= 60


def test_the_list_marks_the_users_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    write(tmp_path / "profiles", GOOD)

    text = output_of(capsys, "list", "--data-dir", str(tmp_path))

    own = [line.split()[0] for line in text.splitlines() if "your own" in line]
    assert own == ["acme"]
    assert "sungrow_hybrid" in text


def test_the_list_shows_the_good_ones_beside_a_broken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    write(tmp_path / "profiles", {"name": "acme"})

    status = main(["profile", "list", "--data-dir", str(tmp_path)])

    output = capsys.readouterr()
    assert status == 1
    assert output.err.startswith("egw profile list: acme.yaml: Object missing")
    assert output.err.count("\n") == 1
    assert "huawei" in output.out


def test_a_link_that_leads_nowhere_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "acme.yaml").symlink_to("gone.yaml")

    status = main(["profile", "list", "--data-dir", str(tmp_path)])

    output = capsys.readouterr()
    assert status == 1
    assert output.err == (
        "egw profile list: acme.yaml: cannot be read: No such file or directory\n"
    )
    assert "huawei" in output.out


def test_a_profile_is_shown_with_what_a_person_wants_to_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    write(tmp_path / "profiles", GOOD)

    text = output_of(capsys, "show", "acme", "--data-dir", str(tmp_path))

    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "acme: Acme One" in lines
    assert "at most 60 registers in one read" in lines
    assert "may have the unit id 2, 3 instead" in lines
    assert "full 1 40 1 40" in lines
    assert "slim 1 2 1 2" in lines
    assert "big holding 9 1..2" in lines
    assert "grid_frequency_hz Hz holding 0 u16 by 1" in lines
    assert "limit_percent % holding 6..7 u32 0.1 0..100" in lines
    assert "active_power_w W holding 10..11 i32 big export" in lines
    assert "pv_power_w W pv1_w" in lines
    assert "- all. Chosen: this. so" in lines
    assert "- none" in lines


@pytest.mark.parametrize("name", builtin_profiles())
def test_every_profile_can_be_shown(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output_of(capsys, "show", name).startswith(f"{name}: ")


def test_a_profile_as_json_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    shown = json.loads(output_of(capsys, "show", "solaredge", "--json"))

    assert shown["name"] == "solaredge"
    assert shown["manners"]["single_connection"] is True
    assert shown["units"]["grid_frequency_hz"] == "Hz"
    assert shown["cost"]["full"]["requests"] >= 3
    assert {p["key"] for p in shown["points"]} >= {"grid_frequency_hz", "dc_power_w"}


def test_an_unknown_name_is_told_with_those_that_are_like_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["profile", "show", "solaredgy"])

    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    assert output.err == (
        "egw profile show: no profile 'solaredgy'; did you mean solaredge or "
        "solaredge_us? All: egw profile list\n"
    )

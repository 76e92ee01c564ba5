"""What docs/adding-a-device.md shows is run here, as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from lan_device import on_the_lan

from egw.devices.loader import load_profile
from egw.devices.profile import (
    UNIT_OF_SUFFIX,
    Harvest,
    Manners,
    Point,
    Profile,
)
from egw.main import main

PAGE = (Path(__file__).parent.parent / "docs" / "adding-a-device.md").read_text()


def fenced(language: str) -> list[str]:
    """Return the blocks of the page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands(start: str) -> list[list[str]]:
    lines = [line for block in fenced("sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(start)]


@pytest.fixture(autouse=True)
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """The page's profile, saved where the page says, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (yaml,) = fenced("yaml")
    path = Path("profiles/em3.yaml")
    path.parent.mkdir()
    path.write_text(yaml)
    return load_profile(path)


def test_the_example_is_good_and_can_be_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    check, show = commands("egw profile")

    assert main(check[1:]) == 0
    assert capsys.readouterr().out == "profiles/em3.yaml: good\n"
    assert main(show[1:]) == 0
    assert capsys.readouterr().out.startswith("em3: Acme EM3 three-phase meter\n")


def test_the_mistake_in_the_text_is_told_as_it_is_quoted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = Path("profiles/em3.yaml")
    wrong = path.read_text().replace("address: 2, type: i32", "address: 2, type: int32")
    path.write_text(wrong)
    (quoted,) = re.findall(r"`(profiles/em3\.yaml: .*?)\.\.\.`", PAGE)

    assert main(["profile", "check", str(path)]) == 1

    assert capsys.readouterr().out.startswith(quoted)


def test_the_example_is_read_from_its_simulator_as_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (simulator,) = commands("python")
    (read,) = commands("egw read")
    simulator[0] = sys.executable
    simulator[simulator.index("--port") + 1] = "0"
    with subprocess.Popen(
        [*simulator, "--json", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parent.parent)},
    ) as running:
        assert running.stdout is not None
        told = msgspec.json.decode(running.stdout.readline())
        read[read.index("--port") + 1] = str(told["devices"][0]["port"])
        status = main(read[1:])
        running.communicate(timeout=20)

    output = capsys.readouterr()
    assert (status, output.err) == (0, "")
    assert "serial EM3000042" in output.out
    assert "meter_l3_voltage_v" in output.out
    assert "total_import_Wh" in output.out


def test_the_examples_values_are_those_of_the_device(
    profile: Profile, capsys: pytest.CaptureFixture[str]
) -> None:
    with on_the_lan(profile) as (port, device):
        device.set_point("meter_power_w", -1234.5)
        arguments = ["--data-dir", ".", "--host", "127.0.0.1", "--port", str(port)]
        status = main(["read", "--profile", "em3", *arguments, "--json"])

    body = msgspec.json.decode(capsys.readouterr().out)
    assert status == 0
    assert body["points"]["meter_power_w"] == -1234.5
    assert body["model"]["meter"]["W"] == -1234.5
    assert body["missing"] == []


def test_the_pages_own_tests_are_green(tmp_path: Path) -> None:
    (code,) = fenced("python")
    (tmp_path / "test_em3.py").write_text(code)

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_em3.py"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def rows(heading: str) -> set[str]:
    """Return the fields in the first column of the table under a heading."""
    table = PAGE.split(f"### {heading}\n")[1].split("### ")[0]
    first = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    return {field for cell in first for field in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize(
    ("heading", "kind", "more"),
    [
        ("The profile", Profile, {"based_on"}),
        ("A point", Point, set()),
        ("Manners", Manners, set()),
    ],
)
def test_every_field_of_the_schema_is_explained(
    heading: str, kind: type[msgspec.Struct], more: set[str]
) -> None:
    fields = {field.name for field in msgspec.structs.fields(kind)}

    assert rows(heading) == fields | more


def test_every_unit_and_part_of_a_harvest_is_named() -> None:
    suffixes = re.search(r"ends in the unit: `([^`]*)`", PAGE)
    assert suffixes is not None

    assert set(suffixes[1].split()) == {f"_{suffix}" for suffix in UNIT_OF_SUFFIX}
    for field in msgspec.structs.fields(Harvest):
        assert f"`{field.name}`:" in PAGE

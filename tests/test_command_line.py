from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """\
data_dir = "data"
[api]
port = 0
[[device]]
name = "roof"
profile = "solaredge"
host = "127.0.0.1"
port = 1502
"""
DEVICE = '[[device]]\nname = "roof"\nprofile = "solaredge"\nhost = "127.0.0.1"\n'

MISTAKES = {
    "no TOML": ("[api\nport = 5", "egw.toml, line 1", "mistake in the TOML", "TOML"),
    "unknown key": (
        "[api]\nprot = 5",
        "api.prot",
        "an unknown key",
        "did you mean port",
    ),
    "unknown table": ("[apo]\nport = 5", "apo", "an unknown key", "did you mean api"),
    "wrong type": ('[api]\nport = "x"', "api.port", '"x"', "0 to 65535"),
    "out of range": ("[api]\nport = 70000", "api.port", "70000", "0 to 65535"),
    "no choice": ('log_level = "loud"', "log_level", '"loud"', '"info"'),
    "no URL": (
        '[uplink]\nendpoints = ["backend"]',
        "uplink.endpoints, item 1",
        '"backend"',
        "http://",
    ),
    "no host": (
        DEVICE.replace("127.0.0.1", "http://x"),
        'device 1 "roof": host',
        '"http://x"',
        "host name",
    ),
    "missing key": (
        '[[device]]\nname = "roof"\nprofile = "solaredge"',
        'device 1 "roof": host',
        "nothing",
        "host name",
    ),
    "unknown profile": (
        DEVICE.replace("solaredge", "solaredgy"),
        'device 1 "roof": profile',
        '"solaredgy"',
        "solaredge",
    ),
    "bad name": (
        DEVICE.replace('"roof"', '"The Roof"'),
        "name",
        '"The Roof"',
        "a-z, 0-9",
    ),
    "doubled name": (DEVICE + DEVICE, "name", '"roof"', ""),
    "not a table": ("device = 3", "device", "3", "[[device]]"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("EGW_"):
            monkeypatch.delenv(name)


def egw(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end, in this directory."""
    return subprocess.run(
        [sys.executable, "-m", "egw", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environ},
    )


def configured(text: str) -> str:
    path = Path("egw.toml")
    path.write_text(text)
    return str(path)


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the line with which the command refused to do anything."""
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("egw: ")
    return line


@pytest.mark.parametrize("kind", MISTAKES)
def test_check_config_names_the_key_what_was_found_and_what_is_expected(
    kind: str,
) -> None:
    text, key, found, expected = MISTAKES[kind]

    line = refusal(egw("check-config", configured(text)))

    assert "egw.toml" in line
    assert key in line
    assert found in line.split("found", 1)[1]
    assert expected in line.split("expected", 1)[1]


def test_run_says_the_same_of_a_mistake_and_starts_nothing() -> None:
    text, *_ = MISTAKES["out of range"]
    path = configured(text)

    line = refusal(egw("run", "--config", path, "--data-dir", "data"))

    assert line == refusal(egw("check-config", path))
    assert [p.name for p in Path().iterdir()] == ["egw.toml"]


def test_a_good_configuration_is_called_good() -> None:
    ended = egw("check-config", configured(GOOD))

    assert ended.returncode == 0
    assert ended.stdout == "egw.toml: good; devices: 1\n"
    assert ended.stderr == ""
    assert [p.name for p in Path().iterdir()] == ["egw.toml"]


def test_a_file_that_is_not_there_is_named() -> None:
    line = refusal(egw("check-config", "nowhere.toml"))

    assert "nowhere.toml" in line
    assert "No such file" in line


def test_a_mistake_in_the_environment_is_found_too() -> None:
    wrong = refusal(egw("check-config", configured(GOOD), EGW_API_PORT="many"))
    unknown = refusal(egw("check-config", configured(GOOD), EGW_API_PROT="1"))

    assert "environment variable EGW_API_PORT" in wrong
    assert '"many"' in wrong
    assert "EGW_API_PROT" in unknown
    assert "EGW_API_PORT" in unknown


def test_a_profile_of_ones_own_that_is_wrong_is_named() -> None:
    profiles = Path("data/profiles")
    profiles.mkdir(parents=True)
    (profiles / "mine.yaml").write_text("name: mine\nmaker: 7\n")

    line = refusal(egw("check-config", configured(GOOD.replace("solaredge", "mine"))))

    assert "mine.yaml" in line


def test_a_data_directory_in_use_by_another_gateway_is_refused() -> None:
    Path("data").mkdir()
    with Path("data/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        line = refusal(egw("run", "--config", configured(GOOD)))

    assert line == (
        "egw: data_dir: data is in use by another gateway; stop that one first"
    )
    assert [p.name for p in Path("data").iterdir()] == ["lock"]


def test_a_data_directory_that_cannot_be_made_is_refused() -> None:
    Path("file").write_text("")

    line = refusal(egw("run", "--config", configured(GOOD), "--data-dir", "file/data"))

    assert line.startswith("egw: data_dir: cannot write to file/data (")
    assert "--data-dir or EGW_DATA_DIR" in line


def test_a_data_directory_that_cannot_be_written_is_refused() -> None:
    # Not even root can write here.
    line = refusal(egw("run", "--config", configured(GOOD), "--data-dir", "/proc/self"))

    assert line.startswith("egw: data_dir: cannot write to /proc/self (")


COMMANDS = ("run", "demo", "check-config", "status", "read", "profile")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ended = egw(command, "--help")

    assert ended.returncode == 0
    assert ended.stdout.startswith(f"usage: egw {command}")
    assert ended.stderr == ""


def test_the_help_lists_every_command() -> None:
    ended = egw("--help")

    assert ended.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^ +{command}\s", ended.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [(), ("fly",), ("run", "--fast"), ("check-config",), ("read",), ("profile",)],
)
def test_wrong_use_says_how_to_use_it(arguments: tuple[str, ...]) -> None:
    ended = egw(*arguments)

    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("usage: egw")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--devices", "0", "an integer from 1 to 1000"),
        ("--devices", "x", "an integer from 1 to 1000"),
        ("--devices", "100000", "an integer from 1 to 1000"),
        ("--port", "65536", "an integer from 0 to 65535"),
        ("--seconds", "-3", "a number above 0"),
        ("--seconds", "nan", "a number above 0"),
        ("--seconds", "inf", "a number above 0"),
    ],
)
def test_a_demo_that_cannot_be_is_refused(
    option: str, value: str, expected: str
) -> None:
    ended = egw("demo", option, value)

    assert ended.returncode == 2
    assert ended.stderr.endswith(
        f"argument {option}: found {value!r}, expected {expected}\n"
    )


def test_output_that_nobody_reads_to_its_end_is_no_mistake() -> None:
    command = [sys.executable, "-m", "egw", "profile", "show", "sungrow", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.read(1)
        shown.stdout.close()
        errors = shown.stderr.read()

    assert (shown.returncode, errors) == (141, "")

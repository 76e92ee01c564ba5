"""`egw read` without a gateway, against simulated devices on real sockets."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from lan_device import SERIAL, on_the_lan

from egw import cli_read
from egw.devices import reach
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.missing import Expected
from egw.devices.modbus_tcp import ModbusTcp
from egw.main import main
from egw.testing import Clock
from simulators.faults import Faults, Refusal


def read(profile: str, port: int, *options: str) -> int:
    arguments = ["--profile", profile, "--host", "127.0.0.1", "--port", str(port)]
    return main(["read", *arguments, *options])


def read_json(
    capsys: pytest.CaptureFixture[str], profile: str, port: int, *options: str
) -> dict[str, Any]:
    status = read(profile, port, "--json", *options)
    output = capsys.readouterr()
    assert status == 0, output.err
    body: dict[str, Any] = json.loads(output.out)
    return body


def refusal(capsys: pytest.CaptureFixture[str], status: int) -> str:
    """Return the line with which the command failed."""
    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    (line,) = output.err.splitlines()
    assert line.startswith("egw read: ")
    return line.removeprefix("egw read: ")


def words_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("name", sorted(builtin_profiles().keys() - {"unknown"}))
def test_a_device_of_every_profile_is_read_without_a_gateway(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = partial(ModbusTcp, sleep=lambda seconds: None)
    monkeypatch.setattr(reach, "ModbusTcp", hasty)
    profile = find_profile(name)
    with on_the_lan(profile) as (port, device):
        if name == "solaredge_us":
            device.set_point("grid_frequency_hz", 60.0)
        body = read_json(capsys, name, port)

    assert body["doubts"] == []
    assert body["unit"] == profile.default_unit
    assert 45 < body["points"][profile.frequency] < 65
    assert not body["points"].keys() & set(body["missing"])
    assert body["points"].keys() <= profile.units.keys()
    assert set(body["missing"]) <= Expected(profile).missing((), ()).keys()
    assert "no answer" not in body["missing_because"].values()
    assert body["stamp_ms"] <= body["first_read_ms"] <= body["last_read_ms"]


def test_the_json_has_points_missing_and_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("solaredge")) as (port, device):
        device.set_point("active_power_w", 1234)
        body = read_json(capsys, "solaredge", port)

    assert body["points"]["active_power_w"] == 1234
    assert body["points"]["serial_number"] == SERIAL
    assert body["serial"] == SERIAL
    pv = body["model"]["pv"]
    assert pv["W"] == -body["points"]["pv_power_w"]
    assert pv["timestamp"] == body["stamp_ms"]
    assert body["missing"] == list(body["missing_because"])


def test_the_table_has_points_with_units_then_what_is_missing_then_the_model(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("solaredge")) as (port, device):
        device.set_point("active_power_w", 1234)
        device.set_point("cabinet_temperature_c", None)
        status = read("solaredge", port)

    output = capsys.readouterr()
    lines = words_of(output.out)
    assert (status, output.err) == (0, "")
    assert f"serial {SERIAL}" in output.out
    point = lines.index(["active_power_w", "1234", "W"])
    missing = next(n for n, words in enumerate(lines) if words[:1] == ["not"])
    model = next(n for n, words in enumerate(lines) if words[:2] == ["data", "model"])
    assert point < missing < model
    assert "cabinet_temperature_c" in lines[missing][2].split(",")


def test_points_come_in_the_order_of_the_profile(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = find_profile("solaredge")
    with on_the_lan(profile) as (port, _):
        body = read_json(capsys, "solaredge", port)

    order = list(profile.units)
    assert list(body["points"]) == sorted(body["points"], key=order.index)


def test_what_the_device_refuses_is_found_by_halves_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused = Refusal(function="holding", address=40085, count=1)
    with on_the_lan(find_profile("solaredge"), faults=Faults(refuse=(refused,))) as (
        port,
        _,
    ):
        body = read_json(capsys, "solaredge", port)

    assert body["missing_because"]["grid_frequency_hz"] == "refused"
    assert "active_power_w" in body["points"]
    assert list(body["missing_because"].values()).count("refused") == 1


def test_a_device_that_leaves_long_blocks_unanswered_is_read_in_short_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    faults = Faults(max_registers=30, oversize="silent")
    with on_the_lan(find_profile("sunspec"), faults=faults) as (port, _):
        body = read_json(capsys, "sunspec", port, "--timeout-ms", "60")

    assert "no answer" not in body["missing_because"].values()
    assert body["serial"] == SERIAL
    assert body["model"].keys() == {"pv"}


def test_the_unit_is_found_when_none_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = find_profile("sma")
    other = profile.manners.units[0]
    with on_the_lan(profile, unit=other) as (port, _):
        body = read_json(capsys, "sma", port, "--timeout-ms", "200")

    assert body["unit"] == other


def test_another_type_of_device_is_read_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("fronius_sf")) as (port, _):
        status = read("fronius", port, "--json")

    output = capsys.readouterr()
    assert status == 0
    assert "this may not be a fronius: " in output.err
    assert json.loads(output.out)["doubts"] != []


def test_a_device_that_has_none_of_the_registers_is_of_another_type(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("lqt40s")) as (port, _):
        line = refusal(capsys, read("solaredge", port))

    assert line == (
        f"127.0.0.1:{port} answers, but has none of the registers of a solaredge: is "
        "it of another type? All types: egw profile list"
    )


def test_a_wrong_unit_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("sma")) as (port, _):
        line = refusal(capsys, read("sma", port, "--unit", "9", "--timeout-ms", "200"))

    assert line == (
        f"127.0.0.1:{port} takes connections, but no unit id answers (tried 9). Is "
        "the unit id right? Without --unit the usual ones are tried."
    )


def test_a_closed_port_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    line = refusal(capsys, read("sma", port))

    assert line.startswith(
        f"cannot connect to 127.0.0.1:{port}: connection refused. Is Modbus TCP "
        "switched on in the device, and is this its port"
    )


def test_an_unknown_host_is_told_without_talk_of_ports(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status = main(["read", "--profile", "huawei", "--host", "nowhere.invalid"])

    line = refusal(capsys, status)
    assert line.startswith("cannot connect to nowhere.invalid:502: ")
    assert line.endswith(". Is the host name right?")


def test_a_device_whose_only_connection_is_taken_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = find_profile("solaredge")
    with (
        on_the_lan(profile, faults=Faults(single_connection=True)) as (port, _),
        socket.create_connection(("127.0.0.1", port)),
    ):
        line = refusal(capsys, read("solaredge", port, "--timeout-ms", "300"))

    assert line.endswith(
        "A solaredge serves one client at a time: is a gateway or an app connected "
        "to it?"
    )


def test_a_connection_that_is_ended_at_once_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profile = find_profile("fronius")
    with (
        on_the_lan(profile, faults=Faults(single_connection=True)) as (port, _),
        socket.create_connection(("127.0.0.1", port)),
    ):
        line = refusal(capsys, read("fronius", port, "--timeout-ms", "300"))

    assert line == (
        f"127.0.0.1:{port} takes connections, but ends them. Is another client "
        "connected to it, or does it allow only certain ones?"
    )


def test_what_does_not_speak_modbus_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("lqt40s"), faults=Faults(garbage=True)) as (port, _):
        line = refusal(capsys, read("lqt40s", port, "--timeout-ms", "300"))

    assert line.startswith(
        f"127.0.0.1:{port} takes connections, but does not answer as it should: "
    )
    assert "Is this its Modbus TCP port" in line


def test_a_device_that_falls_silent_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with on_the_lan(find_profile("lqt40s"), faults=Faults(silent=True)) as (port, _):
        line = refusal(capsys, read("lqt40s", port, "--timeout-ms", "100"))

    assert "no unit id answers (tried 1)" in line


def test_an_unknown_profile_is_told_with_those_that_are_like_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refusal(capsys, read("frohnius", 502))

    assert line == (
        "no profile 'frohnius'; did you mean fronius or fronius_sf? "
        "All: egw profile list"
    )


def test_a_profile_of_ones_own_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    own = yaml.safe_load(builtin_profiles()["lqt40s"].read_text())
    path = tmp_path / "profiles" / "mine.yaml"
    path.write_text(yaml.safe_dump(own | {"name": "mine", "maker": "Me"}))
    with on_the_lan(find_profile("mine", tmp_path / "profiles")) as (port, _):
        body = read_json(capsys, "mine", port, "--data-dir", str(tmp_path))

    assert body["profile"] == "mine"


def test_a_device_that_is_not_read_over_modbus_tcp_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "stick.yaml").write_text(
        "name: stick\nbased_on: deye\ntransports: [solarman]\n"
    )

    line = refusal(capsys, read("stick", 502, "--data-dir", str(tmp_path)))

    assert line == "a stick is read by solarman, which egw cannot do yet"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "give either NAME, or --profile and --host"),
        (["roof", "--profile", "sma"], "give either NAME, or --profile and --host"),
        (["roof", "--host", "10.0.0.1"], "--host goes with --profile, not with NAME"),
        (["roof", "--timeout-ms", "5"], "--timeout-ms goes with --profile"),
        (["--profile", "sma"], "--profile needs --host"),
        (["--profile", "sma", "--host", "10.0.0.1:502"], "without scheme and port"),
        (["--profile", "sma", "--host", "http://10.0.0.1"], "without scheme and port"),
        (["--profile", "sma", "--host", ""], "expected a host name or an IP address"),
        (["--profile", "sma", "--host", "x", "--port", "0"], "from 1 to 65535"),
        (["--profile", "sma", "--host", "x", "--unit", "256"], "from 0 to 255"),
    ],
)
def test_wrong_use_is_told(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["read", *arguments])

    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_ctrl_c_ends_it_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_read, "harvest_once", interrupted)
    with on_the_lan(find_profile("lqt40s")) as (port, _):
        status = read("lqt40s", port)

    output = capsys.readouterr()
    assert (status, output.out, output.err) == (130, "", "")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_when_it_takes_long_and_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, terminal = Clock(), Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = cli_read.Progress("10.0.0.1:502", monotonic=clock.monotonic)

    progress.show(1, 9)
    at_once = terminal.getvalue()
    clock.advance(1.5)
    progress.show(2, 9)
    later = terminal.getvalue()
    progress.clear()

    assert at_once == ""
    assert later.endswith("reading 10.0.0.1:502: 2 of 9 requests")
    assert terminal.getvalue() == later + "\r\x1b[K"


def test_progress_is_not_shown_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, file = Clock(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    progress = cli_read.Progress("10.0.0.1:502", monotonic=clock.monotonic)

    clock.advance(9)
    progress.show(2, 9)
    progress.clear()

    assert file.getvalue() == ""


def test_nothing_stays_open_or_running(capsys: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with on_the_lan(find_profile("lqt40s")) as (port, _):
        read("lqt40s", port, "--json")

    assert threading.active_count() == before

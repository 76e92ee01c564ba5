from __future__ import annotations

import json
import os
import socket
import threading

import pytest
import told
from served import Gateway

from egw import cli_http
from egw.cli_status import status
from egw.runtime import AskTimeout


@pytest.fixture
def url(gateway: Gateway) -> str:
    snapshot = gateway.snapshot
    snapshot.add_live(told.live("roof", reading=told.huawei_reading()))
    snapshot.add_device_status(
        told.device_status("cellar", state="offline", reason="connection refused")
    )
    snapshot.add_signer(told.signer_status())
    snapshot.add_outbox(told.outbox_status(dropped_packets=5))
    snapshot.add_uplink(told.uplink_status())
    snapshot.add_backend(told.backend_status())
    snapshot.add_gateway(told.gateway_status(reasons=("barn: off",)))
    return f"http://127.0.0.1:{gateway.server.port}"


def row(text: str, name: str) -> list[str]:
    """Return the words of the line that begins with `name`."""
    lines = [line.split() for line in text.splitlines()]
    found = [words for words in lines if words and words[0] == name]
    assert len(found) == 1, text
    return found[0]


def test_status_shows_gateway_devices_delivery_and_actors(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(url, device=None, as_json=False)

    text = capsys.readouterr().out
    assert code == 0
    assert "Macho Beige Gecko  serial 00a1b2c3d4e5f60718 (file key)" in text
    assert "harvesting" in text
    assert "up 1 min 1 s" in text
    assert "barn: off" in text
    roof = ["roof", "huawei", "online", "1912", "50.020", "10.0", "1.00", "100", "60"]
    assert row(text, "roof") == roof
    assert row(text, "cellar")[2:5] == ["offline", "-", "-"]
    assert row(text, "cellar:") == ["cellar:", "connection", "refused"]
    assert row(text, "packets") == ["packets", "8", "s", "ok", "8", "4", "1", "0", "5"]
    assert row(text, "uplink/1")[1:3] == ["http://127.0.0.1:8080/gw/data/", "idle"]
    assert row(text, "signer")[2] == "suspended"
    assert row(text, "signer:") == ["signer:", "OSError:", "x"]
    assert row(text, "main")[1] == str(os.getpid())


def test_status_says_what_a_device_does_not_bear(
    url: str, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_device_status(
        told.device_status("cellar", profile="lqt40s", max_registers=8, quarantined=3)
    )

    status(url, device=None, as_json=False)

    words = "bears 8 registers in one read; refuses 3 registers"
    assert row(capsys.readouterr().out, "cellar:") == ["cellar:", *words.split()]


def test_status_of_a_device_shows_its_points_with_units(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(url, device="roof", as_json=False)

    text = capsys.readouterr().out
    assert code == 0
    assert row(text, "active_power_w") == ["active_power_w", "1912", "W"]
    assert row(text, "grid_frequency_hz") == ["grid_frequency_hz", "50.02", "Hz"]
    assert "missing:" in text


def test_status_of_a_device_that_was_not_read_says_so(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(url, device="cellar", as_json=False)

    assert code == 0
    assert capsys.readouterr().out == "cellar: nothing has been read yet\n"


def test_status_as_json_has_what_the_api_says(
    url: str, capsys: pytest.CaptureFixture[str], gateway: Gateway
) -> None:
    code = status(url, device=None, as_json=True)

    shown = json.loads(capsys.readouterr().out)
    assert code == 0
    assert shown["state"] == gateway.json("/api/state")
    assert shown["actors"]["main_pid"] == gateway.json("/api/actors")["main_pid"]


def test_status_of_a_device_as_json_has_its_points(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status(url, device="roof", as_json=True)

    shown = json.loads(capsys.readouterr().out)
    assert shown["device"] == "roof"
    assert shown["points"]["active_power_w"] == {"value": 1912, "unit": "W"}


def test_status_of_an_unknown_device_names_those_that_there_are(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(url, device="barn", as_json=False)

    output = capsys.readouterr()
    assert code == 1
    assert output.out == ""
    assert output.err == (
        f"egw status: {url}: no device 'barn'; there are: roof, cellar\n"
    )


def test_status_goes_on_without_the_supervisor(
    url: str, capsys: pytest.CaptureFixture[str], gateway: Gateway
) -> None:
    gateway.tree = AskTimeout("no answer")

    code = status(url, device=None, as_json=False)

    assert code == 0
    assert "the supervisor does not answer" in capsys.readouterr().out


def test_status_does_not_let_a_device_steer_the_terminal(
    url: str, capsys: pytest.CaptureFixture[str], gateway: Gateway
) -> None:
    gateway.snapshot.add_device_status(
        told.device_status("roof", reason="\x1b[2Jbad [red]words")
    )

    status(url, device=None, as_json=False)

    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert row(text, "roof:") == ["roof:", "?[2Jbad", "[red]words"]


def test_status_of_a_gateway_that_is_not_there_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    code = status(f"http://127.0.0.1:{port}", device=None, as_json=False)

    output = capsys.readouterr()
    assert code == 1
    assert output.err == (
        f"egw status: no gateway answers at http://127.0.0.1:{port}: "
        "connection refused\n"
    )


@pytest.mark.parametrize("url", ["nonsense://x", "http://", "http://127.0.0.1:99999"])
def test_status_of_an_impossible_address_is_one_line(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = status(url, device=None, as_json=False)

    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith(f"egw status: no gateway answers at {url}: ")
    assert error.count("\n") == 1


def test_status_of_another_kind_of_server_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=answer_html, args=(listener,))
        answering.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        code = status(url, device=None, as_json=False)

        answering.join(10)
    assert code == 1
    assert capsys.readouterr().err == (
        f"egw status: what answers at {url} is not a gateway\n"
    )


def test_status_of_a_gateway_that_does_not_answer_in_time_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_http, "_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"

        code = status(url, device=None, as_json=False)

    assert code == 1
    assert capsys.readouterr().err == (
        f"egw status: no gateway answers at {url}: nothing within 0.1 s\n"
    )


def answer_html(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<hi>"
        )


def test_an_address_that_is_no_url_is_one_line_with_a_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = status("10.0.0.7:5000", device=None, as_json=False)

    assert code == 1
    assert capsys.readouterr().err == (
        "egw status: '10.0.0.7:5000' is not a URL; did you mean http://10.0.0.7:5000?\n"
    )


def test_status_of_a_gateway_that_just_started_shows_no_empty_tables(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{gateway.server.port}"

    code = status(url, device=None, as_json=False)

    text = capsys.readouterr().out
    assert code == 0
    assert "(key not known yet)" in text
    assert "starting" in text
    assert "uplink  endpoint" not in text


def test_status_says_why_there_is_no_key(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_signer(
        told.signer_status(state="unavailable", reason="run chmod 600", identity=None)
    )

    status(f"http://127.0.0.1:{gateway.server.port}", device=None, as_json=False)

    assert "serial - (no key: run chmod 600)" in capsys.readouterr().out

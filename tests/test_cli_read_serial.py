"""`egw read` of devices on serial ports: what it says to an installer."""

from __future__ import annotations

import os
import pty
import socket
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from egw.devices.serial_port import SerialPort
from egw.devices.wire import SerialLine
from egw.main import main

SDM630 = ("read", "--profile", "sdm630")


@pytest.fixture
def silent_port(tmp_path: Path) -> Iterator[str]:
    """A serial port at which nobody answers."""
    ends = pty.openpty()
    tty.setraw(ends[1])
    path = tmp_path / "port"
    path.symlink_to(os.ttyname(ends[1]))
    yield str(path)
    for end in ends:
        os.close(end)


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Return the line with which the command failed."""
    status = main([*SDM630, *options])
    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    (line,) = output.err.splitlines()
    return line.removeprefix("egw read: ")


def test_a_port_that_is_not_there_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refusal(capsys, "--serial-port", "/dev/none") == (
        "cannot open /dev/none: there is no such port. Is the adapter plugged in "
        "(ls /dev/serial/by-id)?"
    )


def test_a_port_that_is_in_use_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], silent_port: str
) -> None:
    other = SerialPort(silent_port, SerialLine())
    other.open(1.0)
    try:
        line = refusal(capsys, "--serial-port", silent_port)
    finally:
        other.close()

    assert line == (
        f"cannot open {silent_port}: it is in use by another program. Stop that first; "
        "is it a gateway?"
    )


def test_a_bus_on_which_nobody_answers_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], silent_port: str
) -> None:
    options = ("--serial-port", silent_port, "--timeout-ms", "50")

    assert refusal(capsys, *options) == (
        f"{silent_port} is open, but no unit id answers (tried 1). Are --unit, "
        "--baud-rate, --parity and --stop-bits those of the device, and are wires A "
        "and B the right way round?"
    )


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "--profile needs --host or --serial-port"),
        (("--host", "x", "--parity", "even"), "--parity goes with --serial-port"),
        (("--host", "x", "--rtu-over-tcp"), "--rtu-over-tcp needs --port"),
        (("--serial-port", "/x", "--host", "x"), "--host does not go with --serial-p"),
        (("--serial-port", "/x", "--port", "5"), "--port does not go with --serial-po"),
        (("--serial-port", "/x", "--rtu-over-tcp"), "--rtu-over-tcp does not go with"),
        (("--serial-port", "/x", "--baud-rate", "1"), "expected an integer from 300"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*SDM630, *options])

    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_a_name_does_not_go_with_a_serial_port(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["read", "roof", "--serial-port", "/dev/ttyUSB0"])

    assert "--serial-port goes with --profile" in capsys.readouterr().err


def test_a_profile_that_is_not_read_by_rtu_is_told(
    capsys: pytest.CaptureFixture[str], silent_port: str
) -> None:
    status = main(["read", "--profile", "sma", "--serial-port", silent_port])

    assert status == 1
    assert capsys.readouterr().err == (
        "egw read: a sma is read by modbus-tcp, not by modbus-rtu\n"
    )


def test_a_bridge_that_passes_on_nothing_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bridge:
        port = str(bridge.getsockname()[1])
        line = refusal(
            capsys,
            "--rtu-over-tcp",
            "--host",
            "127.0.0.1",
            "--port",
            port,
            "--timeout-ms",
            "50",
        )

    assert line == (
        f"127.0.0.1:{port} takes connections, but no unit id answers (tried 1). Does "
        "the bridge pass on bytes as they are, and are --unit and the bridge's baud "
        "rate and parity those of the device?"
    )

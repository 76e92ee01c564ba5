from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from simulator_client import (
    PATIENCE_S,
    Gateway,
    Master,
    eventually,
    http_request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (sys.executable, "-m", "simulators")


class Running:
    """A simulator command and what it announced."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.told: dict[str, Any] = json.loads(process.stdout.readline())

    def children(self) -> list[int]:
        pid = self.process.pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split()]


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    with subprocess.Popen(
        [*COMMAND, *arguments, "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True


def backend_port(told: dict[str, Any]) -> int:
    return int(told["backend"]["url"].rstrip("/").rpartition(":")[2])


@pytest.mark.slow
def test_a_site_serves_devices_and_backend_and_ends_cleanly() -> None:
    gateway = Gateway()
    known = f"{gateway.serial}:{gateway.public_key}"
    with running("site", "--devices", "6", "--gateway", known) as site:
        (backend,) = site.children()
        devices = site.told["devices"]
        first, second = Master(devices[0]["port"]), Master(devices[1]["port"])
        serial = first.read(3, 40052, 5)
        frequency = second.read(4, 5035, 1)
        first.close()
        second.close()
        delivered, _ = http_request(
            backend_port(site.told),
            "POST",
            "/gw/data/",
            gateway.packet({"5": {"1": 1}}),
        )

        site.process.terminate()
        status = site.process.wait(PATIENCE_S)

    assert status == 0
    assert is_gone(backend)
    assert [device["name"] for device in devices] == [f"roof-{n}" for n in range(1, 7)]
    assert [device["profile"] for device in devices[::5]] == ["solaredge", "solaredge"]
    assert len({device["port"] for device in devices}) == 6
    assert b"".join(word.to_bytes(2, "big") for word in serial) == b"SIM0000001"
    assert 495 <= frequency[0] <= 505
    assert delivered == 200
    assert site.told["backend"]["endpoint"].endswith("/gw/data/")


@pytest.mark.slow
def test_a_killed_site_leaves_no_backend() -> None:
    with running("site", "--devices", "1") as site:
        (backend,) = site.children()

        site.process.kill()

        assert eventually(lambda: is_gone(backend))
    assert not listens(backend_port(site.told))


@pytest.mark.slow
def test_a_site_ends_with_an_error_when_its_backend_is_killed() -> None:
    with running("site", "--devices", "1") as site:
        (backend,) = site.children()

        os.kill(backend, signal.SIGKILL)

        assert site.process.wait(PATIENCE_S) == 2


@pytest.mark.slow
def test_a_site_ends_with_its_standard_input_when_asked_to() -> None:
    with running("site", "--devices", "1", "--until-eof") as site:
        (backend,) = site.children()
        assert site.process.stdin is not None

        site.process.stdin.close()

        assert site.process.wait(PATIENCE_S) == 0
    assert is_gone(backend)


@pytest.mark.slow
def test_an_inverter_takes_faults_and_a_recording_by_option(tmp_path: Path) -> None:
    recording = {
        "profile": "huawei",
        "samples": [{"at_ms": 1, "registers": {"holding": {"5": 9, "6": 8}}}],
    }
    file = tmp_path / "recording.json"
    file.write_text(json.dumps(recording))
    options = ("--port", "0", "--unit", "3", "--replay", str(file))
    with running("inverter", *options, "--refuse", "holding:6:1:4") as inverter:
        master = Master(inverter.told["devices"][0]["port"], unit=3)
        word = master.read(3, 5, 1)
        master.send(b"\x03\x00\x05\x00\x02")
        refusal = master.receive()[1]
        master.close()
        inverter.process.send_signal(signal.SIGINT)
        status = inverter.process.wait(PATIENCE_S)

    assert word == (9,)
    assert refusal == b"\x83\x04"
    assert status == 0


@pytest.mark.slow
def test_mistakes_on_the_command_line_are_one_line_and_status_2() -> None:
    for arguments, named in (
        (("inverter", "--profile", "solarege"), "solarege"),
        (("inverter", "--drop", "3"), "drop"),
        (("backend", "--port", "0", "--gateway", "0123"), "SERIAL:PUBLICKEY"),
        (
            ("backend", "--port", "0", "--gateway", "01:key"),
            "128 hex digits, not 'key'",
        ),
    ):
        ended = subprocess.run(
            [*COMMAND, *arguments],
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )

        assert ended.returncode == 2
        assert named in ended.stderr.decode()
        assert ended.stderr.count(b"\n") == 1


@pytest.mark.slow
def test_a_simulator_whose_starter_has_gone_ends_without_a_word() -> None:
    with subprocess.Popen(
        [*COMMAND, "inverter", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()

        said = process.stderr.read()
        status = process.wait(PATIENCE_S)

    assert (status, said) == (0, b"")

"""The demo as a stranger starts it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from processes import HANG_S, send, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

SECONDS = 10
Demo = tuple[int, dict[str, Any]]


@pytest.fixture
def demo() -> Iterator[Callable[..., Demo]]:
    started: list[subprocess.Popen[str]] = []

    def run(*options: str) -> Demo:
        command = [sys.executable, "-m", "egw", "demo", "--devices", "3", "--json"]
        process = subprocess.Popen(
            [*command, "--seconds", str(SECONDS), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        output, errors = process.communicate(timeout=SECONDS + 2 * HANG_S)
        print(errors)
        print(output)
        last = output.splitlines()[-1]
        return process.returncode, json.loads(last, parse_constant=_no_number)

    yield run
    for process in started:
        send(signal.SIGKILL, session_of(process.pid))
        process.communicate()


def _no_number(name: str) -> None:
    pytest.fail(f"{name} is not JSON")


def test_the_demo_loses_nothing(demo: Callable[..., Demo]) -> None:
    status, told = demo()

    assert status == 0
    assert (told["lost"], told["duplicated"], told["packets"]["invalid"]) == (0, 0, 0)
    assert told["devices"] == 3
    assert told["readings"]["taken"] == told["readings"]["committed"]
    assert told["readings"]["committed"] == told["readings"]["delivered"]
    assert told["readings"]["committed"] >= 3 * SECONDS // 2
    packets = told["packets"]
    assert packets["committed"] == packets["signed"] == packets["delivered"]
    assert packets["verified"] == packets["committed"] >= 3
    assert told["frequency"]["taken"] > told["frequency"]["expected"] / 2
    assert set(told["restarts"].values()) == {0}
    assert {w["name"] for w in told["workers"]} >= {"main", *told["restarts"]}


def test_the_demo_loses_nothing_while_its_workers_are_killed(
    demo: Callable[..., Demo],
) -> None:
    status, told = demo("--chaos")

    assert status == 0
    assert (told["lost"], told["duplicated"], told["packets"]["invalid"]) == (0, 0, 0)
    assert sum(told["restarts"].values()) >= 2
    assert told["recovery_p95_ms"] > 0
    running = {worker["name"] for worker in told["workers"]}
    assert running >= set(told["restarts"]), "a killed worker did not come back"
    assert told["readings"]["committed"] == told["readings"]["delivered"]

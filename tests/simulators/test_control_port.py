from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from simulator_bench import simulated
from simulator_client import PATIENCE_S

from simulators.control import ControlPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator_bench import Loop, RunningDevice


class Console:
    """A connection to a control port, and the device behind it."""

    def __init__(self, device: RunningDevice, port: int) -> None:
        self.device = device
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._lines = self.socket.makefile("rb")

    def ask_raw(self, line: bytes) -> dict[str, Any]:
        self.socket.sendall(line + b"\n")
        reply: dict[str, Any] = json.loads(self._lines.readline())
        return reply

    def ask(self, request: object) -> dict[str, Any]:
        return self.ask_raw(json.dumps(request).encode())

    def close(self) -> None:
        self._lines.close()
        self.socket.close()


@pytest.fixture
def console(loop: Loop, serve: Callable[..., RunningDevice]) -> Iterator[Console]:
    registers = simulated("huawei")
    device = serve(registers)
    control = ControlPort({"roof-1": device.server}, {"roof-1": registers})
    opened = Console(device, loop.run(control.start("127.0.0.1", 0)))
    yield opened
    opened.close()
    loop.call(control.close)


def test_a_fault_is_switched_on_and_off(console: Console) -> None:
    master = console.device.master()

    on = console.ask({"device": "roof-1", "fault": {"silent": True}})
    master.send(b"\x03\x7d\x55\x00\x01")
    silent = master.hears_nothing()
    off = console.ask({"device": "*", "fault": None})

    assert (on, off) == ({"ok": True}, {"ok": True})
    assert silent
    assert master.read(3, 32085, 1)


def test_get_tells_faults_counters_and_registers(console: Console) -> None:
    console.ask({"device": "roof-1", "fault": {"latency_ms": 1}})
    words = console.device.master().read(3, 32069, 1)

    told = console.ask({"get": "roof-1"})

    assert told["ok"]
    assert told["faults"]["latency_ms"] == 1
    assert told["counters"]["requests"] == 1
    assert abs(told["registers"]["holding"]["32069"] - words[0]) < 50


def test_a_register_is_held_at_a_value(console: Console) -> None:
    register = {"device": "roof-1", "function": "holding", "address": 32085}

    reply = console.ask({"set_register": {**register, "value": 4_700}})

    assert reply == {"ok": True}
    assert console.device.master().read(3, 32085, 1) == (4_700,)


def test_a_point_is_held_at_a_value_and_let_go(console: Console) -> None:
    point = {"device": "roof-1", "key": "grid_frequency_hz", "value": 47.12}
    master = console.device.master()

    held = console.ask({"set_point": point})
    told = master.read(3, 32085, 1)
    absent = console.ask({"set_point": {**point, "value": None}})
    nothing = master.read(3, 32085, 1)
    freed = console.ask({"free_points": "roof-1"})

    assert [held, absent, freed] == [{"ok": True}] * 3
    assert told == (4_712,)
    assert nothing == (0xFFFF,)
    assert 4_900 < master.read(3, 32085, 1)[0] < 5_100


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"nonsense", "malformed"),
        (b'{"get": "\xff"}', "utf-8"),
        (b'{"device": "roof-1", "fault": ' + b'{"a":' * 9_000, "recursion"),
        (b"{}", "expected"),
        (b'{"get": "cellar"}', "there are: roof-1"),
        (b'{"device": "roof-1", "fault": {"slow": 1}}', "slow"),
        (b'{"device": "cellar", "fault": {}}', "there are: roof-1"),
        (
            b'{"set_register": {"device": "roof-1", "function": "input",'
            b' "address": 1, "value": 1}}',
            "no such register",
        ),
        (
            b'{"set_point": {"device": "roof-1", "key": "flux_w", "value": 1}}',
            "no point 'flux_w'",
        ),
        (
            b'{"set_point": {"device": "roof-1", "key": "grid_frequency_hz",'
            b' "value": 1000}}',
            "does not fit",
        ),
    ],
)
def test_a_request_that_cannot_be_done_is_answered_with_the_reason(
    console: Console, line: bytes, named: str
) -> None:
    reply = console.ask_raw(line)

    assert not reply["ok"]
    assert named in reply["error"]
    assert console.ask({"get": "roof-1"})["ok"]


def test_a_line_without_end_ends_the_connection(console: Console) -> None:
    flood = b"x" * 65_536

    with pytest.raises(ConnectionError):  # noqa: PT012 - when it comes is open
        while True:
            console.socket.sendall(flood)

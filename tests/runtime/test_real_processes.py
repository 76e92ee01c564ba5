"""The runtime's promises, with real processes and real kills."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from gateways import Gateway, child, is_alive, kill, worker
from sample_actors import (
    AskPeer,
    Echo,
    Fail,
    HoldInterpreter,
    Number,
    Numbers,
    Sample,
    Sleep,
    SleepIn,
    SleepLater,
    WhichProcess,
)
from waiting import HANG_S, until

from egw.runtime import ActorDown, ActorError, PeerFailed, WorkerSpec
from egw.runtime.link import Frame, Kind, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PAIR = (
    worker("one", child("first"), child("asker", needs=("second",))),
    worker("two", child("second")),
)
SLACK_S = 3.0
"""What a machine that is busy with other things may take on top."""


@pytest.fixture
def start(events: list[Any]) -> Iterator[Callable[..., Gateway]]:
    gateways: list[Gateway] = []

    def start(*workers: WorkerSpec) -> Gateway:
        gateways.append(Gateway(*workers))
        return gateways[-1]

    yield start
    for gateway in gateways:
        gateway.end()
    for gateway in gateways:
        until(lambda pids=gateway.pids: not any(map(is_alive, pids)))


@pytest.fixture(scope="module")
def unharmed() -> Iterator[Gateway]:
    """The same tree for all tests that end nothing."""
    with structlog.testing.capture_logs():
        gateway = Gateway(*PAIR).until_up()
        yield gateway
        gateway.end()


@pytest.fixture
def pair(start: Callable[..., Gateway]) -> Gateway:
    """A tree that may be harmed."""
    return start(*PAIR).until_up()


def event(events: list[Any], name: str) -> Any:
    return next((e for e in events if e["event"] == name), None)


def test_actors_of_different_workers_live_in_different_processes(
    unharmed: Gateway,
) -> None:
    first = unharmed.ref("first").ask(WhichProcess(), timeout=HANG_S)
    second = unharmed.ref("second").ask(WhichProcess(), timeout=HANG_S)

    assert (first, second) == (unharmed.pid("one"), unharmed.pid("two"))
    assert first != second


def test_tells_to_another_process_arrive_in_order_and_none_is_lost(
    unharmed: Gateway,
) -> None:
    for value in range(20_000):
        unharmed.ref("first").tell(Number(value))

    numbers = unharmed.ref("first").ask(Numbers(), timeout=HANG_S)

    assert numbers == tuple(range(20_000))


def test_a_declared_need_may_be_asked_across_workers(unharmed: Gateway) -> None:
    answer = unharmed.ref("asker").ask(AskPeer("second", "hello"), timeout=HANG_S)

    assert answer == "hello"


def test_an_actor_that_is_no_declared_need_may_not_be_asked(pair: Gateway) -> None:
    with pytest.raises(PeerFailed, match="NotDeclared"):
        pair.ref("second").ask(AskPeer("first", "hello"), timeout=HANG_S)


def test_after_a_kill_the_same_name_answers_from_a_new_process(pair: Gateway) -> None:
    killed, spared = pair.pid("one"), pair.pid("two")

    kill(killed)

    until(lambda: pair.pid("one") not in (None, killed))
    assert pair.until_answers("first", WhichProcess()) == pair.pid("one")
    assert pair.pid("two") == spared


def test_a_worker_killed_again_and_again_comes_back_each_time(pair: Gateway) -> None:
    for _ in range(3):
        killed = pair.pid("two")
        kill(killed)
        until(lambda killed=killed: pair.pid("two") not in (None, killed))
        pair.until_up()

    assert pair.until_answers("asker", AskPeer("second", "hello")) == "hello"


def test_a_frozen_worker_makes_no_teller_wait_and_is_replaced(pair: Gateway) -> None:
    pair.until_heard("first")
    frozen = pair.pid("one")
    kill(frozen, signal.SIGSTOP)

    for value in range(50_000):
        pair.ref("first").tell(Number(value))

    assert pair.ref("second").ask(Echo("going on"), timeout=HANG_S) == "going on"
    until(lambda: pair.pid("one") not in (None, frozen))
    assert pair.until_answers("first", Echo("replaced")) == "replaced"
    assert not is_alive(frozen)


def test_an_actor_that_hangs_is_replaced_and_the_guilty_line_logged(
    pair: Gateway, events: list[Any]
) -> None:
    hung_at = time.monotonic()

    pair.ref("first").tell(SleepLater(60))

    until(lambda: event(events, "actor.hung"))
    assert pair.until_answers("first", Echo("back")) == "back"
    took_s = time.monotonic() - hung_at
    assert took_s < Sample.patience_s + 1.0 + SLACK_S
    hung = event(events, "actor.hung")
    assert (hung["of"], hung["busy_with"]) == ("first", "SleepLater")
    assert "time.sleep(seconds)" in hung["stack"]


def test_an_actor_that_holds_the_interpreter_is_replaced_and_the_line_logged(
    pair: Gateway, events: list[Any]
) -> None:
    pair.until_heard("first")
    hung_at = time.monotonic()

    pair.ref("first").tell(HoldInterpreter())

    until(lambda: event(events, "worker.silent"))
    assert pair.until_answers("first", Echo("back")) == "back"
    took_s = time.monotonic() - hung_at
    assert took_s < Sample.patience_s + 1.0 + SLACK_S
    assert "sample_actors.py" in event(events, "worker.silent")["stack"]
    assert "in receive" in event(events, "worker.silent")["stack"]


def test_an_actor_that_raises_costs_its_neighbour_nothing(
    pair: Gateway, events: list[Any]
) -> None:
    pid = pair.pid("one")
    pair.ref("asker").tell(Number(7))

    with pytest.raises(PeerFailed, match="RuntimeError: bug"):
        pair.ref("first").ask(Fail("bug"), timeout=HANG_S)

    assert pair.until_answers("first", WhichProcess()) == pid
    until(lambda: pair.actor("first").restarts == 1)
    assert pair.actor("asker").restarts == 0
    assert pair.ref("asker").ask(Numbers(), timeout=HANG_S) == (7,)
    assert "raise RuntimeError(text)" in event(events, "actor.failed")["trace"]


class Asking(threading.Thread):
    """An ask in flight; notes when and how it ended."""

    def __init__(self, gateway: Gateway, name: str, message: Any) -> None:
        super().__init__(daemon=True)
        self._ask = lambda: gateway.ref(name).ask(message, timeout=60)
        self.error: ActorError | None = None
        self.ended_at = 0.0
        self.start()

    def run(self) -> None:
        try:
            self._ask()
        except ActorError as error:
            self.error = error
        self.ended_at = time.monotonic()


def test_an_ask_in_flight_fails_at_once_when_its_worker_dies(pair: Gateway) -> None:
    asking = Asking(pair, "second", Sleep(0.9))
    until(lambda: pair.system.switchboard._pending)
    pid = pair.pid("two")

    killed_at = time.monotonic()
    kill(pid)

    asking.join(HANG_S)
    assert isinstance(asking.error, ActorDown)
    assert asking.ended_at - killed_at < 0.5


def test_an_ask_between_workers_fails_at_once_when_the_addressee_dies(
    pair: Gateway,
) -> None:
    asking = Asking(pair, "asker", SleepIn("second", 0.9))
    in_flight = pair.system.switchboard._in_flight
    until(lambda: any(o == "one" for asks in [*in_flight.values()] for o, _ in asks))
    pid = pair.pid("two")

    killed_at = time.monotonic()
    kill(pid)

    asking.join(HANG_S)
    assert isinstance(asking.error, PeerFailed)
    assert "ActorDown" in str(asking.error)
    assert asking.ended_at - killed_at < 0.5


def test_a_payload_that_cannot_be_read_harms_nobody(pair: Gateway) -> None:
    pid = pair.pid("two")
    link = pair.system._links["two"]
    for kind in (Kind.TELL, Kind.ASK, Kind.REPLY, Kind.FAIL):
        link.send(encode(Frame(kind, 1, "second", "main", b"\x80\x05poison")))

    assert pair.ref("second").ask(WhichProcess(), timeout=HANG_S) == pid


def test_after_a_kill_of_the_fork_server_workers_live_on_and_can_be_replaced(
    pair: Gateway,
) -> None:
    one, two = pair.pid("one"), pair.pid("two")
    server = pair.system._fork_server.pid

    kill(server)
    until(lambda: not is_alive(server))
    assert pair.ref("first").ask(WhichProcess(), timeout=HANG_S) == one
    kill(two)

    until(lambda: pair.pid("two") not in (None, two))
    assert pair.until_answers("second", WhichProcess()) == pair.pid("two")
    assert pair.pid("one") == one
    assert pair.stop() == 0
    until(lambda: not any(map(is_alive, pair.pids)))


def test_an_actor_that_always_fails_ends_the_gateway_with_status_70(
    start: Callable[..., Gateway], events: list[Any]
) -> None:
    gateway = start(
        worker("one", child("broken", "FailsToStart")), worker("two", child("second"))
    )

    assert gateway.wait() == 70
    assert "broken keeps failing" in event(events, "supervisor.gave_up")["reason"]
    assert event(events, "actor.failed")["error"] == "RuntimeError: cannot start"


def test_actors_stop_in_the_reverse_order_of_their_needs(
    start: Callable[..., Gateway], tmp_path: Path
) -> None:
    stops = tmp_path / "stops"
    arguments = {"stop_file": str(stops)}
    gateway = start(
        worker("one", child("uplink", needs=("store",), arguments=arguments)),
        worker(
            "two",
            child("store", arguments=arguments),
            child("harvest", needs=("uplink",), arguments=arguments),
        ),
    ).until_up()

    assert gateway.stop() == 0

    assert stops.read_text().split() == ["harvest", "uplink", "store"]


def test_what_was_told_before_the_stop_is_handled_before_it(
    start: Callable[..., Gateway], tmp_path: Path
) -> None:
    stops = tmp_path / "stops"
    gateway = start(
        worker("one", child("first", arguments={"stop_file": str(stops)}))
    ).until_up()
    gateway.ref("first").tell(SleepLater(0.3))

    assert gateway.stop() == 0

    assert stops.read_text() == "first\n"


def test_a_stubborn_actor_is_killed_after_its_grace(
    start: Callable[..., Gateway],
) -> None:
    gateway = start(
        worker("one", child("stubborn", "Stubborn", grace_s=0.3)),
        worker("two", child("second")),
    ).until_up()
    stubborn = gateway.pid("one")
    asked_at = time.monotonic()

    assert gateway.stop() == 0

    assert not is_alive(stubborn)
    assert time.monotonic() - asked_at < 0.3 + 1.0 + SLACK_S


def test_a_second_stop_does_not_wait_for_the_stubborn(
    start: Callable[..., Gateway],
) -> None:
    gateway = start(
        worker("one", child("stubborn", "Stubborn", grace_s=60.0))
    ).until_up()
    gateway.system.stop("first")

    assert gateway.stop() == 0


class Main:
    """A main process to be killed."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.mode = mode
        self.stops = folder / mode
        self.process = subprocess.Popen(
            [sys.executable, HERE / "orphans.py", self.stops, mode],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def kill(self) -> list[int]:
        """Kill it once its tree is up; return all that it had started."""
        assert self.process.stderr is not None
        with self.process, self.process.stderr as stderr:
            workers = json.loads(stderr.readline())
            pids = descendants(self.process.pid)
            assert set(workers) < set(pids)
            self.process.kill()
        return pids


def test_nothing_outlives_a_main_process_that_is_killed(tmp_path: Path) -> None:
    mains = [Main(tmp_path, mode) for mode in ("idle", "hang", "fork-here")]

    orphans = [pid for main in mains for pid in main.kill()]

    killed_at = time.monotonic()
    until(lambda: not any(map(is_alive, orphans)))
    assert time.monotonic() - killed_at < 3.0 + SLACK_S
    assert [main.stops.read_text() for main in mains] == ["first\n"] * 3


def descendants(pid: int) -> list[int]:
    """Return the children of a process, and theirs."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(word) for file in tasks for word in file.read_text().split()]
    return children + [pid for child in children for pid in descendants(child)]

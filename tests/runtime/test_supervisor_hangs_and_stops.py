"""How the supervisor finds what hangs, and how it stops everything."""

from __future__ import annotations

from typing import Any

import pytest
from supervised import CORE, RADIO, SIGNER, Tree, gauges, running

from egw.runtime.control import (
    Describe,
    Stop,
    StopWorker,
)


@pytest.fixture
def tree() -> Tree:
    return running(CORE, SIGNER, RADIO)


def test_an_actor_that_hangs_costs_its_worker_and_shows_where(
    tree: Tree, events: list[Any]
) -> None:
    tree.beat("signer", gauges("signer", stack="chip.py line 7"))

    assert tree.processes.killed == ["signer"]
    hung = next(event for event in events if event["event"] == "actor.hung")
    assert (hung["of"], hung["busy_with"]) == ("signer", "Sign")
    assert hung["stack"] == "chip.py line 7"


def test_a_worker_that_is_killed_already_is_not_killed_again(tree: Tree) -> None:
    for _ in range(3):
        tree.beat("signer", gauges("signer", stack="chip.py line 7"))

    assert tree.processes.killed == ["signer"]


def test_an_actor_that_is_busy_within_its_patience_is_left_alone(tree: Tree) -> None:
    tree.beat("signer", gauges("signer"))

    assert tree.processes.killed == []
    assert tree.actor("signer").gauges == gauges("signer")


def test_a_silent_worker_is_made_to_show_its_stacks_and_then_killed(
    tree: Tree, events: list[Any]
) -> None:
    tree.silent = {"signer"}
    tree.beat("signer", patience_s=1.0)
    tree.wait(1.4)
    assert "signer" not in tree.processes.dumped

    tree.wait(0.15)
    assert tree.processes.dumped == ["signer"]
    assert tree.processes.killed == []
    tree.wait(0.15)

    assert tree.processes.killed == ["signer"]
    silent = next(event for event in events if event["event"] == "worker.silent")
    assert silent["stack"] == "stacks of signer"


def test_a_beat_in_the_last_moment_saves_a_worker(tree: Tree) -> None:
    tree.silent = {"signer"}
    tree.beat("signer", patience_s=1.0)
    tree.wait(1.55)

    tree.beat("signer", patience_s=1.0)
    tree.wait(0.2)

    assert tree.processes.killed == []


def test_a_worker_that_never_came_up_is_killed_too() -> None:
    tree = Tree(SIGNER)

    tree.wait(5.6)
    tree.wait(0.2)

    assert tree.processes.killed == ["signer"]


def test_actors_stop_before_those_that_they_need_and_workers_last(tree: Tree) -> None:
    tree.receive(Stop("test"))
    assert tree.stops("core") == ["harvest"]
    assert tree.stops("signer") == []

    tree.actor_ends("harvest", "")
    assert tree.stops("core") == ["store"]
    assert tree.stops("signer") == ["signer"]
    assert tree.stops("radio") == ["ble"]
    tree.agent("core").expect_nothing(StopWorker)
    for name in ("store", "signer", "ble"):
        tree.actor_ends(name, "")

    for name in ("core", "signer", "radio"):
        tree.agent(name).expect(StopWorker)
        tree.worker_dies(name)
    assert tree.supervisor.done.is_set()
    assert tree.supervisor.status == 0


def test_an_actor_that_does_not_stop_is_waited_for_as_long_as_its_grace(
    tree: Tree,
) -> None:
    tree.receive(Stop("test"))
    tree.stops("core")

    tree.wait(2.9)
    assert tree.stops("core") == []
    tree.wait(0.2)

    assert tree.stops("core") == ["store"]


def test_a_worker_that_does_not_end_is_killed(tree: Tree) -> None:
    tree.receive(Stop("test"))
    for _ in range(6):
        tree.wait(1.1)

    assert sorted(tree.processes.killed) == ["core", "radio", "signer"]
    assert not tree.supervisor.done.is_set()


def test_nothing_is_started_again_while_everything_stops(tree: Tree) -> None:
    tree.receive(Stop("test"))

    tree.actor_ends("harvest", "ValueError: bug")
    tree.worker_dies("core")
    tree.wait(5.0)

    assert tree.starts("core") == []
    assert len(tree.processes.started) == 3


def test_a_second_stop_kills_what_still_runs(tree: Tree) -> None:
    tree.receive(Stop("once"))
    assert tree.processes.killed == []

    tree.receive(Stop("twice"))

    assert sorted(tree.processes.killed) == ["core", "radio", "signer"]


def test_a_hang_while_stopping_is_left_to_the_grace(tree: Tree) -> None:
    tree.receive(Stop("test"))

    tree.beat("core", gauges("harvest", stack="flush.py line 1"))

    assert tree.processes.killed == []


def test_the_view_counts_restarts_and_names_pids(tree: Tree) -> None:
    tree.actor_ends("signer")
    tree.worker_dies("core")

    view = tree.receive(Describe())

    assert tree.actor("signer").restarts == 1
    assert tree.worker("core").restarts == 1
    assert {w.name: w.pid for w in view.workers} == {
        "core": 1004,
        "signer": 1002,
        "radio": 1003,
    }

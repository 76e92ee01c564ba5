"""When the supervisor starts and restarts, and when it gives up."""

from __future__ import annotations

from typing import Any

import pytest
from supervised import CORE, RADIO, SIGNER, Tree, running

from egw.runtime.control import (
    ActorEnded,
    ActorUp,
    Describe,
    WorkerDied,
    WorkerUp,
)
from egw.runtime.spec import ChildSpec, TopologyError, WorkerSpec


@pytest.fixture
def tree() -> Tree:
    return running(CORE, SIGNER, RADIO)


def test_all_workers_are_started_at_once() -> None:
    tree = Tree(CORE, SIGNER)

    assert tree.processes.started == [("core", 1), ("signer", 1)]


def test_a_specification_that_contradicts_itself_starts_nothing() -> None:
    with pytest.raises(TopologyError):
        Tree(WorkerSpec("one", (ChildSpec("a", "m:A", needs=("b",)),)))


def test_an_actor_waits_for_its_worker_and_for_those_that_it_needs() -> None:
    tree = Tree(CORE, SIGNER)

    tree.worker_up("core")
    assert tree.starts("core") == ["store"]
    tree.actor_up("store")
    assert tree.starts("core") == []
    tree.worker_up("signer")
    assert tree.starts("signer") == ["signer"]
    tree.actor_up("signer")
    assert tree.starts("core") == ["harvest"]


def test_an_actor_can_be_reached_before_it_is_told_to_start() -> None:
    tree = Tree(SIGNER)

    tree.worker_up("signer")

    assert tree.processes.routes == [("signer", "signer")]


def test_an_actor_that_takes_too_long_to_start_costs_its_worker() -> None:
    tree = Tree(SIGNER)
    tree.worker_up("signer")

    tree.wait(4.9)
    assert tree.processes.killed == []
    tree.wait(0.2)

    assert tree.processes.killed == ["signer"]
    assert "did not start within 5 s" in tree.actor("signer").last_failure


def test_an_actor_that_fails_is_started_again_at_once_in_its_worker(tree: Tree) -> None:
    tree.actor_ends("signer")

    assert tree.starts("signer") == ["signer"]
    assert tree.actor("signer").incarnation == 2
    assert tree.actor("signer").last_failure == "ValueError: bug"
    assert tree.processes.killed == []


def test_the_second_failure_in_a_row_is_followed_by_a_pause(tree: Tree) -> None:
    tree.actor_ends("signer")
    tree.starts("signer")

    tree.actor_ends("signer")
    assert tree.starts("signer") == []
    tree.wait(0.15)

    assert tree.starts("signer") == ["signer"]


def test_a_restart_does_not_wait_for_those_that_the_actor_needs(tree: Tree) -> None:
    tree.worker_dies("signer")

    tree.actor_ends("harvest")

    assert tree.starts("core") == ["harvest"]


@pytest.mark.parametrize(
    ("restart", "failure", "again"),
    [
        ("permanent", "bug", True),
        ("permanent", "", True),
        ("transient", "bug", True),
        ("transient", "", False),
        ("temporary", "bug", False),
        ("temporary", "", False),
    ],
)
def test_what_ends_is_started_again_as_its_specification_says(
    restart: Any, failure: str, again: bool
) -> None:
    child = ChildSpec("ticker", "m:Ticker", restart=restart)
    tree = running(WorkerSpec("one", (child,)))

    tree.actor_ends("ticker", failure)

    assert bool(tree.starts("one")) is again
    assert tree.actor("ticker").state == ("starting" if again else "stopped")


def test_reports_of_a_former_incarnation_are_ignored(tree: Tree) -> None:
    tree.actor_ends("signer")
    tree.starts("signer")

    tree.receive(ActorUp("signer", 1))
    tree.receive(ActorEnded("signer", 1, "late", "late"))

    assert tree.actor("signer").state == "starting"
    assert tree.actor("signer").incarnation == 2
    assert tree.actor("signer").last_failure == "ValueError: bug"


def test_an_actor_that_keeps_failing_costs_its_worker(tree: Tree) -> None:
    tree.fails_for_good("signer")

    assert tree.processes.killed == ["signer"]
    assert not tree.supervisor.done.is_set()


def fail_again_after_a_new_worker(tree: Tree, actor: str, worker: str) -> None:
    tree.fails_for_good(actor)
    tree.worker_dies(worker)
    tree.wait(0.1)
    tree.worker_up(worker)
    tree.fails_for_good(actor)


def test_a_critical_actor_that_fails_on_in_a_new_worker_is_given_up(tree: Tree) -> None:
    fail_again_after_a_new_worker(tree, "signer", "signer")

    assert tree.supervisor.status == 70
    assert tree.stops("core") == ["harvest"]


def test_an_actor_that_is_not_critical_is_suspended_and_tried_again(tree: Tree) -> None:
    fail_again_after_a_new_worker(tree, "ble", "radio")
    tree.starts("radio")

    assert tree.actor("ble").state == "suspended"
    tree.wait(25.0)
    assert tree.starts("radio") == []
    tree.wait(6.0)

    assert tree.starts("radio") == ["ble"]
    assert tree.supervisor.status == 0


def test_an_actor_that_came_back_is_no_longer_suspended(tree: Tree) -> None:
    fail_again_after_a_new_worker(tree, "ble", "radio")
    tree.wait(31.0)

    tree.actor_up("ble")

    assert tree.actor("ble").state == "up"


def test_an_actor_does_not_wait_for_a_suspended_one_that_it_needs() -> None:
    page = WorkerSpec("page", (ChildSpec("page", "m:Page", needs=("ble",)),))
    tree = Tree(RADIO, page)
    tree.worker_up("radio", "page")

    assert tree.starts("page") == []
    fail_again_after_a_new_worker(tree, "ble", "radio")
    tree.wait(0.1)

    assert tree.actor("ble").state == "suspended"
    assert tree.starts("page") == ["page"]


def test_a_suspended_actor_gets_one_try_at_a_time(tree: Tree) -> None:
    fail_again_after_a_new_worker(tree, "ble", "radio")
    tree.wait(31.0)
    tree.starts("radio")

    tree.actor_ends("ble")
    tree.wait(25.0)

    assert tree.starts("radio") == []


def test_a_critical_worker_that_keeps_dying_is_given_up(tree: Tree) -> None:
    for _ in range(41):
        tree.worker_dies("signer")
        tree.wait(1.3)

    assert tree.supervisor.status == 70
    assert tree.stops("core") == ["harvest"]


def test_a_worker_without_critical_actors_is_tried_again_slowly(tree: Tree) -> None:
    for _ in range(41):
        tree.worker_dies("radio")
        tree.wait(1.3)
    deaths = len(tree.processes.started)

    assert tree.supervisor.status == 0
    tree.wait(31.0)

    assert len(tree.processes.started) == deaths + 1


def test_a_worker_that_dies_is_started_again_at_once_with_its_actors(
    tree: Tree,
) -> None:
    tree.worker_dies("core")

    assert tree.processes.started[-1] == ("core", 2)
    tree.worker_up("core")
    assert tree.starts("core") == ["store", "harvest"]


def test_the_death_of_a_worker_touches_no_other(tree: Tree) -> None:
    tree.worker_dies("core")

    assert tree.worker("signer").incarnation == 1
    assert tree.actor("signer").state == "up"
    assert tree.actor("ble").incarnation == 1


def test_the_death_of_a_former_incarnation_is_ignored(tree: Tree) -> None:
    tree.worker_dies("core")

    tree.receive(WorkerDied("core", 1, 0.0))

    assert tree.worker("core").state == "starting"
    assert tree.worker("core").pid == 1004


def test_recovery_is_measured_from_the_death_to_the_last_actor(tree: Tree) -> None:
    tree.worker_dies("core")
    tree.worker_up("core")
    tree.actor_up("store")
    assert tree.worker("core").last_recovery_ms is None

    tree.peers.clock.advance(0.25)
    tree.actor_up("harvest")

    assert tree.worker("core").last_recovery_ms == pytest.approx(250.0)
    assert tree.receive(Describe()).recoveries_ms == pytest.approx((250.0,))


def test_a_process_that_cannot_be_started_is_tried_again_later(tree: Tree) -> None:
    tree.processes.cannot_start = True
    tree.worker_dies("core")
    tree.processes.cannot_start = False

    tree.wait(1.5)

    assert tree.worker("core").state == "starting"
    assert tree.worker("core").pid is not None


def test_a_worker_is_started_again_though_news_of_its_start_come_after_its_death(
    tree: Tree,
) -> None:
    tree.worker_dies("signer")
    tree.worker_dies("signer")

    tree.receive(WorkerUp("signer", 2))

    assert tree.worker("signer").state == "waiting"
    tree.wait(0.15)
    assert tree.worker("signer").incarnation == 3

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import told
import urllib3

from egw.actors.api import ApiActor
from egw.runtime import SUPERVISOR, AskTimeout, Describe
from egw.testing import Peers, Probe, run_due


def make(peers: Peers, tmp_path: Path, **changes: Any) -> ApiActor:
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "threads": 2,
        "profiles": {"roof": "huawei"},
        "data_dir": str(tmp_path),
    }
    return ApiActor(peers, **(values | changes))


@pytest.fixture
def peers() -> Peers:
    supervisor = Probe(SUPERVISOR, {Describe: told.tree(os.getpid())})
    return Peers("api", supervisor)


@pytest.fixture
def actor(peers: Peers, tmp_path: Path) -> Iterator[ApiActor]:
    actor = make(peers, tmp_path)
    actor.started()
    yield actor
    actor.stopping()


def get(actor: ApiActor, path: str) -> Any:
    assert actor.server is not None
    url = f"http://127.0.0.1:{actor.server.port}{path}"
    with urllib3.PoolManager(retries=False, timeout=10) as http:
        return http.request("GET", url)


def test_the_actor_shows_what_it_was_told(actor: ApiActor) -> None:
    for message in (
        told.live(reading=told.huawei_reading()),
        told.signer_status(identity=None),
        told.identity(),
        told.outbox_status(),
        told.uplink_status(),
        told.backend_status(),
        told.gateway_status(),
    ):
        actor.receive(message)

    body = get(actor, "/api/state").json()

    assert body["devices"][0]["power_w"] == 1912
    assert body["signer"]["serial"] == "00a1b2c3d4e5f60718"
    assert body["outbox"]["waiting_packets"] == 4
    assert body["uplinks"][0]["delivered"] == 8
    assert body["backend"]["name"] == "Macho Beige Gecko"
    assert body["gateway"]["state"] == "harvesting"


def test_a_status_without_values_changes_the_devices_state(actor: ApiActor) -> None:
    actor.receive(told.live())
    actor.receive(told.device_status(state="offline", reason="refused"))

    (device,) = get(actor, "/api/state").json()["devices"]

    assert (device["state"], device["reason"]) == ("offline", "refused")


def test_the_supervision_tree_is_asked_of_the_supervisor(
    actor: ApiActor, peers: Peers
) -> None:
    body = get(actor, "/api/actors").json()

    assert body["main_pid"] == os.getpid()
    assert peers.probe(SUPERVISOR).asks == [Describe()]


def test_a_supervisor_that_does_not_answer_makes_the_tree_unavailable(
    actor: ApiActor, peers: Peers
) -> None:
    peers.probe(SUPERVISOR).answer(Describe, AskTimeout("no answer within 1 s"))

    assert get(actor, "/api/actors").status == 503


def test_a_profile_of_the_users_own_is_found_in_the_data_directory(
    peers: Peers, tmp_path: Path
) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(
        "name: mine\nmaker: Me\ndisplay_name: Mine\nkind: meter\n"
        "transports: [modbus-tcp]\nmax_power_w: 10000\n"
        "harvest: {full: [{function: holding, address: 0, count: 1}]}\n"
        "frequency: grid_frequency_hz\n"
        "points: [{key: grid_frequency_hz, function: holding, address: 0, type: u16,"
        " scale: 0.01}]\n"
    )
    actor = make(peers, tmp_path, profiles={"mine": "mine"})
    actor.started()

    body = get(actor, "/api/devices/mine/points").json()
    actor.stopping()

    assert body["missing"] == ["grid_frequency_hz"]


def test_a_taken_port_is_tried_again_until_it_is_free(
    peers: Peers, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        actor = make(peers, tmp_path, port=port)
        actor.started()
        peers.clock.advance(1.0)
        assert run_due(actor) == 1
        assert actor.server is None

    peers.clock.advance(1.0)
    run_due(actor)
    status = get(actor, "/api/hello").status
    actor.stopping()

    assert status == 200


def test_a_stopped_actor_frees_its_port(actor: ApiActor) -> None:
    assert actor.server is not None
    port = actor.server.port

    actor.stopping()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_running_actor_serves_and_stops(peers: Peers, tmp_path: Path) -> None:
    actor = make(peers, tmp_path)
    actor._start_actor_loop()
    assert peers.ready.wait(10)
    ref = actor.actor_ref
    ref.tell(told.backend_status("Three Word Name"))
    wait_until(lambda: get(actor, "/api/name").status == 200)

    body = get(actor, "/api/name").data
    actor.stop()

    assert json.loads(body) == {"name": "Three Word Name"}
    assert peers.down.wait(10)
    assert peers.failure is None


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

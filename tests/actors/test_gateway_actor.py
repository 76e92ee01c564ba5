from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egw.actors.gateway import GatewayActor, Reports, judge
from egw.messages import (
    API,
    DeviceStatus,
    GatewayStatus,
    OutboxStatus,
    SignerStatus,
    UplinkStatus,
)
from egw.testing import Peers, run_due

ROOF = DeviceStatus(
    device="roof",
    profile="huawei",
    host="10.0.0.5",
    port=502,
    unit=1,
    sn="HV1",
    state="online",
    reason="",
    session="s",
    since_ms=0,
    samples_taken=0,
    samples_missed=0,
    readings_taken=0,
    readings_unstored=0,
    readings_dropped=0,
    sample_rate_hz=10.0,
    reading_rate_hz=1.0,
    requests=0,
    failures=0,
    success_percent=None,
    quarantined=0,
    max_registers=125,
)
CELLAR = replace(ROOF, device="cellar")
CONNECTING = replace(ROOF, state="connecting")
OFFLINE = replace(ROOF, state="offline", reason="cannot connect")
PARTIAL = replace(ROOF, state="degraded", reason="input 5+3: refused")
UPLINK = UplinkStatus("uplink/1", "http://b/", "delivering", "", 0, 0, 0, 0.0)
FAILING = replace(UPLINK, state="failing", reason="HTTP 503: ")
READY = SignerStatus("ready", "", 0, None)
NO_KEY = SignerStatus("unavailable", "no chip", 0, None)
UNCONFIGURED = SignerStatus("none", "no key provider is configured", 0, None)
OUTBOX = OutboxStatus("ok", 0, 0, 0, None, 0, 0, 0, 0, 0, 0, 0)
FULL = replace(OUTBOX, state="disk_full")

Report = DeviceStatus | SignerStatus | UplinkStatus | OutboxStatus

TABLE: list[tuple[list[Report], str, list[str]]] = [
    ([], "connecting", ["no device has been reached yet"]),
    ([CONNECTING], "connecting", ["no device has been reached yet"]),
    ([CONNECTING, FAILING, FULL], "connecting", ["no device has been reached yet"]),
    ([ROOF], "harvesting", []),
    ([ROOF, UPLINK, READY, OUTBOX], "harvesting", []),
    ([ROOF, replace(CELLAR, state="connecting")], "harvesting", []),
    ([OFFLINE], "degraded", ["roof is offline: cannot connect"]),
    ([PARTIAL], "degraded", ["roof is degraded: input 5+3: refused"]),
    ([OFFLINE, CELLAR], "degraded", ["roof is offline: cannot connect"]),
    ([ROOF, NO_KEY], "degraded", ["nothing is signed: no chip"]),
    ([ROOF, FULL], "degraded", ["the disk takes no more data"]),
    ([ROOF, FAILING], "offline-buffering", ["http://b/: HTTP 503: "]),
    (
        [OFFLINE, FAILING],
        "degraded",
        ["roof is offline: cannot connect", "http://b/: HTTP 503: "],
    ),
    (
        [ROOF, UNCONFIGURED],
        "provisioning",
        ["no key provider is configured: packets are kept unsigned"],
    ),
]


def reports(found: list[Report]) -> Reports:
    gathered = Reports()
    for report in found:
        match report:
            case DeviceStatus(device=name):
                gathered.devices[name] = report
            case UplinkStatus(uplink=name):
                gathered.uplinks[name] = report
            case SignerStatus():
                gathered.signer = report
            case OutboxStatus():
                gathered.outbox = report
    return gathered


@pytest.mark.parametrize(("found", "state", "reasons"), TABLE)
def test_the_state_follows_from_what_is_reported(
    found: list[Report], state: str, reasons: list[str]
) -> None:
    assert judge(reports(found), devices=2, endpoints=1) == (state, tuple(reasons))


def test_a_gateway_that_is_not_configured_says_what_is_missing() -> None:
    state, reasons = judge(reports([UNCONFIGURED]), devices=0, endpoints=0)

    assert state == "provisioning"
    assert reasons == (
        "no device is configured",
        "no key provider is configured: packets are kept unsigned",
        "no endpoint is configured: packets are kept",
    )


@pytest.mark.parametrize(("found", "state", "reasons"), TABLE)
def test_the_actor_publishes_what_is_judged_each_second(
    found: list[Report], state: str, reasons: list[str]
) -> None:
    peers = Peers("gateway")
    actor = GatewayActor(peers, devices=2, endpoints=1)
    actor.started()
    for report in found:
        actor.receive(report)

    peers.clock.advance(1)
    run_due(actor)

    told = peers.probe(API).expect(GatewayStatus)
    assert (told.state, told.reasons) == (state, tuple(reasons))
    assert told.since_ms == peers.clock.wall_ms()


def test_each_change_is_logged_with_its_reasons_and_its_time(events: list[Any]) -> None:
    peers = Peers("gateway")
    actor = GatewayActor(peers, devices=1, endpoints=1)
    actor.started()

    stamps = []
    for report in (ROOF, ROOF, OFFLINE, OFFLINE, ROOF):
        actor.receive(report)
        peers.clock.advance(1)
        run_due(actor)
        stamps.append(peers.probe(API).expect(GatewayStatus).since_ms)

    logged = [(e["was"], e["state"]) for e in events if e["event"] == "gateway.state"]
    assert logged == [
        (None, "harvesting"),
        ("harvesting", "degraded"),
        ("degraded", "harvesting"),
    ]
    first = stamps[0]
    assert [s - first for s in stamps] == [0, 0, 2000, 2000, 4000]


def test_many_devices_in_trouble_do_not_make_an_endless_list() -> None:
    peers = Peers("gateway")
    actor = GatewayActor(peers, devices=500, endpoints=1)
    actor.started()
    for number in range(500):
        actor.receive(replace(OFFLINE, device=f"roof-{number}"))

    peers.clock.advance(1)
    run_due(actor)

    assert len(peers.probe(API).expect(GatewayStatus).reasons) == 20


def test_a_step_of_the_wall_clock_is_logged_and_a_steady_clock_is_not(
    events: list[Any],
) -> None:
    peers = Peers("gateway")
    actor = GatewayActor(peers, devices=1, endpoints=1)
    actor.started()
    for _ in range(5):
        peers.clock.advance(1)
        run_due(actor)
    assert not [e for e in events if e["event"] == "clock.stepped"]

    peers.clock.set_wall(peers.clock.wall_ms() - 3_600_000)
    for _ in range(3):
        peers.clock.advance(1)
        run_due(actor)

    (step,) = [e for e in events if e["event"] == "clock.stepped"]
    assert step["by_ms"] == -3_600_000

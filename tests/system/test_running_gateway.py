"""What a running gateway answers, and that it is alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3
from gateway_kit import egw
from processes import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_kit import Gateway, Home
    from site_kit import Site

pytestmark = pytest.mark.slow

ROUTES = {
    "/api/hello": {"message"},
    "/api/name": {"name"},
    "/api/crypto": {
        "deviceName",
        "serialNumber",
        "publicKey",
        "publicKey_pem",
        "compactKey",
        "chipDeathCount",
    },
    "/api/inverter": {"status", "type", "host", "port", "address", "sn"},
    "/api/uptime": {"msek"},
    "/api/version": {"version"},
    "/api/state": {"gateway", "signer", "outbox", "uplinks", "devices", "status"},
    "/api/actors": {"main", "workers", "actors"},
    "/api/live": {"cursor", "devices"},
    "/api/devices/roof-1/points": {"points", "stamp_ms", "missing"},
}


@pytest.fixture
def gateway(
    home: Home, site: Callable[..., Site], start: Callable[[], Gateway]
) -> Gateway:
    """One that has delivered something."""
    running = site("solaredge", "huawei")
    home.configure(
        running.devices.addresses,
        uplink__endpoints=[running.backend.endpoint],
        backend__url=running.backend.url,
        harvest__packet_readings=1,
    )
    gateway = start()
    until(lambda: gateway.outbox()["delivered_packets"] >= 2, "packets were delivered")
    return gateway


def test_every_route_answers_and_so_do_the_page_and_the_status_command(
    home: Home, gateway: Gateway
) -> None:
    for path, keys in ROUTES.items():
        assert gateway.get(path).keys() >= keys, path
    state = gateway.get("/api/state")
    assert state["gateway"]["state"] == "harvesting"
    assert state["signer"]["serial"] == home.key.serial
    assert state["outbox"]["delivered_packets"] >= 2
    assert [uplink["state"] for uplink in state["uplinks"]] != ["failing"]
    assert len(gateway.get("/api/name")["name"].split()) == 3
    assert gateway.get("/api/crypto")["publicKey"] == home.key.public_key().hex()
    assert gateway.get("/api/inverter")["status"] == "open"

    with urllib3.PoolManager(retries=False, timeout=5) as http:
        page = http.request("GET", home.url + "/")
        wrong = http.request("GET", home.url + "/api/nothing")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert wrong.status == 404

    shown = egw("status", "--url", home.url)
    assert shown.returncode == 0, shown.stderr
    for word in ("roof-1", "roof-2", "harvest", "signer", "online"):
        assert word in shown.stdout


def test_a_second_gateway_with_the_same_data_directory_is_refused(
    home: Home, gateway: Gateway
) -> None:
    workers = gateway.workers()

    second = egw("run", "--config", str(home.config))

    assert second.returncode == 2
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert str(home.directory) in line
    assert "in use" in line
    assert gateway.workers() == workers


def test_all_actors_in_one_worker_are_one_gateway_too(
    home: Home, gateway: Gateway, start: Callable[[], Gateway]
) -> None:
    assert gateway.stop() == 0
    delivered = home.totals().delivered_packets
    home.configure(home.devices, **home.settings | {"workers__single": True})

    small = start()

    assert list(small.workers()) == ["gateway"]
    until(
        lambda: small.outbox()["delivered_packets"] > delivered,
        "more is delivered",
    )
    assert small.stop() == 0

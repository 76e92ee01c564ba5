"""Endpoints in trouble, while ten devices are sampled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from processes import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_kit import Gateway, Home
    from site_kit import BackendClient, Site

pytestmark = pytest.mark.slow

TROUBLE_S = 10
DEVICES = 10
PROFILES = ("sungrow", "solaredge", "fronius", "sungrow_hybrid", "solaredge") * 2


def test_backends_in_trouble_do_not_disturb_sampling_and_get_everything_afterwards(
    home: Home,
    site: Callable[..., Site],
    backend: Callable[[], BackendClient],
    start: Callable[[], Gateway],
) -> None:
    running = site(*PROFILES)
    backends = {
        "refuse": running.backend,
        "hang": backend(),
        "reset": backend(),
    }
    home.configure(
        running.devices.addresses,
        uplink__endpoints=[b.endpoint for b in backends.values()],
        uplink__timeout_s=2,
        harvest__packet_readings=2,
    )
    gateway = start()
    gateway.until_sampling()
    before = gateway.devices()
    began_at = time.monotonic()
    for trouble, endpoint in backends.items():
        endpoint.suffer(**{trouble: True})

    until(
        lambda: all(
            u["state"] == "failing" for u in gateway.get("/api/state")["uplinks"]
        ),
        "every uplink fails",
    )
    until(
        lambda: time.monotonic() - began_at > TROUBLE_S,
        "the time of trouble is over",
        within_s=TROUBLE_S + 20,
    )
    waiting = gateway.outbox()["waiting_packets"]
    seconds = time.monotonic() - began_at
    after = gateway.devices()
    for endpoint in backends.values():
        endpoint.heal()

    taken = {n: after[n]["samples_taken"] - before[n]["samples_taken"] for n in after}
    rates_hz = {name: round(count / seconds, 1) for name, count in taken.items()}
    print("sampled at, Hz:", rates_hz, "waiting packets:", waiting)
    # A count is up to a second old.
    assert min(taken.values()) > 10 * (seconds - 1) * 0.8, rates_hz
    assert {device["state"] for device in after.values()} == {"online"}
    assert waiting >= DEVICES * (TROUBLE_S // 2 - 2)
    assert gateway.stop() == 0
    home.drain()
    committed = home.committed()
    assert set(committed.values()) == {1}
    for endpoint in backends.values():
        assert set(endpoint.journal()) == set(committed)
        report = endpoint.report()
        assert (report["doubled"], report["invalid"], report["out_of_order"]) == (
            0,
        ) * 3
    assert home.totals().quarantined == 0

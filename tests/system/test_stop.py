"""SIGTERM in good and in bad times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from processes import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_kit import Gateway, Home
    from site_kit import Site

pytestmark = pytest.mark.slow

STOPS_WITHIN_S = 8.0


@pytest.fixture
def inverters(home: Home, site: Callable[..., Site]) -> Site:
    running = site("sungrow", "fronius", "solaredge", "huawei")
    home.configure(
        running.devices.addresses,
        uplink__endpoints=[running.backend.endpoint],
        backend__url=running.backend.url,
    )
    return running


def stopped(gateway: Gateway) -> float:
    """Stop it; return the seconds that it took."""
    began_at = time.monotonic()
    assert gateway.stop() == 0
    took_s = time.monotonic() - began_at
    print(f"stopped in {took_s:.2f} s")
    assert took_s < STOPS_WITHIN_S
    assert gateway.processes() == set()
    return took_s


def readings_of(gateway: Gateway) -> int:
    return sum(d.get("readings_taken", 0) for d in gateway.devices().values())


def test_every_reading_taken_before_a_stop_is_on_disk_and_delivered_after_it(
    home: Home, inverters: Site, start: Callable[[], Gateway]
) -> None:
    gateway = start()
    gateway.until_sampling()
    until(lambda: readings_of(gateway) >= 8, "some readings wait in memory")

    stopped(gateway)

    committed = home.committed()
    assert sum(committed.values()) == len(committed) == home.readings_taken() >= 8
    home.drain()
    assert set(inverters.backend.journal()) == set(committed)


def test_a_silent_device_and_a_hanging_backend_do_not_hold_up_a_stop(
    home: Home, inverters: Site, start: Callable[[], Gateway]
) -> None:
    home.configure(
        inverters.devices.addresses, **home.settings | {"harvest__packet_readings": 2}
    )
    gateway = start()
    gateway.until_sampling()
    inverters.devices.suffer("roof-1", silent=True)
    inverters.backend.suffer(hang=True)
    until(
        lambda: (
            gateway.outbox()["waiting_packets"] >= 3
            and gateway.devices()["roof-1"]["state"] != "online"
        ),
        "packets wait and a device is missed",
    )

    stopped(gateway)

    inverters.backend.heal()
    committed = home.committed()
    assert sum(committed.values()) == len(committed) == home.readings_taken() >= 4
    home.drain()
    assert set(inverters.backend.journal()) == set(committed)


@pytest.mark.parametrize("events", range(1, 7))
def test_a_gateway_that_is_stopped_while_it_starts_ends_in_order(
    home: Home, inverters: Site, start: Callable[[], Gateway], events: int
) -> None:
    gateway = start()
    until(
        lambda: home.log.read_bytes().count(b"\n") >= events,
        "so many events are logged",
    )

    stopped(gateway)

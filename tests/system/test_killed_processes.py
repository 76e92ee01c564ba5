"""Any process of a gateway may be killed or stand still."""

from __future__ import annotations

import signal
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from processes import HANG_S, is_running, send, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_kit import Gateway, Home
    from site_kit import Devices, Site

pytestmark = pytest.mark.slow

SLACK_S = 5.0
"""What a machine that is busy with other things may take on top."""


@pytest.fixture
def inverters(home: Home, site: Callable[..., Site]) -> Site:
    running = site("sungrow", "fronius", "solaredge")
    home.configure(
        running.devices.addresses,
        uplink__endpoints=[running.backend.endpoint],
        harvest__packet_readings=2,
        workers__devices=3,
    )
    return running


def every_device_is_asked_again(devices: Devices) -> None:
    before = {name: devices.requests(name) for name in devices.names}
    until(
        lambda: all(devices.requests(name) > before[name] for name in before),
        "every device is asked again",
    )


def until_gone(pid: int) -> None:
    until(lambda: not is_running(pid), "the killed process is gone")


def gaps_ms(stamps: list[tuple[str, int]]) -> list[int]:
    """Return the distances between the readings of each device."""
    ordered = sorted(stamps)
    return [b[1] - a[1] for a, b in pairwise(ordered) if a[0] == b[0]]


def test_each_killed_worker_comes_back_alone_and_no_reading_is_lost(
    home: Home, inverters: Site, start: Callable[[], Gateway]
) -> None:
    gateway = start()
    gateway.until_sampling()
    recoveries_ms = {}

    for name in gateway.workers():
        before = gateway.workers()
        killed_at = time.monotonic()
        send(signal.SIGKILL, [before[name]])
        until_gone(before[name])
        every_device_is_asked_again(inverters.devices)
        recoveries_ms[name] = round((time.monotonic() - killed_at) * 1000)
        after = gateway.workers()
        assert after.pop(name) != before.pop(name)
        assert after == before

    told = gateway.get("/api/actors")["workers"]
    print("until all devices were sampled again, ms:", recoveries_ms)
    print("by the supervisor:", {w["name"]: w["last_recovery_ms"] for w in told})
    assert max(recoveries_ms.values()) < 1000 * SLACK_S
    assert gateway.stop() == 0
    home.drain()
    journal = inverters.backend.journal()
    assert max(gaps_ms(journal)) < 1000 * SLACK_S
    assert inverters.backend.report()["doubled"] == 0


def test_workers_that_stand_still_are_replaced_and_take_no_other_along(
    home: Home, inverters: Site, start: Callable[[], Gateway]
) -> None:
    gateway = start()
    gateway.until_sampling()
    before = gateway.workers()
    patience_s = {"signer": 5.0, "core": 5.0, "api": 5.0, "devices-0": 10.0}
    stopped_at = time.monotonic()

    send(signal.SIGSTOP, [before[name] for name in patience_s])

    killed_s: dict[str, float] = {}
    while len(killed_s) < len(patience_s):
        name = until(
            lambda: next(
                (
                    name
                    for name in patience_s.keys() - killed_s.keys()
                    if not is_running(before[name])
                ),
                None,
            ),
            "the next one is killed",
        )
        killed_s[name] = round(time.monotonic() - stopped_at, 2)
    every_device_is_asked_again(inverters.devices)
    print("killed after s:", killed_s)
    after = gateway.workers()
    kept = {name for name in before if after[name] == before[name]}
    assert kept == {"devices-1", "devices-2"}
    assert all(killed_s[n] < patience_s[n] + 1 + SLACK_S for n in patience_s), killed_s
    silent = {event["worker"] for event in home.events("worker.silent")}
    assert silent == set(patience_s)
    assert gateway.stop() == 0
    home.drain()
    assert set(inverters.backend.journal()) == set(home.committed())
    assert inverters.backend.report()["doubled"] == 0


def test_no_process_is_left_when_the_main_one_is_killed(
    inverters: Site, start: Callable[[], Gateway]
) -> None:
    gateway = start()
    gateway.until_sampling()
    family = gateway.processes()
    killed_at = time.monotonic()

    send(signal.SIGKILL, [gateway.pid])

    until(lambda: not gateway.processes(), "all ended", within_s=3 + SLACK_S)
    print(f"{len(family)} processes gone after {time.monotonic() - killed_at:.2f} s")
    assert family >= {gateway.pid}
    assert len(family) > 5


def test_workers_live_on_without_the_fork_server_and_are_still_replaced(
    inverters: Site, start: Callable[[], Gateway]
) -> None:
    gateway = start()
    gateway.until_sampling()
    before = gateway.workers()
    fork_server = gateway.fork_server()
    assert fork_server not in (0, gateway.pid)

    send(signal.SIGKILL, [fork_server])
    until_gone(fork_server)
    every_device_is_asked_again(inverters.devices)
    assert gateway.workers() == before

    send(signal.SIGKILL, [before["devices-0"]])
    until_gone(before["devices-0"])
    every_device_is_asked_again(inverters.devices)
    after = gateway.workers()
    assert after.pop("devices-0") != before.pop("devices-0")
    assert after == before

    assert gateway.stop() == 0
    until(lambda: not gateway.processes(), "no orphan is left", within_s=HANG_S)


def test_readings_outlive_first_their_device_worker_and_then_the_core(
    home: Home, site: Callable[..., Site], start: Callable[[], Gateway]
) -> None:
    running = site("sungrow")
    home.configure(
        running.devices.addresses, uplink__endpoints=[running.backend.endpoint]
    )
    gateway = start()
    until(
        lambda: gateway.devices()["roof-1"].get("readings_taken", 0) >= 4,
        "some readings wait for more to fill a packet",
    )

    for name in ("devices-0", "core"):
        send(signal.SIGKILL, [gateway.workers()[name]])
        every_device_is_asked_again(running.devices)
        gateway.workers()
    assert gateway.stop() == 0
    home.drain()

    journal = running.backend.journal()
    assert len(journal) >= 5
    assert max(gaps_ms(journal)) < 4000

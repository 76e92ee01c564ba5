from __future__ import annotations

import pytest
import told
from served import Gateway

from egw.runtime import AskTimeout


def tell_all(gateway: Gateway) -> None:
    snapshot = gateway.snapshot
    snapshot.add_live(told.live("roof", reading=told.huawei_reading()))
    snapshot.add_signer(told.signer_status())
    snapshot.add_outbox(told.outbox_status())
    snapshot.add_uplink(told.uplink_status())
    snapshot.add_backend(told.backend_status())
    snapshot.add_gateway(told.gateway_status(state="degraded", reasons=("cellar",)))


def test_state_has_every_part(gateway: Gateway) -> None:
    tell_all(gateway)

    body = gateway.json("/api/state")

    assert body.keys() == {
        "gateway",
        "signer",
        "backend",
        "outbox",
        "uplinks",
        "devices",
        "lateness",
        "status",
        "timestamp",
    }
    assert body["gateway"] == {
        "state": "degraded",
        "reasons": ["cellar"],
        "since_ms": told.NOW_MS - 30_000,
        "version": body["status"]["version"],
        "uptime_ms": 61_500,
        "age_ms": 0,
    }
    assert body["signer"] == {
        "state": "ready",
        "reason": "",
        "signed": 12,
        "kind": "file",
        "device_name": "egw software key",
        "serial": "00a1b2c3d4e5f60718",
        "age_ms": 0,
    }
    assert body["backend"] == {
        "name": "Macho Beige Gecko",
        "state": "known",
        "reason": "",
        "age_ms": 0,
    }
    assert body["uplinks"][0]["uplink"] == "uplink/1"
    assert body["timestamp"] == told.NOW_MS
    assert body["status"]["uptime"] == 61_500
    assert body["status"]["messages"][0]["message"] == "cellar"


def test_state_shows_how_long_the_oldest_packet_waits(gateway: Gateway) -> None:
    tell_all(gateway)

    gateway.clock.advance(2)

    outbox = gateway.json("/api/state")["outbox"]
    assert outbox["oldest_waiting_age_ms"] == 10_000
    assert outbox["age_ms"] == 2_000


def test_state_with_nothing_waiting_has_no_age(gateway: Gateway) -> None:
    gateway.snapshot.add_outbox(told.outbox_status(oldest_waiting_ms=None))

    assert gateway.json("/api/state")["outbox"]["oldest_waiting_age_ms"] is None


def test_state_of_a_device_has_power_and_frequency_now(gateway: Gateway) -> None:
    tell_all(gateway)

    roof, cellar = gateway.json("/api/state")["devices"]

    assert (roof["device"], roof["state"], roof["is_silent"]) == (
        "roof",
        "online",
        False,
    )
    assert roof["power_w"] == 1912
    assert roof["frequency_hz"] == 50.02
    assert roof["sample_rate_hz"] == 9.98
    assert (roof["reading_rate_hz"], roof["success_percent"]) == (1.0, 99.5)
    assert roof["max_registers"] is None
    assert cellar["device"] == "cellar"
    assert cellar["state"] == "connecting"
    assert cellar["reason"] == "nothing has been heard of it yet"
    assert cellar["is_silent"] is True
    assert (cellar["power_w"], cellar["frequency_hz"]) == (None, None)


def test_state_tells_the_largest_block_where_it_is_below_the_profiles(
    gateway: Gateway,
) -> None:
    gateway.snapshot.add_device_status(told.device_status(max_registers=8))

    roof, _ = gateway.json("/api/state")["devices"]

    assert roof["max_registers"] == 8


def test_state_of_a_device_that_went_offline_repeats_no_old_value(
    gateway: Gateway,
) -> None:
    tell_all(gateway)
    gateway.snapshot.add_device_status(told.device_status(state="offline"))

    roof, _ = gateway.json("/api/state")["devices"]

    assert (roof["power_w"], roof["frequency_hz"]) == (None, None)


def test_state_of_a_device_with_old_readings_repeats_no_old_value(
    gateway: Gateway,
) -> None:
    tell_all(gateway)
    gateway.clock.advance(16)
    gateway.snapshot.add_device_status(told.device_status())

    roof, _ = gateway.json("/api/state")["devices"]

    assert (roof["power_w"], roof["frequency_hz"]) == (None, None)


@pytest.mark.parametrize(
    ("seconds", "state", "reading_rate_hz", "power_w"),
    [
        (16, "online", 0.12, 1912),
        (16, "online", 0.5, None),
        (61, "online", 0.01, None),
        (16, "degraded", 0.06, None),
    ],
)
def test_state_of_a_slow_device_has_its_power_until_the_next_reading_is_due(
    seconds: int,
    state: str,
    reading_rate_hz: float,
    power_w: float | None,
    gateway: Gateway,
) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))
    gateway.clock.advance(seconds)
    status = told.device_status(state=state, reading_rate_hz=reading_rate_hz)
    gateway.snapshot.add_device_status(status)

    roof, _ = gateway.json("/api/state")["devices"]

    assert roof["power_w"] == power_w


def test_state_without_frequency_samples_takes_the_frequency_of_the_reading(
    gateway: Gateway,
) -> None:
    reading = told.huawei_reading(hz=49.97)
    gateway.snapshot.add_live(told.live(frequency=told.samples(), reading=reading))

    roof, _ = gateway.json("/api/state")["devices"]

    assert roof["frequency_hz"] == 49.97


def test_state_before_anything_was_heard_says_so(gateway: Gateway) -> None:
    body = gateway.json("/api/state")

    assert body["gateway"]["state"] == "starting"
    assert body["signer"]["reason"] == "nothing has been heard of it yet"
    assert (body["backend"], body["outbox"], body["uplinks"]) == (None, None, [])
    assert body["lateness"]["samples"] == 0
    assert body["lateness"]["p99_ms"] is None


def test_state_is_told_even_when_the_supervisor_does_not_answer(
    gateway: Gateway,
) -> None:
    gateway.tree = AskTimeout("supervisor did not answer within 1 s")
    tell_all(gateway)

    body = gateway.json("/api/state")

    assert body["gateway"]["uptime_ms"] is None
    assert body["signer"]["state"] == "ready"


def test_lateness_has_its_buckets_only_on_request(gateway: Gateway) -> None:
    gateway.snapshot.add_live(told.live(frequency=told.samples(*[50.0] * 99)))
    gateway.snapshot.add_live(told.live(frequency=told.samples(50.0, late=7.01)))

    plain = gateway.json("/api/state")["lateness"]
    full = gateway.json("/api/state?lateness=buckets")["lateness"]

    assert plain == {
        "session": gateway.snapshot.session,
        "p50_ms": 0.5,
        "p99_ms": 0.5,
        "samples": 100,
    }
    assert full == plain | {"buckets": {"0.5": 99, "7.1": 1}}


def test_lateness_takes_no_other_value(gateway: Gateway) -> None:
    body = gateway.error("/api/state?lateness=all", 400)

    assert body["field"] == "lateness"


def test_state_says_so_when_nothing_is_heard_of_a_device_any_more(
    gateway: Gateway,
) -> None:
    tell_all(gateway)
    gateway.clock.advance(30.0)

    roof = gateway.json("/api/state")["devices"][0]

    assert (roof["state"], roof["is_silent"]) == ("online", True)
    assert roof["reason"] == "nothing has been heard of it for 30 s"

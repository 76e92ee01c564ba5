"""The contract of every route: exact keys, and what they mean."""

from __future__ import annotations

import os
from importlib.metadata import version

import pytest
import told
from served import Gateway

from egw.crypto.keys import compact_key, public_key_pem_body
from egw.messages import Suspect
from egw.runtime import AskTimeout


def test_hello_answers_the_words_that_clients_look_for(gateway: Gateway) -> None:
    reply = gateway.get("/api/hello")

    assert reply.data == b'{"message":"hello world from srcful!"}'


def test_name_is_what_the_backend_calls_the_gateway(gateway: Gateway) -> None:
    gateway.snapshot.add_backend(told.backend_status("Macho Beige Gecko"))

    assert gateway.json("/api/name") == {"name": "Macho Beige Gecko"}


@pytest.mark.parametrize("reason", ["", "connection refused"])
def test_name_is_unavailable_with_the_reason_while_unknown(
    gateway: Gateway, reason: str
) -> None:
    gateway.snapshot.add_backend(told.backend_status("", reason))

    body = gateway.error("/api/name", 503)

    assert "not known yet" in body["message"]
    assert reason in body["message"]


def test_crypto_shows_the_public_key_in_all_forms(gateway: Gateway) -> None:
    gateway.snapshot.add_identity(told.identity())

    assert gateway.json("/api/crypto") == {
        "deviceName": "egw software key",
        "serialNumber": "00a1b2c3d4e5f60718",
        "publicKey": told.PUBLIC_KEY.hex(),
        "publicKey_pem": public_key_pem_body(told.PUBLIC_KEY),
        "compactKey": compact_key(told.PUBLIC_KEY),
        "chipDeathCount": "0",
        "keyKind": "file",
    }


def test_crypto_without_a_configured_key_says_so(gateway: Gateway) -> None:
    gateway.snapshot.add_signer(told.signer_status(state="none", identity=None))

    body = gateway.error("/api/crypto", 503)

    assert body["message"] == "this gateway has no key: none is configured"


def test_crypto_with_a_key_that_does_not_answer_says_why(gateway: Gateway) -> None:
    gateway.snapshot.add_signer(
        told.signer_status(state="unavailable", reason="chip silent", identity=None)
    )

    assert "chip silent" in gateway.error("/api/crypto", 503)["message"]


def test_inverter_is_the_first_device_in_both_spellings(gateway: Gateway) -> None:
    gateway.snapshot.add_live(told.live("cellar", unit=7))
    gateway.snapshot.add_live(told.live("roof"))

    assert gateway.json("/api/inverter") == {
        "connection": "TCP",
        "type": "huawei",
        "address": 1,
        "host": "192.168.1.20",
        "port": 502,
        "status": "open",
        "device_type": "huawei",
        "slave_id": 1,
        "ip": "192.168.1.20",
        "sn": "HV2001",
        "mac": "",
    }


def test_inverter_without_a_device_says_so(gateway: Gateway) -> None:
    assert gateway.json("/api/inverter") == {"status": "No inverter"}


@pytest.mark.parametrize("state", ["connecting", "offline"])
def test_inverter_that_is_not_reached_is_closed(gateway: Gateway, state: str) -> None:
    gateway.snapshot.add_device_status(told.device_status(state=state))

    assert gateway.json("/api/inverter")["status"] == "closed"


def test_inverter_whose_reader_is_silent_is_closed(gateway: Gateway) -> None:
    gateway.snapshot.add_device_status(told.device_status(state="online"))

    gateway.clock.advance(6)

    assert gateway.json("/api/inverter")["status"] == "closed"


def test_uptime_counts_from_the_start_of_the_gateway(gateway: Gateway) -> None:
    assert gateway.json("/api/uptime") == {"msek": 61_500}

    gateway.clock.advance(2.25)

    assert gateway.json("/api/uptime") == {"msek": 63_750}


def test_uptime_needs_the_supervisor_only_once(gateway: Gateway) -> None:
    gateway.json("/api/uptime")

    gateway.tree = AskTimeout("supervisor did not answer within 1 s")

    assert gateway.json("/api/uptime") == {"msek": 61_500}


def test_uptime_is_unavailable_when_the_supervisor_never_answered(
    gateway: Gateway,
) -> None:
    gateway.tree = AskTimeout("too slow")

    assert "too slow" in gateway.error("/api/uptime", 503)["message"]


def test_version_is_that_of_the_package(gateway: Gateway) -> None:
    assert gateway.json("/api/version") == {"version": version("egw")}


def test_actors_shows_the_tree_and_what_processes_cost(gateway: Gateway) -> None:
    gateway.tree = told.tree(os.getpid(), worker_pid=os.getpid())

    body = gateway.json("/api/actors")

    cost = {"cpu_s", "pss_mb"}
    assert body.keys() == {
        "main_pid",
        "uptime_s",
        "dead_letters",
        "recoveries_ms",
        "main",
        "workers",
        "actors",
    }
    assert body["main"].keys() == {"pid"} | cost
    assert body["main"]["cpu_s"] > 0
    assert body["main"]["pss_mb"] > 1
    (worker,) = body["workers"]
    assert worker["pss_mb"] == body["main"]["pss_mb"]
    assert (
        worker.keys()
        == {
            "name",
            "pid",
            "state",
            "incarnation",
            "restarts",
            "last_recovery_ms",
            "dead_letters",
        }
        | cost
    )
    harvest, signer = body["actors"]
    assert harvest["gauges"]["p99_us"] == 90
    assert signer["gauges"] is None
    assert signer["last_failure"] == "OSError: x"


def test_actors_of_a_worker_without_process_has_no_cost(gateway: Gateway) -> None:
    gateway.tree = told.tree(os.getpid(), worker_pid=None)

    (worker,) = gateway.json("/api/actors")["workers"]

    assert (worker["cpu_s"], worker["pss_mb"]) == (None, None)


def test_actors_is_unavailable_when_the_supervisor_does_not_answer(
    gateway: Gateway,
) -> None:
    gateway.tree = AskTimeout("supervisor did not answer within 1 s")

    body = gateway.error("/api/actors", 503)

    assert body["message"].startswith("the supervisor did not answer")


def test_points_of_a_device_have_values_and_units(gateway: Gateway) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))

    body = gateway.json("/api/devices/roof/points")

    assert body.keys() == {
        "points",
        "stamp_ms",
        "first_read_ms",
        "last_read_ms",
        "missing",
        "suspect",
        "model",
    }
    assert body["stamp_ms"] == told.NOW_MS - 500
    assert body["points"]["active_power_w"] == {"value": 1912, "unit": "W"}
    assert body["points"]["grid_frequency_hz"] == {"value": 50.02, "unit": "Hz"}
    assert "serial_number" in body["missing"]
    assert not set(body["missing"]) & set(body["points"])


def test_points_tell_when_they_were_read_and_make_the_data_model(
    gateway: Gateway,
) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))

    body = gateway.json("/api/devices/roof/points")

    assert (body["first_read_ms"], body["last_read_ms"]) == (
        told.NOW_MS - 450,
        told.NOW_MS - 380,
    )
    pv = body["model"]["pv"]
    assert (pv["W"], pv["make"]) == (-1912, "Huawei")
    assert (pv["timestamp"], pv["read_time_ms"]) == (told.NOW_MS - 500, 120)


def test_a_value_that_cannot_be_right_is_told_apart_from_points_and_model(
    gateway: Gateway,
) -> None:
    suspect = Suspect("pv_power_w", 1912.0, "leapt")
    live = told.live(reading=told.huawei_reading(), suspects=(suspect,))
    gateway.snapshot.add_live(live)

    body = gateway.json("/api/devices/roof/points")

    assert body["suspect"] == [
        {"key": "pv_power_w", "value": 1912.0, "reason": "leapt"}
    ]
    assert "pv_power_w" not in body["points"]
    assert "pv_power_w" not in body["missing"]
    assert "pv" not in body["model"]


def test_points_before_the_first_reading_are_all_missing(gateway: Gateway) -> None:
    body = gateway.json("/api/devices/roof/points")

    assert body["points"] == {}
    assert (body["stamp_ms"], body["first_read_ms"]) == (None, None)
    assert (body["suspect"], body["model"]) == ([], {})
    assert "active_power_w" in body["missing"]


def test_points_of_an_unknown_device_are_not_found(gateway: Gateway) -> None:
    body = gateway.error("/api/devices/barn/points", 404)

    assert body["message"] == "no device 'barn'; there are: roof, cellar"

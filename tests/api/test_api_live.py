from __future__ import annotations

from typing import Any

import pytest
import told
from served import Gateway


def batch(number: int, count: int = 10) -> Any:
    """The samples of the second `number`, each with a frequency of its own."""
    first_ms = told.NOW_MS + 1000 * number
    hz = [49 + (count * number + n) / 10_000 for n in range(count)]
    return told.samples(*hz, first_ms=first_ms)


def tell_seconds(gateway: Gateway, device: str, seconds: range) -> None:
    for number in seconds:
        gateway.snapshot.add_live(told.live(device, frequency=batch(number)))


def follow(gateway: Gateway, cursor: str) -> list[Any]:
    """Read from the cursor on until there is no more."""
    bodies = [gateway.json(f"/api/live?since={cursor}")]
    while bodies[-1]["more"]:
        bodies.append(gateway.json(f"/api/live?since={bodies[-1]['cursor']}"))
    return bodies


def test_live_has_samples_points_and_state_of_each_device(gateway: Gateway) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))

    body = gateway.json("/api/live")

    assert body.keys() == {"cursor", "restarted", "more", "now_ms", "devices"}
    assert (body["restarted"], body["more"]) == (False, False)
    assert body["now_ms"] == told.NOW_MS
    roof = body["devices"]["roof"]
    assert roof.keys() == {
        "samples",
        "state",
        "reason",
        "sample_rate_hz",
        "reading_rate_hz",
        "reading_stamp_ms",
        "points",
    }
    assert roof["samples"] == {
        "stamp_ms": [told.NOW_MS - 1000, told.NOW_MS - 900, told.NOW_MS - 800],
        "hz": [50.0, 50.01, 50.02],
        "late_ms": [0.4, 0.4, 0.4],
    }
    assert roof["points"]["active_power_w"] == {"value": 1912, "unit": "W"}
    assert body["devices"]["cellar"] == {
        "samples": {"stamp_ms": [], "hz": [], "late_ms": []}
    }


def test_live_with_its_own_cursor_has_only_what_is_new(gateway: Gateway) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))
    cursor = gateway.json("/api/live")["cursor"]

    nothing = gateway.json(f"/api/live?since={cursor}")
    gateway.snapshot.add_live(told.live(frequency=batch(1, 2)))
    news = gateway.json(f"/api/live?since={cursor}")

    assert nothing["cursor"] == cursor
    assert nothing["devices"]["roof"] == {
        "samples": {"stamp_ms": [], "hz": [], "late_ms": []}
    }
    assert news["devices"]["roof"]["samples"]["hz"] == [49.0002, 49.0003]
    assert "points" not in news["devices"]["roof"]
    assert news["cursor"] != cursor


def test_live_of_one_device_leaves_out_the_others(gateway: Gateway) -> None:
    tell_seconds(gateway, "roof", range(2))
    tell_seconds(gateway, "cellar", range(2))

    body = gateway.json("/api/live?device=cellar")

    assert body["devices"].keys() == {"cellar"}
    assert len(body["devices"]["cellar"]["samples"]["hz"]) == 20


def test_live_without_a_cursor_has_the_last_minute(gateway: Gateway) -> None:
    tell_seconds(gateway, "roof", range(100))

    body = gateway.json("/api/live")

    stamps = body["devices"]["roof"]["samples"]["stamp_ms"]
    assert len(stamps) == 600
    assert stamps[-1] == told.NOW_MS + 99_900


def test_live_of_many_devices_starts_with_what_one_reply_can_hold(
    gateway: Gateway,
) -> None:
    for number in range(60):
        for device in range(20):
            tell_seconds(gateway, f"d{device}", range(number, number + 1))

    body = gateway.json("/api/live")

    newest = {len(d["samples"]["hz"]) for d in body["devices"].values()}
    assert newest == {0, 250}
    assert body["more"] is False


def test_live_gives_a_backlog_in_replies_of_bounded_size_without_gap_or_double(
    gateway: Gateway,
) -> None:
    cursor = gateway.json("/api/live")["cursor"]
    for number in range(400):
        tell_seconds(gateway, "roof", range(number, number + 1))
        tell_seconds(gateway, "cellar", range(number, number + 1))

    bodies = follow(gateway, cursor)

    assert [b["more"] for b in bodies] == [True, False]
    for device in ("roof", "cellar"):
        hz = [hz for b in bodies for hz in b["devices"][device]["samples"]["hz"]]
        assert hz == [pytest.approx(49 + n / 10_000) for n in range(4000)]
    for body in bodies:
        assert sum(len(d["samples"]["hz"]) for d in body["devices"].values()) <= 5000


def test_live_keeps_ten_minutes_and_starts_anew_when_more_was_missed(
    gateway: Gateway,
) -> None:
    cursor = gateway.json("/api/live")["cursor"]
    tell_seconds(gateway, "roof", range(700))

    body = gateway.json(f"/api/live?since={cursor}")

    assert body["restarted"] is True
    assert len(body["devices"]["roof"]["samples"]["hz"]) == 600


def test_live_with_a_cursor_of_another_session_starts_anew(gateway: Gateway) -> None:
    tell_seconds(gateway, "roof", range(2))

    body = gateway.json("/api/live?since=00000000-1")

    assert body["restarted"] is True
    assert len(body["devices"]["roof"]["samples"]["hz"]) == 20


def test_live_with_a_cursor_from_the_future_starts_anew(gateway: Gateway) -> None:
    body = gateway.json(f"/api/live?since={gateway.snapshot.session}-99")

    assert body["restarted"] is True


@pytest.mark.parametrize("cursor", ["1", "zzzzzzzz-1", "00000000--1", "%00", "a" * 99])
def test_live_refuses_what_is_not_a_cursor(gateway: Gateway, cursor: str) -> None:
    body = gateway.error(f"/api/live?since={cursor}", 400)

    assert body["field"] == "since"


def test_live_of_an_unknown_device_is_not_found(gateway: Gateway) -> None:
    body = gateway.error("/api/live?device=barn", 404)

    assert "no device 'barn'" in body["message"]

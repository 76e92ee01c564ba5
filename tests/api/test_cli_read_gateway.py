"""`egw read NAME`: through the API of a running gateway."""

from __future__ import annotations

import json

import pytest
import told
from served import Gateway

from egw.main import main
from egw.messages import Suspect


@pytest.fixture
def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.server.port}"


def test_a_device_of_a_running_gateway_is_shown_with_units_and_model(
    gateway: Gateway, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suspect = Suspect("grid_frequency_hz", 50.02, "leapt")
    gateway.snapshot.add_live(
        told.live(reading=told.huawei_reading(), suspects=(suspect,))
    )

    status = main(["read", "roof", "--url", url])

    output = capsys.readouterr()
    lines = [" ".join(line.split()) for line in output.out.splitlines()]
    assert (status, output.err) == (0, "")
    assert "active_power_w 1912 W" in lines
    assert any(line.startswith("missing: ") for line in lines)
    assert "suspect: grid_frequency_hz 50.02: leapt" in lines
    assert "pv W -1912" in lines


def test_the_json_has_plain_values(
    gateway: Gateway, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))

    status = main(["read", "roof", "--url", url, "--json"])

    body = json.loads(capsys.readouterr().out)
    assert status == 0
    assert body["device"] == "roof"
    assert body["points"]["active_power_w"] == 1912
    assert "serial_number" in body["missing"]
    assert body["model"]["pv"]["W"] == -1912
    assert body["suspect"] == []
    assert body["stamp_ms"] == told.NOW_MS - 500


def test_a_device_without_a_reading_is_told_with_the_reason(
    gateway: Gateway, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_device_status(
        told.device_status(state="offline", reason="connection refused")
    )

    status = main(["read", "roof", "--url", url])

    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    assert output.err == (
        "egw read: roof: nothing has been read yet: connection refused\n"
    )


def test_the_last_reading_of_a_device_in_trouble_is_shown_with_a_warning(
    gateway: Gateway, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))
    gateway.snapshot.add_device_status(
        told.device_status(state="offline", reason="connection refused")
    )

    status = main(["read", "roof", "--url", url])

    output = capsys.readouterr()
    assert status == 0
    assert output.err == (
        "egw read: roof is offline (connection refused): this is its last reading\n"
    )
    assert "active_power_w" in output.out


def test_a_device_that_nothing_is_heard_of_any_more_is_told(
    gateway: Gateway, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.snapshot.add_live(told.live(reading=told.huawei_reading()))
    gateway.clock.advance(30)

    main(["read", "roof", "--url", url])

    assert capsys.readouterr().err == (
        "egw read: roof is silent (nothing has been heard of it for 30 s): this is its "
        "last reading\n"
    )


def test_an_unknown_device_is_told_with_the_known_ones(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["read", "barn", "--url", url])

    output = capsys.readouterr()
    assert (status, output.out) == (1, "")
    assert output.err == (
        f"egw read: {url}: no device 'barn'; there are: roof, cellar\n"
    )

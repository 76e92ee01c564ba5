from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from scripted_device import Sampling

from egw.devices.transport import NoAnswer
from egw.devices.transport import Refused as DeviceRefused
from egw.messages import ReadRegisters, WritePoint
from egw.runtime import Refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def roof(tmp_path: Path) -> Sampling:
    roof = Sampling(tmp_path)
    roof.stored()
    roof.run(1)
    return roof


def refusal(roof: Sampling, message: Any) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        roof.actor.receive(message)
    return caught.value.reason, str(caught.value)


def test_registers_are_read_on_request(roof: Sampling) -> None:
    assert roof.actor.receive(ReadRegisters("input", 4000, 3)) == (4000, 4001, 4002)


def test_registers_of_a_device_that_is_off_cannot_be_read(roof: Sampling) -> None:
    roof.device.off = True
    roof.run(1)

    reason, text = refusal(roof, ReadRegisters("input", 4000, 3))

    assert reason == "offline"
    assert "roof" in text


def test_a_refusal_of_the_device_is_passed_on_by_its_name(roof: Sampling) -> None:
    roof.device.trouble[4000] = DeviceRefused(2)

    reason, text = refusal(roof, ReadRegisters("input", 4000, 3))

    assert reason == "modbus"
    assert "illegal data address" in text
    assert roof.status.state == "online"


def test_a_device_that_does_not_answer_a_request_is_found_again(
    roof: Sampling,
) -> None:
    roof.device.trouble[4000] = NoAnswer("no answer within 1 s")

    reason, text = refusal(roof, ReadRegisters("input", 4000, 3))

    assert reason == "offline"
    assert "no answer within 1 s" in text
    roof.run(2)
    assert roof.status.state == "online"


@pytest.mark.parametrize(
    ("address", "count", "named"),
    [
        (0, 0, "count"),
        (0, -1, "count"),
        (0, 101, "count"),
        (0, 70_000, "count"),
        (-1, 1, "address"),
        (65_536, 1, "address"),
        (65_535, 2, "address"),
    ],
)
def test_what_no_request_can_have_is_refused_and_not_sent(
    address: int, count: int, named: str, roof: Sampling
) -> None:
    asked = len(roof.device.asked)

    reason, text = refusal(roof, ReadRegisters("holding", address, count))

    assert reason == "invalid"
    assert named in text
    assert len(roof.device.asked) == asked


def test_the_last_register_can_be_read(roof: Sampling) -> None:
    assert roof.actor.receive(ReadRegisters("holding", 65_535, 1)) == (65_535,)


def test_a_point_is_written_in_its_unit_and_read_back(roof: Sampling) -> None:
    answer = roof.actor.receive(WritePoint("limit_percent", 62.5))

    assert answer == 62.5
    assert roof.device.written == [(300, (625,))]


def test_what_is_answered_to_a_write_is_what_the_device_has(roof: Sampling) -> None:
    write = roof.device.write

    def write_and_limit(address: int, words: Any) -> None:
        write(address, words)
        roof.device.words[300] = 500

    roof.device.write = write_and_limit  # type: ignore[method-assign]

    assert roof.actor.receive(WritePoint("limit_percent", 62.5)) == 50.0


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("no_such_point", 1.0, "tiny has no point no_such_point"),
        ("power_w", 1.0, "power_w: is read-only"),
        ("limit_percent", 100.1, "limit_percent: 100.1 is outside 0..100 %"),
        ("limit_percent", -1.0, "limit_percent: -1 is outside 0..100 %"),
        ("limit_percent", float("nan"), "limit_percent"),
        ("limit_percent", 0.05, "limit_percent"),
    ],
)
def test_what_the_profile_does_not_allow_is_not_written(
    key: str, value: float, named: str, roof: Sampling
) -> None:
    reason, text = refusal(roof, WritePoint(key, value))

    assert reason == "invalid"
    assert named in text
    assert roof.device.written == []


def test_nothing_is_written_to_a_device_that_is_off(roof: Sampling) -> None:
    roof.device.off = True
    roof.run(1)

    assert refusal(roof, WritePoint("limit_percent", 50.0))[0] == "offline"


def test_a_write_that_the_device_refuses_is_refused(roof: Sampling) -> None:
    roof.device.trouble[300] = DeviceRefused(3)

    reason, text = refusal(roof, WritePoint("limit_percent", 50.0))

    assert reason == "modbus"
    assert "illegal data value" in text


def test_a_write_without_an_answer_is_not_said_to_have_succeeded(
    roof: Sampling,
) -> None:
    roof.device.trouble[300] = NoAnswer("silent")

    assert refusal(roof, WritePoint("limit_percent", 50.0))[0] == "offline"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from scripted_device import BLOCKS, FREQUENCY, PROFILE, Sampling

from egw.devices.transport import NoAnswer
from egw.devices.transport import Refused as DeviceRefused
from egw.messages import ReadRegisters, WritePoint
from egw.runtime import Refused
from egw.runtime.message import Letter, Reply

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


class Answered(Reply):
    """Notes how many requests the device had got when the answer came."""

    def __init__(self, roof: Sampling) -> None:
        self.roof = roof
        self.after: int | None = None

    def set(self, value: Any) -> None:
        self.after = len(self.roof.device.asked)

    def fail(self, error: BaseException) -> None:
        raise error


@pytest.mark.parametrize("latency_s", [0.02, 0.15])
@pytest.mark.parametrize("busy_with", [FREQUENCY, *BLOCKS])
@pytest.mark.parametrize(
    ("message", "requests"),
    [(WritePoint("limit_percent", 50.0), 2), (ReadRegisters("input", 4000, 3), 1)],
)
def test_whoever_asks_waits_for_one_request_of_a_running_cycle_at_most(
    message: Any, requests: int, busy_with: int, latency_s: float, tmp_path: Path
) -> None:
    roof = Sampling(tmp_path)
    roof.stored()
    roof.device.latency_s = latency_s
    roof.run(3)
    answered, asked_after = Answered(roof), 0
    request = roof.device._request

    def somebody_asks_meanwhile(address: int) -> None:
        nonlocal asked_after
        request(address)
        if address == busy_with and not asked_after:
            asked_after = len(roof.device.asked)
            roof.actor.mailbox.put(Letter(message, answered))

    roof.device._request = somebody_asks_meanwhile  # type: ignore[method-assign]

    for _ in range(1000):
        roof.run_once()

    assert answered.after is not None
    assert answered.after - asked_after <= requests + 1
    roof.readings()
    roof.run(10)
    assert len(roof.readings()) >= 4


def test_somebody_who_asks_all_the_time_stops_neither_samples_nor_harvests(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path)
    roof.stored()
    roof.device.latency_s = 0.01
    roof.run(1)
    end = roof.clock.monotonic() + 20

    while roof.clock.monotonic() < end:
        while roof.actor.mailbox.depth < 3:
            asked = Letter(ReadRegisters("input", 4000, 3), Answered(roof))
            roof.actor.mailbox.put(asked)
        roof.run_once()

    assert len(roof.readings()) >= 15
    assert roof.status.samples_taken >= 150
    assert roof.device.asked.count(4000) >= 100


def test_a_device_that_takes_its_time_is_asked_once_more(tmp_path: Path) -> None:
    settling = PROFILE.replace("manners: {", "manners: {settle_ms: 500, ")
    roof = Sampling(tmp_path, profile=settling)
    roof.stored()
    roof.run(1)
    roof.device.settles_s = 0.4
    before = roof.device.asked.count(300)

    assert roof.actor.receive(WritePoint("limit_percent", 50.0)) == 50.0

    assert roof.device.asked.count(300) - before == 3


def test_a_device_that_takes_its_time_is_not_waited_for_without_its_profile_saying_so(
    roof: Sampling,
) -> None:
    roof.device.settles_s = 0.4

    assert roof.actor.receive(WritePoint("limit_percent", 50.0)) == 30.0


def test_a_device_that_obeys_at_once_is_not_waited_for(tmp_path: Path) -> None:
    settling = PROFILE.replace("manners: {", "manners: {settle_ms: 5000, ")
    roof = Sampling(tmp_path, profile=settling)
    roof.stored()
    roof.run(1)
    before_s = roof.clock.monotonic()

    roof.actor.receive(WritePoint("limit_percent", 50.0))

    assert roof.clock.monotonic() - before_s < 1


LIMIT = PROFILE[PROFILE.index("  - {key: limit_percent") :]
KINDS = PROFILE.replace(
    LIMIT,
    """\
  - {key: limit_percent, function: holding, address: 300, type: u16, scale: 0.1,
    applies_to: [small], write: {min: 0, max: 100}}
  - {key: limit_percent, function: holding, address: 310, type: u16, scale: 0.1,
    applies_to: [large], write: {min: 0, max: 50}}
variants:
  small: {function: input, address: 101, within: [[1, 1], [5, 9]]}
  large: {function: input, address: 101, within: [[2, 3]]}
""",
)


@pytest.mark.parametrize(("kind", "address"), [(1, 300), (7, 300), (2, 310), (3, 310)])
def test_a_point_is_written_where_a_device_of_its_kind_has_it(
    kind: int, address: int, tmp_path: Path
) -> None:
    roof = Sampling(tmp_path, profile=KINDS)
    roof.stored()
    roof.run(1)
    roof.device.words[101] = kind

    assert roof.actor.receive(WritePoint("limit_percent", 40.0)) == 40.0

    assert roof.device.written == [(address, (400,))]


def test_nothing_is_written_to_a_device_of_another_kind(tmp_path: Path) -> None:
    roof = Sampling(tmp_path, profile=KINDS)
    roof.stored()
    roof.run(1)
    roof.device.words[101] = 4

    reason, text = refusal(roof, WritePoint("limit_percent", 40.0))

    assert reason == "invalid"
    assert text == "limit_percent: this device does not have it (only large, small)"
    assert roof.device.written == []


def test_the_range_is_that_of_the_kind_of_device(tmp_path: Path) -> None:
    roof = Sampling(tmp_path, profile=KINDS)
    roof.stored()
    roof.run(1)
    roof.device.words[101] = 2

    reason, text = refusal(roof, WritePoint("limit_percent", 60.0))

    assert (reason, "outside 0..50 %" in text) == ("invalid", True)
    assert roof.device.written == []


TWO_PLACES = PROFILE.replace(
    LIMIT,
    LIMIT
    + """\
  - {key: limit_percent, function: holding, address: 310, type: u16, scale: 0.1,
    write: {min: 0, max: 100}}
""",
)


def test_of_alternatives_the_one_is_written_that_the_device_has(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path, profile=TWO_PLACES)
    roof.stored()
    roof.run(1)

    roof.device.trouble[300] = DeviceRefused(2)
    assert roof.actor.receive(WritePoint("limit_percent", 40.0)) == 40.0
    del roof.device.trouble[300]
    assert roof.actor.receive(WritePoint("limit_percent", 30.0)) == 30.0

    assert roof.device.written == [(310, (400,)), (300, (300,))]


def test_a_device_that_is_busy_when_asked_for_its_kind_is_not_written_to(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path, profile=TWO_PLACES)
    roof.stored()
    roof.run(1)
    roof.device.trouble[300] = DeviceRefused(6)

    assert refusal(roof, WritePoint("limit_percent", 40.0))[0] == "modbus"
    assert roof.device.written == []

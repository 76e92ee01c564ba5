from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from scripted_device import BLOCKS, FREQUENCY, PROFILE, SERIAL, Sampling, addresses

from egw.devices.transport import DeviceError, Garbage, NoAnswer, NoConnection, Refused
from egw.messages import Readings, TellStored

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def roof(tmp_path: Path) -> Sampling:
    roof = Sampling(tmp_path)
    roof.stored()
    return roof


def sent_sn(roof: Sampling) -> set[str]:
    return {m.sn for m in roof.harvest.tells if isinstance(m, Readings)}


def test_a_device_that_answers_is_online_and_known_by_its_serial_number(
    roof: Sampling, events: list[Any]
) -> None:
    assert roof.state == ("connecting", "")
    assert roof.harvest.expect(TellStored).device == "roof"

    roof.run(1.5)

    assert roof.state == ("online", "")
    assert sent_sn(roof) == {"SN17"}
    assert roof.gateway_was_told()[:1] == ["online"]
    logged = [e["event"] for e in events]
    assert logged == ["device.online", "device.identified"]


def test_a_device_without_a_serial_number_goes_by_the_configured_one(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path, settings={"sn": "from the plate"})
    roof.device.trouble[SERIAL] = Refused(2)
    roof.stored()

    roof.run(1.5)

    assert sent_sn(roof) == {"from the plate"}


def test_a_device_without_any_serial_number_goes_by_its_name(roof: Sampling) -> None:
    roof.device.words |= {10: 0, 11: 0}

    roof.run(1.5)

    assert sent_sn(roof) == {"roof"}


def test_a_device_that_is_busy_when_asked_who_it_is_is_asked_again(
    roof: Sampling,
) -> None:
    roof.device.trouble[SERIAL] = Refused(6)
    roof.run(1)
    assert roof.status.samples_taken > 5
    del roof.device.trouble[SERIAL]

    roof.run(2)

    assert sent_sn(roof) == {"SN17"}


def test_a_device_that_is_always_busy_when_asked_who_it_is_is_harvested_in_the_end(
    roof: Sampling,
) -> None:
    roof.device.trouble[SERIAL] = Refused(4)

    roof.run(5)

    assert sent_sn(roof) == {"roof"}
    assert roof.device.asked.count(SERIAL) < 30


def test_a_device_that_is_off_at_start_is_offline_and_then_found(
    roof: Sampling,
) -> None:
    roof.device.off = True
    roof.run(10)
    assert roof.state == ("offline", "cannot connect to 10.0.0.5:502")
    assert roof.status.samples_taken == 0
    assert roof.readings() == []

    roof.device.off = False
    took_s = roof.run_until(lambda: roof.status.state == "online")

    assert took_s <= 6
    roof.run(2)
    assert sent_sn(roof) == {"SN17"}


@pytest.mark.parametrize(
    "trouble", [NoConnection("broke"), NoAnswer("silent"), Garbage("garbage")]
)
def test_after_a_short_trouble_it_is_back_at_once(
    trouble: DeviceError, roof: Sampling
) -> None:
    roof.run(3)
    roof.gateway_was_told()
    roof.device.trouble[FREQUENCY] = trouble
    roof.run(0.1)
    assert roof.state == ("degraded", str(trouble))
    del roof.device.trouble[FREQUENCY]

    took_s = roof.run_until(lambda: roof.status.state == "online")

    assert took_s < 1.5
    assert len(roof.device.connects) == (3 if isinstance(trouble, NoConnection) else 2)
    assert roof.gateway_was_told()[:2] == ["degraded", "online"]


def test_the_pause_between_attempts_is_half_of_the_outage_between_one_and_sixty_seconds(
    roof: Sampling,
) -> None:
    roof.run(3)
    roof.device.off = True
    began = roof.clock.monotonic()

    roof.run(1000)

    tries = [t for t in roof.device.connects if t > began]
    for before, after in pairwise(tries[1:]):
        longest_s = min(max((before - began) / 2, 1.0), 60.0)
        assert 0.9 * longest_s - 0.1 <= after - before <= longest_s + 0.2
    assert tries[1] - tries[0] <= 1.2
    assert tries[-1] - tries[-2] > 50


def test_the_end_of_a_long_outage_is_noticed_within_a_minute(roof: Sampling) -> None:
    roof.run(3)
    roof.device.off = True
    roof.run(1200)
    roof.device.off = False

    took_s = roof.run_until(lambda: roof.status.state == "online")

    assert took_s <= 60.5


def test_a_device_that_takes_connections_but_never_answers_is_offline(
    roof: Sampling,
) -> None:
    for address in (SERIAL, FREQUENCY, *BLOCKS):
        roof.device.trouble[address] = NoAnswer("no answer within 1 s")

    roof.run(120)

    assert roof.state == ("offline", "no answer within 1 s")
    assert len(roof.device.connects) < 20


def test_a_reply_that_is_a_refusal_is_a_sign_of_life(roof: Sampling) -> None:
    for address in (SERIAL, FREQUENCY, *BLOCKS):
        roof.device.trouble[address] = Refused(6)

    roof.run(5)

    assert roof.status.state == "degraded"
    assert "server device busy" in roof.status.reason
    assert len(roof.device.connects) == 1


def test_a_reading_that_lacks_a_block_says_so_until_it_is_complete(
    roof: Sampling,
) -> None:
    roof.run(2)
    roof.device.trouble[200] = Refused(6)
    roof.run(1.2)
    assert roof.state == (
        "degraded",
        "input 200+2: device refused: server device busy",
    )

    del roof.device.trouble[200]
    roof.run(1.2)

    assert roof.state == ("online", "")


def test_a_device_that_gives_nothing_but_refusals_stays_degraded(
    roof: Sampling,
) -> None:
    for address in range(100, 310):
        roof.device.trouble[address] = Refused(2)

    roof.run(60)

    assert roof.status.state == "degraded"
    assert "illegal data address" in roof.status.reason
    assert roof.status.quarantined == 8
    assert roof.readings() == []


def test_states_are_logged_when_they_change_and_not_else(
    roof: Sampling, events: list[Any]
) -> None:
    roof.run(5)
    roof.device.off = True
    roof.run(30)
    roof.device.off = False
    roof.run(60)

    states = [e["event"] for e in events if e["event"] != "device.identified"]
    assert states == [
        "device.online",
        "device.degraded",
        "device.offline",
        "device.online",
    ]


def test_the_device_is_released_at_the_end(roof: Sampling, events: list[Any]) -> None:
    roof.run(3.5)

    roof.actor.stopping()

    assert not roof.device.connected
    (released,) = (e for e in events if e["event"] == "device.released")
    assert released["device"] == "roof"
    assert released["session"] == roof.status.session
    assert released["readings_taken"] == roof.status.readings_taken == 4


def test_what_is_not_stored_at_the_end_is_handed_over_once_more(
    roof: Sampling,
) -> None:
    roof.run(250)
    taken = [r.stamp_ms for r in roof.readings()]
    assert roof.status.readings_unstored == 250

    roof.actor.stopping()

    handed_over = [r.stamp_ms for r in roof.readings()]
    assert len(handed_over) == 250
    assert handed_over[: len(taken)] == taken


def test_a_patience_fits_the_slowest_device_that_is_allowed(tmp_path: Path) -> None:
    assert Sampling(tmp_path).actor.patience_s == 12
    slow = Sampling(tmp_path, settings={"timeout_s": 10.0})

    assert slow.actor.patience_s > 40


def test_an_interrupted_cycle_is_not_completed_after_a_long_outage(
    roof: Sampling,
) -> None:
    roof.run(2)
    roof.stored(roof.readings()[-1].stamp_ms)
    roof.device.off_when_asked = 200
    roof.run(600)
    roof.device.off, roof.device.off_when_asked = False, None
    back_ms = roof.clock.wall_ms()
    roof.run(90)

    readings = roof.readings()
    of_before = [r for r in readings if r.stamp_ms < back_ms]
    assert [addresses(reading) for reading in of_before] == [[100]]
    assert all(
        addresses(reading) == [100, 200, 300] for reading in readings[len(of_before) :]
    )
    assert len(readings) > 20


@pytest.mark.parametrize("trouble", [Refused(6), NoAnswer("no answer in time")])
@pytest.mark.parametrize("harvest", ["every", "every fifth"])
def test_a_block_that_is_asked_more_rarely_leaves_the_device_degraded_meanwhile(
    tmp_path: Path, trouble: DeviceError, harvest: str
) -> None:
    profile = PROFILE
    if harvest != "every":
        slim = "{function: input, address: 100, count: 4}"
        profile = profile.replace(
            "harvest:\n", f"harvest:\n  full_every: 5\n  slim: [{slim}]\n"
        )
    roof = Sampling(tmp_path, profile=profile)
    roof.stored()
    roof.run(2)
    roof.device.trouble[200] = trouble
    roof.run_until(lambda: "200+2" in roof.state[1])
    roof.gateway_was_told()

    roof.run(30)

    assert set(roof.gateway_was_told()) == {"degraded"}
    roof.device.trouble.clear()
    roof.run_until(lambda: roof.state == ("online", ""), within_s=10)

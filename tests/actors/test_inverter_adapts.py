"""A device that bears less than was hoped, is slow, or is not what it was taken for."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from scripted_device import FREQUENCY, PROFILE, SERIAL, Sampling, addresses

from egw.devices.transport import NoAnswer, NoConnection, Refused
from egw.messages import Readings
from egw.storage.learned import Learned, save_learned

if TYPE_CHECKING:
    from pathlib import Path

HARVEST = PROFILE[PROFILE.index("harvest:") : PROFILE.index("frequency:")]


def sampling(directory: Path, profile: str = PROFILE, **settings: Any) -> Sampling:
    roof = Sampling(directory, profile=profile, settings=settings)
    roof.stored()
    return roof


def harvesting(*counts: int, slim: int = 0, full_every: int = 1) -> str:
    """Return the profile with blocks of so many registers, at 1000, 2000, ..."""
    line = "    - {{function: input, address: {}, count: {}}}\n"
    blocks = [line.format(1000 * n, count) for n, count in enumerate(counts, start=1)]
    harvest = f"harvest:\n  full_every: {full_every}\n  full:\n{''.join(blocks)}"
    if slim:
        harvest += "  slim:\n" + line.format(9000, slim)
    return PROFILE.replace(HARVEST, harvest)


# Slow devices


def test_a_device_that_needs_more_time_than_there_is_gives_whole_readings_more_rarely(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, harvesting(*[2] * 8))
    roof.device.latency_s = 0.1
    roof.run(2)
    roof.readings()

    roof.run(60)

    readings = roof.readings()
    status = roof.status
    assert [len(r.blocks) for r in readings] == [8] * len(readings)
    assert len(readings) == pytest.approx(30, abs=1)
    assert status.reading_rate_hz == pytest.approx(0.5, abs=0.05)
    for before, after in pairwise(readings):
        cycle_ms = after.stamp_ms - before.stamp_ms
        assert 0 < before.last_read_ms - before.first_read_ms < cycle_ms
        assert before.stamp_ms < before.first_read_ms < after.stamp_ms
        assert before.last_read_ms < after.first_read_ms
    assert (status.state, status.reason) == (
        "online",
        "a harvest takes 1.6 s, 100 ms for each request",
    )
    assert roof.actor.mailbox.depth == 0
    frequency = roof.device.asked.count(FREQUENCY)
    assert 0.5 < frequency / (len(roof.device.asked) - frequency) < 1.7


def test_while_a_cycle_lacks_time_frequency_takes_half_of_the_requests(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, harvesting(*[2] * 50))
    roof.device.latency_s = 0.1
    roof.run(2)
    roof.device.asked.clear()

    roof.run(4)

    assert roof.device.asked.count(FREQUENCY) == pytest.approx(20, abs=1)
    assert len(roof.device.asked) == pytest.approx(40, abs=1)


def test_no_block_of_a_very_slow_device_is_left_out_for_ever(tmp_path: Path) -> None:
    roof = sampling(tmp_path, harvesting(*[2] * 6))
    roof.device.latency_s = 0.9

    roof.run(120)

    readings = roof.readings()
    assert len(readings) > 8
    assert all(len(r.blocks) == 6 for r in readings)


def test_a_device_that_becomes_fast_is_no_longer_called_slow(tmp_path: Path) -> None:
    roof = sampling(tmp_path, harvesting(*[2] * 8))
    roof.device.latency_s = 0.1
    roof.run(10)
    roof.device.latency_s = 0.001

    roof.run(15)

    assert (roof.status.state, roof.status.reason) == ("online", "")
    assert roof.status.reading_rate_hz == pytest.approx(1.0, abs=0.05)


def test_full_harvests_come_now_and_then_and_slim_ones_between(tmp_path: Path) -> None:
    roof = sampling(tmp_path, harvesting(5, 5, slim=3, full_every=5))

    roof.run(11)

    readings = roof.readings()
    assert [r.full for r in readings[:6]] == [True, *[False] * 4, True]
    assert addresses(readings[0]) == [1000, 2000, 9000]
    assert addresses(readings[1]) == [9000]


# Devices that refuse


def test_one_refused_register_costs_no_other_point(tmp_path: Path) -> None:
    roof = sampling(tmp_path, harvesting(60, 5))
    read = roof.device.read

    def refusing(wanted: Any) -> Any:
        if wanted.address <= 1030 < wanted.end:
            raise Refused(2)
        return read(wanted)

    roof.device.read = refusing  # type: ignore[method-assign]

    roof.run(2)

    for reading in roof.readings():
        known = {b.address + n for b in reading.blocks for n in range(len(b.words))}
        assert known == {*range(1000, 1060), *range(2000, 2005)} - {1030}
    assert roof.status.quarantined == 1
    assert roof.state == ("online", "")


def test_the_share_of_answered_requests_is_shown(tmp_path: Path) -> None:
    roof = sampling(tmp_path)
    assert roof.status.success_percent is None
    roof.run(15)
    assert roof.status.success_percent == 100

    roof.device.trouble[FREQUENCY] = Refused(6)
    roof.run(0.3)
    assert roof.status.success_percent == 97

    del roof.device.trouble[FREQUENCY]
    roof.run(60)
    assert roof.status.success_percent == 100


ALTERNATIVES = PROFILE.replace(
    "  - {key: power_w",
    "  - {key: grid_frequency_hz, function: input, address: 3025, type: u16,\n"
    "    scale: 0.01}\n  - {key: power_w",
)


def test_a_frequency_that_is_refused_gives_way_to_the_next_register(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, ALTERNATIVES)
    roof.device.trouble[FREQUENCY] = Refused(2)
    roof.device.words[3025] = 4998

    roof.run(10)

    assert roof.device.asked.count(FREQUENCY) == 1
    assert roof.status.samples_taken == pytest.approx(99, abs=1)
    assert {hz for live in roof.live() for hz in live.frequency.hz} == {49.98}


def test_a_frequency_that_is_never_told_gives_way_to_the_next_register(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, ALTERNATIVES)
    roof.device.words |= {FREQUENCY: 0, 3025: 4998}

    roof.run(10)

    assert roof.status.samples_taken == pytest.approx(90, abs=2)


def test_when_every_frequency_is_refused_all_rest(tmp_path: Path) -> None:
    roof = sampling(tmp_path, ALTERNATIVES)
    roof.device.trouble |= {FREQUENCY: Refused(2), 3025: Refused(2)}

    roof.run(20)

    asked = roof.device.asked
    assert asked.count(FREQUENCY) + asked.count(3025) == 3


# Who it is


UNITS = PROFILE.replace("manners: {", "manners: {units: [1, 3, 247], ")


def test_the_unit_that_answers_is_found_and_kept(
    tmp_path: Path, events: list[Any]
) -> None:
    roof = sampling(tmp_path, UNITS, unit=None)
    roof.device.answers_to = (247,)

    roof.run(5)

    assert (roof.status.state, roof.status.unit) == ("online", 247)
    assert len(roof.device.connects) == 5
    (found,) = (e for e in events if e["event"] == "device.unit_found")
    assert found["unit"] == 247


def test_a_unit_that_is_configured_is_the_only_one_that_is_asked(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, UNITS, unit=0)
    roof.device.answers_to = (0,)

    roof.run(2)

    assert (roof.status.state, roof.status.unit) == ("online", 0)
    assert len(roof.device.connects) == 1


def test_when_no_unit_answers_it_is_said_which_were_tried(tmp_path: Path) -> None:
    roof = sampling(tmp_path, UNITS, unit=None)
    roof.device.answers_to = ()

    roof.run(5)
    assert roof.state == ("offline", "no unit id answers (tried 1, 3, 247)")
    roof.device.answers_to = (3,)
    roof.run_until(lambda: roof.status.state == "online")

    assert roof.status.unit == 3


SIGNS = PROFILE.replace(
    "identification: {serial: [serial_number]}",
    "identification: {serial: [serial_number],"
    ' signs: [{point: serial_number, pattern: "^SN"}]}',
)


def test_a_device_that_is_perhaps_another_is_harvested_and_doubted(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, SIGNS)
    roof.device.words |= {10: 0x5858}

    roof.run(5)

    assert roof.state == (
        "degraded",
        'serial_number is "XX17", expected a text like ^SN: '
        "is it another type than tiny?",
    )
    assert len(roof.readings()) == 5


def test_a_doubt_is_looked_into_again(tmp_path: Path) -> None:
    roof = sampling(tmp_path, SIGNS)
    roof.device.words |= {10: 0x5858}
    roof.run(5)

    def is_online() -> bool:
        roof.stored(roof.clock.wall_ms())
        return roof.status.state == "online"

    roof.device.words |= {10: 0x534E}
    took_s = roof.run_until(is_online, within_s=400)

    assert 250 < took_s < 310
    assert roof.device.asked.count(SERIAL) == 3


def test_a_slow_device_is_asked_who_it_is_between_two_samples(tmp_path: Path) -> None:
    long_serial = harvesting(2).replace("type: str, count: 2", "type: str, count: 40")
    file = tmp_path / "roof.json"
    known = Learned(profile="tiny", host="10.0.0.5", port=502, max_registers=2)
    save_learned(file, known)
    roof = sampling(tmp_path, long_serial, learned_file=file)
    roof.device.words |= dict.fromkeys(range(10, 50), 0x4141)
    roof.device.latency_s = 0.09

    roof.run_until(lambda: roof.status.readings_taken > 0)

    asked = roof.device.asked[: roof.device.asked.index(1000)]
    assert asked[1::2] == list(range(10, 50, 2))
    assert set(asked[::2]) == {FREQUENCY}
    assert roof.status.sn == "A" * 80


def test_another_device_at_the_same_address_gets_a_name_and_counters_of_its_own(
    tmp_path: Path, events: list[Any]
) -> None:
    roof = sampling(tmp_path)
    roof.run(3)
    roof.device.off = True
    roof.run_until(lambda: roof.status.state == "offline")
    roof.device.close()
    roof.device.off = False
    roof.device.words |= {10: 0x5858}
    roof.harvest.tells.clear()

    roof.run(20)

    again = [m for m in roof.harvest.tells if isinstance(m, Readings)]
    assert {m.sn for m in again} == {"SN17"}
    assert len(again[-1].readings) == roof.status.readings_unstored == 3
    roof.harvest.tells.clear()
    roof.stored(roof.clock.wall_ms())
    roof.run(3)
    assert roof.status.sn == "XX17"
    sent = [m for m in roof.harvest.tells if isinstance(m, Readings)]
    assert {m.sn for m in sent} == {"XX17"}
    (replaced,) = [e for e in events if e["event"] == "device.replaced"]
    assert (replaced["former_sn"], replaced["sn"]) == ("SN17", "XX17")


def test_a_device_that_names_no_serial_number_after_an_outage_keeps_the_one_it_had(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path)
    roof.run(3)
    roof.device.off = True
    roof.run_until(lambda: roof.status.state == "offline")
    roof.device.off = False
    roof.device.words |= {10: 0, 11: 0}

    roof.run(20)

    assert (roof.status.sn, roof.status.state) == ("SN17", "online")


def test_a_type_that_has_changed_during_an_outage_is_doubted(tmp_path: Path) -> None:
    roof = sampling(tmp_path, SIGNS)
    roof.run(3)
    assert roof.status.state == "online"
    roof.device.off = True
    roof.run_until(lambda: roof.status.state == "offline")
    roof.device.off = False
    roof.device.words |= {10: 0x5858}

    roof.stored(roof.clock.wall_ms())
    roof.run_until(lambda: roof.status.state == "degraded")

    assert "another type" in roof.status.reason


# Connections that end


def test_a_device_that_closes_the_connection_after_each_reply_is_read_all_the_same(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path)
    roof.device.closes_after_reply = True

    roof.run(10)

    assert roof.state == ("online", "")
    assert [addresses(r) for r in roof.readings()] == [[100, 200, 300]] * 10
    assert roof.status.samples_taken == 100


def test_a_connection_that_ends_without_a_reply_is_not_tried_again_at_once(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path)
    roof.run(2)
    roof.device.trouble = {FREQUENCY: NoConnection("the connection broke")}
    roof.device.asked.clear()

    roof.run_until(lambda: roof.status.state == "offline")

    assert roof.device.asked == [FREQUENCY, FREQUENCY, FREQUENCY]


# The largest block


@pytest.mark.parametrize("frequency", [True, False])
def test_the_largest_block_is_found_and_everything_is_read_in_such_blocks(
    frequency: bool, tmp_path: Path, events: list[Any]
) -> None:
    roof = sampling(tmp_path, harvesting(60, 33), frequency=frequency)
    roof.device.largest = 8

    roof.run_until(lambda: roof.status.max_registers == 8)
    roof.readings()
    roof.run(5)

    assert roof.state == ("online", "")
    for reading in roof.readings()[1:]:
        known = {b.address + n for b in reading.blocks for n in range(len(b.words))}
        assert known == {*range(1000, 1060), *range(2000, 2033)}
    (found,) = (e for e in events if e["event"] == "device.max_registers")
    assert found["max_registers"] == 8


def test_a_serial_number_longer_than_the_largest_block_is_read_in_pieces(
    tmp_path: Path,
) -> None:
    long_serial = harvesting(60).replace("type: str, count: 2", "type: str, count: 20")
    roof = sampling(tmp_path, long_serial)
    words = (0x4100 + n for n in range(0x41, 0x41 + 20))
    roof.device.words |= dict(enumerate(words, start=10))
    roof.device.largest = 8

    roof.run_until(lambda: roof.status.max_registers == 8)
    roof.run(2)

    assert roof.status.sn == "".join("A" + chr(0x41 + n) for n in range(20))


def test_what_was_found_is_remembered_by_the_next_incarnation(tmp_path: Path) -> None:
    file = tmp_path / "learned" / "roof.json"
    roof = sampling(tmp_path, harvesting(60), learned_file=file)
    roof.device.largest = 8
    roof.run_until(lambda: roof.status.max_registers == 8)
    failures = roof.status.failures
    assert failures > 5

    roof.start()
    roof.stored()
    roof.run(5)

    assert (roof.status.max_registers, roof.status.failures) == (8, 0)
    assert json.loads(file.read_bytes())["max_registers"] == 8


def test_a_bridge_that_bears_more_by_now_is_asked_for_more_within_a_day(
    tmp_path: Path,
) -> None:
    file = tmp_path / "roof.json"
    known = Learned(profile="tiny", host="10.0.0.5", port=502, max_registers=8)
    save_learned(file, known)
    roof = sampling(tmp_path, harvesting(60), learned_file=file)
    roof.run(5)
    assert roof.status.max_registers == 8

    roof.clock.advance(86_400)
    roof.run(5)

    assert roof.status.max_registers == 100
    assert roof.state == ("online", "")
    assert json.loads(file.read_text())["max_registers"] == 100


def test_what_cannot_be_remembered_is_used_all_the_same(
    tmp_path: Path, events: list[Any]
) -> None:
    (tmp_path / "file").write_text("")
    file = tmp_path / "file" / "roof.json"
    roof = sampling(tmp_path, harvesting(60), learned_file=file)
    roof.device.largest = 8

    roof.run_until(lambda: roof.status.max_registers == 8)

    assert any(e["event"] == "device.not_remembered" for e in events)


def test_timeouts_now_and_then_leave_blocks_as_large_as_they_are(
    tmp_path: Path,
) -> None:
    roof = sampling(tmp_path, harvesting(60, 20))
    for _ in range(20):
        roof.device.trouble[1000] = NoAnswer("no answer in time")
        roof.run(1)
        roof.device.trouble.clear()
        roof.run(2)

    assert roof.status.max_registers == 100


def test_a_device_that_falls_silent_keeps_its_large_blocks(tmp_path: Path) -> None:
    roof = sampling(tmp_path, harvesting(60, 20))
    roof.run(3)
    roof.device.answers_to = ()
    roof.run(600)
    assert roof.status.state == "offline"

    roof.device.answers_to = (1,)
    roof.run_until(lambda: roof.status.state == "online")

    assert roof.status.max_registers == 100


# Counters


def test_a_counter_that_falls_is_told_to_the_api(tmp_path: Path) -> None:
    counting = PROFILE.replace(
        "  - {key: power_w",
        "  - {key: pv_energy_total_wh, function: input, address: 102, type: u32}\n"
        "  - {key: power_w",
    )
    roof = sampling(tmp_path, counting)
    roof.device.words |= {102: 1, 103: 0}
    roof.run(3)
    assert all(live.suspects == () for live in roof.live())

    roof.device.words |= {102: 0}
    roof.run(2.1)

    suspects = roof.live()[-1].suspects
    assert [(s.key, s.value) for s in suspects] == [("pv_energy_total_wh", 0)]

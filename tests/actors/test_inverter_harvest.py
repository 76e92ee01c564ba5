from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from scripted_device import FREQUENCY, Sampling, addresses

from egw.devices.transport import NoAnswer, NoConnection, Refused
from egw.messages import Readings

if TYPE_CHECKING:
    from pathlib import Path

    from egw.messages import Reading


@pytest.fixture
def roof(tmp_path: Path) -> Sampling:
    roof = Sampling(tmp_path)
    roof.stored()
    return roof


def stamps(readings: list[Reading]) -> list[int]:
    return [reading.stamp_ms for reading in readings]


def words(reading: Reading) -> dict[int, int]:
    return {
        block.address + offset: word
        for block in reading.blocks
        for offset, word in enumerate(block.words)
    }


def test_it_samples_ten_times_a_second_and_harvests_once(roof: Sampling) -> None:
    roof.run(20)

    assert roof.status.samples_taken == 200
    assert roof.status.samples_missed == 0
    assert roof.status.sample_rate_hz == pytest.approx(10, abs=0.5)
    assert len(roof.readings()) == 20
    assert roof.status.failures == 0


def test_a_reading_has_all_blocks_with_the_words_of_their_registers(
    roof: Sampling,
) -> None:
    roof.run(1)

    (reading,) = roof.readings()
    expected = (100, 101, 102, 103, 200, 201, 300, 301)
    assert words(reading) == {address: address for address in expected}


def test_every_sample_has_its_stamp_and_its_lateness(roof: Sampling) -> None:
    roof.run(1.1)

    samples = roof.live()[0].frequency
    assert samples.hz == (50.01,) * 10
    gaps_ms = [after - before for before, after in pairwise(samples.stamps_ms)]
    assert all(gap_ms == pytest.approx(100, abs=3) for gap_ms in gaps_ms)
    assert all(0 <= late_ms < 10 for late_ms in samples.late_ms)


def test_frequency_can_be_left_out(tmp_path: Path) -> None:
    roof = Sampling(tmp_path, settings={"frequency": False})
    roof.stored()

    roof.run(5)

    assert FREQUENCY not in roof.device.asked
    assert len(roof.readings()) == 5
    assert (roof.status.samples_taken, roof.status.samples_missed) == (0, 0)


def test_each_instant_without_a_sample_is_counted_once(roof: Sampling) -> None:
    roof.run(5)
    roof.device.off = True
    roof.run(30)
    roof.device.off = False
    roof.run(25)
    roof.device.words[FREQUENCY] = 0
    roof.run(5)

    status = roof.status
    assert status.samples_taken + status.samples_missed == pytest.approx(650, abs=2)


def test_what_is_no_grid_frequency_is_no_sample(roof: Sampling) -> None:
    for word in (0, 500, 7200, 65535):
        roof.device.words[FREQUENCY] = word
        roof.run(1)

    assert roof.status.samples_taken == 0


def test_a_frequency_that_is_refused_rests_and_is_asked_again(roof: Sampling) -> None:
    roof.device.trouble[FREQUENCY] = Refused(2)
    roof.run(20)
    assert roof.device.asked.count(FREQUENCY) == 3
    assert len(roof.readings()) == 20

    roof.run(90)
    assert 4 <= roof.device.asked.count(FREQUENCY) <= 6
    del roof.device.trouble[FREQUENCY]
    roof.run(35)

    assert roof.status.samples_taken > 10
    before = roof.status.samples_taken
    roof.run(10)
    assert roof.status.samples_taken - before == pytest.approx(100, abs=1)


def test_a_refused_block_is_absent_and_the_others_are_there(roof: Sampling) -> None:
    roof.device.trouble[200] = Refused(6)

    roof.run(3)

    assert [addresses(r) for r in roof.readings()] == [[100, 300]] * 3
    assert roof.status.samples_taken == 30


def test_registers_that_the_device_does_not_have_are_asked_more_rarely(
    roof: Sampling,
) -> None:
    roof.device.trouble[200] = Refused(2)

    roof.run(60)

    # Asked whole, then at once its halves; the half that is refused then rests.
    assert roof.device.asked.count(200) == 2
    assert roof.device.asked.count(201) == 60
    assert roof.status.quarantined == 1
    assert addresses(roof.readings()[-1]) == [100, 201, 300]


def test_a_block_that_is_never_answered_is_absent_and_costs_little(
    roof: Sampling,
) -> None:
    roof.device.trouble[200] = NoAnswer("silent")

    roof.run(10)

    assert all(addresses(r) == [100, 300] for r in roof.readings())
    # Three times in a row, and once more after a rest.
    assert roof.device.asked.count(200) == 4
    assert roof.status.samples_taken >= 90


def test_stamps_are_the_wall_clock_and_strictly_increase(roof: Sampling) -> None:
    began_ms = roof.clock.wall_ms()
    roof.run(5)

    found = stamps(roof.readings())
    assert all(after > before for before, after in pairwise(found))
    assert [round((ms - began_ms) / 1000) for ms in found] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("step_ms", [-3_600_000, -500, 3_600_000])
def test_stamps_do_not_repeat_when_the_wall_clock_is_set(
    step_ms: int, roof: Sampling
) -> None:
    roof.run(3)
    roof.clock.set_wall(roof.clock.wall_ms() + step_ms)
    roof.run(3)

    found = stamps(roof.readings())
    assert len(found) == len(set(found)) == 6
    assert found == sorted(found)


def test_stamps_do_not_repeat_after_a_restart_on_a_clock_that_was_set_back(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path)
    roof.stored()
    roof.run(3)
    before = stamps(roof.readings())
    roof.clock.set_wall(before[0] - 60_000)

    roof.start()
    roof.stored(before[-1])
    roof.run(3)

    after = stamps(roof.readings())
    assert len(after) == 3
    assert after[0] > before[-1]


def test_nothing_is_harvested_before_the_last_stamp_on_disk_is_known(
    tmp_path: Path,
) -> None:
    roof = Sampling(tmp_path)

    roof.run(1.5)
    assert roof.readings() == []
    assert roof.status.samples_taken == 15
    roof.stored(roof.clock.wall_ms() + 5000)
    known_ms = roof.clock.wall_ms() + 5000
    roof.run(2)

    found = stamps(roof.readings())
    assert found
    assert found[0] > known_ms


def test_a_harvest_that_does_not_answer_is_not_waited_for_long(tmp_path: Path) -> None:
    roof = Sampling(tmp_path)

    roof.run(5)

    assert 2 <= len(roof.readings()) <= 4


def sent(roof: Sampling) -> list[list[int]]:
    tells = roof.harvest.tells
    found = [stamps(list(m.readings)) for m in tells if isinstance(m, Readings)]
    tells.clear()
    return found


def test_readings_are_sent_until_they_are_stored(roof: Sampling) -> None:
    roof.run(3)
    first, second, third = sent(roof)
    assert second[:1] == first
    assert third[:2] == second
    assert roof.status.readings_unstored == 3

    roof.stored(third[1])
    roof.run(1)

    (fourth,) = sent(roof)
    assert fourth[0] == third[2]
    assert roof.status.readings_unstored == 2


def test_readings_that_nobody_stores_are_bounded_oldest_dropped_and_counted(
    roof: Sampling,
) -> None:
    roof.run(650)

    status = roof.status
    assert status.readings_taken == 650
    assert (status.readings_unstored, status.readings_dropped) == (600, 50)
    assert max(len(message) for message in sent(roof)) == 100


def test_a_backlog_of_readings_is_stored_in_the_end(roof: Sampling) -> None:
    roof.run(300)
    for _ in range(5):
        roof.stored(sent(roof)[-1][-1])
        roof.run(1)

    assert roof.status.readings_unstored <= 5
    assert roof.status.readings_dropped == 0


def test_a_slow_device_is_sampled_and_harvested_as_fast_as_it_can(
    roof: Sampling,
) -> None:
    roof.device.latency_s = 0.3

    roof.run(60)

    status = roof.status
    requests = len(roof.device.asked)
    assert requests == pytest.approx(200, abs=4)
    assert status.samples_taken == roof.device.asked.count(FREQUENCY) > 60
    assert all(addresses(r) == [100, 200, 300] for r in roof.readings())
    assert status.readings_taken > 20
    assert status.samples_taken + status.samples_missed == pytest.approx(600, abs=20)
    assert roof.actor.mailbox.empty()


def test_the_samples_of_a_slow_device_are_not_made_up_for(roof: Sampling) -> None:
    roof.device.latency_s = 0.3
    roof.run(20)
    roof.device.latency_s = 0.001
    before = roof.status.samples_taken

    roof.run(10)

    assert roof.status.samples_taken - before == pytest.approx(100, abs=2)


def test_a_device_so_slow_that_a_cycle_takes_long_gives_what_it_can(
    roof: Sampling,
) -> None:
    roof.device.latency_s = 0.9

    roof.run(120)

    readings = roof.readings()
    assert len(readings) > 10
    assert all(addresses(r)[0] == 100 for r in readings)


def test_frequency_goes_before_the_harvest_when_time_is_short(roof: Sampling) -> None:
    roof.device.latency_s = 0.04
    roof.run(30)

    status = roof.status
    assert status.samples_taken >= 270
    assert status.readings_taken >= 25


def test_what_it_publishes_is_what_came_since(roof: Sampling) -> None:
    roof.run(4.05)

    live = roof.live()
    assert len(live) == 4
    assert [len(part.frequency.hz) for part in live] == [10] * 4
    found = [part.reading for part in live]
    assert stamps([r for r in found if r]) == stamps(roof.readings())[:4]
    assert live[-1].status.device == "roof"


def test_a_connection_lost_in_a_cycle_leaves_no_block_twice(roof: Sampling) -> None:
    for address in (100, 200, 300):
        roof.device.trouble = {address: NoConnection("broke")}
        roof.run(1)
        roof.device.trouble = {}
        roof.run(1)

    for reading in roof.readings():
        assert len(set(addresses(reading))) == len(addresses(reading))
        assert all(address == word for address, word in words(reading).items())

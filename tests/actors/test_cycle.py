from __future__ import annotations

import pytest

from egw.actors.cycle import Cycle
from egw.devices.blocks import Block
from egw.devices.plan import HarvestPlan
from egw.devices.profile import RegisterRange
from egw.messages import Reading

FOREVER = 1e9


def span(address: int, count: int = 1) -> RegisterRange:
    return RegisterRange(function="holding", address=address, count=count)


def block(wanted: RegisterRange) -> Block:
    return Block("holding", wanted.address, b"\0\1" * wanted.count)


FIRST, SECOND, THIRD = span(0), span(10), span(20)


@pytest.fixture
def cycle() -> Cycle:
    full = HarvestPlan([FIRST, SECOND], 125)
    return Cycle(full, HarvestPlan([THIRD], 125), full_every=1, first_at_s=0.0)


def read_all(cycle: Cycle, at_s: float, *, each_s: float) -> Reading | None:
    """Read the blocks of a cycle as fast as the device allows."""
    cycle.begin(at_s, round(at_s * 1000) + 1000)
    while (wanted := cycle.next_block(at_s, until_s=FOREVER)) is not None:
        at_s += each_s
        cycle.answered(wanted, block(wanted), at_s, each_s)
    return cycle.finish(at_s)


def test_a_last_block_that_times_out_in_the_next_second_costs_no_other_block(
    cycle: Cycle,
) -> None:
    cycle.begin(0.0, 1000)
    assert cycle.next_block(0.0, until_s=9.0) == FIRST
    cycle.answered(FIRST, block(FIRST), 0.01, 0.01)
    assert cycle.next_block(0.01, until_s=9.0) == SECOND
    cycle.failed(SECOND, 1.2, "no answer in time")

    cycle.begin(1.3, 2300)

    reading = cycle.finish(1.3)
    assert reading is not None
    assert (reading.stamp_ms, reading.blocks) == (1000, (block(FIRST),))
    assert "no answer in time" in cycle.incomplete


def test_a_reading_says_when_its_first_and_its_last_block_came(cycle: Cycle) -> None:
    reading = read_all(cycle, 2.0, each_s=0.25)

    assert reading is not None
    assert (reading.stamp_ms, reading.full) == (3000, True)
    assert (reading.first_read_ms, reading.last_read_ms) == (3250, 3500)


def test_a_reading_is_complete_unless_a_block_could_merely_not_be_read(
    cycle: Cycle,
) -> None:
    refusing = Cycle(
        HarvestPlan([FIRST, SECOND], 125),
        HarvestPlan([THIRD], 125),
        full_every=1,
        first_at_s=0.0,
    )
    for failing in (cycle, refusing):
        failing.begin(0.0, 1000)
        assert failing.next_block(0.0, until_s=FOREVER) == FIRST
        failing.answered(FIRST, block(FIRST), 0.1, 0.1)
        assert failing.next_block(0.1, until_s=FOREVER) == SECOND
    cycle.failed(SECOND, 0.2, "server device busy")
    refusing.refused(SECOND, 0.2, "illegal data address")

    failed, refused = cycle.finish(0.2), refusing.finish(0.2)
    answered = read_all(cycle, 1.0, each_s=0.1)

    readings = (failed, refused, answered)
    assert [r.complete for r in readings if r] == [False, True, True]


def test_a_slim_reading_is_complete_though_the_full_one_before_lacked_a_block() -> None:
    full, slim = HarvestPlan([FIRST, SECOND], 125), HarvestPlan([THIRD], 125)
    cycle = Cycle(full, slim, full_every=3, first_at_s=0.0)
    cycle.begin(0.0, 1000)
    while (wanted := cycle.next_block(0.0, until_s=FOREVER)) is not None:
        cycle.failed(wanted, 0.1, "server device busy")

    lacking, reading = cycle.finish(0.1), read_all(cycle, 1.0, each_s=0.1)

    assert lacking is not None
    assert reading is not None
    assert (lacking.complete, reading.complete) == (False, True)
    assert "busy" in cycle.incomplete


def test_every_so_manieth_cycle_is_full_and_so_is_the_first() -> None:
    full, slim = HarvestPlan([FIRST, SECOND], 125), HarvestPlan([THIRD], 125)
    cycle = Cycle(full, slim, full_every=3, first_at_s=0.0)

    readings = [read_all(cycle, float(n), each_s=0.01) for n in range(7)]

    kinds = [reading.full for reading in readings if reading]
    assert kinds == [True, False, False, True, False, False, True]
    asked = [[b.address for b in reading.blocks] for reading in readings if reading]
    assert asked[:4] == [[0, 10], [20], [20], [0, 10]]


def test_a_cycle_that_is_not_over_leaves_out_the_next_ones(cycle: Cycle) -> None:
    cycle.begin(0.0, 1000)
    for wanted, done_at_s in ((FIRST, 1.5), (SECOND, 3.2)):
        assert cycle.next_block(done_at_s - 0.1, until_s=FOREVER) == wanted
        cycle.answered(wanted, block(wanted), done_at_s, 1.6)
        cycle.begin(done_at_s, 9000)

    first = cycle.finish(3.2)
    cycle.begin(3.3, 4300)
    assert cycle.next_block(3.3, until_s=FOREVER) is None
    cycle.begin(4.0, 5000)

    assert first is not None
    assert [b.address for b in first.blocks] == [0, 10]
    assert cycle.next_block(4.0, until_s=FOREVER) == FIRST


def test_a_slow_cycle_is_read_to_its_end_however_long_it_takes() -> None:
    wanted = [span(10 * n) for n in range(30)]
    plan = HarvestPlan(wanted, 125)
    cycle = Cycle(plan, plan, full_every=1, first_at_s=0.0)

    reading = read_all(cycle, 0.0, each_s=1.0)

    assert reading is not None
    assert [b.address for b in reading.blocks] == [part.address for part in wanted]


def test_a_block_without_time_waits_for_one_sample_and_is_then_read(
    cycle: Cycle,
) -> None:
    read_all(cycle, 0.0, each_s=0.1)
    cycle.begin(1.0, 2000)

    assert cycle.next_block(1.05, until_s=1.1) is None
    assert cycle.next_block(1.15, until_s=1.2) == FIRST
    cycle.answered(FIRST, block(FIRST), 1.25, 0.1)
    assert cycle.next_block(1.25, until_s=1.3) is None
    assert cycle.next_block(1.35, until_s=1.4) == SECOND


def test_blocks_fill_the_time_until_the_next_sample(cycle: Cycle) -> None:
    read_all(cycle, 0.0, each_s=0.02)
    cycle.begin(1.0, 2000)

    assert cycle.next_block(1.05, until_s=1.1) == FIRST
    assert cycle.next_block(1.07, until_s=1.1) == SECOND


def test_what_is_refused_is_asked_in_parts_within_the_cycle() -> None:
    plan = HarvestPlan([span(0, 4), span(10)], 125)
    cycle = Cycle(plan, plan, full_every=1, first_at_s=0.0)
    cycle.begin(0.0, 1000)
    asked = []
    while (wanted := cycle.next_block(0.0, until_s=FOREVER)) is not None:
        asked.append(wanted)
        if wanted.address <= 1 < wanted.end:
            cycle.refused(wanted, 0.0, "illegal data address")
        else:
            cycle.answered(wanted, block(wanted), 0.0, 0.0)

    reading = cycle.finish(0.0)

    assert asked == [span(0, 4), span(0, 2), span(0), span(1), span(2, 2), span(10)]
    assert reading is not None
    assert [b.address for b in reading.blocks] == [0, 2, 10]
    assert cycle.incomplete == ""
    assert cycle.resting(0.0) == 1


def test_a_cycle_of_nothing_but_refusals_says_so(cycle: Cycle) -> None:
    cycle.begin(0.0, 1000)
    while (wanted := cycle.next_block(0.0, until_s=FOREVER)) is not None:
        cycle.refused(wanted, 0.0, "illegal data address")

    reading = cycle.finish(0.0)

    assert reading is not None
    assert reading.blocks == ()
    assert cycle.incomplete == "holding 10+1: illegal data address"


def test_an_interrupted_cycle_has_what_came_before(cycle: Cycle) -> None:
    cycle.begin(0.0, 1000)
    cycle.next_block(0.0, until_s=FOREVER)
    cycle.answered(FIRST, block(FIRST), 0.1, 0.1)

    cycle.interrupt("no connection")

    reading = cycle.finish(5.0)
    assert reading is not None
    assert reading.blocks == (block(FIRST),)
    assert cycle.incomplete == "no connection"


def test_after_an_interrupted_full_cycle_comes_a_full_one() -> None:
    full, slim = HarvestPlan([FIRST, SECOND], 125), HarvestPlan([THIRD], 125)
    cycle = Cycle(full, slim, full_every=10, first_at_s=0.0)
    cycle.begin(0.0, 1000)
    cycle.interrupt("no connection")
    cycle.finish(0.1)

    again = read_all(cycle, 1.0, each_s=0.01)
    after = read_all(cycle, 2.0, each_s=0.01)

    assert again is not None
    assert after is not None
    assert (again.full, after.full) == (True, False)


def test_other_plans_begin_with_a_full_cycle() -> None:
    old = HarvestPlan([FIRST], 125)
    cycle = Cycle(old, old, full_every=10, first_at_s=0.0)
    read_all(cycle, 0.0, each_s=0.01)

    cycle.replace_plans(HarvestPlan([SECOND], 125), HarvestPlan([THIRD], 125))

    reading = read_all(cycle, 1.0, each_s=0.01)
    assert reading is not None
    assert (reading.full, reading.blocks) == (True, (block(SECOND),))


def test_the_rate_is_what_was_achieved(cycle: Cycle) -> None:
    assert cycle.rate_hz(0.0) == 0
    for second in range(5):
        read_all(cycle, float(second), each_s=0.01)
    assert cycle.rate_hz(4.1) == pytest.approx(1.0)
    assert cycle.slowness == ""

    for second in range(6, 30, 4):
        read_all(cycle, float(second), each_s=1.6)

    assert cycle.rate_hz(30.0) == pytest.approx(0.25)
    assert cycle.rate_hz(126.0) == pytest.approx(0.01, rel=0.05)


def test_a_slow_harvest_is_said_to_be_slow(cycle: Cycle) -> None:
    read_all(cycle, 0.0, each_s=0.8)

    assert cycle.slowness == "a harvest takes 1.6 s, 800 ms for each request"


def test_a_device_that_is_slow_with_full_harvests_only_is_said_to_be_so() -> None:
    full, slim = HarvestPlan([FIRST, SECOND], 125), HarvestPlan([THIRD], 125)
    cycle = Cycle(full, slim, full_every=3, first_at_s=0.0)

    read_all(cycle, 0.0, each_s=0.6)
    read_all(cycle, 2.0, each_s=0.6)

    assert cycle.slowness == "a full harvest takes 1.2 s, 600 ms for each request"

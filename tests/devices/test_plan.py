from __future__ import annotations

import random
from collections import deque
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.merging import span_of
from egw.devices.plan import (
    BISECTION_REQUESTS,
    RETRIES,
    HarvestPlan,
    requests_before_merging,
)
from egw.devices.profile import Function, Harvest, Manners, Profile, RegisterRange


def span(address: int, count: int, function: Function = "holding") -> RegisterRange:
    return RegisterRange(function=function, address=address, count=count)


def registers(blocks: Any) -> list[int]:
    return [n for block in blocks for n in range(block.address, block.end)]


class Device:
    """Refuses each request that touches one of the bad registers."""

    def __init__(self, plan: HarvestPlan, *bad: int, most: int = 125) -> None:
        self.plan = plan
        self.bad = set(bad)
        self.most = most
        self.asked: list[RegisterRange] = []
        """In the last cycle."""

    def cycle(self, now_s: float) -> set[int]:
        """Go through one cycle; returns the registers that were answered."""
        answered: set[int] = set()
        pending = deque(self.plan.due(now_s))
        self.asked = []
        while pending:
            block = pending.popleft()
            self.asked.append(block)
            numbers = set(registers([block]))
            if numbers & self.bad or block.count > self.most:
                parts = self.plan.refused(block, now_s)
            else:
                parts = self.plan.answered(block, now_s)
                answered |= numbers
            pending.extendleft(reversed(parts))
        return answered


def test_ranges_are_read_in_their_order() -> None:
    plan = HarvestPlan([span(50, 5), span(0, 5), span(0, 5, "input")], 125)

    assert plan.due(0) == (span(50, 5), span(0, 5), span(0, 5, "input"))


def test_ranges_that_touch_or_overlap_become_one_block() -> None:
    plan = HarvestPlan([span(0, 5), span(20, 2), span(5, 5), span(8, 4)], 125)

    assert plan.due(0) == (span(0, 12), span(20, 2))


def test_a_range_that_joins_two_makes_one_of_all() -> None:
    plan = HarvestPlan([span(0, 5), span(10, 5), span(4, 7)], 125)

    assert plan.due(0) == (span(0, 15),)


def test_ranges_that_touch_are_joined_as_far_as_one_request_goes() -> None:
    plan = HarvestPlan([span(0, 125), span(125, 125), span(250, 20)], 125)

    assert plan.due(0) == (span(0, 125), span(125, 125), span(250, 20))


def test_a_gap_is_read_along_when_it_is_small_enough() -> None:
    ranges = [span(0, 5), span(8, 5), span(17, 5)]

    assert HarvestPlan(ranges, 125, bridge_registers=3).due(0) == (
        span(0, 13),
        span(17, 5),
    )
    assert HarvestPlan(ranges, 125, bridge_registers=4).due(0) == (span(0, 22),)
    assert HarvestPlan(ranges, 125).due(0) == tuple(ranges)


def test_a_gap_is_not_bridged_to_more_than_one_request_can_have() -> None:
    plan = HarvestPlan([span(0, 5), span(8, 5)], 12, bridge_registers=3)

    assert plan.due(0) == (span(0, 5), span(8, 5))


def test_tables_are_never_joined() -> None:
    plan = HarvestPlan([span(0, 5), span(5, 5, "input")], 125, bridge_registers=99)

    assert plan.due(0) == (span(0, 5), span(5, 5, "input"))


def test_a_range_too_long_for_one_request_is_cut() -> None:
    plan = HarvestPlan([span(100, 250)], 100)

    assert plan.due(0) == (span(100, 100), span(200, 100), span(300, 50))


def test_a_number_is_not_cut_in_two() -> None:
    plan = HarvestPlan([span(0, 20)], 10, whole=[span(9, 2), span(7, 2)])

    assert plan.due(0) == (span(0, 9), span(9, 10), span(19, 1))


def test_a_number_that_begins_in_one_range_and_ends_in_the_next_is_not_cut() -> None:
    plan = HarvestPlan([span(0, 8), span(8, 8)], 10, whole=[span(7, 2)])

    assert plan.due(0) == (span(0, 10), span(10, 6))


def test_a_number_whose_words_stand_apart_is_read_in_one_request() -> None:
    plan = HarvestPlan([span(0, 2), span(5, 2)], 10, whole=[span(1, 5)])

    assert plan.due(0) == (span(0, 7),)


def test_a_refused_block_gives_all_other_points_in_the_same_cycle() -> None:
    device = Device(HarvestPlan([span(0, 100), span(200, 1)], 125), 57)

    answered = device.cycle(0)

    assert answered == {*range(100), 200} - {57}
    assert device.asked[0] == span(0, 100)
    assert device.asked[-1] == span(200, 1)


def test_after_a_bisection_what_was_answered_is_asked_together_again() -> None:
    device = Device(HarvestPlan([span(0, 100)], 125), 57)
    device.cycle(0)

    device.cycle(1)

    assert device.asked == [span(0, 57), span(58, 42)]


def test_a_bridge_that_is_refused_is_not_read_again() -> None:
    plan = HarvestPlan([span(0, 5), span(8, 5), span(15, 5)], 125, bridge_registers=3)
    device = Device(plan, 14)

    answered = device.cycle(0)

    assert device.asked == [
        span(0, 20),
        span(0, 5),
        span(8, 12),
        span(8, 5),
        span(15, 5),
    ]
    assert answered == {*range(5), *range(8, 13), *range(15, 20)}
    assert plan.resting(0) == 0
    device.bad.clear()
    device.cycle(1000)
    assert device.asked == [span(0, 5), span(8, 5), span(15, 5)]


def test_a_block_that_is_cut_at_one_bridge_keeps_the_others() -> None:
    plan = HarvestPlan([span(0, 5), span(7, 5), span(14, 9)], 125, bridge_registers=2)
    device = Device(plan, 13)

    device.cycle(0)

    assert device.asked == [span(0, 23), span(0, 12), span(14, 9)]


def test_a_refused_block_is_cut_beside_a_number_in_its_middle() -> None:
    plan = HarvestPlan([span(0, 8)], 125, whole=[span(2, 4), span(1, 2)])

    assert plan.refused(span(0, 8), 0) == (span(0, 6),)
    assert plan.requests == (span(0, 6), span(6, 2))


def test_a_refused_number_rests_whole() -> None:
    plan = HarvestPlan([span(0, 4)], 125, whole=[span(0, 2), span(2, 2)])
    plan.refused(span(0, 4), 0)
    assert plan.answered(span(0, 2), 0) == (span(2, 2),)

    assert plan.refused(span(2, 2), 0) == ()

    assert plan.due(1) == (span(0, 2),)
    assert plan.resting(1) == 2
    assert plan.due(300) == (span(0, 2), span(2, 2))


def test_a_refused_register_rests_for_five_minutes_each_time() -> None:
    plan = HarvestPlan([span(0, 1), span(5, 1)], 125)
    plan.refused(span(0, 1), 1000)
    assert plan.due(1299.9) == (span(5, 1),)
    assert plan.due(1300) == (span(0, 1), span(5, 1))

    plan.refused(span(0, 1), 1300)

    assert plan.due(1599) == (span(5, 1),)
    assert plan.due(1600) == (span(0, 1), span(5, 1))


def test_a_register_accepted_after_its_rest_is_asked_with_its_neighbours() -> None:
    device = Device(HarvestPlan([span(0, 100)], 125), 57)
    device.cycle(0)
    device.cycle(1)
    device.bad.clear()

    device.cycle(301)
    device.cycle(302)

    assert device.asked == [span(0, 100)]


def test_a_device_that_refuses_everything_is_spared() -> None:
    device = Device(HarvestPlan([span(0, 120)], 125), *range(120))

    device.cycle(0)

    assert len(device.asked) <= 1 + BISECTION_REQUESTS + 1
    for now_s in range(1, 300):
        device.cycle(now_s)
        assert device.asked == []


@given(ends=st.tuples(st.integers(0, 124), st.integers(1, 125)))
def test_a_run_of_refused_registers_costs_no_other_one_in_the_same_cycle(
    ends: tuple[int, int],
) -> None:
    bad = range(*ends)
    device = Device(HarvestPlan([span(0, 125)], 125), *bad)

    assert device.cycle(0) == set(range(125)) - set(bad)

    assert len(device.asked) <= 1 + BISECTION_REQUESTS + 1
    assert device.cycle(1) == set(range(125)) - set(bad)
    assert len(device.asked) <= 2


def test_when_one_half_is_answered_the_other_is_cut_without_being_asked() -> None:
    device = Device(HarvestPlan([span(0, 64), span(100, 64)], 125), 163)

    device.cycle(0)

    asked = [(block.address, block.count) for block in device.asked]
    assert asked == [
        (0, 64),
        (100, 64),
        (100, 32),
        (132, 16),
        (148, 8),
        (156, 4),
        (160, 2),
        (162, 1),
        (163, 1),
    ]


def test_a_device_in_a_mood_loses_no_register_that_it_answers_again() -> None:
    plan = HarvestPlan([span(0, 125), span(200, 125)], 125)
    device = Device(plan)
    device.cycle(0)
    assert plan.refused(span(200, 125), 1) == (span(200, 62),)

    pending = plan.answered(span(200, 62), 1)
    while pending:
        pending = plan.answered(pending[0], 1)

    assert (plan.resting(1), plan.refusing) == (0, ())
    device.cycle(2)
    assert device.cycle(302) == {*range(125), *range(200, 325)}
    assert device.asked == [span(0, 125), span(200, 125)]


def test_a_device_that_refuses_at_random_is_not_asked_for_single_registers() -> None:
    moods = random.Random(1)
    plan = HarvestPlan([span(0, 100), span(200, 100)], 125)
    requests = answered = 0

    for now_s in range(600):
        pending = deque(plan.due(now_s))
        while pending:
            block = pending.popleft()
            requests += 1
            if moods.random() < 0.01:
                parts = plan.refused(block, now_s)
            else:
                parts = plan.answered(block, now_s)
                answered += block.count
            pending.extendleft(reversed(parts))

    assert answered > 600 * 195
    assert requests < 600 * 6


def test_registers_that_cannot_be_read_together_are_read_apart() -> None:
    plan = HarvestPlan([span(0, 100), span(200, 100)], 125)
    requests = []

    for now_s in range(200):
        pending, read = deque(plan.due(now_s)), []
        requests.append(0)
        while pending:
            block = pending.popleft()
            requests[-1] += 1
            if block.address < 40 < block.end:
                parts = plan.refused(block, now_s)
            else:
                parts = plan.answered(block, now_s)
                read += registers([block])
            pending.extendleft(reversed(parts))
        assert sorted(read) == [*range(100), *range(200, 300)]

    assert max(requests) < 25
    assert sum(requests[20:]) < 180 * 6


def test_what_was_answered_before_is_missed_until_it_is_refused_twice() -> None:
    device = Device(HarvestPlan([span(0, 8), span(20, 4)], 125), 2)
    device.cycle(0)
    assert device.plan.trouble == ""
    device.bad.add(21)

    device.cycle(1)

    assert device.plan.trouble == "holding 21+1: refused now, answered before"
    device.cycle(302)
    assert device.plan.trouble == ""
    assert device.plan.refusing == (span(2, 1), span(21, 1))


def test_a_search_that_is_held_up_goes_on_with_what_is_not_asked_yet() -> None:
    plan = HarvestPlan([span(0, 8)], 125)
    plan.refused(span(0, 8), 0)

    assert plan.busy(span(0, 4), 0, "busy") == (span(4, 4),)

    assert plan.trouble == "busy"
    assert plan.answered(span(4, 4), 0) == ()
    plan.answered(span(0, 4), 1)
    assert plan.trouble == ""


def test_what_rested_as_a_whole_is_bisected_when_it_is_refused_again() -> None:
    device = Device(HarvestPlan([span(0, 120)], 125), *range(0, 120, 10))
    good = set(range(120)) - device.bad

    first = device.cycle(0)
    for now_s in range(1, 3000, 10):
        last = device.cycle(now_s)

    assert first < good
    assert last == good


def test_in_one_cycle_only_few_refused_parts_are_asked_again() -> None:
    ranges = [span(10 * n, 1) for n in range(20)]
    device = Device(HarvestPlan(ranges, 125), *range(0, 200, 10))
    device.cycle(0)

    device.cycle(300)

    assert len(device.asked) == RETRIES


def test_a_device_that_refuses_large_blocks_is_asked_for_smaller_ones() -> None:
    device = Device(HarvestPlan([span(0, 100)], 125), most=30)

    assert device.cycle(0) == set(range(100))
    for now_s in range(1, 299):
        assert device.cycle(now_s) == set(range(100))
        assert len(device.asked) == 4


def test_a_passing_refusal_costs_requests_for_five_minutes_at_most() -> None:
    device = Device(HarvestPlan([span(0, 100)], 125), most=30)
    device.cycle(0)
    device.most = 125

    device.cycle(300)

    assert device.asked == [span(0, 100)]


def test_a_busy_device_is_asked_for_the_whole_block_again() -> None:
    plan = HarvestPlan([span(0, 10)], 125)

    plan.busy(span(0, 10), 0, "busy")
    plan.busy(span(0, 10), 1, "busy")

    assert plan.due(2) == (span(0, 10),)


def test_a_block_busy_three_times_is_asked_every_five_seconds() -> None:
    plan = HarvestPlan([span(0, 10)], 125)
    for now_s in (0, 1, 2):
        plan.busy(span(0, 10), now_s, "busy")

    assert plan.due(6.9) == ()
    assert plan.due(7) == (span(0, 10),)

    plan.busy(span(0, 10), 7, "busy")
    assert plan.due(11.9) == ()
    assert plan.due(12) == (span(0, 10),)


def test_an_answer_ends_the_busy_count() -> None:
    plan = HarvestPlan([span(0, 10)], 125)
    plan.busy(span(0, 10), 0, "busy")
    plan.busy(span(0, 10), 1, "busy")
    plan.answered(span(0, 10), 1)

    plan.busy(span(0, 10), 2, "busy")

    assert plan.due(3) == (span(0, 10),)


@pytest.fixture
def profile() -> Profile:
    harvest = Harvest(
        full=(span(0, 10), span(100, 10)), slim=(span(12, 4),), full_every=10
    )
    manners = Manners(max_registers=20, bridge_registers=2)
    return msgspec.structs.replace(
        find_profile("unknown"), harvest=harvest, manners=manners, points=()
    )


def test_a_full_cycle_reads_the_slim_ranges_too(profile: Profile) -> None:
    full = HarvestPlan.for_profile(profile, full=True)
    slim = HarvestPlan.for_profile(profile, full=False)

    assert full.requests == (span(0, 16), span(100, 10))
    assert slim.requests == (span(12, 4),)
    assert requests_before_merging(profile, full=True) == (
        span(0, 10),
        span(100, 10),
        span(12, 4),
    )


def test_a_profile_without_slim_ranges_reads_all_in_each_cycle(
    profile: Profile,
) -> None:
    everything = msgspec.structs.replace(profile, harvest=Harvest(full=(span(0, 10),)))

    assert HarvestPlan.for_profile(everything, full=False).requests == (span(0, 10),)


def test_a_device_that_bears_less_than_its_profile_says_gets_smaller_blocks(
    profile: Profile,
) -> None:
    plan = HarvestPlan.for_profile(profile, full=True, max_registers=6)
    larger = HarvestPlan.for_profile(profile, full=True, max_registers=99)

    assert max(block.count for block in plan.requests) == 6
    assert larger.requests == HarvestPlan.for_profile(profile, full=True).requests


@pytest.mark.parametrize("name", builtin_profiles())
def test_the_plan_of_each_profile_has_its_harvest_and_cuts_no_point(name: str) -> None:
    known = find_profile(name)

    for full in (True, False):
        requests = HarvestPlan.for_profile(known, full=full).requests
        wanted = requests_before_merging(known, full=full)

        assert set(registers(wanted)) <= set(registers(requests))
        assert max(r.count for r in requests) <= known.manners.max_registers
        assert len(requests) <= len(wanted)
        for point in known.points:
            if touched := [r for r in requests if touches(r, span_of(point))]:
                assert any(covers(r, span_of(point)) for r in touched), point.key


def touches(block: RegisterRange, part: RegisterRange) -> bool:
    same = block.function == part.function
    return same and block.address < part.end and part.address < block.end


def covers(block: RegisterRange, part: RegisterRange) -> bool:
    return block.address <= part.address and part.end <= block.end


RANGES = st.lists(
    st.builds(span, st.integers(0, 300), st.integers(1, 200)), min_size=1, max_size=8
)


@given(ranges=RANGES, size=st.integers(1, 125))
def test_every_register_is_read_once_and_no_other(
    ranges: list[RegisterRange], size: int
) -> None:
    blocks = HarvestPlan(ranges, size).due(0)

    assert sorted(registers(blocks)) == sorted(set(registers(ranges)))
    assert max(block.count for block in blocks) <= size


@given(ranges=RANGES, size=st.integers(1, 125), bridge=st.integers(0, 50))
def test_bridges_join_requests_and_never_leave_a_register_out(
    ranges: list[RegisterRange], size: int, bridge: int
) -> None:
    apart = HarvestPlan(ranges, size).due(0)

    blocks = HarvestPlan(ranges, size, bridge_registers=bridge).due(0)

    read = registers(blocks)
    assert len(read) == len(set(read))
    assert set(registers(ranges)) <= set(read)
    assert len(blocks) <= len(apart)
    assert max(block.count for block in blocks) <= size


@given(
    bad=st.sets(st.integers(0, 49), max_size=12),
    size=st.integers(1, 50),
    bridge=st.integers(0, 5),
)
def test_in_the_end_all_but_the_bad_registers_are_read(
    bad: set[int], size: int, bridge: int
) -> None:
    ranges = [span(0, 20), span(23, 10), span(36, 14)]
    device = Device(HarvestPlan(ranges, size, bridge_registers=bridge), *bad)

    for now_s in range(0, 3000, 30):
        answered = device.cycle(now_s)

    assert answered >= set(registers(ranges)) - bad


@given(bad=st.integers(0, 124))
def test_one_bad_register_costs_no_other_one_after_the_first_cycle(bad: int) -> None:
    device = Device(HarvestPlan([span(0, 125)], 125), bad)

    assert device.cycle(0) == device.cycle(1) == set(range(125)) - {bad}
    assert len(device.asked) <= 2

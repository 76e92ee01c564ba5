from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from egw.devices.loader import find_profile
from egw.devices.plan import HarvestPlan
from egw.devices.profile import Function, RegisterRange


def span(address: int, count: int, function: Function = "holding") -> RegisterRange:
    return RegisterRange(function=function, address=address, count=count)


def test_ranges_are_read_in_their_order() -> None:
    plan = HarvestPlan([span(50, 5), span(0, 5), span(0, 5, "input")], 125)

    assert plan.due(0) == (span(50, 5), span(0, 5), span(0, 5, "input"))


def test_ranges_that_touch_or_overlap_become_one_block() -> None:
    plan = HarvestPlan([span(0, 5), span(20, 2), span(5, 5), span(8, 4)], 125)

    assert plan.due(0) == (span(0, 12), span(20, 2))


def test_a_range_that_joins_two_makes_one_of_all() -> None:
    plan = HarvestPlan([span(0, 5), span(10, 5), span(4, 7)], 125)

    assert plan.due(0) == (span(0, 15),)


def test_a_gap_of_one_register_is_never_bridged() -> None:
    plan = HarvestPlan([span(0, 5), span(6, 5)], 125)

    assert plan.due(0) == (span(0, 5), span(6, 5))


def test_tables_are_never_joined() -> None:
    plan = HarvestPlan([span(0, 5), span(5, 5, "input")], 125)

    assert plan.due(0) == (span(0, 5), span(5, 5, "input"))


def test_a_range_too_long_for_one_request_is_cut() -> None:
    plan = HarvestPlan([span(100, 250)], 100)

    assert plan.due(0) == (span(100, 100), span(200, 100), span(300, 50))


def test_a_number_is_not_cut_in_two() -> None:
    plan = HarvestPlan([span(0, 20)], 10, whole=[span(9, 2), span(7, 2)])

    assert plan.due(0) == (span(0, 9), span(9, 10), span(19, 1))


def test_a_refused_block_is_asked_as_two_halves() -> None:
    plan = HarvestPlan([span(0, 9), span(20, 1)], 125)

    plan.refused(span(0, 9), 0)

    assert plan.due(0) == (span(0, 4), span(4, 5), span(20, 1))


def test_a_refused_block_is_cut_beside_a_number_in_its_middle() -> None:
    plan = HarvestPlan([span(0, 8)], 125, whole=[span(2, 4), span(1, 2)])

    plan.refused(span(0, 8), 0)

    assert plan.due(0) == (span(0, 6), span(6, 2))


def test_a_refused_number_rests_whole() -> None:
    plan = HarvestPlan([span(0, 4)], 125, whole=[span(0, 2), span(2, 2)])
    plan.refused(span(0, 4), 0)

    plan.refused(span(2, 2), 0)

    assert plan.due(1) == (span(0, 2),)
    assert plan.due(300) == (span(0, 2), span(2, 2))


def test_a_refused_register_rests_for_five_minutes() -> None:
    plan = HarvestPlan([span(0, 1), span(5, 1)], 125)

    plan.refused(span(0, 1), 1000)

    assert plan.due(1299.9) == (span(5, 1),)
    assert plan.due(1300) == (span(0, 1), span(5, 1))


def test_a_register_refused_again_rests_again() -> None:
    plan = HarvestPlan([span(0, 1)], 125)
    plan.refused(span(0, 1), 0)

    plan.refused(span(0, 1), 300)

    assert plan.due(599) == ()
    assert plan.due(600) == (span(0, 1),)


def test_a_register_accepted_after_its_rest_stays() -> None:
    plan = HarvestPlan([span(0, 1)], 125)
    plan.refused(span(0, 1), 0)

    plan.answered(span(0, 1))

    assert plan.due(301) == (span(0, 1),)


def test_a_busy_device_is_asked_for_the_whole_block_again() -> None:
    plan = HarvestPlan([span(0, 10)], 125)

    plan.busy(span(0, 10), 0)
    plan.busy(span(0, 10), 1)

    assert plan.due(2) == (span(0, 10),)


def test_a_block_busy_three_times_is_asked_every_five_seconds() -> None:
    plan = HarvestPlan([span(0, 10)], 125)
    for now_s in (0, 1, 2):
        plan.busy(span(0, 10), now_s)

    assert plan.due(6.9) == ()
    assert plan.due(7) == (span(0, 10),)

    plan.busy(span(0, 10), 7)
    assert plan.due(11.9) == ()
    assert plan.due(12) == (span(0, 10),)


def test_an_answer_ends_the_busy_count() -> None:
    plan = HarvestPlan([span(0, 10)], 125)
    plan.busy(span(0, 10), 0)
    plan.busy(span(0, 10), 1)
    plan.answered(span(0, 10))

    plan.busy(span(0, 10), 2)

    assert plan.due(3) == (span(0, 10),)


def test_the_plan_of_a_profile_reads_its_harvest() -> None:
    plan = HarvestPlan.for_profile(find_profile("solaredge"))

    assert plan.due(0) == (span(40000, 61), span(40069, 37), span(40121, 70))


@given(
    ranges=st.lists(
        st.builds(span, st.integers(0, 300), st.integers(1, 200)), min_size=1
    ),
    size=st.integers(1, 125),
)
def test_every_register_is_read_once_and_no_other(
    ranges: list[RegisterRange], size: int
) -> None:
    wanted = {n for part in ranges for n in range(part.address, part.end)}

    blocks = HarvestPlan(ranges, size).due(0)

    read = [n for block in blocks for n in range(block.address, block.end)]
    assert sorted(read) == sorted(wanted)
    assert max(block.count for block in blocks) <= size


@given(bad=st.sets(st.integers(0, 49)), size=st.integers(1, 50))
def test_in_the_end_all_but_the_bad_registers_are_read(
    bad: set[int], size: int
) -> None:
    plan = HarvestPlan([span(0, 50)], size)

    for now_s in range(8):
        for block in plan.due(now_s):
            if bad & set(range(block.address, block.end)):
                plan.refused(block, now_s)
            else:
                plan.answered(block)

    read = {n for block in plan.due(8) for n in range(block.address, block.end)}
    assert read == set(range(50)) - bad

from __future__ import annotations

from egw.actors.cycle import Cycle
from egw.devices.blocks import Block
from egw.devices.plan import HarvestPlan
from egw.devices.profile import RegisterRange


def test_a_last_block_that_times_out_in_the_next_second_costs_no_other_block() -> None:
    first, last = (
        RegisterRange(function="holding", address=address, count=1)
        for address in (0, 10)
    )
    cycle = Cycle(HarvestPlan([first, last], 125), first_at=0.0)
    cycle.begin(0.0, 1000)
    assert cycle.next_block(0.0, until=9.0) == first
    block = Block("holding", 0, b"\0\1")
    cycle.answered(first, block, 0.01)
    assert cycle.next_block(0.01, until=9.0) == last
    cycle.refused(last, 1.2, "no answer in time", for_good=False)

    cycle.begin(1.3, 2300)

    reading = cycle.finish()
    assert reading is not None
    assert (reading.stamp_ms, reading.blocks) == (1000, (block,))
    assert "no answer in time" in cycle.incomplete

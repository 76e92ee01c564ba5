from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egw.devices.block_size import BlockSize
from egw.devices.profile import RegisterRange


def block(count: int) -> RegisterRange:
    return RegisterRange(function="holding", address=1000, count=count)


class Bridge:
    """Answers reads of up to `most` registers; loses some of the others too."""

    def __init__(self, sizes: BlockSize, most: int, *, loses: float = 0.0) -> None:
        self.sizes = sizes
        self.most = most
        self.loses = loses
        self.probes = 0
        self.random = random.Random(7)

    def answers(self, count: int) -> bool:
        return count <= self.most and self.random.random() >= self.loses

    def cycle(self, *counts: int) -> None:
        """Read blocks of so many registers, or one probe in their place."""
        for count in counts:
            wanted = self.sizes.probe
            if wanted is not None:
                self.probes += 1
                self.sizes.probed(answered=self.answers(wanted.count))
            elif self.answers(min(count, self.sizes.limit)):
                self.sizes.answered(min(count, self.sizes.limit))
            else:
                self.sizes.failed(block(min(count, self.sizes.limit)))


@pytest.mark.parametrize("most", [1, 2, 5, 8, 10, 16, 38, 60, 64, 80])
@pytest.mark.parametrize("asked", [93, 125])
def test_the_largest_block_is_found_in_few_steps(most: int, asked: int) -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, most)

    for _ in range(60):
        bridge.cycle(1, asked)

    assert most - max(1, most // 8) < sizes.limit <= most
    assert bridge.probes < 45
    assert sizes.probe is None


def test_a_bridge_with_broken_frames_above_eight_registers_is_asked_for_eight() -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, 8)

    for _ in range(60):
        bridge.cycle(2, 93, 60)

    assert sizes.limit == 8


def test_a_device_that_answers_everything_is_never_probed() -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, 125)

    for _ in range(100):
        bridge.cycle(1, 93, 125)

    assert (sizes.limit, bridge.probes) == (125, 0)


def test_single_failures_on_a_healthy_line_shrink_nothing() -> None:
    sizes = BlockSize(125)

    for _ in range(100):
        sizes.failed(block(120))
        sizes.answered(120)
        sizes.failed(block(120))
        sizes.answered(1)
        sizes.answered(120)

    assert (sizes.limit, sizes.probe) == (125, None)


def test_a_lossy_line_shrinks_nothing() -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, 125, loses=0.15)

    for _ in range(5000):
        bridge.cycle(1, 90, 120)

    assert sizes.limit == 125


def test_a_device_that_is_silent_for_an_hour_shrinks_nothing() -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, 0)

    for _ in range(3600):
        bridge.cycle(1, 90, 120)
    bridge.most = 125
    for _ in range(10):
        bridge.cycle(1, 90, 120)

    assert (sizes.limit, sizes.probe) == (125, None)


def test_one_block_that_stays_silent_is_not_a_matter_of_size() -> None:
    sizes = BlockSize(125)

    for _ in range(50):
        sizes.failed(block(20))
        sizes.answered(40)

    assert (sizes.limit, sizes.probe) == (125, None)


def test_a_search_begins_with_a_read_that_is_known_to_be_answered() -> None:
    sizes = BlockSize(125)
    sizes.failed(block(100))
    sizes.answered(20)
    sizes.failed(block(90))
    sizes.answered(5)
    sizes.failed(block(100))

    assert sizes.probe == block(20)
    sizes.probed(answered=True)
    assert sizes.probe == block(90)


def test_a_size_that_is_answered_after_all_ends_the_search() -> None:
    sizes = BlockSize(125)
    for _ in range(3):
        sizes.failed(block(100))
    sizes.probed(answered=True)

    found = sizes.probed(answered=True)

    assert (found, sizes.probe, sizes.limit) == (False, None, 125)


def test_what_was_found_before_is_where_it_begins() -> None:
    assert BlockSize(125, known=8).limit == 8
    assert BlockSize(50, known=90).limit == 50
    assert BlockSize(50).limit == 50


@pytest.mark.parametrize("most", [8, 30, 60, 125])
def test_a_size_that_is_tried_again_later_follows_the_line(most: int) -> None:
    sizes = BlockSize(125, known=8)
    bridge = Bridge(sizes, most)

    sizes.try_larger(block(93))
    for _ in range(60):
        bridge.cycle(1, 93)

    assert most - max(1, most // 8) < sizes.limit <= most
    assert sizes.probe is None


def test_nothing_is_tried_again_when_blocks_are_as_large_as_they_can_be() -> None:
    sizes = BlockSize(125)

    sizes.try_larger(block(93))

    assert sizes.probe is None


@given(most=st.integers(1, 125), seed=st.integers(0, 1000), loses=st.floats(0, 0.3))
def test_whatever_the_line_does_a_limit_is_never_below_half_of_the_right_one(
    most: int, seed: int, loses: float
) -> None:
    sizes = BlockSize(125)
    bridge = Bridge(sizes, most, loses=loses)
    bridge.random.seed(seed)

    for _ in range(200):
        bridge.cycle(1, 93, 125)

    assert 1 <= sizes.limit <= 125
    if not loses:
        assert sizes.limit <= most or most >= 93

from __future__ import annotations

import pytest

from egw.runtime.restarts import ACTOR_POLICY, WORKER_POLICY, Failures, Policy

STEADY = Policy(intensity=100, longest_pause_s=2.0, jitter=0.0)


def test_the_first_restart_comes_at_once_and_later_ones_after_doubling_pauses() -> None:
    failures = Failures(STEADY)

    pauses = [failures.add(0.0, up_since=None) for _ in range(8)]

    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_health_ends_a_streak() -> None:
    failures = Failures(STEADY)
    for _ in range(5):
        failures.add(0.0, up_since=None)

    pause_s = failures.add(10.0, up_since=10.0 - STEADY.healthy_after_s)

    assert pause_s == 0.0


def test_being_up_for_too_short_does_not_end_a_streak() -> None:
    failures = Failures(STEADY)
    failures.add(0.0, up_since=None)

    assert failures.add(10.0, up_since=9.9) == pytest.approx(0.1)


def test_one_failure_more_than_the_intensity_within_the_period_is_given_up() -> None:
    failures = Failures(Policy(intensity=3, period_s=60.0))

    outcomes = [failures.add(float(t), up_since=None) for t in (0, 20, 40, 60)]

    assert [outcome is None for outcome in outcomes] == [False, False, False, True]


def test_failures_further_apart_are_borne_for_ever() -> None:
    failures = Failures(Policy(intensity=3, period_s=60.0))

    outcomes = [failures.add(21.0 * n, up_since=None) for n in range(100)]

    assert None not in outcomes
    assert failures.total == 100


def test_pauses_are_spread_by_the_jitter_and_no_further() -> None:
    policy = Policy(intensity=1000, jitter=0.2, longest_pause_s=1.0)
    failures = Failures(policy)
    for _ in range(10):
        failures.add(0.0, up_since=None)

    pauses = {failures.add(0.0, up_since=None) for _ in range(200)}

    assert len(pauses) > 100
    assert all(pause is not None and 0.8 <= pause <= 1.2 for pause in pauses)


def test_a_long_streak_does_not_overflow() -> None:
    failures = Failures(Policy(intensity=5000, jitter=0.0))

    pauses = [failures.add(0.0, up_since=None) for _ in range(3000)]

    assert pauses[-1] == 1.0


def test_clearing_forgets_what_counts_but_not_the_total() -> None:
    failures = Failures(Policy(intensity=1))
    failures.add(0.0, up_since=None)

    failures.clear()

    assert failures.add(0.0, up_since=None) == 0.0
    assert failures.total == 2


def test_a_worker_that_is_killed_every_two_seconds_is_not_given_up() -> None:
    failures = Failures(WORKER_POLICY)

    outcomes = [failures.add(2.0 * n, up_since=2.0 * n - 1.9) for n in range(200)]

    assert set(outcomes) == {0.0}


def test_an_actor_that_fails_at_every_start_is_given_up_within_seconds() -> None:
    failures = Failures(ACTOR_POLICY)
    now = 0.0

    while (pause_s := failures.add(now, up_since=None)) is not None:
        now += pause_s

    assert now < 5.0

from __future__ import annotations

import pytest

from egw.actors.sampling import Samples


def test_the_rate_is_what_came_in_the_time_that_passed() -> None:
    samples = Samples()
    for batch in range(20):
        for number in range(4):
            samples.add(1000 * batch + number, 50.0, 0.0)
        samples.batch(2.5 * batch)

    assert samples.rate_hz == pytest.approx(4 / 2.5)


def test_the_first_batch_is_that_of_a_second() -> None:
    samples = Samples()
    samples.add(1000, 50.0, 0.001)

    batch = samples.batch(1.0)

    assert (batch.hz, batch.late_ms) == ((50.0,), (1.0,))
    assert samples.rate_hz == 1.0

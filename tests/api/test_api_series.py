from __future__ import annotations

import told
from hypothesis import given, settings
from hypothesis import strategies as st

from egw.api.lateness import Lateness
from egw.api.series import CAPACITY, FrequencySeries


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 900), max_size=20), after=st.integers(0, 20))
def test_a_series_gives_the_batches_after_a_number_or_says_that_they_are_gone(
    sizes: list[int], after: int
) -> None:
    series = FrequencySeries()
    stamps: dict[int, list[int]] = {}
    stamp = 0
    for number, size in enumerate(sizes, start=1):
        samples = told.samples(*[50.0] * size, first_ms=stamp)
        stamp += 100 * size
        stamps[number] = list(samples.stamps_ms)
        series.append(number, samples)

    kept = sum(size for _, size in series.batches_after(0))
    found = series.between(after, len(sizes)).stamp_ms
    expected = [s for number, s in stamps.items() if number > after]

    assert min(sum(sizes), CAPACITY - 900) <= kept <= CAPACITY + 600
    if series.dropped_number <= after:
        assert found == [stamp for batch in expected for stamp in batch]
        assert sum(size for _, size in series.batches_after(after)) == len(found)


def test_a_series_keeps_a_tenth_of_a_millihertz() -> None:
    series = FrequencySeries()

    series.append(1, told.samples(49.98765, 50.0001))

    assert series.between(0, 1).hz == [49.9876, 50.0001]
    assert series.newest() == (told.NOW_MS - 900, 50.0001)


def test_the_newest_sample_of_an_empty_series_is_none() -> None:
    assert FrequencySeries().newest() is None


def test_lateness_beyond_the_last_bucket_is_told_by_the_largest() -> None:
    lateness = Lateness()

    lateness.add([0.0] * 50 + [-0.2] * 10 + [600.0] * 39 + [1234.5])

    assert lateness.quantile_ms(0.5) == 0.1
    assert lateness.quantile_ms(0.99) == 1234.5
    assert lateness.buckets() == {"0.1": 60, "inf": 40}

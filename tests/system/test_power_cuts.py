"""The power of a gateway is cut at random moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.power_cuts import PowerCuts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

CUTS = 8


def test_what_was_committed_before_power_cuts_arrives_exactly_once(
    tmp_path: Path,
) -> None:
    cuts = PowerCuts(tmp_path, cuts=CUTS, seed=8, longest_run_s=3)

    outcome = cuts.run()

    print(outcome)
    assert outcome.good, outcome
    assert outcome.packets > CUTS
    assert list(tmp_path.glob("outbox.db.damaged-*")) == []

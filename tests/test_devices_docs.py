from __future__ import annotations

import re
from pathlib import Path

import pytest

from egw.devices.cost import cycle_costs
from egw.devices.loader import builtin_profiles, find_profile
from egw.devices.model import FIELDS
from egw.devices.standard import STANDARD_KEYS, instances
from egw.devices_docs import render_docs

DOCS = render_docs()
STANDARD = {instance for key in STANDARD_KEYS for instance in instances(key)}


def test_the_documentation_is_made_from_the_profiles() -> None:
    committed = Path(__file__).parent.parent / "docs" / "devices.md"

    assert committed.read_text() == render_docs(), (
        "run: python -m egw.devices_docs > docs/devices.md"
    )


@pytest.mark.parametrize("name", builtin_profiles())
def test_every_disagreement_and_note_of_a_profile_is_in_the_documentation(
    name: str,
) -> None:
    text = " ".join(DOCS.split())
    profile = find_profile(name)

    for disagreement in profile.disagreements:
        for said in (disagreement.about, disagreement.chosen, disagreement.why):
            assert " ".join(said.split()).rstrip(".") in text
    for note in profile.notes:
        assert " ".join(note.split()) in text


def test_every_profile_has_its_figures_in_the_documentation() -> None:
    lines = DOCS.splitlines()

    for name in builtin_profiles():
        for cost in cycle_costs(find_profile(name)):
            figures = f"| {cost.requests} | {cost.registers} |"
            assert any(
                line.startswith(f"| {name} | {cost.cycle} |") and line.endswith(figures)
                for line in lines
            )


def test_merging_never_costs_requests() -> None:
    for name in builtin_profiles():
        for cost in cycle_costs(find_profile(name)):
            assert cost.requests <= cost.requests_before <= cost.points, name


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    width = 0
    for line in DOCS.splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert width == 0 or cells in (0, width), line
        width = cells


def test_the_data_model_is_made_from_standard_keys() -> None:
    keys = {key for fields in FIELDS.values() for field in fields for key in field.keys}

    assert keys <= STANDARD


def test_every_standard_key_but_the_rarest_is_used() -> None:
    used = {key for name in builtin_profiles() for key in find_profile(name).units}

    unused = [k for k in STANDARD_KEYS if used.isdisjoint(instances(k))]
    assert unused == []

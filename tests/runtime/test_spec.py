from __future__ import annotations

import pytest

from egw.runtime.spec import (
    ChildSpec,
    TopologyError,
    WorkerSpec,
    generations,
    load_actor,
)


def worker(name: str, **needs: tuple[str, ...]) -> WorkerSpec:
    return WorkerSpec(
        name, tuple(ChildSpec(n, "m:A", needs=wanted) for n, wanted in needs.items())
    )


def test_actors_start_after_those_that_they_need() -> None:
    workers = (
        worker("core", harvest=("signer",), api=("harvest", "signer")),
        worker("signer", signer=()),
        worker("devices", roof=("harvest",)),
    )

    assert generations(workers) == [("signer",), ("harvest",), ("api", "roof")]


def test_a_cycle_is_refused_and_shown() -> None:
    workers = (worker("one", a=("b",), b=("c",)), worker("two", c=("a",)))

    with pytest.raises(TopologyError, match=r"circle: .*->.*->.*->"):
        generations(workers)


def test_an_actor_that_needs_itself_is_refused() -> None:
    with pytest.raises(TopologyError, match="a -> a"):
        generations((worker("one", a=("a",)),))


def test_a_need_that_does_not_exist_is_refused_with_both_names() -> None:
    with pytest.raises(TopologyError, match="actor api needs signer"):
        generations((worker("one", api=("signer",)),))


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(TopologyError, match="actor a is specified twice"):
        generations((worker("one", a=()), worker("two", a=())))


def test_a_class_is_found_by_its_path() -> None:
    assert load_actor("sample_actors:Sample").__name__ == "Sample"

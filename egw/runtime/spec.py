"""Child specifications: which actors there are, where they live, what they need."""

from __future__ import annotations

import graphlib
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egw.runtime.actor import Actor

Restart = Literal["permanent", "transient", "temporary"]
"""OTP's terms: restart always, only after a failure, never."""


class TopologyError(ValueError):
    """Raised when specifications contradict each other; names the actor."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One actor, as data."""

    name: str
    actor: str
    """Where the class is: `package.module:Class`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the constructor; a restart gets the same."""
    needs: tuple[str, ...] = ()
    """The actors that this one may ask: they start before it and stop after it."""
    restart: Restart = "permanent"
    critical: bool = True
    """A critical child that keeps failing ends the gateway; another is suspended."""
    grace_s: float = 1.0
    """How long it may take to stop."""
    start_within_s: float = 5.0
    """How long it may take to start."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """One process and the actors that live in it."""

    name: str
    children: tuple[ChildSpec, ...]


def generations(workers: tuple[WorkerSpec, ...]) -> list[tuple[str, ...]]:
    """Return the actors in start order: each group needs only earlier groups.

    Raises TopologyError for a doubled name, an unknown need or a cycle.
    """
    needs: dict[str, tuple[str, ...]] = {}
    for worker in workers:
        for child in worker.children:
            if child.name in needs:
                raise TopologyError(f"actor {child.name} is specified twice")
            needs[child.name] = child.needs
    for name, wanted in needs.items():
        for need in wanted:
            if need not in needs:
                raise TopologyError(f"actor {name} needs {need}, which does not exist")
    sorter = graphlib.TopologicalSorter(needs)
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        path = " -> ".join(error.args[1])
        raise TopologyError(f"actors need each other in a circle: {path}") from None
    groups = []
    while sorter.is_active():
        ready = tuple(sorted(sorter.get_ready()))
        sorter.done(*ready)
        groups.append(ready)
    return groups


def load_actor(path: str) -> type[Actor[Any]]:
    """Return the class that `package.module:Class` names."""
    module, _, name = path.partition(":")
    kind: type[Actor[Any]] = getattr(importlib.import_module(module), name)
    return kind

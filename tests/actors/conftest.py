from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from delivering import Delivering
from http_script import HttpScript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What is logged, as dictionaries."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def endpoint() -> Iterator[HttpScript]:
    """An HTTP server on a real socket."""
    server = HttpScript()
    yield server
    server.close()


@pytest.fixture
def start(endpoint: HttpScript) -> Iterator[Callable[..., Delivering]]:
    running: list[Delivering] = []

    def start(**settings: Any) -> Delivering:
        running.append(Delivering(endpoint, **settings))
        return running[-1]

    yield start
    for uplink in running:
        uplink.actor.stopping()


@pytest.fixture
def uplink(start: Callable[..., Delivering]) -> Delivering:
    return start()

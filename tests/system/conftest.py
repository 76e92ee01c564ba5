from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from collector import Collector
from gateway_kit import Gateway, Home
from site_kit import BackendClient, BackendProcess, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def site(home: Home) -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:
        yield lambda *profiles: stack.enter_context(Site(home.key, list(profiles)))


@pytest.fixture
def backend(home: Home) -> Iterator[Callable[[], BackendClient]]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(BackendProcess(home.key)).client


@pytest.fixture
def start(home: Home) -> Iterator[Callable[[], Gateway]]:
    with ExitStack() as stack:

        def start() -> Gateway:
            gateway = Gateway(home)
            stack.callback(gateway.end)
            return gateway

        yield start


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector

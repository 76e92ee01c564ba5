from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from http_script import HttpScript

if TYPE_CHECKING:
    from collections.abc import Iterator


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

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from played import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What this process logs, as dictionaries."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns after microseconds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)

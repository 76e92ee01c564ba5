from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from packets import NOW_MS

from egw.storage.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path, now_ms=NOW_MS)
    yield outbox
    outbox.close()


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What is logged, as dictionaries."""
    with structlog.testing.capture_logs() as captured:
        yield captured

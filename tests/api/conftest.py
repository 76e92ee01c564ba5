from __future__ import annotations

from collections.abc import Iterator

import pytest
import told
import urllib3
from served import Gateway

from egw.api.app import create_app
from egw.api.server import ApiServer
from egw.api.snapshot import Snapshot
from egw.testing import Clock


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    clock = Clock(wall_ms=told.NOW_MS)
    snapshot = Snapshot({"roof": "huawei", "cellar": "lqt40s"}, clock=clock)
    app = create_app(snapshot, lambda: made.describe(), hostname="meterboard")
    server = ApiServer(app, host="127.0.0.1", port=0, threads=2)
    with urllib3.HTTPConnectionPool(
        "127.0.0.1", server.port, retries=False, timeout=10
    ) as http:
        made = Gateway(snapshot, server, clock, http)
        yield made
    server.close()

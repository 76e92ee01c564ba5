"""A gateway's API on a real socket, for the tests of this folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import told
import urllib3

from egw.api.server import ApiServer
from egw.api.snapshot import Snapshot
from egw.runtime import TreeView
from egw.testing import Clock


@dataclass
class Gateway:
    """An API on a real socket, its snapshot, and the clock that ages it."""

    snapshot: Snapshot
    server: ApiServer
    clock: Clock
    http: urllib3.HTTPConnectionPool
    tree: TreeView | Exception = field(default_factory=lambda: told.tree(os.getpid()))

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return self.http.request("GET", path, headers=headers or None)

    def json(self, path: str) -> Any:
        reply = self.get(path)
        assert reply.status == 200, reply.data
        assert reply.headers["Content-Type"] == "application/json"
        return reply.json()

    def describe(self) -> TreeView:
        if isinstance(self.tree, Exception):
            raise self.tree
        return self.tree

    def error(self, path: str, status: int, **headers: str) -> Any:
        reply = self.get(path, **headers)
        assert reply.status == status, reply.data
        assert reply.headers["Content-Type"] == "application/json"
        body = reply.json()
        assert body.keys() == {"message", "field"}
        return body

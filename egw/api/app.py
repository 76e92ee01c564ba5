"""The Falcon application: which path is answered by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

from egw.api.actors import Actors
from egw.api.devices import DevicePoints
from egw.api.guard import SameSiteOnly
from egw.api.identity import Crypto, Hello, Name, UptimeResource, Version
from egw.api.inverter import Inverter
from egw.api.live import LiveResource
from egw.api.page import FILES, StaticFile
from egw.api.replies import not_found, unexpected, write_error, wrong_method
from egw.api.state import State
from egw.api.uptime import Uptime

if TYPE_CHECKING:
    from egw.api.snapshot import Snapshot
    from egw.api.uptime import DescribeTree


def create_app(
    snapshot: Snapshot, describe: DescribeTree, *, hostname: str | None = None
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application; `describe` asks the supervisor for its tree.

    `hostname` is the name of the machine under which browsers may reach it; None: what
    the system says.
    """
    app = falcon.App(middleware=[SameSiteOnly(hostname)])
    app.set_error_serializer(write_error)
    app.add_error_handler(Exception, unexpected)
    app.add_error_handler(falcon.HTTPMethodNotAllowed, wrong_method)
    app.add_sink(not_found)
    uptime = Uptime(describe, snapshot.clock)
    app.add_route("/api/hello", Hello())
    app.add_route("/api/name", Name(snapshot))
    app.add_route("/api/crypto", Crypto(snapshot))
    app.add_route("/api/inverter", Inverter(snapshot))
    app.add_route("/api/uptime", UptimeResource(uptime))
    app.add_route("/api/version", Version())
    app.add_route("/api/state", State(snapshot, uptime))
    app.add_route("/api/actors", Actors(describe, snapshot.clock))
    app.add_route("/api/live", LiveResource(snapshot))
    app.add_route("/api/devices/{name}/points", DevicePoints(snapshot))
    for path, (name, media_type) in FILES.items():
        app.add_route(path, StaticFile(name, media_type))
    return app

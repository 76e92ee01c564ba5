"""Keeps pages of other sites from talking to the gateway through a browser.

A page from elsewhere shows its own address in `Origin`. A name that was made to point
to the gateway after the page was loaded (DNS rebinding) shows in `Host`.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import falcon

if TYPE_CHECKING:
    from falcon import Request, Response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class SameSiteOnly:
    """Falcon middleware: refuses foreign hosts and origins with 403."""

    def __init__(self, hostname: str | None = None) -> None:
        name = (hostname or socket.gethostname()).lower()
        self._names = {"localhost", name, name.partition(".")[0]}

    def process_request(self, req: Request, _resp: Response) -> None:
        """Refuse a request that a page of another site may have made."""
        host = req.get_header("Host") or ""
        if not self._is_own(host):
            raise falcon.HTTPForbidden(
                description=f"host {host!r} is not this gateway: use its IP address, "
                "its name, localhost or a name in .local"
            )
        origin = req.get_header("Origin")
        if origin is not None and origin.lower() != f"{req.scheme}://{host}".lower():
            raise falcon.HTTPForbidden(
                description=f"pages from {origin!r} may not use this gateway"
            )

    def process_response(
        self, _req: Request, resp: Response, _resource: object, _succeeded: object
    ) -> None:
        """Add what every reply says to browsers."""
        for name, value in HEADERS.items():
            resp.set_header(name, value)
        if resp.get_header("Cache-Control") is None:
            resp.set_header("Cache-Control", "no-store")

    def _is_own(self, host: str) -> bool:
        name = _without_port(host).lower().removesuffix(".")
        if name in self._names or (name.endswith(".local") and name != ".local"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, _, _port = host.partition(":")
    return name

"""Who the gateway is: its name, its key, its version, how long it has been running."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import falcon

from egw.api.replies import send
from egw.crypto.keys import compact_key, public_key_pem_body

if TYPE_CHECKING:
    from falcon import Request, Response

    from egw.api.snapshot import Snapshot
    from egw.api.uptime import Uptime

VERSION = version("egw")


class Hello:
    """`GET /api/hello`: is there a gateway at this address?"""

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the words that clients look for."""
        send(resp, {"message": "hello world from srcful!"})


class Name:
    """`GET /api/name`: the gateway's name at its backend."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the name; 503 while it is not known."""
        heard = self._snapshot.backend
        if heard is None or not heard.status.name:
            reason = heard.status.reason if heard else ""
            raise falcon.HTTPServiceUnavailable(
                description="the gateway's name is not known yet"
                + (f": {reason}" if reason else "")
            )
        send(resp, {"name": heard.status.name})


class Crypto:
    """`GET /api/crypto`: the public half of the key that signs."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the key in the forms that clients read; 503 without one."""
        identity = self._snapshot.identity
        if identity is None:
            raise falcon.HTTPServiceUnavailable(description=self._why_not())
        send(
            resp,
            {
                "deviceName": identity.device_name,
                "serialNumber": identity.serial,
                "publicKey": identity.public_key.hex(),
                "publicKey_pem": public_key_pem_body(identity.public_key),
                "compactKey": compact_key(identity.public_key),
                # Text in the system that clients were written for.
                "chipDeathCount": "0",
                "keyKind": identity.kind,
            },
        )

    def _why_not(self) -> str:
        heard = self._snapshot.signer
        if heard is None:
            return "the signer has not said yet which key it has"
        if heard.status.state == "none":
            return "this gateway has no key: none is configured"
        return f"the key is not available: {heard.status.reason}"


class UptimeResource:
    """`GET /api/uptime`: milliseconds since the gateway's start."""

    def __init__(self, uptime: Uptime) -> None:
        self._uptime = uptime

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer `msek`, as an integer."""
        send(resp, {"msek": self._uptime.ms()})


class Version:
    """`GET /api/version`: the version of egw."""

    def on_get(self, _req: Request, resp: Response) -> None:
        """Answer the version of the installed package."""
        send(resp, {"version": VERSION})

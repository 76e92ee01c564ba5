"""A backend: takes packets, verifies each signature, journals every reading.

It can be told to misbehave; see `BackendFaults` and simulators/README.md.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from simulators.faults import Chance, Milliseconds, happens
from simulators.http1 import Break, HttpServer, Request, Response
from simulators.packet import (
    NOT_AS_EXPECTED,
    InvalidPacketError,
    UnknownGatewayError,
    public_key,
    verified,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    from simulators.journal import Journal

DATA_PATH = "/gw/data/"
BODY_LIMIT_BYTES = 1_048_576
EXPECT_LIMIT_BYTES = 64 * BODY_LIMIT_BYTES
"""Lists of expected stamps grow with a test's length, so they may be long."""

_NAME_QUERY = re.compile(r'gatewayName\s*\(\s*id\s*:\s*"([^"]*)"\s*\)')
_GARBAGE_BYTES = 200


class BackendFaults(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True
):
    """What is wrong with the backend as gateways see it; default: nothing."""

    refuse: Chance = False
    """503."""
    hang: Chance = False
    """Reads the request, never answers."""
    slow_ms: Milliseconds = 0
    """Each answer waits this long."""
    reset: Chance = False
    """The connection is reset before anything is taken."""
    lose_reply: Chance = False
    """The packet is taken, then the connection is reset instead of an answer."""
    garbage: Chance = False
    """Random bytes are sent instead of an answer."""
    reject_packets: tuple[str, ...] = ()
    """Packets of devices with these serial numbers get 400."""
    down_ms: Milliseconds = 0
    """Nobody listens for this time; then it counts as over."""


class _Gateway(msgspec.Struct, forbid_unknown_fields=True):
    serial: Annotated[str, Meta(pattern="^[0-9a-fA-F]{2,64}$")]
    public_key: Annotated[str, Meta(pattern="^[0-9a-fA-F]{128}$")]


class _GraphQL(msgspec.Struct):
    query: str


class _BadRequestError(Exception):
    """Raised when a request to the backend itself is wrong; becomes 400."""


class Backend:
    """Packets in, journal out, over HTTP."""

    def __init__(self, journal: Journal, gateways: dict[str, str]) -> None:
        """Know `gateways`: serial -> public key, both hex; raises ValueError."""
        self.journal = journal
        self.faults = BackendFaults()
        self._keys: dict[str, EllipticCurvePublicKey] = {
            serial.lower(): public_key(key) for serial, key in gateways.items()
        }
        self._server = HttpServer(self._handle, _body_limit)
        self._return: asyncio.Task[None] | None = None
        self._routes: dict[
            tuple[str, str], Callable[[Request], Awaitable[Response | Break]]
        ] = {
            ("POST", DATA_PATH): self._take_packet,
            ("POST", DATA_PATH.rstrip("/")): self._take_packet,
            ("POST", "/"): self._answer_graphql,
            ("POST", "/gateways"): self._add_gateway,
            ("POST", "/control"): self._control,
            ("POST", "/expect"): self._expect,
            ("GET", "/report"): self._report,
            ("GET", "/journal"): self._journal,
        }

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one. Raises OSError."""
        await self._server.start(host, port)

    def close(self) -> None:
        """Stop listening, drop every connection, close the journal."""
        if self._return is not None:
            self._return.cancel()
        self._server.close()
        self.journal.close()

    async def _handle(self, request: Request) -> Response | Break:
        route = self._routes.get((request.method, request.path))
        if route is None:
            known = any(path == request.path for _, path in self._routes)
            return Response(405 if known else 404, b"there is nothing here")
        try:
            return await route(request)
        except (_BadRequestError, *NOT_AS_EXPECTED) as error:
            return Response(400, str(error).encode())

    async def _take_packet(self, request: Request) -> Response | Break:
        faults = self.faults
        trouble = await self._trouble(faults)
        if trouble is not None:
            return trouble
        response = self._judge(request.body, faults)
        if happens(faults.lose_reply):
            return Break("reset")
        return response

    def _judge(self, raw: bytes, faults: BackendFaults) -> Response:
        try:
            packet = verified(raw.strip(), self._keys)
        except InvalidPacketError as error:
            self.journal.counts.invalid += 1
            return Response(400, str(error).encode())
        except UnknownGatewayError as error:
            self.journal.counts.unknown += 1
            return Response(403, str(error).encode())
        if packet.sn in faults.reject_packets:
            return Response(400, f"packets of {packet.sn} are rejected".encode())
        self.journal.add(packet)
        return Response(200, b"OK")

    async def _answer_graphql(self, request: Request) -> Response | Break:
        trouble = await self._trouble(self.faults)
        if trouble is not None:
            return trouble
        query = msgspec.json.decode(request.body, type=_GraphQL).query
        asked = _NAME_QUERY.search(query)
        if asked is None:
            return _json({"errors": [{"message": "only gatewayName is known"}]})
        name = gateway_name(asked[1])
        return _json(
            {"data": {"gatewayConfiguration": {"gatewayName": {"name": name}}}}
        )

    async def _trouble(self, faults: BackendFaults) -> Response | Break | None:
        if faults.slow_ms:
            await asyncio.sleep(faults.slow_ms / 1000)
        if happens(faults.reset):
            return Break("reset")
        if happens(faults.hang):
            return Break("hang")
        if happens(faults.garbage):
            return Break("garbage", os.urandom(_GARBAGE_BYTES))
        if happens(faults.refuse):
            return Response(503, b"told to refuse")
        return None

    async def _add_gateway(self, request: Request) -> Response:
        gateway = msgspec.json.decode(request.body, type=_Gateway)
        try:
            key = public_key(gateway.public_key)
        except ValueError as error:
            raise _BadRequestError(f"public_key: {error}") from None
        self._keys[gateway.serial.lower()] = key
        return _json({"ok": True})

    async def _control(self, request: Request) -> Response:
        change = msgspec.json.decode(request.body, type=dict[str, object] | None)
        now = msgspec.to_builtins(self.faults) if change is not None else {}
        faults = msgspec.convert({**now, **(change or {})}, BackendFaults)
        if faults.down_ms:
            self._return = asyncio.create_task(self._go_down(faults.down_ms / 1000))
        self.faults = msgspec.structs.replace(faults, down_ms=0)
        return _json({"ok": True, "faults": faults})

    async def _go_down(self, seconds: float) -> None:
        host, port = self._server.host, self._server.port
        # The answer to the request that asked for this goes out first.
        await asyncio.sleep(0.01)
        self._server.close()
        await asyncio.sleep(seconds)
        await self._server.start(host, port)

    async def _report(self, request: Request) -> Response:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdecimal()):
            raise _BadRequestError(f"after: {after!r} is not a stamp in milliseconds")
        return _json(self.journal.report(int(after)))

    async def _journal(self, request: Request) -> Response:  # noqa: ARG002 - a route
        return Response(200, self.journal.ndjson(), "application/x-ndjson")

    async def _expect(self, request: Request) -> Response:
        expected: dict[str, list[int]] = {}
        for document in _documents(request.body):
            for sn, stamps in document.items():
                expected.setdefault(sn, []).extend(stamps)
        return _json(self.journal.compare(expected))


def gateway_name(serial: str) -> str:
    """Return the three words that name a gateway; the same for the same serial."""
    digest = hashlib.sha256(serial.lower().encode()).digest()
    words = zip(_WORDS, digest, strict=False)
    return " ".join(choice[byte % len(choice)] for choice, byte in words)


def _documents(body: bytes) -> list[dict[str, list[int]]]:
    lines = body.splitlines() if body.count(b"\n") > 1 else [body]
    decoder = msgspec.json.Decoder(dict[str, list[int]])
    try:
        return [decoder.decode(line) for line in lines if line.strip()]
    except ValueError:
        return [decoder.decode(body)]


def _body_limit(path: str) -> int:
    return EXPECT_LIMIT_BYTES if path == "/expect" else BODY_LIMIT_BYTES


def _json(value: object) -> Response:
    return Response(200, msgspec.json.encode(value), "application/json")


_WORDS = tuple(
    line.split()
    for line in (
        "amber bold brisk calm clever coral eager early fresh gentle golden happy keen "
        "lively lucky mellow",
        "birch cedar cherry clover copper crystal fern hazel ivory juniper maple "
        "meadow olive pearl silver willow",
        "badger beaver crane falcon fox heron jay lark lynx marten otter owl puffin "
        "robin seal swift",
    )
)

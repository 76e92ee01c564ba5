"""A small HTTP/1.1 server that can also misbehave on request.

Only what a backend in a test needs: keep-alive, bodies with a length, limits on sizes
and times. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

HEAD_LIMIT_BYTES = 65_536
"""Also how much is read ahead: half a packet, so that few reads are interrupted."""
IDLE_LIMIT_S = 75.0
BODY_LIMIT_S = 10.0
HANG_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its whole body."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """A proper answer."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Break:
    """Anything but an answer; the connection does not survive it."""

    how: Literal["reset", "hang", "garbage"]
    raw: bytes = b""


Handler = Callable[[Request], Awaitable[Response | Break]]
BodyLimit = Callable[[str], int]
"""Largest body in bytes for a path."""


class _Refused(Exception):
    """Raised when a request is not worth reading on; answered, then closed."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class HttpServer:
    """Serves one handler on one address."""

    def __init__(self, handler: Handler, body_limit: BodyLimit) -> None:
        self._handler = handler
        self._body_limit = body_limit
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.host = ""
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one, told by `port`. Raises OSError."""
        self.host = host
        self._listener = await asyncio.start_server(
            self._serve, host, port, limit=HEAD_LIMIT_BYTES, backlog=128
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for task in self._tasks:
            task.cancel()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - always inside one
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except asyncio.CancelledError:
            # Closing: the task ends here, nobody waits for its cancellation.
            _reset(writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Serve one request; return whether the connection lives on."""
        try:
            request, keep = await self._request(reader, writer)
        except _Refused as refusal:
            body = str(refusal).encode()
            _write(writer, Response(refusal.status, body), keep=False)
            await writer.drain()
            return False
        reply = await self._handler(request)
        if isinstance(reply, Break):
            await _break(reader, writer, reply)
            return False
        _write(writer, reply, keep=keep)
        await writer.drain()
        return keep

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[Request, bool]:
        try:
            async with asyncio.timeout(IDLE_LIMIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from None
        method, target, version, headers = _parse_head(head)
        path, query = _parse_target(target)
        length = _body_length(headers, self._body_limit(path))
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        async with asyncio.timeout(BODY_LIMIT_S):
            body = await reader.readexactly(length) if length else b""
        wish = headers.get("connection", "").lower()
        keep = wish != "close" and (version == "HTTP/1.1" or wish == "keep-alive")
        return Request(method, path, query, body), keep


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise _Refused(HTTPStatus.BAD_REQUEST)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
        elif line:
            raise _Refused(HTTPStatus.BAD_REQUEST)
    return parts[0], parts[1], parts[2], headers


def _parse_target(target: str) -> tuple[str, dict[str, str]]:
    try:
        url = urlsplit(target)
        return url.path, dict(parse_qsl(url.query))
    except ValueError:
        raise _Refused(HTTPStatus.BAD_REQUEST) from None


def _body_length(headers: dict[str, str], limit: int) -> int:
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise _Refused(HTTPStatus.BAD_REQUEST)
    if int(text) > limit:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return int(text)


def _write(writer: asyncio.StreamWriter, response: Response, *, keep: bool) -> None:
    head = (
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
        f"Content-Type: {response.content_type}\r\n"
        f"Content-Length: {len(response.body)}\r\n"
        f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    )
    writer.write(head.encode() + response.body)


async def _break(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, how: Break
) -> None:
    if how.how == "garbage":
        writer.write(how.raw)
        await writer.drain()
    elif how.how == "hang":
        # Until the other side gives up; what it still sends is thrown away.
        async with asyncio.timeout(HANG_LIMIT_S):
            while await reader.read(HEAD_LIMIT_BYTES):
                pass
    else:
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side gets "connection reset by peer"."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.transport.abort()

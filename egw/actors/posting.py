"""One HTTP POST with bounds on everything the other side can do to us."""

from __future__ import annotations

import http.client
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket

_MAX_REPLY_BYTES = 64 * 1024
_PIECE_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes
    """At most 64 KiB of it."""
    retry_after_s: float | None


class PostError(Exception):
    """Raised when no complete reply came; the text says why."""


class _Within(io.RawIOBase):
    """What comes from a socket until the socket's timeout is over, counted from now.

    The timeout of a socket alone bounds the wait for each byte, not for the whole.
    """

    def __init__(self, sock: socket.socket, stream: io.RawIOBase) -> None:
        self._sock = sock
        self._stream = stream
        self._timeout_s = sock.gettimeout() or 0.0
        self._deadline = time.monotonic() + self._timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the reply did not end in time")
        self._sock.settimeout(left_s)
        try:
            return self._stream.readinto(buffer)
        finally:
            self._sock.settimeout(self._timeout_s)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _PromptResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_Within(sock, raw))


class _Connection(HTTPConnection):
    response_class = _PromptResponse


class _TlsConnection(HTTPSConnection):
    response_class = _PromptResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Poster:
    """Kept-alive connections to one server. Safe to use from several threads."""

    def __init__(self, *, timeout_s: float, connections: int) -> None:
        """`timeout_s` bounds each of three: connecting, a write, the whole reply."""
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s),
        )
        self._pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def post(self, url: str, body: bytes, *, content_type: str) -> Reply:
        """Send `body`; raises PostError for anything but a complete reply in time."""
        try:
            response = self._pool.request(
                "POST",
                url,
                body=body,
                headers={"Content-Type": content_type, "User-Agent": "egw"},
                preload_content=False,
                redirect=False,
            )
            try:
                data = _read(response)
            except BaseException:
                response.close()
                raise
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise PostError(_plain(error)) from error
        return Reply(response.status, data, _retry_after_s(response))

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def _plain(error: BaseException) -> str:
    """Return what the system said, where urllib3 only wraps it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[0].lower() + cause.strerror[1:]
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    data = bytearray()
    # Not decoded: a few compressed bytes could become a memory full of zeros.
    for piece in response.stream(_PIECE_BYTES, decode_content=False):
        data += piece
        if len(data) > _MAX_REPLY_BYTES:
            raise PostError("the reply is longer than 64 KiB")
    return bytes(data)


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """Only the form in seconds (RFC 9110, 10.2.3) is understood, up to an hour."""
    text = response.headers.get("Retry-After", "")
    is_seconds = text.isascii() and text.isdecimal()
    return min(float(text), 3600.0) if is_seconds else None

"""One HTTP POST with bounds on everything the other side can do to us."""

from __future__ import annotations

import time
from dataclasses import dataclass

import urllib3

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


class Poster:
    """Kept-alive connections to one server. Safe to use from several threads."""

    def __init__(self, *, timeout_s: float, connections: int) -> None:
        self._timeout_s = timeout_s
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=connections,
            block=True,
            retries=False,
            timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s),
        )

    def post(self, url: str, body: bytes, *, content_type: str) -> Reply:
        """Send `body`; raises PostError for anything but a complete reply in time."""
        deadline = time.monotonic() + self._timeout_s
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
                data = _read(response, deadline)
            except BaseException:
                response.close()
                raise
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise PostError(f"{type(error).__name__}: {error}") from error
        return Reply(response.status, data, _retry_after_s(response))

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    data = bytearray()
    for piece in response.stream(_PIECE_BYTES):
        data += piece
        if len(data) > _MAX_REPLY_BYTES:
            raise PostError("the reply is longer than 64 KiB")
        if time.monotonic() > deadline:
            raise PostError("the reply did not end in time")
    return bytes(data)


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """Only the form in seconds (RFC 9110, 10.2.3) is understood, up to an hour."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), 3600.0) if text.isdigit() else None

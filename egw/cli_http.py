"""Asking a running gateway over HTTP."""

from __future__ import annotations

from typing import Any

import urllib3

from egw.cli_arguments import DEFAULT_URL

_TIMEOUT_S = 5.0


class NoAnswerError(Exception):
    """Raised when there is no gateway's answer at an address; one line says why."""


def ask(url: str, path: str) -> dict[str, Any]:
    """Return the JSON object that the gateway at `url` has at `path`.

    Raises NoAnswerError when it does not answer, or answers with an error.
    """
    if "://" not in url:
        wanted = f"http://{url}" if url else DEFAULT_URL
        raise NoAnswerError(f"{url!r} is not a URL; did you mean {wanted}?")
    address = url.rstrip("/") + path
    try:
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S) as http:
            reply = http.request("GET", address)
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswerError(f"no gateway answers at {url}: {_why(error)}") from error
    try:
        body = reply.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise NoAnswerError(f"what answers at {url} is not a gateway")
    if reply.status != 200:
        raise NoAnswerError(f"{url}: {body.get('message', reply.status)}")
    return body


def _why(error: urllib3.exceptions.HTTPError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return f"nothing within {_TIMEOUT_S:g} s"
    return str(error)

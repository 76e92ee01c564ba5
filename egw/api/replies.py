"""How the API writes: JSON bodies, and one shape for every error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon
import msgspec
import structlog

if TYPE_CHECKING:
    from falcon import Request, Response

_encode = msgspec.json.Encoder().encode
_log = structlog.get_logger()


def send(resp: Response, body: Any, status: str = falcon.HTTP_200) -> None:
    """Answer with a JSON body."""
    resp.status = status
    resp.content_type = falcon.MEDIA_JSON
    resp.data = _encode(body)


def error_body(message: str, field: str | None = None) -> dict[str, str | None]:
    """Return the body of every error; `field` names the input that is wrong."""
    return {"message": message, "field": field}


class BadField(falcon.HTTPBadRequest):
    """Raised when a query parameter is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(description=message)
        self.field = field


def write_error(req: Request, resp: Response, error: falcon.HTTPError) -> None:
    """Serialize an HTTPError; Falcon calls it for all of them."""
    message = error.description or f"{error.title} ({req.method} {req.path})"
    field = error.field if isinstance(error, BadField) else None
    resp.content_type = falcon.MEDIA_JSON
    resp.data = _encode(error_body(message, field))


def not_found(req: Request, resp: Response, **_: Any) -> None:
    """Answer a path that is not routed."""
    del resp
    raise falcon.HTTPNotFound(description=f"there is nothing at {req.path}")


def wrong_method(
    req: Request, _resp: Response, error: falcon.HTTPMethodNotAllowed, _params: Any
) -> None:
    """Say which methods a path has."""
    methods = dict(error.headers or {}).get("Allow", "nothing")
    error.description = f"{req.method} is not possible here; possible: {methods}"
    raise error


def unexpected(req: Request, resp: Response, error: Exception, _params: Any) -> None:
    """Log a bug and answer without telling where it is."""
    _log.error("api.failed", path=req.path, error=repr(error), exc_info=error)
    send(resp, error_body("the gateway could not do this"), falcon.HTTP_500)

"""The status page: files that are read once and served with their hash as ETag."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

import falcon

if TYPE_CHECKING:
    from falcon import Request, Response

FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Path to the file in `egw/web` and its type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class StaticFile:
    """One file of the page. Browsers keep it and ask each time whether it changed."""

    def __init__(self, name: str, media_type: str) -> None:
        self._data = files("egw.web").joinpath(name).read_bytes()
        self._etag = f'"{hashlib.sha256(self._data).hexdigest()[:16]}"'
        self._media_type = media_type

    def on_get(self, req: Request, resp: Response) -> None:
        """Answer the file, or 304 when the browser has it."""
        resp.set_header("ETag", self._etag)
        resp.set_header("Cache-Control", "no-cache")
        resp.set_header("Content-Security-Policy", POLICY)
        if self._etag in (req.get_header("If-None-Match") or ""):
            resp.status = falcon.HTTP_304
            return
        resp.content_type = self._media_type
        resp.data = self._data

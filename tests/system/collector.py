"""An endpoint that takes everything and shows the words of each reading."""

from __future__ import annotations

import base64
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Words = dict[str, int]
"""Register number to word."""


class Collector:
    """Packets are told apart by their bytes; signatures are the backend's matter."""

    def __init__(self) -> None:
        self._packets: set[bytes] = set()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.packets = self._packets
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/"

    def readings(self) -> dict[str, dict[int, Words]]:
        """Return stamp and words of every reading, by serial number."""
        readings: dict[str, dict[int, Words]] = defaultdict(dict)
        for packet in tuple(self._packets):
            header, payload = (json.loads(_decoded(p)) for p in packet.split(b".")[:2])
            for stamp, words in payload.items():
                readings[header["sn"]][int(stamp)] = words
        return readings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    packets: set[bytes]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        size = int(self.headers["Content-Length"])
        self.server.packets.add(self.rfile.read(size))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))

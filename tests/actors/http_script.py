"""An HTTP server that answers, byte by byte, what a test tells it to."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from waiting_for import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Callable[[socket.socket], bool]
    """Answers one request on this connection; returns whether it stays open."""


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    head: str
    body: bytes


def reply(status: int = 200, body: bytes = b"OK", **headers: str) -> Answer:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")

    def answer(connection: socket.socket) -> bool:
        connection.sendall(head + body)
        return True

    return answer


def raw(data: bytes) -> Answer:
    """Send these bytes and close."""

    def answer(connection: socket.socket) -> bool:
        connection.sendall(data)
        return False

    return answer


class HttpScript:
    """Answers each request with the next of its script, the last one for ever."""

    def __init__(self, *script: Answer) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.closed = 0
        """Connections that the server has closed."""
        self.closing = threading.Event()
        """Set at the end, for answers that wait."""
        self._script = list(script) or [reply()]
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/gw/data/"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def answer_with(self, *script: Answer) -> None:
        with self._lock:
            self._script = list(script)

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.received]

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(HANG_S)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(HANG_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._threads.append(
                threading.Thread(target=self._serve, args=(connection,))
            )
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            connection,
            contextlib.suppress(OSError),
            connection.makefile("rb") as file,
        ):
            self._talk(connection, file)
        self.closed += 1

    def _talk(self, connection: socket.socket, file: io.BufferedReader) -> None:
        for request in _requests(file):
            with self._lock:
                self.received.append(request)
                answer = self._script[0]
                if len(self._script) > 1:
                    self._script.pop(0)
            if not answer(connection):
                return


def _requests(file: io.BufferedReader) -> Iterator[Received]:
    while first := file.readline():
        lines = [first]
        while lines[-1] != b"\r\n":
            lines.append(file.readline())
        head = b"".join(lines).decode("latin-1")
        length = head.lower().split("content-length:")[1].split("\r\n")[0]
        yield Received(head, file.read(int(length)))

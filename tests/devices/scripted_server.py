"""A Modbus TCP server that answers what a test tells it to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Answer = Callable[[bytes], bytes | None]
"""Request frame to reply frame; b"" is silence, None closes the connection."""

HANG_BOUND_S = 10


class ScriptedServer:
    """Serves one client after the other, in a thread, until closed."""

    def __init__(self) -> None:
        self.answer: Answer = registers
        self.requests: list[bytes] = []
        self.accepted = 0
        self.endings: list[str] = []
        """How each connection ended: `closed` or `reset` by the client."""
        self._changed = threading.Condition()
        self._open: socket.socket | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._open is not None:
            self._open.close()
        self._thread.join(HANG_BOUND_S)
        assert not self._thread.is_alive()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, HANG_BOUND_S)

    def push(self, frame: bytes) -> None:
        """Send bytes that nobody asked for."""
        assert self._open is not None
        self._open.sendall(frame)

    def hang_up(self) -> None:
        """Close the connection that is open."""
        assert self._open is not None
        self._open.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open = connection
                self._note(accepted=1)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        try:
            while request := connection.recv(512):
                reply = self.answer(request)
                self._note(request=request)
                if reply is None:
                    return
                connection.sendall(reply)
            self._note(ending="closed")
        except ConnectionResetError:
            self._note(ending="reset")
        except OSError:
            return

    def _note(
        self, *, accepted: int = 0, request: bytes = b"", ending: str = ""
    ) -> None:
        with self._changed:
            self.accepted += accepted
            if ending:
                self.endings.append(ending)
            if request:
                self.requests.append(request)
            self._changed.notify_all()


@contextmanager
def serving() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.close()


def registers(request: bytes) -> bytes:
    """Answer properly: register n holds n; a write is confirmed."""
    address = int.from_bytes(request[8:10])
    count = int.from_bytes(request[10:12])
    if request[7] == 16:
        return reply_to(request, request[8:12])
    words = b"".join(n.to_bytes(2) for n in range(address, address + count))
    return reply_to(request, bytes([len(words)]) + words)


def reply_to(request: bytes, data: bytes, *, function: int | None = None) -> bytes:
    """Frame a reply; the function code is the request's unless another is given."""
    code = request[7] if function is None else function
    return (
        request[:4] + (len(data) + 2).to_bytes(2) + request[6:7] + bytes([code]) + data
    )


def exception(code: int) -> Answer:
    return lambda request: reply_to(request, bytes([code]), function=request[7] | 0x80)

"""Waitress, with limits that a slow or hostile client cannot get around."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from waitress.adjustments import Adjustments  # type: ignore[import-untyped]
from waitress.server import TcpWSGIServer  # type: ignore[import-untyped]
from waitress.task import ThreadedTaskDispatcher  # type: ignore[import-untyped]
from waitress.wasyncore import close_all  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import falcon

MAX_BODY_BYTES = 65_536
MAX_HEADER_BYTES = 16_384
MAX_CONNECTIONS = 200
IDLE_S = 10
"""A connection without traffic, a request that does not get complete and an answer
that is not taken are given up after this."""
_CLEANUP_S = 2
_STOP_S = 0.4


class _Server(TcpWSGIServer):  # type: ignore[misc] # Waitress has no types
    """Ends what Waitress itself would let live for ever.

    It never ends a request that comes a byte at a time, and before it closes a
    connection it waits to write to it, even when the client does not read.
    """

    def __init__(self, app: Any, **settings: Any) -> None:
        self._began_s: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        super().__init__(app, **settings)

    def maintenance(self, now: float) -> None:
        """Close connections that are idle or too slow; runs in the server's loop."""
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            if self._is_stuck(channel, now):
                channel.handle_close()

    def _is_stuck(self, channel: Any, now_s: float) -> bool:
        request = channel.request
        if request is None:
            return bool(channel.will_close and channel.total_outbufs_len)
        return now_s - self._began_s.setdefault(request, now_s) > IDLE_S


class ApiServer:
    """A listening socket and the threads behind it.

    The constructor listens at once; it raises OSError when it cannot have the address.
    """

    def __init__(
        self, app: falcon.App[Any, Any], *, host: str, port: int, threads: int
    ) -> None:
        sock = _bound(host, port)
        settings = Adjustments(
            sockets=[sock],
            ident="",
            max_request_body_size=MAX_BODY_BYTES,
            max_request_header_size=MAX_HEADER_BYTES,
            connection_limit=MAX_CONNECTIONS,
            channel_timeout=IDLE_S,
            cleanup_interval=_CLEANUP_S,
            asyncore_use_poll=True,
            log_socket_errors=False,
        )
        self._dispatcher = ThreadedTaskDispatcher()
        self._dispatcher.set_thread_count(threads)
        self._map: dict[int, Any] = {}
        self._server = _Server(
            app,
            map=self._map,
            _sock=sock,
            dispatcher=self._dispatcher,
            adj=settings,
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
        )
        self._thread = threading.Thread(target=self._server.run, name="http")
        self._thread.daemon = True
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.effective_port)

    def close(self) -> None:
        """Give running answers a moment, then close every connection."""
        self._dispatcher.shutdown(timeout=_STOP_S)
        # The loop ends when its map is empty; it must be the one that empties it.
        trigger = self._server.trigger
        # Under the lock: woken by an earlier pull the loop would close the pipe first.
        with trigger.lock:
            trigger.thunks.append(lambda: close_all(self._map, ignore_all=True))
            os.write(trigger.trigger, b"x")
        self._thread.join(_STOP_S)


def _bound(host: str, port: int) -> socket.socket:
    """Bind here: Waitress would leak its pipe and its socket on each failure."""
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock

"""A serial line behind a bridge that passes on bytes over TCP as they are."""

from __future__ import annotations

import select
import socket

from egw.devices.sockets import connect
from egw.devices.wire import SerialLine

_MOST_BYTES = 4096


class TcpBridge:
    """A TCP connection to a transparent bridge; implements `Wire`.

    The bridge alone knows how fast its line is: 9600 baud is taken, which is as slow as
    is common.
    """

    def __init__(self, host: str, port: int, *, reset_at_end: bool) -> None:
        self.line = SerialLine()
        self._where = (host, port)
        self._reset_at_end = reset_at_end
        self._socket: socket.socket | None = None
        self._arrivals = select.poll()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known without trying."""
        return self._socket is not None

    def open(self, timeout_s: float) -> None:
        """Connect to the bridge. Raises NoConnection."""
        self._socket = connect(self._where, timeout_s, reset_at_end=self._reset_at_end)
        self._arrivals = select.poll()
        self._arrivals.register(self._socket, select.POLLIN)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def start_afresh(self) -> None:
        """Close the connection: a bridge that lost its power does not say so."""
        self.close()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError."""
        self._opened().sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        """Wait until bytes have come; none means that none did. Raises OSError."""
        connection = self._opened()
        if not self._arrivals.poll(timeout_s * 1000):
            return b""
        data = connection.recv(_MOST_BYTES)
        if not data:
            raise ConnectionResetError("the bridge closed the connection")
        return data

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionError("there is no connection")
        return self._socket

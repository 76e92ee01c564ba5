"""TCP connections to devices."""

from __future__ import annotations

import socket
import struct

from egw.devices.transport import NoConnection

KEEPALIVE_S = 15


def connect(
    where: tuple[str, int], timeout_s: float, *, reset_at_end: bool
) -> socket.socket:
    """Connect to host and port; the socket does not block.

    With `reset_at_end` the connection ends by a reset, even when this process is
    killed: a device that serves one connection has its place free at once, and need not
    notice first that the connection was closed. Raises NoConnection, which says why.
    """
    try:
        connection = socket.create_connection(where, timeout_s)
        _tune(connection, reset_at_end=reset_at_end)
    except (OSError, UnicodeError) as error:
        host, port = where
        why = getattr(error, "strerror", None) or str(error)
        raise NoConnection(f"cannot connect to {host}:{port}: {why.lower()}") from error
    return connection


def _tune(connection: socket.socket, *, reset_at_end: bool) -> None:
    connection.settimeout(0)
    if reset_at_end:
        linger = struct.pack("ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)

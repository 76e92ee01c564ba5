"""One stream socket between two processes, carrying frames.

Neither end can make the other wait: a send that the socket does not take at once goes
to a bounded backlog that only the writer thread drains, and the reader thread never
waits for anything but the socket. So two processes that flood each other lose frames
(and say so), but never stand still.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import deque
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FRAME_BYTES = 16 * 1024 * 1024
_MAX_BACKLOG_BYTES = 32 * 1024 * 1024
_READ_BYTES = 256 * 1024
_HEAD = struct.Struct(">IBQBB")
"""Length of what follows, kind, serial, length of `to`, length of `origin`."""
_AFTER_LENGTH = _HEAD.size - 4


class Kind(IntEnum):
    """What a frame is."""

    TELL = 1
    ASK = 2
    REPLY = 3
    FAIL = 4


class Frame(NamedTuple):
    """A message between processes. Routers look at the head only."""

    kind: int
    serial: int
    """Pairs an ask with its answer; unique for `origin`."""
    to: str
    """An actor for TELL and ASK, the asking process for REPLY and FAIL."""
    origin: str
    """The asking process."""
    payload: bytes


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    to, origin = frame.to.encode(), frame.origin.encode()
    length = _AFTER_LENGTH + len(to) + len(origin) + len(frame.payload)
    head = _HEAD.pack(length, frame.kind, frame.serial, len(to), len(origin))
    return b"".join((head, to, origin, frame.payload))


def decode(data: bytes) -> Frame:
    """Return the frame that `encode` made."""
    _, kind, serial, to_len, origin_len = _HEAD.unpack_from(data)
    to_end = _HEAD.size + to_len
    origin_end = to_end + origin_len
    return Frame(
        kind,
        serial,
        data[_HEAD.size : to_end].decode(),
        data[to_end:origin_end].decode(),
        data[origin_end:],
    )


class Link:
    """One end. `on_frame(frame, data)` and `on_closed()` run in the reader thread.

    `data` are the frame's bytes as they came, for forwarding.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        name: str,
        on_frame: Callable[[Frame, bytes], None],
        on_closed: Callable[[], None],
    ) -> None:
        self.name = name
        self._socket = sock
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._lock = threading.Condition()
        self._backlog: deque[bytes] = deque()
        self._backlog_bytes = 0
        self._closed = False
        self._writing = False
        self._threads = [
            # In this order: the reader, when it ends, joins the writer.
            threading.Thread(target=self._write, name=f"{name}-writer", daemon=True),
            threading.Thread(target=self._read, name=f"{name}-reader", daemon=True),
        ]

    def start(self) -> None:
        """Begin to read and write."""
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> bool:
        """Send a frame's bytes; False when the link is closed or its backlog full."""
        with self._lock:
            if self._closed or self._backlog_bytes > _MAX_BACKLOG_BYTES:
                return False
            if not self._backlog and not self._writing:
                data = data[self._send_now(data) :]
                if not data:
                    return True
            self._backlog.append(data)
            self._backlog_bytes += len(data)
            self._lock.notify()
        return True

    def _send_now(self, data: bytes) -> int:
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            # The reader sees the end and closes; the bytes are as lost as the peer.
            return len(data)

    def close(self) -> None:
        """End both threads; `on_closed` is called by the reader."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        # A close alone would not wake a thread that waits in recv.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the backlog is written."""
        with self._lock:
            return self._lock.wait_for(
                lambda: self._closed or (not self._backlog and not self._writing),
                timeout_s,
            )

    def _write(self) -> None:
        while True:
            with self._lock:
                self._writing = False
                self._lock.notify_all()
                self._lock.wait_for(lambda: self._closed or bool(self._backlog))
                if self._closed:
                    return
                data = b"".join(self._backlog)
                self._backlog.clear()
                self._backlog_bytes = 0
                self._writing = True
            try:
                self._socket.sendall(data)
            except OSError:
                self.close()

    def _read(self) -> None:
        buffer = bytearray()
        try:
            while chunk := self._socket.recv(_READ_BYTES):
                buffer += chunk
                self._take_frames(buffer)
        except (OSError, UnicodeDecodeError):
            buffer.clear()
        self.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        self._socket.close()
        self._on_closed()

    def _take_frames(self, buffer: bytearray) -> None:
        start = 0
        while len(buffer) - start >= _HEAD.size:
            end = start + 4 + int.from_bytes(buffer[start : start + 4], "big")
            if not _HEAD.size <= end - start <= MAX_FRAME_BYTES:
                raise OSError("the peer announced a frame beyond the limits")
            if len(buffer) < end:
                break
            data = bytes(buffer[start:end])
            self._on_frame(decode(data), data)
            start = end
        del buffer[:start]

"""Modbus RTU devices that answer what a test tells them to: on a pty, or over TCP."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HANG_BOUND_S = 10

Answer = Callable[[bytes], bytes]
"""Request frame to reply frame; b"" is silence."""


class ScriptedPort:
    """A serial port with a device behind it, in a thread, until closed."""

    def __init__(self, path: Path) -> None:
        self.answer: Answer = registers
        self.requests: list[bytes] = []
        self.path = str(path)
        self._ends: tuple[int, int] | None = None
        self._thread: threading.Thread
        self._wake: tuple[int, int]
        self.plug_in()

    def plug_in(self) -> None:
        self._ends = pty.openpty()
        tty.setraw(self._ends[1])
        Path(self.path).symlink_to(os.ttyname(self._ends[1]))
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        if self._ends is None:
            return
        os.write(self._wake[1], b"x")
        self._thread.join(HANG_BOUND_S)
        assert not self._thread.is_alive()
        Path(self.path).unlink()
        for end in (*self._ends, *self._wake):
            os.close(end)
        self._ends = None

    def push(self, data: bytes) -> None:
        """Send bytes that nobody asked for."""
        assert self._ends is not None
        os.write(self._ends[0], data)

    def _serve(self) -> None:
        assert self._ends is not None
        line, wake = self._ends[0], self._wake[0]
        while wake not in (ready := select.select([line, wake], [], [])[0]):
            assert ready == [line]
            request = os.read(line, 512)
            reply = self.answer(request)
            self.requests.append(request)
            if reply:
                os.write(line, reply)


@contextmanager
def plugged_in(path: Path) -> Iterator[ScriptedPort]:
    port = ScriptedPort(path)
    try:
        yield port
    finally:
        port.unplug()


class PlayedWire:
    """A wire in memory; time passes when one waits for bytes that do not come."""

    def __init__(self, line: object) -> None:
        self.line = line
        self.is_open = False
        self.now_s = 1000.0
        self.sleeps: list[float] = []
        self.sent: list[bytes] = []
        self.answer: Callable[[bytes], Sequence[bytes]] = lambda request: [
            registers(request)
        ]
        self._coming: list[bytes] = []

    def open(self, timeout_s: float) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def start_afresh(self) -> None:
        return

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        self._coming.extend(self.answer(data))

    def receive(self, timeout_s: float) -> bytes:
        with contextlib.suppress(IndexError):
            return self._coming.pop(0)
        self.now_s += timeout_s
        return b""

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds

    def monotonic(self) -> float:
        return self.now_s


def registers(request: bytes) -> bytes:
    """Answer properly: register n holds n; a write is confirmed."""
    address = int.from_bytes(request[2:4])
    count = int.from_bytes(request[4:6])
    if request[1] == 16:
        return framed(request[:6])
    words = b"".join((n % 65536).to_bytes(2) for n in range(address, address + count))
    return framed(request[:2] + bytes([len(words)]) + words)


def exception(code: int) -> Answer:
    return lambda request: framed(bytes([request[0], request[1] | 0x80, code]))


def framed(content: bytes) -> bytes:
    """Add the check sum, by the polynomial x^16 + x^15 + x^2 + 1."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return content + crc.to_bytes(2, "little")

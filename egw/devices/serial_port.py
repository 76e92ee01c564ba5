"""A serial port of this machine, through pyserial, for one program at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios

from serial import EIGHTBITS, PARITY_EVEN, PARITY_NONE, PARITY_ODD, Serial

from egw.devices.transport import NoConnection, NoPort
from egw.devices.wire import Parity, SerialLine

_MOST_BYTES = 4096
_SENDING_S = 2.0
_PARITIES: dict[Parity, str] = {
    "none": PARITY_NONE,
    "even": PARITY_EVEN,
    "odd": PARITY_ODD,
}
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO)
_IN_USE = (errno.EAGAIN, errno.EBUSY)


class SerialPort:
    """A serial port by its path; implements `Wire`."""

    def __init__(self, path: str, line: SerialLine) -> None:
        self.line = line
        self._path = path
        self._port: Serial | None = None
        self._arrivals = select.poll()

    @property
    def is_open(self) -> bool:
        """Whether bytes can be sent, as far as is known without trying."""
        return self._port is not None

    def open(self, timeout_s: float) -> None:  # noqa: ARG002 - opening does not wait
        """Open the port, alone, and drop what has come into it before.

        Raises NoPort when there is none, NoConnection when it cannot be used.
        """
        line = self.line
        try:
            port = Serial(
                self._path,
                baudrate=line.baud_rate,
                bytesize=EIGHTBITS,
                parity=_PARITIES[line.parity],
                stopbits=line.stop_bits,
                timeout=0,
                write_timeout=_SENDING_S,
                exclusive=True,  # a lock, which programs that ask for one respect
            )
            self._port = port
            # Other programs cannot open it at all, unless they are root's.
            fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
        except (OSError, ValueError, termios.error) as error:
            self.close()
            raise self._failure(error) from error
        self._arrivals = select.poll()
        self._arrivals.register(port, select.POLLIN)

    def close(self) -> None:
        """Close the port, if it is open."""
        port, self._port = self._port, None
        if port is None:
            return
        with contextlib.suppress(OSError):  # it may be gone
            fcntl.ioctl(port.fileno(), termios.TIOCNXCL)
        port.close()

    def start_afresh(self) -> None:
        """Do nothing: a port that is opened anew is no better."""

    def send(self, data: bytes) -> None:
        """Send bytes. Raises OSError."""
        self._opened().write(data)

    def receive(self, timeout_s: float) -> bytes:
        """Wait until bytes have come; none means that none did. Raises OSError."""
        port = self._opened()
        if not self._arrivals.poll(timeout_s * 1000):
            return b""
        return port.read(_MOST_BYTES)

    def _opened(self) -> Serial:
        if self._port is None:
            raise OSError(errno.EBADF, "the port is closed")
        return self._port

    def _failure(self, error: Exception) -> NoConnection:
        text = f"cannot open {self._path}: "
        number = error.errno if isinstance(error, OSError) else None
        if number in _GONE:
            return NoPort(f"{text}there is no such port")
        if number in _IN_USE:
            return NoConnection(f"{text}it is in use by another program")
        if number is not None:
            return NoConnection(text + os.strerror(number).lower())
        return NoConnection(
            f"{text}it is no serial port, or not one for these settings"
        )

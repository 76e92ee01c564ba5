"""A Modbus master and other small clients, independent of what they test."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 10.0
SILENCE_S = 0.15


class ModbusExceptionCode(Exception):
    """Raised when the device answers with an exception; `args[0]` is its code."""


class Master:
    """One connection to a device."""

    def __init__(self, port: int, unit: int = 1) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.unit = unit
        self.transaction = 0

    def close(self) -> None:
        self.socket.close()

    def send(self, pdu: bytes) -> None:
        self.transaction += 1
        head = struct.pack(">HHHB", self.transaction, 0, len(pdu) + 1, self.unit)
        self.socket.sendall(head + pdu)

    def receive(self) -> tuple[int, bytes]:
        """Return transaction id and PDU; raises ConnectionError at end of stream."""
        transaction, _, length, _ = struct.unpack(">HHHB", self._exactly(7))
        return transaction, self._exactly(length - 1)

    def ask(self, pdu: bytes) -> bytes:
        self.send(pdu)
        transaction, reply = self.receive()
        assert transaction == self.transaction
        if reply[0] & 0x80:
            raise ModbusExceptionCode(reply[1])
        return reply

    def read(self, function: int, address: int, count: int) -> tuple[int, ...]:
        reply = self.ask(struct.pack(">BHH", function, address, count))
        assert reply[1] == 2 * count == len(reply) - 2
        return struct.unpack(f">{count}H", reply[2:])

    def write(self, address: int, *words: int) -> bytes:
        head = struct.pack(">BHHB", 16, address, len(words), 2 * len(words))
        return self.ask(head + struct.pack(f">{len(words)}H", *words))

    def hears_nothing(self) -> bool:
        self.socket.settimeout(SILENCE_S)
        try:
            return self.socket.recv(1) == b"never"
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)

    def is_closed_by_peer(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise ConnectionError("end of stream")
            data += more
        return data


class Gateway:
    """Makes signed packets, as a gateway does."""

    def __init__(self, serial: str = "0123456789abcdef01") -> None:
        self.serial = serial
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public_key(self) -> str:
        numbers = self._key.public_key().public_numbers()
        return f"{numbers.x:064x}{numbers.y:064x}"

    def packet(self, payload: dict[str, Any], **header: object) -> bytes:
        return self.packet_of_text(json.dumps(payload), **header)

    def packet_of_text(self, payload: str | bytes, **header: object) -> bytes:
        head = {
            "alg": "ES256",
            "typ": "JWT",
            "device": self.serial,
            "opr": "production",
            "model": "sungrow",
            "dtype": "modbus_registers",
            "sn": "SIM0000001",
        } | header
        signed = base64url(json.dumps(head).encode()) + b"."
        raw = payload.encode() if isinstance(payload, str) else payload
        signed += base64url(raw)
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return signed + b"." + base64url(signature)


def base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def http_request(
    port: int, method: str, path: str, body: bytes = b""
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; False when it does not within patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Ticks:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

"""What a backend accepts as a packet of readings, and why it refuses others.

A packet is a JWT in compact form: base64url(header).base64url(payload).base64url(r||s)
without padding. The signature is ES256 (RFC 7518, 3.4) over the first two parts with
the dot between them. The payload maps stamps in milliseconds to readings.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec import Meta

MODBUS_REGISTERS = "modbus_registers"
_SIGNATURE_BYTES = 64
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


NOT_AS_EXPECTED = (ValueError, RecursionError)
"""What decoding foreign JSON raises: malformed, not UTF-8, unfit, nested too deep."""


class _Header(msgspec.Struct, frozen=True):
    alg: Literal["ES256"]
    typ: Literal["JWT"]
    device: Annotated[str, Meta(min_length=1)]
    opr: Annotated[str, Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)]
    dtype: Annotated[str, Meta(min_length=1)]
    sn: Annotated[str, Meta(min_length=1)]


Stamp = Annotated[int, Meta(ge=1, le=10**14)]
Word = Annotated[int, Meta(ge=0, le=65535)]
_MODBUS_PAYLOAD = msgspec.json.Decoder(dict[Stamp, dict[Word, Word]])
_ANY_PAYLOAD = msgspec.json.Decoder(dict[Stamp, dict[str, object]])
_HEADER = msgspec.json.Decoder(_Header)


class InvalidPacketError(Exception):
    """Raised when a packet is not what it has to be; the text is the reason."""


class UnknownGatewayError(Exception):
    """Raised when no public key is known for the packet's `device`."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose signature holds."""

    gateway: str
    sn: str
    model: str
    dtype: str
    stamps_ms: tuple[int, ...]
    sha256: str
    """Of the packet's bytes as they came."""


def public_key(key_hex: str) -> EllipticCurvePublicKey:
    """Return the P-256 key of 128 hex digits, X then Y; raises ValueError."""
    try:
        raw = bytes.fromhex(key_hex)
    except ValueError:
        raise ValueError(f"a public key has 128 hex digits, not {key_hex!r}") from None
    if len(raw) != 64:
        raise ValueError(f"a public key has 128 hex digits, not {len(key_hex)}")
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), b"\x04" + raw)


def verified(raw: bytes, keys: dict[str, EllipticCurvePublicKey]) -> Packet:
    """Return the packet in `raw` if everything about it is right.

    `keys` are the known gateways' public keys by serial in lower case. Raises
    InvalidPacketError, UnknownGatewayError.
    """
    parts = raw.split(b".")
    if len(parts) != 3:
        raise InvalidPacketError(f"expected 3 parts with dots, found {len(parts)}")
    header = _header(_decoded(parts[0], "header"))
    key = keys.get(header.device.lower())
    if key is None:
        raise UnknownGatewayError(f"unknown device {header.device!r}")
    signed = raw[: len(parts[0]) + 1 + len(parts[1])]
    _check_signature(key, signed, _decoded(parts[2], "signature"))
    return Packet(
        gateway=header.device.lower(),
        sn=header.sn,
        model=header.model,
        dtype=header.dtype,
        stamps_ms=_stamps(_decoded(parts[1], "payload"), header.dtype),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _decoded(part: bytes, name: str) -> bytes:
    if b"+" in part or b"/" in part or b"=" in part:
        raise InvalidPacketError(f"{name}: not base64url without padding")
    padding = b"=" * (-len(part) % 4)
    try:
        return binascii.a2b_base64(
            part.translate(_TO_STANDARD) + padding, strict_mode=True
        )
    except binascii.Error:
        raise InvalidPacketError(f"{name}: not base64url without padding") from None


def _header(text: bytes) -> _Header:
    try:
        return _HEADER.decode(text)
    except NOT_AS_EXPECTED as error:
        raise InvalidPacketError(f"header: {error}") from None


def _check_signature(
    key: EllipticCurvePublicKey, signed: bytes, signature: bytes
) -> None:
    if len(signature) != _SIGNATURE_BYTES:
        raise InvalidPacketError(f"signature: {len(signature)} bytes, expected 64")
    r, s = signature[:32], signature[32:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    try:
        key.verify(der, signed, ECDSA(SHA256()))
    except InvalidSignature:
        raise InvalidPacketError("signature: does not fit") from None


def _stamps(payload: bytes, dtype: str) -> tuple[int, ...]:
    try:
        if dtype == MODBUS_REGISTERS:
            return _modbus_stamps(payload)
        stamps = tuple(_ANY_PAYLOAD.decode(payload))
    except NOT_AS_EXPECTED as error:
        raise InvalidPacketError(f"payload: {error}") from None
    if not stamps:
        raise InvalidPacketError("payload: no readings")
    return stamps


def _modbus_stamps(payload: bytes) -> tuple[int, ...]:
    readings = _MODBUS_PAYLOAD.decode(payload)
    if not readings:
        raise InvalidPacketError("payload: no readings")
    for stamp_ms, words in readings.items():
        if not words:
            raise InvalidPacketError(f"payload: reading {stamp_ms} has no registers")
    # JSON decoders keep the last of equal keys; counting the colons tells.
    keys = len(readings) + sum(map(len, readings.values()))
    if payload.count(b":") != keys:
        raise InvalidPacketError("payload: a stamp or register occurs twice")
    return tuple(readings)

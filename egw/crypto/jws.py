"""Packets as JSON Web Signatures: RFC 7515 compact form, ES256 of RFC 7518.

The signature covers the bytes that are sent. JSON is written with Python's default
spacing (`", "` and `": "`), as backends of the seed system's wire format know it.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from egw.crypto.provider import SIGNATURE_BYTES


class InvalidJwtError(ValueError):
    """Raised when a JWT is malformed or its signature is not the key's."""


def header_json(serial: str, *, model: str, dtype: str, sn: str) -> str:
    """Return the header of a packet, its keys in the order of the wire format.

    `serial` is the gateway's, `sn` the device's; `model` names the device's profile
    and `dtype` the kind of readings, for example `modbus_registers`.
    """
    header = {
        "alg": "ES256",
        "typ": "JWT",
        "device": serial,
        "opr": "production",
        "model": model,
        "dtype": dtype,
        "sn": sn,
    }
    return json.dumps(header)


def signing_input(header_json: str, payload_json: str) -> bytes:
    """Return the bytes whose SHA-256 is signed: header, dot, payload in base64url."""
    return _encode(header_json.encode()) + b"." + _encode(payload_json.encode())


def compact(signing_input: bytes, signature: bytes) -> bytes:
    """Return the finished JWT; `signature` is r and s, 64 bytes, else ValueError."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(
            f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}"
        )
    return signing_input + b"." + _encode(signature)


def verify(jwt: bytes, public_key: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and payload of a JWT that `public_key` (X and Y) has signed.

    Raises InvalidJwtError when anything about it is wrong. Nothing is read from the
    payload before the signature has been verified.
    """
    parts = jwt.split(b".")
    if len(parts) != 3:
        raise InvalidJwtError(f"found {len(parts)} parts, expected 3")
    header = _json_object(parts[0], "header")
    if header.get("alg") != "ES256":
        raise InvalidJwtError(
            f"header: found alg {header.get('alg')!r}, expected ES256"
        )
    if "crit" in header:
        raise InvalidJwtError("header: crit is not supported")
    signature = _decode(parts[2], "signature")
    _verify_signature(parts[0] + b"." + parts[1], signature, public_key)
    return header, _json_object(parts[1], "payload")


def _verify_signature(signed: bytes, signature: bytes, public_key: bytes) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidJwtError(
            f"signature: found {len(signature)} bytes, expected {SIGNATURE_BYTES}"
        )
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), b"\x04" + public_key
        )
        point.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise InvalidJwtError("signature: not of this key and content") from error
    except ValueError as error:
        raise InvalidJwtError("public key: not a point of P-256") from error


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(text: bytes, part: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise InvalidJwtError(f"{part}: not base64url") from error
    # Python's decoder skips what is not of the alphabet; only one spelling is right.
    if _encode(data) != text:
        raise InvalidJwtError(f"{part}: not base64url")
    return data


def _json_object(text: bytes, part: str) -> dict[str, Any]:
    try:
        value = json.loads(
            _decode(text, part).decode(),
            object_pairs_hook=_without_doubles,
            parse_constant=_no_constant,
        )
    except InvalidJwtError:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidJwtError(f"{part}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise InvalidJwtError(f"{part}: not a JSON object")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key occurs twice")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")

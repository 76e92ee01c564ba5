"""How a public key is written for those who ask for it."""

from __future__ import annotations

import base64
import hashlib

from egw.crypto.provider import PUBLIC_KEY_BYTES

_SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""DER of SubjectPublicKeyInfo (RFC 5480) up to X: P-256, uncompressed point."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def public_key_pem_body(public_key: bytes) -> str:
    """Return what is between the armour lines of the PEM, as one line of 124."""
    return base64.b64encode(_SPKI_P256 + _checked(public_key)).decode("ascii")


def compact_key(public_key: bytes) -> str:
    """Return the key as Helium's swarm keys are written: X in Base58Check.

    Two zero bytes come first: network 0, key type 0 (P-256). Y is left out.
    """
    return base58check(b"\0\0" + _checked(public_key)[:32])


def base58check(payload: bytes) -> str:
    """Return `payload` and the first 4 bytes of its double SHA-256 in base 58."""
    checksum = hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    data = payload + checksum
    number = int.from_bytes(data)
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * zeros + digits


def _checked(public_key: bytes) -> bytes:
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(
            f"a public key has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}"
        )
    return public_key

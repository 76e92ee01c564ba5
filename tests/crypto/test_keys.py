from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from egw.crypto.keys import base58check, compact_key, public_key_pem_body

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def some_public_key() -> bytes:
    """Return X and Y of a key."""
    key = ec.derive_private_key(12345, ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def from_base58(text: str, *, length: int) -> bytes:
    """Read base 58 the slow and plain way."""
    number = 0
    for character in text:
        number = number * 58 + ALPHABET.index(character)
    return number.to_bytes(length)


def test_the_pem_body_is_one_line_that_cryptography_reads() -> None:
    body = public_key_pem_body(some_public_key())

    pem = f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
    key = load_pem_public_key(pem.encode())
    assert len(body) == 124
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert point[1:] == some_public_key()


def test_the_pem_body_is_the_der_that_cryptography_writes() -> None:
    key = ec.derive_private_key(12345, ec.SECP256R1()).public_key()

    body = public_key_pem_body(some_public_key())

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(body) == der


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        # Bitcoin wiki, "Technical background of version 1 Bitcoin addresses".
        (
            "00010966776006953d5567439e5e39f86a0d273bee",
            "16UwLL9Risc3QfPqBUvKofHmBQ7wMtjvM",
        ),
        ("", "3QJmnh"),
    ],
)
def test_base58check_agrees_with_known_values(payload: str, text: str) -> None:
    assert base58check(bytes.fromhex(payload)) == text


def test_the_compact_key_holds_two_zero_bytes_x_and_a_checksum() -> None:
    text = compact_key(some_public_key())

    data = from_base58(text, length=38)
    checksum = hashlib.sha256(hashlib.sha256(data[:34]).digest()).digest()[:4]
    assert data[:34] == b"\0\0" + some_public_key()[:32]
    assert data[34:] == checksum


def test_each_leading_zero_byte_of_a_compact_key_is_a_one() -> None:
    text = compact_key(b"\0" + b"\x7f" * 63)

    assert text.startswith("111")
    assert text[3] != "1"


@pytest.mark.parametrize("length", [0, 63, 65])
@pytest.mark.parametrize("write", [public_key_pem_body, compact_key])
def test_only_a_public_key_of_64_bytes_is_written(
    write: Callable[[bytes], str], length: int
) -> None:
    with pytest.raises(ValueError, match=f"64 bytes, not {length}"):
        write(b"x" * length)

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from egw.crypto.file_key import FileKey
from egw.crypto.jws import InvalidJwtError, compact, header_json, signing_input, verify

KEY = ec.derive_private_key(987654321, ec.SECP256R1())
PUBLIC_KEY = KEY.public_key().public_bytes(
    Encoding.X962, PublicFormat.UncompressedPoint
)[1:]

# RFC 7515, appendix A.3: key, and a JWS that was signed elsewhere.
RFC_7515_X = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
RFC_7515_Y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
RFC_7515_JWS = (
    b"eyJhbGciOiJFUzI1NiJ9"
    b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    b".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
    b"pmWQxfKTUJqPP3-Kg6NU1Q"
)


def from_base64url(text: str) -> bytes:
    """Decode base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def base64url(data: bytes) -> bytes:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(content: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    """Sign with the cryptography library alone."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def signed(header: bytes, payload: bytes) -> bytes:
    """Return a JWT with a good signature, whatever header and payload are."""
    content = base64url(header) + b"." + base64url(payload)
    return content + b"." + base64url(sign(content))


GOOD = signed(b'{"alg": "ES256"}', b'{"1": {"40000": 1}}')


def test_the_header_has_the_keys_of_the_wire_format_in_their_order() -> None:
    header = header_json(
        "5f0011223344556677", model="solaredge", dtype="modbus_registers", sn="73210B5"
    )

    assert header == (
        '{"alg": "ES256", "typ": "JWT", "device": "5f0011223344556677", '
        '"opr": "production", "model": "solaredge", "dtype": "modbus_registers", '
        '"sn": "73210B5"}'
    )


def test_a_serial_number_with_quotes_stays_inside_its_value() -> None:
    header = header_json("5f", model="m", dtype="d", sn='a", "opr": "b\u00e5')

    assert json.loads(header)["sn"] == 'a", "opr": "b\u00e5'
    assert json.loads(header)["opr"] == "production"


def test_the_signing_input_is_header_and_payload_in_base64url() -> None:
    content = signing_input('{"alg": "ES256"}', '{"a": "\u00ff?>"}')

    header, payload = content.decode("ascii").split(".")
    assert from_base64url(header) == b'{"alg": "ES256"}'
    assert from_base64url(payload) == '{"a": "\u00ff?>"}'.encode()
    assert not set("+/=") & set(header + payload)


def test_a_packet_of_a_file_key_verifies_and_comes_back(tmp_path: Path) -> None:
    key = FileKey.open(tmp_path / "signer.pem")
    payload = {"1700000000123": {"40000": 40000, "40001": 0}}
    header = header_json(key.serial, model="huawei", dtype="modbus_registers", sn="A")
    content = signing_input(header, json.dumps(payload))

    jwt = compact(content, key.sign(hashlib.sha256(content).digest()))

    assert verify(jwt, key.public_key()) == (json.loads(header), payload)


def test_a_jwt_that_was_signed_elsewhere_verifies() -> None:
    public_key = from_base64url(RFC_7515_X) + from_base64url(RFC_7515_Y)

    header, payload = verify(RFC_7515_JWS, public_key)

    assert header == {"alg": "ES256"}
    assert payload == {
        "iss": "joe",
        "exp": 1300819380,
        "http://example.com/is_root": True,
    }


def test_the_compact_form_is_that_of_the_rfc() -> None:
    content, _, signature = RFC_7515_JWS.decode().rpartition(".")

    jwt = compact(content.encode(), from_base64url(signature))

    assert jwt == RFC_7515_JWS


@pytest.mark.parametrize("length", [0, 63, 65, 72])
def test_only_a_signature_of_64_bytes_is_attached(length: int) -> None:
    with pytest.raises(ValueError, match=f"64 bytes, not {length}"):
        compact(b"a.b", b"x" * length)


def test_the_signature_of_another_key_is_refused() -> None:
    content = GOOD.rpartition(b".")[0]
    other = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(InvalidJwtError, match="not of this key and content"):
        verify(compact(content, sign(content, other)), PUBLIC_KEY)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_change_in_any_part_is_refused(part: int) -> None:
    parts = GOOD.split(b".")
    changed = bytearray(from_base64url(parts[part].decode()))
    changed[-3] ^= 1
    parts[part] = base64url(bytes(changed))

    with pytest.raises(InvalidJwtError):
        verify(b".".join(parts), PUBLIC_KEY)


WRONG = {
    "no dots": (b"abc", "found 1 parts, expected 3"),
    "four parts": (GOOD + b".x", "found 4 parts, expected 3"),
    "empty": (b"", "found 1 parts, expected 3"),
    "padding": (GOOD + b"=", "signature: not base64url"),
    "line break": (GOOD + b"\n", "signature: not base64url"),
    "one odd character": (GOOD + b"AAA", "signature: not base64url"),
    "other alphabet": (b"+" + GOOD[1:], "header: not base64url"),
    "not ASCII": (b"\xff" + GOOD[1:], "header: not base64url"),
    "short signature": (
        GOOD.rpartition(b".")[0] + b"." + b"A" * 80,
        "signature: found 60 bytes, expected 64",
    ),
    "zero signature": (
        GOOD.rpartition(b".")[0] + b"." + b"A" * 86,
        "signature: not of this key and content",
    ),
    "header not JSON": (signed(b"{", b"{}"), "header: not JSON"),
    "header not UTF-8": (signed(b'{"\xff": 1}', b"{}"), "header: not JSON"),
    "header not an object": (signed(b"[]", b"{}"), "header: not a JSON object"),
    "no algorithm": (signed(b"{}", b"{}"), "header: found alg None, expected ES256"),
    "algorithm none": (signed(b'{"alg": "none"}', b"{}"), "found alg 'none'"),
    "other algorithm": (signed(b'{"alg": "HS256"}', b"{}"), "found alg 'HS256'"),
    "algorithm a list": (signed(b'{"alg": ["ES256"]}', b"{}"), "found alg"),
    "two algorithms": (
        signed(b'{"alg": "none", "alg": "ES256"}', b"{}"),
        "header: not JSON (a key occurs twice)",
    ),
    "critical extension": (
        signed(b'{"alg": "ES256", "crit": ["x"]}', b"{}"),
        "header: crit is not supported",
    ),
    "payload not JSON": (signed(b'{"alg": "ES256"}', b"x"), "payload: not JSON"),
    "payload a list": (
        signed(b'{"alg": "ES256"}', b"[]"),
        "payload: not a JSON object",
    ),
    "a stamp twice": (
        signed(b'{"alg": "ES256"}', b'{"1": {}, "1": {}}'),
        "payload: not JSON (a key occurs twice)",
    ),
    "not a number": (
        signed(b'{"alg": "ES256"}', b'{"1": NaN}'),
        "payload: not JSON (NaN is not a number)",
    ),
    "deep": (signed(b'{"alg": "ES256"}', b"[" * 100000), "payload: not JSON"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_whatever_is_wrong_is_refused_by_name(fault: str) -> None:
    jwt, reason = WRONG[fault]

    with pytest.raises(InvalidJwtError) as caught:
        verify(jwt, PUBLIC_KEY)

    assert reason in str(caught.value)


@pytest.mark.parametrize("public_key", [b"", b"x" * 64, PUBLIC_KEY[:63], bytes(64)])
def test_what_is_not_a_public_key_is_refused(public_key: bytes) -> None:
    with pytest.raises(InvalidJwtError, match="public key: not a point of P-256"):
        verify(GOOD, public_key)


@given(st.binary(max_size=200) | st.text(".AZaz09-_=", max_size=200).map(str.encode))
def test_no_bytes_raise_anything_else(jwt: bytes) -> None:
    with pytest.raises(InvalidJwtError):
        verify(jwt, PUBLIC_KEY)

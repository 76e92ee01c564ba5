from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    encode_dss_signature,
)

from egw.actors.signer import SignerActor
from egw.crypto.provider import SignerError
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    Identity,
    Sign,
    Signed,
    SignerStatus,
    TellIdentity,
)
from egw.testing import Peers, run_due

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = hashlib.sha256(b"packet").digest()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "signer.pem"


def started(key_file: Path, provider: Any = "file") -> tuple[SignerActor, Peers]:
    peers = Peers("signer")
    actor = SignerActor(peers, provider=provider, key_file=key_file)
    actor.started()
    return actor, peers


def status(actor: SignerActor, peers: Peers) -> SignerStatus:
    for name in (API, GATEWAY):
        peers.probe(name).tells.clear()
    peers.clock.advance(1)
    run_due(actor)
    told = peers.probe(API).expect(SignerStatus)
    assert peers.probe(GATEWAY).expect(SignerStatus) == told
    return told


def verify(identity: Identity, digest: bytes, signature: bytes) -> None:
    """Raise InvalidSignature unless the identity's key has signed the digest."""
    assert len(signature) == 64
    key = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), b"\x04" + identity.public_key
    )
    der = encode_dss_signature(
        int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    )
    key.verify(der, digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_at_its_start_it_says_who_signs(key_file: Path) -> None:
    actor, peers = started(key_file)

    identity = peers.probe(HARVEST).expect(Identity)

    assert peers.probe(API).expect(Identity) == identity
    assert identity.kind == "file"
    assert status(actor, peers) == SignerStatus("ready", "", 0, identity)


def test_the_key_is_the_same_after_a_restart(key_file: Path) -> None:
    identities = [started(key_file)[1].probe(HARVEST).expect(Identity) for _ in "12"]

    assert identities[0] == identities[1]


def test_a_signature_is_of_the_digest_by_the_key_that_was_told(key_file: Path) -> None:
    actor, peers = started(key_file)
    harvest = peers.probe(HARVEST)
    identity = harvest.expect(Identity)

    actor.receive(Sign(7, DIGEST))

    signed = harvest.expect(Signed)
    assert (signed.packet, signed.digest) == (7, DIGEST)
    verify(identity, DIGEST, signed.signature)
    assert status(actor, peers).signed == 1


def test_whoever_asks_is_told_the_identity(key_file: Path) -> None:
    actor, peers = started(key_file)

    actor.receive(TellIdentity("backend"))

    known = peers.probe(HARVEST).expect(Identity)
    assert peers.probe("backend").expect(Identity) == known


def test_without_a_provider_nothing_is_signed_and_no_key_is_made(
    key_file: Path,
) -> None:
    actor, peers = started(key_file, "none")

    actor.receive(TellIdentity("backend"))
    actor.receive(Sign(7, DIGEST))

    told = status(actor, peers)
    assert told == SignerStatus("none", "no key provider is configured", 0, None)
    peers.probe(HARVEST).expect_nothing()
    peers.probe("backend").expect_nothing()
    assert not key_file.exists()


def test_a_key_that_cannot_be_used_is_a_state_and_tried_again(
    key_file: Path, events: list[Any]
) -> None:
    key_file.write_text("this is no key")
    key_file.chmod(0o600)
    actor, peers = started(key_file)
    harvest = peers.probe(HARVEST)

    actor.receive(Sign(7, DIGEST))
    actor.receive(TellIdentity(HARVEST))
    told = status(actor, peers)

    assert told.state == "unavailable"
    assert str(key_file) in told.reason
    harvest.expect_nothing()
    peers.clock.advance(20)
    run_due(actor)
    logged = [e["event"] for e in events]
    assert logged == ["signer.unavailable"], "the same trouble is logged once"
    key_file.unlink()
    peers.clock.advance(5)
    run_due(actor)
    assert status(actor, peers).state == "ready"
    identity = harvest.expect(Identity)
    actor.receive(Sign(7, DIGEST))
    verify(identity, DIGEST, harvest.expect(Signed).signature)


def test_a_key_that_others_may_read_is_not_used(key_file: Path) -> None:
    started(key_file)
    key_file.chmod(0o644)

    actor, peers = started(key_file)

    told = status(actor, peers)
    assert told.state == "unavailable"
    assert "chmod 600" in told.reason


class StubbornKey:
    kind, device_name, serial = "file", "software", "5f00"

    def public_key(self) -> bytes:
        return bytes(64)

    def sign(self, digest: bytes) -> bytes:
        raise SignerError("the chip does not answer")


def test_a_key_that_fails_while_signing_is_opened_again(key_file: Path) -> None:
    actor, peers = started(key_file)
    harvest = peers.probe(HARVEST)
    harvest.tells.clear()
    actor._key = StubbornKey()

    for packet in range(3):
        actor.receive(Sign(packet, DIGEST))

    told = status(actor, peers)
    assert (told.state, told.reason) == ("unavailable", "the chip does not answer")
    harvest.expect_nothing()
    peers.clock.advance(5)
    run_due(actor)
    harvest.expect(Identity)
    harvest.expect_nothing()
    actor.receive(Sign(3, DIGEST))
    assert harvest.expect(Signed).packet == 3

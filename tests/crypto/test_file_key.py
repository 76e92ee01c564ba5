from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import stat
from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from egw.crypto.file_key import FileKey
from egw.crypto.provider import (
    KeyDamagedError,
    KeyExposedError,
    KeyProvider,
    KeyStorageError,
    SignerError,
)

# RFC 6979, appendix A.2.5: private key and public key for P-256.
RFC_6979_SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_6979_PUBLIC_KEY = bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
    "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)


def write_key(path: Path, content: bytes, *, mode: int = 0o600) -> Path:
    """Write `content` with exactly this mode."""
    path.write_bytes(content)
    path.chmod(mode)
    return path


def pem_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Return the unencrypted PEM of a key."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def known_pem() -> bytes:
    """Return the PEM of RFC 6979's key."""
    return pem_of(ec.derive_private_key(RFC_6979_SCALAR, ec.SECP256R1()))


def verify(public_key: bytes, signature: bytes, content: bytes) -> None:
    """Verify with the cryptography library alone; raises InvalidSignature."""
    point = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.SECP256R1(), b"\x04" + public_key
    )
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    point.verify(encode_dss_signature(r, s), content, ec.ECDSA(hashes.SHA256()))


def test_a_file_key_is_a_key_provider(tmp_path: Path) -> None:
    provider: KeyProvider = FileKey.open(tmp_path / "signer.pem")

    assert (provider.kind, provider.device_name) == ("file", "software")


def test_a_signature_is_64_bytes_and_verifies(tmp_path: Path) -> None:
    key = FileKey.open(tmp_path / "signer.pem")

    signature = key.sign(hashlib.sha256(b"a packet").digest())

    assert len(signature) == 64
    verify(key.public_key(), signature, b"a packet")


def test_a_signature_is_of_one_content_only(tmp_path: Path) -> None:
    key = FileKey.open(tmp_path / "signer.pem")

    signature = key.sign(hashlib.sha256(b"a packet").digest())

    with pytest.raises(InvalidSignature):
        verify(key.public_key(), signature, b"another packet")


def test_a_signature_keeps_its_length_when_a_number_is_small(tmp_path: Path) -> None:
    key = FileKey.open(tmp_path / "signer.pem")
    digest = hashlib.sha256(b"x").digest()

    signatures = [key.sign(digest) for _ in range(2000)]

    assert {len(signature) for signature in signatures} == {64}
    assert any(0 in (signature[0], signature[32]) for signature in signatures)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_only_a_digest_of_32_bytes_is_signed(tmp_path: Path, length: int) -> None:
    key = FileKey.open(tmp_path / "signer.pem")

    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        key.sign(b"x" * length)


def test_the_public_key_is_x_and_y(tmp_path: Path) -> None:
    key = FileKey.open(write_key(tmp_path / "signer.pem", known_pem()))

    assert key.public_key() == RFC_6979_PUBLIC_KEY


def test_the_serial_is_made_from_the_public_key(tmp_path: Path) -> None:
    key = FileKey.open(write_key(tmp_path / "signer.pem", known_pem()))

    assert key.serial == "5f" + hashlib.sha256(RFC_6979_PUBLIC_KEY).hexdigest()[:16]


def test_the_key_stays_the_same_from_start_to_start(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"

    first, second = FileKey.open(path), FileKey.open(path)

    assert first.public_key() == second.public_key()
    assert first.serial == second.serial


def test_two_gateways_have_different_keys(tmp_path: Path) -> None:
    first, second = FileKey.open(tmp_path / "a.pem"), FileKey.open(tmp_path / "b.pem")

    assert first.public_key() != second.public_key()
    assert first.serial != second.serial


def test_a_new_key_is_for_its_owner_only_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "made" / "too" / "signer.pem"
    mask = os.umask(0)

    try:
        FileKey.open(path)
    finally:
        os.umask(mask)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["signer.pem"]


def test_a_key_that_its_owner_may_only_read_is_accepted(tmp_path: Path) -> None:
    path = write_key(tmp_path / "signer.pem", known_pem(), mode=0o400)

    assert FileKey.open(path).public_key() == RFC_6979_PUBLIC_KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644, 0o777])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = write_key(tmp_path / "signer.pem", known_pem(), mode=mode)

    with pytest.raises(KeyExposedError) as caught:
        FileKey.open(path)

    assert str(caught.value) == (
        f"{path}: found mode {mode:04o}, expected 0600: run chmod 600"
    )
    assert path.read_bytes() == known_pem()


def damaged_files() -> dict[str, bytes]:
    """Return contents that are no P-256 private key, by what is wrong with them."""
    p256 = ec.derive_private_key(RFC_6979_SCALAR, ec.SECP256R1())
    public_key = p256.public_key()
    return {
        "empty": b"",
        "cut": known_pem()[:100],
        "not PEM": b"\0\xff" * 200,
        "another curve": pem_of(ec.generate_private_key(ec.SECP384R1())),
        "another algorithm": pem_of(ed25519.Ed25519PrivateKey.generate()),
        "encrypted": p256.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        ),
        "public": public_key.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ),
    }


@pytest.mark.parametrize("damage", damaged_files())
def test_a_damaged_key_is_refused_and_kept(tmp_path: Path, damage: str) -> None:
    content = damaged_files()[damage]
    path = write_key(tmp_path / "signer.pem", content)
    before = path.read_bytes()

    with pytest.raises(KeyDamagedError) as caught:
        FileKey.open(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_flipped_bit_never_gives_another_key(tmp_path: Path) -> None:
    path = write_key(tmp_path / "signer.pem", known_pem())

    public_keys = set()
    for position in range(len(known_pem())):
        content = bytearray(known_pem())
        content[position] ^= 1
        path.write_bytes(content)
        with contextlib.suppress(KeyDamagedError):
            public_keys.add(FileKey.open(path).public_key())

    assert public_keys <= {RFC_6979_PUBLIC_KEY}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_not_a_file_is_refused_without_waiting(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "signer.pem"
    make(path)

    with pytest.raises(KeyDamagedError, match="not a file"):
        FileKey.open(path)


def test_a_link_to_nothing_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"
    path.symlink_to(tmp_path / "not-mounted.pem")

    with pytest.raises(KeyStorageError, match="a link to a file that is not there"):
        FileKey.open(path)

    assert path.is_symlink()


def test_a_link_to_a_key_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "signer.pem"
    path.symlink_to(write_key(tmp_path / "mounted.pem", known_pem()))

    assert FileKey.open(path).public_key() == RFC_6979_PUBLIC_KEY


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "signer.pem"

    with pytest.raises(KeyStorageError) as caught:
        FileKey.open(path)

    assert str(caught.value) == f"{path}: Not a directory"


def test_every_failure_has_a_code_of_its_own() -> None:
    kinds: list[type[SignerError]] = [SignerError, *SignerError.__subclasses__()]

    codes = [kind.code for kind in kinds]

    assert len(set(codes)) == len(kinds)
    assert all(code.startswith("signer.") for code in codes)


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    path = tmp_path / "signer.pem"
    go = context.Event()
    found = context.Queue()
    processes = [
        context.Process(target=open_and_report, args=(path, go, found))
        for _ in range(4)
    ]
    for process in processes:
        process.start()

    go.set()
    serials = {found.get(timeout=60) for _ in processes}

    for process in processes:
        process.join(60)
        process.close()
    found.close()
    found.join_thread()
    assert serials == {FileKey.open(path).serial}
    assert [entry.name for entry in tmp_path.iterdir()] == ["signer.pem"]


def open_and_report(path: Path, go: Event, found: Queue[str]) -> None:
    """Wait for the start signal, open the key and report its serial."""
    go.wait(60)
    found.put(FileKey.open(path).serial)


def test_the_key_of_a_process_that_was_faster_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signer.pem"
    link = Path.hardlink_to

    def be_slower(target: Path, source: str) -> None:
        write_key(path, known_pem())
        link(target, source)

    monkeypatch.setattr(Path, "hardlink_to", be_slower)

    key = FileKey.open(path)

    assert key.public_key() == RFC_6979_PUBLIC_KEY
    assert [entry.name for entry in tmp_path.iterdir()] == ["signer.pem"]

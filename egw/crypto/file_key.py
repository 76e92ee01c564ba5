"""A software key: P-256 in a PEM file that only its owner may read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from egw.crypto.provider import (
    DIGEST_BYTES,
    KeyDamagedError,
    KeyExposedError,
    KeyStorageError,
)

SOFTWARE_SERIAL_PREFIX = "5f"
"""First digits of a software key's serial; those of secure elements begin `0123`."""

_LARGEST_FILE_BYTES = 16384
_ALGORITHM = ec.ECDSA(Prehashed(hashes.SHA256()))


class FileKey:
    """A key provider whose private key is in this process's memory."""

    kind = "file"
    device_name = "software"

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        point = key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self._public_key = point[1:]
        digest = hashlib.sha256(self._public_key).hexdigest()
        self.serial = SOFTWARE_SERIAL_PREFIX + digest[:16]

    @classmethod
    def open(cls, path: Path) -> FileKey:
        """Read the key at `path`; make it, and its directory, when there is none.

        However many processes do this at once, all end with the same key. A file that
        is there is never written. Raises KeyExposedError when others than its owner
        may read it, KeyDamagedError when it holds no P-256 key, and KeyStorageError
        when it cannot be read or made.
        """
        try:
            return cls(_read(path) or _create(path))
        except OSError as error:
            raise KeyStorageError(f"{path}: {error.strerror}") from error

    def public_key(self) -> bytes:
        """Return X and Y, 64 bytes."""
        return self._public_key

    def sign(self, digest: bytes) -> bytes:
        """Return r and s, 64 bytes, for a digest of 32; else raises ValueError."""
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        r, s = decode_dss_signature(self._key.sign(digest, _ALGORITHM))
        return r.to_bytes(32) + s.to_bytes(32)


def _read(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        # Opening a FIFO would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
        return _parse(path, os.read(descriptor, _LARGEST_FILE_BYTES))
    finally:
        os.close(descriptor)


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise KeyDamagedError(f"{path}: not a file")
    permissions = stat.S_IMODE(mode)
    if permissions & 0o077:
        raise KeyExposedError(
            f"{path}: found mode {permissions:04o}, expected 0600: run chmod 600"
        )


def _parse(path: Path, pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyDamagedError(f"{path}: no readable private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyDamagedError(f"{path}: not a P-256 key")
    return key


def _create(path: Path) -> ec.EllipticCurvePrivateKey:
    path.parent.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
        # A link, unlike a rename, never replaces the key of a process that was first.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(file.name)
    _sync_directory(path.parent)
    made = _read(path)
    if made is None:
        raise KeyStorageError(f"{path}: a link to a file that is not there")
    return made


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

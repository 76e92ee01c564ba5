"""What a key provider is, and how it fails.

SignerError              signer.error
+-- KeyDamagedError      signer.key_damaged
+-- KeyExposedError      signer.key_exposed
+-- KeyStorageError      signer.key_storage
"""

from __future__ import annotations

from typing import ClassVar, Protocol

PUBLIC_KEY_BYTES = 64
"""X, then Y, 32 bytes each, big-endian."""

DIGEST_BYTES = 32
"""A SHA-256 digest."""

SIGNATURE_BYTES = 64
"""r, then s, 32 bytes each, big-endian (RFC 7518, section 3.4)."""


class SignerError(Exception):
    """Raised when a key cannot be used; the root of what a provider raises."""

    code: ClassVar[str] = "signer.error"
    """Stable name of the kind of failure, for logs, messages and the API."""


class KeyDamagedError(SignerError):
    """Raised when what is stored is not a P-256 private key."""

    code = "signer.key_damaged"


class KeyExposedError(SignerError):
    """Raised when others than the owner may read the key."""

    code = "signer.key_exposed"


class KeyStorageError(SignerError):
    """Raised when the place of the key cannot be read or written."""

    code = "signer.key_storage"


class KeyProvider(Protocol):
    """One P-256 (secp256r1) key, wherever it is kept."""

    @property
    def kind(self) -> str:
        """Where the key is kept, as the configuration calls it: `file`."""

    @property
    def device_name(self) -> str:
        """Name of the part that keeps the key; `software` when there is none."""

    @property
    def serial(self) -> str:
        """The gateway's serial number: 18 lower-case hexadecimal digits."""

    def public_key(self) -> bytes:
        """Return X and Y, 64 bytes; raises SignerError when the key is out of reach."""

    def sign(self, digest: bytes) -> bytes:
        """Return the ECDSA signature r and s, 64 bytes, of a SHA-256 digest.

        Raises ValueError when `digest` has not 32 bytes, SignerError when the key
        cannot sign.
        """

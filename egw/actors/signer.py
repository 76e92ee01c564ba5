"""SignerActor: owns the key. It signs digests of what the gateway produced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

from egw.crypto.file_key import FileKey
from egw.crypto.provider import KeyProvider, SignerError
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
from egw.runtime import Actor, Context, Tell

_RETRY_S = 5.0
_PUBLISH_S = 1.0


@dataclass(frozen=True, slots=True)
class _Open(Tell):
    """Timer: try to get at the key."""


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer: tell how the signer is."""


Inbox = Sign | TellIdentity | _Open | _Publish


class SignerActor(Actor[Inbox]):
    """A key that cannot be used is a state: it is tried again, packets wait."""

    patience_s = 5.0
    mailbox_capacity = 10_000

    def __init__(
        self, context: Context, *, provider: Literal["none", "file"], key_file: Path
    ) -> None:
        super().__init__(context)
        self._provider = provider
        self._key_file = key_file
        self._key: KeyProvider | None = None
        self._identity: Identity | None = None
        self._reason = "no key provider is configured" if provider == "none" else ""
        self._signed = 0

    def started(self) -> None:
        """Open the key and say who signs."""
        self._open()
        self.every(_PUBLISH_S, _Publish())

    def receive(self, message: Inbox) -> None:
        """Handle one message."""
        match message:
            case Sign(packet, digest):
                self._sign(packet, digest)
            case TellIdentity(to):
                if self._identity is not None:
                    self.ref(to).tell(self._identity)
            case _Open():
                self._open()
            case _Publish():
                self._publish()
            case _:
                assert_never(message)

    def _open(self) -> None:
        if self._provider == "none":
            return
        try:
            key = FileKey.open(self._key_file)
            self._identity = Identity(
                kind=key.kind,
                device_name=key.device_name,
                serial=key.serial,
                public_key=key.public_key(),
            )
        except SignerError as error:
            self._unusable(error)
            return
        self._key, self._reason = key, ""
        self.log.info("signer.ready", kind=key.kind, serial=key.serial)
        for name in (HARVEST, API):
            self.ref(name).tell(self._identity)

    def _unusable(self, error: SignerError) -> None:
        if str(error) != self._reason:
            self.log.error("signer.unavailable", code=error.code, error=str(error))
        self._key, self._reason = None, str(error)
        self.after(_RETRY_S, _Open())

    def _sign(self, packet: int, digest: bytes) -> None:
        if self._key is None:
            # Harvest asks again; the packet waits unsigned on disk.
            return
        try:
            signature = self._key.sign(digest)
        except SignerError as error:
            self._unusable(error)
            return
        self._signed += 1
        self.ref(HARVEST).tell(Signed(packet, digest, signature))

    def _publish(self) -> None:
        state: Literal["ready", "unavailable", "none"] = "ready"
        if self._provider == "none":
            state = "none"
        elif self._key is None:
            state = "unavailable"
        status = SignerStatus(state, self._reason, self._signed, self._identity)
        self.ref(API).tell(status)
        self.ref(GATEWAY).tell(status)

"""BackendActor: asks the backend for the gateway's name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, assert_never

import msgspec

from egw.actors.posting import Poster, PostError
from egw.messages import API, SIGNER, BackendStatus, Identity, TellIdentity
from egw.runtime import Actor, Context, Tell

_UNTIL_KNOWN_S = 10.0
_ONCE_KNOWN_S = 3600.0
_PUBLISH_S = 1.0
_MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class _AskName(Tell):
    """Timer."""


@dataclass(frozen=True, slots=True)
class _Publish(Tell):
    """Timer."""


Inbox = Identity | _AskName | _Publish


class _Name(msgspec.Struct):
    name: str


class _Configuration(msgspec.Struct):
    gateway_name: _Name = msgspec.field(name="gatewayName")


class _Data(msgspec.Struct):
    gateway_configuration: _Configuration = msgspec.field(name="gatewayConfiguration")


class _Answer(msgspec.Struct):
    data: _Data


class BackendActor(Actor[Inbox]):
    """Asks every ten seconds until the name is known, then hourly."""

    patience_s = 60.0

    def __init__(self, context: Context, *, url: str, timeout_s: float = 10.0) -> None:
        super().__init__(context)
        self._url = url
        self._poster = Poster(timeout_s=timeout_s, connections=1)
        self._serial = ""
        self._name = ""
        self._known_until = 0.0
        self._reason = "" if url else "no backend is configured"

    def started(self) -> None:
        """Find out for which serial number to ask."""
        self.ref(SIGNER).tell(TellIdentity(self.name))
        self.every(_PUBLISH_S, _Publish())
        if self._url:
            self.every(_UNTIL_KNOWN_S, _AskName())

    def stopping(self) -> None:
        """Close the connection."""
        self._poster.close()

    def receive(self, message: Inbox) -> None:
        """Handle one message."""
        match message:
            case Identity():
                is_new = message.serial != self._serial
                self._serial = message.serial
                if self._url and is_new:
                    self._ask_name()
            case _AskName():
                if not self._serial:
                    self.ref(SIGNER).tell(TellIdentity(self.name))
                elif self.clock.monotonic() >= self._known_until:
                    self._ask_name()
            case _Publish():
                self._publish()
            case _:
                assert_never(message)

    def _ask_name(self) -> None:
        query = (
            "query { gatewayConfiguration { gatewayName(id: "
            f"{json.dumps(self._serial)}) {{ name }} }} }}"
        )
        body = json.dumps({"query": query}).encode()
        try:
            answer = self._asked(body)
        except (PostError, msgspec.MsgspecError) as error:
            if str(error) != self._reason:
                self.log.warning("backend.failing", url=self._url, error=str(error))
            self._reason = str(error)
            return
        self._name = answer.data.gateway_configuration.gateway_name.name[:_MAX_NAME]
        self._reason = ""
        self._known_until = self.clock.monotonic() + _ONCE_KNOWN_S
        self.log.info("backend.named", name=self._name)

    def _asked(self, body: bytes) -> _Answer:
        reply = self._poster.post(self._url, body, content_type="application/json")
        if reply.status != 200:
            raise PostError(f"HTTP {reply.status}")
        return msgspec.json.decode(reply.body, type=_Answer)

    def _publish(self) -> None:
        state: Literal["off", "asking", "known", "failing"] = "asking"
        if not self._url:
            state = "off"
        elif self._reason:
            state = "failing"
        elif self._name:
            state = "known"
        status = BackendStatus(self._name, state, self._reason)
        self.ref(API).tell(status)

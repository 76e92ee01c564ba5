"""BackendActor: asks the backend for the gateway's name.

Asking happens in a thread of its own, so that a backend that hangs does not hang the
actor.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, assert_never

import msgspec

from egw.actors.posting import Poster, PostError, Reply
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


@dataclass(frozen=True, slots=True)
class Answered(Tell):
    """From the asking thread. `error` is empty when the name came."""

    serial: str
    name: str
    error: str


Inbox = Identity | Answered | _AskName | _Publish


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

    def __init__(self, context: Context, *, url: str, timeout_s: float = 10.0) -> None:
        super().__init__(context)
        self._url = url
        self._poster = Poster(timeout_s=timeout_s, connections=1)
        self._thread = ThreadPoolExecutor(1, f"{context.name}-ask")
        self._is_asking = False
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
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._poster.close()

    def receive(self, message: Inbox) -> None:
        """Handle one message."""
        match message:
            case Identity():
                is_new = message.serial != self._serial
                self._serial = message.serial
                if self._url and is_new:
                    self._ask_name()
            case Answered():
                self._answered(message)
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
        if not self._is_asking:
            self._is_asking = True
            self._thread.submit(self._ask, self._serial)

    def _ask(self, serial: str) -> None:
        """Run in the asking thread; touches nothing of the actor but its mailbox."""
        query = (
            "query { gatewayConfiguration { gatewayName(id: "
            f"{json.dumps(serial)}) {{ name }} }} }}"
        )
        body = json.dumps({"query": query}).encode()
        try:
            reply = self._poster.post(self._url, body, content_type="application/json")
            answer = Answered(serial, _name_in(reply), "")
        except PostError as error:
            answer = Answered(serial, "", str(error))
        self.ref(self.name).tell(answer)

    def _answered(self, message: Answered) -> None:
        self._is_asking = False
        if message.serial != self._serial:
            self._ask_name()
            return
        if message.error:
            if message.error != self._reason:
                self.log.warning("backend.failing", url=self._url, error=message.error)
            self._reason = message.error
            return
        if message.name != self._name:
            self.log.info("backend.named", name=message.name)
        self._name = message.name
        self._reason = ""
        self._known_until = self.clock.monotonic() + _ONCE_KNOWN_S

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


def _name_in(reply: Reply) -> str:
    if reply.status != 200:
        raise PostError(f"HTTP {reply.status}")
    try:
        answer = msgspec.json.decode(reply.body, type=_Answer)
    except (ValueError, RecursionError) as error:
        raise PostError(f"the answer is not as expected: {error}") from error
    return answer.data.gateway_configuration.gateway_name.name[:_MAX_NAME]

"""Where a process finds actors by name: next door, or behind a link.

The main process joins all workers (a star); a worker knows its own actors and the link
to main. Frames for others are forwarded without being unpacked.
"""

from __future__ import annotations

import itertools
import pickle
import threading
from typing import TYPE_CHECKING, Any

from egw.runtime.dead_letters import DeadLetters
from egw.runtime.errors import (
    ActorDown,
    ActorError,
    MailboxFull,
    from_wire,
    to_wire,
)
from egw.runtime.link import MAX_FRAME_BYTES, Frame, Kind, encode
from egw.runtime.message import Ask, Letter, LocalReply, Message, Reply

if TYPE_CHECKING:
    from egw.runtime.link import Link
    from egw.runtime.mailbox import Mailbox

_PICKLE = 5
_MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - 1024


class Switchboard:
    """The post office of one process. Its methods may be called from any thread."""

    def __init__(self, origin: str, *, incarnation: int = 0) -> None:
        self.origin = origin
        self.dead_letters = DeadLetters()
        self._mailboxes: dict[str, Mailbox] = {}
        self._routes: dict[str, Link] = {}
        self._default: Link | None = None
        # Answers to a former incarnation's asks must not meet this one's.
        self._serials = itertools.count((incarnation & 0xFFFFFF) << 40)
        self._pending: dict[int, LocalReply] = {}
        self._in_flight: dict[str, set[tuple[str, int]]] = {}
        self._lock = threading.Lock()

    def attach(self, name: str, mailbox: Mailbox) -> None:
        """Deliver what is for `name` into this mailbox."""
        self._mailboxes[name] = mailbox

    def detach(self, name: str) -> None:
        """Forget a local actor."""
        self._mailboxes.pop(name, None)

    def route_all(self, link: Link) -> None:
        """Send all that is not local over this link."""
        self._default = link

    def route(self, name: str, link: Link) -> None:
        """Send what is for `name` (an actor or a process) over this link."""
        with self._lock:
            self._routes[name] = link

    def unroute(self, link: Link) -> None:
        """Forget a link; the asks that went over it fail now."""
        with self._lock:
            # A name may already have its next link.
            for name in [n for n, way in self._routes.items() if way is link]:
                del self._routes[name]
            asks = self._in_flight.pop(link.name, set())
        for origin, serial in asks:
            self._fail(origin, serial, ActorDown(f"{link.name} ended"))

    def tell(self, to: str, message: Message) -> None:
        """Send without an answer; what cannot be delivered becomes a dead letter."""
        mailbox = self._mailboxes.get(to)
        if mailbox is not None:
            mailbox.put(Letter(message))
            return
        link = self._routes.get(to, self._default)
        if link is None:
            self.dead_letters.add(to, type(message).__name__, ActorDown.code)
            return
        payload = pickle.dumps(message, _PICKLE)
        if not self._sent(link, Frame(Kind.TELL, 0, to, self.origin, payload)):
            self.dead_letters.add(to, type(message).__name__, MailboxFull.code)

    def ask(self, to: str, message: Ask[Any], timeout_s: float) -> Any:
        """Send and wait; raises an ActorError."""
        reply = LocalReply()
        mailbox = self._mailboxes.get(to)
        if mailbox is not None:
            mailbox.put(Letter(message, reply))
            return reply.wait(timeout_s, to)
        link = self._routes.get(to, self._default)
        if link is None:
            raise ActorDown(f"{to} is not running")
        serial = next(self._serials)
        self._pending[serial] = reply
        try:
            payload = pickle.dumps(message, _PICKLE)
            self._expect(link, self.origin, serial)
            frame = Frame(Kind.ASK, serial, to, self.origin, payload)
            if not self._sent(link, frame):
                raise MailboxFull(f"the way to {to} is full")
            return reply.wait(timeout_s, to)
        finally:
            self._pending.pop(serial, None)
            self._met(link.name, self.origin, serial)

    def on_frame(self, link: Link, frame: Frame, data: bytes) -> None:
        """Take a frame from a link: deliver it here or forward its bytes."""
        if frame.kind in (Kind.REPLY, Kind.FAIL):
            self._met(link.name, frame.to, frame.serial)
            if frame.to == self.origin:
                self._answer(frame)
            elif (way := self._routes.get(frame.to)) is not None:
                way.send(data)
            return
        mailbox = self._mailboxes.get(frame.to)
        if mailbox is not None:
            self._deliver(mailbox, link, frame)
        else:
            self._forward(link, frame, data)

    def _forward(self, source: Link, frame: Frame, data: bytes) -> None:
        link = self._routes.get(frame.to)
        error: ActorError
        if link is None:
            error = ActorDown(f"{frame.to} is not running")
        else:
            if frame.kind == Kind.ASK:
                self._expect(link, frame.origin, frame.serial)
            if link.send(data):
                return
            error = MailboxFull(f"the way to {frame.to} is full")
        if frame.kind == Kind.ASK:
            RemoteReply(source, frame).fail(error)
        else:
            self.dead_letters.add(frame.to, "", error.code)

    def _deliver(self, mailbox: Mailbox, link: Link, frame: Frame) -> None:
        reply = RemoteReply(link, frame) if frame.kind == Kind.ASK else None
        try:
            message = pickle.loads(frame.payload)  # noqa: S301 - our own processes
        except Exception as error:  # noqa: BLE001 - a payload must not end the reader
            if reply is not None:
                reply.fail(ActorError(f"unreadable message: {error}"))
            self.dead_letters.add(frame.to, "", f"unreadable: {error}")
            return
        mailbox.put(Letter(message, reply))

    def _answer(self, frame: Frame) -> None:
        reply = self._pending.pop(frame.serial, None)
        if reply is None:
            return
        try:
            value = pickle.loads(frame.payload)  # noqa: S301 - our own processes
        except Exception as error:  # noqa: BLE001 - a payload must not end the reader
            reply.fail(ActorError(f"unreadable answer: {error}"))
            return
        if frame.kind == Kind.REPLY:
            reply.set(value)
        else:
            reply.fail(from_wire(*value))

    def _sent(self, link: Link, frame: Frame) -> bool:
        return len(frame.payload) <= _MAX_PAYLOAD_BYTES and link.send(encode(frame))

    def _expect(self, link: Link, origin: str, serial: int) -> None:
        with self._lock:
            self._in_flight.setdefault(link.name, set()).add((origin, serial))

    def _met(self, link_name: str, origin: str, serial: int) -> None:
        with self._lock:
            self._in_flight.get(link_name, set()).discard((origin, serial))

    def _fail(self, origin: str, serial: int, error: ActorError) -> None:
        payload = pickle.dumps(to_wire(error), _PICKLE)
        frame = Frame(Kind.FAIL, serial, origin, origin, payload)
        if origin == self.origin:
            self._answer(frame)
        elif (link := self._routes.get(origin)) is not None:
            link.send(encode(frame))


class RemoteReply(Reply):
    """The asker waits in another process."""

    __slots__ = ("_ask", "_link")

    def __init__(self, link: Link, ask: Frame) -> None:
        self._link = link
        self._ask = ask

    def set(self, value: Any) -> None:
        """Answer with a value."""
        try:
            payload = pickle.dumps(value, _PICKLE)
        except Exception as error:  # noqa: BLE001 - the asker must get an answer
            self.fail(ActorError(f"unsendable answer: {error}"))
            return
        if len(payload) > _MAX_PAYLOAD_BYTES:
            self.fail(ActorError(f"unsendable answer: {len(payload)} bytes"))
            return
        self._send(Kind.REPLY, payload)

    def fail(self, error: ActorError) -> None:
        """Answer with an error."""
        self._send(Kind.FAIL, pickle.dumps(to_wire(error), _PICKLE))

    def _send(self, kind: Kind, payload: bytes) -> None:
        origin = self._ask.origin
        self._link.send(encode(Frame(kind, self._ask.serial, origin, origin, payload)))

"""The two kinds of messages, and the envelope that they travel in.

A concrete message is a frozen, slotted dataclass:

    @dataclass(frozen=True, slots=True)
    class Sign(Ask[Signature]):
        digest: bytes

`ref.ask(Sign(digest), timeout=1)` then has the type `Signature`.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pykka import ActorDeadError

from egw.runtime.errors import ActorDown, ActorError, AskTimeout, PeerFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

R = TypeVar("R")


_VALUES_OF: dict[type[Message], Callable[[Any], tuple[Any, ...]]] = {}


def _values(message: Message) -> tuple[Any, ...]:
    kind = type(message)
    if kind not in _VALUES_OF:
        _VALUES_OF[kind] = _getter([f.name for f in dataclasses.fields(kind)])  # type: ignore[arg-type]
    return _VALUES_OF[kind](message)


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda message: tuple(getattr(message, name) for name in names)


class Message:
    """What crosses an actor boundary. Immutable; a dataclass without init=False."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as class and values: half the cost of what dataclasses do."""
        return type(self), _values(self)


class Tell(Message):
    """A message without an answer."""

    __slots__ = ()


class Ask(Message, Generic[R]):
    """A message that is answered with an `R`."""

    __slots__ = ()


class ReplyTo(Protocol):
    """Where the answer to an ask goes. The first two are Pykka's protocol."""

    def set(self, value: Any) -> None:
        """Answer with a value."""

    def set_exception(
        self,
        exc_info: tuple[type[BaseException], BaseException, TracebackType | None]
        | None = None,
    ) -> None:
        """Answer with the given, or the currently handled, exception."""

    def fail(self, error: ActorError) -> None:
        """Answer with an error."""


class Letter:
    """A message on its way into one mailbox; Pykka's loop takes it for an envelope."""

    __slots__ = ("message", "reply_to")

    def __init__(self, message: Any, reply_to: ReplyTo | None = None) -> None:
        self.message = message
        self.reply_to = reply_to


class Reply:
    """Translates Pykka's `set_exception` into `fail`, for both kinds of asker."""

    __slots__ = ()

    def fail(self, error: ActorError) -> None:
        """Answer with an error."""
        raise NotImplementedError

    def set_exception(
        self,
        exc_info: tuple[type[BaseException], BaseException, TracebackType | None]
        | None = None,
    ) -> None:
        """Answer with the given, or the currently handled, exception."""
        error = exc_info[1] if exc_info else sys.exc_info()[1]
        if isinstance(error, ActorError):
            self.fail(error)
        elif isinstance(error, ActorDeadError):
            self.fail(ActorDown("stopped before it could handle the message"))
        else:
            self.fail(PeerFailed(f"{type(error).__name__}: {error}"))


class LocalReply(Reply):
    """The asker waits in this process."""

    __slots__ = ("_answered", "_error", "_value")

    def __init__(self) -> None:
        # A held lock is the cheapest event that can be waited for with a timeout.
        self._answered = threading.Lock()
        self._answered.acquire()
        self._value: Any = None
        self._error: ActorError | None = None

    def set(self, value: Any) -> None:
        """Answer with a value."""
        self._value = value
        self._answered.release()

    def fail(self, error: ActorError) -> None:
        """Answer with an error."""
        self._error = error
        self._answered.release()

    def wait(self, timeout_s: float, to: str) -> Any:
        """Return the answer; raises it when it is an error, AskTimeout without one."""
        if not self._answered.acquire(timeout=timeout_s):
            raise AskTimeout(f"{to} did not answer within {timeout_s:g} s")
        if self._error is not None:
            raise self._error
        return self._value

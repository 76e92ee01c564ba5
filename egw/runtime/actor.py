"""The actor: a Pykka actor with a bounded mailbox, timers and one failure semantics.

An exception in `receive` ends the actor, whether a tell or an ask brought it; the
asker always gets an answer. Only `Refused` is a reply after which the actor goes on.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, final

import pykka
import structlog

from egw.runtime.clock import SystemClock
from egw.runtime.errors import PeerFailed, Refused
from egw.runtime.mailbox import Mailbox, Overflow, Timer
from egw.runtime.message import Ask, Message, Tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.runtime.clock import Clock
    from egw.runtime.ref import Ref

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an actor ended."""

    text: str
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception."""
        trace = "".join(traceback.format_exception(error))
        return cls(f"{type(error).__name__}: {error}", trace)


class Context(Protocol):
    """What an actor is given: its name, its peers, time and the two reports."""

    @property
    def name(self) -> str:
        """The actor's own name."""

    @property
    def clock(self) -> Clock:
        """What schedules its timers and stamps what it says."""

    def ref(self, name: str) -> Ref:
        """Return the reference to another actor. Asking it needs a declared need."""

    def dead_letter(self, message: Message, why: str) -> None:
        """Count a message that `name` could not take."""

    def on_ready(self, actor: Actor[Any]) -> None:
        """Called in the actor's thread when `started` has returned."""

    def on_down(self, actor: Actor[Any], failure: Failure | None) -> None:
        """Called in the actor's thread, once, whatever ended it; None: it was asked."""


class Actor(pykka.ThreadingActor, Generic[M]):
    """Subclass it with the union of messages that it understands.

    `receive` runs in the actor's own thread, one message at a time, and should be a
    `match` that ends in `assert_never`.
    """

    patience_s: ClassVar[float] = 5.0
    """How long one message may take before the actor counts as hung."""
    mailbox_capacity: ClassVar[int] = 1000
    overflow: ClassVar[Overflow] = "refuse"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context
        self.name = context.name
        self.clock = context.clock
        self.log = structlog.get_logger().bind(actor=context.name)
        self.thread_id: int | None = None
        self.mailbox: Mailbox = self.actor_inbox  # type: ignore[assignment]
        self.mailbox.capacity = self.mailbox_capacity
        self.mailbox.overflow = self.overflow
        self.mailbox.clock = context.clock
        self.mailbox.dead_letter = context.dead_letter
        self.ended = threading.Event()
        """Set when nothing of the actor runs any more."""
        self._failure: Failure | None = None

    def receive(self, message: M) -> object:
        """Handle one message; what is returned answers an ask.

        Raise `Refused` to decline. Any other exception ends the actor, the asker gets
        PeerFailed and the supervisor restarts the actor.
        """
        raise NotImplementedError

    def started(self) -> None:
        """Run in the actor's thread before the first message.

        The actor counts as up when this returns; an exception ends it.
        """

    def stopping(self) -> None:
        """Run in the actor's thread after the last message of an asked stop.

        Not called after a failure. An exception is logged and the stop goes on.
        """

    def ref(self, name: str) -> Ref:
        """Return the reference to another actor."""
        return self.context.ref(name)

    def every(self, period_s: float, message: Tell, *, phase_s: float = 0.0) -> Timer:
        """Receive `message` on a fixed grid; a missed tick is counted, not queued."""
        return self.mailbox.every(period_s, message, phase_s=phase_s)

    def after(self, delay_s: float, message: Tell) -> Timer:
        """Receive `message` once, `delay_s` from now."""
        return self.mailbox.after(delay_s, message)

    # What follows fills Pykka's seams; tests/runtime/test_pykka_seams.py guards them.

    @staticmethod
    def _create_actor_inbox() -> Mailbox:  # type: ignore[override] # takes Letters
        return Mailbox(clock=SystemClock())

    @final
    def _start_actor_loop(self) -> None:
        thread = threading.Thread(target=self._live, name=self.name, daemon=True)
        thread.start()

    def _live(self) -> None:
        self.thread_id = threading.get_ident()
        try:
            self._actor_loop()
        except BaseException as error:  # noqa: BLE001 - the death watch sees every end
            self._failure = self._failure or Failure.of(error)
        finally:
            self.actor_stopped.set()
            self.mailbox.close()
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.context.on_down(self, self._failure)
            self.ended.set()

    @final
    def on_start(self) -> None:
        """Fill Pykka's hook; actors override `started`."""
        if self._survives(self.started):
            self.context.on_ready(self)
        else:
            self._end()

    @final
    def on_stop(self) -> None:
        """Fill Pykka's hook; actors override `stopping`."""
        self._survives(self.stopping)
        self._end()

    @final
    def stop(self) -> None:
        """End after what is waiting; without effect on an actor that has ended."""
        with contextlib.suppress(pykka.ActorDeadError):
            super().stop()

    def _end(self) -> None:
        # Pykka would drop without a word the tells that are left in its inbox.
        self.actor_stopped.set()
        self.mailbox.close()

    def _survives(self, hook: Callable[[], None]) -> bool:
        try:
            hook()
        except BaseException as error:  # noqa: BLE001 - a failed hook is a failure
            self._failure = Failure.of(error)
            return False
        return True

    @final
    def on_receive(self, message: M) -> object:
        """Fill Pykka's hook; actors override `receive`."""
        try:
            return self.receive(message)
        except Refused as refusal:
            if isinstance(message, Ask):
                raise
            kind = type(message).__name__
            self.log.warning("tell.refused", message=kind, reason=str(refusal))
            return None
        except BaseException as error:
            self._failure = Failure.of(error)
            self._end()
            # Pykka would end every actor of the process on a BaseException.
            raise PeerFailed(self._failure.text) from error

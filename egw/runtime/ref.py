"""References are names.

A reference is the same whether the actor is next door or in another process, and it
outlives incarnations: a restart is invisible but for the asks in flight, which fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from egw.runtime.errors import NotDeclared

if TYPE_CHECKING:
    from egw.runtime.message import Ask, Tell
    from egw.runtime.switchboard import Switchboard

R = TypeVar("R")


class Ref(Protocol):
    """How one actor reaches another. Delivery is at most once."""

    name: str

    def tell(self, message: Tell) -> None:
        """Send without an answer; never blocks, never raises for a dead addressee."""

    def ask(self, message: Ask[R], *, timeout: float) -> R:
        """Send and wait for the answer, at most `timeout` seconds.

        Raises an ActorError: ActorDown, AskTimeout, MailboxFull, NotDeclared,
        PeerFailed or Refused.
        """


class NamedRef:
    """A reference through this process's switchboard."""

    __slots__ = ("_may_ask", "_switchboard", "name")

    def __init__(self, switchboard: Switchboard, name: str, *, may_ask: bool) -> None:
        self.name = name
        self._switchboard = switchboard
        self._may_ask = may_ask

    def tell(self, message: Tell) -> None:
        """Send without an answer."""
        self._switchboard.tell(self.name, message)

    def ask(self, message: Ask[R], *, timeout: float) -> R:
        """Send and wait for the answer, at most `timeout` seconds."""
        if not self._may_ask:
            raise NotDeclared(f"{self.name} is not among the needs of the asker")
        answer: R = self._switchboard.ask(self.name, message, timeout)
        return answer

    def __repr__(self) -> str:
        return f"<ref {self.name}>"

"""What can go wrong between actors.

    ActorError
    +-- ActorDown      the addressee is not running
    +-- AskTimeout     no answer within the time that the asker gave
    +-- MailboxFull    the addressee has more to do than it can hold
    +-- NotDeclared    an ask that the asker's needs do not allow
    +-- PeerFailed     the addressee failed while it handled the message
    +-- Refused        the addressee declined: wrong input, busy, unsupported

Every class has a stable `code`. Between processes go the code and the text, never a
pickled exception.
"""

from __future__ import annotations


class ActorError(Exception):
    """The root of what an ask or a tell can raise."""

    code = "actor_error"


class ActorDown(ActorError):
    """Raised when the addressee is unknown, restarting, suspended or stopped."""

    code = "actor_down"


class AskTimeout(ActorError):
    """Raised when no answer came in time; it may still be worked on."""

    code = "timeout"


class MailboxFull(ActorError):
    """Raised at once when the addressee's mailbox, or the way to it, is full."""

    code = "mailbox_full"


class NotDeclared(ActorError):
    """Raised when an actor asks one that it did not declare among its needs."""

    code = "not_declared"


class PeerFailed(ActorError):
    """Raised when the addressee met a bug while it handled the message."""

    code = "peer_failed"


class Refused(ActorError):
    """Raised by a `receive` to decline a message; the actor goes on.

    `reason` is a stable word for programs (`busy`, `invalid`, `unsupported`, ...).
    """

    code = "refused"

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason


_BY_CODE: dict[str, type[ActorError]] = {
    kind.code: kind
    for kind in (ActorDown, AskTimeout, MailboxFull, NotDeclared, PeerFailed)
}


def to_wire(error: BaseException) -> tuple[str, str]:
    """Return the code and the text that stand for `error` in another process."""
    if isinstance(error, Refused):
        return f"refused:{error.reason}", str(error)
    if isinstance(error, ActorError):
        return error.code, str(error)
    return PeerFailed.code, f"{type(error).__name__}: {error}"


def from_wire(code: str, text: str) -> ActorError:
    """Return the error that `to_wire` described; unknown codes become PeerFailed."""
    if code.startswith("refused:"):
        return Refused(code.removeprefix("refused:"), text)
    return _BY_CODE.get(code, PeerFailed)(text)

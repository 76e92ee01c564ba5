"""Pykka actors in supervised worker processes. Knows nothing about energy."""

from egw.runtime.actor import Actor, Context, Failure
from egw.runtime.clock import Clock, SystemClock
from egw.runtime.control import SUPERVISOR, ActorView, Describe, TreeView, WorkerView
from egw.runtime.errors import (
    ActorDown,
    ActorError,
    AskTimeout,
    MailboxFull,
    NotDeclared,
    PeerFailed,
    Refused,
)
from egw.runtime.mailbox import Timer
from egw.runtime.message import Ask, Message, Tell
from egw.runtime.ref import Ref
from egw.runtime.spec import ChildSpec, TopologyError, WorkerSpec

__all__ = [
    "SUPERVISOR",
    "Actor",
    "ActorDown",
    "ActorError",
    "ActorView",
    "Ask",
    "AskTimeout",
    "ChildSpec",
    "Clock",
    "Context",
    "Describe",
    "Failure",
    "MailboxFull",
    "Message",
    "NotDeclared",
    "PeerFailed",
    "Ref",
    "Refused",
    "SystemClock",
    "Tell",
    "Timer",
    "TopologyError",
    "TreeView",
    "WorkerSpec",
    "WorkerView",
]

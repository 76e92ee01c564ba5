"""Test actors without threads, processes or waiting.

An actor is constructed with played peers and a clock that stands still, and its
`receive` is called like any other method:

    peers = Peers("packer", Probe("signer", {Sign: Signature(b"...")}))
    packer = Packer(peers)
    packer.started()

    peers.clock.advance(1.0)
    run_due(packer)

    assert peers.probe("store").expect(Store).signature == b"..."

The same peers serve an actor that runs in its own thread; `expect` can wait then.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egw.runtime.actor import Actor, Failure
    from egw.runtime.message import Ask, Message, Tell

T = TypeVar("T", bound="Tell")
R = TypeVar("R")


class Clock:
    """Both clocks of a machine, moved by the test only."""

    def __init__(
        self, *, monotonic_s: float = 1000.0, wall_ms: int = 1_700_000_000_000
    ) -> None:
        self._monotonic_s = monotonic_s
        self._wall_ms = float(wall_ms)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return self._monotonic_s

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC."""
        return round(self._wall_ms)

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks. Raises ValueError for negative seconds."""
        if seconds < 0:
            raise ValueError(f"the monotonic clock cannot go back by {-seconds:g} s")
        self._monotonic_s += seconds
        self._wall_ms += seconds * 1000

    def set_wall(self, wall_ms: int) -> None:
        """Step the wall clock, as someone does who sets it."""
        self._wall_ms = float(wall_ms)


class Probe:
    """A reference that keeps what it is told and answers asks from a script.

    The script maps a class of asks to its answer: a value, an exception to be raised,
    or a callable that is given the message and returns the value. An ask that the
    script does not know fails the test with an AssertionError.
    """

    def __init__(
        self, name: str, answers: Mapping[type[Ask[Any]], Any] | None = None
    ) -> None:
        self.name = name
        self.tells: list[Tell] = []
        """What was told and not yet expected, in order."""
        self.asks: list[Ask[Any]] = []
        """What was asked, in order."""
        self._answers = dict(answers or {})
        self._told = threading.Condition()

    def answer(self, kind: type[Ask[Any]], answer: object) -> None:
        """Answer this class of asks so from now on."""
        self._answers[kind] = answer

    def tell(self, message: Tell) -> None:
        """Keep the message."""
        with self._told:
            self.tells.append(message)
            self._told.notify_all()

    def ask(self, message: Ask[R], *, timeout: float) -> R:
        """Answer from the script; `timeout` must be positive and is not waited for."""
        kind = type(message)
        assert timeout > 0, f"{kind.__name__} was asked without time for an answer"  # noqa: S101
        self.asks.append(message)
        if kind not in self._answers:
            raise AssertionError(f"{self!r} has no answer to {message!r}")
        answer = self._answers[kind]
        if isinstance(answer, BaseException):
            raise answer
        value: R = answer(message) if callable(answer) else answer
        return value

    def expect(self, kind: type[T], *, within_s: float = 0.0) -> T:
        """Take and return the first message of this class; others are left.

        Waits for it up to `within_s` when the actor runs in a thread. Raises
        AssertionError without one.
        """
        found: list[T] = []

        def arrived() -> bool:
            found.extend(m for m in self.tells if isinstance(m, kind))
            return bool(found)

        with self._told:
            if not self._told.wait_for(arrived, within_s):
                raise AssertionError(
                    f"{self!r} was told no {kind.__name__}, but {self.tells!r}"
                )
            self._remove(found[0])
        return found[0]

    def _remove(self, message: Tell) -> None:
        index = next(i for i, told in enumerate(self.tells) if told is message)
        del self.tells[index]

    def expect_nothing(self, kind: type[Tell] | None = None) -> None:
        """Raise AssertionError when a message (of this class) was not expected yet."""
        with self._told:
            left = [m for m in self.tells if kind is None or isinstance(m, kind)]
        if left:
            raise AssertionError(f"{self!r} was told {left!r}")

    def __repr__(self) -> str:
        return f"<probe {self.name}>"


class Peers:
    """The context of an actor under test: probes for peers, and a clock to move.

    It notes what the actor reports to the runtime: dead letters, and, when it runs in
    its thread, that it is ready and how it ended.
    """

    def __init__(self, name: str, *probes: Probe, clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or Clock()
        self.dead_letters: list[tuple[Message, str]] = []
        """What the actor's mailbox could not take, and why."""
        self.ready = threading.Event()
        """Set when `started` has returned."""
        self.down = threading.Event()
        """Set when the actor has ended."""
        self.failure: Failure | None = None
        """What ended it; None when it was asked to stop or still runs."""
        self._probes = {probe.name: probe for probe in probes}
        self._lock = threading.Lock()

    def probe(self, name: str) -> Probe:
        """Return the probe of this name; made without a script when there is none."""
        with self._lock:
            return self._probes.setdefault(name, Probe(name))

    def ref(self, name: str) -> Probe:
        """Return the probe as the actor's reference; every ask is allowed."""
        return self.probe(name)

    def dead_letter(self, message: Message, why: str) -> None:
        """Note a message that the actor could not take."""
        self.dead_letters.append((message, why))

    def on_ready(self, _actor: Actor[Any]) -> None:
        """Note that the actor has started."""
        self.ready.set()

    def on_down(self, _actor: Actor[Any], failure: Failure | None) -> None:
        """Note that the actor has ended."""
        self.failure = failure
        self.down.set()


def due(actor: Actor[Any]) -> list[Tell]:
    """Take and return the ticks of a not running actor whose time has come."""
    ticks: list[Tell] = []
    while (letter := actor.mailbox.tick()) is not None:
        ticks.append(letter.message)
    return ticks


def run_due(actor: Actor[Any]) -> int:
    """Let a not running actor receive the ticks whose time has come; return how many.

    A tick that the actor asks for meanwhile is received too when it is due at once.
    """
    count = 0
    while (letter := actor.mailbox.tick()) is not None:
        actor.receive(letter.message)
        count += 1
    return count

"""A bounded mailbox that closes, keeps timers and counts what it does.

It is the inbox of a Pykka actor (`put`, `get`, `empty`). Three things are added:

* `put` never blocks. A full mailbox refuses an ask and drops a tell, or, for
  consumers of live values, drops the oldest tell. Pykka's own messages always get in.
* When the actor has ended the mailbox is closed: what is left and what comes later is
  refused, so no ask is left unanswered.
* `get` is where timers live: it returns a tick when one is due. Ticks stand on a fixed
  grid, come before queued messages, and a missed tick is counted, not queued. When
  ticks take longer than their period, a message gets its turn after each of them.
"""

from __future__ import annotations

import threading
from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from egw.runtime.clock import SystemClock
from egw.runtime.errors import ActorDown, ActorError, MailboxFull
from egw.runtime.message import Letter, Message, Tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from egw.runtime.clock import Clock

Overflow = Literal["refuse", "oldest"]

_BUCKETS = 32
_due_at = attrgetter("due_at")


class Timer:
    """A message that comes by itself; `period_s` 0 means once."""

    __slots__ = ("due_at", "message", "period_s")

    def __init__(self, due_at: float, period_s: float, message: Tell) -> None:
        self.due_at = due_at
        self.period_s = period_s
        self.message = message


class Mailbox:
    """See the module. One consumer (the actor's thread), any number of producers."""

    def __init__(
        self,
        *,
        capacity: int = 1000,
        overflow: Overflow = "refuse",
        clock: Clock | None = None,
        dead_letter: Callable[[Message, str], None] | None = None,
    ) -> None:
        self.capacity = capacity
        self.overflow = overflow
        self.clock: Clock = clock or SystemClock()
        self.dead_letter = dead_letter or (lambda _message, _why: None)
        self.high_water = 0
        self.handled = 0
        self.dropped = 0
        self.missed_ticks = 0
        self.due_at: float | None = None
        """When the tick being handled was due; None while a message is handled."""
        self._lock = threading.Lock()
        self._wake = threading.Lock()
        self._wake.acquire()
        self._waiting = False
        self._closed = False
        self._letters: deque[Letter] = deque()
        self._timers: list[Timer] = []
        """The next one first."""
        self._busy_since: float | None = None
        self._busy_with: Message | None = None
        self._handling_us = [0] * _BUCKETS

    def put(self, letter: Letter) -> None:
        """Take a letter, or answer or bury it at once. Never blocks."""
        refusal = self._admit(letter)
        if refusal is None:
            return
        if letter.reply_to is not None:
            letter.reply_to.fail(refusal)
        elif isinstance(letter.message, Message):
            self.dead_letter(letter.message, refusal.code)

    def _admit(self, letter: Letter) -> ActorError | None:
        oldest: Letter | None = None
        with self._lock:
            if self._closed:
                return ActorDown("the actor has stopped")
            letters = self._letters
            if len(letters) >= self.capacity and isinstance(letter.message, Message):
                self.dropped += 1
                if self.overflow == "refuse" or letter.reply_to is not None:
                    return MailboxFull(f"{len(letters)} messages are waiting")
                oldest = self._take_oldest_tell()
                if oldest is None:
                    return MailboxFull(f"{len(letters)} messages are waiting")
            letters.append(letter)
            if len(letters) > self.high_water:
                self.high_water = len(letters)
            if self._waiting:
                self._waiting = False
                self._wake.release()
        if oldest is not None:
            self.dead_letter(oldest.message, "overtaken")
        return None

    def _take_oldest_tell(self) -> Letter | None:
        for index, letter in enumerate(self._letters):
            if letter.reply_to is None and isinstance(letter.message, Message):
                del self._letters[index]
                return letter
        return None

    def get(self) -> Letter:
        """Return the next tick or letter; waits for one."""
        self._finish()
        while True:
            with self._lock:
                now = self.clock.monotonic()
                timer = self._timers[0] if self._timers else None
                is_due = timer is not None and timer.due_at <= now
                after_a_tick = self.due_at is not None
                if self._letters and (after_a_tick or not is_due):
                    return self._begin(self._letters.popleft(), now)
                if timer is not None and is_due:
                    return self._tick(timer, now)
                self.due_at = None
                # A late release from an earlier wait must not count for this one.
                self._wake.acquire(blocking=False)
                self._waiting = True
            timeout_s = -1.0 if timer is None else max(0.0, timer.due_at - now)
            self._wake.acquire(timeout=timeout_s)

    def tick(self) -> Letter | None:
        """Return the next tick if one is due now, without waiting; letters stay."""
        self._finish()
        with self._lock:
            now = self.clock.monotonic()
            timer = self._timers[0] if self._timers else None
            if timer is None or timer.due_at > now:
                return None
            return self._tick(timer, now)

    def empty(self) -> bool:
        """Tell whether no letter is waiting; timers do not count."""
        return not self._letters

    def close(self) -> None:
        """Refuse what is waiting and all that comes."""
        with self._lock:
            self._closed = True
            self._timers.clear()
            left = list(self._letters)
            self._letters.clear()
        for letter in left:
            if letter.reply_to is not None:
                letter.reply_to.fail(ActorDown("the actor has stopped"))
            elif isinstance(letter.message, Message):
                self.dead_letter(letter.message, ActorDown.code)

    def every(self, period_s: float, message: Tell, *, phase_s: float = 0.0) -> Timer:
        """Deliver `message` each `period_s`, first after `phase_s` or a period.

        To be called by the owning actor.
        """
        first_s = phase_s if phase_s > 0 else period_s
        return self._add(Timer(self.clock.monotonic() + first_s, period_s, message))

    def after(self, delay_s: float, message: Tell) -> Timer:
        """Deliver `message` once. To be called by the owning actor."""
        return self._add(Timer(self.clock.monotonic() + delay_s, 0.0, message))

    def _add(self, timer: Timer) -> Timer:
        with self._lock:
            if not self._closed:
                self._timers.append(timer)
                self._timers.sort(key=_due_at)
        return timer

    def cancel(self, timer: Timer) -> None:
        """Let a timer never come again. To be called by the owning actor."""
        with self._lock:
            if timer in self._timers:
                self._timers.remove(timer)

    def _tick(self, timer: Timer, now: float) -> Letter:
        due_at = timer.due_at
        if timer.period_s > 0:
            missed = int((now - due_at) / timer.period_s)
            self.missed_ticks += missed
            timer.due_at += (missed + 1) * timer.period_s
            due_at += missed * timer.period_s
            self._timers.sort(key=_due_at)
        else:
            self._timers.remove(timer)
        letter = self._begin(Letter(timer.message), now)
        self.due_at = due_at
        return letter

    def _begin(self, letter: Letter, now: float) -> Letter:
        self.due_at = None
        self._busy_with = letter.message
        self._busy_since = now
        return letter

    def _finish(self) -> None:
        since, self._busy_since = self._busy_since, None
        if since is not None:
            self.handled += 1
            took_us = int((self.clock.monotonic() - since) * 1e6)
            self._handling_us[min(took_us.bit_length(), _BUCKETS - 1)] += 1

    @property
    def depth(self) -> int:
        """Letters waiting."""
        return len(self._letters)

    def busy(self) -> tuple[float, str]:
        """Return for how long, in seconds, and with what the actor is busy; (0, "")."""
        since, message = self._busy_since, self._busy_with
        if since is None:
            return 0.0, ""
        return self.clock.monotonic() - since, type(message).__name__

    def handling_us(self, share: float) -> int:
        """Return a handling time that `share` of the messages stayed below.

        It is the upper edge of a power-of-two bucket, so up to twice too high.
        """
        wanted = share * sum(self._handling_us)
        seen = 0
        for bits, count in enumerate(self._handling_us):
            seen += count
            if count and seen >= wanted:
                return int(1 << bits)
        return 0

"""Actors of the runtime's benchmark, by a name that worker processes can import."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import assert_never

from egw.runtime import Actor, Ask, Context, Tell


@dataclass(frozen=True, slots=True)
class Echo(Ask[int]):
    value: int


@dataclass(frozen=True, slots=True)
class Number(Tell):
    value: int


@dataclass(frozen=True, slots=True)
class InOrder(Ask[int]):
    """How many numbers came, each one more than the one before; -1 if not."""


@dataclass(frozen=True, slots=True)
class Measure(Ask[tuple[float, ...]]):
    """Ask `peer` so often, one after the other; the answer is what each took, in us."""

    peer: str
    asks: int


Inbox = Echo | Number | InOrder | Measure


class Bench(Actor[Inbox]):
    patience_s = 60.0
    mailbox_capacity = 100_000

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next = 0

    def receive(self, message: Inbox) -> object:
        match message:
            case Number(value):
                self._next = value + 1 if value == self._next else -1
            case Echo(value):
                return value
            case InOrder():
                return self._next
            case Measure(peer, asks):
                return self._measure(peer, asks)
            case _:
                assert_never(message)
        return None

    def _measure(self, peer: str, asks: int) -> tuple[float, ...]:
        ref = self.ref(peer)
        took_us = []
        for number in range(asks):
            began = time.perf_counter()
            ref.ask(Echo(number), timeout=10)
            took_us.append((time.perf_counter() - began) * 1e6)
        return tuple(took_us)

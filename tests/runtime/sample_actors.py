"""Actors that the runtime's tests run in real processes."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from egw.runtime import Actor, Ask, Context, Refused, Tell


@dataclass(frozen=True, slots=True)
class Echo(Ask[str]):
    text: str


@dataclass(frozen=True, slots=True)
class WhichProcess(Ask[int]):
    pass


@dataclass(frozen=True, slots=True)
class Fail(Ask[None]):
    text: str


@dataclass(frozen=True, slots=True)
class FailLater(Tell):
    text: str


@dataclass(frozen=True, slots=True)
class Decline(Ask[None]):
    pass


@dataclass(frozen=True, slots=True)
class Sleep(Ask[None]):
    seconds: float


@dataclass(frozen=True, slots=True)
class SleepLater(Tell):
    seconds: float


@dataclass(frozen=True, slots=True)
class HoldInterpreter(Tell):
    """Runs a regular expression that holds the GIL for ages."""


@dataclass(frozen=True, slots=True)
class Number(Tell):
    value: int


@dataclass(frozen=True, slots=True)
class Numbers(Ask[tuple[int, ...]]):
    pass


@dataclass(frozen=True, slots=True)
class AskPeer(Ask[str]):
    peer: str
    text: str


@dataclass(frozen=True, slots=True)
class SleepIn(Ask[None]):
    """Makes a peer sleep, as an ask in flight."""

    peer: str
    seconds: float


Inbox = (
    Echo
    | WhichProcess
    | Fail
    | FailLater
    | Decline
    | Sleep
    | SleepLater
    | HoldInterpreter
    | Number
    | Numbers
    | AskPeer
    | SleepIn
)


class Sample(Actor[Inbox]):
    patience_s = 1.0
    mailbox_capacity = 100_000

    def __init__(self, context: Context, *, stop_file: str = "") -> None:
        super().__init__(context)
        self._stop_file = stop_file
        self._numbers: list[int] = []

    def receive(self, message: Inbox) -> object:
        match message:
            case Echo(text):
                return text
            case WhichProcess():
                return os.getpid()
            case Fail(text) | FailLater(text):
                raise RuntimeError(text)
            case Decline():
                raise Refused("busy", "come back later")
            case Sleep(seconds) | SleepLater(seconds):
                time.sleep(seconds)
            case HoldInterpreter():
                re.match(r"(a+)+$", "a" * 40 + "b")
            case Number(value):
                self._numbers.append(value)
            case Numbers():
                return tuple(self._numbers)
            case AskPeer() | SleepIn():
                return self._pass_on(message)
            case _:
                assert_never(message)
        return None

    def _pass_on(self, message: AskPeer | SleepIn) -> str | None:
        peer = self.ref(message.peer)
        if isinstance(message, AskPeer):
            return peer.ask(Echo(message.text), timeout=2)
        return peer.ask(Sleep(message.seconds), timeout=message.seconds + 5)

    def stopping(self) -> None:
        if self._stop_file:
            with Path(self._stop_file).open("a", encoding="utf-8") as file:
                file.write(f"{self.name}\n")


class FailsToStart(Sample):
    def started(self) -> None:
        raise RuntimeError("cannot start")


class Stubborn(Sample):
    def stopping(self) -> None:
        time.sleep(60)


class SlowToStop(Sample):
    def stopping(self) -> None:
        time.sleep(0.3)
        super().stopping()

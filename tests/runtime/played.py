"""Actors, switchboards and links of a gateway, in one process."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import Any

from waiting import HANG_S

from egw.runtime import Actor, Ask, Tell
from egw.runtime.link import Link
from egw.runtime.ref import NamedRef
from egw.runtime.switchboard import Switchboard
from egw.testing import Peers


@dataclass(frozen=True, slots=True)
class Hold(Ask[str]):
    """Answered when the test lets it."""


@dataclass(frozen=True, slots=True)
class HoldOn(Tell):
    """The same without an answer."""


class Held(Actor[Any]):
    """Stands still with a message until `release` is set."""

    mailbox_capacity = 3

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.holding = threading.Event()
        self.release = threading.Event()

    def receive(self, message: Any) -> object:
        self.holding.set()
        self.release.wait(HANG_S)
        return "released"


class Star:
    """The switchboards of main and workers, joined by links."""

    def __init__(self) -> None:
        self.main = Switchboard("main")
        self.down: dict[str, Link] = {}
        self._links: list[Link] = []
        self._closed: list[threading.Event] = []

    def worker(self, name: str) -> Switchboard:
        """Add a worker's switchboard."""
        board = Switchboard(name, incarnation=1)
        ours, theirs = socket.socketpair()
        down = self._link(self.main, ours, f"{name}#1")
        board.route_all(self._link(board, theirs, "main"))
        self.main.route(name, down)
        self.down[name] = down
        return board

    def _link(self, board: Switchboard, sock: socket.socket, name: str) -> Link:
        closed = threading.Event()

        def on_closed() -> None:
            board.unroute(link)
            closed.set()

        link = Link(
            sock,
            name=name,
            on_frame=lambda frame, data: board.on_frame(link, frame, data),
            on_closed=on_closed,
        )
        self._links.append(link)
        self._closed.append(closed)
        link.start()
        return link

    def close(self) -> None:
        for link in self._links:
            link.close()
        for closed in self._closed:
            assert closed.wait(HANG_S)


class Stage:
    """Runs actors in their threads and attaches them to switchboards."""

    def __init__(self) -> None:
        self.star = Star()
        self._running: list[tuple[Actor[Any], Peers]] = []

    def run(
        self, kind: type[Actor[Any]], name: str, *boards: Switchboard
    ) -> tuple[Any, Peers]:
        """Start an actor; what its mailbox refuses is noted by the peers."""
        peers = Peers(name)
        actor = kind(peers)
        for board in boards:
            board.attach(name, actor.mailbox)
        actor._start_actor_loop()
        self._running.append((actor, peers))
        return actor, peers

    def close(self) -> None:
        for actor, _ in self._running:
            if isinstance(actor, Held):
                actor.release.set()
            actor.stop()
        for actor, _ in self._running:
            assert actor.ended.wait(HANG_S), f"{actor.name} did not end"
        self.star.close()


def ref(board: Switchboard, name: str) -> NamedRef:
    """Return a reference that may ask."""
    return NamedRef(board, name, may_ask=True)

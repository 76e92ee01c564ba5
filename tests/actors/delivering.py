"""An UplinkActor at a real server, and what it delivers."""

from __future__ import annotations

import socket
from typing import Any

from http_script import HttpScript, reply
from waiting_for import until

from egw.actors.uplink import Posted, UplinkActor
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    Deliver,
    Delivered,
    Packet,
    UplinkStatus,
)
from egw.testing import Peers, run_due

NAME = "uplink/1"


def packet(number: int, device: str = "roof") -> Packet:
    return Packet(number, device, f"packet {number}".encode())


class Delivering:
    """An UplinkActor at a real server, with a clock that the test moves."""

    def __init__(self, endpoint: HttpScript, **settings: Any) -> None:
        self.endpoint = endpoint
        self.peers = Peers(NAME)
        self.harvest = self.peers.probe(HARVEST)
        self.actor = UplinkActor(
            self.peers, endpoint=endpoint.url, **{"timeout_s": 5.0, **settings}
        )
        self.actor.started()

    def deliver(self, *packets: Packet) -> None:
        self.actor.receive(Deliver(packets))

    def pass_time(self, seconds: float = 0.1) -> None:
        """Let time pass in the steps of the actor's grid, without waiting for posts."""
        for _ in range(round(seconds / 0.1)):
            self.peers.clock.advance(0.1)
            run_due(self.actor)

    def settle(self) -> None:
        """Let all posts end that are under way, and those that follow them."""
        while self.actor._posting:
            self.one_ends()

    def one_ends(self) -> Posted:
        own = self.peers.probe(NAME)
        until(lambda: own.tells)
        posted = own.expect(Posted)
        self.actor.receive(posted)
        return posted

    def tick(self, seconds: float = 0.1) -> None:
        """Let time pass, and let every post end before more of it does."""
        for _ in range(round(seconds / 0.1)):
            self.pass_time()
            self.settle()

    @property
    def numbers(self) -> list[int]:
        """The packets that the endpoint got, in order."""
        return [int(body.split()[1]) for body in self.endpoint.bodies]

    @property
    def delivered(self) -> list[int]:
        tells = self.harvest.tells
        return [told.packet for told in tells if isinstance(told, Delivered)]

    @property
    def state(self) -> str:
        return self.status.state

    @property
    def status(self) -> UplinkStatus:
        for name in (API, GATEWAY):
            self.peers.probe(name).tells.clear()
        self.actor._publish()
        told = self.peers.probe(API).expect(UplinkStatus)
        assert self.peers.probe(GATEWAY).expect(UplinkStatus) == told
        return told


class Gate:
    """Holds every request until it is opened."""

    def __init__(self, endpoint: HttpScript) -> None:
        self._endpoint = endpoint
        self._open = endpoint.closing
        endpoint.answer_with(self.answer)

    def answer(self, connection: socket.socket) -> bool:
        self._open.wait()
        return reply()(connection)

    def open(self) -> None:
        self._open.set()

"""A device without a socket, and an InverterActor that reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egw.actors.inverter import InverterActor
from egw.actors.settings import DeviceSettings
from egw.devices.blocks import Block
from egw.devices.transport import DeviceError, NoAnswer, NoConnection, Refused
from egw.messages import (
    API,
    GATEWAY,
    HARVEST,
    DeviceStatus,
    Live,
    Reading,
    Readings,
    Stored,
)
from egw.testing import Clock, Peers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egw.devices.profile import RegisterRange

PROFILE = """\
name: tiny
maker: Test
display_name: Tiny
kind: inverter
transports: [modbus-tcp]
max_power_w: 10000
harvest:
  full:
    - {function: input, address: 100, count: 4}
    - {function: input, address: 200, count: 2}
    - {function: holding, address: 300, count: 2}
frequency: grid_frequency_hz
identification: {serial: [serial_number]}
manners: {max_registers: 100}
points:
  - {key: serial_number, function: input, address: 10, type: str, count: 2}
  - {key: grid_frequency_hz, function: input, address: 50, type: u16, scale: 0.01}
  - {key: power_w, function: input, address: 100, type: u16}
  - {key: limit_percent, function: holding, address: 300, type: u16, scale: 0.1,
    write: {min: 0, max: 100}}
"""
SERIAL, FREQUENCY = 10, 50
BLOCKS = (100, 200, 300)


class ScriptedDevice:
    """A Transport: every register holds its address unless a test says otherwise."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connected = False
        self.sent_at_s = 0.0
        self.unit = 1
        self.off = False
        """Nobody is there: no connection can be made."""
        self.off_when_asked: int | None = None
        """It goes off when this address is asked."""
        self.latency_s = 0.001
        self.words: dict[int, int] = {10: 0x534E, 11: 0x3137, 50: 5001}
        self.trouble: dict[int, DeviceError] = {}
        """By a request's first address: how each such request fails."""
        self.largest = 125
        """Reads of more registers are not answered."""
        self.answers_to: tuple[int, ...] = tuple(range(256))
        """Unit ids; others are silent."""
        self.settles_s = 0.0
        """For so long after a write the old words are told."""
        self.closes_after_reply = False
        self.connects: list[float] = []
        """When a connection was tried."""
        self.asked: list[int] = []
        """First addresses of the requests."""
        self.written: list[tuple[int, tuple[int, ...]]] = []
        self._written: dict[int, int] = {}
        self._settled_at_s = 0.0
        self._replied = False

    def connect(self) -> None:
        if self.connected:
            return
        self.connects.append(self.clock.monotonic())
        if self.off:
            raise NoConnection("cannot connect to 10.0.0.5:502")
        self.connected, self._replied = True, False

    def close(self) -> None:
        self.connected = False

    def read(self, registers: RegisterRange) -> Block:
        self._request(registers.address)
        if registers.count > self.largest:
            self.close()
            raise NoAnswer("no answer in time")
        self._settle()
        addresses = range(registers.address, registers.end)
        words = [self.words.get(address, address) for address in addresses]
        data = struct.pack(f">{len(words)}H", *words)
        return Block(registers.function, registers.address, data)

    def write(self, address: int, words: Sequence[int]) -> None:
        self._request(address)
        self.written.append((address, tuple(words)))
        self._written |= dict(enumerate(words, start=address))
        self._settled_at_s = self.clock.monotonic() + self.settles_s
        self._settle()

    def rest(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def _settle(self) -> None:
        if self.clock.monotonic() >= self._settled_at_s:
            self.words |= self._written
            self._written = {}

    def _request(self, address: int) -> None:
        self.asked.append(address)
        self.sent_at_s = self.clock.monotonic()
        self.clock.advance(self.latency_s)
        self.off = self.off or address == self.off_when_asked
        is_closed, self._replied = self.closes_after_reply and self._replied, True
        if self.off or is_closed:
            self.close()
            raise NoConnection("the connection broke")
        if self.unit not in self.answers_to:
            self.close()
            raise NoAnswer("no answer in time")
        trouble = self.trouble.get(address)
        if trouble is not None:
            if not isinstance(trouble, Refused):
                self.close()
            raise trouble


@dataclass
class Sampling:
    """An InverterActor at a scripted device, with a clock that the test moves."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    settings: dict[str, Any] = field(default_factory=dict)
    profile: str = PROFILE

    def __post_init__(self) -> None:
        (self.directory / "tiny.yaml").write_text(self.profile)
        self.device = ScriptedDevice(self.clock)
        self.start()

    def start(self) -> None:
        """Start an incarnation; one that was there before was killed."""
        settings = {
            "name": "roof",
            "profile": "tiny",
            "host": "10.0.0.5",
            "port": 502,
            "unit": 1,
            "timeout_s": 1.0,
            "sn": "",
            "frequency": True,
            "slot": 0.0,
            "profiles_dir": self.directory,
            **self.settings,
        }
        self.peers = Peers("inverter/roof", clock=self.clock)
        self.harvest = self.peers.probe(HARVEST)
        self.actor = InverterActor(
            self.peers, settings=DeviceSettings(**settings), transport=self.device
        )
        self.actor.started()

    def stored(self, up_to_ms: int = 0) -> None:
        self.actor.receive(Stored(up_to_ms))

    def run(self, seconds: float) -> None:
        """Let time pass as it does for a running actor: from one tick to the next."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            letter = self.actor.mailbox.tick()
            if letter is None:
                self.clock.advance(0.001)
            else:
                self.actor.receive(letter.message)

    def run_once(self) -> None:
        """Let the actor handle what comes next: a tick, or what others ask."""
        mailbox = self.actor.mailbox
        letter = mailbox.tick() if mailbox.empty() else mailbox.get()
        if letter is None:
            self.clock.advance(0.001)
            return
        answer = self.actor.receive(letter.message)
        if letter.reply_to is not None:
            letter.reply_to.set(answer)

    def run_until(self, condition: Any, *, within_s: float = 120.0) -> float:
        """Let time pass until the condition holds; returns how much did."""
        start = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - start < within_s, "it did not happen"
            self.run(0.1)
        return self.clock.monotonic() - start

    def readings(self) -> list[Reading]:
        """Take all that harvest was sent, each reading once, in order of its stamp."""
        found = {
            reading.stamp_ms: reading
            for message in self.harvest.tells
            if isinstance(message, Readings)
            for reading in message.readings
        }
        self.harvest.tells.clear()
        return [found[stamp_ms] for stamp_ms in sorted(found)]

    @property
    def status(self) -> DeviceStatus:
        return self.actor._status()

    @property
    def state(self) -> tuple[str, str]:
        return self.status.state, self.status.reason

    def live(self) -> list[Live]:
        """Take what the API was told."""
        tells = self.peers.probe(API).tells
        found = [m for m in tells if isinstance(m, Live)]
        tells.clear()
        return found

    def gateway_was_told(self) -> list[str]:
        """Take the states that the gateway was told."""
        tells = self.peers.probe(GATEWAY).tells
        found: list[str] = [m.state for m in tells if isinstance(m, DeviceStatus)]
        tells.clear()
        return found


def addresses(reading: Reading) -> list[int]:
    return [block.address for block in reading.blocks]

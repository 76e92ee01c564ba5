from __future__ import annotations

import asyncio
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest
from scripted_device import PROFILE
from waiting_for import HANG_S

from egw.actors.inverter import InverterActor
from egw.actors.settings import DeviceSettings
from egw.messages import (
    API,
    HARVEST,
    DeviceStatus,
    Live,
    Reading,
    Readings,
    Stored,
    WritePoint,
)
from egw.testing import Peers, run_due
from simulators.faults import changed
from simulators.modbus_server import ModbusServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 0.15


class TellingRegisters:
    """Each register holds a word that says which one it is; 50 is a frequency."""

    is_dark = False

    def __init__(self) -> None:
        self.written: dict[int, int] = {}

    def word(self, address: int) -> int:
        return {50: 4998, **self.written}.get(address, (address * 7 + 1) % 65536)

    def read(self, function: str, address: int, count: int) -> bytes:
        words = [self.word(a) for a in range(address, address + count)]
        return struct.pack(f">{count}H", *words)

    def write(self, address: int, data: bytes) -> None:
        self.written[address] = int.from_bytes(data[:2])

    def doze(self, how: str | None) -> None:
        assert how is None


class Roof:
    """A simulated device on a real socket and the actor that reads it."""

    def __init__(
        self, directory: Path, *, manners: str = "", unit: int | None = 1, at: int = 1
    ) -> None:
        profile = PROFILE.replace(
            "manners: {max_registers: 100}", f"manners: {{{manners}}}"
        )
        (directory / "tiny.yaml").write_text(profile)
        self.registers = TellingRegisters()
        self.server = ModbusServer("roof", self.registers, unit=at)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._run(self.server.start("127.0.0.1", 0))
        self.peers = Peers("inverter/roof")
        self.actor = InverterActor(
            self.peers,
            settings=DeviceSettings(
                name="roof",
                profile="tiny",
                host="127.0.0.1",
                port=self.server.port,
                unit=unit,
                timeout_s=TIMEOUT_S,
                sn="",
                frequency=True,
                slot=0.0,
                profiles_dir=directory,
            ),
        )
        self.actor.started()
        self.actor.receive(Stored(0))

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(HANG_S)

    def suffer(self, **change: Any) -> None:
        """Let the device have these faults; None ends them all."""
        faults = changed(self.server.faults, change or None)
        self._run(self.server.set_faults(faults))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.peers.clock.advance(0.1)
            run_due(self.actor)

    def readings(self) -> list[Reading]:
        tells = self.peers.probe(HARVEST).tells
        found = {
            reading.stamp_ms: reading
            for message in tells
            if isinstance(message, Readings)
            for reading in message.readings
        }
        tells.clear()
        self.actor.receive(Stored(max(found, default=0)))
        return list(found.values())

    def wrong_words(self) -> list[str]:
        """Take all that was read; returns what was not the register's own word."""
        wrong = [
            f"{block.address + offset} holds {word}"
            for reading in self.readings()
            for block in reading.blocks
            for offset, word in enumerate(block.words)
            if word != self.registers.word(block.address + offset)
        ]
        lives = self.peers.probe(API).tells
        samples = [m.frequency.hz for m in lives if isinstance(m, Live)]
        wrong += [f"{hz} Hz" for batch in samples for hz in batch if hz != 49.98]
        lives.clear()
        return wrong

    @property
    def status(self) -> DeviceStatus:
        return self.actor._status()

    @property
    def state(self) -> str:
        return self.status.state

    def close(self) -> None:
        self.actor.stopping()

        async def end() -> None:
            self.server.close()
            await asyncio.sleep(0.01)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_S)
        self._loop.close()


@pytest.fixture
def roof(tmp_path: Path) -> Iterator[Roof]:
    roof = Roof(tmp_path)
    yield roof
    roof.close()


def test_a_real_connection_is_sampled_and_harvested(roof: Roof) -> None:
    roof.run(5)

    assert roof.state == "online"
    assert roof.status.samples_taken == 50
    assert roof.status.readings_taken in (5, 6)
    assert roof.server.counters.connections == 1
    assert roof.wrong_words() == []


TROUBLES: list[dict[str, Any]] = [
    {"previous_reply": True},
    {"wrong_transaction_id": True},
    {"garbage": True},
    {"truncate": True},
    {"silent": True},
    {"drop": True},
    {"latency_ms": 1000 * TIMEOUT_S + 50},
    {"exception": 11},
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda t: next(iter(t)))
def test_whatever_it_answers_never_is_a_value_under_a_wrong_register(
    trouble: dict[str, Any], roof: Roof
) -> None:
    roof.run(2)
    assert roof.wrong_words() == []

    roof.suffer(**trouble)
    roof.run(8)
    assert roof.wrong_words() == []
    assert roof.state in ("degraded", "offline")

    roof.suffer()
    taken = roof.status.readings_taken
    roof.run(40)
    assert roof.wrong_words() == []
    assert roof.state == "online"
    assert roof.status.readings_taken > taken + 3


def test_all_troubles_at_once_cost_readings_and_never_put_a_wrong_one(
    roof: Roof,
) -> None:
    roof.suffer(
        previous_reply=0.1,
        wrong_transaction_id=0.1,
        garbage=0.1,
        truncate=0.05,
        silent=0.05,
        drop=0.1,
        jitter_ms=10,
    )

    roof.run(12)

    assert roof.wrong_words() == []
    assert roof.status.samples_taken > 0
    roof.suffer()
    roof.run(35)
    assert roof.wrong_words() == []
    assert roof.state == "online"


def test_a_block_that_the_device_refuses_leaves_the_others(roof: Roof) -> None:
    roof.suffer(refuse=[{"function": "input", "address": 200, "count": 2, "code": 2}])

    roof.run(10)

    status = roof.status
    assert status.samples_taken == 100
    assert status.readings_taken in (10, 11)
    assert status.quarantined == 2
    last = roof.readings()[-1]
    assert [block.address for block in last.blocks] == [100, 300]


def test_a_device_that_is_switched_off_and_on_is_back(roof: Roof) -> None:
    roof.run(2)
    roof.suffer(off=True)
    roof.run(10)
    assert roof.state == "offline"
    assert f"127.0.0.1:{roof.server.port}" in roof.status.reason

    roof.suffer(off=False)
    roof.run(6)

    assert roof.state == "online"
    assert roof.wrong_words() == []


def test_a_device_that_bears_one_connection_never_sees_two(roof: Roof) -> None:
    roof.suffer(single_connection=True, drop=0.1)

    roof.run(20)

    assert roof.server.counters.connections > 2
    assert roof.server.counters.refused_connections == 0


QUIRKS: list[tuple[dict[str, Any], str]] = [
    ({"min_gap_ms": 30}, "gap_ms: 35, "),
    ({"connect_delay_ms": 200}, "connect_delay_ms: 220, "),
    ({"max_registers": 3}, "max_registers: 3, "),
    ({"max_registers": 3, "oversize": "truncate"}, "max_registers: 3, "),
    ({"transaction_id": "zero"}, "echoes_transaction_id: false, "),
    ({"transaction_id": "counter"}, "echoes_transaction_id: false, "),
]


@pytest.mark.parametrize(("quirk", "manners"), QUIRKS, ids=str)
def test_a_quirk_is_no_trouble_when_the_profile_knows_it(
    quirk: dict[str, Any], manners: str, tmp_path: Path
) -> None:
    roof = Roof(tmp_path, manners=manners)
    roof.suffer(**quirk)

    roof.run(4)

    assert (roof.state, roof.status.failures) == ("online", 0)
    assert roof.status.readings_taken >= 3
    assert roof.wrong_words() == []
    roof.close()


@pytest.mark.parametrize(("quirk", "manners"), QUIRKS, ids=str)
def test_a_quirk_is_trouble_when_the_profile_does_not_know_it(
    quirk: dict[str, Any], manners: str, roof: Roof
) -> None:
    roof.run(1)
    roof.suffer(**quirk)

    roof.run(4)

    assert roof.status.failures > 0
    assert roof.wrong_words() == []


ONE_PLACE = {"single_connection": True, "linger_ms": 60_000}


def test_the_only_place_of_a_device_is_taken_again_at_once(tmp_path: Path) -> None:
    roof = Roof(tmp_path, manners="single_connection: true, ")
    roof.suffer(**ONE_PLACE)
    roof.run(2)

    roof.suffer(silent=True)
    roof.run(0.2)
    roof.suffer(silent=False)
    roof.run(3)

    assert roof.state == "online"
    assert roof.server.counters.connections >= 2
    assert roof.server.counters.refused_connections == 0
    roof.close()


def test_without_a_reset_the_only_place_of_a_device_stays_taken(roof: Roof) -> None:
    roof.suffer(**ONE_PLACE)
    roof.run(2)

    roof.suffer(silent=True)
    roof.run(0.2)
    roof.suffer(silent=False)
    roof.run(3)

    assert roof.state != "online"
    assert roof.server.counters.refused_connections > 0


@pytest.mark.parametrize(
    ("manners", "state"), [("units: [7, 3], ", "online"), ("", "offline")]
)
def test_a_device_at_another_unit_is_found_when_the_profile_names_it(
    manners: str, state: str, tmp_path: Path
) -> None:
    roof = Roof(tmp_path, manners=manners, unit=None, at=3)

    roof.run(3)

    assert roof.state == state
    assert roof.wrong_words() == []
    roof.close()


@pytest.mark.parametrize(("manners", "told"), [("settle_ms: 250, ", 50.0), ("", 210.1)])
def test_a_write_that_takes_time_is_read_back_when_the_profile_knows_how_long(
    manners: str, told: float, tmp_path: Path
) -> None:
    roof = Roof(tmp_path, manners=manners)
    roof.suffer(settle_ms=200)
    roof.run(1)

    assert roof.actor.receive(WritePoint("limit_percent", 50.0)) == told

    assert roof.registers.written == {300: 500}
    roof.close()


def test_a_bridge_that_breaks_long_frames_is_asked_for_short_ones(
    roof: Roof,
) -> None:
    roof.suffer(max_registers=2, oversize="truncate")

    roof.run(20)

    assert roof.status.max_registers == 2
    roof.run(5)
    assert roof.state == "online"
    assert roof.wrong_words() == []


def test_at_the_end_the_connection_is_closed(roof: Roof) -> None:
    roof.run(1)
    assert len(roof.server.connections) == 1

    roof.actor.stopping()

    def gone() -> bool:
        return not roof.server.connections

    deadline = threading.Event()
    for _ in range(round(HANG_S / 0.01)):
        if gone():
            break
        deadline.wait(0.01)
    assert gone()

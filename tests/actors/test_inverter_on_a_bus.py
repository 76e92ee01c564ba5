"""InverterActor on a simulated serial bus: a real pseudo-terminal, a false clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_device import PROFILE
from test_inverter_on_a_socket import TellingRegisters
from waiting_for import HANG_S

from egw.actors.inverter import InverterActor
from egw.actors.settings import DeviceSettings
from egw.devices.wire import SerialLine
from egw.messages import HARVEST, Readings, Stored
from egw.testing import Peers, run_due
from simulators.faults import changed
from simulators.rtu_bus import BusUnit, RtuBus
from simulators.rtu_ends import SerialLink

BAUD_RATE = 115_200


class Meter:
    """A simulated device on a serial bus, and the actor that reads it."""

    def __init__(self, directory: Path) -> None:
        (directory / "tiny.yaml").write_text(PROFILE)
        self.registers = TellingRegisters()
        self.unit = BusUnit("meter", self.registers, unit=1)
        self.path = directory / "port"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.run_there(self._start)
        self.peers = Peers("inverter/meter")
        self.actor = InverterActor(
            self.peers,
            settings=DeviceSettings(
                name="meter",
                profile="tiny",
                host=str(self.path),
                port=0,
                unit=1,
                timeout_s=0.15,
                sn="",
                frequency=True,
                slot=0.0,
                profiles_dir=directory,
                transport="modbus-rtu",
                line=SerialLine(BAUD_RATE),
            ),
        )
        self.actor.started()
        self.actor.receive(Stored(0))

    async def _start(self) -> None:
        self._bus = RtuBus([self.unit], baud_rate=BAUD_RATE)
        self._link = SerialLink(self._bus, self.path)
        self._link.plug_in()
        await self.unit.start(str(self.path), 0)

    def run_there(self, wanted: Any) -> None:
        asyncio.run_coroutine_threadsafe(wanted(), self._loop).result(HANG_S)

    def suffer(self, **change: object) -> None:
        async def change_faults() -> None:
            await self.unit.set_faults(changed(self.unit.faults, change))

        self.run_there(change_faults)

    def unplug(self) -> None:
        async def unplug() -> None:
            self._link.unplug()

        self.run_there(unplug)

    def plug_in(self) -> None:
        async def plug_in() -> None:
            self._link.plug_in()

        self.run_there(plug_in)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.peers.clock.advance(0.1)
            run_due(self.actor)

    def words_read(self) -> dict[int, int]:
        """Take all that was read since the last time."""
        tells = self.peers.probe(HARVEST).tells
        found = {
            block.address + offset: word
            for message in tells
            if isinstance(message, Readings)
            for reading in message.readings
            for block in reading.blocks
            for offset, word in enumerate(block.words)
        }
        tells.clear()
        return found

    def close(self) -> None:
        async def close() -> None:
            self._link.unplug()
            self._bus.close()

        self.actor.stopping()
        self.run_there(close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_S)
        self._loop.close()


@pytest.fixture
def meter(tmp_path: Path) -> Iterator[Meter]:
    running = Meter(tmp_path)
    yield running
    running.close()


def test_a_device_on_a_serial_bus_is_sampled_and_harvested(meter: Meter) -> None:
    meter.run(3)

    read = meter.words_read()
    assert read
    assert all(word == meter.registers.word(address) for address, word in read.items())
    assert meter.actor._status().samples_taken >= 20
    assert meter.actor._status().state == "online"
    assert meter.actor._status().host == str(meter.path)


def test_an_adapter_that_was_unplugged_for_long_is_in_use_5_s_after_its_return(
    meter: Meter,
) -> None:
    meter.run(2)
    meter.unplug()
    meter.run(120)
    unplugged = meter.actor._status()
    meter.words_read()

    meter.plug_in()
    meter.run(5)

    assert unplugged.state == "offline"
    assert unplugged.reason == f"cannot open {meter.path}: there is no such port"
    assert meter.actor._status().state == "online"
    assert meter.words_read()


def test_damaged_and_late_replies_are_never_a_wrong_word(meter: Meter) -> None:
    meter.run(2)
    meter.suffer(bad_crc=0.1, noise=0.1, truncate=0.05, late=0.1, silent=0.05)

    meter.run(6)

    read = meter.words_read()
    assert read
    assert all(word == meter.registers.word(address) for address, word in read.items())

"""CPU for a 60-register block read by an InverterActor, beside a bare pymodbus loop.

    python -m benchmarks.read_block

The actor is a real one with its thread and mailbox; each read is an ask that it
answers, and the asks are posted in batches so that no asker's wake-up is counted.
Both loops read the same simulated device, and take turns.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from pymodbus.client import ModbusTcpClient

from egw.actors.inverter import InverterActor
from egw.actors.settings import DeviceSettings
from egw.messages import ReadRegisters
from egw.runtime.clock import SystemClock
from egw.runtime.message import Letter, Reply
from egw.testing import Peers

READS = 2_000
BATCH = 50
ROUNDS = 5
ADDRESS = 40000
COUNT = 60


class Counted(Reply):
    """Answers are counted by the thread that gives them."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def set(self, value: Any) -> None:
        self.values.append(value)

    def fail(self, error: BaseException) -> None:
        raise error


def actor_us(actor: InverterActor) -> float:
    replies = Counted()
    message = ReadRegisters("holding", ADDRESS, COUNT)
    started = time.process_time()
    for done in range(BATCH, READS + 1, BATCH):
        for _ in range(BATCH):
            actor.mailbox.put(Letter(message, replies))
        while len(replies.values) < done:
            time.sleep(0.0005)
    used = time.process_time() - started
    if any(len(words) != COUNT for words in replies.values):
        raise SystemExit("a read went wrong")
    return used / READS * 1e6


def pymodbus_us(client: ModbusTcpClient) -> float:
    started = time.process_time()
    for _ in range(READS):
        reply = client.read_holding_registers(ADDRESS, count=COUNT, device_id=1)
        if len(reply.registers) != COUNT:
            raise SystemExit("a read went wrong")
    return (time.process_time() - started) / READS * 1e6


def run() -> dict[str, float]:
    command = ["simulators", "inverter", "--profile", "solaredge"]
    command += ["--port", "15991", "--json", "--until-eof"]
    simulator = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        simulator.stdout.readline()  # type: ignore[union-attr]
        return _measured(15991)
    finally:
        simulator.terminate()
        simulator.communicate()


def _measured(port: int) -> dict[str, float]:
    settings = DeviceSettings(
        name="bench",
        profile="solaredge",
        host="127.0.0.1",
        port=port,
        unit=1,
        timeout_s=1.0,
        sn="",
        frequency=False,
        slot=0.0,
    )
    actor = InverterActor(
        Peers("inverter/bench", clock=SystemClock()), settings=settings
    )
    actor._start_actor_loop()
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
    client.connect()
    while not actor._line.device.connected:
        time.sleep(0.01)
    try:
        rounds = [(actor_us(actor), pymodbus_us(client)) for _ in range(ROUNDS)]
    finally:
        client.close()
        actor.stop()
    ours = min(row[0] for row in rounds)
    theirs = min(row[1] for row in rounds)
    return {
        "actor_cpu_us": round(ours, 1),
        "pymodbus_cpu_us": round(theirs, 1),
        "ratio": round(ours / theirs, 2),
    }


if __name__ == "__main__":
    for name, value in run().items():
        print(f"{name:20} {value}")

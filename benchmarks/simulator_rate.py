"""How many requests a second one simulated inverter answers on one core.

    python -m benchmarks.simulator_rate [--seconds S] [--connections N]

The load comes from another process with several requests in flight, so that the
simulator is what is measured. It must not be what limits a gateway's benchmark.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import struct
import subprocess
import sys
import time

BLOCKS = ((40069, 37), (40085, 2), (40000, 61))
"""Address and count of SolarEdge's harvest and frequency reads."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    for name, value in run(options.seconds, options.connections).items():
        print(f"{name:32} {value:,}")


def run(seconds: float = 3.0, connections: int = 8) -> dict[str, float]:
    with subprocess.Popen(
        [*(sys.executable, "-m", "simulators", "inverter"), "--port=0", "--json"],
        stdout=subprocess.PIPE,
    ) as simulator:
        assert simulator.stdout is not None
        device = json.loads(simulator.stdout.readline())["devices"][0]
        before_s = cpu_s(simulator.pid)
        answered = load(device["port"], connections, seconds)
        used_s = cpu_s(simulator.pid) - before_s
        simulator.terminate()
    return {
        "requests_per_s": round(answered / seconds),
        "requests_per_core_second": round(answered / used_s),
    }


def load(port: int, connections: int, seconds: float) -> int:
    """Keep one request in flight on each connection; return the replies counted."""
    selector = selectors.DefaultSelector()
    for number in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address, count = BLOCKS[number % len(BLOCKS)]
        request = struct.pack(">HHHBBHH", number, 0, 6, 1, 3, address, count)
        selector.register(connection, selectors.EVENT_READ, (request, 9 + 2 * count))
        connection.sendall(request)
    answered = exchange(selector, time.monotonic() + seconds)
    for key in tuple(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
    return answered


def exchange(selector: selectors.BaseSelector, end: float) -> int:
    answered = 0
    while time.monotonic() < end:
        for key, _ in selector.select(1.0):
            request, size = key.data
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            reply = connection.recv(1024)
            if len(reply) != size or reply[7] != 3:
                raise SystemExit(f"unexpected reply {reply.hex()}")
            connection.sendall(request)
            answered += 1
    return answered


def cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - the kernel's own file
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main()

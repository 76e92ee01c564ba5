"""Cuts the power of a gateway under load, again and again, and counts what is lost.

    python -m benchmarks.power_cuts --cuts 50

A cut ends every process of the gateway at one moment; the disk stays as it is. Judged
from outside: what is on disk at the end against what the backend got. Exit status 0
only when nothing that was committed is lost, doubled or damaged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from egw.demo.children import free_port
from egw.demo.setting import Setting

DEVICES = 10
LONGEST_RUN_S = 5.0
PACKET_READINGS = 2
_SESSION_FIELD = 3
"""Of `/proc/PID/stat`, counted from the state: proc(5)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of everything that was committed in all the runs."""

    cuts: int
    packets: int
    readings: int
    lost: int
    """Readings on disk that the backend did not get."""
    duplicated: int
    """Readings in more than one packet: a stamp of a device was used twice."""
    out_of_order: int
    """Readings with a stamp below an earlier one of the same device."""
    vanished: int
    """Readings that the backend got and that are not on disk."""
    invalid: int
    damaged_files: int
    redelivered: int
    """Packets that came again with the same bytes: the cut hid their delivery."""

    @property
    def good(self) -> bool:
        """Whether all that was committed arrived exactly once."""
        bad = self.lost + self.duplicated + self.out_of_order + self.vanished
        return self.packets > 0 and not (bad or self.invalid or self.damaged_files)


class PowerCuts:
    """Runs a gateway for random times in one data directory."""

    def __init__(
        self,
        directory: Path,
        *,
        cuts: int,
        seed: int,
        longest_run_s: float = LONGEST_RUN_S,
    ) -> None:
        self._directory = directory
        self._longest_run_s = longest_run_s
        self._cuts = cuts
        self._chance = random.Random(seed)
        self._port = free_port(0)

    def run(self) -> Outcome:
        """Cut the power so often, start once more in peace, and judge."""
        with Setting(
            self._directory,
            devices=DEVICES,
            port=self._port,
            tables=[f"harvest = {{ packet_readings = {PACKET_READINGS} }}"],
        ) as setting:
            for _ in range(self._cuts):
                with setting.start() as running:
                    time.sleep(self._chance.uniform(0.1, self._longest_run_s))
                    cut_power(running.pid)
            setting.drain()
            return self._outcome(setting)

    def _outcome(self, setting: Setting) -> Outcome:
        journal, report = setting.site.journal(), setting.site.report()
        verdict = setting.judge()
        committed = verdict.totals.committed_readings
        return Outcome(
            cuts=self._cuts,
            packets=verdict.totals.committed_packets,
            readings=committed,
            lost=verdict.lost,
            duplicated=max(verdict.duplicated, report["doubled"]),
            out_of_order=report["out_of_order"],
            vanished=max(0, len(journal) - committed),
            invalid=report["invalid"],
            damaged_files=verdict.totals.damaged_files,
            redelivered=report["redelivered"],
        )


def cut_power(main_pid: int) -> None:
    """End every process of a gateway that leads its session, at one moment.

    All are frozen first, so that none sees another one die and reacts.
    """
    frozen: set[int] = set()
    new = {main_pid}
    while new:
        _send(signal.SIGSTOP, new)
        frozen |= new
        new = _session(main_pid) - frozen
    _send(signal.SIGKILL, frozen)


def _send(number: signal.Signals, pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _session(leader: int) -> set[int]:
    members = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[_SESSION_FIELD]) == leader:
                members.add(int(stat.parent.name))
    return members


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power_cuts")
    parser.add_argument("--cuts", type=int, default=50, help="default: 50")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="egw-power-cuts-") as directory:
        cuts = PowerCuts(Path(directory), cuts=options.cuts, seed=options.seed)
        outcome = cuts.run()
    print(json.dumps({"seed": options.seed} | asdict(outcome)))
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())

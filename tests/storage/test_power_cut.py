from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from packets import NOW_MS

from egw.storage.outbox import Outbox

CUTS = 20

WRITER = """
import itertools, sys
from pathlib import Path
from packets import HEADER, NOW_MS, SIGNATURE, packet
from egw.storage.outbox import Outbox

outbox = Outbox(Path(sys.argv[1]), now_ms=NOW_MS)
for round in itertools.count():
    with outbox.transaction():
        numbers = [
            outbox.add(packet(n, payload="x" * 5000 + str(n)), now_ms=NOW_MS)
            for n in range(3)
        ]
        outbox.sign(numbers[0], header=HEADER, signature=SIGNATURE)
    # What is said here has been committed.
    sys.stdout.write("".join(f"{number}\\n" for number in numbers))
    sys.stdout.flush()
"""


def killed_after(path: Path, lines: int) -> list[int]:
    """Let a process commit packets and kill it; returns what it said it had."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout as said:
        committed = [said.readline() for _ in range(lines)]
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        committed += said.readlines()
    return [int(line) for line in committed if line.endswith(b"\n")]


def test_whenever_the_process_is_killed_every_committed_packet_is_there(
    path: Path,
) -> None:
    chance = random.Random(7)
    committed: list[int] = []

    for _ in range(CUTS):
        committed += killed_after(path, chance.randint(1, 60))

        outbox = Outbox(path, now_ms=NOW_MS)
        kept = {u.id for u in outbox.unsigned(after=0, limit=1_000_000)}
        kept |= {p.id for p in outbox.to_deliver("x", after=0, limit=1)}
        totals = outbox.totals()
        signed = outbox._one("SELECT count(*) FROM packet WHERE signature NOT NULL")
        everything = {
            row[0] for row in outbox._db.execute("SELECT id FROM packet").fetchall()
        }
        outbox.close()
        assert everything >= set(committed)
        assert kept <= everything
        assert totals.damaged_files == 0
        assert len(everything) == totals.committed_packets == 3 * signed

    assert len(set(committed)) == len(committed) > CUTS

"""A main process to be killed: prints the pids of its workers, then waits.

The first argument is the file into which its actors write that they have stopped; the
second, `hang`, makes one worker's actor stand still first; `fork-here` makes the fork
server share the memory of this process.
"""

from __future__ import annotations

import json
import sys

from gateways import Gateway, child, worker
from sample_actors import SleepLater


def main() -> None:
    arguments = {"stop_file": sys.argv[1]}
    gateway = Gateway(
        worker("one", child("first", "SlowToStop", arguments=arguments)),
        worker("two", child("second")),
        fork_here="fork-here" in sys.argv,
    ).until_up()
    if "hang" in sys.argv:
        gateway.ref("second").tell(SleepLater(60))
    print(json.dumps([gateway.pid("one"), gateway.pid("two")]), file=sys.stderr)
    sys.stderr.flush()
    gateway.wait()


if __name__ == "__main__":
    main()

"""Asks and tells across processes, beside plain Pykka in one process.

    python -m benchmarks.runtime

A tell counts when it was handled. Tells are sent in windows: after each 5,000 an ask
waits until they are handled, which bounds what is on the way and proves the order.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import pykka
import structlog

from benchmarks.runtime_actors import Echo, InOrder, Measure, Number
from egw.runtime import SUPERVISOR, ChildSpec, Describe, Ref, WorkerSpec
from egw.runtime.system import System

if TYPE_CHECKING:
    from collections.abc import Callable

ASKS = 5_000
TELLS = 100_000
WINDOW = 5_000
ROUNDS = 3

ACTOR = "benchmarks.runtime_actors:Bench"
PRELOAD = ("egw.runtime.worker", "benchmarks.runtime_actors")
WORKERS = (
    WorkerSpec("one", (ChildSpec("near", ACTOR),)),
    WorkerSpec("two", (ChildSpec("asker", ACTOR, needs=("near",)),)),
)


class PlainPykka(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self._next = 0

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Number):
            self._next = message.value + 1 if message.value == self._next else -1
            return None
        return self._next if isinstance(message, InOrder) else message.value


def run() -> dict[str, float]:
    """Measure all: microseconds for asks, messages a second for tells."""
    return run_pykka() | run_workers()


def run_pykka() -> dict[str, float]:
    plain = PlainPykka.start()

    def ask(message: Any) -> Any:
        return plain.ask(message, timeout=10)

    try:
        figures = asks("pykka_ask", timed(ask))
        figures["pykka_tells_per_s"] = tells(plain.tell, lambda: ask(InOrder()))
    finally:
        plain.stop()
    return figures


def run_workers() -> dict[str, float]:
    system = System(WORKERS, preload=PRELOAD)
    system.start()
    try:
        near, asker = system.ref("near"), system.ref("asker")
        wait_until_up(system.ref(SUPERVISOR))
        figures = asks("ask", timed(lambda echo: near.ask(echo, timeout=10)))
        across = [asker.ask(Measure("near", ASKS), timeout=60) for _ in range(ROUNDS)]
        figures |= asks("ask_between_workers", across)
        figures["tells_per_s"] = tells(
            near.tell, lambda: near.ask(InOrder(), timeout=10)
        )
    finally:
        system.stop("benchmark is over")
        system.wait(10)
    return figures


def wait_until_up(supervisor: Ref) -> None:
    deadline = time.monotonic() + 10
    while any(a.state != "up" for a in supervisor.ask(Describe(), timeout=5).actors):
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not start")
        time.sleep(0.005)


def timed(ask: Callable[[Echo], Any]) -> list[tuple[float, ...]]:
    """Return what each ask took, in microseconds, by rounds."""
    rounds = []
    for _ in range(ROUNDS):
        took_us = []
        for number in range(ASKS):
            began = time.perf_counter()
            ask(Echo(number))
            took_us.append((time.perf_counter() - began) * 1e6)
        rounds.append(tuple(took_us))
    return rounds


def asks(name: str, rounds: list[tuple[float, ...]]) -> dict[str, float]:
    """Return the median round's p50 and p99."""
    cuts = [statistics.quantiles(took_us, n=100) for took_us in rounds]
    return {
        f"{name}_p50_us": statistics.median(cut[49] for cut in cuts),
        f"{name}_p99_us": statistics.median(cut[98] for cut in cuts),
    }


def tells(tell: Callable[[Number], None], in_order: Callable[[], int]) -> float:
    """Return tells handled a second, of the median round; raises if any was lost."""
    rates = []
    sent = 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for window in range(sent, sent + TELLS, WINDOW):
            for value in range(window, window + WINDOW):
                tell(Number(value))
            arrived = in_order()
            if arrived != window + WINDOW:
                raise RuntimeError(
                    f"of {window + WINDOW} tells {arrived} came in order"
                )
        sent += TELLS
        rates.append(TELLS / (time.perf_counter() - began))
    return statistics.median(rates)


ROWS = (
    ("ask, p50", "us", "ask_p50_us", "pykka_ask_p50_us"),
    ("ask, p99", "us", "ask_p99_us", "pykka_ask_p99_us"),
    (
        "ask between workers, p50",
        "us",
        "ask_between_workers_p50_us",
        "pykka_ask_p50_us",
    ),
    (
        "ask between workers, p99",
        "us",
        "ask_between_workers_p99_us",
        "pykka_ask_p99_us",
    ),
    ("tells in order, none lost", "1/s", "tells_per_s", "pykka_tells_per_s"),
)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    figures = run()
    print(f"{'':28}{'egw, processes':>16}{'Pykka, threads':>16}{'ratio':>8}")
    for label, unit, ours, theirs in ROWS:
        ratio = figures[ours] / figures[theirs]
        print(
            f"{label:28}{figures[ours]:>12,.0f} {unit:<3}"
            f"{figures[theirs]:>12,.0f} {unit:<3}{ratio:>8.2f}"
        )


if __name__ == "__main__":
    main()

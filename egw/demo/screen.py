"""What a person sees of a demo."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

_LINE_EVERY_S = 5.0
_FOR_PROGRAMS = ("cpu_before_s",)


class Screen:
    """A live table on a terminal, a line now and then elsewhere.

    Everything goes to standard error, so that standard output is for the result.
    """

    def __init__(self, page: str, *, quiet: bool) -> None:
        self._page = page
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._next_line_s = 0.0

    def say(self, text: str) -> None:
        """Say something once."""
        self._end_live()
        self._console.print(text)

    def show(self, state: dict[str, Any], elapsed_s: float) -> None:
        """Show how things are."""
        if self._console.is_terminal and not self._quiet:
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(self._table(state, elapsed_s), refresh=True)
        elif elapsed_s >= self._next_line_s:
            self._next_line_s = elapsed_s + _LINE_EVERY_S
            line = f"{self._summary(state, elapsed_s)}  {self._page}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def conclude(self, result: dict[str, Any], *, good: bool) -> None:
        """Show the result."""
        self._end_live()
        if not self._quiet:
            self._console.print(_result_table(result))
        verdict = (
            "Nothing was lost, doubled or invalid."
            if good
            else "Readings were lost, doubled or invalid; see above."
        )
        self._console.print(Text(verdict, style="bold green" if good else "bold red"))
        sys.stderr.flush()

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _summary(self, state: dict[str, Any], elapsed_s: float) -> str:
        devices = state["devices"]
        online = sum(device["state"] == "online" for device in devices)
        outbox = state["outbox"] or {}
        return (
            f"{elapsed_s:5.0f} s  {state['gateway']['state']}  "
            f"{online}/{len(devices)} devices online  "
            f"{sum(device.get('sample_rate_hz') or 0 for device in devices):.0f} Hz  "
            f"delivered {outbox.get('delivered_packets', 0)} packets, "
            f"waiting {outbox.get('waiting_packets', 0)}"
        )

    def _table(self, state: dict[str, Any], elapsed_s: float) -> RenderableType:
        table = Table(expand=False)
        for column in ("Device", "Profile", "State", "Power W", "Hz", "Samples/s"):
            right = column in ("Power W", "Hz", "Samples/s")
            table.add_column(column, justify="right" if right else "left")
        for device in state["devices"][:20]:
            table.add_row(
                device["device"],
                device["profile"],
                device["state"],
                _number(device.get("power_w"), 0),
                _number(device.get("frequency_hz"), 2),
                _number(device.get("sample_rate_hz"), 1),
            )
        page = Text(f"The page: {self._page}   Ctrl-C stops.", style="bold")
        return Group(table, Text(self._summary(state, elapsed_s)), page)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _told(value: object) -> str:
    return "-" if value is None else str(value)


def _result_table(result: dict[str, Any]) -> Table:
    table = Table(title="What happened", show_header=False)
    for name, value in result.items():
        if name in _FOR_PROGRAMS:
            continue
        if name == "workers":
            pss_mb = sum(row["pss_mb"] or 0 for row in value)
            table.add_row("memory (PSS)", f"{pss_mb:.1f} MB in {len(value)} processes")
        elif isinstance(value, dict):
            table.add_row(name, ", ".join(f"{k} {_told(v)}" for k, v in value.items()))
        else:
            table.add_row(name, _told(value))
    return table

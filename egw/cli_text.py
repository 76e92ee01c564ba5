"""What the commands share: tables, cells, and text that cannot steer a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_FILE_COLUMNS = 160


def show(parts: Iterable[RenderableType | None]) -> None:
    """Print tables and texts on standard output, wide where that is a file."""
    console = Console(width=None if sys.stdout.isatty() else _FILE_COLUMNS)
    for part in parts:
        if part is not None:
            console.print(part)


def new_table(*columns: str, words: int = 3) -> Table:
    """Begin a table: `words` columns of words, the rest numbers.

    The first column has names, which a narrow terminal leaves whole; what else does not
    fit goes on in the next line.
    """
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        made.add_column(
            column,
            justify="left" if number < words else "right",
            overflow="fold",
            no_wrap=number == 0,
        )
    return made


def cell(value: Any, spec: str = "") -> Text:
    """Return a value as the text of a cell; `-` for None."""
    if value is None:
        return Text("-")
    if isinstance(value, list):
        return Text(printable(", ".join(map(str, value)) or "none"))
    return Text(printable(format(value, spec)))


def printable(text: str) -> str:
    """Replace what could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def complain(command: str, text: str) -> None:
    """Say on standard error, in one line, why a command failed."""
    line = " ".join(printable(text).split())
    print(f"egw {command}: {line}", file=sys.stderr)

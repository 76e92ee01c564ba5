"""docs/configuration.md, made from the structs in `egw.config_keys`.

`python -m egw.config_docs > docs/configuration.md` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec

from egw.config_keys import Config, Device, keys
from egw.config_values import describe, expected, show

_INTRODUCTION = """\
# Configuration

This page is made from the code (`python -m egw.config_docs`).

egw reads one TOML file. Every key may be left out, except three of each device: `name`,
`profile`, and `host` or `serial_port`. An environment variable overrides the file, and
`--data-dir` on the command line overrides both. Devices are set in the file only.
`egw check-config FILE` tells whether a file is good; a mistake stops egw with one line
that names the key, what was found and what is expected:

    egw.toml: api.port: found "five", expected an integer from 0 to 65535

A small, complete file:

```toml
data_dir = "/data/egw"

[uplink]
endpoints = ["http://127.0.0.1:8080/gw/data/"]

[backend]
url = "http://127.0.0.1:8080/"

[signer]
provider = "file"

[[device]]
name = "roof"
profile = "solaredge"
host = "127.0.0.1"
port = 1502
```

A device on a serial port, such as an RS485 adapter:

```toml
[[device]]
name = "meter"
profile = "sdm630"
transport = "modbus-rtu"
serial_port = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
baud_rate = 9600
unit = 1
```

A serial port or bridge serves one device. The port is for egw alone: a program that has
it open keeps egw out, and the other way round.

In an environment variable a list is separated by commas, and a boolean is `true` or
`false`. A variable that begins with `EGW_` and is not listed here is a mistake.
"""


def render_docs() -> str:
    """Return the text of docs/configuration.md."""
    sections = [_INTRODUCTION]
    for table, group in groupby(keys(), key=lambda key: key.table):
        title = f"`[{table}]`" if table else "Top of the file"
        rows = [(key.name, key.kind, key.default, key.variable) for key in group]
        sections.append(_section(title, _doc(table), rows))
    fields = msgspec.structs.fields(Device)
    devices = [(field.name, field.type, field.default, "") for field in fields]
    sections.append(_section("`[[device]]`", Device.__doc__, devices))
    return "\n".join(sections)


def _doc(table: str) -> str | None:
    default = getattr(Config(), table) if table else Config()
    return type(default).__doc__


def _section(
    title: str, doc: str | None, rows: Iterable[tuple[str, Any, Any, str]]
) -> str:
    titles = ("key", "meaning", "accepts", "default", "environment variable")
    lines = [f"## {title}\n", f"{doc}\n", _line(titles), _line("---" for _ in titles)]
    for name, kind, default, variable in rows:
        cells = (describe(kind), expected(kind), _default(default))
        lines.append(_line((f"`{name}`", *cells, f"`{variable}`" if variable else "-")))
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _default(value: Any) -> str:
    if value is msgspec.NODEFAULT:
        return "required"
    return "none" if value is None else f"`{show(value)}`"


if __name__ == "__main__":
    sys.stdout.write(render_docs())

"""`egw status`: asks a running gateway over HTTP and shows it as tables."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import urllib3
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_TIMEOUT_S = 5.0
_FILE_COLUMNS = 160
_WORDS = 3
_STYLES = {
    "online": "green",
    "harvesting": "green",
    "up": "green",
    "idle": "green",
    "delivering": "green",
    "ready": "green",
    "ok": "green",
    "offline": "red",
    "failing": "red",
    "unavailable": "red",
    "suspended": "red",
    "disk_full": "red",
}


class NoAnswerError(Exception):
    """Raised when there is no gateway's answer at an address; one line says why."""


def status(url: str, *, device: str | None, as_json: bool) -> int:
    """Show a gateway, or the points of one device; return the exit status.

    0: it was shown. 1: the gateway did not answer, or has no such device; one line on
    standard error says which.
    """
    try:
        shown = _ask_device(url, device) if device else _ask_gateway(url)
    except NoAnswerError as error:
        print(_printable(f"egw status: {error}"), file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(shown, indent=2))
        return 0
    console = Console(width=None if sys.stdout.isatty() else _FILE_COLUMNS)
    for part in _points_view(shown) if device else _gateway_view(shown):
        console.print(part)
    return 0


def _ask_gateway(url: str) -> dict[str, Any]:
    state = _get(url, "/api/state")
    try:
        tree = _get(url, "/api/actors")
    except NoAnswerError:
        tree = None
    return {"state": state, "actors": tree}


def _ask_device(url: str, device: str) -> dict[str, Any]:
    points = _get(url, f"/api/devices/{quote(device, safe='')}/points")
    return {"device": device} | points


def _get(url: str, path: str) -> dict[str, Any]:
    if "://" not in url:
        wanted = f"http://{url or '127.0.0.1:5000'}"
        raise NoAnswerError(f"{url!r} is not a URL; did you mean {wanted}?")
    address = url.rstrip("/") + path
    try:
        with urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S) as http:
            reply = http.request("GET", address)
    except urllib3.exceptions.HTTPError as error:
        raise NoAnswerError(f"no gateway answers at {url}: {_why(error)}") from error
    try:
        body = reply.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise NoAnswerError(f"what answers at {url} is not a gateway")
    if reply.status != 200:
        raise NoAnswerError(f"{url}: {body.get('message', reply.status)}")
    return body


def _why(error: urllib3.exceptions.HTTPError) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return f"nothing within {_TIMEOUT_S:g} s"
    return str(error)


# What is shown.


def _gateway_view(shown: dict[str, Any]) -> list[Table | Text]:
    state, tree = shown["state"], shown["actors"]
    devices = state["devices"]
    parts = [
        _headline(state),
        _devices(devices),
        _remarks({d["device"]: d["reason"] for d in devices}),
        _outbox(state["outbox"]),
        _uplinks(state["uplinks"]),
        _remarks({u["uplink"]: u["reason"] for u in state["uplinks"]}),
    ]
    if tree is None:
        parts.append(Text("the supervisor does not answer", style="red"))
    else:
        failures = {a["name"]: a["last_failure"] for a in tree["actors"]}
        parts += [_actors(tree), _remarks(failures), _processes(tree)]
    return [part for part in parts if part is not None]


def _headline(state: dict[str, Any]) -> Text:
    gateway, signer = state["gateway"], state["signer"]
    name = (state["backend"] or {}).get("name") or "name not known yet"
    key = f"{signer['kind']} key" if signer["kind"] else _no_key(signer)
    text = Text.assemble(
        (_printable(name), "bold"),
        f"  serial {_printable(signer['serial'] or '-')} ({_printable(key)})\n",
        _state(gateway["state"]),
        f"  egw {gateway['version']}, up {_duration(gateway['uptime_ms'])}",
    )
    for reason in gateway["reasons"]:
        text.append(f"\n  {_printable(reason)}", style="yellow")
    return text


def _no_key(signer: dict[str, Any]) -> str:
    if signer["age_ms"] is None:
        return "key not known yet"
    return f"no key: {signer['reason']}" if signer["reason"] else "no key"


def _remarks(texts: dict[str, str]) -> Text | None:
    lines = [f"  {name}: {text}" for name, text in texts.items() if text]
    return Text(_printable("\n".join(lines)), style="yellow") if lines else None


def _devices(devices: list[dict[str, Any]]) -> Table | None:
    if not devices:
        return None
    table = _table("device", "profile", "state", "power/W", "grid/Hz", "samples/s")
    table.add_column("readings", justify="right")
    for d in devices:
        is_silent = d["is_silent"] and d["age_ms"] is not None
        table.add_row(
            _cell(d["device"]),
            _cell(d["profile"]),
            Text("silent", style="red") if is_silent else _state(d["state"]),
            _cell(d["power_w"], ".0f"),
            _cell(d["frequency_hz"], ".3f"),
            _cell(d.get("sample_rate_hz"), ".1f"),
            _cell(d.get("readings_taken"), ","),
        )
    return table


def _outbox(outbox: dict[str, Any] | None) -> Table | None:
    if outbox is None:
        return None
    counts = ("delivered", "waiting", "unsigned", "quarantined", "dropped")
    table = _table("outbox", "oldest", "state", *counts)
    table.add_row(
        "packets",
        _duration(outbox["oldest_waiting_age_ms"]),
        _state(outbox["state"]),
        *(_cell(outbox[f"{count}_packets"], ",") for count in counts),
    )
    return table


def _uplinks(uplinks: list[dict[str, Any]]) -> Table | None:
    if not uplinks:
        return None
    table = _table("uplink", "endpoint", "state", "delivered", "rejected", "failed")
    for uplink in uplinks:
        table.add_row(
            _cell(uplink["uplink"]),
            _cell(uplink["endpoint"]),
            _state(uplink["state"]),
            *(_cell(uplink[count], ",") for count in ("delivered", "rejected")),
            _cell(uplink["failed"], ","),
        )
    return table


def _actors(tree: dict[str, Any]) -> Table:
    table = _table("actor", "worker", "state", "restarts", "handled", "waiting")
    table.add_column("dropped", justify="right")
    table.add_column("p99/ms", justify="right")
    for actor in tree["actors"]:
        gauges = actor["gauges"] or {}
        p99_us = gauges.get("p99_us")
        table.add_row(
            _cell(actor["name"]),
            _cell(actor["worker"]),
            _state(actor["state"]),
            _cell(actor["restarts"], ","),
            *(_cell(gauges.get(k), ",") for k in ("handled", "depth", "dropped")),
            _cell(None if p99_us is None else p99_us / 1000, ".1f"),
        )
    return table


def _processes(tree: dict[str, Any]) -> Table:
    table = _table("process", "pid", "state", "restarts", "CPU/s", "memory/MB")
    main = {"name": "main", "state": "up", "restarts": 0} | tree["main"]
    for worker in (main, *tree["workers"]):
        table.add_row(
            _cell(worker["name"]),
            _cell(worker["pid"]),
            _state(worker["state"]),
            _cell(worker["restarts"], ","),
            _cell(worker["cpu_s"], ".1f"),
            _cell(worker["pss_mb"], ".1f"),
        )
    return table


def _points_view(shown: dict[str, Any]) -> list[Table | Text]:
    stamp_ms = shown["stamp_ms"]
    if stamp_ms is None:
        return [Text(_printable(f"{shown['device']}: nothing has been read yet"))]
    read_at = datetime.fromtimestamp(stamp_ms / 1000, UTC).astimezone()
    title = Text(_printable(f"{shown['device']} at {read_at:%F %T}"), style="bold")
    table = _table("point", "value", "unit")
    for key, point in shown["points"].items():
        table.add_row(_cell(key), _cell(point["value"]), _cell(point["unit"]))
    missing = shown["missing"]
    if not missing:
        return [title, table]
    return [title, table, Text(_printable(f"not available: {', '.join(missing)}"))]


def _table(*columns: str) -> Table:
    """Begin a table: three columns of words, the rest numbers."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < _WORDS else "right")
    return table


def _state(state: str) -> Text:
    return Text(_printable(state), style=_STYLES.get(state, "yellow"))


def _cell(value: Any, spec: str = "") -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, list):
        return Text(_printable(", ".join(map(str, value)) or "none"))
    return Text(_printable(format(value, spec)))


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    parts = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(parts[:2]) or "0 s"


def _printable(text: str) -> str:
    """Replace what could steer the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)

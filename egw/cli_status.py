"""`egw status`: asks a running gateway over HTTP and shows it as tables."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from egw.cli_http import NoAnswerError, ask
from egw.cli_points import device_view
from egw.cli_text import cell, complain, new_table, printable, show

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


def status(url: str, *, device: str | None, as_json: bool) -> int:
    """Show a gateway, or the points of one device; return the exit status.

    0: it was shown. 1: the gateway did not answer, or has no such device; one line on
    standard error says which.
    """
    try:
        shown = ask_device(url, device) if device else _ask_gateway(url)
    except NoAnswerError as error:
        complain("status", str(error))
        return 1
    if as_json:
        print(json.dumps(shown, indent=2))
        return 0
    show(device_view(shown) if device else _gateway_view(shown))
    return 0


def _ask_gateway(url: str) -> dict[str, Any]:
    state = ask(url, "/api/state")
    try:
        tree = ask(url, "/api/actors")
    except NoAnswerError:
        tree = None
    return {"state": state, "actors": tree}


def ask_device(url: str, device: str) -> dict[str, Any]:
    """Return a device's points as the gateway has them now. Raises NoAnswerError."""
    points = ask(url, f"/api/devices/{quote(device, safe='')}/points")
    return {"device": device} | points


# What is shown.


def _gateway_view(shown: dict[str, Any]) -> list[Table | Text]:
    state, tree = shown["state"], shown["actors"]
    devices = state["devices"]
    parts = [
        _headline(state),
        _devices(devices),
        _remarks({d["device"]: d["reason"] for d in devices}),
        _remarks({d["device"]: _limits(d) for d in devices}),
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
        (printable(name), "bold"),
        f"  serial {printable(signer['serial'] or '-')} ({printable(key)})\n",
        _state(gateway["state"]),
        f"  egw {gateway['version']}, up {_duration(gateway['uptime_ms'])}",
    )
    for reason in gateway["reasons"]:
        text.append(f"\n  {printable(reason)}", style="yellow")
    return text


def _no_key(signer: dict[str, Any]) -> str:
    if signer["age_ms"] is None:
        return "key not known yet"
    return f"no key: {signer['reason']}" if signer["reason"] else "no key"


def _remarks(texts: dict[str, str]) -> Text | None:
    lines = [f"  {name}: {text}" for name, text in texts.items() if text]
    return Text(printable("\n".join(lines)), style="yellow") if lines else None


def _devices(devices: list[dict[str, Any]]) -> Table | None:
    if not devices:
        return None
    now = ("power/W", "grid/Hz", "samples/s", "readings/s", "success/%", "readings")
    table = new_table("device", "profile", "state", *now)
    for d in devices:
        is_silent = d["is_silent"] and d["age_ms"] is not None
        table.add_row(
            cell(d["device"]),
            cell(d["profile"]),
            Text("silent", style="red") if is_silent else _state(d["state"]),
            cell(d["power_w"], ".0f"),
            cell(d["frequency_hz"], ".3f"),
            cell(d.get("sample_rate_hz"), ".1f"),
            cell(d.get("reading_rate_hz"), ".2f"),
            cell(d.get("success_percent"), ".0f"),
            cell(d.get("readings_taken"), ","),
        )
    return table


def _limits(device: dict[str, Any]) -> str:
    """Say what is asked for less than the profile allows."""
    words = []
    if device.get("max_registers") is not None:
        words.append(f"bears {device['max_registers']} registers in one read")
    if device.get("quarantined"):
        words.append(f"refuses {device['quarantined']} registers")
    return "; ".join(words)


def _outbox(outbox: dict[str, Any] | None) -> Table | None:
    if outbox is None:
        return None
    counts = ("delivered", "waiting", "unsigned", "quarantined", "dropped")
    table = new_table("outbox", "oldest", "state", *counts)
    table.add_row(
        "packets",
        _duration(outbox["oldest_waiting_age_ms"]),
        _state(outbox["state"]),
        *(cell(outbox[f"{count}_packets"], ",") for count in counts),
    )
    return table


def _uplinks(uplinks: list[dict[str, Any]]) -> Table | None:
    if not uplinks:
        return None
    table = new_table("uplink", "endpoint", "state", "delivered", "rejected", "failed")
    for uplink in uplinks:
        table.add_row(
            cell(uplink["uplink"]),
            cell(uplink["endpoint"]),
            _state(uplink["state"]),
            *(cell(uplink[count], ",") for count in ("delivered", "rejected")),
            cell(uplink["failed"], ","),
        )
    return table


def _actors(tree: dict[str, Any]) -> Table:
    counts = ("restarts", "handled", "waiting", "dropped")
    table = new_table("actor", "worker", "state", *counts, "p99/ms")
    for actor in tree["actors"]:
        gauges = actor["gauges"] or {}
        p99_us = gauges.get("p99_us")
        table.add_row(
            cell(actor["name"]),
            cell(actor["worker"]),
            _state(actor["state"]),
            cell(actor["restarts"], ","),
            *(cell(gauges.get(k), ",") for k in ("handled", "depth", "dropped")),
            cell(None if p99_us is None else p99_us / 1000, ".1f"),
        )
    return table


def _processes(tree: dict[str, Any]) -> Table:
    table = new_table("process", "pid", "state", "restarts", "CPU/s", "memory/MB")
    main = {"name": "main", "state": "up", "restarts": 0} | tree["main"]
    for worker in (main, *tree["workers"]):
        table.add_row(
            cell(worker["name"]),
            cell(worker["pid"]),
            _state(worker["state"]),
            cell(worker["restarts"], ","),
            cell(worker["cpu_s"], ".1f"),
            cell(worker["pss_mb"], ".1f"),
        )
    return table


def _state(state: str) -> Text:
    return Text(printable(state), style=_STYLES.get(state, "yellow"))


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    parts = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(parts[:2]) or "0 s"

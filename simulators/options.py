"""Faults of a simulated device as options of the command line."""

from __future__ import annotations

import argparse

from simulators.faults import Faults, changed

_MILLISECONDS = {
    "latency_ms": "each reply waits this long",
    "jitter_ms": "and up to this much longer, at random",
    "linger_ms": "a connection counts as open this long after its master closed it",
    "connect_delay_ms": "ignore requests sooner than this after connecting",
    "min_gap_ms": "ignore requests sooner than this after a reply",
    "settle_ms": "a write shows in reads only after this time",
}
_CHANCES = {
    "drop": "close the connection instead of answering",
    "silent": "do not answer",
    "busy": "answer with the exception of --busy-code",
    "truncate": "send half of each reply",
    "garbage": "send random bytes instead of a reply",
    "trailing": "send the last bytes of each reply twice",
    "wrong_transaction_id": "answer with another transaction id",
    "previous_reply": "send the reply before again",
    "previous_data": "send the reply before under the new transaction id",
    "late": "keep each reply until the next request has come",
    "bad_crc": "send wrong check sums (serial bus)",
    "noise": "send random bytes before each reply (serial bus)",
}
_WHOLE = {
    "exception": ("CODE", "answer everything with this exception code"),
    "busy_code": ("CODE", "exception of a busy device (default: 6)"),
    "max_registers": ("N", "most registers in a read; see --oversize"),
}
_CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "oversize": (
        ("exception", "silent", "truncate"),
        "what a read of too many registers meets",
    ),
    "transaction_id": (("echo", "counter", "zero"), "of all replies"),
    "sleep": (
        ("off", "silent", "unavailable", "zeros"),
        "what the device does by night",
    ),
}
_SWITCHES = {"off": "start switched off"}
_NAMES = (
    *_MILLISECONDS,
    *_CHANCES,
    *_WHOLE,
    *_CHOICES,
    *_SWITCHES,
    "single_connection",
    "units",
    "refuse",
)


def add_faults(parser: argparse.ArgumentParser) -> None:
    """Add an option for each fault."""
    group = parser.add_argument_group("faults", "CHANCE: no value, or 0..1")
    for name, text in _MILLISECONDS.items():
        group.add_argument(_flag(name), type=float, metavar="MS", help=text)
    for name, text in _CHANCES.items():
        group.add_argument(
            _flag(name), type=float, nargs="?", const=True, metavar="CHANCE", help=text
        )
    for name, (metavar, text) in _WHOLE.items():
        group.add_argument(_flag(name), type=int, metavar=metavar, help=text)
    for name, (choices, text) in _CHOICES.items():
        group.add_argument(_flag(name), choices=choices, help=text)
    for name, text in _SWITCHES.items():
        group.add_argument(_flag(name), action="store_const", const=True, help=text)
    group.add_argument(
        "--single-connection",
        nargs="?",
        const="refuse",
        choices=("refuse", "takeover"),
        help="bear one connection: refuse a second one, or let it end the first",
    )
    group.add_argument(
        "--units", type=_units, metavar="ID,...", help="answer to these unit ids, too"
    )
    group.add_argument(
        "--refuse",
        action="append",
        type=_refusal,
        metavar="TABLE:ADDRESS:COUNT:CODE",
        help="refuse requests that touch these registers; may be repeated",
    )


def given_faults(options: argparse.Namespace, default: Faults) -> Faults:
    """Return `default` with the faults that were given; raises ValueError."""
    every = {name: getattr(options, name) for name in _NAMES}
    given = {name: value for name, value in every.items() if value is not None}
    return changed(default, given)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _units(text: str) -> list[int]:
    return [whole(part, 0, 255) for part in text.split(",")]


def _refusal(text: str) -> dict[str, object]:
    table, *numbers = text.split(":")
    if table not in ("holding", "input") or len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE:ADDRESS:COUNT:CODE")
    address, count, code = (whole(number, 0, 65535) for number in numbers)
    return {"function": table, "address": address, "count": count, "code": code}


def whole(text: str, low: int, high: int) -> int:
    """Return a whole number within bounds; raises ArgumentTypeError."""
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not in {low}..{high}")
    return int(text)

"""Arguments that are checked as they are read; what is wrong ends with status 2."""

from __future__ import annotations

import argparse
import math

EXIT_INTERRUPTED = 130
"""As shells report SIGINT."""
DEFAULT_URL = "http://127.0.0.1:5000"
_MOST_DEVICES = 1000
"""In a demo; every one is a simulated server on this machine."""


def device_count(text: str) -> int:
    """How many devices a demo has."""
    return whole(text, 1, _MOST_DEVICES)


def port_or_any(text: str) -> int:
    """A TCP port; 0: any free one."""
    return whole(text, 0, 65535)


def whole(text: str, low: int, high: int) -> int:
    """Return an integer within bounds; raises ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected an integer from {low} to {high}"
        )
    return int(text)


def seconds(text: str) -> float:
    """A time that is longer than none."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0")
    return number


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the address of a running gateway."""
    parser.add_argument(
        "--url", default=DEFAULT_URL, help=f"of the gateway (default: {DEFAULT_URL})"
    )

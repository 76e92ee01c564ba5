"""`egw read`: the decoded points of a device now, with a gateway or without one."""

from __future__ import annotations

import errno
import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from rich.text import Text

from egw.cli_http import NoAnswerError, ask
from egw.cli_points import (
    Parts,
    device_view,
    missing_view,
    model_view,
    points_of,
    points_view,
)
from egw.cli_profile import named
from egw.cli_status import ask_device
from egw.cli_text import complain, printable, show
from egw.devices.decode import Decoder
from egw.devices.harvest_once import Harvested, harvest_once, read_patiently
from egw.devices.identify import Identified, find_unit, identify
from egw.devices.missing import Expected
from egw.devices.model import data_model
from egw.devices.profile import Profile, ProfileError, RegisterRange
from egw.devices.reach import PROTOCOLS, Reach, TransportKind, make_transport
from egw.devices.transport import (
    DeviceError,
    Garbage,
    NoAnswer,
    NoConnection,
    NoPort,
    Refused,
    Transport,
)
from egw.devices.wire import SerialLine

_PORT_HINTS = {
    errno.EACCES: "Is this user in the group that may use serial ports (dialout)?",
    errno.EAGAIN: "Stop that first; is it a gateway?",
    errno.EBUSY: "Stop that first; is it a gateway?",
}
_SILENT_FOR_S = 1.0
"""Progress is shown when it takes longer."""


class ReadError(Exception):
    """Raised when a device cannot be read; one line says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a device is, as far as that is known."""

    profile: str
    host: str
    """Address; of a serial port its path."""
    port: int | None = None
    transport: TransportKind = "modbus-tcp"
    line: SerialLine = field(default_factory=SerialLine)
    unit: int | None = None
    timeout_ms: int = 2000
    profiles_dir: Path | None = None

    def reach(self, profile: Profile) -> Reach:
        """Where the device is, with the profile's port where none is given."""
        on_a_port = self.transport == "modbus-rtu"
        port = 0 if on_a_port else self.port or profile.default_port
        return Reach(self.host, port, self.transport, self.line)


@dataclass(frozen=True, slots=True)
class _Found:
    """A device that has been read."""

    profile: Profile
    reach: Reach
    unit: int
    identified: Identified
    harvested: Harvested


def read_through_gateway(url: str, name: str, *, as_json: bool) -> int:
    """Show the points that a running gateway has of a device; return the exit status.

    0: they were shown; a line on standard error warns when the device is in trouble
    now. 1: there are none; one line on standard error says why.
    """
    try:
        shown = ask_device(url, name)
        state, reason = _state_of(url, name)
    except NoAnswerError as error:
        complain("read", str(error))
        return 1
    if shown["stamp_ms"] is None:
        why = f": {reason}" if reason else "; try again in a second"
        complain("read", f"{name}: nothing has been read yet{why}")
        return 1
    if state != "online":
        complain("read", f"{name} is {state} ({reason}): this is its last reading")
    if as_json:
        values = {key: point["value"] for key, point in shown["points"].items()}
        print(json.dumps(shown | {"points": values}, indent=2))
    else:
        show(device_view(shown))
    return 0


def _state_of(url: str, name: str) -> tuple[str, str]:
    """Return how the device is now, and why."""
    for device in ask(url, "/api/state")["devices"]:
        if device["device"] == name:
            is_silent = device["is_silent"] and device["age_ms"] is not None
            return "silent" if is_silent else device["state"], device["reason"]
    return "unknown", ""


def read_alone(target: Target, *, as_json: bool) -> int:
    """Read a device without a gateway and show its points; return the exit status.

    0: it was read. 1: it was not; one line on standard error says what to do.
    """
    try:
        found = _read(target)
    except ReadError as error:
        complain("read", str(error))
        return 1
    for doubt in found.identified.doubts:
        complain("read", f"this may not be a {target.profile}: {doubt}")
    if as_json:
        print(json.dumps(_body(found), indent=2))
    else:
        show(_view(found))
    return 0


def _read(target: Target) -> _Found:
    try:
        profile = named(target.profile, target.profiles_dir)
    except ProfileError as error:
        raise ReadError(str(error)) from error
    spoken = PROTOCOLS[target.transport]
    if spoken not in profile.transports:
        ways = ", ".join(profile.transports)
        can = not PROTOCOLS.keys().isdisjoint(profile.transports)
        but = f"not by {spoken}" if can else "which egw cannot do yet"
        raise ReadError(f"a {profile.name} is read by {ways}, {but}")
    reach = target.reach(profile)
    place = reach.place
    unit = profile.default_unit if target.unit is None else target.unit
    device = make_transport(
        reach,
        unit=unit,
        timeout_s=target.timeout_ms / 1000,
        manners=profile.manners,
    )
    progress = Progress(place)
    try:
        unit = _answering_unit(device, profile, target)
        harvested = harvest_once(device, profile, progress=progress.show)
        identified = _identified(device, profile, harvested.max_registers)
    except DeviceError as error:
        raise ReadError(_advice(error, place, target, profile)) from error
    finally:
        progress.clear()
        device.close()
    if not harvested.blocks:
        raise ReadError(
            f"{place} answers, but has none of the registers of a {profile.name}: is "
            "it of another type? All types: egw profile list"
        )
    return _Found(profile, reach, unit, identified, harvested)


def _answering_unit(device: Transport, profile: Profile, target: Target) -> int:
    device.connect()
    if target.unit is not None:
        manners = msgspec.structs.replace(profile.manners, units=())
        profile = msgspec.structs.replace(
            profile, default_unit=target.unit, manners=manners
        )
    try:
        return find_unit(device, profile)
    except NoAnswer as error:
        raise _failure(device, profile) or error from error


def _failure(device: Transport, profile: Profile) -> DeviceError | None:
    """Ask once more, and return what comes in place of an answer; None for silence."""
    point = profile.point(profile.frequency)
    wanted = RegisterRange(function=point.function, address=point.address, count=1)
    try:
        device.connect()
        device.read(wanted)
    except (Garbage, NoConnection) as error:
        return error
    except DeviceError:
        return None
    return None


def _identified(device: Transport, profile: Profile, max_registers: int) -> Identified:
    manners = msgspec.structs.replace(profile.manners, max_registers=max_registers)
    bearable = msgspec.structs.replace(profile, manners=manners)
    try:
        return identify(lambda registers: read_patiently(device, registers), bearable)
    except DeviceError as error:
        doubt = f"it did not say what it is ({error})"
        return Identified(serial="", model="", doubts=(doubt,))


# What went wrong, for an installer.

_NOT_CONNECTED = (OSError, UnicodeError)
_ENDED_HINT = "Is another client connected to it, or does it allow only certain ones?"
_BRIDGE_HINT = (
    "Does the bridge pass on bytes as they are, and are --unit and the bridge's baud "
    "rate and parity those of the device?"
)
_GARBAGE_HINT = (
    "Is this its Modbus TCP port, and not that of a web page or of Modbus RTU over TCP?"
)


def _advice(error: DeviceError, place: str, target: Target, profile: Profile) -> str:
    cause = error.__cause__
    is_taken = profile.manners.single_connection
    if target.transport == "modbus-rtu":
        text, hint, is_taken = *_serial_advice(error, place), False
    elif isinstance(error, NoConnection) and isinstance(cause, _NOT_CONNECTED):
        text, hint = str(error), _connection_hint(cause)
        is_taken &= isinstance(cause, ConnectionError)
    elif isinstance(error, NoConnection):
        text, hint = f"{place} takes connections, but ends them", _ENDED_HINT
    elif isinstance(error, Refused):
        text, hint = f"{place}: {error}", "Try again in a minute."
    elif target.transport == "rtu-over-tcp":
        text, hint = f"{place} takes connections, but {error}", _BRIDGE_HINT
    elif isinstance(error, Garbage):
        text = f"{place} takes connections, but does not answer as it should: {error}"
        hint = _GARBAGE_HINT
    else:
        text, hint = f"{place} takes connections, but {error}", _unit_hint(target)
    if is_taken:
        hint += (
            f" A {profile.name} serves one client at a time: is a gateway or an app "
            "connected to it?"
        )
    return f"{text}. {hint}"


def _connection_hint(cause: BaseException) -> str:
    if isinstance(cause, socket.gaierror | UnicodeError):
        return "Is the host name right?"
    if isinstance(cause, ConnectionRefusedError):
        return (
            "Is Modbus TCP switched on in the device, and is this its port "
            "(--port; 502, 1502 and 6607 are common)?"
        )
    if isinstance(cause, ConnectionError):
        return "Try again."
    return "Is the address right, and the device on and in this network?"


def _serial_advice(error: DeviceError, place: str) -> tuple[str, str]:
    if isinstance(error, NoPort):
        return str(error), "Is the adapter plugged in (ls /dev/serial/by-id)?"
    if isinstance(error, NoConnection):
        number = getattr(error.__cause__, "errno", None)
        return str(error), _PORT_HINTS.get(number or 0, "Is it the right path?")
    if isinstance(error, Refused):
        return f"{place}: {error}", "Try again in a minute."
    return f"{place} is open, but {error}", (
        "Are --unit, --baud-rate, --parity and --stop-bits those of the device, and "
        "are wires A and B the right way round?"
    )


def _unit_hint(target: Target) -> str:
    if target.unit is None:
        return (
            "Does it have another unit id (--unit), or need more time (--timeout-ms)?"
        )
    return "Is the unit id right? Without --unit the usual ones are tried."


# What is shown.


def _values(found: _Found) -> dict[str, Any]:
    harvested = found.harvested
    values = Decoder(found.profile).decode(
        harvested.blocks, complete=not harvested.unanswered
    )
    return {key: values[key] for key in found.profile.units if key in values}


def _missing(found: _Found, values: dict[str, Any]) -> dict[str, str]:
    harvested = found.harvested
    expected = Expected(found.profile)
    return dict(expected.missing(values, harvested.blocks, harvested.refused))


def _model(found: _Found, values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    harvested = found.harvested
    return data_model(
        found.profile,
        values,
        stamp_ms=harvested.stamp_ms,
        read_time_ms=harvested.last_read_ms - harvested.stamp_ms,
    )


def _body(found: _Found) -> dict[str, Any]:
    values = _values(found)
    missing = _missing(found, values)
    return {
        "points": values,
        "missing": list(missing),
        "model": _model(found, values),
        "missing_because": missing,
        "suspect": [],
        "profile": found.profile.name,
        "host": found.reach.host,
        "port": found.reach.port,
        "unit": found.unit,
        "serial": found.identified.serial,
        "device_model": found.identified.model,
        "doubts": list(found.identified.doubts),
        "stamp_ms": found.harvested.stamp_ms,
        "first_read_ms": found.harvested.first_read_ms,
        "last_read_ms": found.harvested.last_read_ms,
    }


def _view(found: _Found) -> Parts:
    values = _values(found)
    says = found.identified
    names = (("serial", says.serial), ("model", says.model))
    words = [f"{name} {text}" for name, text in names if text]
    place = found.reach.place
    headline = f"{found.profile.display_name} at {place}, unit {found.unit}"
    return [
        Text(printable(", ".join((headline, *words))), style="bold"),
        points_view(points_of(values, found.profile.units)),
        *missing_view(_missing(found, values)),
        model_view(_model(found, values)),
    ]


class Progress:
    """One line on standard error, when that is a terminal and it takes long."""

    def __init__(
        self, place: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._place = place
        self._monotonic = monotonic
        self._started_s = monotonic()
        self._shown = False

    def show(self, done: int, of: int) -> None:
        """Say how many requests are done."""
        if self._monotonic() - self._started_s < _SILENT_FOR_S:
            return
        if sys.stderr.isatty():
            text = f"reading {printable(self._place)}: {done} of {of} requests"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

"""The command line of the simulators."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from egw.devices.loader import find_profile
from simulators import site
from simulators.backend import Backend
from simulators.device import SimulatedDevice, simulated
from simulators.faults import Faults, changed
from simulators.journal import Journal, JournalError
from simulators.modbus_server import ModbusServer
from simulators.plant import DAY_S, Grid
from simulators.replay import ReplayedDevice, load_recording

if TYPE_CHECKING:
    from collections.abc import Sequence


_FAULT_HELP = {
    "latency_ms": "each reply waits this long",
    "jitter_ms": "and up to this much longer, at random",
    "drop": "close the connection instead of answering",
    "silent": "do not answer",
    "exception": "answer everything with this exception code",
    "truncate": "send half of each reply",
    "garbage": "send random bytes instead of a reply",
    "wrong_transaction_id": "answer with another transaction id",
    "previous_reply": "send the reply before again",
    "single_connection": "bear one connection at a time",
    "min_gap_ms": "ignore requests sooner than this after a reply",
    "off": "start switched off",
}
_NUMBERS = {"latency_ms", "jitter_ms", "min_gap_ms"}
_SWITCHES = {"single_connection", "off"}

_EPILOG = """\
examples:
  python -m simulators inverter --profile sungrow --port 1502
  python -m simulators inverter --profile huawei --port 1502 --replay recording.json
  python -m simulators inverter --profile solaredge --port 1502 \\
      --latency-ms 200 --drop 0.01 --refuse holding:40069:37:2 --control-port 1600
  python -m simulators backend --port 8080 --gateway 0123ee:<128 hex digits>
  python -m simulators site --devices 3 --json

While they run, faults are changed through the control port, for example:
  echo '{"device": "roof-1", "fault": {"silent": true}}' | nc 127.0.0.1 1600
  curl -d '{"refuse": true}' http://127.0.0.1:8080/control
simulators/README.md has every fault and every answer of the backend.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one simulator until SIGTERM or SIGINT and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(options.run(options))
    except BrokenPipeError:
        # Whoever started it has gone before it could say where it listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, site.SiteError, JournalError) as error:
        print(f"simulators {options.command}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulators",
        description="Inverters and a backend as real servers, with faults on demand.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_inverter(commands.add_parser("inverter", help="one device on Modbus TCP"))
    _add_backend(commands.add_parser("backend", help="takes and verifies packets"))
    _add_site(commands.add_parser("site", help="several devices and a backend"))
    return parser


def _add_inverter(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "One device on Modbus TCP: functions 3, 4, 6 and 16. Registers are those of "
        "the profile's points and harvest ranges; others answer exception 2. Requests "
        "for another unit id get no answer."
    )
    parser.add_argument("--profile", default="solaredge", help="device type")
    parser.add_argument("--name", default="roof-1", help="name on the control port")
    parser.add_argument("--serial", default="SIM0000001", help="serial number shown")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME",
        help="kind of device, one of the profile's variants; may be repeated",
    )
    parser.add_argument("--unit", type=_unit, help="unit id (default: the profile's)")
    parser.add_argument("--port", type=_port, default=1502, help="0: any free port")
    parser.add_argument("--control-port", type=_port, help="see simulators/README.md")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="serve a recording")
    parser.add_argument("--loop", action="store_true", help="repeat the recording")
    _add_plant(parser)
    _add_common(parser)
    faults = parser.add_argument_group("faults", "FAULT: no value, or a chance 0..1")
    for name, text in _FAULT_HELP.items():
        flag = "--" + name.replace("_", "-")
        if name in _SWITCHES:
            faults.add_argument(flag, action="store_true", help=text)
        elif name in _NUMBERS:
            faults.add_argument(flag, type=float, metavar="MS", help=text)
        elif name == "exception":
            faults.add_argument(flag, type=int, metavar="CODE", help=text)
        else:
            faults.add_argument(
                flag, type=float, nargs="?", const=True, metavar="CHANCE", help=text
            )
    faults.add_argument(
        "--refuse",
        action="append",
        type=_refusal,
        metavar="TABLE:ADDRESS:COUNT:CODE",
        help="refuse requests that touch these registers; may be repeated",
    )
    parser.set_defaults(run=_run_inverter)


def _add_backend(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Takes packets at POST /gw/data/, verifies their signatures, journals every "
        "reading; answers name queries at POST /; tells what came at GET /report and "
        "GET /journal; is told to misbehave at POST /control."
    )
    parser.add_argument("--port", type=_port, default=8080, help="0: any free port")
    _add_backend_options(parser)
    _add_common(parser)
    parser.set_defaults(run=_run_backend)


def _add_site(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Several devices, the backend and a control port; tells their addresses on "
        "standard output when all listen."
    )
    parser.add_argument("--devices", type=_count, default=3, metavar="N")
    parser.add_argument(
        "--profiles",
        default=",".join(site.DEFAULT_PROFILES),
        help="device types, taken in turn (default: %(default)s)",
    )
    parser.add_argument(
        "--base-port", type=_port, default=0, help="first device's port; 0: any free"
    )
    parser.add_argument("--backend-port", type=_port, default=0, help="0: any free")
    parser.add_argument("--control-port", type=_port, default=0, help="0: any free")
    _add_backend_options(parser)
    _add_plant(parser)
    _add_common(parser)
    parser.set_defaults(run=_run_site)


def _add_backend_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gateway",
        action="append",
        default=[],
        metavar="SERIAL:PUBLICKEY",
        help="a gateway that may deliver: serial in hex, X and Y as 128 hex digits",
    )
    parser.add_argument(
        "--journal", metavar="FILE", help="continue this file with every reading"
    )


def _add_plant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--day-length-s", type=_positive, default=DAY_S, metavar="S", help="of one day"
    )
    parser.add_argument(
        "--start-hour",
        type=_hour,
        default=10.0,
        metavar="H",
        help="time of day at start",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--json", action="store_true", help="announce as a JSON line")
    parser.add_argument(
        "--until-eof", action="store_true", help="end when standard input ends, too"
    )


async def _run_inverter(options: argparse.Namespace) -> None:
    registers, profile, default_unit = _registers(options)
    unit = default_unit if options.unit is None else options.unit
    server = ModbusServer(options.name, registers, unit=unit, faults=_faults(options))
    await site.run_inverter(
        server,
        registers,
        site.Address(options.name, profile, options.host, options.port, unit),
        control_port=options.control_port,
        as_json=options.json,
        until_eof=options.until_eof,
    )


def _registers(
    options: argparse.Namespace,
) -> tuple[SimulatedDevice | ReplayedDevice, str, int]:
    if options.replay is not None:
        recording = load_recording(options.replay)
        unit = find_profile(recording.profile).default_unit
        return ReplayedDevice(recording, loop=options.loop), recording.profile, unit
    profile = find_profile(options.profile)
    device = simulated(
        profile,
        Grid(),
        serial=options.serial,
        variants=options.variant,
        start_hour=options.start_hour,
        day_length_s=options.day_length_s,
    )
    return device, profile.name, profile.default_unit


def _faults(options: argparse.Namespace) -> Faults:
    given = {name: getattr(options, name) for name in _FAULT_HELP}
    wanted = {name: value for name, value in given.items() if value is not None}
    return changed(Faults(), wanted | {"refuse": options.refuse or []})


async def _run_backend(options: argparse.Namespace) -> None:
    stop = site.stop_event(until_eof=options.until_eof)
    site.allow_many_sockets()
    path = Path(options.journal) if options.journal else None
    backend = Backend(Journal(path), _gateways(options.gateway))
    try:
        await backend.start(options.host, options.port)
        url = f"http://{options.host}:{backend.port}/"
        endpoint = f"{url}gw/data/"
        told = {"url": url, "endpoint": endpoint}
        print(json.dumps(told) if options.json else f"backend {endpoint}", flush=True)
        await stop.wait()
    finally:
        backend.close()


def _gateways(given: Sequence[str]) -> dict[str, str]:
    gateways = {}
    for text in given:
        serial, colon, key = text.partition(":")
        if not colon or not serial:
            raise ValueError(f"--gateway {text!r}: expected SERIAL:PUBLICKEY")
        gateways[serial] = key
    return gateways


async def _run_site(options: argparse.Namespace) -> None:
    names = [name for name in options.profiles.split(",") if name]
    if not names:
        raise ValueError("--profiles: no device type is named")
    layout = site.Layout(
        profiles=tuple(islice(cycle(names), options.devices)),
        host=options.host,
        base_port=options.base_port,
        day_length_s=options.day_length_s,
        start_hour=options.start_hour,
    )
    await site.run_site(
        layout,
        _backend_arguments(options),
        control_port=options.control_port,
        as_json=options.json,
        until_eof=options.until_eof,
    )


def _backend_arguments(options: argparse.Namespace) -> list[str]:
    arguments = ["--host", options.host, "--port", str(options.backend_port)]
    for gateway in options.gateway:
        arguments += ["--gateway", gateway]
    if options.journal:
        arguments += ["--journal", options.journal]
    return arguments


def _port(text: str) -> int:
    return _whole(text, 0, 65535)


def _unit(text: str) -> int:
    return _whole(text, 0, 255)


def _count(text: str) -> int:
    return _whole(text, 1, 10_000)


def _whole(text: str, low: int, high: int) -> int:
    if not text.isdecimal() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not in {low}..{high}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _hour(text: str) -> float:
    hour = _positive(text) if text.strip("0.") else 0.0
    if hour >= 24:
        raise argparse.ArgumentTypeError(f"{text!r} is not an hour below 24")
    return hour


def _refusal(text: str) -> dict[str, object]:
    table, *numbers = text.split(":")
    if table not in ("holding", "input") or len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not TABLE:ADDRESS:COUNT:CODE")
    address, count, code = (_whole(number, 0, 65535) for number in numbers)
    return {"function": table, "address": address, "count": count, "code": code}


if __name__ == "__main__":
    sys.exit(main())

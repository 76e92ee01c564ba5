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
from simulators.bus_site import BusDevice, BusPlace, run_bus
from simulators.device import SimulatedDevice, simulated
from simulators.faults import HEALTHY
from simulators.journal import Journal, JournalError
from simulators.modbus_server import ModbusServer
from simulators.options import add_faults, given_faults, whole
from simulators.plant import DAY_S, Grid
from simulators.replay import ReplayedDevice, load_recording
from simulators.rtu_bus import DEFAULT_BAUD_RATE, BusUnit
from simulators.vendor import quirks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egw.devices.profile import Profile


_EPILOG = """\
examples:
  python -m simulators inverter --profile sungrow --port 1502
  python -m simulators inverter --profile huawei --port 1502 --replay recording.json
  python -m simulators inverter --profile solaredge --port 1502 \\
      --latency-ms 200 --drop 0.01 --refuse holding:40069:37:2 --control-port 1600
  python -m simulators inverter --profile sdm630 --unit 1 --beside sdm630:2 \\
      --serial-link ./bus --baud-rate 9600
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
    _add_inverter(
        commands.add_parser("inverter", help="one device, on Modbus TCP or RTU")
    )
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
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="with device types of your own in DIR/profiles",
    )
    parser.add_argument("--name", default="roof-1", help="name on the control port")
    parser.add_argument("--serial", default="SIM0000001", help="serial number shown")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME",
        help="kind of device, one of the profile's variants; may be repeated",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="NAME",
        help="variant that the device is not; may be repeated",
    )
    parser.add_argument("--unit", type=_unit, help="unit id (default: the profile's)")
    parser.add_argument("--port", type=_port, default=1502, help="0: any free port")
    parser.add_argument("--control-port", type=_port, help="see simulators/README.md")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="serve a recording")
    parser.add_argument("--loop", action="store_true", help="repeat the recording")
    _add_bus(parser)
    _add_plant(parser)
    _add_common(parser)
    parser.add_argument(
        "--strict", action="store_true", help="bear no more than the vendor's device"
    )
    add_faults(parser)
    parser.set_defaults(run=_run_inverter)


def _add_bus(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Modbus RTU, in place of Modbus TCP")
    way = group.add_mutually_exclusive_group()
    way.add_argument(
        "--serial-link",
        type=Path,
        metavar="PATH",
        help="serve RTU on a pseudo-terminal, to which PATH is made a link",
    )
    way.add_argument(
        "--rtu-tcp", action="store_true", help="serve RTU over TCP, as bridges do"
    )
    group.add_argument(
        "--baud-rate",
        type=_baud_rate,
        default=DEFAULT_BAUD_RATE,
        metavar="N",
        help="speed of the bus (default: %(default)s)",
    )
    group.add_argument(
        "--beside",
        action="append",
        type=_beside,
        default=[],
        metavar="PROFILE:UNIT",
        help="another device on the same bus, without faults; may be repeated",
    )


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
        "--strict", action="store_true", help="bear no more than the vendors' devices"
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
    registers, profile = _registers(options)
    unit = profile.default_unit if options.unit is None else options.unit
    faults = given_faults(options, quirks_of(profile) if options.strict else HEALTHY)
    if options.serial_link is not None or options.rtu_tcp:
        first = BusUnit(options.name, registers, unit=unit, faults=faults)
        await run_bus(
            [BusDevice(first, registers, profile.name), *_beside_it(options)],
            BusPlace(options.host, options.port, options.serial_link),
            baud_rate=options.baud_rate,
            control_port=options.control_port,
            as_json=options.json,
            until_eof=options.until_eof,
        )
        return
    if options.beside:
        raise ValueError("--beside needs a bus: --serial-link or --rtu-tcp")
    server = ModbusServer(options.name, registers, unit=unit, faults=faults)
    await site.run_inverter(
        server,
        registers,
        site.Address(options.name, profile.name, options.host, options.port, unit),
        control_port=options.control_port,
        as_json=options.json,
        until_eof=options.until_eof,
    )


def _beside_it(options: argparse.Namespace) -> list[BusDevice]:
    own = options.data_dir and options.data_dir / "profiles"
    found = []
    for number, (name, unit) in enumerate(options.beside, start=1):
        registers = simulated(
            find_profile(name, own),
            Grid(),
            serial=f"SIM{number + 1:07d}",
            start_hour=options.start_hour,
            day_length_s=options.day_length_s,
        )
        served = BusUnit(f"beside-{number}", registers, unit=unit)
        found.append(BusDevice(served, registers, name))
    return found


def _registers(
    options: argparse.Namespace,
) -> tuple[SimulatedDevice | ReplayedDevice, Profile]:
    if options.replay is not None:
        recording = load_recording(options.replay)
        profile = find_profile(recording.profile)
        return ReplayedDevice(recording, loop=options.loop), profile
    own = options.data_dir and options.data_dir / "profiles"
    profile = find_profile(options.profile, own)
    device = simulated(
        profile,
        Grid(),
        serial=options.serial,
        variants=options.variant,
        without=options.without,
        start_hour=options.start_hour,
        day_length_s=options.day_length_s,
    )
    return device, profile


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
        strict=options.strict,
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
    return whole(text, 0, 65535)


def _unit(text: str) -> int:
    return whole(text, 0, 255)


def _baud_rate(text: str) -> int:
    return whole(text, 300, 4_000_000)


def _beside(text: str) -> tuple[str, int]:
    name, colon, unit = text.rpartition(":")
    if not colon or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not PROFILE:UNIT")
    return name, whole(unit, 1, 247)


def _count(text: str) -> int:
    return whole(text, 1, 10_000)


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


if __name__ == "__main__":
    sys.exit(main())

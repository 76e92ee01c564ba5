"""`egw read` and `egw profile` on the command line."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from egw.cli_arguments import EXIT_INTERRUPTED, add_url, whole

if TYPE_CHECKING:
    from egw.devices.reach import TransportKind
    from egw.devices.wire import SerialLine

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

_ALONE = (
    *("host", "port", "unit", "timeout_ms", "rtu_over_tcp"),
    *("serial_port", "baud_rate", "parity", "stop_bits"),
)
"""Options that only a read without a gateway takes."""
_SERIAL = ("baud_rate", "parity", "stop_bits")
"""Options that only a serial port takes."""
_TIMEOUT_MS = 2000


def add_read(commands: Commands) -> None:
    """Add `egw read`."""
    read = commands.add_parser(
        "read",
        help="show the decoded points of a device now",
        description="Show the decoded points of a device now: of one that a running "
        "gateway reads (NAME), or of any device in this network without a gateway "
        "(--profile and --host) or on a serial port (--profile and --serial-port).",
        epilog="examples: egw read roof | egw read --profile huawei --host "
        "192.168.1.40 | egw read --profile sma --host 192.168.1.41 --unit 3 --json | "
        "egw read --profile sdm630 --serial-port /dev/ttyUSB0",
    )
    read.add_argument("name", nargs="?", metavar="NAME", help="as configured")
    add_url(read)
    read.add_argument("--profile", metavar="P", help="type of device, without gateway")
    read.add_argument(
        "--host", type=_host, metavar="H", help="address or name of the device"
    )
    read.add_argument("--port", type=_port, metavar="N", help="default: the profile's")
    _add_serial(read)
    read.add_argument(
        "--unit", type=_unit, metavar="N", help="default: the one that answers"
    )
    read.add_argument(
        "--timeout-ms",
        type=_timeout_ms,
        metavar="MS",
        help=f"for connecting and each answer (default: {_TIMEOUT_MS})",
    )
    _add_data_dir(read)
    read.add_argument("--json", action="store_true", help="for programs")
    read.set_defaults(run=lambda options: _read(options, read))


def _add_serial(read: argparse.ArgumentParser) -> None:
    read.add_argument(
        "--rtu-over-tcp",
        action="store_const",
        const=True,
        help="the host is a bridge that passes on RTU as it is; with --port",
    )
    read.add_argument(
        "--serial-port", metavar="PATH", help="Modbus RTU there, in place of --host"
    )
    read.add_argument("--baud-rate", type=_baud_rate, metavar="N", help="default: 9600")
    read.add_argument("--parity", choices=("none", "even", "odd"), help="default: none")
    read.add_argument(
        "--stop-bits", type=int, choices=(1, 2), metavar="N", help="1 or 2; default: 1"
    )


def add_profile(commands: Commands) -> None:
    """Add `egw profile` with its own commands."""
    profile = commands.add_parser(
        "profile",
        help="check, list and show the descriptions of device types",
        description="Check, list and show the descriptions of device types. Your own "
        "are files DATA_DIR/profiles/NAME.yaml; docs/adding-a-device.md says how to "
        "write one.",
    )
    inner = profile.add_subparsers(title="commands", required=True, metavar="COMMAND")
    check = inner.add_parser(
        "check",
        help="say whether files are good profiles",
        description="Say of each file whether it is a good profile, or its first "
        "mistake: file, point and reason in one line. Exit status 1 when one is wrong.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", type=Path)
    check.set_defaults(run=_check)
    listed = inner.add_parser("list", help="list all types of devices")
    _add_data_dir(listed)
    listed.add_argument("--json", action="store_true", help="for programs")
    listed.set_defaults(run=_list)
    shown = inner.add_parser("show", help="show what a profile says")
    shown.add_argument("name", metavar="NAME")
    _add_data_dir(shown)
    shown.add_argument("--json", action="store_true", help="for programs")
    shown.set_defaults(run=_show)


def _host(text: str) -> str:
    from egw.config_values import is_host

    if not is_host(text):
        raise argparse.ArgumentTypeError(
            f"found {text!r}, expected a host name or an IP address, without scheme "
            "and port"
        )
    return text


def _port(text: str) -> int:
    return whole(text, 1, 65535)


def _baud_rate(text: str) -> int:
    return whole(text, 300, 4_000_000)


def _unit(text: str) -> int:
    return whole(text, 0, 255)


def _timeout_ms(text: str) -> int:
    return whole(text, 1, 60_000)


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        default=os.environ.get("EGW_DATA_DIR"),
        help="with profiles of your own in DIR/profiles (default: EGW_DATA_DIR)",
    )


def _profiles_dir(options: argparse.Namespace) -> Path | None:
    from egw.topology import profiles_dir

    return None if options.data_dir is None else profiles_dir(Path(options.data_dir))


def _read(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from egw.cli_read import Target, read_alone, read_through_gateway

    if (options.name is None) == (options.profile is None):
        parser.error(
            "give either NAME, or --profile and --host, or --profile and --serial-port"
        )
    alone = [name for name in _ALONE if getattr(options, name) is not None]
    if options.name is not None:
        if alone:
            option = alone[0].replace("_", "-")
            parser.error(f"--{option} goes with --profile, not with NAME")
        return read_through_gateway(options.url, options.name, as_json=options.json)
    transport, line = _transport(options, parser)
    target = Target(
        profile=options.profile,
        host=options.host or options.serial_port,
        port=options.port,
        transport=transport,
        line=line,
        unit=options.unit,
        timeout_ms=options.timeout_ms or _TIMEOUT_MS,
        profiles_dir=_profiles_dir(options),
    )
    try:
        return read_alone(target, as_json=options.json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _transport(
    options: argparse.Namespace, parser: argparse.ArgumentParser
) -> tuple[TransportKind, SerialLine]:
    from egw.devices.wire import SerialLine

    serial = {
        name: value for name in _SERIAL if (value := getattr(options, name)) is not None
    }
    if options.serial_port is None:
        if options.host is None:
            parser.error("--profile needs --host or --serial-port")
        if serial:
            option = next(iter(serial)).replace("_", "-")
            parser.error(f"--{option} goes with --serial-port")
        if not options.rtu_over_tcp:
            return "modbus-tcp", SerialLine()
        if options.port is None:
            parser.error("--rtu-over-tcp needs --port, the bridge's")
        return "rtu-over-tcp", SerialLine()
    for name in ("host", "port", "rtu_over_tcp"):
        if getattr(options, name) is not None:
            parser.error(f"--{name.replace('_', '-')} does not go with --serial-port")
    return "modbus-rtu", SerialLine(**serial)


def _check(options: argparse.Namespace) -> int:
    from egw.cli_profile import check

    return check(options.files)


def _list(options: argparse.Namespace) -> int:
    from egw.cli_profile import list_all

    return list_all(_profiles_dir(options), as_json=options.json)


def _show(options: argparse.Namespace) -> int:
    from egw.cli_profile import show_one

    return show_one(options.name, _profiles_dir(options), as_json=options.json)

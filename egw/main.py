"""The command line.

Exit statuses: 0 all well; 1 the asked thing failed; 2 wrong use or configuration;
70 the gateway gave up and should be restarted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from egw.cli_arguments import (
    EXIT_INTERRUPTED,
    add_url,
    device_count,
    port_or_any,
    seconds,
)
from egw.cli_device_arguments import add_profile, add_read

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_WRONG_USE = 2
EXIT_BROKEN_PIPE = 141
"""As shells report SIGPIPE."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        command: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has enough (`egw read ... | head`); nor can the rest be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="egw",
        description="An open energy gateway: reads inverters and meters over Modbus, "
        "signs what it read and delivers it without losing any.",
        epilog="Begin with `egw demo`. Every command explains itself: egw run --help",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_demo(commands)
    _add_check_config(commands)
    _add_status(commands)
    add_read(commands)
    add_profile(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run the gateway until SIGTERM or Ctrl-C",
        description="Run the gateway until SIGTERM or Ctrl-C. Logs go to standard "
        "output, one JSON object a line (coloured lines on a terminal).",
        epilog="Every key can be overridden in the environment, for example "
        "EGW_API_PORT=8000. All keys: docs/configuration.md",
    )
    _add_config(run)
    run.add_argument(
        "--until-eof",
        action="store_true",
        help="stop when standard input ends, for a parent that may be killed",
    )
    run.set_defaults(run=_run)


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="run a gateway against a simulated site and watch it",
        description="Start simulated inverters and a backend that verifies every "
        "signature, run a gateway against them and show what it does. At the end, "
        "after --seconds or Ctrl-C, deliver what is left and compare what the backend "
        "got with what was committed to disk. Nothing is kept afterwards.",
        epilog="Exit status 0 only when nothing was lost, doubled or invalid.",
    )
    demo.add_argument(
        "--devices",
        type=device_count,
        default=3,
        metavar="N",
        help="how many (default: 3)",
    )
    demo.add_argument(
        "--seconds",
        type=seconds,
        metavar="S",
        help="sample for so long (default: until Ctrl-C)",
    )
    demo.add_argument(
        "--chaos", action="store_true", help="kill a random worker every two seconds"
    )
    demo.add_argument(
        "--single", action="store_true", help="all actors in one worker process"
    )
    demo.add_argument(
        "--json", action="store_true", help="end with one JSON object as the last line"
    )
    demo.add_argument(
        "--port",
        type=port_or_any,
        default=0,
        help="of the page (default: 5000; any free one where it is taken)",
    )
    demo.set_defaults(run=_demo)


def _add_check_config(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    check = commands.add_parser(
        "check-config",
        help="check a configuration file and start nothing",
        description="Check a configuration file, with the overrides that the "
        "environment holds. Says in one line what is wrong, or that all is well.",
    )
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(run=_check_config)


def _add_status(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = commands.add_parser(
        "status",
        help="show how a running gateway is",
        description="Ask a running gateway and show its devices, actors and outbox.",
    )
    add_url(status)
    status.add_argument("--device", metavar="NAME", help="show this device's points")
    status.add_argument("--json", action="store_true", help="for programs")
    status.set_defaults(run=_status)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="a TOML file (default: none)"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", type=Path, help="wins over the file's data_dir"
    )


def _run(options: argparse.Namespace) -> int:
    # Where structlog finds rich it loads it, 4 MB for tracebacks that nobody sees.
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    from egw.gateway import GatewayError, load, run

    try:
        config = load(options.config, os.environ, data_dir=options.data_dir)
        return run(config, until_eof=options.until_eof)
    except GatewayError as error:
        print(f"egw: {error}", file=sys.stderr)
        return EXIT_WRONG_USE


def _check_config(options: argparse.Namespace) -> int:
    from egw.gateway import GatewayError, load

    try:
        config = load(options.file, os.environ)
    except GatewayError as error:
        print(f"egw: {error}", file=sys.stderr)
        return EXIT_WRONG_USE
    print(f"{options.file}: good; devices: {len(config.devices)}")
    return 0


def _demo(options: argparse.Namespace) -> int:
    from egw.demo.run import Demo, DemoError

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return Demo(
            devices=options.devices,
            seconds=options.seconds,
            chaos=options.chaos,
            single=options.single,
            as_json=options.json,
            port=options.port,
        ).run()
    except DemoError as error:
        print(f"egw: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _status(options: argparse.Namespace) -> int:
    from egw.cli_status import status

    return status(options.url, device=options.device, as_json=options.json)

"""One log stream: each event one write of at most 4,096 bytes to standard output.

That is PIPE_BUF, the size up to which the kernel does not tear writes of several
processes to one pipe. There is no queue and no listener, so nothing is lost when a
process is killed. On a terminal the same events are coloured lines for people.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

MAX_LINE_BYTES = 4096
_MAX_FIELD = 3000
_QUIET = ("pykka", "pymodbus", "waitress", "urllib3", "asyncio")


class _Output:
    """Writes whole lines with one system call each."""

    def msg(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace")[: MAX_LINE_BYTES - 1] + b"\n"
        try:
            os.write(1, data)
        except OSError:
            # Nobody reads any more; a gateway does not stop for that.
            return

    debug = info = warning = error = critical = exception = msg


def _render_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    """Render a JSON line that stays valid when it has to be shortened."""
    line = json.dumps(event, default=str)
    if len(line.encode()) < MAX_LINE_BYTES:
        return line
    for limit in (_MAX_FIELD, 1000, 200, 40):
        short = {key: _shortened(value, limit) for key, value in event.items()}
        line = json.dumps(short, default=str)
        if len(line.encode()) < MAX_LINE_BYTES:
            return line
    name = _shortened(event.get("event"), 40)
    return json.dumps({"event": name, "error": "event too long to log"}, default=str)


def _shortened(value: Any, limit: int) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    # The end of a trace says most.
    return value if len(text) <= limit else "..." + text[-limit:]


def configure_logs(process: str, *, level: str = "info", incarnation: int = 0) -> None:
    """Set up logging for this process. To be called once, first thing."""
    terminal = sys.stdout is not None and os.isatty(1)
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=True) if terminal else _render_json
    )
    structlog.configure(
        processors=[
            _stamp(process, incarnation),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=lambda *_: _Output(),
    )
    _route_standard_logging(level)


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger().bind(logger=record.name)
        log.log(record.levelno, record.getMessage())


def _stamp(process: str, incarnation: int) -> Any:
    pid = os.getpid()

    def stamp(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        event["process"], event["pid"] = process, pid
        if incarnation:
            event["incarnation"] = incarnation
        return event

    return stamp


def _route_standard_logging(level: str) -> None:
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(level.upper())
    for name in _QUIET:
        # What these say is an event of ours already, with better fields.
        logging.getLogger(name).setLevel(logging.CRITICAL)

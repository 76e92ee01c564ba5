"""A gateway from its configuration to its exit status."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from egw.config import Config, ConfigError, load_config
from egw.devices.loader import known_profiles
from egw.devices.profile import ProfileError
from egw.runtime.logs import configure_logs
from egw.runtime.system import System
from egw.topology import check_connections, profiles_dir, topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import FrameType

_PRELOAD = ("egw.preload",)
_LOOK_FOR_SIGNALS_S = 0.5


class GatewayError(Exception):
    """Raised when nothing can be started; the text is one line that says why."""


def load(
    path: Path | None, environ: Mapping[str, str], *, data_dir: Path | None = None
) -> Config:
    """Read and check the configuration and the profiles that it uses."""
    try:
        config = load_config(
            path,
            environ,
            profiles=lambda found: known_profiles(profiles_dir(found)),
            data_dir=data_dir,
        )
        check_connections(config, str(path))
    except (ConfigError, ProfileError) as error:
        raise GatewayError(str(error)) from error
    return config


def run(config: Config, *, until_eof: bool = False) -> int:
    """Run until SIGTERM or SIGINT, or until the supervisor gives up.

    With `until_eof` also until standard input ends: then the parent is gone.
    """
    configure_logs("main", level=config.log_level)
    with _alone_in(config.data_dir):
        system = System(
            topology(config),
            preload=_PRELOAD,
            log_level=config.log_level,
            fork_here=True,
        )

        def on_signal(number: int, _frame: FrameType | None) -> None:
            system.stop(signal.Signals(number).name)

        signal.signal(signal.SIGTERM, on_signal)
        signal.signal(signal.SIGINT, on_signal)
        structlog.get_logger().info(
            "gateway.starting",
            devices=len(config.devices),
            data_dir=str(config.data_dir),
        )
        if until_eof:
            threading.Thread(target=_stop_at_eof, args=(system,), daemon=True).start()
        system.start()
        # A signal that comes just before a wait begins is not seen until it ends.
        while (status := system.wait(_LOOK_FOR_SIGNALS_S)) is None:
            continue
    structlog.get_logger().info("gateway.ended", status=status)
    return status


def _stop_at_eof(system: System) -> None:
    while os.read(0, 4096):
        pass
    system.stop("end of standard input")


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Hold the data directory; two gateways must not share one outbox."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise GatewayError(
            f"data_dir: cannot write to {data_dir} ({error.strerror}); "
            "name another with --data-dir or EGW_DATA_DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise GatewayError(
            f"data_dir: {data_dir} is in use by another gateway; stop that one first"
        ) from None
    finally:
        os.close(lock)

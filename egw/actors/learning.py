"""What an InverterActor remembers of its device beyond its own life."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from egw.storage.learned import Learned, load_learned, save_learned

if TYPE_CHECKING:
    from egw.actors.settings import DeviceSettings


def learned_size(settings: DeviceSettings) -> int | None:
    """Return the largest block that the device was found to answer; None: unknown."""
    if settings.learned_file is None:
        return None
    learned = load_learned(
        settings.learned_file,
        profile=settings.profile,
        host=settings.host,
        port=settings.port,
    )
    return None if learned is None else learned.max_registers


def remember_size(settings: DeviceSettings, max_registers: int) -> None:
    """Keep it for the next start; what cannot be written is found out anew then."""
    if settings.learned_file is None:
        return
    learned = Learned(
        profile=settings.profile,
        host=settings.host,
        port=settings.port,
        max_registers=max_registers,
    )
    try:
        save_learned(settings.learned_file, learned)
    except OSError as error:
        structlog.get_logger().warning(
            "device.not_remembered",
            device=settings.name,
            file=str(settings.learned_file),
            reason=error.strerror,
        )

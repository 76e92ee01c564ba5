"""What was found out about a device, in a small file that survives restarts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from pathlib import Path


class Learned(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a device: of this type and at this address, of no other."""

    profile: str
    host: str
    port: int
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)]
    """Largest block that it answers."""


def load_learned(path: Path, *, profile: str, host: str, port: int) -> Learned | None:
    """Return what the file says of this device.

    None when there is no file, it is damaged, or it is about another device.
    """
    try:
        learned = msgspec.json.decode(path.read_bytes(), type=Learned)
    except (OSError, msgspec.DecodeError):
        return None
    about = (learned.profile, learned.host, learned.port)
    return learned if about == (profile, host, port) else None


def save_learned(path: Path, learned: Learned) -> None:
    """Replace the file, whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(learned))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)

"""Opening a SQLite database so that it survives power cuts and damage."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHECKED_UP_TO_BYTES = 64 * 1024 * 1024
"""Larger files are not read whole at each start; damage is found when it is met."""


def open_database(
    path: Path, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """Open the database at `path` or make it; `prepare` makes what it lacks.

    WAL with full synchronisation: a commit is on disk when it returns. A damaged file
    is moved aside as `NAME.damaged-STAMP`, with its log, and a new one made.
    Raises sqlite3.OperationalError when the place cannot be read or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _open(path, prepare)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        move_aside(path, str(error))
        return _open(path, prepare)


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether the file is damaged, and not only the place full or locked."""
    # SQLite's SQLITE_CORRUPT and SQLITE_NOTADB come as the base class itself.
    return type(error) is sqlite3.DatabaseError


def _open(
    path: Path, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    # Made before SQLite does, so that the readings are never anybody else's to read.
    path.touch(mode=0o600)
    db = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if path.stat().st_size <= _CHECKED_UP_TO_BYTES:
            _check(db)
        prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    answer = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise sqlite3.DatabaseError(answer)


def move_aside(path: Path, reason: str) -> None:
    """Rename a damaged database that nobody has open, so that a new one is made."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000}")
    structlog.get_logger().error(
        "storage.damaged", file=str(path), moved_to=str(aside), reason=reason
    )
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)

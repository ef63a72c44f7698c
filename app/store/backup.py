"""A copy of the database while it is being written to: whole, checked, and readable by its owner alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

#: The counter that has the time of the last copy.
LAST = "last_backup"


class BackupError(Exception):
    """There is no copy; the text says why."""


def back_up(database: Path, folder: Path, *, at: datetime, keep: int = 0) -> Path:
    """Copy `database` into `folder`, named after the UTC time `at`, and return the copy.

    By SQLite's online backup, so writers need not stop, and what is still in the log next to the file comes along. A
    copy appears under its name only once it was checked and is on disk. With `keep`, older copies beyond so many are
    deleted afterwards. Raises BackupError.
    """
    if not database.is_file():
        raise BackupError(f"There is no database at {database}. Is DATABASE_URL right?")
    target = folder / f"holdfast-{at:%Y%m%dT%H%M%SZ}.sqlite3"
    if target.exists():
        raise BackupError(f"{target} is there already.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{target} could not be written: {error}") from error
    copy_database(database, target)
    _note(database, at)
    if keep:
        for old in sorted(folder.glob("holdfast-*Z.sqlite3"))[:-keep]:
            old.unlink()
    return target


def _note(database: Path, at: datetime) -> None:
    """In the database, since only there those who look for its age are sure to find it."""
    with closing(sqlite3.connect(database, timeout=15)) as connection, suppress(sqlite3.OperationalError):
        # Suppressed: the copy is there, and is not made undone by a database that is busy, or has no such table.
        connection.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (LAST, int(at.timestamp())),
        )
        connection.commit()


def copy_database(database: Path, target: Path) -> None:
    """Copy `database` to `target`, over what is there: checked, on disk, and readable by its owner alone. Raises
    BackupError."""
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        # Of a copy that a crash cut off.
        unfinished.unlink(missing_ok=True)
        # It holds customers: nobody else on the machine may read it, not even while it is being written.
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _copy(database, unfinished)
        _sync(unfinished)
        unfinished.rename(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        unfinished.unlink(missing_ok=True)
        raise BackupError(f"{target} could not be written: {error}") from error


def _copy(database: Path, target: Path) -> None:
    address = f"{database.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=15)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        # The copy inherits the log's mode; alone in its folder it has to be one file.
        copy.execute("PRAGMA journal_mode = DELETE")
        if copy.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise sqlite3.DatabaseError("the copy is damaged, and so is the database")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

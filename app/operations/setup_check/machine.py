"""This machine: the file of settings, the database, its copies, and the disk."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.errors import DatabaseUnusable
from app.operations.health import LATE
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.store.backup import last_backup
from app.store.sqlite_file import check_file, check_tables

#: A nightly copy that failed once is missed by the second morning.
OLD_BACKUP = timedelta(days=2)
#: When a copy from before an upgrade has served its purpose.
OLD_COPY = timedelta(days=30)
#: Room for a day of bookings and a copy of a small database; below the second, for hardly anything.
LITTLE_ROOM, NO_ROOM = 1_000_000_000, 100_000_000


def look_at_env_file(path: Path | None) -> Iterator[Finding]:
    """Whether others on this machine may read the keys."""
    if path and path.stat().st_mode & stat.S_IROTH:
        yield warn("settings", f"every user of this machine can read {path}", f"Run `chmod 600 {path}`.")


def look_at_database(path: Path, *, now: datetime, free_bytes: Callable[[Path], int]) -> Iterator[Finding]:
    """Whether a start would take the file, and what it says of the worker and of copies."""
    try:
        check_file(path, must_exist=False)
        if not path.exists():
            yield warn("database", f"{path} does not exist yet", "The first start creates it.")
            return
        check_file(path, must_exist=True)
        check_tables(path)
    except DatabaseUnusable as error:
        yield fail("database", error.says.rstrip("."), error.fix)
        return
    yield from _left_copies(path, now)
    if path.stat().st_mode & stat.S_IROTH:
        yield warn("database", f"every user of this machine can read {path}", f"Run `chmod 600 {path}*`.")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            fix = "Restore the last backup; docs/operations.md#restore explains how."
            yield fail("database", f"{path} is damaged", fix)
            return
        yield ok("database", f"{path} is readable, writable and up to date")
        yield from _worker(connection, now)
        yield from _copies(last_backup(connection), now)
    yield from _room(path.absolute().parent, free_bytes)


def _worker(connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    beat = connection.execute("SELECT value FROM counters WHERE name = 'worker_beat'").fetchone()
    if beat is None or now.timestamp() - beat[0] > LATE.total_seconds():
        fix = "Start the server, or `python -m app worker` in addition to `serve --no-worker`."
        yield warn("worker", "no worker is running: no late confirmations, no releases, no emails", fix)
    else:
        yield ok("worker", "alive")


def _copies(last: datetime | None, now: datetime) -> Iterator[Finding]:
    fix = "Run `python -m app backup FOLDER` every night; docs/operations.md#backup says more."
    if last is None:
        yield warn("backup", "no copy of the database has been made yet", fix)
    elif now - last > OLD_BACKUP:
        yield warn("backup", f"the last copy of the database is {(now - last).days} days old", fix)
    else:
        yield ok("backup", f"the last copy of the database was made at {last.astimezone(UTC):%Y-%m-%d %H:%M}Z")


def _left_copies(path: Path, now: datetime) -> Iterator[Finding]:
    """Copies from before an upgrade know customers who were forgotten since."""
    for copy in sorted(path.absolute().parent.glob(f"{path.name}.before-*")):
        if now.timestamp() - copy.stat().st_mtime > OLD_COPY.total_seconds():
            says = (
                f"{copy} is more than {OLD_COPY.days} days old, and still has data of customers that was removed since"
            )
            yield warn("backup", says, "Delete it: the upgrade has worked for long enough.")


def _room(folder: Path, free_bytes: Callable[[Path], int]) -> Iterator[Finding]:
    free = free_bytes(folder)
    says = f"{free // 1_000_000} MB free on the disk of {folder}"
    fix = "Free up space: when the disk is full, nothing can be booked any more."
    if free < NO_ROOM:
        yield fail("disk", says, fix)
    elif free < LITTLE_ROOM:
        yield warn("disk", says, fix)
    else:
        yield ok("disk", says)


def count_calls(path: Path, counter: str, calls: int, *, month: datetime) -> None:
    """Add calls to a scheduler to the month's number that all processes share, as `CallBudget` does."""
    if not calls or not path.is_file():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=5)) as connection:
            connection.execute(
                "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                (f"{counter}:{month.astimezone(UTC):%Y-%m}", calls),
            )
            connection.commit()
    except sqlite3.DatabaseError:
        pass  # What is wrong with the database has been found; a count that misses these calls is the lesser harm.

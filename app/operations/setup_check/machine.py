"""This machine: the file of settings, the database, its copies, and the disk."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from app.errors import DatabaseUnusable, StorageError
from app.operations.health import LATE
from app.operations.setup_check.finding import Finding, fail, ok, warn
from app.store import Store
from app.store.backup import LAST
from app.store.sqlite import Sqlite

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


class DatabaseLook:
    """One look; what others ask of the rows is answered only where a start would take the database."""

    def __init__(self, store: Store, *, now: datetime, free_bytes: Callable[[Path], int]) -> None:
        self.store = store
        self._now = now
        self._free_bytes = free_bytes
        self._usable = False

    async def findings(self) -> list[Finding]:
        """Whether a start would take it, and what it says of the worker and of copies."""
        return [finding async for finding in self._look()]

    async def unusable(self) -> DatabaseUnusable | None:
        """Why no start would take it, or why it has no rows yet; None where all is well."""
        try:
            await self.store.must_be_current()
        except DatabaseUnusable as error:
            return error
        return None

    async def session_ids(self) -> list[str]:
        """The ids of all Checkout Sessions, newest first."""
        if not self._usable:
            return []
        try:
            return await self.store.session_ids()
        except (SQLAlchemyError, StorageError):
            return []  # what is wrong with the database was found before

    async def count_calls(self, counter: str, calls: int) -> None:
        """Add calls to a scheduler to the month's number that all processes share, as `CallBudget` does."""
        if not calls or not self._usable:
            return
        # What is wrong with the database has been found; a count that misses these calls is the lesser harm.
        with suppress(SQLAlchemyError, StorageError):
            await self.store.add_to_counter(f"{counter}:{self._now.astimezone(UTC):%Y-%m}", calls)

    async def _look(self) -> AsyncIterator[Finding]:
        backend, now = self.store.backend, self._now
        try:
            missing = await backend.missing()
            if missing:
                yield warn("database", missing, "The first start creates it.")
                return
            await backend.must_be_current()
        except DatabaseUnusable as error:
            yield fail("database", error.says.rstrip("."), error.fix)
            return
        if not isinstance(backend, Sqlite):
            self._usable = True
            yield ok("database", f"{backend.shown} is reachable and up to date")
            yield _worker(await self.store.last_beat(), now)
            return
        path = backend.path
        for finding in _left_copies(path, now):
            yield finding
        if path.stat().st_mode & stat.S_IROTH:
            yield warn("database", f"every user of this machine can read {path}", f"Run `chmod 600 {path}*`.")
        if not _is_whole(path):
            fix = "Restore the last backup; docs/operations.md#restore explains how."
            yield fail("database", f"{path} is damaged", fix)
            return
        self._usable = True
        yield ok("database", f"{path} is readable, writable and up to date")
        yield _worker(await self.store.last_beat(), now)
        yield _copies(await self.store.mark(LAST), now)
        yield _room(path.absolute().parent, self._free_bytes)


def _is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        return connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)]


def _worker(beat: datetime | None, now: datetime) -> Finding:
    if beat is None or now - beat > LATE:
        fix = "Start the server, or `python -m app worker` in addition to `serve --no-worker`."
        return warn("worker", "no worker is running: no late confirmations, no releases, no emails", fix)
    return ok("worker", "alive")


def _copies(last: datetime | None, now: datetime) -> Finding:
    fix = "Run `python -m app backup FOLDER` every night; docs/operations.md#backup says more."
    if last is None:
        return warn("backup", "no copy of the database has been made yet", fix)
    if now - last > OLD_BACKUP:
        return warn("backup", f"the last copy of the database is {(now - last).days} days old", fix)
    return ok("backup", f"the last copy of the database was made at {last.astimezone(UTC):%Y-%m-%d %H:%M}Z")


def _left_copies(path: Path, now: datetime) -> Iterator[Finding]:
    """Copies from before an upgrade know customers who were forgotten since."""
    for copy in sorted(path.absolute().parent.glob(f"{path.name}.before-*")):
        if now.timestamp() - copy.stat().st_mtime > OLD_COPY.total_seconds():
            says = (
                f"{copy} is more than {OLD_COPY.days} days old, and still has data of customers that was removed since"
            )
            yield warn("backup", says, "Delete it: the upgrade has worked for long enough.")


def _room(folder: Path, free_bytes: Callable[[Path], int]) -> Finding:
    free = free_bytes(folder)
    says = f"{free // 1_000_000} MB free on the disk of {folder}"
    fix = "Free up space: when the disk is full, nothing can be booked any more."
    if free < NO_ROOM:
        return fail("disk", says, fix)
    if free < LITTLE_ROOM:
        return warn("disk", says, fix)
    return ok("disk", says)

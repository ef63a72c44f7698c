"""One SQLite file: its connections, one disciplined writer, and what its refusals mean."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import DatabaseBusy, StorageBusy, StorageError, StorageFull, StorageReadOnly
from app.store.backend import CHANGES_SECONDS, PATIENCE, BookingId, refusals, transaction
from app.store.backup import BackupError, copy_database
from app.store.prepared import Prepared
from app.store.schema import upgrade, version_in, versions
from app.store.sqlite_driver import Connect, Connection, open_connection
from app.store.sqlite_file import check_file, check_tables, database_path, make_file, unusable

#: What SQLite's result codes mean, by their beginnings (sqlite.org, "Result and Error Codes").
_REFUSALS = {
    "SQLITE_BUSY": StorageBusy,
    "SQLITE_LOCKED": StorageBusy,
    "SQLITE_FULL": StorageFull,
    "SQLITE_READONLY": StorageReadOnly,
    "SQLITE_PERM": StorageReadOnly,
    "SQLITE_IOERR": StorageError,
    "SQLITE_CANTOPEN": StorageError,
}
_CHECKPOINT_MILLISECONDS = 1000

log = structlog.get_logger()


class Sqlite:
    """`url` as in DATABASE_URL: sqlite:/// and the file's path. `connect` opens a connection to it."""

    begin_snapshot = "BEGIN"
    #: Bytes of one of SQLite's pages, as it makes them: such a row needs a page of its own.
    trial_width = 4096
    lines_settle = timedelta(0)
    fetch_errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, url: str, connect: Connect = open_connection) -> None:
        self._connect = connect
        self.path = database_path(url)
        self.shown = url
        self.patience: float = PATIENCE
        self.engine: AsyncEngine = create_async_engine(
            url.replace("sqlite:///", "sqlite+aiosqlite:///", 1),
            async_creator=lambda: connect(str(self.path), patience=PATIENCE),
            # An error names its statement, and errors are logged: rows hold customers and links.
            hide_parameters=True,
        )
        self._writer = asyncio.Lock()
        self._reader: Connection | None = None

    async def close(self) -> None:
        """The reader and the pool."""
        reader, self._reader = self._reader, None
        if reader is not None:
            await reader.close()
        await self.engine.dispose()

    async def fetch(self, query: Prepared, values: Mapping[str, object]) -> list[Any]:
        """On this thread, by a connection that is kept for it and waits for nobody: such a question takes 20 µs, and
        another thread's answer to it 60. A file that is busy is asked the other way."""
        worded = query.on(self.engine.dialect)
        if self._reader is None:
            opened = await self._connect(str(self.path), patience=0)
            if self._reader is None:
                self._reader = opened
            else:  # someone else was quicker
                opened.stop()
        reader = self._reader
        try:
            return worded.rows(reader.fetch(worded.text, worded.parameters(values)))
        except sqlite3.Error:
            if self._reader is reader:
                self._reader = None
                reader.stop()
            raise

    async def changes(self) -> AsyncIterator[None]:
        """By looks at the file's version."""
        watching = await self._connect(str(self.path), patience=0)
        try:
            while True:
                await watching.others_wrote(within=CHANGES_SECONDS)
                yield
        finally:
            watching.stop()

    async def tell_others(self) -> None:
        """Nothing to do: other processes see the file's new version when they look."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One writer at a time in this process. A writer that waits behind a stuck one gets an error after its own
        time-out, and need not wait for the time-outs of all before it."""
        try:
            async with asyncio.timeout(self.patience):
                await self._writer.acquire()
        except TimeoutError:
            raise StorageBusy("other writers of this process") from None
        try:
            yield
        finally:
            self._writer.release()

    async def begin(self, connection: AsyncConnection) -> None:
        """At once for writing: another process waits at the door instead of failing in the middle."""
        await self._run(connection, "BEGIN IMMEDIATE")

    async def commit(self, connection: AsyncConnection) -> None:
        """Ends it."""
        await self._run(connection, "COMMIT")

    async def _run(self, connection: AsyncConnection, statement: str) -> None:
        """One that every write needs, past SQLAlchemy, which takes five times as long over it as SQLite."""
        driver = connection.sync_connection.connection.driver_connection if connection.sync_connection else None
        assert isinstance(driver, Connection)  # noqa: S101 - what `connect` opened
        try:
            await driver.run(lambda: driver.driver.execute(statement))
        except (sqlite3.Error, ValueError) as error:
            orig = error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))  # it is closed
            raise DBAPIError.instance(statement, (), orig, sqlite3.Error, hide_parameters=True) from error
        except BaseException:  # cut off: nobody knows whether it is done, and nobody may find it half done in the pool
            await connection.invalidate()
            raise

    async def lock_booking(self, connection: AsyncConnection, booking_id: BookingId) -> None:
        """Nothing to do: the file has one writer at a time."""

    async def lock_name(self, connection: AsyncConnection, name: str) -> None:
        """Nothing to do: the file has one writer at a time."""

    async def in_transaction(self, connection: AsyncConnection) -> bool:
        """Whether the driver has one open."""
        driver = (await connection.get_raw_connection()).driver_connection
        return bool(driver and driver.in_transaction)

    def refusal(self, error: Exception) -> StorageError | None:
        """By SQLite's result code."""
        if not isinstance(error, OperationalError):
            return None
        told = getattr(error.orig, "sqlite_errorname", "")
        kind = next((kind for start, kind in _REFUSALS.items() if told.startswith(start)), None)
        return kind(told) if kind else None

    async def wipe_what_is_freed(self, connection: AsyncConnection) -> None:
        """Else the words stay in the file's free pages until something else is written there."""
        await connection.exec_driver_sql("PRAGMA secure_delete = ON")

    async def wipe_traces(self) -> bool:
        """Empty the log next to the database, which keeps every row as it was before until it is written over. False
        where a reader of another process is in its way: then it empties when that is done, and more is written."""
        async with self.engine.connect() as connection:
            # A server's reads end within milliseconds; who reads for longer is not waited for.
            await connection.exec_driver_sql(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
            busy, *_ = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
            await connection.exec_driver_sql(f"PRAGMA busy_timeout = {PATIENCE * 1000}")
            return not busy

    async def migrate(self) -> None:
        """Before an upgrade a copy is made next to the file, such as `holdfast.sqlite3.before-0002`."""
        # In a thread: they wait for other writers.
        await anyio.to_thread.run_sync(partial(check_file, self.path, must_exist=False))
        await anyio.to_thread.run_sync(make_file, self.path)
        try:
            async with self.turn():
                with refusals(self):
                    async with self.engine.connect() as connection:
                        with anyio.CancelScope(shield=True):
                            async with _tables_may_be_rebuilt(connection), transaction(self, connection):
                                await self._bring_up_to_date(connection)
        except BackupError as error:
            raise DatabaseBusy(f"No copy of {self.path} could be made before its upgrade.", str(error)) from error
        except (StorageError, DBAPIError, sqlite3.DatabaseError) as error:
            told = error.__cause__ if isinstance(error, StorageError) else error
            cause = told.orig if isinstance(told, DBAPIError) else told
            if isinstance(cause, sqlite3.DatabaseError):
                raise unusable(cause, self.path) from error
            raise
        await anyio.to_thread.run_sync(check_tables, self.path)

    async def _bring_up_to_date(self, connection: AsyncConnection) -> None:
        version = await connection.run_sync(version_in)
        if version == versions()[-1]:
            return
        if version is not None:
            copy = self.path.with_name(f"{self.path.name}.before-{versions()[-1]}")
            # The transaction keeps other writers out, and a second connection may read meanwhile.
            await anyio.to_thread.run_sync(copy_database, self.path, copy)
            log.warning("upgrading the database", database=str(self.path), of=version, copy=str(copy))
        await connection.run_sync(_upgrade)

    async def missing(self) -> str:
        """The file."""
        await anyio.to_thread.run_sync(partial(check_file, self.path, must_exist=False))
        return "" if self.path.exists() else f"{self.path} does not exist yet"

    async def must_be_current(self) -> None:
        """Without opening an engine on a file that is not there."""
        await anyio.to_thread.run_sync(partial(check_file, self.path, must_exist=True))
        await anyio.to_thread.run_sync(check_tables, self.path)


@asynccontextmanager
async def _tables_may_be_rebuilt(connection: AsyncConnection) -> AsyncIterator[None]:
    """For an upgrade, foreign keys are not minded until it is over: a table cannot be made again while others point at
    it, and SQLite takes the word only outside a transaction (its docs, "Making Other Kinds Of Table Schema Changes").
    What the old tables held is wiped, or names would stay in the file's free pages when their customers are forgotten.
    """
    await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    await connection.exec_driver_sql("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        if not connection.invalidated:
            await connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def _upgrade(connection: sa.Connection) -> None:
    upgrade(connection)
    astray = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if astray:  # rolls everything back
        raise sqlite3.IntegrityError(f"rows that point at nothing after the upgrade: {sorted(set(astray))[:5]}")

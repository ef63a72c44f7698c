"""One SQLite file: connections, one disciplined writer, migrations.

A database that is locked, full or not writable raises `app.errors.StorageError` in one of its kinds, from every method.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any

import anyio
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import DatabaseBusy, StorageBusy, StorageError, StorageFull, StorageReadOnly
from app.store.backup import BackupError, copy_database
from app.store.schema import (
    MIGRATIONS,
    PATIENCE,
    check_file,
    check_tables,
    database_path,
    make_file,
    unusable,
    versions,
)

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
#: Where `note` keeps a transaction's notes until they are true.
_NOTES = "holdfast.notes"

log = structlog.get_logger()


class Database:
    """What the store stands on. `now` gives aware UTC datetimes."""

    def __init__(self, url: str, *, now: Callable[[], datetime]) -> None:
        self.engine: AsyncEngine = create_async_engine(
            url.replace("sqlite:///", "sqlite+aiosqlite:///", 1),
            connect_args={"timeout": PATIENCE},
            # An error names its statement, and errors are logged: rows hold customers and links.
            hide_parameters=True,
        )
        event.listen(self.engine.sync_engine, "connect", _prepare_connection)
        self._now = now
        self._path = database_path(url)
        self._writer = asyncio.Lock()
        #: Seconds that a write waits for this process's others.
        self.patience: float = PATIENCE

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()

    async def migrate(self) -> None:
        """Make the database, or bring it up to date; waits while another process does the same.

        Before an upgrade a copy is made beside the file, such as `holdfast.sqlite3.before-0002`. Raises
        DatabaseUnusable or DatabaseBusy, with a sentence for the operator.
        """
        check_file(self._path, must_exist=False)
        make_file(self._path)
        try:
            async with self._write(upgrading=True) as connection:
                version = await connection.run_sync(_version)
                if version is not None and version != versions()[-1]:
                    copy = self._path.with_name(f"{self._path.name}.before-{versions()[-1]}")
                    # The transaction keeps other writers out, and a second connection may read meanwhile.
                    await anyio.to_thread.run_sync(copy_database, self._path, copy)
                    log.warning("upgrading the database", database=str(self._path), of=version, copy=str(copy))
                if version != versions()[-1]:
                    await connection.run_sync(_upgrade)
        except BackupError as error:
            raise DatabaseBusy(f"No copy of {self._path} could be made before its upgrade.", str(error)) from error
        except (StorageError, DBAPIError, sqlite3.DatabaseError) as error:
            told = error.__cause__ if isinstance(error, StorageError) else error
            cause = told.orig if isinstance(told, DBAPIError) else told
            if isinstance(cause, sqlite3.DatabaseError):
                raise unusable(cause, self._path) from error
            raise
        check_tables(self._path)

    async def must_be_current(self) -> None:
        """For what must neither make nor upgrade a database. Raises DatabaseUnusable where it is not there, or not of
        this version."""
        check_file(self._path, must_exist=True)
        check_tables(self._path)

    @asynccontextmanager
    async def _write(self, *, upgrading: bool = False) -> AsyncIterator[AsyncConnection]:
        # The lock queues this process's writers; BEGIN IMMEDIATE makes another process wait at the door instead of
        # failing in the middle. Shielded, because a canceled request must not leave a transaction half open.
        async with self._turn():
            with _refusals():
                async with self.engine.connect() as connection:
                    with anyio.CancelScope(shield=True):
                        async with _prepared(connection, upgrading=upgrading), _transaction(connection):
                            yield connection

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """This process's one writer at a time. Whoever waits behind a stuck one is told so, and not made to wait for
        the time-outs of all who came before."""
        try:
            async with asyncio.timeout(self.patience):
                await self._writer.acquire()
        except TimeoutError:
            raise StorageBusy("other writers of this process") from None
        try:
            yield
        finally:
            self._writer.release()

    async def _all(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> list[sa.RowMapping]:
        with _refusals():
            async with self.engine.connect() as connection:
                return list((await connection.execute(query)).mappings())


@asynccontextmanager
async def _prepared(connection: AsyncConnection, *, upgrading: bool) -> AsyncIterator[None]:
    """For an upgrade, foreign keys are not minded until it is over: a table cannot be made anew while others point at
    it, and SQLite takes the word only outside a transaction (its docs, "Making Other Kinds Of Table Schema Changes").
    What the old tables held is wiped, or names would stay in the file's free pages when their customers are forgotten.
    """
    if not upgrading:
        yield
        return
    await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    await connection.exec_driver_sql("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        if not connection.invalidated:
            await connection.exec_driver_sql("PRAGMA foreign_keys = ON")


def note(connection: AsyncConnection, event: str, **facts: object) -> None:
    """A line for the log, once the transaction has been committed. No person belongs in it."""
    connection.info.setdefault(_NOTES, []).append((event, facts))


@asynccontextmanager
async def _transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
        await connection.exec_driver_sql("COMMIT")
    except BaseException:
        await _roll_back(connection)
        raise
    for name, facts in connection.info.pop(_NOTES, ()):
        log.info(name, **facts)


async def _roll_back(connection: AsyncConnection) -> None:
    if connection.invalidated:  # cut off in the middle of a statement: closed, and rolled back by that
        return
    connection.info.pop(_NOTES, None)
    driver = (await connection.get_raw_connection()).driver_connection
    # A full disk has rolled back already, and a second time would hide what went wrong.
    if driver and driver.in_transaction:
        await connection.exec_driver_sql("ROLLBACK")


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        told = getattr(error.orig, "sqlite_errorname", "")
        kind = next((kind for start, kind in _REFUSALS.items() if told.startswith(start)), None)
        if kind is None:
            raise
        raise kind(told) from error


def _prepare_connection(connection: Any, _record: object) -> None:
    # Transactions are opened by hand (see Store._write), so the driver must not open its own.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # FULL, not NORMAL: what is due to Stripe and the scheduler must survive a power cut too; the price is one fsync a
    # write.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _upgrade(connection: sa.Connection) -> None:
    # Imported here, because most starts find the database up to date, and Alembic takes a while to load.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    astray = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if astray:  # rolls everything back
        raise sqlite3.IntegrityError(f"rows that point at nothing after the upgrade: {sorted(set(astray))[:5]}")

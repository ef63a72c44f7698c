"""One SQLite file: connections, one disciplined writer, migrations.

A database that is locked, full or not writable raises `app.errors.StorageError` in one of its kinds, from every method.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import StorageBusy, StorageError, StorageFull, StorageReadOnly

#: Seconds that a write waits for other writers, of this process and of others.
BUSY_SECONDS = 15
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
            connect_args={"timeout": BUSY_SECONDS},
            # An error names its statement, and errors are logged: rows hold customers and links.
            hide_parameters=True,
        )
        event.listen(self.engine.sync_engine, "connect", _prepare_connection)
        self._now = now
        self._writer = asyncio.Lock()
        #: Seconds that a write waits for this process's others.
        self.patience: float = BUSY_SECONDS

    async def close(self) -> None:
        """Give every connection back."""
        await self.engine.dispose()

    async def migrate(self) -> None:
        """Bring the schema up to date; waits while another process does the same."""
        async with self._write() as connection:
            await connection.run_sync(_upgrade)

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        # The lock queues this process's writers; BEGIN IMMEDIATE makes another process wait at the door instead of
        # failing in the middle. Shielded, because a canceled request must not leave a transaction half open.
        async with self._turn():
            with _refusals():
                async with self.engine.connect() as connection:
                    with anyio.CancelScope(shield=True):
                        async with _transaction(connection):
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
    # FULL, not NORMAL: what we owe Stripe and Hapio must survive a power cut too; the price is one fsync a write.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

"""What SQLite and PostgreSQL do differently, behind one protocol, and what a transaction is on either."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Protocol

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import StorageError
from app.store.prepared import Prepared

#: Seconds that a write waits for others before it is told that the database is busy.
PATIENCE = 15
#: After so many seconds a process looks at what others may have written, whether or not it was told of anything.
CHANGES_SECONDS = 5
#: A booking's id, or a query for it.
BookingId = str | sa.ScalarSelect[str]
#: Where `note` keeps a transaction's notes until they are true.
_NOTES = "holdfast.notes"

log = structlog.get_logger()


class Backend(Protocol):
    """One database. Opening it connects to nothing."""

    engine: AsyncEngine
    #: The address as people and logs may see it: without a password.
    shown: str
    #: Seconds that a write waits for others.
    patience: float
    #: The statement that begins a look at everything as it stands at one moment.
    begin_snapshot: str
    #: Characters of a row that cannot be written unless there is room on the disk.
    trial_width: int

    #: How long a line of the history may still come to stand before lines that can be read already.
    lines_settle: timedelta
    #: What `fetch` raises where the database does not answer.
    fetch_errors: tuple[type[Exception], ...]

    async def close(self) -> None:
        """Give every connection back."""
        ...

    async def fetch(self, query: Prepared, values: Mapping[str, object]) -> list[Any]:
        """The rows of a prepared question. Raises one of `fetch_errors`; then it may be asked another way."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Comes round when another connection has written, and every few seconds anyway; never ends by itself."""
        ...

    async def tell_others(self) -> None:
        """Make `changes` of other processes come round, where the database does not do so itself."""
        ...

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait until this process may write. Raises StorageBusy after `patience`."""
        ...

    async def begin(self, connection: AsyncConnection) -> None:
        """Begin a write. Raises SQLAlchemy's errors."""
        ...

    async def commit(self, connection: AsyncConnection) -> None:
        """End it. Raises SQLAlchemy's errors."""
        ...

    async def lock_booking(self, connection: AsyncConnection, booking_id: BookingId) -> None:
        """Keep every other write about this booking out until the transaction ends."""
        ...

    async def lock_name(self, connection: AsyncConnection, name: str) -> None:
        """Keep every other transaction that locks this name out until this one ends: for what no single row stands for.
        After `lock_booking` and never before it, so that no two transactions wait for each other."""
        ...

    async def in_transaction(self, connection: AsyncConnection) -> bool:
        """Whether the server has a transaction open that must be rolled back."""
        ...

    def refusal(self, error: Exception) -> StorageError | None:
        """What a driver's error means; None where it is a mistake of ours, and no state of the database."""
        ...

    async def wipe_what_is_freed(self, connection: AsyncConnection) -> None:
        """From here on, what this transaction overwrites leaves nothing behind, as far as the database can do that."""
        ...

    async def wipe_traces(self) -> bool:
        """Wipe what earlier transactions have left behind. False where that was not possible now."""
        ...

    async def migrate(self) -> None:
        """Make the tables, or bring them up to date. Raises DatabaseUnusable or DatabaseBusy."""
        ...

    async def missing(self) -> str:
        """What is not there yet and would be made by a start, as the words of a sentence; empty where all is there.
        Raises DatabaseUnusable where a start could not make it."""
        ...

    async def must_be_current(self) -> None:
        """Raises DatabaseUnusable where the tables are not there, or not of this version."""
        ...


def note(connection: AsyncConnection, event: str, **facts: object) -> None:
    """A line for the log, once the transaction has been committed. No person belongs in it."""
    connection.info.setdefault(_NOTES, []).append((event, facts))


@asynccontextmanager
async def transaction(
    backend: Backend, connection: AsyncConnection, booking_id: BookingId | None = None
) -> AsyncIterator[None]:
    """Commit at the end, or roll back. With `booking_id` the booking's rows are this transaction's alone."""
    try:
        await _begin(backend, connection, booking_id)
        yield
        await backend.commit(connection)
    except BaseException:
        await _roll_back(backend, connection)
        raise
    for name, facts in connection.info.pop(_NOTES, ()):
        log.info(name, **facts)


async def _begin(backend: Backend, connection: AsyncConnection, booking_id: BookingId | None) -> None:
    for last in (False, True):
        try:
            await backend.begin(connection)
            if booking_id is not None:
                await backend.lock_booking(connection, booking_id)
        except SQLAlchemyError as error:
            if last or not lost(error):
                raise
            # The server has gone away since the connection was last used. Nothing was done, so a fresh connection may
            # try once more: the pool drops all its old ones together. Later on, nobody knows what was done.
            await connection.rollback()
        else:
            return


def lost(error: SQLAlchemyError) -> bool:
    """Whether the connection was dead."""
    return isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated


async def _roll_back(backend: Backend, connection: AsyncConnection) -> None:
    if connection.invalidated:  # cut off in the middle of a statement: closed, and rolled back by that
        return
    connection.info.pop(_NOTES, None)
    try:
        # A full disk has rolled back already, and a second time would hide what went wrong.
        if await backend.in_transaction(connection):
            await connection.exec_driver_sql("ROLLBACK")
    except (SQLAlchemyError, OSError):
        # What went wrong is told; nobody may find its half-open transaction in the pool.
        await connection.invalidate()


@contextmanager
def refusals(backend: Backend) -> Iterator[None]:
    """The driver's errors, raised as StorageError where they are states of the database."""
    try:
        yield
    except Exception as error:
        told = backend.refusal(error)
        if told is None:
            raise
        raise told from error

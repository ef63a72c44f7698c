"""Reading and writing: one query, or one transaction, on whichever database DATABASE_URL names.

A database that is locked, full, not writable or not there raises `app.errors.StorageError` in one of its kinds, from
every method.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.store.backend import Backend, BookingId, lost, refusals, transaction
from app.store.prepared import Prepared
from app.store.sqlite_driver import Connect, open_connection
from app.store.tables import Row


def open_backend(url: str, connect: Connect = open_connection) -> Backend:
    """The database that a DATABASE_URL names; `connect` opens connections to a SQLite file. Connects to nothing yet."""
    if url.startswith("sqlite:"):
        from app.store.sqlite import Sqlite

        return Sqlite(url, connect)
    # Imported here: its driver takes a while to load, and SQLite's users need none of it.
    from app.store.postgres import Postgres

    return Postgres(url)


class Database:
    """What the store stands on. `now` gives aware UTC datetimes; `connect` opens connections to a SQLite file."""

    def __init__(self, url: str, *, now: Callable[[], datetime], connect: Connect = open_connection) -> None:
        self.backend = open_backend(url, connect)
        self._now = now

    @property
    def engine(self) -> AsyncEngine:
        """Where connections come from."""
        return self.backend.engine

    async def close(self) -> None:
        """Give every connection back."""
        await self.backend.close()

    async def migrate(self) -> None:
        """Make the tables, or bring them up to date; waits while another process does the same. Raises DatabaseUnusable
        or DatabaseBusy, with a sentence for the operator."""
        await self.backend.migrate()

    async def must_be_current(self) -> None:
        """For what must neither make nor upgrade a database. Raises DatabaseUnusable where it is not there, or not of
        this version."""
        await self.backend.must_be_current()

    @asynccontextmanager
    async def _write(self, booking_id: BookingId | None = None) -> AsyncIterator[AsyncConnection]:
        """One write. Name the booking whose rows it reads or changes, unless it changes a single row on conditions
        about that row alone: then no other write about the booking comes between its statements."""
        # Shielded, because a cancelled request must not leave a transaction half open.
        async with self.backend.turn():
            with refusals(self.backend):
                async with self.engine.connect() as connection:
                    with anyio.CancelScope(shield=True):
                        async with transaction(self.backend, connection, booking_id):
                            yield connection

    async def _fetch(self, query: Prepared, **values: object) -> Sequence[Row]:
        """The rows of a prepared question. What goes wrong with it is found out by asking the other way."""
        try:
            return await self.backend.fetch(query, values)
        except self.backend.fetch_errors:  # asked again, where each driver's errors have their meaning
            return await self._all(query.statement.params(**values))

    async def _all(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> list[sa.RowMapping]:
        with refusals(self.backend):
            try:
                return await self._read(query)
            except SQLAlchemyError as error:
                if not lost(error):
                    raise
                return await self._read(query)  # a read can be made again

    async def _read(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> list[sa.RowMapping]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(query)).mappings())

"""SQLite's connection with one trip to its thread for most statements.

aiosqlite runs every call of a connection in a thread of the connection's own, and SQLAlchemy makes four calls for a
statement: open a cursor, execute, fetch, close. A trip costs more than most statements (0.3 ms on a busy machine), so
this connection makes all four in one. Of a long result, what does not fit comes later, so that it can be streamed.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import aiosqlite

#: Rows that come along with the execution. Pages and queues of the product are shorter; whole tables are not.
_ROWS_AT_ONCE = 500


class OneTripConnection(aiosqlite.Connection):
    """A connection to one file, for SQLAlchemy's `async_creator`. `timeout` is in seconds."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        # SQLAlchemy reads `in_transaction` from the event loop's thread, so the check of threads is off, as in its own.
        super().__init__(lambda: sqlite3.connect(path, timeout=timeout, check_same_thread=False), _ROWS_AT_ONCE)
        # A process that ends without closing its connections must not wait for their threads.
        self._thread.daemon = True

    def cursor(self) -> _Cursor:  # type: ignore[override] # SQLAlchemy's adapter asks for less than aiosqlite's cursor has
        """Opened when it executes."""
        return _Cursor(self)

    async def rollback(self) -> None:
        """Only where there is something: the pool asks for it whenever a connection comes back."""
        if self.in_transaction:
            await super().rollback()

    async def execute_and_fetch(self, operation: str, parameters: Any, *, many: bool) -> _Result:
        """Execute, fetch and close in one trip, as far as the rows go."""
        result: _Result = await self._execute(_execute, self._conn, operation, parameters, many)  # type: ignore[no-untyped-call] # aiosqlite's own way to its thread has no types
        return result

    async def fetch(self, cursor: sqlite3.Cursor, size: int | None) -> list[Any]:
        """The next rows, or all that are left."""
        fetch, *size_ = (cursor.fetchall,) if size is None else (cursor.fetchmany, size)
        fetched: list[Any] = await self._execute(fetch, *size_)  # type: ignore[no-untyped-call] # as above
        return fetched

    async def close_cursor(self, cursor: sqlite3.Cursor) -> None:
        """End a long result that was not read to its end."""
        await self._execute(cursor.close)  # type: ignore[no-untyped-call] # as above


class _Result:
    """What a statement left: its columns, its first rows, and the open cursor where there are more."""

    __slots__ = ("description", "lastrowid", "more", "rowcount", "rows")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self.rows: deque[Any] = deque(cursor.fetchmany(_ROWS_AT_ONCE) if self.description else ())
        self.rowcount = cursor.rowcount
        self.lastrowid = cursor.lastrowid
        self.more = cursor if len(self.rows) == _ROWS_AT_ONCE else None


def _execute(connection: sqlite3.Connection, operation: str, parameters: Any, many: bool) -> _Result:
    cursor = connection.cursor()
    more = None
    try:
        if many:
            cursor.executemany(operation, parameters)
        else:
            cursor.execute(operation, parameters)
        result = _Result(cursor)
        more = result.more
        return result
    finally:
        if more is None:
            cursor.close()


class _Cursor:
    """What SQLAlchemy's adapter asks of an asynchronous cursor (AsyncIODBAPICursor in its connectors/asyncio.py)."""

    arraysize = 1

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._result: _Result | None = None

    async def __aenter__(self) -> _Cursor:
        return self

    @property
    def description(self) -> Any:
        """The columns, or None where the statement returns no rows."""
        return self._result and self._result.description

    @property
    def rowcount(self) -> int:
        """How many rows were changed; -1 where that is not known."""
        return self._result.rowcount if self._result else -1

    @property
    def lastrowid(self) -> int | None:
        """Of an INSERT."""
        return self._result.lastrowid if self._result else None

    async def execute(self, operation: str, parameters: Iterable[Any] = ()) -> None:
        """One statement."""
        self._result = await self._connection.execute_and_fetch(operation, parameters, many=False)

    async def executemany(self, operation: str, parameters: Iterable[Iterable[Any]]) -> None:
        """One statement with each of these parameters."""
        self._result = await self._connection.execute_and_fetch(operation, parameters, many=True)

    async def fetchall(self) -> Sequence[Any]:
        """All rows that are left."""
        return await self._fetch(None)

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next rows."""
        return await self._fetch(size or self.arraysize)

    async def fetchone(self) -> Any:
        """The next row, or None."""
        return next(iter(await self._fetch(1)), None)

    async def close(self) -> None:
        """Give up what was not read."""
        if self._result and self._result.more:
            more, self._result.more = self._result.more, None
            await self._connection.close_cursor(more)

    async def _fetch(self, size: int | None) -> list[Any]:
        result = self._result
        if result is None:
            return []
        rows = list(islice(_taken_from(result.rows), size))
        if result.more and (size is None or len(rows) < size):
            rows += await self._connection.fetch(result.more, None if size is None else size - len(rows))
        return rows


def _taken_from(rows: deque[Any]) -> Iterable[Any]:
    while rows:
        yield rows.popleft()

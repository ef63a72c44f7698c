"""SQLite for SQLAlchemy's asyncio engine, with one change of threads for a statement, and none inside a write.

The package aiosqlite hands each of a statement's steps to the connection's thread: cursor, execute, fetch, close. That
was a third of a booking's CPU time, some 500 hand-overs, each of which waits for the interpreter's lock as well.
docs/dev/decisions/0132 has the figures. `open_connection` gives what the dialect `sqlite+aiosqlite` expects of one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
#: Opens a connection to the file at a path; takes `patience` as `open_connection` does.
Connect = Callable[..., Awaitable["Connection"]]
_Work = tuple[asyncio.Future[Any] | None, Callable[[], object]]

#: They wait for other writers, or for the disk.
_WAITING = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "VACUUM")
#: How often a process looks whether another has written.
_LOOK_SECONDS = 0.25


async def open_connection(path: str, *, patience: float) -> Connection:
    """A connection that opens no transaction by itself, ready for the product. `patience` is how many seconds a
    statement waits for another process."""
    connection = Connection()
    try:
        await connection.run(lambda: connection.open(path, patience))
    except BaseException:
        connection.stop()
        raise
    return connection


class Connection:
    """One connection, and its thread. Statements inside a transaction run on the caller's thread: the write lock is
    ours by then, so nothing is waited for but pages that are not in memory."""

    def __init__(self) -> None:
        # The name that SQLAlchemy's adapter looks at before it rolls back.
        self._connection: sqlite3.Connection | None = None
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._stopped = False
        self._version: int | None = None
        Thread(target=_serve, args=(self._work,), daemon=True, name="sqlite").start()

    def open(self, path: str, patience: float) -> None:
        """On the connection's thread."""
        opened = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        self._connection = opened
        opened.execute("PRAGMA journal_mode = WAL")
        # FULL, not NORMAL: what is due to Stripe and the scheduler must survive a power cut too; the price is one fsync
        # a write.
        opened.execute("PRAGMA synchronous = FULL")
        opened.execute("PRAGMA foreign_keys = ON")

    @property
    def driver(self) -> sqlite3.Connection:
        """The driver's own. Raises ValueError, in the words that SQLAlchemy knows, once it is closed."""
        if self._connection is None or self._stopped:
            raise ValueError("no active connection")
        return self._connection

    @property
    def in_transaction(self) -> bool:
        """Whether one is open."""
        return self.driver.in_transaction

    def cursor(self) -> Cursor:
        """For one statement at a time."""
        return Cursor(self)

    async def run(self, work: Callable[[], T]) -> T:
        """Do something on the connection's thread."""
        if self._stopped:
            raise ValueError("no active connection")
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put((done, work))
        return await done

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """All rows of a question, on the caller's thread: for those that an index answers."""
        return self.driver.execute(statement, parameters).fetchall()

    async def others_wrote(self, *, within: float) -> None:
        """Wait until another connection has written, `within` seconds at the longest. By a look at the file's version
        every quarter of a second, which takes some microseconds (sqlite.org, "PRAGMA data_version")."""
        for _ in range(max(1, round(within / _LOOK_SECONDS))):
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(sqlite3.OperationalError):
                [(version,)] = self.fetch("PRAGMA data_version", ())
                if version != self._version:
                    self._version = version
                    return

    async def commit(self) -> None:
        """End the transaction, if one is open."""
        if self.in_transaction:
            await self.run(self.driver.commit)

    async def rollback(self) -> None:
        """Undo the transaction, if one is open."""
        if self.in_transaction:
            await self.run(self.driver.rollback)

    async def create_function(self, name: str, count: int, function: Callable[..., Any], **options: bool) -> None:
        """A function for statements; SQLAlchemy brings two along."""
        self.driver.create_function(name, count, function, **options)

    async def close(self) -> None:
        """After what is under way."""
        if self._connection is not None and not self._stopped:
            await self.run(self._connection.close)
        self.stop()

    def stop(self) -> None:
        """The same without waiting."""
        if not self._stopped:
            self._stopped = True
            opened, self._connection = self._connection, None
            if opened is not None:
                self._work.put((None, opened.close))
            self._work.put(None)


class Cursor:
    """A statement and all that it gave: the rows come with the same change of threads."""

    description: Any = None
    rowcount = -1
    lastrowid = 0
    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []

    async def __aenter__(self) -> Cursor:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run it and fetch all rows."""
        driver = self._connection.driver

        def run() -> sqlite3.Cursor:
            cursor = driver.execute(statement, parameters)
            self._rows = cursor.fetchall()
            return cursor

        self._take(await self._ran(driver, statement, run))

    async def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run it for each row."""
        driver = self._connection.driver
        self._take(await self._ran(driver, statement, lambda: driver.executemany(statement, rows)))

    async def fetchall(self) -> list[Any]:
        """What has not been fetched yet."""
        rows, self._rows = self._rows, []
        return rows

    async def fetchone(self) -> Any | None:
        """The next row."""
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows."""
        count = size or self.arraysize
        rows, self._rows = self._rows[:count], self._rows[count:]
        return rows

    async def close(self) -> None:
        """Forget what was not fetched."""
        self._rows = []

    async def _ran(
        self, driver: sqlite3.Connection, statement: str, run: Callable[[], sqlite3.Cursor]
    ) -> sqlite3.Cursor:
        if driver.in_transaction and not statement.lstrip()[:8].upper().startswith(_WAITING):
            return run()
        return await self._connection.run(run)

    def _take(self, ran: sqlite3.Cursor) -> None:
        self.description, self.rowcount, self.lastrowid = ran.description, ran.rowcount, ran.lastrowid or 0
        ran.close()


def _serve(work: SimpleQueue[_Work | None]) -> None:
    """The thread: one thing after the other, until there is None."""
    while (task := work.get()) is not None:
        done, act = task
        try:
            outcome = act()
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is awaited
            _tell(done, error, None)
        else:
            _tell(done, None, outcome)


def _tell(done: asyncio.Future[Any] | None, error: BaseException | None, outcome: object) -> None:
    if done is None:
        return
    try:
        done.get_loop().call_soon_threadsafe(_settle, done, error, outcome)
    except RuntimeError:  # the loop has been closed: nobody waits any more
        return


def _settle(done: asyncio.Future[Any], error: BaseException | None, outcome: object) -> None:
    if done.done():
        return
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(outcome)

"""The file of a simulated process: SQLite itself, on the loop's thread, with a disk that may be full and a process that
may die between any two of its transactions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from app.store.sqlite_driver import Connection

if TYPE_CHECKING:
    from proof.process import Process

T = TypeVar("T")
#: Seconds between two tries at a file that another process is writing.
_TURN = 0.02
#: Seconds after which a process sees what another has written.
_SEEN_AFTER = 0.25


_open: WeakSet[SimulatedConnection] = WeakSet()


def writing() -> bool:
    """Whether a transaction is open on any file."""
    return any(one.in_transaction for one in _open if not one.stopped)


class SimulatedConnection(Connection):
    """One connection of a process. Without a thread: each statement is run where it is asked for."""

    def __init__(self, process: Process) -> None:
        # Not the parent's: that starts a thread.
        self._process = process
        self._connection: sqlite3.Connection | None = None
        self._stopped = False
        self._version = None
        _open.add(self)

    @property
    def stopped(self) -> bool:
        """Whether it is closed."""
        return self._stopped

    async def run(self, work: Callable[[], T]) -> T:
        """Do it now; where another process is writing, again and again, as long as the product would wait."""
        process, loop = self._process, asyncio.get_running_loop()
        await process.step("database", "wait")
        until = loop.time() + self.patience
        while True:
            if self._stopped:
                raise ValueError("no active connection")
            before = self._in_transaction
            if before and process.disk.full:
                self.driver.rollback()
                raise _full()
            try:
                done = work()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_BUSY" or loop.time() >= until:
                    raise
                await asyncio.sleep(_TURN)
                continue
            if before and not self._in_transaction:
                process.disk.wrote()
                await process.step("database", "committed")
            return done

    def fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        """Where the process is killed, whoever asks ends there."""
        if self._stopped:
            raise asyncio.CancelledError
        return super().fetch(statement, parameters)

    async def others_wrote(self, *, within: float) -> None:
        """Without looking again and again while nobody writes."""
        disk = self._process.disk
        if disk.version == self._version:
            await disk.written()
        await asyncio.sleep(_SEEN_AFTER)
        self._version = disk.version

    patience: float = 0.0

    @property
    def _in_transaction(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    def stop(self) -> None:
        """Close it; what was not committed is as if it had never been."""
        if not self._stopped:
            self._stopped = True
            opened, self._connection = self._connection, None
            if opened is not None:
                opened.close()


def _full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
    return error


class Disk:
    """The disk under the file."""

    def __init__(self) -> None:
        self.full = False
        #: Another one after each write.
        self.version = 0
        self._waiting: list[asyncio.Future[None]] = []

    def wrote(self) -> None:
        """Somebody has written."""
        self.version += 1
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.done():
                one.set_result(None)

    async def written(self) -> None:
        """Until somebody writes."""
        wait: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(wait)
        await wait


def opener(process: Process) -> Callable[..., object]:
    """What opens a process's connections."""

    async def connect(path: str, *, patience: float) -> SimulatedConnection:
        connection = SimulatedConnection(process)
        connection.open(path, 0)
        connection.driver.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing that the system has
        connection.patience = patience
        process.connections.append(connection)
        return connection

    return connect

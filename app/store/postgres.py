"""A PostgreSQL database, version 14 or newer: its connections, the locks that SQLite does without, its refusals.

Everything runs at READ COMMITTED, PostgreSQL's usual level; docs/dev/decisions/0123 says why that is exact.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import asyncpg
import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import DatabaseBusy, DatabaseUnusable, StorageBusy, StorageError, StorageFull, StorageReadOnly
from app.store.backend import CHANGES_SECONDS, PATIENCE, BookingId, refusals, transaction
from app.store.prepared import Prepared
from app.store.schema import column_differences, upgrade, version_in, versions
from app.store.tables import (
    bookings,
    metadata,
    outbox,
    payments,
)

#: The oldest major version that is still maintained, and that everything here is in.
OLDEST = 14
#: Connections that one process opens at most; a server allows 100 for all, unless told otherwise.
CONNECTIONS = 15
#: Seconds after which a statement is given up: a server that is gone without a word must not stop the worker
#: permanently.
_STATEMENT_SECONDS = 30
#: Seconds after which the server rolls back what a process that hangs has left open: its locks keep others waiting.
_IDLE_SECONDS = 60

#: What SQLSTATEs mean (the manual's appendix A), by their beginnings; the first that fits counts.
_REFUSALS: tuple[tuple[str, type[StorageError]], ...] = (
    ("55P03", StorageBusy),  # a lock was not to be had in time
    ("40", StorageBusy),  # a deadlock, or a failed serialization: rolled back, and to be made again
    ("57014", StorageBusy),  # a statement took too long
    ("53300", StorageBusy),  # too many connections
    ("53100", StorageFull),
    ("25006", StorageReadOnly),  # a standby, or a database that was set so
    ("42501", StorageReadOnly),  # no right to write
    ("53", StorageError),
    ("57P", StorageError),  # shutting down, or starting
    ("58", StorageError),
    ("08", StorageError),
)
_UPGRADING = "upgrade"
#: Where processes tell each other that something was taken or freed.
_CHANNEL = "holdfast"
#: Unicode's character for what could not be shown.
_NO_ZERO = "\ufffd"
#: Not after a backslash that is one itself.
_ZERO_IN_JSON = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_DIALECT: sa.Dialect = postgresql.asyncpg.dialect()  # type: ignore[no-untyped-call]

log = structlog.get_logger()


class Postgres:
    """`url` as in DATABASE_URL: what libpq takes as a connection URI, with one host."""

    begin_snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    #: None is needed: whatever is written needs room in the server's write-ahead log.
    trial_width = 0
    #: A line gets its number when it is written, and is seen when its transaction ends.
    lines_settle = timedelta(seconds=_STATEMENT_SECONDS)
    fetch_errors: tuple[type[Exception], ...] = (
        SQLAlchemyError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # a connection that died between two questions
        OSError,
        TimeoutError,
    )

    def __init__(self, url: str) -> None:
        self.shown = without_password(url)
        self.patience: float = PATIENCE
        self._url = url
        self.engine = self._open(timeout=_STATEMENT_SECONDS)

    def _open(self, *, timeout: float | None) -> AsyncEngine:
        async def connect() -> asyncpg.Connection[Any]:
            return await asyncpg.connect(
                self._url,
                timeout=PATIENCE,
                command_timeout=timeout,
                server_settings={
                    "application_name": "holdfast",
                    "lock_timeout": str(round(self.patience * 1000)),
                    "idle_in_transaction_session_timeout": str(_IDLE_SECONDS * 1000),
                },
            )

        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            # Transactions are opened by hand (see `transaction`); a read is one statement and needs none.
            isolation_level="AUTOCOMMIT",
            pool_size=5,
            max_overflow=CONNECTIONS - 5,
            pool_timeout=PATIENCE,
            # An error names its statement, and errors are logged: rows hold customers and links.
            hide_parameters=True,
            json_serializer=_json,
        )
        event.listen(engine.sync_engine, "before_cursor_execute", _without_zeros, retval=True)
        event.listen(engine.sync_engine, "handle_error", _leave_out_the_row)
        return engine

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[AsyncConnection]:
        """A connection of its own for what may take long."""
        engine = self._open(timeout=None)
        try:
            async with engine.connect() as connection:
                yield connection
        finally:
            await engine.dispose()

    async def close(self) -> None:
        """The pool."""
        await self.engine.dispose()

    async def fetch(self, query: Prepared, values: Mapping[str, object]) -> list[Any]:
        """Past SQLAlchemy, on one of its connections."""
        worded = query.on(self.engine.dialect)
        parameters = [_without_zero(value) for value in worded.parameters(values)]
        async with self.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert isinstance(driver, asyncpg.Connection)  # noqa: S101 - what `connect` made
            return worded.rows(await driver.fetch(worded.text, *parameters))

    async def changes(self) -> AsyncIterator[None]:
        """By LISTEN, on a connection of its own that is made again when it is lost."""
        told = asyncio.Event()
        connection: asyncpg.Connection[Any] | None = None
        try:
            while True:
                if connection is None or connection.is_closed():
                    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                        connection = await asyncpg.connect(self._url, timeout=PATIENCE, command_timeout=PATIENCE)
                        await connection.add_listener(_CHANNEL, lambda *_: told.set())
                yield
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHANGES_SECONDS):
                        await told.wait()
                told.clear()
        finally:
            if connection is not None:
                connection.terminate()

    async def tell_others(self) -> None:
        """By NOTIFY, outside of every transaction of ours: its commits wait for one another (the manual, NOTIFY)."""
        with refusals(self):
            async with self.engine.connect() as connection:
                await connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """At once: the server lets as many write as there are connections."""
        yield

    async def begin(self, connection: AsyncConnection) -> None:
        """As any statement."""
        await connection.exec_driver_sql("BEGIN")

    async def commit(self, connection: AsyncConnection) -> None:
        """As any statement."""
        await connection.exec_driver_sql("COMMIT")

    async def lock_booking(self, connection: AsyncConnection, booking_id: BookingId) -> None:
        """By its row. What comes after this statement sees all that others had written before."""
        # NO KEY, as any UPDATE of ours: rows that point at the booking may still be inserted.
        await connection.execute(
            sa.select(bookings.c.id).where(bookings.c.id == booking_id).with_for_update(key_share=True)
        )

    async def lock_name(self, connection: AsyncConnection, name: str) -> None:
        """By an advisory lock. Two names that come to the same key only wait for each other."""
        key = int.from_bytes(hashlib.sha256(f"holdfast {name}".encode()).digest()[:8], signed=True)
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.literal(key, sa.BigInteger))))

    async def in_transaction(self, connection: AsyncConnection) -> bool:
        """Whether the server has one open."""
        driver = (await connection.get_raw_connection()).driver_connection
        return bool(driver and not driver.is_closed() and driver.is_in_transaction())

    def refusal(self, error: Exception) -> StorageError | None:
        """By SQLSTATE; without one the server was not reached, or is gone."""
        if isinstance(error, NoConnectionFree):
            return StorageBusy("all connections of this process are in use")
        told = _told(error)
        if isinstance(told, OSError | asyncpg.InterfaceError):
            return StorageError(str(told) or type(told).__name__)
        state = _sqlstate(error)
        if state is not None:
            kind = next((kind for start, kind in _REFUSALS if state.startswith(start)), None)
            if kind:
                return kind(state)
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return StorageError("the connection was lost")
        return None

    async def wipe_what_is_freed(self, connection: AsyncConnection) -> None:
        """Nothing to do: old versions of rows stay until they are vacuumed."""

    async def wipe_traces(self) -> bool:
        """Vacuum the tables that name customers: what no transaction can see any more is taken out of them."""
        with refusals(self):
            async with self._patient() as connection:
                for table in (bookings, payments, outbox):
                    await connection.exec_driver_sql(f"VACUUM {table.name}")
        return True

    async def migrate(self) -> None:
        """One transaction, tables and all: an upgrade that fails has changed nothing, so no copy is made before."""
        async with _explained(self.shown), self._patient() as connection:
            await _check_server(connection, self.shown)
            with anyio.CancelScope(shield=True):
                async with transaction(self, connection):
                    await self.lock_name(connection, _UPGRADING)
                    await self._bring_up_to_date(connection)
            await _check_tables(connection, self.shown)

    async def _bring_up_to_date(self, connection: AsyncConnection) -> None:
        version = await connection.run_sync(_version_of, self.shown)
        if version == versions()[-1]:
            return
        if version is not None:
            log.warning("upgrading the database", database=self.shown, of=version)
        await connection.run_sync(upgrade)

    async def missing(self) -> str:
        """The tables."""
        async with _explained(self.shown), self.engine.connect() as connection:
            await _check_server(connection, self.shown)
            if await connection.run_sync(_version_of, self.shown) is not None:
                return ""
            if not await connection.scalar(sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
                raise _no_right(self.shown, "may not create tables")
            return f"{self.shown} has no tables yet"

    async def must_be_current(self) -> None:
        """Reads the catalogue, and writes nothing."""
        async with _explained(self.shown), self.engine.connect() as connection:
            await _check_server(connection, self.shown)
            version = await connection.run_sync(_version_of, self.shown)
            if version is None:
                raise DatabaseUnusable(
                    f"{self.shown} is empty: there are no tables of Holdfast in it.",
                    "Is DATABASE_URL right? `serve` or `migrate` makes them.",
                )
            if version != versions()[-1]:
                raise DatabaseUnusable(
                    f"{self.shown} is of the older version {version}; this program needs {versions()[-1]}.",
                    "Start the server, or run `python -m app migrate`, to bring it up to date.",
                )
            await _check_tables(connection, self.shown)


def without_password(url: str) -> str:
    """The address for people and logs: user, host, port and database."""
    parts = urlsplit(url)
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    # A server on this machine may be named by the folder of its socket, in the query. Nothing else of it is shown.
    folder = "".join(f"?host={host}" for host in parse_qs(parts.query).get("host", []))
    return f"postgresql://{f'{name}@' if name else ''}{place}{parts.path}{folder}"


def _without_zeros(
    _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
) -> tuple[str, Any]:
    """PostgreSQL's text cannot hold a zero byte, and an address that a stranger has made up can: something else is
    asked for, which is not there either."""
    rows = parameters if many else [parameters]
    if not any(isinstance(value, str) and "\0" in value for row in rows for value in row):
        return statement, parameters
    rows = [tuple(_without_zero(value) for value in row) for row in rows]
    return statement, rows if many else rows[0]


def _without_zero(value: Any) -> Any:
    return value.replace("\0", _NO_ZERO) if isinstance(value, str) else value


def _json(value: object) -> str:
    """What can be read again as text: without zero bytes, and without halves of characters."""
    text = _ZERO_IN_JSON.sub(rf"\1{_NO_ZERO}", json.dumps(value, ensure_ascii=False))
    return text.encode("utf-8", "replace").decode()


def _leave_out_the_row(context: sa.engine.ExceptionContext) -> None:
    """The server adds the row, or its key, to what it says of a constraint that was broken."""
    told = context.original_exception.__cause__
    if isinstance(told, asyncpg.PostgresError):
        told.detail = None


def _told(error: BaseException | None) -> BaseException | None:
    """What the driver raised. SQLAlchemy wraps that also where it connects again for a statement, whose connection was
    lost; then it is a StatementError, and no DBAPIError."""
    return error.orig if isinstance(error, StatementError) else error


def _sqlstate(error: BaseException | None) -> str | None:
    """Of the server's own error, whether the driver raised it or SQLAlchemy has wrapped it."""
    state = getattr(_told(error), "sqlstate", None)
    return state if isinstance(state, str) else None


async def _check_server(connection: AsyncConnection, shown: str) -> None:
    number = int((await connection.exec_driver_sql("SHOW server_version_num")).scalar_one())
    if number // 10_000 < OLDEST:
        raise DatabaseUnusable(
            f"{shown} is PostgreSQL {number // 10_000}; Holdfast needs {OLDEST} or newer.",
            "Upgrade the server, or use another one.",
        )
    encoding = (await connection.exec_driver_sql("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise DatabaseUnusable(
            f"{shown} keeps its text as {encoding}: not every name can be written in it.",
            "Create the database again, with ENCODING 'UTF8'.",
        )


def _version_of(connection: sa.Connection, shown: str) -> str | None:
    """None for a database without tables of ours. Raises DatabaseUnusable where the tables are another program's, or a
    newer version's."""
    version = version_in(connection)
    if version is None:
        there = set(sa.inspect(connection).get_table_names()) & metadata.tables.keys()
        if not there:
            return None
        raise DatabaseUnusable(
            f"{shown} has a table {min(there)} of another program.", "Give Holdfast a database of its own."
        )
    if version in versions():
        return version
    if version.isdecimal() and version > versions()[-1]:
        raise DatabaseUnusable(
            f"{shown} was made by a newer version of Holdfast ({version}; this program knows {versions()[-1]}).",
            "Install that version again, or restore the copy that was made before the upgrade.",
        )
    raise DatabaseUnusable(f"{shown} is the database of another program.", "Correct DATABASE_URL.")


async def _check_tables(connection: AsyncConnection, shown: str) -> None:
    found = list(await _differences(connection))
    if found:
        raise DatabaseUnusable(
            f"{shown} does not have the tables of this version: {'; '.join(found)}.",
            "Restore the last backup; docs/operations.md#restore explains how.",
        )


#: Every column in our schema, and every index with its columns in their order, for those of unique constraints as well.
_COLUMNS = """
SELECT relname AS of_table, attname AS name, upper(format_type(atttypid, atttypmod)) AS kind
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
"""
_INDEXES = """
SELECT tables.relname AS of_table, indexes.relname AS name, indisunique AS is_unique, indpred IS NOT NULL AS partial,
    ARRAY(SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS keys(number, at)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = keys.number ORDER BY keys.at) AS columns
FROM pg_index JOIN pg_class AS tables ON tables.oid = indrelid JOIN pg_class AS indexes ON indexes.oid = indexrelid
WHERE tables.relnamespace = current_schema()::regnamespace AND indisvalid
"""


async def _differences(connection: AsyncConnection) -> Iterator[str]:
    """Where the database differs from app/store/tables.py. Further tables and indexes do no harm; a further column may,
    since our rows would leave it empty."""
    columns: dict[str, dict[str, str]] = {}
    for row in await connection.exec_driver_sql(_COLUMNS):
        columns.setdefault(row.of_table, {})[row.name] = row.kind
    indexes: dict[str, dict[str, tuple[bool, bool, tuple[str, ...]]]] = {}
    for row in await connection.exec_driver_sql(_INDEXES):
        indexes.setdefault(row.of_table, {})[row.name] = row.is_unique, row.partial, tuple(row.columns)
    return _compared(columns, indexes)


def _compared(
    columns: Mapping[str, Mapping[str, str]], indexes: Mapping[str, Mapping[str, tuple[bool, bool, tuple[str, ...]]]]
) -> Iterator[str]:
    for table in metadata.sorted_tables:
        if table.name not in columns:
            yield f"table {table.name} is missing"
            continue
        yield from column_differences(table, columns[table.name], _DIALECT)
        yield from _indexes(table, indexes.get(table.name, {}))


def _indexes(table: sa.Table, there: Mapping[str, tuple[bool, bool, tuple[str, ...]]]) -> Iterator[str]:
    for index in table.indexes:
        partial = index.dialect_options["postgresql"]["where"] is not None
        if there.get(str(index.name)) != (bool(index.unique), partial, tuple(column.name for column in index.columns)):
            yield f"index {index.name} is missing or different"
    whole = {columns for unique, partial, columns in there.values() if unique and not partial}
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            columns = tuple(column.name for column in constraint.columns)
            if columns not in whole:
                yield f"{table.name} does not hold ({', '.join(columns)}) unique"


@asynccontextmanager
async def _explained(shown: str) -> AsyncIterator[None]:
    """Why the server cannot be used, in one sentence with what to do."""
    try:
        yield
    except (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _unusable(error, shown) from error


def _no_right(shown: str, told: str) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"The user of {shown} may not do what Holdfast needs ({told}).",
        "Make it the owner of the database: `ALTER DATABASE … OWNER TO …`.",
    )


def _unusable(error: Exception, shown: str) -> DatabaseUnusable:
    state = _sqlstate(error)
    told = str(_told(error)).rstrip(".") or type(error).__name__
    match state:
        case "28P01" | "28000":
            return DatabaseUnusable(
                f"{shown} refuses the user or the password ({told}).",
                "Correct DATABASE_URL, or the server's pg_hba.conf.",
            )
        case "3D000":
            return DatabaseUnusable(
                f"There is no database at {shown}.", "Create it with `createdb`, or correct DATABASE_URL."
            )
        case "42501":
            return _no_right(shown, told)
        case "55P03" | "40P01":
            return DatabaseBusy(f"Another process has been using {shown} for {PATIENCE} seconds.", "Try again.")
        case "53100":
            return DatabaseBusy(f"The disk of {shown} is full.", "Make room, and try again.")
        case "25006":
            return DatabaseUnusable(
                f"{shown} can only be read.", "Name the primary server in DATABASE_URL, not a standby."
            )
    if isinstance(_told(error), OSError | asyncpg.InterfaceError) or (state or "").startswith(("08", "53", "57", "58")):
        return DatabaseBusy(f"{shown} cannot be reached ({told}).", "Is the server running? Try again.")
    return DatabaseUnusable(f"{shown} cannot be used ({told}).", "Correct DATABASE_URL, or the server.")

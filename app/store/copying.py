"""A studio's rows from one database into another, every row compared after it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store import Store
from app.store.backend import refusals, transaction
from app.store.tables import history, metadata

#: Rows that are held in memory at once.
_BATCH = 500
#: A worker beats every ten seconds while it is alive.
_SERVED = timedelta(seconds=90)


class NotCopied(Exception):
    """Nothing was written; the text says why."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How many rows a table has, on both sides, and what all of them together hash to."""

    table: str
    rows: int
    digest: str


async def copy_rows(source: str, target: str, *, now: Callable[[], datetime]) -> list[Copied]:
    """Copy every table of the database at `source` into the one at `target`, both as in DATABASE_URL.

    The target's tables are made if they are not there, and must be empty. All is written in one transaction, and each
    row is read back and compared before it is committed. The source is read as it stands at one moment and is not
    changed; what is written there afterwards is not copied, so nothing may serve it. Raises NotCopied, DatabaseUnusable
    and StorageError.
    """
    there, here = Store(source, now=now), Store(target, now=now)
    try:
        await there.must_be_current()
        beat = await there.last_beat()
        if beat is not None and abs(now() - beat) < _SERVED:
            raise NotCopied(
                f"A worker is alive on {there.backend.shown}. Stop the server first, and try again a minute and a half"
                " later: what it writes from now on would be lost."
            )
        await here.migrate()
        with refusals(here.backend), refusals(there.backend):
            async with there.engine.connect() as reading, here.engine.connect() as writing:
                with anyio.CancelScope(shield=True):
                    await reading.exec_driver_sql(there.backend.begin_snapshot)
                    async with transaction(here.backend, writing):
                        copied = await _copy(reading, writing, here.backend.shown)
                    await reading.exec_driver_sql("ROLLBACK")
        return copied
    finally:
        await there.close()
        await here.close()


async def _copy(reading: AsyncConnection, writing: AsyncConnection, shown: str) -> list[Copied]:
    for table in metadata.sorted_tables:
        if writing.dialect.name == "postgresql":
            await writing.exec_driver_sql(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE")
        if await _count(writing, table):
            raise NotCopied(f"{shown} has rows in {table.name} already; only an empty database can be copied into.")
    copied = [await _copy_table(reading, writing, table) for table in metadata.sorted_tables]
    await _number_on(writing)
    return copied


async def _copy_table(reading: AsyncConnection, writing: AsyncConnection, table: sa.Table) -> Copied:
    digest, rows = 0, 0
    async for values in _batches(reading, table):
        await writing.execute(sa.insert(table), values)
        hashes = {_key(table, row): _hash(row) for row in values}
        if await _written(writing, table, list(hashes)) != hashes:
            raise NotCopied(f"A row of {table.name} is not the same after it was copied.")
        rows += len(values)
        for one in hashes.values():
            digest ^= int.from_bytes(one)  # in whatever order
    if await _count(writing, table) != rows:
        raise NotCopied(f"{table.name} does not have as many rows as were copied.")
    return Copied(table.name, rows, f"{digest:064x}")


async def _batches(reading: AsyncConnection, table: sa.Table) -> AsyncIterator[list[dict[str, Any]]]:
    """A table's rows in the order of its key. Each batch is a question of its own, since a driver may fetch all that a
    question has, and ours for SQLite does."""
    [key] = table.primary_key.columns
    ordered = sa.select(table).order_by(key).limit(_BATCH)
    question = ordered
    while True:
        batch = [dict(row) for row in (await reading.execute(question)).mappings()]
        if not batch:
            return
        yield batch
        question = ordered.where(key > batch[-1][key.name])


async def _written(writing: AsyncConnection, table: sa.Table, keys: Sequence[object]) -> dict[object, bytes]:
    [key] = table.primary_key.columns
    found = await writing.execute(sa.select(table).where(key.in_(keys)))
    return {_key(table, row): _hash(row) for row in found.mappings()}


async def _count(connection: AsyncConnection, table: sa.Table) -> int:
    return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def _number_on(writing: AsyncConnection) -> None:
    """Let the history's next line have the next number: PostgreSQL counts independently of the rows."""
    if writing.dialect.name == "postgresql":
        last = sa.select(sa.func.coalesce(sa.func.max(history.c.id), 0) + 1).scalar_subquery()
        await writing.execute(
            sa.select(sa.func.setval(sa.text("pg_get_serial_sequence('history', 'id')"), last, False))
        )


def _key(table: sa.Table, row: Mapping[Any, Any]) -> object:
    [key] = table.primary_key.columns
    return row[key.name]


def _hash(row: Mapping[Any, Any]) -> bytes:
    told = {str(name): value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).digest()

"""Inserts that may meet a row that is there already: SQLite and PostgreSQL know ON CONFLICT, standard SQL does not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.set_back import APART
from app.store.tables import counters


async def insert_if_new(connection: AsyncConnection, table: sa.Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one with the same key, or another of its unique values, is there. Of two transactions that
    insert one row at once, the second waits for the first to end and then inserts nothing, or in its place."""
    result = await connection.execute(_insert_if_new(connection.dialect.name, table), row)
    return bool(result.rowcount)


async def set_counter(connection: AsyncConnection, name: str, value: int) -> None:
    """Give a named number this value."""
    await connection.execute(_set_counter(connection.dialect.name), {"name": name, "value": value})


async def take_turn(
    connection: AsyncConnection, name: str, *, now: datetime, until: datetime, longest: timedelta
) -> bool:
    """Set a named number to a time, unless it is one that is still to come. One that is further ahead than `longest`
    is from before the clock was set back."""
    row = _insert(connection.dialect.name, counters).values(name=name, value=int(until.timestamp()))
    ahead = int((now + longest + APART).timestamp())
    over = sa.or_(counters.c.value <= int(now.timestamp()), counters.c.value > ahead)
    taken = row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}, where=over)
    return (await connection.execute(taken.returning(counters.c.name))).first() is not None


async def raise_counter(connection: AsyncConnection, name: str, more: int) -> int:
    """Add to a named number, which begins at 0; the sum."""
    raised = await connection.execute(_raise_counter(connection.dialect.name), {"name": name, "value": more})
    return int(raised.scalar_one())


@cache
def _insert_if_new(dialect: str, table: sa.Table) -> sa.Insert:
    return _insert(dialect, table).on_conflict_do_nothing()


@cache
def _set_counter(dialect: str) -> sa.Insert:
    row = _insert(dialect, counters)
    return row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value})


@cache
def _raise_counter(dialect: str) -> sa.Executable:
    row = _insert(dialect, counters)
    sum_ = {"value": counters.c.value + row.excluded.value}
    return row.on_conflict_do_update(index_elements=["name"], set_=sum_).returning(counters.c.value)


def _insert(dialect: str, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)

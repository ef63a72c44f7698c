"""A studio moves from SQLite to PostgreSQL, or back: whole, or not at all."""

import tracemalloc
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.domain.booking import Status
from app.errors import DatabaseUnusable
from app.store.backend import transaction
from app.store.copying import NotCopied, copy_rows
from app.store.tables import history, metadata
from sandbox.clock import Clock
from tests.support.postgres import postgres_database
from tests.support.stack import Stack, open_stack
from tests.support.stores import TEN, confirmed, held, opened


def later(stack: Stack) -> Callable[[], datetime]:
    """When no worker has been alive for a while."""
    return Clock(stack.clock() + timedelta(minutes=2))


async def everything(url: str) -> dict[str, list[dict[str, object]]]:
    """Every row of every table, in the order of its key."""
    found = {}
    async with opened(url, Clock(TEN)) as store, store.engine.connect() as connection:
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in (await connection.execute(sa.select(table))).mappings()]
            [key] = table.primary_key.columns
            found[table.name] = sorted(rows, key=lambda row: str(row[key.name]))
    return found


async def a_busy_day(stack: Stack) -> None:
    """Something in every table that a day fills."""
    kept, moved, canceled = [await stack.confirmed() for _ in range(3)]
    await stack.move(moved, await stack.in_days(9))
    await stack.cancel(canceled)
    await stack.tick(after=timedelta(minutes=11), times=3)
    await stack.hold(customer=stack.customer("Åsa Öhrn"))
    await stack.parts.services.switch("studio", stack.headshot_id, on=False, by="eva@studio.example")
    assert await stack.status(kept) is Status.CONFIRMED


async def test_a_studio_moves_to_postgresql_and_back_and_nothing_is_lost(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack, postgres_database(template="template1") as there:
        here = stack.settings.database_url
        await a_busy_day(stack)
        await stack.stop()  # calls are counted in the background
        before = await everything(here)
        assert sum(bool(rows) for rows in before.values()) >= 10

        copied = await copy_rows(here, there, now=later(stack))
        assert await everything(there) == before == await everything(here)
        assert {one.table: one.rows for one in copied} == {name: len(rows) for name, rows in before.items()}

        back = f"sqlite:///{tmp_path / 'back.sqlite3'}"
        assert await copy_rows(there, back, now=later(stack)) == copied
        assert await everything(back) == before


async def test_what_was_copied_goes_on_where_it_is_now(tmp_path: Path) -> None:
    async with postgres_database(template="template1") as there:
        async with open_stack(tmp_path) as stack:
            booking = await stack.hold()
            session = await stack.at_stripe(booking)
            await stack.stop()
            await copy_rows(stack.settings.database_url, there, now=later(stack))
            object.__setattr__(stack.settings, "database_url", there)
            await stack.start()
            await stack.stripe.pay(session)
            await stack.until_quiet()
            assert await stack.status(booking) is Status.CONFIRMED
            await stack.stop()
            lines = await everything(there)
        numbers = [line["id"] for line in lines["history"]]
        assert len(numbers) == len(set(numbers)) >= 4


async def test_a_target_that_has_rows_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack, postgres_database() as there:
        await stack.confirmed()
        async with opened(there, Clock(TEN)) as store:
            assert await store.insert_hold(held("bk_there"), capacity=1)
        before = await everything(there)
        with pytest.raises(NotCopied, match="has rows in"):
            await copy_rows(stack.settings.database_url, there, now=later(stack))
        assert await everything(there) == before


async def test_a_source_that_is_served_is_not_copied(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack, postgres_database() as there:
        await stack.tick()
        with pytest.raises(NotCopied, match="A worker is alive"):
            await copy_rows(stack.settings.database_url, there, now=stack.clock)
        assert not any((await everything(there)).values())


async def test_a_source_of_an_older_version_is_not_copied(tmp_path: Path) -> None:
    async with open_stack(tmp_path) as stack, postgres_database() as there:
        async with stack.parts.store.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
        with pytest.raises(DatabaseUnusable, match="older version 0005"):
            await copy_rows(stack.settings.database_url, there, now=later(stack))


async def test_a_row_that_comes_out_otherwise_than_it_went_in_undoes_the_copy(tmp_path: Path) -> None:
    """Such as where someone's trigger in the target changes it."""
    async with open_stack(tmp_path) as stack, postgres_database() as there:
        await stack.confirmed()
        async with opened(there, Clock(TEN)) as store, store.engine.connect() as connection:
            for statement in TRIGGER:
                await connection.exec_driver_sql(statement)
        with pytest.raises(NotCopied, match="A row of history is not the same"):
            await copy_rows(stack.settings.database_url, there, now=later(stack))
        assert not any((await everything(there)).values())


async def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    few, many = [await peak_of_a_copy(tmp_path, lines) for lines in (600, 3_000)]
    assert many < 1.5 * few


async def peak_of_a_copy(folder: Path, lines: int) -> int:
    """Bytes in use at the most while a history of so many lines is copied."""
    source = f"sqlite:///{folder / f'{lines}.sqlite3'}"
    async with opened(source, Clock(TEN)) as store:
        await store.migrate()
        booking = await confirmed(store, "bk_1")
        line = {"booking_id": booking.id, "at": TEN, "what": "held", "status": "held", "detail": {"note": "n" * 200}}
        async with store.engine.connect() as connection, transaction(store.backend, connection):
            await connection.execute(sa.insert(history), [line] * lines)
    tracemalloc.start()
    await copy_rows(source, f"sqlite:///{folder / f'copy-of-{lines}.sqlite3'}", now=Clock(TEN))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


TRIGGER = (
    "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.what := upper(NEW.what); RETURN NEW; END'",
    "CREATE TRIGGER shout BEFORE INSERT ON history FOR EACH ROW EXECUTE FUNCTION shout()",
)

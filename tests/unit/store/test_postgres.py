"""What only a server does: it goes away, refuses, is set otherwise, or is not the right one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from app.domain.booking import Customer
from app.errors import DatabaseBusy, DatabaseUnusable, StorageBusy, StorageError, StorageReadOnly
from app.store import Store
from app.store.postgres import Postgres, without_password
from app.store.schema import versions
from app.store.tables import bookings
from sandbox.clock import Clock
from tests.support.examples import NOW
from tests.support.postgres import postgres_database
from tests.support.stack import open_stack
from tests.support.stores import confirmed, held, opened


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with postgres_database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url, Clock(NOW)) as store:
        yield store


async def execute(url: str, *statements: str) -> None:
    """As the owner of the server does, outside Holdfast."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def name_of(url: str) -> str:
    return url.split("@/")[1].partition("?")[0]


def beside(url: str, name: str) -> str:
    """Another database of the same server."""
    return url.replace(name_of(url), name)


CUT_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


# It goes away


async def test_a_connection_that_died_while_nobody_used_it_is_replaced_unnoticed(url: str, store: Store) -> None:
    await confirmed(store, "bk_one")
    await execute(url, CUT_ALL)
    assert await store.booking("bk_one")
    await execute(url, CUT_ALL)
    assert await store.add_to_counter("calls", 2) == 2
    await execute(url, CUT_ALL)
    await store.put_off("bk_one", until=NOW)


async def test_a_connection_that_dies_in_the_middle_is_told_and_nothing_is_done_twice(url: str, store: Store) -> None:
    async def cut_in_the_middle() -> None:
        async with store._write() as connection:
            await connection.execute(sa.text("INSERT INTO counters VALUES ('half', 1)"))
            await execute(url, CUT_ALL)
            await connection.execute(sa.text("INSERT INTO counters VALUES ('done', 1)"))

    with pytest.raises(StorageError):
        await cut_in_the_middle()
    assert (await store.counter("half"), await store.counter("done")) == (0, 0)
    assert await store.add_to_counter("half", 1) == 1


async def test_nobody_listening_is_told_as_a_database_that_is_down(tmp_path: Path) -> None:
    async with opened(f"postgresql://book:sesame@/book?host={tmp_path}", Clock(NOW)) as store:
        for act in (store.last_beat, store.beat):
            with pytest.raises(StorageError) as told:
                await act()
            assert told.value.state == "down"
        with pytest.raises(DatabaseBusy, match="cannot be reached") as unusable:
            await store.migrate()
        assert "sesame" not in str(unusable.value)


# It refuses


async def test_a_server_that_goes_away_and_stays_away_is_told_as_a_database_that_is_down(
    url: str, tmp_path: Path
) -> None:
    """The first try meets the dead connection, the second one nobody."""
    folder, door = url.partition("?host=")[2], tmp_path / "door"
    door.symlink_to(folder)
    async with opened(f"{url.partition('?')[0]}?host={door}", Clock(NOW)) as store:
        assert await store.insert_hold(held("bk_1"), capacity=None)
        await execute(beside(url, "postgres"), CUT_ALL.replace("current_database()", f"'{name_of(url)}'"))
        door.unlink()
        with pytest.raises(StorageError):
            await store.insert_hold(held("bk_2"), capacity=None)
        door.symlink_to(folder)
        assert await store.insert_hold(held("bk_3"), capacity=None)


async def test_who_waits_too_long_for_a_lock_is_told_that_it_is_busy(url: str, store: Store) -> None:
    await confirmed(store, "bk_one")
    async with opened(url, Clock(NOW)) as other:
        other.backend.patience = 0.05
        async with store._write("bk_one"):
            with pytest.raises(StorageBusy):
                await other.put_off("bk_one", until=NOW)
        await other.put_off("bk_one", until=NOW)


async def test_a_database_that_may_only_be_read_is_told_as_such(url: str, store: Store) -> None:
    await execute(url, f"ALTER DATABASE {name_of(url)} SET default_transaction_read_only = on")
    with pytest.raises(StorageReadOnly):
        await store.beat()
    async with opened(url, Clock(NOW)) as other:
        assert await other.last_beat() is None


async def test_readyz_says_that_the_server_is_gone_and_comes_back_with_it(tmp_path: Path) -> None:
    async with open_stack(tmp_path, database="postgresql") as stack:
        await stack.tick()
        assert (await stack.client.get("/readyz")).status_code == 200
        url = stack.settings.database_url
        await execute(url, CUT_ALL)
        await execute(beside(url, "postgres"), f"ALTER DATABASE {name_of(url)} ALLOW_CONNECTIONS false")
        answer = await stack.client.get("/readyz")
        assert (answer.status_code, answer.json()["database"]) == (503, "down")
        await execute(beside(url, "postgres"), f"ALTER DATABASE {name_of(url)} ALLOW_CONNECTIONS true")
        assert (await stack.client.get("/readyz")).status_code == 200


async def test_what_the_server_says_of_a_broken_constraint_names_no_customer(url: str, store: Store) -> None:
    booking = await confirmed(store, "bk_one")
    assert booking.customer
    with pytest.raises(sa.exc.IntegrityError) as error:
        async with store._write() as connection:
            await connection.execute(sa.update(bookings).values(visitor_key=None))
    told: BaseException | None = error.value
    while told:
        assert booking.customer.email not in str(told)
        told = told.__cause__


async def test_a_zero_byte_is_found_nowhere_and_breaks_nothing(tmp_path: Path) -> None:
    async with open_stack(tmp_path, database="postgresql", settings={"api_keys": ("k" * 32,)}) as stack:
        booking = await stack.hold(
            customer=Customer(name="Ann\0a", email="anna@customer.example", notes="\ud800 \\u0000")
        )
        answer = await stack.client.get("/api/bookings/%00", headers={"Authorization": f"Bearer {'k' * 32}"})
        assert answer.status_code == 404
        assert await stack.parts.store.search("Bo\0", most=3) == []
        [found] = await stack.parts.store.search("ANN", most=3)
        assert found.id == booking.id
        assert found.customer
        assert (found.customer.name, found.customer.notes) == ("Ann\ufffda", "? \\u0000")


# It is not the right one


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["DROP TABLE alembic_version"], "has a table bookings of another program"),
        (["UPDATE alembic_version SET version_num = '9999'"], "was made by a newer version of Holdfast (9999;"),
        (["UPDATE alembic_version SET version_num = 'a1b2c3'"], "is the database of another program"),
        (["ALTER TABLE bookings DROP COLUMN any_resource"], "bookings.any_resource is missing"),
        (["ALTER TABLE bookings ADD COLUMN colour text"], "bookings.colour is unknown"),
        (["ALTER TABLE counters ALTER COLUMN value TYPE integer"], "counters.value is INTEGER instead of BIGINT"),
        (["DROP TABLE sign_ins"], "table sign_ins is missing"),
        (
            ["DROP INDEX moves_open", "CREATE UNIQUE INDEX moves_open ON moves (booking_id)"],
            "index moves_open is missing or different",
        ),
        (
            ["ALTER TABLE refunds DROP CONSTRAINT refunds_payment_id_reason_cause_key"],
            "refunds does not hold (payment_id, reason, cause) unique",
        ),
    ],
)
async def test_a_database_that_is_not_ours_stops_every_start(
    url: str, store: Store, statements: list[str], says: str
) -> None:
    await execute(url, *statements)
    for start in (store.migrate, store.must_be_current):
        with pytest.raises(DatabaseUnusable) as told:
            await start()
        assert says in str(told.value)


async def test_further_tables_and_indexes_of_the_owners_do_no_harm(url: str, store: Store) -> None:
    await execute(url, "CREATE TABLE spatial_ref_sys (id int)", "CREATE INDEX by_name ON reservations (service_name)")
    await store.migrate()
    await store.must_be_current()


async def test_only_a_start_makes_the_tables(tmp_path: Path) -> None:
    async with postgres_database(template="template1") as url, opened(url, Clock(NOW)) as store:
        with pytest.raises(DatabaseUnusable, match="there are no tables of Holdfast in it"):
            await store.must_be_current()
        assert "has no tables yet" in await store.backend.missing()
        await store.migrate()
        assert await store.backend.missing() == ""
        assert await store.schema() == versions()[-1]
        assert await store.insert_hold(held("bk_one"), capacity=1)


async def test_processes_that_start_at_once_make_the_tables_once() -> None:
    async with postgres_database(template="template1") as url, AsyncExitStack() as closing:
        stores = [await closing.enter_async_context(opened(url, Clock(NOW))) for _ in range(4)]
        await asyncio.gather(*(store.migrate() for store in stores))
        assert {await store.schema() for store in stores} == {versions()[-1]}


async def test_a_user_who_may_not_make_tables_is_told_so_before_anything_is_made() -> None:
    async with postgres_database(template="template1") as url:
        await execute(
            url,
            "DROP ROLE IF EXISTS guest",
            "CREATE ROLE guest LOGIN",
            "REVOKE CREATE ON SCHEMA public FROM public",
        )
        async with opened(url.replace("holdfast@", "guest@"), Clock(NOW)) as store:
            for start in (store.migrate, store.backend.missing):
                with pytest.raises(DatabaseUnusable, match="may not do what Holdfast needs"):
                    await start()
        await execute(url, "DROP ROLE guest")


async def test_a_database_that_there_is_not_is_told_as_such(url: str) -> None:
    async with opened(beside(url, "nowhere"), Clock(NOW)) as store:
        with pytest.raises(DatabaseUnusable, match="There is no database at postgresql://"):
            await store.migrate()


async def test_a_database_that_cannot_write_every_name_is_refused(url: str) -> None:
    await execute(beside(url, "postgres"), *LATIN)
    async with opened(beside(url, "latin"), Clock(NOW)) as store:
        with pytest.raises(DatabaseUnusable, match="keeps its text as LATIN1"):
            await store.migrate()


LATIN = (
    "DROP DATABASE IF EXISTS latin",
    "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://book:s3same@db.example:5433/book", "postgresql://book@db.example:5433/book"),
        ("postgresql://book:p%40ss@db.example/book?sslmode=require", "postgresql://book@db.example/book"),
        ("postgresql://book@db.example/book?password=s3same", "postgresql://book@db.example/book"),
        ("postgresql:///book?host=/run/postgresql", "postgresql:///book?host=/run/postgresql"),
    ],
)
async def test_a_password_is_shown_nowhere(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert Postgres(url).shown == shown

"""Short results come in one trip to the database's thread; long ones are streamed, and may be left half read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.sqlite import Sqlite

ROWS = 1_234
EVERY_NUMBER = sa.text("SELECT number FROM numbers ORDER BY number")


@pytest.fixture
async def numbers(tmp_path: Path) -> AsyncIterator[AsyncConnection]:
    engine = Sqlite(f"sqlite:///{tmp_path / 'numbers.sqlite3'}").engine
    async with engine.connect() as connection:
        await connection.execute(sa.text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
        inserted = sa.text("INSERT INTO numbers VALUES (:number)")
        await connection.execute(inserted, [{"number": number} for number in range(ROWS)])
        yield connection
    await engine.dispose()


@pytest.mark.parametrize("rows", [0, 1, 499, 500, 501, 1000, ROWS])
async def test_a_result_of_any_length_is_whole(numbers: AsyncConnection, rows: int) -> None:
    fewer = sa.text("SELECT number FROM numbers WHERE number < :rows ORDER BY number")
    assert list((await numbers.execute(fewer, {"rows": rows})).scalars()) == list(range(rows))


@pytest.mark.parametrize("at_once", [1, 7, 499, 500, 501, 2000])
async def test_a_long_result_is_streamed_to_its_end(numbers: AsyncConnection, at_once: int) -> None:
    streamed = await numbers.stream(EVERY_NUMBER.execution_options(yield_per=at_once))
    assert [number async for number in streamed.scalars()] == list(range(ROWS))


async def test_a_long_result_may_be_left_half_read(numbers: AsyncConnection) -> None:
    async with numbers.stream(EVERY_NUMBER.execution_options(yield_per=600)) as streamed:
        assert len(await streamed.fetchmany(600)) == 600
    # An open result would keep the table from being dropped.
    await numbers.execute(sa.text("DROP TABLE numbers"))


async def test_what_was_changed_is_counted(numbers: AsyncConnection) -> None:
    removed = await numbers.execute(sa.text("DELETE FROM numbers WHERE number < 10"))
    assert removed.rowcount == 10
    returned = await numbers.execute(sa.text("DELETE FROM numbers WHERE number < 12 RETURNING number"))
    assert sorted(returned.scalars()) == [10, 11]


async def test_a_refused_statement_leaves_the_connection_as_it_was(numbers: AsyncConnection) -> None:
    with pytest.raises(IntegrityError):
        await numbers.execute(sa.text("INSERT INTO numbers VALUES (1)"))
    assert (await numbers.execute(sa.text("SELECT count(*) FROM numbers"))).scalar_one() == ROWS

"""What the database alone holds to: its shape, and that the second of two writers learns that it is second."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from anyio.lowlevel import checkpoint
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.payment import PaymentSeen, PaymentState
from app.domain.reservation import OccupiedSince
from app.store.tables import metadata
from tests.support.stack import Stack
from tests.support.staff import copies

pytestmark = pytest.mark.both_databases


async def test_the_migrations_make_the_tables_that_the_code_expects(stack: Stack) -> None:
    def differences(connection: sa.Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with stack.parts.store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_late_word_of_an_unpaid_page_does_not_undo_what_was_noted_as_paid(stack: Stack) -> None:
    booking = await stack.hold()
    session_id = await stack.paid(booking)
    [paid] = await stack.parts.store.payments(booking.id)
    await stack.parts.store.record_payment(PaymentSeen(paid.id, PaymentState.EXPIRED, session_id, None, 0))
    assert await stack.parts.store.payments(booking.id) == [paid]


async def test_two_processes_that_start_paying_at_once_write_one_attempt(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    await stack.parts.checkout.add_details(booking.id, {"name": "Anna Ek", "email": "new@customer.example"})
    [first] = await stack.parts.store.payments(booking.id)
    again = replace(first, attempt=2, state=PaymentState.OPEN, session_id=None)
    deadline = stack.clock() + timedelta(minutes=31)
    outcomes = [
        await stack.parts.store.add_payment(replace(again, id=process), deadline=deadline)
        for process in ("pay_one", "pay_two")
    ]
    assert outcomes == [True, False]
    assert [payment.id for payment in await stack.parts.store.payments(booking.id)] == [first.id, "pay_one"]


async def test_an_error_of_the_database_names_no_customer(stack: Stack) -> None:
    booking = await stack.hold()
    async with stack.parts.store.engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE bookings RENAME TO elsewhere")
    with pytest.raises(sa.exc.DBAPIError) as error:
        await stack.parts.store.set_customer(booking.id, stack.customer("Berit Berg"))
    assert "bookings" in str(error.value)
    assert "berit" not in str(error.value).lower()


async def test_a_write_that_is_cut_off_at_its_end_leaves_no_transaction_open_for_the_next(stack: Stack) -> None:
    store = stack.parts.store
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def commit(connection: AsyncConnection) -> None:
        reached.set()
        await go_on.wait()
        await agreed(connection)

    agreed = store.backend.commit
    setattr(store.backend, "commit", commit)  # noqa: B010 - a method, as the type checker sees it
    cut_off = asyncio.create_task(store.beat())
    await reached.wait()
    cut_off.cancel()
    await asyncio.wait({cut_off})
    setattr(store.backend, "commit", agreed)  # noqa: B010 - as above
    assert await store.last_beat() is None
    async with store.engine.connect() as connection:
        assert not await store.backend.in_transaction(connection)
    await store.beat()
    assert await store.last_beat()


async def test_what_was_taken_and_freed_since_a_moment_is_told_and_nothing_else(stack: Stack) -> None:
    store, slots = stack.parts.store, [await stack.free_slot(nth=nth) for nth in (0, 5)]
    first = await stack.hold(slots[0])
    stack.clock.advance(timedelta(minutes=1))
    since = stack.clock()
    assert await store.occupied_since(since) == OccupiedSince([], set(), set())
    other = await stack.hold(slots[1], visitor=stack.visitor("bo"))
    told = await store.occupied_since(since)
    assert [row.reservation_id for row in told.rows] == [other.reservation.id]
    assert {row.reservation_id for row in await store.occupied()} == {first.reservation.id, other.reservation.id}
    await stack.parts.hold.give_up(first.id)
    ended = {first.reservation.id}
    assert await store.occupied_since(since) == OccupiedSince(told.rows, ended, released=ended)
    assert await store.occupied() == told.rows


async def test_thousands_of_bookings_to_come_are_all_read_some_at_a_time(stack: Stack) -> None:
    """Each once, also where many begin at the same moment, and nothing else has to wait for all of them."""
    first, store = await stack.confirmed(), stack.parts.store
    await copies(stack, first, 450, reference="there")
    async with store._write() as connection:
        await connection.exec_driver_sql("UPDATE reservations SET reference = id")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    waiting = asyncio.create_task(others())
    found = [booking.id async for booking in store.standing()]
    waiting.cancel()
    assert len(found) == len({*found}) == 451
    assert turns >= 2
    assert await store.count_standing() == {"hapio": 451}
    assert [booking.id for booking in await store.standing_among("hapio", found[:300])] == found[:300]
    assert [booking async for booking in store.standing("calcom")] == []
    assert await store.standing_among("calcom", found) == []

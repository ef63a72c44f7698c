"""Stores by themselves, without the app, and what is written into them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryWord
from app.domain.move import Move, MoveState
from app.store import Store
from app.store.change import Change
from sandbox.clock import Clock
from tests.support.examples import NOW, a_booking
from tests.support.once import empty_database
from tests.support.postgres import postgres_database

HALF, HOUR = timedelta(minutes=30), timedelta(hours=1)
TEN = NOW + timedelta(days=4, hours=1)


@asynccontextmanager
async def empty_store(folder: Path, clock: Clock, database: str) -> AsyncIterator[Store]:
    """A store over tables with nothing in them: "sqlite" in a file in `folder`, or "postgresql"."""
    if database == "postgresql":
        async with postgres_database() as url, opened(url, clock) as store:
            yield store
        return
    file = folder / "holdfast.sqlite3"
    file.write_bytes(await empty_database())
    async with opened(f"sqlite:///{file}", clock) as store:
        yield store


@asynccontextmanager
async def opened(url: str, clock: Clock) -> AsyncIterator[Store]:
    """One more process's store over a database."""
    store = Store(url, now=clock)
    try:
        yield store
    finally:
        await store.close()


def held(booking_id: str, starts_at: datetime = TEN) -> Booking:
    """A hold for an hour, of which the scheduler is being asked."""
    booking = a_booking(
        starts_at=starts_at,
        ends_at=starts_at + HOUR,
        buffer_starts_at=starts_at,
        buffer_ends_at=starts_at + HOUR,
        booking_id=booking_id,
        reference=None,
        unsure=True,
    )
    booking = booking.elsewhere(id=booking_id)
    return replace(booking, id=booking_id, status=Status.HELD, confirmed_at=None, revision=0)


async def confirmed(store: Store, booking_id: str, starts_at: datetime = TEN, *, capacity: int | None = 1) -> Booking:
    """A booking that costs nothing and stands."""
    booking = held(booking_id, starts_at)
    assert await store.insert_hold(booking, capacity=capacity)
    await store.record_lock(booking, reference=f"{booking_id}-there", terms=booking.terms)
    await store.claim(booking_id, Change((Status.HELD,), Status.PAID, HistoryWord.NOTHING_DUE))
    stands = await store.claim(booking_id, Change((Status.PAID,), Status.CONFIRMED, HistoryWord.CONFIRMED))
    assert stands
    return stands


def a_move(booking: Booking, move_id: str, starts_at: datetime, state: MoveState = MoveState.MOVING) -> Move:
    """A move of the booking to another hour."""
    ends_at = starts_at + HOUR
    goes_to = replace(
        booking.reservation,
        id=move_id,
        starts_at=starts_at,
        ends_at=ends_at,
        buffer_starts_at=starts_at,
        buffer_ends_at=ends_at,
        reference=None,
    )
    return Move(
        id=move_id,
        booking_id=booking.id,
        state=state,
        by=Actor.CUSTOMER,
        reservation=goes_to,
        from_reservation_id=booking.reservation.id,
        price=replace(booking.terms.price, amount=20_000),
        from_price=booking.terms.price,
        payment_id=None,
        end_reason=None,
        deadline=starts_at,
        created_at=NOW,
        updated_at=NOW,
    )

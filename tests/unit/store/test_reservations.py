"""Reservations: one table that the slot guard counts, pointers that hold, and what is due to the scheduler."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.domain.catalogue import Resource
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.payment import Payment, PaymentMethod, PaymentState
from app.domain.reservation import Due, Reservation
from app.domain.terms import Capture
from app.store import Store
from app.store.change import Change, MoveChange
from app.store.reservations import change_reservation, settle_due
from app.store.rows import booking_row
from app.store.tables import bookings, reservations
from sandbox.clock import Clock
from tests.support.examples import NOW
from tests.support.stores import HALF, HOUR, TEN, a_move, confirmed, empty_store, held

pytestmark = pytest.mark.both_databases


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def store(tmp_path: Path, clock: Clock, database: str) -> AsyncIterator[Store]:
    async with empty_store(tmp_path, clock, database) as store:
        yield store


async def moved(store: Store, booking: Booking, move: Move, *, reference: str) -> Booking:
    assert await store.insert_move(move, unchanged_since=booking.revision, capacity=1)
    terms, later = booking.terms.moved(move.price), NOW + timedelta(minutes=2)
    there = await store.complete_move(
        move, reference=reference, unsure=False, terms=terms, find_out_at=later, owes=None, paid=0, mails=()
    )
    assert there
    return there


async def of(store: Store, reservation_id: str) -> Reservation:
    found = await store.reservation(reservation_id)
    assert found
    return found


# The slot guard


async def test_where_a_bookings_old_and_new_time_overlap_it_counts_once(store: Store) -> None:
    booking = await confirmed(store, "bk_moves", capacity=2)
    assert await store.insert_move(a_move(booking, "mv_1", TEN + HALF), unchanged_since=0, capacity=2)
    assert await store.insert_hold(held("bk_second", TEN + HALF), capacity=2)
    assert not await store.insert_hold(held("bk_third", TEN + HALF), capacity=2)


async def test_both_times_of_a_booking_on_the_move_are_taken(store: Store) -> None:
    booking = await confirmed(store, "bk_moves")
    assert await store.insert_move(a_move(booking, "mv_1", TEN + 3 * HOUR), unchanged_since=0, capacity=1)
    for starts_at, free in ((TEN, False), (TEN + 3 * HOUR, False), (TEN + HOUR, True)):
        assert await store.insert_hold(held(f"bk_{starts_at.hour}", starts_at), capacity=1) is free


async def test_an_old_time_is_taken_until_the_scheduler_has_let_go_of_it(store: Store) -> None:
    booking = await confirmed(store, "bk_moves")
    await moved(store, booking, a_move(booking, "mv_1", TEN + 3 * HOUR), reference="another-there")
    assert not await store.insert_hold(held("bk_early"), capacity=1)
    [left] = await store.reservations_due()
    assert (left.id, left.due, left.reference) == ("bk_moves", Due.LET_GO, "bk_moves-there")
    await store.record_release(left)
    assert await store.insert_hold(held("bk_later"), capacity=1)


# The rows


async def test_two_bookings_never_point_at_one_reservation(store: Store) -> None:
    booking = await confirmed(store, "bk_one")
    with pytest.raises(sa.exc.IntegrityError, match=r"reservation_id|bookings_reserved"):
        async with store._write() as connection:
            await connection.execute(sa.insert(bookings).values({**booking_row(booking), "id": "bk_two"}))


async def test_a_booking_without_its_reservation_is_not_kept(store: Store) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=r"FOREIGN KEY|bookings_reservation"):
        async with store._write() as connection:
            await connection.execute(sa.insert(bookings).values(booking_row(held("bk_alone"))))
    assert await store.booking("bk_alone") is None


async def test_a_finished_move_says_from_where_to_where_and_at_what_price(store: Store) -> None:
    booking = await confirmed(store, "bk_moves")
    there = await moved(store, booking, a_move(booking, "mv_1", TEN + HOUR), reference="bk_moves-there")
    further = replace(a_move(there, "mv_2", TEN + 2 * HOUR), from_price=there.terms.price)
    last = await moved(store, there, replace(further, price=booking.terms.price), reference="bk_moves-there")
    assert (last.reservation.id, last.starts_at) == ("mv_2", TEN + 2 * HOUR)
    for move_id, from_, to, prices in (
        ("mv_1", TEN, TEN + HOUR, (12_000, 20_000)),
        ("mv_2", TEN + HOUR, TEN + 2 * HOUR, (20_000, 12_000)),
    ):
        move = await store.move(move_id)
        assert move
        assert (await of(store, move.from_reservation_id)).starts_at == from_
        assert (move.starts_at, move.state) == (to, MoveState.DONE)
        assert (move.from_price.amount, move.price.amount) == prices


async def test_a_booking_that_the_scheduler_moved_itself_takes_its_reference_along(store: Store) -> None:
    booking = await confirmed(store, "bk_moves")
    there = await moved(store, booking, a_move(booking, "mv_1", TEN + HOUR), reference="bk_moves-there")
    left = await of(store, "bk_moves")
    assert (there.reservation.reference, left.reference) == ("bk_moves-there", None)
    assert (left.occupies, left.due, there.reservation.due) == (False, None, None)


# What is due


def expected(stage: str, *, unsure: bool, holds: bool, canceled: bool) -> Due | None:
    """The rule in the words of docs/dev/architecture.md, "Reservations"."""
    if stage == "decided":
        return Due.FIRM_UP
    if stage == "asked":
        return Due.MAKE if unsure else None
    if unsure:
        return Due.FIND_OUT  # of one that stands, too: it may have been made twice
    if stage == "stands":
        return None
    return Due.LET_GO if holds and not canceled else None


STAGES = {
    Status.HELD: "asked",
    Status.AWAITING_PAYMENT: "asked",
    Status.PAID: "decided",
    Status.CONFIRMED: "stands",
    Status.CANCELED: "over",
    Status.OFFERED: "over",
    Status.EXPIRED: "over",
}
MOVE_STAGES = {
    MoveState.HELD: "asked",
    MoveState.MOVING: "decided",
    MoveState.REFUSED: "over",
    MoveState.EXPIRED: "over",
}


@pytest.mark.parametrize("status", Status)
async def test_what_is_due_about_the_time_that_a_booking_has(store: Store, status: Status) -> None:
    await confirmed(store, "bk_one")
    for unsure, holds, canceled in product((False, True), repeat=3):
        facts = {"unsure": unsure, "reference": "there" if holds else None, "canceled": canceled}
        async with store._write() as connection:
            await connection.execute(sa.update(bookings).values(status=status))
            await change_reservation(connection, "bk_one", facts, at=NOW)
            await settle_due(connection, "bk_one", at=NOW)
        due = (await of(store, "bk_one")).due
        assert due is expected(STAGES[status], unsure=unsure, holds=holds, canceled=canceled), facts


@pytest.mark.parametrize("state", MOVE_STAGES)
async def test_what_is_due_about_the_time_that_a_move_goes_to(store: Store, state: MoveState) -> None:
    booking = await confirmed(store, "bk_one")
    assert await store.insert_move(a_move(booking, "mv_1", TEN + HOUR), unchanged_since=0, capacity=1)
    for unsure, holds in product((False, True), repeat=2):
        async with store._write() as connection:
            await connection.exec_driver_sql(f"UPDATE moves SET state = '{state}'")  # noqa: S608
            facts = {"unsure": unsure, "reference": "there" if holds else None}
            await change_reservation(connection, "mv_1", facts, at=NOW)
            await settle_due(connection, "bk_one", at=NOW)
        due = (await of(store, "mv_1")).due
        assert due is expected(MOVE_STAGES[state], unsure=unsure, holds=holds, canceled=False), facts
        assert (await of(store, "bk_one")).due is None


async def test_a_hold_is_due_to_be_made_until_there_is_an_answer(store: Store) -> None:
    booking = held("bk_one")
    assert await store.insert_hold(booking, capacity=1)
    assert (await of(store, "bk_one")).due is Due.MAKE
    answered = await store.record_lock(booking, reference="there", terms=booking.terms)
    assert answered
    assert answered.reservation.due is None


async def test_the_lock_on_a_moves_time_is_due_like_a_holds(store: Store) -> None:
    booking = await confirmed(store, "bk_one")
    move = a_move(booking, "mv_1", TEN + HOUR, MoveState.HELD)
    move = replace(move, reservation=replace(move.reservation, unsure=True))
    assert await store.insert_move(move, unchanged_since=0, capacity=1)
    assert (await of(store, "mv_1")).due is Due.MAKE
    await store.record_move_lock(move, reference="locked")
    assert (await of(store, "mv_1")).due is None
    ended = await store.claim_move("mv_1", MoveChange((MoveState.HELD,), MoveState.EXPIRED, HistoryWord.MOVE_EXPIRED))
    assert ended
    assert (ended.reservation.due, ended.reservation.occupies) == (Due.LET_GO, False)


async def test_late_money_may_have_the_time_again_and_nothing_else_is_due_for_it(store: Store) -> None:
    booking = held("bk_one")
    assert await store.insert_hold(booking, capacity=1)
    await store.claim("bk_one", Change((Status.HELD,), Status.EXPIRED, HistoryWord.DEADLINE))
    paid = await store.claim("bk_one", Change((Status.EXPIRED,), Status.PAID, HistoryWord.PAID_LATE))
    assert paid
    reserved = await store.reserve(paid, Resource("bo", "Bo", 1), lease_until=NOW + HALF)
    assert reserved
    assert (reserved.resource_name, reserved.reservation.occupies) == ("Bo", True)
    assert reserved.reservation.due is paid.reservation.due is Due.FIRM_UP
    await store.unreserve(reserved, Resource("anna", "Anna", 1))
    left = await of(store, "bk_one")
    assert (left.occupies, left.resource_name) == (False, "Anna")


async def test_attempts_do_not_change_since_when_it_is_due_and_something_else_becoming_due_begins_again(
    store: Store, clock: Clock
) -> None:
    await confirmed(store, "bk_one")
    ended = await store.claim("bk_one", Change((Status.CONFIRMED,), Status.CANCELED, HistoryWord.BY_OWNER))
    assert ended
    clock.advance(HOUR)
    await store.put_off_reservation("bk_one", until=clock() + HOUR)
    put_off = await of(store, "bk_one")
    assert (put_off.updated_at, put_off.tries) == (NOW, 1)
    assert await store.reservations_due() == []
    assert [one.id for one in await store.unreleased_since(HOUR)] == ["bk_one"]
    await store.claim("bk_one", Change((Status.CANCELED,), Status.PAID, HistoryWord.TAKING_BACK))
    again = await of(store, "bk_one")
    assert (again.due, again.updated_at, again.next_try_at, again.tries) == (Due.FIRM_UP, clock(), None, 0)


async def test_one_process_gives_a_time_back(store: Store, clock: Clock) -> None:
    await confirmed(store, "bk_one")
    ended = await store.claim("bk_one", Change((Status.CONFIRMED,), Status.CANCELED, HistoryWord.BY_OWNER))
    assert ended
    assert await store.lease_reservation(ended.reservation, until=clock() + HALF)
    assert not await store.lease_reservation(ended.reservation, until=clock() + HALF)
    clock.advance(HALF)
    assert await store.lease_reservation(ended.reservation, until=clock() + HALF)
    await store.record_cancel(ended.reservation)
    clock.advance(HOUR)
    assert not await store.lease_reservation(ended.reservation, until=clock() + HALF)


async def test_a_late_word_of_a_release_takes_nothing_away_from_a_booking_that_is_paid_again(store: Store) -> None:
    booking = held("bk_one")
    assert await store.insert_hold(booking, capacity=1)
    read = await store.claim("bk_one", Change((Status.HELD,), Status.EXPIRED, HistoryWord.NO_ANSWER))
    assert read
    assert read.reservation.due is Due.FIND_OUT
    await store.claim("bk_one", Change((Status.EXPIRED,), Status.PAID, HistoryWord.PAID_LATE))
    await store.record_release(read.reservation)
    now = await of(store, "bk_one")
    assert (now.unsure, now.due) == (True, Due.FIRM_UP)


async def test_a_release_does_not_forget_what_was_given_meanwhile(store: Store) -> None:
    booking = held("bk_one")
    assert await store.insert_hold(booking, capacity=1)
    read = await store.claim("bk_one", Change((Status.HELD,), Status.EXPIRED, HistoryWord.NO_ANSWER))
    assert read
    await store.record_lock(booking, reference="late-there", terms=booking.terms)
    await store.record_release(read.reservation)
    [due] = await store.reservations_due()
    assert (due.reference, due.due) == ("late-there", Due.LET_GO)


async def test_what_a_lost_call_may_have_made_is_looked_for_after_it_can_have_landed(
    store: Store, clock: Clock
) -> None:
    assert await store.insert_hold(held("bk_one"), capacity=1)
    change = Change((Status.HELD,), Status.EXPIRED, HistoryWord.NO_ANSWER, find_out_at=NOW + HALF)
    assert await store.claim("bk_one", change)
    assert await store.reservations_due() == []
    clock.advance(HALF)
    assert [one.due for one in await store.reservations_due()] == [Due.FIND_OUT]


async def test_everything_that_is_due_stands_in_the_table_itself(store: Store) -> None:
    """Nothing else is read for it."""
    await confirmed(store, "bk_one")
    await store.claim("bk_one", Change((Status.CONFIRMED,), Status.CANCELED, HistoryWord.BY_OWNER))
    async with store.engine.connect() as connection:
        found = await connection.execute(sa.select(reservations.c.id, reservations.c.due))
        assert [tuple(row) for row in found] == [("bk_one", "let_go")]


# Money that another process takes meanwhile


async def test_cash_is_not_noted_for_a_price_that_a_move_has_changed_meanwhile(store: Store) -> None:
    booking = await confirmed(store, "bk_moves")
    cash = taken_in_person(booking, 5000)
    await moved(store, booking, a_move(booking, "mv_1", TEN + 3 * HOUR), reference="another-there")
    what, told = HistoryWord.TAKEN_IN_PERSON, {"who": "nora"}
    assert not await store.add_taken(cash, what=what, detail=told, unchanged_since=booking.revision)
    assert await store.add_taken(cash, what=what, detail=told, unchanged_since=booking.revision + 1)


async def test_a_move_is_not_done_with_what_comes_back_of_less_than_was_paid(store: Store) -> None:
    booking, later = await confirmed(store, "bk_moves"), NOW + timedelta(minutes=2)
    move = a_move(booking, "mv_1", TEN + 3 * HOUR)
    assert await store.insert_move(move, unchanged_since=booking.revision, capacity=1)
    cash = taken_in_person(booking, 5000)
    told = {"who": "nora"}
    assert await store.add_taken(cash, what=HistoryWord.TAKEN_IN_PERSON, detail=told, unchanged_since=booking.revision)

    async def done(paid: int) -> Booking | None:
        terms = booking.terms.moved(move.price)
        return await store.complete_move(
            move, reference="there", unsure=False, terms=terms, find_out_at=later, owes=None, paid=paid, mails=()
        )

    assert await done(0) is None
    unmoved = await store.booking(booking.id)
    assert unmoved
    assert unmoved.starts_at == TEN
    assert await done(5000)


def taken_in_person(booking: Booking, amount: int) -> Payment:
    return Payment(
        id="pay_cash",
        booking_id=booking.id,
        attempt=9,
        state=PaymentState.CAPTURED,
        price=Money(amount, "sek"),
        capture=Capture.AUTOMATIC,
        params={},
        session_id=None,
        session_url=None,
        payment_intent_id=None,
        expires_at=NOW,
        captured=amount,
        looks=0,
        created_at=NOW,
        method=PaymentMethod.CASH,
    )

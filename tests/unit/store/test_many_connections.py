"""Several processes write to one PostgreSQL database at once: what SQLite's one writer decided, its locks decide.

Each rule is broken first, by the same writes with the locks left out.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from random import Random

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

from app.domain.booking import Booking, EndReason, Status
from app.domain.event import Event
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Owed
from app.store import Store
from app.store.backend import BookingId
from app.store.change import Change
from app.store.due import remember
from app.store.postgres import Postgres
from sandbox.clock import Clock
from tests.support.examples import NOW, a_payment
from tests.support.postgres import postgres_database
from tests.support.stores import HALF, HOUR, TEN, a_move, confirmed, held, opened

#: Writes at once; each of the two processes has as many connections.
MANY = 12

Act = Callable[[Store], Awaitable[object]]


class Unlocked(Postgres):
    """Locks nothing, and nobody commits before all have done what they want: as slow as it can come."""

    def __init__(self, url: str, parties: asyncio.Barrier) -> None:
        super().__init__(url)

        def before_commit(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            if statement == "COMMIT":
                await_only(parties.wait())

        event.listen(self.engine.sync_engine, "before_cursor_execute", before_commit)

    async def lock_booking(self, connection: AsyncConnection, booking_id: BookingId) -> None:
        """As if this were SQLite."""

    async def lock_name(self, connection: AsyncConnection, name: str) -> None:
        """As if this were SQLite."""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with postgres_database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with opened(url, Clock(NOW)) as store:
        yield store


async def at_once(url: str, acts: list[Act], *, locked: bool = True) -> list[object]:
    """Each act in one of two processes, by turns; what came of them."""
    async with AsyncExitStack() as closing:
        houses = [await closing.enter_async_context(opened(url, Clock(NOW))) for _ in range(2)]
        parties = asyncio.Barrier(len(acts))
        for house in houses:
            if not locked:
                await house.close()
                house.backend = Unlocked(url, parties)
            # All connections are there before the first write.
            await asyncio.gather(*(house.last_beat() for _ in range(MANY)))
        return list(await asyncio.gather(*(act(houses[number % 2]) for number, act in enumerate(acts))))


# The slot guard


def holds(count: int, *, capacity: int, random: Random | None = None) -> list[Act]:
    """So many visitors who want an hour with the same person: the same one, or hours that overlap by chance."""

    def hold(number: int, starts_at: Booking) -> Act:
        return lambda store: store.insert_hold(starts_at, capacity=capacity)

    hours = [TEN + (random.randrange(8) * HALF if random else 0 * HALF) for _ in range(count)]
    # Without details, which come after the time: those of one customer wait for each other at the search's index.
    return [hold(number, replace(held(f"bk_{number}", at), customer=None)) for number, at in enumerate(hours)]


async def most_at_once(store: Store) -> int:
    """How many bookings have the person at the fullest moment."""
    taken = await store.occupied()
    return max(
        (sum(one.starts_at <= moment.starts_at < one.ends_at for one in taken) for moment in taken),
        default=0,
    )


async def test_without_the_lock_two_processes_give_one_time_away_twice(url: str, store: Store) -> None:
    assert await at_once(url, holds(MANY, capacity=1), locked=False) == [True] * MANY
    assert await most_at_once(store) == MANY


@pytest.mark.parametrize("capacity", [1, 3])
async def test_of_all_who_want_one_time_as_many_have_it_as_it_has_places(url: str, store: Store, capacity: int) -> None:
    outcomes = await at_once(url, holds(4 * MANY, capacity=capacity))
    assert outcomes.count(True) == capacity
    assert await most_at_once(store) == capacity


@pytest.mark.parametrize("seed", range(3))
async def test_times_that_overlap_by_chance_are_never_over_capacity(url: str, store: Store, seed: int) -> None:
    await at_once(url, holds(6 * MANY, capacity=2, random=Random(seed)))
    assert await most_at_once(store) == 2


async def test_a_move_and_a_hold_that_want_one_time_at_once_do_not_both_have_it(url: str, store: Store) -> None:
    later = TEN + 3 * HOUR
    movers = [await confirmed(store, f"bk_mover{number}", TEN + number * HOUR) for number in (0, 1)]

    def move(booking: Booking) -> Act:
        wish = a_move(booking, f"mv_{booking.id}", later)
        return lambda store: store.insert_move(wish, unchanged_since=booking.revision, capacity=1)

    hold = held("bk_new", later)
    outcomes = await at_once(url, [*map(move, movers), lambda store: store.insert_hold(hold, capacity=1)])
    assert outcomes.count(True) == 1
    assert await most_at_once(store) == 1


async def test_two_tabs_that_move_one_booking_at_once_move_it_once(url: str, store: Store) -> None:
    booking = await confirmed(store, "bk_moves")

    def move(number: int) -> Act:
        wish = a_move(booking, f"mv_{number}", TEN + number * HOUR)
        return lambda store: store.insert_move(wish, unchanged_since=booking.revision, capacity=1)

    assert (await at_once(url, [move(number) for number in range(1, 9)])).count(True) == 1


# One booking at a time


async def a_paid_booking(store: Store, captured: int = 12_000) -> Booking:
    """A booking that stands and was paid."""
    booking = await confirmed(store, "bk_paid")
    payment = a_payment(booking_id=booking.id, captured=captured)
    await store.adopt_payment(payment)
    return booking


def debts(booking: Booking, count: int) -> list[Act]:
    """Everything is to go back, for so many reasons."""

    def owe(number: int) -> Act:
        owed = Owed(
            id=f"rf_{number}",
            booking_id=booking.id,
            amount=Money(12_000, "sek"),
            reason=EndReason.BY_OWNER,
            cause=str(number),
            due_at=NOW,
            created_at=NOW,
        )
        return lambda store: store.owe(owed, what=HistoryWord.REFUND_ADDED)

    return [owe(number) for number in range(count)]


async def owed_back(store: Store, booking: Booking) -> int:
    return sum(refund.amount.amount for refund in await store.refunds(booking.id))


async def test_without_the_lock_more_is_refunded_than_was_paid(url: str, store: Store) -> None:
    booking = await a_paid_booking(store)
    await at_once(url, debts(booking, MANY), locked=False)
    assert await owed_back(store, booking) == MANY * 12_000


async def test_debts_that_are_written_at_once_are_never_more_than_was_paid(url: str, store: Store) -> None:
    booking = await a_paid_booking(store)
    await at_once(url, debts(booking, MANY))
    assert await owed_back(store, booking) == 12_000


def giving_up_and_opening_a_page(payment: Payment) -> list[Act]:
    """One process ends a booking because nobody is on a payment page; the other has just made one."""
    change = Change((Status.AWAITING_PAYMENT,), Status.EXPIRED, HistoryWord.GIVEN_UP, without_open_session=True)
    return [
        lambda store: store.claim(payment.booking_id, change),
        lambda store: store.record_session(payment, session_id="cs_page", url="https://pay.example", look_at=NOW),
    ]


async def an_attempt(store: Store) -> Payment:
    """A booking that awaits payment, on a page that is being made."""
    booking = held("bk_pays")
    assert await store.insert_hold(booking, capacity=1)
    payment = replace(
        a_payment(booking_id=booking.id), state=PaymentState.OPEN, session_id=None, payment_intent_id=None, captured=0
    )
    change = Change((Status.HELD,), Status.AWAITING_PAYMENT, HistoryWord.PAYMENT_STARTED, payment=payment)
    assert await store.claim(booking.id, change)
    return payment


async def test_without_the_lock_a_page_is_given_out_for_a_booking_that_has_just_ended(url: str, store: Store) -> None:
    acts = giving_up_and_opening_a_page(await an_attempt(store))
    ended, page = await at_once(url, acts, locked=False)
    assert ended
    assert page


async def test_a_booking_ends_or_its_payment_page_is_given_out_and_never_both(url: str, store: Store) -> None:
    acts = giving_up_and_opening_a_page(await an_attempt(store))
    ended, page = await at_once(url, acts)
    assert bool(ended) is not page


async def test_of_all_who_end_a_booking_at_once_one_does_it(url: str, store: Store) -> None:
    assert await store.insert_hold(held("bk_ends"), capacity=1)
    change = Change((Status.HELD,), Status.EXPIRED, HistoryWord.DEADLINE)
    outcomes = await at_once(url, [lambda store: store.claim("bk_ends", change)] * MANY)
    assert sum(outcome is not None for outcome in outcomes) == 1


async def test_who_waits_for_a_booking_sees_what_the_one_before_has_written(url: str, store: Store) -> None:
    payment = await an_attempt(store)
    end, _ = giving_up_and_opening_a_page(payment)
    async with opened(url, Clock(NOW)) as slow, anyio.create_task_group() as both:
        outcomes: list[object] = []

        async def ends() -> None:
            outcomes.append(await end(store))

        async with slow._write(payment.booking_id) as connection:
            await connection.execute(sa.text("UPDATE payments SET session_id = 'cs_page'"))
            both.start_soon(ends)
            await until_somebody_waits(store)
    assert outcomes == [None]


async def until_somebody_waits(store: Store) -> None:
    """Until the server has put a connection to wait for a lock."""
    asked = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while True:
            async with store.engine.connect() as connection:
                if await connection.scalar(asked):
                    return


# Rows that no booking has


async def test_of_all_calls_under_one_key_one_runs(url: str, store: Store) -> None:
    def take(number: int) -> Act:
        times = {"running_until": NOW + HOUR, "forget_at": NOW + 24 * HOUR}
        return lambda store: store.take_key("key", fingerprint="same", run=f"run_{number}", **times)

    outcomes = await at_once(url, [take(number) for number in range(2 * MANY)])
    assert outcomes.count(None) == 1


async def test_of_all_who_take_over_a_dead_call_one_has_its_key(url: str, store: Store) -> None:
    dead = {"running_until": NOW - HOUR, "forget_at": NOW + 24 * HOUR}
    assert await store.take_key("key", fingerprint="same", run="dead", **dead) is None

    def take(number: int) -> Act:
        times = {"running_until": NOW + HOUR, "forget_at": NOW + 24 * HOUR}
        return lambda store: store.take_key("key", fingerprint="same", run=f"run_{number}", **times)

    assert (await at_once(url, [take(number) for number in range(MANY)])).count(None) == 1


async def test_of_all_calls_under_a_key_whose_time_is_over_one_runs(url: str, store: Store) -> None:
    over = {"running_until": NOW - HOUR, "forget_at": NOW}
    assert await store.take_key("key", fingerprint="another", run="old", **over) is None

    def take(number: int) -> Act:
        times = {"running_until": NOW + HOUR, "forget_at": NOW + 24 * HOUR}
        return lambda store: store.take_key("key", fingerprint="same", run=f"run_{number}", **times)

    assert (await at_once(url, [take(number) for number in range(2 * MANY)])).count(None) == 1


async def test_a_key_that_is_freed_and_taken_at_once_is_never_lost(url: str, store: Store) -> None:
    times = {"running_until": NOW + HOUR, "forget_at": NOW + 24 * HOUR}

    async def take_and_free(house: Store, run: str) -> bool:
        if await house.take_key("key", fingerprint="same", run=run, **times):
            return False
        await house.free_key("key", run=run)
        return True

    def act(number: int) -> Act:
        return lambda store: take_and_free(store, f"run_{number}")

    assert True in await at_once(url, [act(number) for number in range(2 * MANY)])
    assert await store.take_key("key", fingerprint="same", run="last", **times) is None


async def test_workers_that_look_at_once_lease_each_mail_to_one_of_them(url: str, store: Store) -> None:
    booking = await confirmed(store, "bk_mailed")
    mails = [a_mail(booking, number) for number in range(3 * MANY)]
    await store.add_mail(mails)
    taken = await at_once(url, [lambda store: store.take_mail(lease=HOUR, most=5)] * MANY)
    leased = [mail.id for some in taken if isinstance(some, list) for mail in some]
    assert len(leased) == len(set(leased)) > 5


def a_mail(booking: Booking, number: int) -> OutboxMail:
    return OutboxMail(
        id=f"mail_{number}",
        booking_id=booking.id,
        kind="reminder_customer",
        message_id=f"<{number}@book.example>",
        detail={},
        tries=0,
        created_at=NOW,
        sent_at=None,
        due_at=NOW,
        revision=0,
    )


async def test_a_reservation_is_leased_to_one_process(url: str, store: Store) -> None:
    await confirmed(store, "bk_one")
    ended = await store.claim("bk_one", Change((Status.CONFIRMED,), Status.CANCELED, HistoryWord.BY_OWNER))
    assert ended
    due = ended.reservation
    outcomes = await at_once(url, [lambda store: store.lease_reservation(due, until=NOW + HOUR)] * MANY)
    assert outcomes.count(True) == 1


async def test_an_event_that_comes_twice_at_once_is_stored_once(url: str, store: Store) -> None:
    events = [Event(f"evt_{number}", "x", "cs_1", "checkout.session", False, NOW, None, None) for number in range(20)]
    orders = [events, events[::-1]] * (MANY // 2)

    def add(order: list[Event]) -> Act:
        return lambda store: store.add_events(order, again_at=NOW)

    added = await at_once(url, [add(order) for order in orders])
    assert sum(new for new in added if isinstance(new, int)) == len(events)


async def test_calls_that_are_counted_at_once_are_all_counted(url: str, store: Store) -> None:
    await at_once(url, [lambda store: store.add_to_counter("calls", 3)] * (4 * MANY))
    assert await store.counter("calls") == 12 * MANY


async def test_an_account_that_is_connected_under_two_names_at_once_has_one_of_them(url: str, store: Store) -> None:
    def connect(name: str) -> Act:
        return lambda store: store.connect_scheduler(
            name,
            account="acct",
            account_name="Ada",
            access="sealed",
            refresh="sealed",
            expires_at=NOW + HOUR,
            asked_at=NOW - HOUR,
        )

    outcomes = await at_once(url, [connect(f"calendly:{number}") for number in range(MANY)])
    assert (outcomes.count("connected"), outcomes.count("other_name")) == (1, MANY - 1)


async def test_a_refresh_is_leased_to_one_process(url: str, store: Store) -> None:
    details = {"account": "acct", "account_name": "Ada", "access": "sealed", "refresh": "sealed"}
    await store.connect_scheduler("calendly:ada", **details, expires_at=NOW + HOUR, asked_at=NOW - HOUR)
    leases = await at_once(url, [lambda store: store.lease_refresh("calendly:ada", until=NOW + HOUR)] * MANY)
    assert sum(lease is not None for lease in leases) == 1


@pytest.mark.parametrize(("settles", "counted"), [(False, 2), (True, 3)])
async def test_a_line_of_the_history_that_is_written_first_and_seen_last_is_counted(
    url: str, settles: bool, counted: int
) -> None:
    """Without the wait it is passed over, because a later one has already been counted."""
    clock = Clock(NOW)
    async with opened(url, clock) as store, opened(url, clock) as slow:
        await store.insert_hold(held("bk_slow"), capacity=1)
        if not settles:
            store.backend.lines_settle = timedelta(0)
        async with slow._write("bk_slow") as connection:
            await remember(connection, "bk_slow", HistoryWord.EXTENDED, Status.HELD, at=NOW)
            await store.insert_hold(held("bk_quick", TEN + HOUR), capacity=1)
            await store.tally_history()
        clock.advance(timedelta(minutes=1))
        then = await store.happened(None)
    assert sum(then.words.values()) == counted


async def test_lines_from_before_the_clock_was_set_back_do_not_keep_later_ones_waiting(url: str) -> None:
    clock = Clock(NOW + HOUR)
    async with opened(url, clock) as store:
        await store.insert_hold(held("bk_before"), capacity=1)
        clock.advance(-HOUR)
        await store.insert_hold(held("bk_after", TEN + HOUR), capacity=1)
        clock.advance(timedelta(minutes=1))
        happened = await store.happened(None)
    assert sum(happened.words.values()) == 2

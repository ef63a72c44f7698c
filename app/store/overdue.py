"""What has been due for longer than a given time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.domain.event import SAYS_PAID
from app.domain.move import MoveState
from app.domain.outbox import OutboxMail
from app.domain.reservation import GIVE_BACK
from app.store.database import Database
from app.store.due import add_mails
from app.store.prepared import Prepared, asked
from app.store.rows import last_change, select_bookings, to_booking
from app.store.sessions import has_open_session
from app.store.tables import (
    Instant,
    bookings,
    inbox,
    moves,
    outbox,
    payments,
    reservations,
)

#: The place of the time before which something must have become due.
_SINCE: Final = asked("since", Instant)


class OverdueRows(Database):
    """Queries over bookings, their moves and reservations, and Stripe's events: since when something waits."""

    async def unconfirmed_since(self, age: timedelta) -> list[Booking]:
        """Bookings that were paid so long ago, or taken back, and are not confirmed yet; also those whose offer of
        other times was over so long ago, because the scheduler does not say whether one was chosen."""
        return await self._waiting(_UNCONFIRMED, age)

    async def unmoved_since(self, age: timedelta) -> list[Booking]:
        """Bookings whose move was decided so long ago and is not made yet."""
        return await self._waiting(_UNMOVED, age)

    async def unended_since(self, age: timedelta) -> list[Booking]:
        """Bookings, and bookings with moves, that were to be paid by so long ago and have not ended, since Stripe does
        not say how their payment page stands."""
        return await self._waiting(_UNENDED, age)

    async def unread_since(self, age: timedelta) -> list[Booking]:
        """Bookings that ended unpaid, of which Stripe has told so long ago that they were paid, without saying how."""
        return await self._waiting(_UNREAD, age)

    async def unreleased_since(self, age: timedelta) -> list[Booking]:
        """Bookings of which the scheduler still holds, or may hold, a time for nobody after so long; also those that
        nobody is paying for, and that have not ended because the scheduler does not say how they stand."""
        return await self._waiting(_UNRELEASED, age)

    async def owe_mails(self, mails: Sequence[OutboxMail]) -> int:
        """Mails to send; one that is there already is left alone. Returns how many are new."""
        ids = [mail.id for mail in mails]
        known = {row["id"] for row in await self._all(sa.select(outbox.c.id).where(outbox.c.id.in_(ids)))}
        new = [mail for mail in mails if mail.id not in known]
        if new:  # a look that finds nothing new costs no write
            async with self._write() as connection:
                await add_mails(connection, new)
        return len(new)

    async def _waiting(self, query: Prepared, age: timedelta) -> list[Booking]:
        rows = await self._fetch(query, since=self._now() - age)
        # Sorted here: given an order, SQLite walks the index that has it, along everything there ever was.
        return sorted((to_booking(row) for row in rows), key=lambda booking: booking.starts_at)


def _unconfirmed() -> sa.Select[Any]:
    paid = sa.select(bookings.c.id).where(bookings.c.status == Status.PAID, last_change() <= _SINCE)
    offered = sa.select(bookings.c.id).where(bookings.c.status == Status.OFFERED, bookings.c.deadline <= _SINCE)
    return select_bookings(bookings.c.id.in_(paid.union(offered)))


def _unmoved() -> sa.Select[Any]:
    moving = sa.select(moves.c.booking_id).where(moves.c.state == MoveState.MOVING, moves.c.updated_at <= _SINCE)
    return select_bookings(bookings.c.id.in_(moving))


def _past_deadline(*, on_a_page: bool) -> sa.Select[Any]:
    """Ids of unpaid bookings, those that somebody may still be paying for or the others."""
    page = has_open_session(sa.and_(payments.c.booking_id == bookings.c.id, payments.c.move_id.is_(None)))
    unpaid = bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT])
    return sa.select(bookings.c.id).where(unpaid, bookings.c.deadline <= _SINCE, page if on_a_page else ~page)


def _unended() -> sa.Select[Any]:
    unpaid = _past_deadline(on_a_page=True)
    move = sa.select(moves.c.booking_id).where(moves.c.state == MoveState.HELD, moves.c.deadline <= _SINCE)
    # Two lists and no OR: that would be asked of every booking there ever was.
    return select_bookings(bookings.c.id.in_(unpaid.union(move)))


def _unreleased() -> sa.Select[Any]:
    owed = sa.select(reservations.c.booking_id).where(
        reservations.c.due.in_(sorted(GIVE_BACK)), reservations.c.updated_at <= _SINCE
    )
    either = owed.correlate(None).union(_past_deadline(on_a_page=False))
    return select_bookings(bookings.c.id.in_(either))


def _unread() -> sa.Select[Any]:
    paid = sa.select(inbox.c.booking_id).where(
        inbox.c.processed_at.is_(None), inbox.c.received_at <= _SINCE, inbox.c.type.in_(SAYS_PAID)
    )
    return select_bookings(bookings.c.id.in_(paid), bookings.c.status == Status.EXPIRED)


_UNCONFIRMED = Prepared(_unconfirmed())
_UNMOVED = Prepared(_unmoved())
_UNENDED = Prepared(_unended())
_UNREAD = Prepared(_unread())
_UNRELEASED = Prepared(_unreleased())

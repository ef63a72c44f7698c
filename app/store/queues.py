"""Bookings with something due for the worker; and whether anything is due at all, in one query, since mostly nothing
is."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.store.amounts import left_of_payment
from app.store.database import Database
from app.store.hours import hours_are_due
from app.store.hours_tables import hours_changes
from app.store.inbox import event_is_due
from app.store.moves import move_is_due
from app.store.outbox import mail_is_due
from app.store.payments import select_payments_to_look_at
from app.store.prepared import NOW, Moment, Prepared
from app.store.reservations import reservation_is_due
from app.store.rows import select_bookings, to_booking
from app.store.scheduler_tokens import is_broken_untold
from app.store.strays import stray_is_untold
from app.store.tables import (
    CAPTURED,
    bookings,
    inbox,
    moves,
    outbox,
    payments,
    refunds,
    reservations,
    scheduler_tokens,
    stray_payments,
)


class QueueRows(Database):
    """The queue of bookings, and all queues together; the others have their methods next to their rows."""

    async def overdue(self) -> list[Booking]:
        """Holds and payments whose deadline has passed."""
        return [to_booking(row) for row in await self._fetch(_OVERDUE, now=self._now())]

    async def offers_due(self) -> list[Booking]:
        """Bookings with an offered time that is no longer held, or whose money has all gone back."""
        return [to_booking(row) for row in await self._fetch(_OFFERS, now=self._now())]

    async def paid(self) -> list[Booking]:
        """Bookings that are paid but not confirmed."""
        return [to_booking(row) for row in await self._fetch(_PAID, now=self._now())]

    async def anything_due(self) -> bool:
        """Whether any queue has something to be tried now."""
        [row] = await self._fetch(_ANYTHING, now=self._now())
        return bool(row["due"])


def _bookings_due(now: Moment) -> sa.Select[Any]:
    """What `overdue`, `offers_due` and `paid` would give."""
    either = sa.or_(_past_deadline(now), _offer_is_over(now), bookings.c.status == Status.PAID)
    return sa.select(bookings.c.id).where(either, _ready(now))


def _past_deadline(now: Moment) -> sa.ColumnElement[bool]:
    return sa.and_(bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]), bookings.c.deadline <= now)


def _offer_is_over(now: Moment) -> sa.ColumnElement[bool]:
    paid = sa.select(payments.c.id).where(payments.c.booking_id == bookings.c.id, CAPTURED)
    refunded = sa.and_(paid.exists(), ~paid.where(left_of_payment() > 0).exists())
    return sa.and_(bookings.c.status == Status.OFFERED, sa.or_(bookings.c.deadline <= now, refunded))


def _ready(now: Moment) -> sa.ColumnElement[bool]:
    return sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= now)


def _first_hundred(condition: sa.ColumnElement[bool]) -> Prepared:
    return Prepared(select_bookings(condition, _ready(NOW)).order_by(bookings.c.updated_at).limit(100))


def _anything() -> sa.Select[Any]:
    queues = (
        _bookings_due(NOW),
        select_payments_to_look_at(NOW),
        sa.select(inbox.c.event_id).where(event_is_due(NOW)),
        sa.select(moves.c.id).where(move_is_due(NOW)),
        sa.select(reservations.c.id).where(reservation_is_due(NOW)),
        sa.select(refunds.c.id).where(refunds.c.next_try_at <= NOW),
        sa.select(outbox.c.id).where(mail_is_due(NOW)),
        sa.select(stray_payments.c.session_id).where(stray_is_untold(NOW)),
        sa.select(scheduler_tokens.c.name).where(is_broken_untold(NOW)),
        sa.select(hours_changes.c.id).where(hours_are_due(NOW)),
    )
    return sa.select(sa.or_(*(queue.exists() for queue in queues)).label("due"))


_OVERDUE = _first_hundred(_past_deadline(NOW))
_OFFERS = _first_hundred(_offer_is_over(NOW))
_PAID = _first_hundred(bookings.c.status == Status.PAID)
_ANYTHING = Prepared(_anything())

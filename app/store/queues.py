"""What the worker finds due of bookings; and whether anything is due at all, in one question: mostly it is not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.store.database import Database
from app.store.inbox import event_is_due
from app.store.moves import move_is_due
from app.store.outbox import mail_is_due
from app.store.payments import select_payments_to_look_at
from app.store.reservations import reservation_is_due
from app.store.scheduler_tokens import is_broken_untold
from app.store.strays import stray_is_untold
from app.store.tables import (
    bookings,
    inbox,
    moves,
    outbox,
    refunds,
    reservations,
    scheduler_tokens,
    select_bookings,
    stray_payments,
    to_booking,
)


class QueueRows(Database):
    """The queue of bookings, and all queues together; the others have their methods beside their rows."""

    async def overdue(self) -> list[Booking]:
        """Holds and payments whose deadline has passed."""
        return await self._due(_past_deadline(self._now()))

    async def paid(self) -> list[Booking]:
        """Bookings whose money is here and whose time is not final yet."""
        return await self._due(bookings.c.status == Status.PAID)

    async def _due(self, condition: sa.ColumnElement[bool]) -> list[Booking]:
        query = select_bookings(condition, _ready(self._now()))
        rows = await self._all(query.order_by(bookings.c.updated_at).limit(100))
        return [to_booking(row) for row in rows]

    async def anything_due(self) -> bool:
        """Whether any queue has something to be tried now."""
        now = self._now()
        queues = (
            _bookings_due(now),
            select_payments_to_look_at(now),
            sa.select(inbox.c.event_id).where(event_is_due(now)),
            sa.select(moves.c.id).where(move_is_due(now)),
            sa.select(reservations.c.id).where(reservation_is_due(now)),
            sa.select(refunds.c.id).where(refunds.c.next_try_at <= now),
            sa.select(outbox.c.id).where(mail_is_due(now)),
            sa.select(stray_payments.c.session_id).where(stray_is_untold(now)),
            sa.select(scheduler_tokens.c.name).where(is_broken_untold(now)),
        )
        [row] = await self._all(sa.select(sa.or_(*(queue.exists() for queue in queues)).label("due")))
        return bool(row["due"])


def _bookings_due(now: datetime) -> sa.Select[Any]:
    """What `overdue` and `paid` would give."""
    either = sa.or_(_past_deadline(now), bookings.c.status == Status.PAID)
    return sa.select(bookings.c.id).where(either, _ready(now))


def _past_deadline(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]), bookings.c.deadline <= now)


def _ready(now: datetime) -> sa.ColumnElement[bool]:
    return sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= now)

"""Removes customers' details from the rows, and keeps what bookkeeping needs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import Booking, Status, Visitor
from app.domain.history import OWN_WORDS, HistoryWord
from app.domain.mail_addresses import mailbox
from app.domain.move import MoveState
from app.domain.payment import DISPUTE_DECIDED, UNDER_WAY, PaymentState
from app.domain.refund import REFUND_OPEN
from app.store.customers import follow_note
from app.store.database import Database
from app.store.due import remember
from app.store.rows import (
    customer_columns,
    select_bookings,
    to_booking,
)
from app.store.search import follow_search
from app.store.tables import (
    bookings,
    history,
    moves,
    outbox,
    payments,
    refunds,
    reservations,
)

_KNOWN = sa.or_(bookings.c.customer_email != "", bookings.c.customer_search != "", bookings.c.visitor_key != "")


class ForgetRows(Database):
    """The tables that name a customer."""

    async def forgettable(self, *, email: str = "", before: datetime | None = None) -> tuple[list[Booking], int]:
        """Bookings that name someone and are over, and how many others meet the conditions but are not: still to come,
        or with something owed. `email` is the customer's; `before`: nothing has happened to it since, nor will."""
        wanted = [_KNOWN]
        if email:
            wanted.append(bookings.c.customer_email == mailbox(email))
        if before is not None:
            wanted += [bookings.c.updated_at < before, _ends_at() < before]
        found = await self._all(select_bookings(*wanted, self._over()).order_by(bookings.c.created_at))
        still = await self._all(
            sa.select(sa.func.count().label("many")).select_from(bookings).where(*wanted, sa.not_(self._over()))
        )
        return [to_booking(row) for row in found], int(still[0]["many"])

    async def forget(self, booking_id: str) -> bool:
        """Take the customer out of a booking and of all that hangs on it; its links stop working. What stays: what was
        booked when, for how much, what was paid and refunded. False if it is not over. Call `forget_traces` when the
        last one is done. What staff wrote down about the customer goes with the last of their bookings."""
        async with self._write(booking_id) as connection:
            await self.backend.wipe_what_is_freed(connection)
            named = sa.select(bookings.c.customer_key, bookings.c.customer_search).where(bookings.c.id == booking_id)
            key, text = (await connection.execute(named)).first() or ("", "")
            result = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking_id, self._over())
                .values(
                    **customer_columns(None),
                    visitor_key="",
                    visitor=asdict(Visitor(key="")),
                    link_version=bookings.c.link_version + 1,
                )
                .returning(bookings.c.status)
            )
            row = result.first()
            if row is None:
                return False
            await connection.execute(
                sa.update(payments).where(payments.c.booking_id == booking_id).values(params={}, session_url=None)
            )
            await connection.execute(
                sa.update(outbox)
                .where(outbox.c.booking_id == booking_id, outbox.c.sent_at.is_(None))
                .values(next_try_at=None, last_error="no longer true")
            )
            await _forget_words(connection, booking_id)
            await follow_note(connection, key, "")
            await follow_search(self.backend, connection, text, "")
            await remember(connection, booking_id, HistoryWord.FORGOTTEN, Status(row.status), at=self._now())
            return True

    async def forget_traces(self) -> bool:
        """Wipe what the database keeps of rows as they were before. False where that must wait for someone who reads
        them."""
        return await self.backend.wipe_traces()

    def _over(self) -> sa.ColumnElement[bool]:
        now = self._now()
        ended = bookings.c.status.in_([Status.EXPIRED, Status.CANCELED])
        happened = sa.and_(bookings.c.status == Status.CONFIRMED, _ends_at() <= now)
        due = reservations.alias("due")
        released = ~sa.exists().where(due.c.booking_id == bookings.c.id, due.c.due.is_not(None))
        undone = sa.or_(bookings.c.undo_until.is_(None), bookings.c.undo_until <= now)
        open_states = sorted(UNDER_WAY | {PaymentState.AUTHORIZED})
        paying = sa.exists().where(
            payments.c.booking_id == bookings.c.id,
            sa.or_(payments.c.state.in_(open_states), payments.c.dispute.not_in(DISPUTE_DECIDED)),
        )
        owing = sa.exists().where(
            refunds.c.booking_id == bookings.c.id,
            sa.or_(refunds.c.next_try_at.is_not(None), refunds.c.status.in_(sorted(REFUND_OPEN))),
        )
        moving = sa.exists().where(
            moves.c.booking_id == bookings.c.id, moves.c.state.in_([MoveState.HELD, MoveState.MOVING])
        )
        return sa.and_(sa.or_(ended, happened), released, undone, ~paying, ~owing, ~moving)


async def _forget_words(connection: AsyncConnection, booking_id: str) -> None:
    """Take what people wrote in their own words out of a booking's history."""
    lines = await connection.execute(
        sa.select(history.c.id, history.c.detail).where(history.c.booking_id == booking_id)
    )
    for line in lines.all():
        if OWN_WORDS & set(line.detail):
            kept = {name: value for name, value in line.detail.items() if name not in OWN_WORDS}
            await connection.execute(sa.update(history).where(history.c.id == line.id).values(detail=kept))


def _ends_at() -> sa.ColumnElement[datetime]:
    has = reservations.alias("has")
    return sa.select(has.c.ends_at).where(has.c.id == bookings.c.reservation_id).scalar_subquery()

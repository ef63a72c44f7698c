"""Refunds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa

from app.domain.booking import Status
from app.domain.history import HistoryWord
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentSeen
from app.domain.refund import REFUND_OPEN, Owed, Refund, RefundStatus
from app.store.database import Database
from app.store.due import add_mails, add_refunds, draw, left, mirror, remember
from app.store.prepared import NOW, Prepared, asked
from app.store.rows import to_refund
from app.store.tables import (
    Instant,
    bookings,
    refunds,
)

_OF_BOOKING = Prepared(
    sa.select(refunds).where(refunds.c.booking_id == asked("booking_id")).order_by(refunds.c.created_at)
)
_DUE = Prepared(sa.select(refunds).where(refunds.c.next_try_at <= NOW).order_by(refunds.c.next_try_at).limit(50))


class RefundRows(Database):
    """The table `refunds`."""

    async def add_refund(self, refund: Refund, *, seen: PaymentSeen, mails: Sequence[OutboxMail] = ()) -> bool:
        """Make a refund due, once per payment, reason and cause. False if it was due already."""
        async with self._write(refund.booking_id) as connection:
            await mirror(connection, seen)
            if not await add_refunds(connection, [refund]):
                return False
            await add_mails(connection, mails)
            return True

    async def mirror_refund(self, refund: Refund, *, mails: Sequence[OutboxMail] = ()) -> bool:
        """Take in a refund that was made outside Holdfast. False if it is known."""
        async with self._write(refund.booking_id) as connection:
            if not await add_refunds(connection, [refund]):
                return False
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == refund.booking_id))
            detail = {"amount": refund.amount.amount}
            status = Status(rows.scalar_one())
            await remember(
                connection, refund.booking_id, HistoryWord.REFUNDED_AT_STRIPE, status, at=self._now(), detail=detail
            )
            await add_mails(connection, mails)
            return True

    async def refunds(self, booking_id: str) -> list[Refund]:
        """Every refund of a booking, oldest first."""
        rows = await self._fetch(_OF_BOOKING, booking_id=booking_id)
        return [to_refund(row) for row in rows]

    async def refunds_of(self, booking_ids: Collection[str]) -> list[Refund]:
        """Every refund of any of these bookings, oldest first."""
        those = refunds.c.booking_id.in_(list(booking_ids))
        rows = await self._all(sa.select(refunds).where(those).order_by(refunds.c.created_at))
        return [to_refund(row) for row in rows]

    async def refunds_due(self) -> list[Refund]:
        """Refunds to ask Stripe for, or about."""
        rows = await self._fetch(_DUE, now=self._now())
        return [to_refund(row) for row in rows]

    async def try_refund(self, refund_id: str, *, again_at: datetime) -> Refund | None:
        """Record an attempt before it is made, with the time of the next one in case no answer is stored. None if it
        must not be made, because the cancellation is being undone."""
        async with self._write(_booking_of(refund_id)) as connection:
            result = await connection.execute(
                sa.update(refunds)
                .where(
                    refunds.c.id == refund_id,
                    sa.or_(refunds.c.next_try_at.is_not(None), refunds.c.stripe_refund_id.is_not(None)),
                )
                .values(
                    tries=refunds.c.tries + 1,
                    next_try_at=again_at,
                    first_tried_at=sa.func.coalesce(refunds.c.first_tried_at, sa.literal(self._now(), Instant)),
                )
                .returning(*refunds.c)
            )
            row = result.mappings().first()
            return to_refund(row) if row else None

    async def record_refund(
        self,
        refund_id: str,
        *,
        status: str,
        stripe_refund_id: str | None,
        look_at: datetime | None,
        problem: str = "",
        mails: Sequence[OutboxMail] = (),
    ) -> None:
        """Store Stripe's status; `look_at` is None if it is final. `problem` as in Refund."""
        async with self._write(_booking_of(refund_id)) as connection:
            await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund_id)
                .values(
                    status=status,
                    stripe_refund_id=stripe_refund_id,
                    next_try_at=look_at,
                    updated_at=self._now(),
                    problem=problem,
                )
            )
            await add_mails(connection, mails)

    async def count_refusal(self, refund_id: str) -> None:
        """Stripe has definitely refused to make this refund, so that the next attempt needs another key."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(refunds).where(refunds.c.id == refund_id).values(refusals=refunds.c.refusals + 1)
            )

    async def hold_up_refund(self, refund_id: str, *, problem: str, mails: Sequence[OutboxMail] = ()) -> None:
        """Record why an open refund does not go out. The next attempt, whose time `try_refund` has set, stays due."""
        async with self._write() as connection:
            noted = await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund_id, refunds.c.status.in_(sorted(REFUND_OPEN)))
                .values(problem=problem)
            )
            if noted.rowcount:
                await add_mails(connection, mails)

    async def wait_for_owner(self, refund_id: str, *, problem: str, mails: Sequence[OutboxMail] = ()) -> None:
        """No program can send this refund: it waits until the owner says that it was paid."""
        async with self._write(_booking_of(refund_id)) as connection:
            waits = await connection.execute(
                sa.update(refunds)
                .where(
                    refunds.c.id == refund_id,
                    refunds.c.status == RefundStatus.REQUESTED,
                    refunds.c.next_try_at.is_not(None),
                )
                .values(problem=problem, next_try_at=None, updated_at=self._now())
            )
            if waits.rowcount:
                await add_mails(connection, mails)

    async def pay_another_way(self, refund: Refund, amount: int) -> bool:
        """The owner has paid `amount` of a refund without Stripe: no more attempts. False if it has changed since it
        was read."""
        async with self._write(refund.booking_id) as connection:
            closed = await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund.id, refunds.c.status == refund.status)
                .values(
                    status=RefundStatus.PAID_ANOTHER_WAY,
                    amount=amount,
                    next_try_at=None,
                    problem="",
                    updated_at=self._now(),
                )
            )
            if not closed.rowcount:
                return False
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == refund.booking_id))
            status = Status(rows.scalar_one())
            detail = {"amount": amount}
            await remember(
                connection, refund.booking_id, HistoryWord.PAID_ANOTHER_WAY, status, at=self._now(), detail=detail
            )
            return True

    async def put_off_refund(self, refund_id: str, *, until: datetime) -> None:
        """Not now: the payment is disputed, or the cancellation may have been undone before a copy of the database
        was put back. Counts as no attempt, and until then it is not due."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund_id, refunds.c.next_try_at.is_not(None))
                .values(next_try_at=until, due_at=until, problem="")
            )

    async def draw_again(self, refund: Refund, owed: Owed) -> bool:
        """Stripe has less of the payment than is to go back, because money went back outside Holdfast: the refund makes
        way for what can be had. False if, as far as we know, nothing is missing."""
        async with self._write(refund.booking_id) as connection:
            if dict(await left(connection, refund.booking_id)).get(refund.payment_id, 0) >= 0:
                return False
            withdrawn = await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund.id, refunds.c.status == RefundStatus.REQUESTED)
                .values(status=RefundStatus.WITHDRAWN, next_try_at=None, updated_at=self._now())
            )
            if withdrawn.rowcount:
                await add_refunds(connection, await draw(connection, owed))
            return bool(withdrawn.rowcount)


def _booking_of(refund_id: str) -> sa.ScalarSelect[str]:
    return sa.select(refunds.c.booking_id).where(refunds.c.id == refund_id).scalar_subquery()

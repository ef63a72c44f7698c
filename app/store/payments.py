"""Attempts to pay; each has one Checkout Session."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import MAY_STILL_PAY, UNDER_WAY, Payment, PaymentMethod, PaymentSeen, PaymentState
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.due import add_mails, mirror, remember
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.rows import payment_row, to_payment
from app.store.sessions import has_open_session
from app.store.tables import (
    CAPTURED,
    DISPUTED,
    Instant,
    bookings,
    moves,
    payments,
)

_OF_BOOKING = Prepared(
    sa.select(payments).where(payments.c.booking_id == asked("booking_id")).order_by(payments.c.attempt)
)
_BY_ID = Prepared(sa.select(payments).where(payments.c.id == asked("id")))
_BY_INTENT = Prepared(sa.select(payments).where(payments.c.payment_intent_id == asked("intent")))
_BY_SESSION = Prepared(sa.select(payments).where(payments.c.session_id == asked("session")))


class PaymentRows(Database):
    """The table `payments`."""

    async def payments(self, booking_id: str) -> list[Payment]:
        """Every attempt to pay, oldest first."""
        rows = await self._fetch(_OF_BOOKING, booking_id=booking_id)
        return [to_payment(row) for row in rows]

    async def payments_of(self, booking_ids: Collection[str]) -> list[Payment]:
        """Every attempt to pay for any of these bookings, oldest first."""
        those = payments.c.booking_id.in_(list(booking_ids))
        rows = await self._all(sa.select(payments).where(those).order_by(payments.c.booking_id, payments.c.attempt))
        return [to_payment(row) for row in rows]

    async def session_ids(self) -> list[str]:
        """The ids of all Checkout Sessions, newest first."""
        rows = await self._all(
            sa.select(payments.c.session_id)
            .where(payments.c.session_id.is_not(None))
            .order_by(payments.c.created_at.desc())
        )
        return [row["session_id"] for row in rows]

    async def payment(self, payment_id: str) -> Payment | None:
        """The payment with this id."""
        rows = await self._fetch(_BY_ID, id=payment_id)
        return to_payment(rows[0]) if rows else None

    async def captured_since(self, created_after: datetime) -> list[Payment]:
        """Payments whose money Stripe has for us, by when their attempt was made; oldest first."""
        rows = await self._all(
            sa.select(payments)
            .where(
                CAPTURED,
                payments.c.method == PaymentMethod.STRIPE,
                payments.c.created_at >= created_after,
            )
            .order_by(payments.c.created_at)
        )
        return [to_payment(row) for row in rows]

    async def add_payment(self, payment: Payment, *, deadline: datetime) -> bool:
        """Another attempt for a booking that awaits payment, in place of the unfinished ones, whose Sessions were
        never given out. False if the booking is over, an attempt is open, or another process was first."""
        now = self._now()
        async with self._write(payment.booking_id) as connection:
            moved = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == payment.booking_id,
                    bookings.c.status == Status.AWAITING_PAYMENT,
                    bookings.c.deadline > now,
                    ~has_open_session(payments.c.booking_id == payment.booking_id),
                    ~sa.exists().where(
                        payments.c.booking_id == payment.booking_id, payments.c.attempt >= payment.attempt
                    ),
                )
                .values(deadline=deadline, updated_at=now)
            )
            if not moved.rowcount:
                return False
            await connection.execute(
                sa.update(payments)
                .where(payments.c.booking_id == payment.booking_id, payments.c.state == PaymentState.OPEN)
                .values(state=PaymentState.EXPIRED)
            )
            await connection.execute(sa.insert(payments).values(payment_row(payment)))
            return True

    async def add_taken(
        self, payment: Payment, *, what: HistoryWord, detail: Mapping[str, str | int], unchanged_since: int
    ) -> bool:
        """Money that was taken in person for a confirmed booking. False if the booking is not confirmed (any more), has
        another revision, and with it perhaps another price, or another attempt has this one's number."""
        async with self._write(payment.booking_id) as connection:
            rows = await connection.execute(
                sa.select(bookings.c.status).where(
                    bookings.c.id == payment.booking_id,
                    bookings.c.status == Status.CONFIRMED,
                    bookings.c.revision == unchanged_since,
                )
            )
            taken = sa.select(payments.c.id).where(
                payments.c.booking_id == payment.booking_id, payments.c.attempt >= payment.attempt
            )
            if rows.first() is None or (await connection.execute(taken)).first():
                return False
            await connection.execute(sa.insert(payments).values(payment_row(payment)))
            # Where nothing had paid it so far, this has.
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == payment.booking_id)
                .values(payment_id=sa.func.coalesce(bookings.c.payment_id, payment.id), updated_at=self._now())
            )
            await remember(connection, payment.booking_id, what, Status.CONFIRMED, at=self._now(), detail=detail)
            return True

    async def end_attempt(self, payment: Payment, *, deadline: datetime, mails: Sequence[OutboxMail] = ()) -> None:
        """Stripe has refused the attempt, so it has no page: its booking is held no longer than until `deadline`."""
        async with self._write(payment.booking_id) as connection:
            ended = await connection.execute(
                sa.update(payments)
                .where(
                    payments.c.id == payment.id,
                    payments.c.state == PaymentState.OPEN,
                    payments.c.session_id.is_(None),
                )
                .values(state=PaymentState.EXPIRED)
            )
            if ended.rowcount:
                await connection.execute(
                    sa.update(bookings)
                    .where(bookings.c.id == payment.booking_id, bookings.c.status == Status.AWAITING_PAYMENT)
                    .values(
                        deadline=sa.case(
                            (bookings.c.deadline < deadline, bookings.c.deadline), else_=sa.literal(deadline, Instant)
                        )
                    )
                )
            await add_mails(connection, mails)

    async def end_unanswered(self, booking_id: str) -> None:
        """End the booking's attempts whose answer was lost: their Sessions, if there are any, were given to nobody."""
        async with self._write(booking_id) as connection:
            await connection.execute(
                sa.update(payments)
                .where(
                    payments.c.booking_id == booking_id,
                    payments.c.state == PaymentState.OPEN,
                    payments.c.session_id.is_(None),
                    payments.c.move_id.is_(None),
                )
                .values(state=PaymentState.EXPIRED)
            )

    async def adopt_payment(self, payment: Payment) -> Payment | None:
        """An attempt to pay that Stripe knows and we do not, because the database was put back as it was before: with
        its own number, or, where that was given again since, the next one. None if someone else was first."""
        async with self._write(payment.booking_id) as connection:
            known = sa.select(payments.c.attempt).where(payments.c.booking_id == payment.booking_id)
            taken = set((await connection.execute(known)).scalars())
            attempt = payment.attempt if payment.attempt not in taken else max(taken) + 1
            adopted = replace(payment, attempt=attempt)
            if not await insert_if_new(connection, payments, payment_row(adopted)):
                return None
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == payment.booking_id))
            status = Status(rows.scalar_one())
            await remember(connection, payment.booking_id, HistoryWord.PAYMENT_FOUND, status, at=self._now())
            return adopted

    async def record_session(self, payment: Payment, *, session_id: str, url: str, look_at: datetime) -> bool:
        """Store the Session if its booking, or move, still awaits it. Only after True may the visitor be given its
        URL."""
        async with self._write(payment.booking_id) as connection:
            stored = await connection.execute(
                sa.update(payments)
                .where(
                    payments.c.id == payment.id,
                    payments.c.state == PaymentState.OPEN,
                    _is_awaited(payment),
                )
                .values(session_id=session_id, session_url=url, next_look_at=look_at)
            )
            return bool(stored.rowcount)

    async def record_payment(self, seen: PaymentSeen) -> None:
        """Mirror what Stripe says of an attempt that moved no money, unless money was seen meanwhile. That is mirrored
        by `claim` or `add_refund`, together with what follows from it."""
        async with self._write(_booking_of(seen.payment_id)) as connection:
            await mirror(connection, seen, payments.c.state.in_(MAY_STILL_PAY))

    async def record_capture(self, payment_id: str, *, state: PaymentState, captured: int) -> None:
        """Store the end of a held payment: captured or released."""
        async with self._write(_booking_of(payment_id)) as connection:
            await connection.execute(
                sa.update(payments).where(payments.c.id == payment_id).values(state=state, captured=captured)
            )

    async def payments_to_look_at(self) -> list[Payment]:
        """Open Sessions that should be read again, in case their webhook is lost."""
        rows = await self._fetch(_TO_LOOK_AT, now=self._now())
        return [to_payment(row) for row in rows]

    async def look_again(self, payment_id: str, *, at: datetime) -> None:
        """When to read this Session next."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(payments)
                .where(payments.c.id == payment_id)
                .values(next_look_at=at, looks=payments.c.looks + 1)
            )

    async def payment_of_intent(self, payment_intent_id: str) -> Payment | None:
        """The payment that this PaymentIntent of Stripe's made."""
        rows = await self._fetch(_BY_INTENT, intent=payment_intent_id)
        return to_payment(rows[0]) if rows else None

    async def disputes_to_answer(self) -> list[Payment]:
        """Payments whose dispute waits for the owner's answer at Stripe."""
        waits = payments.c.dispute.in_(["needs_response", "warning_needs_response"])
        rows = await self._all(sa.select(payments).where(waits, DISPUTED))
        return [to_payment(row) for row in rows]

    async def payment_of_session(self, session_id: str) -> Payment | None:
        """The payment that this Checkout Session of Stripe's is of."""
        rows = await self._fetch(_BY_SESSION, session=session_id)
        return to_payment(rows[0]) if rows else None

    async def record_dispute(self, payment: Payment, *, dispute: str, mails: Sequence[OutboxMail] = ()) -> bool:
        """Store the status of a dispute over the payment, in Stripe's word. False if it was stored before."""
        async with self._write(payment.booking_id) as connection:
            result = await connection.execute(
                sa.update(payments)
                .where(payments.c.id == payment.id, payments.c.dispute != dispute)
                .values(dispute=dispute)
            )
            if not result.rowcount:
                return False
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == payment.booking_id))
            status = Status(rows.scalar_one())
            detail = {"dispute": dispute}
            await remember(connection, payment.booking_id, HistoryWord.DISPUTED, status, at=self._now(), detail=detail)
            await add_mails(connection, mails)
            return True


def _is_awaited(payment: Payment) -> sa.ColumnElement[bool]:
    if payment.move_id:
        return sa.exists().where(moves.c.id == payment.move_id, moves.c.state == MoveState.HELD)
    return sa.exists().where(bookings.c.id == payment.booking_id, bookings.c.status == Status.AWAITING_PAYMENT)


def _booking_of(payment_id: str) -> sa.ScalarSelect[str]:
    return sa.select(payments.c.booking_id).where(payments.c.id == payment_id).scalar_subquery()


def select_payments_to_look_at(now: Moment) -> sa.Select[Any]:
    """Open attempts whose Session is to be read now."""
    return (
        sa.select(payments)
        .join(bookings, bookings.c.id == payments.c.booking_id)
        .outerjoin(moves, moves.c.id == payments.c.move_id)
        .where(
            payments.c.state.in_(sorted(UNDER_WAY)),
            payments.c.next_look_at <= now,
            sa.or_(bookings.c.status == Status.AWAITING_PAYMENT, moves.c.state == MoveState.HELD),
        )
    )


_TO_LOOK_AT = Prepared(select_payments_to_look_at(NOW).order_by(payments.c.next_look_at).limit(50))

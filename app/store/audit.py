"""Payments without a booking and bookings without a payment: all of them, or those among some bookings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from app.domain.booking import Channel, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.domain.payment import PaymentMethod, PaymentState
from app.domain.refund import (
    IN_PERSON_PATIENCE,
    PENDING_UNREAD_PATIENCE,
    REFUND_OPEN,
    REFUND_PATIENCE,
    REFUND_VOID,
    Refund,
    RefundStatus,
    failures,
)
from app.store.amounts import left_of_payment, total
from app.store.database import Database
from app.store.rows import last_change, to_payment, to_refund
from app.store.tables import (
    BY_HAND,
    CAPTURED,
    FAILED,
    bookings,
    history,
    moves,
    payments,
    refunds,
    stray_payments,
)

#: Between two writes that belong together lies at most a crash and the worker's next look; what is found earlier is
#: on its way, not lost.
GRACE = timedelta(minutes=10)
_STANDING = (Status.PAID, Status.CONFIRMED)
#: A time is later than this one where it is set. SQLite looks no index up for the question whether it is set.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
#: Refunds that the worker makes, or follows at Stripe.
AT_WORK = sa.and_(refunds.c.status.in_(sorted(REFUND_OPEN)), refunds.c.next_try_at > LONG_AGO)


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A payment without a booking, or a booking without a payment: `amount` in smallest units, `why` one word."""

    booking_id: str
    amount: int
    currency: str
    why: str


class AuditRows(Database):
    """Questions about money. `among` names the bookings that are looked at; None for all, which reads every payment
    there ever was."""

    async def money_without_booking(self, *, among: Collection[str] | None = None) -> list[Discrepancy]:
        """Money that is kept, or held on a card, although nothing stands for it; refunds that failed, and those that
        Stripe refuses or does not answer. Other refunds that are owed or on their way count as refunded. Empty in
        health."""
        unbooked = await self._unbooked_money(among)
        known = {payment_id for payment_id, _ in unbooked}
        found = [found for _, found in unbooked]
        strays = [Discrepancy(**row) for row in await self._all(_STRAYS)]
        return [*found, *await self._failed_refunds(besides=known), *await self._refunds_held_up(), *strays]

    async def _unbooked_money(self, among: Collection[str] | None) -> list[tuple[str, Discrepancy]]:
        """(payment id, what is left of it) of every payment that nothing stands for."""
        left = left_of_payment()
        held = payments.c.state == PaymentState.AUTHORIZED
        amount = sa.case((held, payments.c.amount), else_=left)
        why = sa.case(
            (bookings.c.status == Status.CANCELED, "canceled"),
            (bookings.c.status.in_([Status.PAID, Status.OFFERED]), "not_confirmed"),
            (bookings.c.status.not_in(_STANDING), "never_booked"),
            (moves.c.id.is_not(None), "not_moved"),
            else_="paid_twice",
        )
        # What may be kept of a payment when its customer cancels is in the terms, and was drawn with the claim. Owners
        # keep nothing, or everything because they say so. What is only held is let go, whoever cancels.
        chose_to_keep = sa.exists().where(
            history.c.booking_id == bookings.c.id,
            history.c.what == HistoryWord.BY_OWNER,
            history.c.detail["kept"].as_boolean(),
        )
        kept = sa.and_(
            bookings.c.status == Status.CANCELED,
            sa.not_(held),
            sa.or_(
                bookings.c.end_reason == EndReason.BY_CUSTOMER,
                sa.and_(bookings.c.end_reason == EndReason.BY_OWNER, chose_to_keep),
            ),
        )
        # What the owner takes in person may come in parts.
        for_booking = sa.and_(
            bookings.c.status == Status.CONFIRMED,
            sa.or_(payments.c.id == bookings.c.payment_id, payments.c.method != PaymentMethod.STRIPE),
        )
        # Until the customer has chosen a time, or has not.
        to_choose = sa.and_(
            bookings.c.status == Status.OFFERED,
            payments.c.id == bookings.c.payment_id,
            bookings.c.deadline > self._now() - GRACE,
        )
        for_move = sa.and_(bookings.c.status == Status.CONFIRMED, moves.c.state == MoveState.DONE)
        # A cancelled booking's own payments for moves are kept or refunded with it.
        stands = sa.or_(for_booking, to_choose, sa.func.coalesce(for_move, False), kept)
        rows = await self._all(
            sa.select(
                payments.c.id,
                payments.c.booking_id,
                amount.label("amount"),
                payments.c.currency,
                why.label("why"),
            )
            .join(bookings, bookings.c.id == payments.c.booking_id)
            .outerjoin(moves, moves.c.id == payments.c.move_id)
            .where(
                # As `CAPTURED` is worded, and as dear otherwise.
                payments.c.state.concat("").in_([PaymentState.CAPTURED, PaymentState.AUTHORIZED]),
                sa.not_(sa.func.coalesce(stands, False)),
                amount > 0,
                last_change() <= self._now() - GRACE,
                *_within(payments.c.booking_id, among),
            )
            .order_by(payments.c.created_at)
        )
        return [(row["id"], Discrepancy(row["booking_id"], row["amount"], row["currency"], row["why"])) for row in rows]

    async def _failed_refunds(self, *, besides: Collection[str]) -> list[Discrepancy]:
        """Refunds that failed and were not paid in another way, except for the payments in `besides`."""
        canceled = {
            row["id"]
            for row in await self._all(
                sa.select(bookings.c.id)
                .join(refunds, refunds.c.booking_id == bookings.c.id)
                .where(FAILED, bookings.c.status == Status.CANCELED)
            )
        }
        return [
            Discrepancy(
                refund.booking_id,
                amount,
                refund.amount.currency,
                "canceled" if refund.booking_id in canceled else "not_refunded",
            )
            for refund, amount in await self.refund_failures()
            if amount and refund.payment_id not in besides and refund.updated_at <= self._now() - GRACE
        ]

    async def refund_failures(self) -> list[tuple[Refund, int]]:
        """Every failed refund, with what is still to be paid back of it."""
        touched = sa.select(refunds.c.booking_id).where(FAILED)
        made = [
            to_refund(row)
            for row in await self._all(
                sa.select(refunds).where(refunds.c.booking_id.in_(touched)).order_by(refunds.c.created_at)
            )
        ]
        paid = [
            to_payment(row) for row in await self._all(sa.select(payments).where(payments.c.booking_id.in_(touched)))
        ]
        found = []
        for booking_id in dict.fromkeys(refund.booking_id for refund in made):
            own = [refund for refund in made if refund.booking_id == booking_id]
            amounts = failures([payment for payment in paid if payment.booking_id == booking_id], own)
            found += [(refund, amounts[refund.id]) for refund in own if refund.id in amounts]
        return found

    async def _refunds_held_up(self) -> list[Discrepancy]:
        """Refunds that Stripe refuses, or has not answered for longer than is usual. Money that is only held counts as
        unbooked. What was paid in person is the owner's to refund, within days."""
        now = self._now()
        requested = refunds.c.status == RefundStatus.REQUESTED
        late = sa.or_(
            refunds.c.problem != "",
            sa.and_(requested, refunds.c.due_at <= now - REFUND_PATIENCE),
            sa.and_(sa.not_(requested), refunds.c.updated_at <= now - PENDING_UNREAD_PATIENCE),
        )
        due = sa.select(refunds.c.booking_id, refunds.c.amount, refunds.c.currency).order_by(refunds.c.due_at)
        rows = await self._all(
            due.join(payments, payments.c.id == refunds.c.payment_id).where(
                AT_WORK, late, payments.c.state != PaymentState.AUTHORIZED
            )
        )
        rows += await self._all(due.where(BY_HAND, refunds.c.due_at <= now - IN_PERSON_PATIENCE))
        return [Discrepancy(**row, why="not_refunded") for row in rows]

    async def bookings_without_money(self, *, among: Collection[str] | None = None) -> list[Discrepancy]:
        """Confirmed bookings for which less was taken than they cost, or for which everything had gone back before they
        were confirmed. What the owner refunds afterwards was taken all the same; what they book for a customer,
        other than by a payment link, is paid when they say. Empty in health."""
        price = sa.cast(bookings.c.terms["amount"].as_string(), sa.BigInteger)
        currency = bookings.c.terms["currency"].as_string()
        taken = (
            sa.select(total(payments.c.captured))
            .where(payments.c.booking_id == bookings.c.id, CAPTURED)
            .scalar_subquery()
        )
        cheaper = (
            sa.select(total(refunds.c.amount))
            .where(
                refunds.c.booking_id == bookings.c.id,
                refunds.c.reason == EndReason.CHEAPER,
                refunds.c.status.not_in(REFUND_VOID),
            )
            .scalar_subquery()
        )
        missing = price - (taken - cheaper)
        gone_before = (
            sa.select(total(refunds.c.amount))
            .where(
                refunds.c.booking_id == bookings.c.id,
                refunds.c.created_at <= bookings.c.confirmed_at,
                refunds.c.status.not_in(REFUND_VOID),
            )
            .scalar_subquery()
        )
        never_had = sa.and_(price > 0, taken - gone_before <= 0)
        missing = sa.case((never_had, price), else_=missing)
        rows = await self._all(
            sa.select(
                bookings.c.id.label("booking_id"),
                missing.label("amount"),
                currency.label("currency"),
                sa.literal("not_paid").label("why"),
            )
            .where(
                # No index on the status: nearly every booking is confirmed.
                bookings.c.status.concat("") == Status.CONFIRMED,
                sa.or_(bookings.c.channel == Channel.ONLINE, bookings.c.pay_link),
                missing > 0,
                last_change() <= self._now() - GRACE,
                *_within(bookings.c.id, among),
            )
            .order_by(bookings.c.created_at)
        )
        return [Discrepancy(**row) for row in rows]

    async def happened_since(self, moment: datetime) -> set[str]:
        """The bookings to which anything has happened since. Reads the newest lines of the history and no others."""
        before = sa.select(history.c.id).where(history.c.at < moment).order_by(history.c.id.desc()).limit(1)
        newer = history.c.id > sa.func.coalesce(before.scalar_subquery(), 0)
        return {row["booking_id"] for row in await self._all(sa.select(history.c.booking_id).where(newer))}


#: Nothing of these is on its way, so nothing is waited for.
_STRAYS = (
    sa.select(
        stray_payments.c.booking_id,
        (stray_payments.c.amount - stray_payments.c.returned).label("amount"),
        stray_payments.c.currency,
        sa.literal("unknown_booking").label("why"),
    )
    .where(stray_payments.c.settled_at.is_(None), stray_payments.c.amount > stray_payments.c.returned)
    .order_by(stray_payments.c.paid_at)
)


def _within(booking_id: sa.Column[str], among: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    return [] if among is None else [booking_id.in_(among)]

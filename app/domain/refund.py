"""Refunds: how much is due, from which payment, and what is left. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.booking import Booking, Channel, EndReason
from app.domain.money import Money
from app.domain.move import Move
from app.domain.payment import Payment, PaymentState


class RefundStatus(StrEnum):
    """How a refund stands."""

    #: Stripe has not answered yet.
    REQUESTED = "requested"
    #: The cancellation was undone before Stripe was asked, or something else has replaced the refund.
    WITHDRAWN = "withdrawn"
    #: The owner paid a failed or refused refund without Stripe, so it counts as refunded.
    PAID_ANOTHER_WAY = "paid_another_way"
    # Stripe's words (Stripe docs, "Refund", status)
    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


def refund_status(word: str) -> RefundStatus | str:
    """The status that a row or Stripe tells. A word of Stripe's that is not in our list is kept as it is: it is not
    open, and counts as refunded."""
    try:
        return RefundStatus(word)
    except ValueError:
        return word


#: Stripe has accepted these, and has not said yet what becomes of them.
REFUND_AT_STRIPE = frozenset({RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION})


#: Stripe may still send these.
REFUND_OPEN = REFUND_AT_STRIPE | {RefundStatus.REQUESTED}


#: Stripe could not deliver these; the money is still the customer's.
REFUND_FAILED = frozenset({RefundStatus.FAILED, RefundStatus.CANCELED})


#: Refunds that came to nothing: Stripe said so in the end, or they were withdrawn before Stripe was asked.
REFUND_VOID = REFUND_FAILED | {RefundStatus.WITHDRAWN}


#: As far as we can know, the customer has this money.
REFUND_DONE = frozenset({RefundStatus.SUCCEEDED, RefundStatus.PAID_ANOTHER_WAY})


#: `Refund.problem` of a refund that Stripe has not answered for a while.
NO_ANSWER = "no answer"


#: `Refund.problem` of one that Stripe has accepted and sends when the account's balance suffices (Stripe docs,
#: "Refund", pending_reason).
BALANCE_TOO_LOW = "insufficient_funds"


#: `Refund.problem` of money that was taken in person: Stripe cannot send it, so the owner refunds it, and says so.
IN_PERSON = "in person"


#: How long the owner may take for that before it is an alarm.
IN_PERSON_PATIENCE = timedelta(days=3)


#: A due refund that Stripe has not answered for so long is reported to the owner.
REFUND_PATIENCE = timedelta(hours=1)


#: Stripe has this one already, so its state may stay unread for longer.
PENDING_UNREAD_PATIENCE = timedelta(days=1)


#: Banks take up to ten business days (Stripe docs, "Refunds").
PENDING_PATIENCE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Owed:
    """Money to refund for a booking, whichever of its payments it comes from: the newest first, and never more of
    one than it brought. `cause` tells two debts for the same reason apart; Stripe is asked from `due_at` on."""

    id: str
    booking_id: str
    amount: Money
    reason: EndReason
    cause: str
    due_at: datetime
    created_at: datetime

    def draw(self, left: Sequence[tuple[str, int]]) -> list[Refund]:
        """The refunds, given what is left of each payment, (payment id, smallest units), newest first."""
        refunds: list[Refund] = []
        rest = self.amount.amount
        for payment_id, available in left:
            amount = min(rest, available)
            if amount <= 0:
                continue
            rest -= amount
            refunds.append(
                Refund(
                    id=f"{self.id}_{len(refunds) + 1}" if refunds else self.id,
                    booking_id=self.booking_id,
                    payment_id=payment_id,
                    amount=Money(amount, self.amount.currency),
                    reason=self.reason,
                    status=RefundStatus.REQUESTED,
                    stripe_refund_id=None,
                    first_tried_at=None,
                    tries=0,
                    next_try_at=self.due_at,
                    created_at=self.created_at,
                    updated_at=self.created_at,
                    due_at=self.due_at,
                    cause=self.cause,
                )
            )
        return refunds


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund. `status` is as `refund_status` reads it.

    `due_at` is since when Stripe is to be asked; the time that a dispute takes does not count. `problem` is why Stripe
    does not carry it out: the code of its refusal, or `NO_ANSWER`; empty while nothing is wrong. `refusals` counts
    the definite ones."""

    id: str
    booking_id: str
    payment_id: str
    amount: Money
    reason: str
    status: RefundStatus | str
    stripe_refund_id: str | None
    first_tried_at: datetime | None
    tries: int
    next_try_at: datetime | None
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    cause: str = ""
    problem: str = ""
    refusals: int = 0

    def is_of(self, canceled: Booking) -> bool:
        """Whether it is of this cancellation, not of an earlier one that was undone."""
        return (self.reason, self.cause) == (canceled.end_reason, str(canceled.revision))

    @property
    def delayed(self) -> bool:
        """Whether it should have gone out, but Stripe refuses it or does not answer."""
        return bool(self.problem) and self.status in REFUND_OPEN


def money_left(payments: Sequence[Payment], refunds: Sequence[Refund]) -> int:
    """What of all that was captured is neither refunded, nor being refunded, nor lost in a dispute, in smallest
    units. Never below 0, although money may have gone out outside Holdfast while ours was waiting."""
    here = {
        payment.id: payment.captured
        for payment in payments
        if payment.state is PaymentState.CAPTURED and not payment.returned_by_bank
    }
    for refund in refunds:
        if refund.payment_id in here and refund.status not in REFUND_VOID:
            here[refund.payment_id] -= refund.amount.amount
    return sum(max(0, amount) for amount in here.values())


#: What the owner refunds outside the terms, here or in Stripe's dashboard.
_BY_HAND = frozenset({EndReason.GOODWILL, EndReason.AT_STRIPE})


def _made_good(refunds: Sequence[Refund]) -> list[tuple[Refund, Refund, int]]:
    """(failed refund, the owner's later refund in its place, how much of it in smallest units), oldest first.

    A replacement that fails in turn still replaces: then it is the one that is to be made good."""
    available = {
        refund.id: refund.amount.amount
        for refund in refunds
        if refund.reason in _BY_HAND and refund.status != RefundStatus.WITHDRAWN
    }
    pairs = []
    for failed in refunds:
        missing = failed.amount.amount if failed.status in REFUND_FAILED else 0
        for later in refunds:
            amount = min(missing, available.get(later.id, 0))
            if amount and later is not failed and later.created_at >= failed.updated_at:
                available[later.id] -= amount
                missing -= amount
                pairs.append((failed, later, amount))
    return pairs


def failures(payments: Sequence[Payment], refunds: Sequence[Refund]) -> dict[str, int]:
    """What is still to be paid back of each failed refund, by its id, in smallest units; 0 where it was made good:
    the owner refunded it later, or nothing is left of the payment. `refunds` oldest first."""
    left = {
        payment.id: payment.captured - sum(_live(refund) for refund in refunds if refund.payment_id == payment.id)
        for payment in payments
        if not payment.returned_by_bank
    }
    open_amounts: dict[str, int] = {}
    made_good = _made_good(refunds)
    for refund in refunds:
        if refund.status in REFUND_FAILED:
            missing = refund.amount.amount - sum(amount for failed, _, amount in made_good if failed is refund)
            open_amounts[refund.id] = min(missing, max(0, left.get(refund.payment_id, 0)))
            left[refund.payment_id] = left.get(refund.payment_id, 0) - open_amounts[refund.id]
    return open_amounts


def payable_another_way(payments: Sequence[Payment], refunds: Sequence[Refund]) -> dict[str, int]:
    """What the owner may pay back without Stripe, by refund id, in smallest units: what failed and was not made good,
    and what Stripe refuses or does not answer. Not what Stripe sends by itself when its balance suffices: that must
    first be cancelled there, or the customer gets it twice. `refunds` oldest first."""
    amounts = {refund_id: amount for refund_id, amount in failures(payments, refunds).items() if amount}
    for refund in refunds:
        if refund.delayed and refund.problem != BALANCE_TOO_LOW:
            amounts[refund.id] = refund.amount.amount
    return amounts


def given_back(booking: Booking, payments: Sequence[Payment], refunds: Sequence[Refund]) -> int:
    """How much of the price was already refunded outside the terms, in smallest units; a cancellation refunds that much
    less. Not counted are refunds because the price fell, refunds of a second payment, and the owner's refunds that only
    replace a failed one of these."""
    paying = {booking.payment_id} | {payment.id for payment in payments if payment.move_id or payment.in_person}
    by_hand = sum(_live(refund) for refund in refunds if refund.reason in _BY_HAND and refund.payment_id in paying)
    replaced = sum(
        amount
        for failed, later, amount in _made_good(refunds)
        if failed.reason not in _BY_HAND and _live(later) and later.payment_id in paying
    )
    return by_hand - replaced


def _live(refund: Refund) -> int:
    return 0 if refund.status in REFUND_VOID else refund.amount.amount


def _before(refund: Refund, canceled: Booking) -> bool:
    return canceled.canceled_at is not None and refund.created_at <= canceled.canceled_at


@dataclass(frozen=True, slots=True)
class Funds:
    """A booking's payments and refunds. All amounts in smallest units."""

    payments: Sequence[Payment]
    refunds: Sequence[Refund]

    @property
    def left(self) -> int:
        """What of the money is still here."""
        return money_left(self.payments, self.refunds)

    @property
    def paid(self) -> int:
        """What was taken, including what has been refunded since."""
        return sum(payment.captured for payment in self.captured)

    @property
    def returned(self) -> int:
        """What has been or is being refunded; what a bank took back in a dispute does not count."""
        ids = {payment.id for payment in self.captured}
        return sum(_live(refund) for refund in self.refunds if refund.payment_id in ids)

    @property
    def captured(self) -> list[Payment]:
        """The payments that were captured."""
        return [payment for payment in self.payments if payment.state is PaymentState.CAPTURED]

    def held(self, booking: Booking) -> bool:
        """Whether the bank only holds the booking's own payment, so that releasing it charges nothing."""
        return any(
            payment.id == booking.payment_id and payment.state is PaymentState.AUTHORIZED for payment in self.payments
        )

    def open_amount(self, booking: Booking) -> int:
        """How much of the price is neither paid nor being paid: to be paid at the visit, if it was booked that way."""
        under_way = any(
            payment.state in {PaymentState.AUTHORIZED, PaymentState.PROCESSING} for payment in self.payments
        )
        came = sum(payment.captured for payment in self.payments if payment.state is PaymentState.CAPTURED)
        return 0 if under_way else max(0, booking.terms.price.amount - came)

    def to_pay_at_visit(self, booking: Booking) -> int:
        """How much of the price the owner has agreed to take later. What others than the desk have booked was paid
        before it was confirmed."""
        return self.open_amount(booking) if booking.channel is Channel.DESK else 0

    def back_for_lower_price(self, booking: Booking, due: int) -> int:
        """How much of what a move to a lower price gives is refunded: what is still to be paid falls first."""
        return min(max(0, due - self.to_pay_at_visit(booking)), self.left)

    @property
    def in_person(self) -> bool:
        """Whether any of the money was taken in person."""
        return any(payment.in_person and payment.captured for payment in self.payments)

    def sent_since(self, canceled: Booking) -> int:
        """What has been refunded since the booking was cancelled, other than by the cancellation itself."""
        return sum(_live(refund) for refund in self._of_others(canceled) if not _before(refund, canceled))

    def left_without(self, canceled: Booking) -> int:
        """What would be left if the refunds of this cancellation were withdrawn."""
        return money_left(self.payments, self._of_others(canceled))

    def gone_since(self, canceled: Booking) -> bool:
        """Whether nothing is left of what was here when the booking was cancelled, even if the refunds of this
        cancellation were withdrawn: there is nothing that its undo could stand on."""
        others = self._of_others(canceled)
        before = sum(_live(refund) for refund in others if _before(refund, canceled))
        # What the cancellation drew was here; where it drew nothing, only the clock tells.
        was_here = len(others) < len(self.refunds) or self.paid > before
        return was_here and self.left_without(canceled) == 0

    def _of_others(self, canceled: Booking) -> list[Refund]:
        return [refund for refund in self.refunds if not refund.is_of(canceled)]

    def paid_for(self, move: Move | None) -> int:
        """What was paid for a move that is not done yet."""
        if move is None or move.payment_id is None:
            return 0
        return money_left([payment for payment in self.payments if payment.id == move.payment_id], self.refunds)

"""Attempts to pay, and what Stripe says of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.money import Money
from app.domain.terms import Capture


class PaymentState(StrEnum):
    """The state of one Checkout Session of a booking, as we read Stripe's answer."""

    #: Not created yet, or open: the customer may still pay.
    OPEN = "open"
    #: Ended without payment.
    EXPIRED = "expired"
    #: A delayed method is still processing.
    PROCESSING = "processing"
    #: Held for capture.
    AUTHORIZED = "authorized"
    #: Stripe has taken the money for us.
    CAPTURED = "captured"
    #: The held money was released before capture, or lapsed.
    VOIDED = "voided"
    #: Complete, but no money came.
    FAILED = "failed"


class PaymentMethod(StrEnum):
    """How it is paid. Stripe knows only about its own payments."""

    STRIPE = "stripe"
    # Taken by the owner in person, outside Stripe
    CASH = "cash"
    CARD_TERMINAL = "card_terminal"


class Pays(StrEnum):
    """How the customer pays."""

    CASH = "cash"
    CARD_TERMINAL = "card_terminal"
    #: When they come; the owner notes it then.
    AT_VISIT = "at_visit"
    #: Nothing, although the service has a price.
    NO_CHARGE = "no_charge"
    #: By a link in a mail, which holds the time until the owner's deadline.
    LINK = "link"

    @property
    def method(self) -> PaymentMethod | None:
        """How the money is taken now; None if none is."""
        return PaymentMethod(self.value) if self in {Pays.CASH, Pays.CARD_TERMINAL} else None


#: The customer may be paying: the Session is open, or Stripe is still processing the payment.
UNDER_WAY = frozenset({PaymentState.OPEN, PaymentState.PROCESSING})
#: Money may still come, because no captured or held money was seen: a payment may land late on an expired Session, and
#: a delayed method that has failed, or a hold that was let go, may be paid after all.
MAY_STILL_PAY = frozenset(
    {
        PaymentState.OPEN,
        PaymentState.PROCESSING,
        PaymentState.EXPIRED,
        PaymentState.FAILED,
        PaymentState.VOIDED,
    }
)


#: A dispute that stands thus is decided, or was no more than a question (Stripe docs, "Dispute", status).
DISPUTE_OVER = frozenset({"", "won", "warning_closed", "prevented"})
#: The customer has the money, by way of the bank.
DISPUTE_LOST = "lost"
DISPUTE_DECIDED = DISPUTE_OVER | {DISPUTE_LOST}


def undecided(dispute: str) -> bool:
    """Whether a dispute with this status (Stripe's word) is still undecided."""
    return dispute not in DISPUTE_DECIDED


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay: the parameters of its Checkout Session are stored before Stripe is asked. What was taken in
    person has none, and is captured from the start.

    `move_id` names the move whose difference it pays; None where it pays the booking itself. `dispute` is Stripe's
    word for how a dispute over it stands, empty without one.
    """

    id: str
    booking_id: str
    attempt: int
    state: PaymentState
    price: Money
    capture: Capture
    params: Mapping[str, Any]
    session_id: str | None
    session_url: str | None
    payment_intent_id: str | None
    expires_at: datetime
    captured: int
    looks: int
    created_at: datetime
    move_id: str | None = None
    dispute: str = ""
    method: PaymentMethod = PaymentMethod.STRIPE

    @property
    def in_person(self) -> bool:
        """Whether the owner took it, so that only the owner can refund it."""
        return self.method is not PaymentMethod.STRIPE

    @property
    def returned_by_bank(self) -> bool:
        """Whether the customer has won a dispute about it: nothing of it is left, and nothing of it is due."""
        return self.dispute == DISPUTE_LOST

    @property
    def in_dispute(self) -> bool:
        """Whether a bank still has to decide about it: until then it cannot be refunded."""
        return undecided(self.dispute)


@dataclass(frozen=True, slots=True)
class PaymentSeen:
    """What Stripe says of one attempt to pay, for its row."""

    payment_id: str
    state: PaymentState
    session_id: str
    payment_intent_id: str | None
    captured: int


@dataclass(frozen=True, slots=True)
class StrayPayment:
    """Money that one of our payment pages took for a booking which this database does not know.

    `money` is what was paid, `returned` what of it has gone back since, in smallest units. `told_at` is when the owner
    was mailed, `settled_at` when nothing was left to decide, `outcome` how: "refunded", "adopted" or "by_hand".
    """

    session_id: str
    payment_intent_id: str | None
    booking_id: str
    money: Money
    returned: int
    paid_at: datetime
    seen_at: datetime
    told_at: datetime | None = None
    tries: int = 0
    settled_at: datetime | None = None
    outcome: str = ""

    @property
    def left(self) -> Money:
        """What of the money is still here."""
        return Money(max(0, self.money.amount - self.returned), self.money.currency)

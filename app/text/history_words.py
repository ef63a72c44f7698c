"""A booking's history and refunds in words, for the owner: in the terminal and on the staff page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.domain.booking import EndReason
from app.domain.history import HistoryWord
from app.domain.payment import PaymentMethod
from app.domain.refund import RefundStatus
from app.msgid import N_

#: By the history's own words.
HISTORY: Final[Mapping[str, str]] = {
    "held": N_("Time held"),
    "booked_there": N_("Booked on the calendar's own page, not paid yet"),
    "booked_at_desk": N_("Booked by the owner"),
    "price_changed": N_("Held at a new price, which the page showed"),
    "extended": N_("Hold extended"),
    "payment_started": N_("Sent to Stripe to pay"),
    "payment_found": N_("Payment page found at Stripe that was not known here"),
    "paid": N_("Paid"),
    "paid_late": N_("Paid after the hold had ended"),
    "nothing_due": N_("Nothing to pay"),
    "no_charge": N_("No charge"),
    "taken_in_person": N_("Paid on the spot"),
    "pays_at_visit": N_("To be paid at the visit"),
    "link_sent": N_("Payment link emailed"),
    "link_extended": N_("More time to pay"),
    "link_resent": N_("Payment link emailed again"),
    "confirmed": N_("Confirmed"),
    "rescued": N_("Confirmed, booked again"),
    "other_person_asked": N_("Another person asked for at the same time"),
    "offered": N_("Other times held for the customer to choose"),
    "chosen": N_("The customer chose one of the other times"),
    "other_person": N_("Booked with another person at the same time"),
    "taking_back": N_("Cancellation being undone"),
    "taken_back": N_("Cancellation undone"),
    "not_taken_back": N_("Cancellation not undone: the time was no longer free"),
    "move_held": N_("New time held for a move"),
    "difference_paid": N_("Difference paid"),
    "moved": N_("Moved"),
    "move_refused": N_("Not moved: the new time was no longer free"),
    "move_expired": N_("Not moved: the difference was not paid"),
    "no_show": N_("Did not come"),
    "came_after_all": N_("Came after all"),
    "refund_added": N_("Refund by the owner"),
    "refunded_at_stripe": N_("Refunded at Stripe"),
    "disputed": N_("Disputed at the bank"),
    HistoryWord.PAID_ANOTHER_WAY: N_("Refund paid another way"),
    "email_corrected": N_("Email address corrected"),
    "details_corrected": N_("Customer's details corrected"),
    "mails_resent": N_("Undelivered emails sent again"),
    EndReason.BY_CUSTOMER: N_("Cancelled by the customer"),
    EndReason.BY_OWNER: N_("Cancelled by the owner"),
    EndReason.DEADLINE: N_("Not paid in time"),
    EndReason.GIVEN_UP: N_("Hold released by the visitor"),
    EndReason.REFUSED: N_("Not booked: the time was taken"),
    EndReason.NO_ANSWER: N_("Not booked: the calendar did not answer"),
    EndReason.PAYMENT_FAILED: N_("Not booked: the payment failed"),
    EndReason.TAKEN: N_("Not booked: someone else took the time in the calendar; nothing is kept of the payment"),
    EndReason.SLOT_GONE: N_("Not booked: the time was no longer free; the payment is refunded"),
    EndReason.NOT_CHOSEN: N_("Not booked: no other time was chosen; the payment is refunded"),
    EndReason.BEGUN: N_("Not booked: paid after the appointment had started; the payment is refunded"),
    EndReason.REFUNDED: N_("Not booked: refunded before it was confirmed"),
    EndReason.CAPTURE_FAILED: N_("Not booked: the money held on the card could not be charged"),
    EndReason.PAYMENT_MISMATCH: N_("Not booked: the payment did not match the price"),
}

#: How money was taken in person.
PAID_HOW: Final[Mapping[PaymentMethod, str]] = {
    PaymentMethod.CASH: N_("in cash"),
    PaymentMethod.CARD_TERMINAL: N_("by card terminal"),
}

#: Stripe's word for where a refund stands, and our three.
REFUND_STANDS: Final[Mapping[str, str]] = {
    RefundStatus.REQUESTED: N_("Stripe has not accepted it yet; we keep trying"),
    RefundStatus.PENDING: N_("on its way"),
    RefundStatus.REQUIRES_ACTION: N_("waiting at Stripe; see the Stripe dashboard"),
    RefundStatus.SUCCEEDED: N_("sent"),
    RefundStatus.FAILED: N_("failed at Stripe; pay it back another way"),
    RefundStatus.CANCELED: N_("cancelled at Stripe; pay it back another way"),
    RefundStatus.WITHDRAWN: N_("withdrawn, nothing is sent"),
    RefundStatus.PAID_ANOTHER_WAY: N_("paid back another way"),
}

"""A booking's history and refunds in words, for the owner: in the terminal and on the staff page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.domain.booking import EndReason
from app.domain.history import HistoryEntry, HistoryWord
from app.domain.payment import PaymentMethod
from app.domain.refund import RefundStatus
from app.msgid import N_

#: By the history's own words.
HISTORY: Final[Mapping[str, str]] = {
    HistoryWord.HELD: N_("Time held"),
    HistoryWord.BOOKED_THERE: N_("Booked on the calendar's own page, not paid yet"),
    HistoryWord.BOOKED_AT_DESK: N_("Booked by the owner"),
    HistoryWord.PRICE_CHANGED: N_("Held at a new price, which the page showed"),
    HistoryWord.EXTENDED: N_("Hold extended"),
    HistoryWord.PAYMENT_STARTED: N_("Sent to Stripe to pay"),
    HistoryWord.PAYMENT_FOUND: N_("Payment page found at Stripe that was not known here"),
    HistoryWord.PAID: N_("Paid"),
    HistoryWord.PAID_LATE: N_("Paid after the hold had ended"),
    HistoryWord.NOTHING_DUE: N_("Nothing to pay"),
    HistoryWord.NO_CHARGE: N_("No charge"),
    HistoryWord.TAKEN_IN_PERSON: N_("Paid on the spot"),
    HistoryWord.PAYS_AT_VISIT: N_("To be paid at the visit"),
    HistoryWord.LINK_SENT: N_("Payment link emailed"),
    HistoryWord.LINK_EXTENDED: N_("More time to pay"),
    HistoryWord.LINK_RESENT: N_("Payment link emailed again"),
    HistoryWord.CONFIRMED: N_("Confirmed"),
    HistoryWord.RESCUED: N_("Confirmed, booked again"),
    HistoryWord.OTHER_PERSON_ASKED: N_("Another person asked for at the same time"),
    HistoryWord.OFFERED: N_("Other times held for the customer to choose"),
    HistoryWord.CHOSEN: N_("The customer chose one of the other times"),
    HistoryWord.OTHER_PERSON: N_("Booked with another person at the same time"),
    HistoryWord.TAKING_BACK: N_("Cancellation being undone"),
    HistoryWord.TAKEN_BACK: N_("Cancellation undone"),
    HistoryWord.NOT_TAKEN_BACK: N_("Cancellation not undone: the time was no longer free"),
    HistoryWord.MOVE_HELD: N_("New time held for a move"),
    HistoryWord.DIFFERENCE_PAID: N_("Difference paid"),
    HistoryWord.MOVED: N_("Moved"),
    HistoryWord.MOVE_REFUSED: N_("Not moved: the new time was no longer free"),
    HistoryWord.MOVE_EXPIRED: N_("Not moved: the difference was not paid"),
    HistoryWord.NO_SHOW: N_("Did not come"),
    HistoryWord.CAME_AFTER_ALL: N_("Came after all"),
    HistoryWord.REFUND_ADDED: N_("Refund by the owner"),
    HistoryWord.REFUNDED_AT_STRIPE: N_("Refunded at Stripe"),
    HistoryWord.DISPUTED: N_("Disputed at the bank"),
    HistoryWord.PAID_ANOTHER_WAY: N_("Refund paid another way"),
    HistoryWord.EMAIL_CORRECTED: N_("Email address corrected"),
    HistoryWord.DETAILS_CORRECTED: N_("Customer's details corrected"),
    HistoryWord.MAILS_RESENT: N_("Undelivered emails sent again"),
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

#: Where the reason says what happened, and the word alone would say something else.
_BY_REASON: Final[Mapping[tuple[str, str], str]] = {
    (HistoryWord.MOVE_EXPIRED, EndReason.BEGUN): N_("The payment arrived after the appointment had started."),
    **{
        (HistoryWord.NOT_TAKEN_BACK, why): HISTORY[why]
        for why in (EndReason.REFUNDED, EndReason.NO_ANSWER, EndReason.BY_CUSTOMER, EndReason.BY_OWNER)
    },
}


def telling_reason(entry: HistoryEntry) -> str:
    """The reason that says what happened better than the history's own word; empty where that says it."""
    why = str(entry.detail.get("why", ""))
    return why if (entry.what, why) in _BY_REASON else ""


def history_words(entry: HistoryEntry) -> str:
    """What happened, for the owner, in English: to be translated."""
    why = telling_reason(entry)
    if why:
        return _BY_REASON[entry.what, why]
    return HISTORY.get(entry.what, entry.what.replace("_", " "))


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

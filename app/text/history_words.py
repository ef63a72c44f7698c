"""What the owner is told of a booking's history and refunds, in the terminal and on the staff page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.domain.booking import EndReason
from app.domain.refund import PAID_ANOTHER_WAY
from app.msgid import N_

#: By the history's own words.
HISTORY: Final[Mapping[str, str]] = {
    "held": N_("Time held"),
    "price_changed": N_("Held at a new price, which the page told"),
    "extended": N_("Hold extended"),
    "payment_started": N_("Sent to Stripe to pay"),
    "payment_found": N_("Payment page found at Stripe, unknown here until now"),
    "paid": N_("Paid"),
    "paid_late": N_("Paid after the hold had ended"),
    "nothing_due": N_("Nothing to pay"),
    "confirmed": N_("Confirmed"),
    "rescued": N_("Confirmed, booked afresh"),
    "other_person": N_("With another person at the same time"),
    "taking_back": N_("Cancellation being taken back"),
    "taken_back": N_("Cancellation taken back"),
    "not_taken_back": N_("Cancellation stands: the time was gone"),
    "move_held": N_("New time held for a move"),
    "difference_paid": N_("Difference paid"),
    "moved": N_("Moved"),
    "move_refused": N_("Not moved: the new time was gone"),
    "move_expired": N_("Not moved: the difference was not paid"),
    "no_show": N_("Did not come"),
    "came_after_all": N_("Came after all"),
    "refund_added": N_("Refund by the owner"),
    "refunded_at_stripe": N_("Refund made at Stripe"),
    "disputed": N_("Disputed at the bank"),
    PAID_ANOTHER_WAY: N_("Refund paid another way"),
    "email_corrected": N_("Email address corrected"),
    EndReason.BY_CUSTOMER: N_("Canceled by the customer"),
    EndReason.BY_OWNER: N_("Canceled by the owner"),
    EndReason.DEADLINE: N_("Ended unpaid: the time to pay was over"),
    EndReason.GIVEN_UP: N_("Given up by the visitor"),
    EndReason.REFUSED: N_("Not booked: the time was taken"),
    EndReason.NO_ANSWER: N_("Not booked: the calendar gave no answer"),
    EndReason.PAYMENT_FAILED: N_("Not booked: the payment failed"),
    EndReason.SLOT_GONE: N_("Not booked: the time was gone, the money goes back"),
    EndReason.BEGUN: N_("Not booked: paid when the visit had begun, the payment is refunded"),
    EndReason.REFUNDED: N_("Not booked: refunded before it was confirmed"),
    EndReason.CAPTURE_FAILED: N_("Not booked: the held money could not be taken"),
    EndReason.PAYMENT_MISMATCH: N_("Not booked: what was paid is not what was ordered"),
}

#: Stripe's word for where a refund stands, and our three.
REFUND_STANDS: Final[Mapping[str, str]] = {
    "requested": N_("Stripe has not taken it yet; the server goes on asking"),
    "pending": N_("on its way"),
    "requires_action": N_("waits at Stripe; see its dashboard"),
    "succeeded": N_("sent"),
    "failed": N_("failed at Stripe; pay it back another way"),
    "canceled": N_("canceled at Stripe; pay it back another way"),
    "withdrawn": N_("withdrawn, nothing is sent"),
    PAID_ANOTHER_WAY: N_("paid back another way"),
}

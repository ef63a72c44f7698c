"""A booking's history, line by line. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from app.domain.booking import Status


class HistoryWord(StrEnum):
    """What happened. The ends of bookings are told in the words of `EndReason`, and go by the same values."""

    # A hold, and how it becomes a booking
    HELD = "held"
    #: On the scheduler's own page, before it was paid.
    BOOKED_THERE = "booked_there"
    #: By the owner, for someone.
    BOOKED_AT_DESK = "booked_at_desk"
    EXTENDED = "extended"
    PRICE_CHANGED = "price_changed"
    PAYMENT_STARTED = "payment_started"
    NOTHING_DUE = "nothing_due"
    #: The owner asks for no money, although the service has a price.
    NO_CHARGE = "no_charge"
    #: The owner has taken money outside Stripe.
    TAKEN_IN_PERSON = "taken_in_person"
    #: The customer pays when they come.
    PAYS_AT_VISIT = "pays_at_visit"
    LINK_SENT = "link_sent"
    LINK_EXTENDED = "link_extended"
    LINK_RESENT = "link_resent"
    PAID = "paid"
    PAID_LATE = "paid_late"
    CONFIRMED = "confirmed"
    RESCUED = "rescued"
    OTHER_PERSON = "other_person"
    #: The scheduler is asked for the same time with another person than was booked, which the detail names.
    OTHER_PERSON_ASKED = "other_person_asked"
    #: Other times are held for a customer who paid too late, and the one that they chose.
    OFFERED = "offered"
    CHOSEN = "chosen"
    # How it ends
    DEADLINE = "deadline"
    GIVEN_UP = "given_up"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    PAYMENT_FAILED = "payment_failed"
    SLOT_GONE = "slot_gone"
    NOT_CHOSEN = "not_chosen"
    TAKEN = "taken"
    BEGUN = "begun"
    REFUNDED = "refunded"
    CAPTURE_FAILED = "capture_failed"
    PAYMENT_MISMATCH = "payment_mismatch"
    BY_CUSTOMER = "by_customer"
    BY_OWNER = "by_owner"
    TAKING_BACK = "taking_back"
    TAKEN_BACK = "taken_back"
    NOT_TAKEN_BACK = "not_taken_back"
    # Moves
    MOVE_HELD = "move_held"
    DIFFERENCE_PAID = "difference_paid"
    MOVED = "moved"
    MOVE_REFUSED = "move_refused"
    MOVE_EXPIRED = "move_expired"
    # Money
    REFUND_ADDED = "refund_added"
    REFUNDED_AT_STRIPE = "refunded_at_stripe"
    PAID_ANOTHER_WAY = "paid_another_way"
    DISPUTED = "disputed"
    PAYMENT_FOUND = "payment_found"
    # The visit, and who comes
    NO_SHOW = "no_show"
    CAME_AFTER_ALL = "came_after_all"
    EMAIL_CORRECTED = "email_corrected"
    DETAILS_CORRECTED = "details_corrected"
    MAILS_RESENT = "mails_resent"
    FORGOTTEN = "forgotten"


#: What of a line's detail someone has written in their own words, and so may name the customer.
OWN_WORDS: Final = frozenset({"note"})


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a booking's history."""

    at: datetime
    what: HistoryWord
    status: Status
    detail: Mapping[str, Any]

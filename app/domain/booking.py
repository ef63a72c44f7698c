"""A booking: who booked what and when, its status, and the allowed changes of status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.reservation import Reservation, Reserved
from app.domain.terms import Terms


class Status(StrEnum):
    """The status of a booking. Refunds are rows of their own, never a status."""

    #: Locked in the scheduler as a temporary booking; nothing asked of Stripe yet.
    HELD = "held"
    #: A Checkout Session exists, or is about to; the deadline is the end of paying.
    AWAITING_PAYMENT = "awaiting_payment"
    #: Stripe says that it is paid or held for capture, or there is nothing to pay; not yet final at the scheduler.
    PAID = "paid"
    #: Paid too late: the time is gone, and other times are held until the deadline for the customer to choose from.
    OFFERED = "offered"
    #: Final in the scheduler, money captured.
    CONFIRMED = "confirmed"
    #: Paid and then cancelled, by a person or because the time was gone. What is refunded is in refund rows. For some
    #: minutes a customer may undo a cancellation; it is `PAID` again until the scheduler has agreed.
    CANCELED = "canceled"
    #: Ended without payment; the time is released. A late payment may still revive it.
    EXPIRED = "expired"


#: Every allowed change of status (docs/dev/architecture.md, "States"). `None` is "no booking yet".
TRANSITIONS: Mapping[Status | None, frozenset[Status]] = {
    None: frozenset({Status.HELD}),
    Status.HELD: frozenset({Status.AWAITING_PAYMENT, Status.PAID, Status.EXPIRED}),
    Status.AWAITING_PAYMENT: frozenset({Status.PAID, Status.EXPIRED}),
    Status.EXPIRED: frozenset({Status.PAID}),
    Status.PAID: frozenset({Status.CONFIRMED, Status.OFFERED, Status.CANCELED}),
    Status.OFFERED: frozenset({Status.PAID, Status.CANCELED}),
    Status.CONFIRMED: frozenset({Status.CANCELED}),
    Status.CANCELED: frozenset({Status.PAID}),
}


#: Statuses in which nothing was taken away from the customer yet: the booking may still become, or is, real. Of an
#: offer other times are held, and not the one that was booked.
LIVE = frozenset({Status.HELD, Status.AWAITING_PAYMENT, Status.PAID, Status.CONFIRMED})


class EndReason(StrEnum):
    """Why a booking, a move or a payment has ended, or something is refunded; customers are told in words."""

    #: The hold or the payment deadline passed.
    DEADLINE = "deadline"
    #: The visitor gave the time up.
    GIVEN_UP = "given_up"
    #: The scheduler or our own guard refused the lock.
    REFUSED = "refused"
    #: The scheduler gave no usable answer to the lock.
    NO_ANSWER = "no_answer"
    #: The customer's bank or a delayed method said no in the end.
    PAYMENT_FAILED = "payment_failed"
    #: The payment came, but the time and every substitute were gone.
    SLOT_GONE = "slot_gone"
    #: The same, and none of the other times was chosen that were held for the customer.
    NOT_CHOSEN = "not_chosen"
    #: Paid in time, but the calendar had given the time to someone else, and nobody else was free then.
    TAKEN = "taken"
    #: The payment came, or was noticed, after the visit had begun.
    BEGUN = "begun"
    #: Everything was refunded before the booking could be confirmed.
    REFUNDED = "refunded"
    #: The held money could not be captured.
    CAPTURE_FAILED = "capture_failed"
    #: What Stripe took is not what was ordered.
    PAYMENT_MISMATCH = "payment_mismatch"
    #: A second payment for the same booking, or one for a booking that is over.
    PAID_TWICE = "paid_twice"
    #: Cancelled by the customer.
    BY_CUSTOMER = "by_customer"
    #: Cancelled by the owner.
    BY_OWNER = "by_owner"
    #: The new time costs less.
    CHEAPER = "cheaper"
    #: The difference was paid, but the booking could not be moved.
    NOT_MOVED = "not_moved"
    #: The owner refunds outside the terms.
    GOODWILL = "goodwill"
    #: Made in Stripe's dashboard, outside Holdfast.
    AT_STRIPE = "at_stripe"


class Actor(StrEnum):
    """Who changes a booking. The value is also the word for it in the history."""

    CUSTOMER = "by_customer"
    OWNER = "by_owner"

    @property
    def end_reason(self) -> EndReason:
        """The end reason of a booking that this actor cancelled."""
        return EndReason(self.value)


class Channel(StrEnum):
    """How a booking was made."""

    #: The widget, or a program of the owner's.
    ONLINE = "online"
    #: The owner booked for a customer, on the phone or at the counter.
    DESK = "desk"


class Trouble(StrEnum):
    """What keeps something that is due from being done. The owner is mailed once about each, and an alarm stays on
    until it is over; see `app.booking.notifications.Notifications.trouble`."""

    #: Stripe refuses to open a payment page, so nobody can pay; `code` is Stripe's.
    PAYMENT_REFUSED = "payment_refused"
    #: Paid, but the scheduler does not answer, or refuses for a reason that is not the time.
    NOT_CONFIRMED = "not_confirmed"
    #: A move was decided, but the scheduler does not answer.
    NOT_MOVED = "not_moved"
    #: An unpaid booking, or an unpaid move, whose deadline has passed cannot be ended: Stripe does not say how its
    #: payment page stands. Or it has ended, and Stripe does not say what became of a payment for it.
    NOT_ENDED = "not_ended"
    #: An ended booking's time could not be released at the scheduler; or an unpaid booking without an open payment page
    #: could not be ended, because the scheduler does not say how it stands.
    NOT_RELEASED = "not_released"
    #: Stripe refuses a refund, or does not answer; `amount` and `code` say which.
    REFUND_REFUSED = "refund_refused"
    #: A payment taken in person has to be refunded, which only the owner can do; `amount` says how much.
    REFUND_IN_PERSON = "refund_in_person"
    #: A mail to the customer was given up.
    MAIL_GIVEN_UP = "mail_given_up"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who booked. `answers` maps a configured question's name to its answer. `email` is empty where the owner booked
    for someone who has none: then no mail goes to them."""

    name: str
    email: str
    phone: str = ""
    notes: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    consent: bool = False


def short_reference(booking_id: str) -> str:
    """A short form to read out on the phone: "7F3A-21C0". Eight of the id's twenty digits; staff can search for it."""
    digits = booking_id.partition("_")[2][:8].upper()
    return f"{digits[:4]}-{digits[4:]}" if len(digits) > 4 else digits


@dataclass(frozen=True, slots=True)
class Visitor:
    """What the browser told us about itself: `key` names the page view that asks, so that a doubled click is
    one hold; `host` is the page that embeds us, `place` where in it our loader put the frame (empty without one),
    `utm` its campaign parameters. `reference` and `metadata` are a program's own words, kept for it."""

    key: str
    time_zone: str = ""
    language: str = "en"
    host: str = ""
    place: str = ""
    utm: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Booking(Reserved):
    """One row of `bookings`, with the reservation that it points at: the time that it has.

    While it is on a move that is the old time; while other times are offered, the one that was lost. `payment_id` is
    the payment that paid. `deadline` is the end of the hold, then of paying; of an offer when the first of its times is
    no longer held. `revision` rises with every change that the customer's calendar must follow. `canceled_at` is when a
    confirmed booking was cancelled, `undo_until` until when that may be undone; both are kept while it is being undone.
    `moves` counts how often its customer moved it. Manage links signed for an older `link_version` are retired.
    `pay_link`: its customer pays by a link that the owner has mailed, and `deadline` is the owner's, however often the
    customer begins to pay. `next_try_at` and `tries` are of what is due about it, not about its reservation: to end it
    when its deadline has passed, or to confirm it when it is paid.
    """

    id: str
    widget: str
    status: Status
    reservation: Reservation
    any_resource: bool
    terms: Terms
    deadline: datetime
    extensions: int
    was_expired: bool
    payment_id: str | None
    end_reason: EndReason | None
    customer: Customer | None
    visitor: Visitor
    revision: int
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
    next_try_at: datetime | None
    tries: int
    canceled_at: datetime | None = None
    undo_until: datetime | None = None
    moves: int = 0
    no_show: bool = False
    link_version: int = 0
    channel: Channel = Channel.ONLINE
    pay_link: bool = False

    @property
    def lost_time(self) -> bool:
        """Whether it has no more than the time that its expired hold had; not one that was chosen since."""
        return self.was_expired and self.reservation.id == self.id

    def over(self, now: datetime) -> bool:
        """Whether the visit's booked end has passed."""
        return self.status is Status.CONFIRMED and self.ends_at <= now

    def elsewhere(self, **changes: Any) -> Booking:
        """This booking at another time, place or person: `changes` are of its reservation."""
        return replace(self, reservation=replace(self.reservation, **changes))

    @property
    def forgotten(self) -> bool:
        """Whether its customer was taken out of it. A hold without details has its visitor's key still."""
        return self.customer is None and not self.visitor.key

"""The booking's words and rules: statuses, times, money, terms. Pure: no input, no output, no clock.

Times are aware datetimes in UTC inside; `time_zone` names are IANA. Money is an integer in the currency's
smallest unit as Stripe counts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a booking stands. Refunds are rows beside it, never a status."""

    #: Locked in Hapio as a temporary booking; nothing asked of Stripe yet.
    HELD = "held"
    #: A Checkout Session exists, or is about to; the deadline is the end of paying.
    AWAITING_PAYMENT = "awaiting_payment"
    #: Stripe says paid, or held for capture (or nothing is due); Hapio has not been told yet.
    PAID = "paid"
    #: Final in Hapio, money captured.
    CONFIRMED = "confirmed"
    #: Was paid, is off: called off by someone, or no room was left. Whatever is due back is a refund row.
    #: For some minutes a customer may take it back; then it is `PAID` again until Hapio has agreed.
    CANCELED = "canceled"
    #: Ended without payment; the time is given back. Late money may still wake it.
    EXPIRED = "expired"


#: Every allowed change of status (design section 6). `None` is "no booking yet".
TRANSITIONS: Mapping[Status | None, frozenset[Status]] = {
    None: frozenset({Status.HELD}),
    Status.HELD: frozenset({Status.AWAITING_PAYMENT, Status.PAID, Status.EXPIRED}),
    Status.AWAITING_PAYMENT: frozenset({Status.PAID, Status.EXPIRED}),
    Status.EXPIRED: frozenset({Status.PAID}),
    Status.PAID: frozenset({Status.CONFIRMED, Status.CANCELED}),
    Status.CONFIRMED: frozenset({Status.CANCELED}),
    Status.CANCELED: frozenset({Status.PAID}),
}

#: Statuses in which nothing was taken away from the customer yet: the booking may still become, or is, real.
LIVE = frozenset({Status.HELD, Status.AWAITING_PAYMENT, Status.PAID, Status.CONFIRMED})


class EndReason(StrEnum):
    """Why a booking, a move or a payment came to its end, or money goes back; told to the customer in words."""

    #: The hold or the payment deadline passed.
    DEADLINE = "deadline"
    #: The visitor gave the time back.
    GIVEN_UP = "given_up"
    #: Hapio or our own guard refused the lock.
    REFUSED = "refused"
    #: Hapio gave no usable answer to the lock.
    NO_ANSWER = "no_answer"
    #: The customer's bank or a delayed method said no in the end.
    PAYMENT_FAILED = "payment_failed"
    #: Money came, but the time and every substitute were gone.
    SLOT_GONE = "slot_gone"
    #: Money came, or was seen, when the visit had begun.
    BEGUN = "begun"
    #: All the money had gone back before the booking could be confirmed.
    REFUNDED = "refunded"
    #: The held money could not be captured.
    CAPTURE_FAILED = "capture_failed"
    #: What Stripe took is not what was ordered.
    PAYMENT_MISMATCH = "payment_mismatch"
    #: A second payment for the same booking, or one for a booking that is over.
    PAID_TWICE = "paid_twice"
    #: Called off by the customer.
    BY_CUSTOMER = "by_customer"
    #: Called off by the owner.
    BY_OWNER = "by_owner"
    #: The new time costs less.
    CHEAPER = "cheaper"
    #: The difference was paid, but the booking could not be moved.
    NOT_MOVED = "not_moved"
    #: The owner gives money back beside the terms.
    GOODWILL = "goodwill"
    #: Made in Stripe's dashboard, past us.
    AT_STRIPE = "at_stripe"


class Trouble(StrEnum):
    """What keeps something that is due from being done. The owner is mailed once about each, and an alarm stays on
    until it is over; see `app.letters.Letters.trouble`."""

    #: Stripe refuses to open a payment page, so nobody can pay; `code` is Stripe's.
    PAYMENT_REFUSED = "payment_refused"
    #: Paid, but the scheduler does not answer, or refuses for a reason that is not the time.
    NOT_CONFIRMED = "not_confirmed"
    #: A move was decided, but the scheduler does not answer.
    NOT_MOVED = "not_moved"
    #: An unpaid booking, or an unpaid move, whose deadline has passed cannot be ended: Stripe does not say how its
    #: payment page stands.
    NOT_ENDED = "not_ended"
    #: An ended booking's time could not be given back in the scheduler.
    NOT_RELEASED = "not_released"
    #: Stripe refuses a refund, or does not answer; `amount` and `code` say which.
    REFUND_REFUSED = "refund_refused"
    #: A mail to the customer was given up.
    MAIL_GIVEN_UP = "mail_given_up"


class Capture(StrEnum):
    """When Stripe moves the money: at payment, or after the booking is final."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


# Stripe docs, "Supported currencies": units per major unit, and the odd ones that Stripe sends with
# two decimals although people count whole units.
_ZERO_DECIMAL = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
_THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_WHOLE_UNITS_ONLY = frozenset({"isk", "ugx"})


def currency_exponent(currency: str) -> int:
    """How many decimals Stripe's smallest unit of `currency` (lower case ISO code) stands for."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def currency_quantum(currency: str) -> int:
    """The step, in smallest units, that an amount must be a multiple of for Stripe to take it."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency's smallest unit (`amount`), with its lower-case ISO code."""

    amount: int
    currency: str

    @classmethod
    def from_decimal(cls, value: Decimal, currency: str) -> Money:
        """The amount for a decimal price such as Hapio's "149.000".

        Raises ValueError if Stripe cannot charge it exactly.
        """
        scaled = value.scaleb(currency_exponent(currency))
        amount = int(scaled)
        if amount != scaled or amount % currency_quantum(currency):
            raise ValueError(f"{value} {currency} is not a whole number of chargeable units")
        return cls(amount, currency)

    def to_decimal(self) -> Decimal:
        """The amount in major units."""
        return Decimal(self.amount).scaleb(-currency_exponent(self.currency))

    def share(self, percent: int) -> Money:
        """`percent` of the amount, rounded half up once, to what Stripe can move in this currency."""
        quantum = currency_quantum(self.currency)
        units = self.amount // quantum
        return Money((units * percent + 50) // 100 * quantum, self.currency)

    def __bool__(self) -> bool:
        return self.amount != 0


@dataclass(frozen=True, slots=True)
class Tier:
    """From `at_least_hours` before the start, `refund_percent` of the price goes back."""

    at_least_hours: int
    refund_percent: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A part of the price, in smallest units, of which a cancellation never gives back more than `percent`."""

    amount: int
    percent: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Price and cancellation policy, frozen into the booking when it is held.

    `tiers` run from the earliest deadline to the latest; after the last one nothing goes back. The customer may move
    the booking until `move_hours` before it starts, `most_moves` times in all, and take a cancellation back for
    `undo_minutes` (None, in rows older than this field: as long as the widget says today).

    `by_terms` says that a customer's move is no way around the tiers: of a lower price only the share comes back that
    a cancellation at that moment gives, and what was paid before the move keeps that share as its `caps`.
    A move changes `price` and `caps` and nothing else.
    """

    price: Money
    tiers: tuple[Tier, ...] = ()
    move_hours: int = 0
    most_moves: int = 0
    undo_minutes: int | None = None
    by_terms: bool = False
    caps: tuple[Cap, ...] = ()

    @property
    def free(self) -> bool:
        """Whether nothing is due, so that Stripe is not asked."""
        return self.price.amount == 0

    def refund_percent(self, *, at: datetime, starts_at: datetime) -> int:
        """The share of the price that a cancellation at `at` gives back, to the nearest per cent where parts of the
        price are capped."""
        return self._effective(self._tier_percent(at=at, starts_at=starts_at))

    def refund(self, *, at: datetime, starts_at: datetime) -> Money:
        """What a cancellation at `at` gives back."""
        return shared(self._parts(), self._tier_percent(at=at, starts_at=starts_at), self.price.currency)

    def steps(self, starts_at: datetime) -> list[tuple[datetime, int]]:
        """The policy as dated lines: (until when, percent), earliest first."""
        return [
            (starts_at - timedelta(hours=tier.at_least_hours), self._effective(tier.refund_percent))
            for tier in self.tiers
        ]

    def move_refund(self, price: Money, *, at: datetime, starts_at: datetime) -> Money:
        """What a customer's move at `at` from a visit at `starts_at` to a lower `price` gives back."""
        drop = max(0, self.price.amount - price.amount)
        if not self.by_terms:
            return replace(self.price, amount=drop)
        return shared(_first(self._parts(), drop), self._tier_percent(at=at, starts_at=starts_at), self.price.currency)

    def moved(self, price: Money, *, percent: int = 100) -> Terms:
        """The terms after a move to `price`, made when a cancellation gave back `percent` of what was paid so far."""
        drop = max(0, self.price.amount - price.amount)
        kept = _without_first(self._parts(), drop)
        caps = tuple(Cap(cap.amount, min(cap.percent, percent)) for cap in kept)
        return replace(self, price=price, caps=tuple(cap for cap in caps if cap.percent < 100))

    def cap_of_move(self, *, at: datetime, starts_at: datetime) -> int:
        """The share that a customer's move at `at` leaves as the best for what was paid so far."""
        return self._tier_percent(at=at, starts_at=starts_at) if self.by_terms else 100

    def _tier_percent(self, *, at: datetime, starts_at: datetime) -> int:
        left = starts_at - at
        for tier in self.tiers:
            if left >= timedelta(hours=tier.at_least_hours):
                return tier.refund_percent
        return 0

    def _effective(self, percent: int) -> int:
        if not self.caps or not self.price.amount:
            return percent
        return round(100 * shared(self._parts(), percent, self.price.currency).amount / self.price.amount)

    def _parts(self) -> tuple[Cap, ...]:
        """The whole price in parts, the one without a cap first."""
        free = self.price.amount - sum(cap.amount for cap in self.caps)
        return (Cap(free, 100), *self.caps)

    def to_json(self) -> dict[str, Any]:
        """Plain data for the store."""
        return {
            "amount": self.price.amount,
            "currency": self.price.currency,
            "tiers": [[tier.at_least_hours, tier.refund_percent] for tier in self.tiers],
            "move_hours": self.move_hours,
            "most_moves": self.most_moves,
            "undo_minutes": self.undo_minutes,
            "by_terms": self.by_terms,
            "caps": [[cap.amount, cap.percent] for cap in self.caps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Terms:
        """The inverse of `to_json`."""
        return cls(
            price=Money(data["amount"], data["currency"]),
            tiers=tuple(Tier(hours, percent) for hours, percent in data["tiers"]),
            move_hours=data["move_hours"],
            most_moves=data["most_moves"],
            # Bookings held before these existed keep what they were bought under.
            undo_minutes=data.get("undo_minutes"),
            by_terms=data.get("by_terms", False),
            caps=tuple(Cap(amount, percent) for amount, percent in data.get("caps", ())),
        )


def shared(parts: Sequence[Cap], percent: int, currency: str) -> Money:
    """`percent` of all the parts together, each within its own cap, rounded half up once, to what Stripe can move."""
    quantum = currency_quantum(currency)
    hundredths = sum(part.amount // quantum * min(part.percent, percent) for part in parts)
    return Money((hundredths + 50) // 100 * quantum, currency)


def _first(parts: Sequence[Cap], amount: int) -> list[Cap]:
    """The first `amount` of the parts."""
    taken: list[Cap] = []
    for part in parts:
        some = min(part.amount, amount)
        amount -= some
        if some:
            taken.append(Cap(some, part.percent))
    return taken


def _without_first(parts: Sequence[Cap], amount: int) -> list[Cap]:
    """The parts without their first `amount`."""
    kept: list[Cap] = []
    for part in parts:
        some = min(part.amount, amount)
        amount -= some
        if part.amount > some:
            kept.append(Cap(part.amount - some, part.percent))
    return kept


@dataclass(frozen=True, slots=True)
class Location:
    """A Hapio location; schedules are read in its `time_zone`."""

    id: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A Hapio resource: a person or a room. `capacity` None is Hapio's "no limit"."""

    id: str
    name: str
    capacity: int | None


@dataclass(frozen=True, slots=True)
class Service:
    """A Hapio service as one widget offers it: price and currency settled, texts of the owner's choice."""

    id: str
    name: str
    description: str
    image: str
    duration: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    booking_window_end: timedelta | None
    price: Money
    resources: tuple[Resource, ...]
    #: The notice that Hapio asks for: nothing sooner than this from now can be booked.
    booking_window_start: timedelta = timedelta()

    def resource(self, resource_id: str) -> Resource | None:
        """The person or room with this id, if it offers the service."""
        return next((resource for resource in self.resources if resource.id == resource_id), None)


@dataclass(frozen=True, slots=True)
class Slot:
    """One bookable start with everyone who is free then (Hapio lists it once per start)."""

    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    resource_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Customer:
    """Who booked. `answers` maps a configured question's name to its answer."""

    name: str
    email: str
    phone: str = ""
    notes: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    consent: bool = False


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
class Occupied:
    """The buffered interval that one of our live bookings takes up on its resource."""

    booking_id: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Booking:
    """One row of `bookings`.

    `hapio_booking_id` is what Hapio still holds for us: cleared when released, so that a crash in between is
    readable. `hapio_unsure` is set before Hapio is asked for a lock and cleared by a definite answer. `occupies`
    says whether this row counts in the slot guard. `payment_id` is the payment that paid. `deadline` is the end of
    the hold, then of paying. `revision` rises with every change that the customer's calendar must follow.
    `hapio_canceled`: what Hapio holds is canceled there, and stays for its history. `canceled_at` is when a confirmed
    booking was called off, `undo_until` how long that may be taken back; both are kept while it is being taken back.
    `moves` counts how often its customer moved it. Manage links signed for an older `link_version` are retired.
    """

    id: str
    widget: str
    status: Status
    service_id: str
    service_name: str
    resource_id: str
    resource_name: str
    any_resource: bool
    location_id: str
    location_name: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    occupies: bool
    hapio_booking_id: str | None
    hapio_unsure: bool
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
    hapio_canceled: bool = False
    canceled_at: datetime | None = None
    undo_until: datetime | None = None
    moves: int = 0
    no_show: bool = False
    link_version: int = 0

    def over(self, now: datetime) -> bool:
        """Whether the visit has come to its end as it was booked."""
        return self.status is Status.CONFIRMED and self.ends_at <= now

    @property
    def forgotten(self) -> bool:
        """Whether its customer was taken out of it. A hold without details has its visitor's key still."""
        return self.customer is None and not self.visitor.key

    @property
    def interval(self) -> Occupied:
        """What the booking takes up on its resource."""
        return Occupied(self.id, self.resource_id, self.buffer_starts_at, self.buffer_ends_at)

    @property
    def slot(self) -> Slot:
        """The bookable slot that the booking is of."""
        return Slot(self.starts_at, self.ends_at, self.buffer_starts_at, self.buffer_ends_at, (self.resource_id,))


class PaymentState(StrEnum):
    """How one Checkout Session of a booking stands, in our reading of Stripe's answer."""

    #: Not created yet, or open: the customer may still pay.
    OPEN = "open"
    #: Ended without payment.
    EXPIRED = "expired"
    #: A delayed method is still processing.
    PROCESSING = "processing"
    #: Held for capture.
    AUTHORIZED = "authorized"
    #: Money is ours.
    CAPTURED = "captured"
    #: The hold was given back before capture, or lapsed.
    VOIDED = "voided"
    #: Complete, but no money came.
    FAILED = "failed"


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


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay: the parameters of its Checkout Session are stored before Stripe is asked.

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


#: A dispute that stands thus is decided, or was no more than a question (Stripe docs, "Dispute", status).
DISPUTE_OVER = frozenset({"", "won", "warning_closed", "prevented"})
#: The customer has the money, by way of the bank.
DISPUTE_LOST = "lost"


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


class MoveState(StrEnum):
    """How the move of a booking to another time stands."""

    #: The new time is held while its higher price is being paid.
    HELD = "held"
    #: Decided: Hapio is being asked.
    MOVING = "moving"
    #: The booking has the new time.
    DONE = "done"
    #: The new time could not be had; the booking is as it was.
    REFUSED = "refused"
    #: The difference was not paid, or the booking was called off meanwhile; the booking is as it was.
    EXPIRED = "expired"


#: Every allowed change of a move's state. `None` is "no move yet".
MOVE_TRANSITIONS: Mapping[MoveState | None, frozenset[MoveState]] = {
    None: frozenset({MoveState.HELD, MoveState.MOVING}),
    MoveState.HELD: frozenset({MoveState.MOVING, MoveState.REFUSED, MoveState.EXPIRED}),
    MoveState.MOVING: frozenset({MoveState.DONE, MoveState.REFUSED}),
    MoveState.DONE: frozenset(),
    MoveState.REFUSED: frozenset(),
    MoveState.EXPIRED: frozenset(),
}

#: A booking has at most one move in these.
OPEN_MOVES = frozenset({MoveState.HELD, MoveState.MOVING})


@dataclass(frozen=True, slots=True)
class Move:
    """One row of `moves`: a booking's way to another time, and the time that it does not have.

    Until it is `DONE` that is the new time, with `price` as what the booking will cost; then it is the old one, until
    Hapio has let go of it. `occupies` says whether that time counts in the slot guard. `hapio_booking_id` is a second
    booking that Hapio holds for it: the lock on the new time while the difference is being paid, afterwards the old
    booking. `hapio_unsure` as in Booking. `deadline` is the end of paying. `by` is who asked: BY_CUSTOMER, BY_OWNER.
    `refund_due` is what comes back once it is done, in smallest units, and `refund_cap` the best share that what was
    paid before keeps: both as they were when the customer was shown them.
    """

    id: str
    booking_id: str
    state: MoveState
    by: EndReason
    service_id: str
    service_name: str
    resource_id: str
    resource_name: str
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    occupies: bool
    hapio_booking_id: str | None
    hapio_unsure: bool
    price: Money
    payment_id: str | None
    end_reason: EndReason | None
    deadline: datetime
    created_at: datetime
    updated_at: datetime
    next_try_at: datetime | None = None
    tries: int = 0
    refund_due: int = 0
    refund_cap: int = 100

    @property
    def interval(self) -> Occupied:
        """What it takes up beside the booking."""
        return Occupied(self.id, self.resource_id, self.buffer_starts_at, self.buffer_ends_at)

    @property
    def slot(self) -> Slot:
        """The bookable slot of its time."""
        return Slot(self.starts_at, self.ends_at, self.buffer_starts_at, self.buffer_ends_at, (self.resource_id,))


#: Refunds that give nothing back: Stripe said so in the end, or they were taken back before Stripe was asked.
REFUND_VOID = frozenset({"failed", "canceled", "withdrawn"})
#: Stripe could not deliver these; the money is still the customer's.
REFUND_FAILED = frozenset({"failed", "canceled"})
#: The owner paid a failed or refused refund without Stripe, so it counts as given back.
PAID_ANOTHER_WAY = "paid_another_way"
#: The customer has this money, as far as anybody here can know.
REFUND_DONE = frozenset({"succeeded", PAID_ANOTHER_WAY})
#: `Refund.problem` of a refund that Stripe has not answered for a while.
NO_ANSWER = "no answer"
#: `Refund.problem` of one that Stripe has accepted and sends when the account's balance suffices (Stripe docs,
#: "Refund", pending_reason).
BALANCE_TOO_LOW = "insufficient_funds"
#: A due refund that Stripe has not answered for so long is reported to the owner.
REFUND_PATIENCE = timedelta(hours=1)
#: Stripe has this one already, so its state may stay unread for longer.
PENDING_UNREAD_PATIENCE = timedelta(days=1)
#: Banks take up to ten business days (Stripe docs, "Refunds").
PENDING_PATIENCE = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Owed:
    """Money to give back on a booking, whichever of its payments it comes from: the newest first, and never more of
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
                    status="requested",
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
    """Money owed back. `status` is Stripe's word, "requested" until Stripe has answered, "withdrawn" where the
    cancellation was taken back before Stripe was asked, or `PAID_ANOTHER_WAY`.

    `due_at` is since when Stripe is to be asked; the time that a dispute takes does not count. `problem` is why Stripe
    does not carry it out: the code of its refusal, or `NO_ANSWER`; empty while nothing is wrong. `refusals` counts
    the definite ones."""

    id: str
    booking_id: str
    payment_id: str
    amount: Money
    reason: str
    status: str
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

    @property
    def delayed(self) -> bool:
        """Whether it should have gone out, and Stripe refuses it or does not answer."""
        return bool(self.problem) and self.status in {"requested", "pending", "requires_action"}


def money_left(payments: Sequence[Payment], refunds: Sequence[Refund]) -> int:
    """What of all that was captured is neither given back, nor on its way back, nor lost in a dispute, in smallest
    units. Never below 0, although money may have gone out past us while ours was waiting."""
    here = {
        payment.id: payment.captured
        for payment in payments
        if payment.state is PaymentState.CAPTURED and payment.dispute != DISPUTE_LOST
    }
    for refund in refunds:
        if refund.payment_id in here and refund.status not in REFUND_VOID:
            here[refund.payment_id] -= refund.amount.amount
    return sum(max(0, amount) for amount in here.values())


#: What the owner gives back outside the terms, here or in Stripe's dashboard.
_BY_HAND = frozenset({EndReason.GOODWILL, EndReason.AT_STRIPE})


def _made_good(refunds: Sequence[Refund]) -> list[tuple[Refund, Refund, int]]:
    """(failed refund, the owner's later refund in its place, how much of it in smallest units), oldest first.

    A replacement that fails in turn still replaces: then it is the one that is to be made good."""
    available = {
        refund.id: refund.amount.amount
        for refund in refunds
        if refund.reason in _BY_HAND and refund.status != "withdrawn"
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
    the owner gave it back later, or nothing is left of the payment. `refunds` oldest first."""
    left = {
        payment.id: payment.captured - sum(_live(refund) for refund in refunds if refund.payment_id == payment.id)
        for payment in payments
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
    first be canceled there, or the customer gets it twice. `refunds` oldest first."""
    amounts = {refund_id: amount for refund_id, amount in failures(payments, refunds).items() if amount}
    for refund in refunds:
        if refund.delayed and refund.problem != BALANCE_TOO_LOW:
            amounts[refund.id] = refund.amount.amount
    return amounts


def given_back(booking: Booking, payments: Sequence[Payment], refunds: Sequence[Refund]) -> int:
    """What the customer already has back of the price outside the terms, in smallest units; a cancellation gives that
    much less. Money back because the price fell, or for a payment too many, is not part of it, nor is a refund by hand
    that only replaces such a one."""
    paying = {booking.payment_id} | {payment.id for payment in payments if payment.move_id}
    by_hand = sum(_live(refund) for refund in refunds if refund.reason in _BY_HAND and refund.payment_id in paying)
    replaced = sum(
        amount
        for failed, later, amount in _made_good(refunds)
        if failed.reason not in _BY_HAND and _live(later) and later.payment_id in paying
    )
    return by_hand - replaced


def _live(refund: Refund) -> int:
    return 0 if refund.status in REFUND_VOID else refund.amount.amount


@dataclass(frozen=True, slots=True)
class Funds:
    """What came for a booking, and what has gone back. All amounts in smallest units."""

    payments: Sequence[Payment]
    refunds: Sequence[Refund]

    @property
    def left(self) -> int:
        """What of the money is still here."""
        return money_left(self.payments, self.refunds)

    def held(self, booking: Booking) -> bool:
        """Whether the booking's own payment is only set aside by the bank, so that letting it go charges nothing."""
        return any(
            payment.id == booking.payment_id and payment.state is PaymentState.AUTHORIZED for payment in self.payments
        )

    def paid_for(self, move: Move | None) -> int:
        """What was paid for a move that is not done yet."""
        if move is None or move.payment_id is None:
            return 0
        return money_left([payment for payment in self.payments if payment.id == move.payment_id], self.refunds)


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """A mail we owe: `kind` is app.mail.MailKind's value; `message_id` stays the same over every attempt. `due_at` is
    when it is to be sent. `revision` is the booking's that it tells of."""

    id: str
    booking_id: str
    kind: str
    message_id: str
    detail: Mapping[str, Any]
    tries: int
    created_at: datetime
    sent_at: datetime | None
    due_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a booking's history."""

    at: datetime
    what: str
    status: Status
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One verified webhook event: a hint where to look. What else it says is not kept: accounts are shared with
    other software, and its customers are not ours. `payment_intent_id` is all that leads to the booking where
    someone acts in Stripe's dashboard, past our metadata."""

    id: str
    type: str
    object_id: str
    object_type: str
    livemode: bool
    created: datetime
    booking_id: str | None
    payment_intent_id: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in our inbox: how often it was tried, and what came of it. `error` is the name of the last failure,
    empty without one or since it had its effect."""

    event: Event
    tries: int
    received_at: datetime
    processed_at: datetime | None
    next_try_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class MailLine:
    """One mail as staff see it. `error` is the name of the last failure; without `next_try_at` it is given up."""

    booking_id: str
    kind: str
    due_at: datetime
    sent_at: datetime | None
    next_try_at: datetime | None
    tries: int
    error: str

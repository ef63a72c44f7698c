"""All records after a round of `bench.kill`: our rows, the scheduler's, Stripe's and the mailbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking, Status
from app.domain.refund import REFUND_VOID
from app.mail import MailKind
from app.parts import Parts
from app.store.tables import outbox
from bench.surroundings import Surroundings

_FINAL = {Status.CONFIRMED, Status.EXPIRED, Status.CANCELED}
#: What a confirmed booking has told, and to whom.
_CONFIRMED = {MailKind.CONFIRMED_CUSTOMER, MailKind.CONFIRMED_OWNER}


@dataclass
class Figures:
    """What a round came to. What is named in WRONG must be zero."""

    killed: int = 0
    locked: int = 0
    cut_off: int = 0
    captured: int = 0
    confirmed: int = 0
    refunded: int = 0
    expired: int = 0
    mails: int = 0
    #: Of these, how many came a second time: a process that dies between sending and noting it sends again.
    mails_twice: int = 0
    unfinished: int = 0
    money_without_booking: int = 0
    bookings_without_money: int = 0
    orphans: int = 0
    double_slots: int = 0
    mails_not_sent: int = 0
    #: Answers 500: what a dead database or a dead neighbour leads to is 503.
    answers_500: int = 0
    #: Processes that ended by themselves while they served.
    ended_alone: int = 0

    @property
    def wrong(self) -> int:
        """How many things disagree."""
        return sum(getattr(self, name) for name in WRONG)


WRONG = (
    "unfinished",
    "money_without_booking",
    "bookings_without_money",
    "orphans",
    "double_slots",
    "mails_not_sent",
    "answers_500",
    "ended_alone",
)


async def compare(street: Surroundings, parts: Parts, figures: Figures) -> None:
    """Write into `figures` how they agree."""
    # Every booking has a customer here, since the lock takes one.
    bookings = {booking.id: booking for booking in await parts.bookings.find(most=100_000)}
    standing = Counter(booking.status for booking in bookings.values())
    figures.confirmed, figures.expired = standing[Status.CONFIRMED], standing[Status.EXPIRED]
    figures.unfinished = sum(count for status, count in standing.items() if status not in _FINAL)
    _compare_money(street, bookings, figures)
    _compare_times(street, bookings, figures)
    await _compare_mails(street, parts, bookings, figures)


def _compare_money(street: Surroundings, bookings: Mapping[str, Booking], figures: Figures) -> None:
    paid: Counter[str] = Counter()
    for intent in street.stripe.state.payment_intents.values():
        back = sum(
            refund["amount"]
            for refund in street.stripe.state.refunds.values()
            if refund["payment_intent"] == intent["id"] and refund["status"] not in REFUND_VOID
        )
        if intent["amount_received"]:
            figures.captured += 1
            figures.refunded += back == intent["amount_received"]
            paid[intent["metadata"]["booking_id"]] += intent["amount_received"] - back
    for booking_id, kept in paid.items():
        booking = bookings.get(booking_id)
        if kept and (booking is None or booking.status is not Status.CONFIRMED):
            figures.money_without_booking += 1
    figures.bookings_without_money = sum(
        booking.status is Status.CONFIRMED and paid[booking.id] != booking.terms.price.amount
        for booking in bookings.values()
    )


def _compare_times(street: Surroundings, bookings: Mapping[str, Booking], figures: Figures) -> None:
    """Hapio has one final booking for each of ours, and never two at once with one person."""
    live = [booking for booking in street.hapio.state.bookings.values() if not booking.is_canceled]
    told = Counter((booking.metadata or {}).get("holdfast_id", "") for booking in live)
    ours = {booking.id for booking in bookings.values() if booking.status is Status.CONFIRMED}
    figures.orphans = sum(count for name, count in told.items() if name not in ours)
    figures.orphans += sum(booking.is_temporary for booking in live)
    figures.bookings_without_money += len(ours - set(told))
    by_person: dict[str, list[Any]] = {}
    for booking in live:
        by_person.setdefault(str(booking.resource_id), []).append(booking)
    for their in by_person.values():
        their.sort(key=lambda booking: booking.starts_at)
        figures.double_slots += sum(second.starts_at < first.ends_at for first, second in pairwise(their))


async def _compare_mails(street: Surroundings, parts: Parts, bookings: Mapping[str, Booking], figures: Figures) -> None:
    """A confirmed booking's mails are owed, what was owed was sent, and what was sent has come."""
    async with parts.store.engine.connect() as connection:
        rows = list((await connection.execute(sa.select(outbox))).mappings())
    came = Counter(message.header("Message-ID") for message in street.mailbox.messages)
    figures.mails, figures.mails_twice = len(came), sum(count > 1 for count in came.values())
    due = [row for row in rows if row["due_at"] <= parts.now()]
    waiting = sum(row["sent_at"] is None and row["next_try_at"] is not None for row in due)
    lost = sum(row["sent_at"] is not None and row["message_id"] not in came for row in due)
    owed = {(row["booking_id"], row["kind"]) for row in rows}
    confirmed = [booking.id for booking in bookings.values() if booking.status is Status.CONFIRMED]
    never_owed = sum((name, kind.value) not in owed for name in confirmed for kind in _CONFIRMED)
    given_up = sum(row["kind"] in _CONFIRMED and row["sent_at"] is None and row["next_try_at"] is None for row in due)
    figures.mails_not_sent = waiting + lost + never_owed + given_up

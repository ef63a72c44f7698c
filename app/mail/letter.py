"""A mail to send, and what it says before it becomes HTML and plain text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from app.domain.booking import Actor, Booking, EndReason
from app.domain.money import Money
from app.domain.reservation import Reservation
from app.widgets import Widget

#: What a calendar file asks of the calendar (RFC 5546): keep the entry as it is here, or take it out.
Method = Literal["PUBLISH", "CANCEL"]


class MailKind(StrEnum):
    """Which fact a mail tells, and to whom."""

    CONFIRMED_CUSTOMER = "confirmed_customer"
    CONFIRMED_OWNER = "confirmed_owner"
    #: The time was released, nothing was charged.
    RELEASED_CUSTOMER = "released_customer"
    #: A payment came for which there is no booking, and is refunded; or the owner refunds.
    REFUNDED_CUSTOMER = "refunded_customer"
    REFUNDED_OWNER = "refunded_owner"
    #: Called off, by whom the detail says, with what comes back.
    CANCELED_CUSTOMER = "canceled_customer"
    CANCELED_OWNER = "canceled_owner"
    #: A cancellation was taken back: the booking stands again.
    RESTORED_CUSTOMER = "restored_customer"
    RESTORED_OWNER = "restored_owner"
    #: The booking has another time.
    MOVED_CUSTOMER = "moved_customer"
    MOVED_OWNER = "moved_owner"
    #: The difference was paid, but the new time could not be had: nothing changed, the difference goes back.
    NOT_MOVED_CUSTOMER = "not_moved_customer"
    REMINDER_CUSTOMER = "reminder_customer"
    #: A new manage link, which retires the older ones.
    LINK_CUSTOMER = "link_customer"
    #: Stripe could not send the money back to where it came from.
    REFUND_FAILED_CUSTOMER = "refund_failed_customer"
    REFUND_FAILED_OWNER = "refund_failed_owner"
    #: The customer's bank has taken the payment back, or asks about it.
    DISPUTED_OWNER = "disputed_owner"
    #: The owner booked for someone, who pays by this mail's link; and again before its time is over.
    PAY_LINK_CUSTOMER = "pay_link_customer"
    PAY_REMINDER_CUSTOMER = "pay_reminder_customer"
    #: That customer has not paid in time, or does not want it: the time is free again.
    NOT_PAID_OWNER = "not_paid_owner"
    #: Paid, and not confirmed yet because the calendar does not answer.
    DELAYED_CUSTOMER = "delayed_customer"
    #: Something that is due cannot be done; the detail says what (a Trouble).
    TROUBLE_OWNER = "trouble_owner"
    #: Paid too late, and the time is gone: other times are held, for the customer to choose from.
    OFFERED_CUSTOMER = "offered_customer"
    OFFERED_OWNER = "offered_owner"

    @property
    def to_owner(self) -> bool:
        """Whether it goes to the owner's address."""
        return self.value.endswith("_owner")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to send.

    `message_id` is the whole header value, the same for every attempt. `manage_url` and `status_url` may be empty: then
    nothing links there. `refund` is what goes back; None where held money was let go. `waits_for_bank`: it goes back
    only when the bank has decided a dispute. `returned_by_bank`: the bank has, so nothing is left. `unpaid` is what is
    to be paid at the visit, in smallest units. `in_person`: the owner took money outside Stripe; `receipt`: Stripe has
    a receipt. `detail` is the outbox row's, by kind; amounts in smallest units, times as ISO 8601, "" for none:

    - confirmed: `rescued`; released, refunded: `reason` (an EndReason);
    - cancelled: `by` (an EndReason), `back`, `undo_until`, `held` (the money was only set aside, and is let go);
    - moved: `by`, `from`, `was` (the service's name before), `difference` (above 0 was paid, below goes back);
    - not moved: `to`, `back`;
    - refund failed: `amount`, `currency`, `code` (Stripe's, where it does not know the payment);
    - disputed: `dispute` (Stripe's word), `amount`, `currency`, `answer_by`;
    - pay link and its reminder: `until`, when the link ends; not paid: `reason`;
    - link: `later` (older links end when this one is used, not before);
    - offered: `again` (the one that was chosen could not be had), `binds` (nobody else can take them meanwhile);
    - trouble: `trouble` (a Trouble), `amount`, `code` (the provider's word for its refusal).
    """

    message_id: str
    to: str
    kind: MailKind
    booking: Booking
    language: str
    manage_url: str
    status_url: str
    widget: Widget
    refund: Money | None = None
    waits_for_bank: bool = False
    returned_by_bank: bool = False
    unpaid: int = 0
    in_person: bool = False
    receipt: bool = True
    detail: Mapping[str, object] = field(default_factory=dict)
    #: Where staff sign in and are led to the booking, in mails to the owner; empty where nobody may sign in.
    staff_url: str = ""
    #: The customer's other bookings with their links, where the mail is about all of them.
    others: Sequence[tuple[Booking, str]] = ()
    #: The times that are held for the customer to choose from.
    offered: Sequence[Reservation] = ()

    @property
    def reason(self) -> EndReason | None:
        """Why the booking, or this payment, came to nothing."""
        reason = self.detail.get("reason")
        return EndReason(str(reason)) if reason else self.booking.end_reason

    @property
    def by_owner(self) -> bool:
        """Whether the owner did what the mail tells."""
        return self.detail.get("by") == Actor.OWNER

    def units(self, name: str) -> int:
        """A number of the detail; 0 where there is none."""
        value = self.detail.get(name, 0)
        return value if isinstance(value, int) else 0

    def money(self, name: str) -> Money:
        """An amount of the detail, without its sign."""
        currency = str(self.detail.get("currency") or self.booking.terms.price.currency)
        return Money(abs(self.units(name)), currency)

    def moment(self, name: str) -> datetime | None:
        """A time of the detail, if it has one."""
        value = self.detail.get(name)
        return datetime.fromisoformat(str(value)) if value else None


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, before it becomes HTML and plain text.

    `calendar` are links to calendars, (name, address); `calendar_note` says what to do with them, or what the attached
    file does. `method` is that file's; without one there is none.
    """

    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    action: tuple[str, str] | None = None
    calendar: tuple[tuple[str, str], ...] = ()
    calendar_note: str = ""
    method: Method | None = None
    closing: str = ""
    #: What helps on the day, (words, address): a map, the receipt.
    more: tuple[tuple[str, str], ...] = ()
    #: What else is linked to, (words, address), and what these are.
    links: tuple[tuple[str, str], ...] = ()
    links_heading: str = ""


def one_line(text: str) -> str:
    """One line without control characters, for a header or a calendar's field."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """The text without control characters and lone surrogates; marks that steer the writing direction (Cf) stay."""
    return _UNPRINTABLE.sub("", text)


#: Unicode's categories Cc, but for line feeds and tabs, and Cs.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

"""The staff pages' words: a booking in a list, its whole story, what an act would do to the money; pure.

Times are the place's own, wherever the customer is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from app.booking.bookings import BookingView
from app.booking.moves import MoveQuote
from app.booking.payment_refused import BAD_EMAIL
from app.booking.policy import Refusal
from app.domain.booking import Actor, Booking, Status
from app.domain.event import StoredEvent
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import Move
from app.domain.outbox import MailLine
from app.domain.payment import Payment, PaymentMethod, PaymentState
from app.domain.refund import payable_another_way
from app.errors import (
    AddressRefused,
    BookingConflict,
    HoldfastError,
    LinkRefused,
    NotBegun,
    PaymentRefused,
    PolicyRefused,
    SchedulerError,
    StripeError,
)
from app.errors.after_paying import out_of_reach
from app.mail import MailKind
from app.msgid import N_
from app.text import catalogues, formats, zones
from app.text.history_words import PAID_HOW, history_words
from app.text.price_words import to_pay_at_visit
from app.web.shared.booking_summary import at_place, price
from app.web.shared.refund_words import captured, disputed, owner_refund_words, paid_how
from app.web.shared.status_words import status_words
from app.web.shared.time_words import moment_words, when
from app.widgets import Widget

_MAILS: Final[Mapping[str, str]] = {
    MailKind.CONFIRMED_CUSTOMER: N_("Confirmation"),
    MailKind.CONFIRMED_OWNER: N_("To you: booked"),
    MailKind.RELEASED_CUSTOMER: N_("Not booked, nothing charged"),
    MailKind.REFUNDED_CUSTOMER: N_("Refund"),
    MailKind.REFUNDED_OWNER: N_("To you: refund"),
    MailKind.CANCELED_CUSTOMER: N_("Cancelled"),
    MailKind.CANCELED_OWNER: N_("To you: cancelled"),
    MailKind.RESTORED_CUSTOMER: N_("Cancellation undone"),
    MailKind.RESTORED_OWNER: N_("To you: cancellation undone"),
    MailKind.MOVED_CUSTOMER: N_("Moved"),
    MailKind.MOVED_OWNER: N_("To you: moved"),
    MailKind.NOT_MOVED_CUSTOMER: N_("Not moved"),
    MailKind.REMINDER_CUSTOMER: N_("Reminder"),
    MailKind.LINK_CUSTOMER: N_("New link"),
    MailKind.REFUND_FAILED_CUSTOMER: N_("Refund failed"),
    MailKind.REFUND_FAILED_OWNER: N_("To you: refund failed"),
    MailKind.DISPUTED_OWNER: N_("To you: disputed at the bank"),
    MailKind.PAY_LINK_CUSTOMER: N_("Payment link"),
    MailKind.PAY_REMINDER_CUSTOMER: N_("Payment link: reminder"),
    MailKind.NOT_PAID_OWNER: N_("To you: payment link not used"),
    MailKind.DELAYED_CUSTOMER: N_("Not confirmed yet"),
    MailKind.OFFERED_CUSTOMER: N_("Other times to choose from"),
    MailKind.OFFERED_OWNER: N_("To you: paid too late"),
    MailKind.TROUBLE_OWNER: N_("To you: needs your attention"),
}
_CHANGED: Final[Mapping[str, str]] = {"name": N_("name"), "email": N_("address"), "phone": N_("phone number")}
_PAYMENTS: Final[Mapping[PaymentState, str]] = {
    PaymentState.CAPTURED: N_("paid"),
    PaymentState.AUTHORIZED: N_("held on the card"),
    PaymentState.OPEN: N_("not paid yet"),
    PaymentState.PROCESSING: N_("the bank is working on it"),
}
_REPORTS: Final[Mapping[str, str]] = {
    "booked": N_("The time is booked."),
    "being_booked": N_("The calendar has not answered yet. We keep trying, and will email you if it takes long."),
    "linked": N_("The time is held, and the payment link is on its way."),
    "taken": N_("The payment has been noted."),
    "link_sent": N_("The payment link is on its way again."),
    "link_waits": N_("The payment link was emailed a moment ago. You can send it again after five minutes."),
    "link_longer": N_("The customer has more time to pay, and has been told."),
    "link_ended": N_("The time is free again. Nothing was charged."),
    "canceled": N_("The booking has been cancelled."),
    "refunded": N_("The refund is on its way."),
    "moved": N_("The booking has been moved."),
    "held": N_("The new time is held until the difference is paid. Send the customer to the page below."),
    "moving": N_("The calendar has not answered yet. Both times are kept, and we keep trying."),
    "left": N_("The move has been stopped. The booking stays as it was."),
    "missed": N_("Marked as missed. Nothing was charged or refunded."),
    "came": N_("No longer marked as missed. Nothing was charged or refunded."),
    "sent": N_("A new link is on its way. Older links no longer work."),
    "paid": N_("Marked as paid another way. We do not try this refund again."),
    "corrected": N_("The address was changed. Emails that had not arrived are sent to it. Older links no longer work."),
    "same": N_("The booking already has this address."),
    "again": N_("The emails that could not be delivered are being sent again."),
    "waits": N_("A new link was emailed a moment ago. You can send another one after five minutes."),
}


def reported_words(word: str, language: str) -> str:
    """What an act that led to the page has to say."""
    return catalogues.translator(language).gettext(_REPORTS[word]) if word in _REPORTS else ""


# Lists


def days_of(
    bookings: Sequence[Booking], widgets: Mapping[str, Widget], base: str, now: datetime, language: str
) -> list[dict[str, Any]]:
    """A heading for each day, with its visits in order."""

    def day(booking: Booking) -> tuple[str, str]:
        return zones.local(booking.starts_at, booking.time_zone).date().isoformat(), booking.time_zone

    several = len({booking.time_zone for booking in bookings}) > 1
    days = []
    for (date, zone), visits in groupby(sorted(bookings, key=lambda one: (*day(one), one.starts_at)), key=day):
        those = list(visits)
        start = those[0].starts_at
        days.append(
            {
                "date": date,
                "heading": formats.format_day(start, zone, language, today=zones.local(now, zone).date()),
                "relative": formats.relative_day(start, zone, now, language),
                "zone": zones.zone_label(zone, start, language) if several else "",
                "visits": [visit(booking, widgets, base, now, language) for booking in those],
            }
        )
    return days


def visit(booking: Booking, widgets: Mapping[str, Widget], base: str, now: datetime, language: str) -> dict[str, Any]:
    """One booking as a line of a list; the printed day has all of it."""
    word, mark = owner_status_words(booking, None, now, language)
    zone, customer = booking.time_zone, booking.customer
    return {
        "path": f"{base}/bookings/{booking.id}",
        "id": booking.id,
        "iso": formats.machine_time(booking.starts_at),
        "day": formats.format_day(booking.starts_at, zone, language, "medium", today=zones.local(now, zone).date()),
        "times": formats.format_span(booking.starts_at, booking.ends_at, zone, language),
        "service": booking.service_name,
        "person": booking.resource_name,
        "price": price(booking.terms.price, language),
        "name": customer.name if customer else "",
        "phone": customer.phone if customer else "",
        "email": customer.email if customer else "",
        "notes": customer.notes if customer else "",
        "answers": answers(booking, widgets.get(booking.widget)),
        "word": word,
        "mark": mark,
        "plain": booking.status is Status.CONFIRMED and mark in {"check", "clock"},
        "unpaid": booking.status is Status.AWAITING_PAYMENT,
        "off": booking.status in {Status.CANCELED, Status.EXPIRED},
    }


def owner_status_words(booking: Booking, move: Move | None, now: datetime, language: str) -> tuple[str, str]:
    """(word, mark): as the customer reads it, but that a visit may be missed before it is over."""
    if booking.no_show and booking.status is Status.CONFIRMED:
        return catalogues.translator(language).gettext("Missed"), "cross"
    return status_words(booking, move, now, language)


def answers(booking: Booking, widget: Widget | None) -> list[tuple[str, str]]:
    """What was asked, in the owner's words, and what the customer answered."""
    given = booking.customer.answers if booking.customer else {}
    return [widget.answer(name, text) if widget else (name, text) for name, text in given.items() if text]


# One booking


def link_words(view: BookingView, address: str, now: datetime, language: str) -> dict[str, str] | None:
    """A payment by link that is awaited: how much, until when, and the page to pass on. None where there is none."""
    booking = at_place(view.booking)
    if not booking.pay_link or booking.status not in {Status.HELD, Status.AWAITING_PAYMENT} or booking.deadline <= now:
        return None
    return {
        "amount": formats.format_money(booking.terms.price, language),
        "until": when(booking.deadline, booking, now, language),
        "address": address,
        "more": "" if booking.deadline >= booking.starts_at else "1",
        "binds": "1" if view.lock_binds else "",
    }


def payment_rows(view: BookingView, language: str) -> list[dict[str, str]]:
    """Every payment that came, or may come, with Stripe's name for it."""
    _ = catalogues.translator(language).gettext
    rows = []
    for payment in view.payments:
        state = _(_PAYMENTS[payment.state]) if payment.state in _PAYMENTS else _("nothing was charged")
        how = [_("difference of a move")] if payment.move_id else []
        how += [paid_how(payment, language) or state, *([_disputed(payment, language)] if payment.dispute else [])]
        amount = payment.captured if payment.state is PaymentState.CAPTURED else payment.price.amount
        rows.append(
            {
                "label": _("Payment"),
                "amount": formats.format_money(Money(amount, payment.price.currency), language),
                "how": " · ".join(how),
                "reference": payment.payment_intent_id or "",
                "payable": "",
            }
        )
    return rows


def _disputed(payment: Payment, language: str) -> str:
    return catalogues.translator(language).gettext("disputed: %(state)s") % {"state": payment.dispute}


def refund_rows(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """Every refund with where it is; `payable` is its id where the owner may pay it another way."""
    _ = catalogues.translator(language).gettext
    payable = payable_another_way(view.payments, view.refunds)
    return [
        {
            "label": _("Refund"),
            "amount": formats.format_money(refund.amount, language),
            "how": owner_refund_words(refund, view, now, language),
            "reference": refund.stripe_refund_id or "",
            "payable": refund.id if refund.id in payable else "",
        }
        for refund in view.refunds
    ]


def money_left(view: BookingView) -> Money:
    """What of the booking's money is still here."""
    return Money(view.left, view.booking.terms.price.currency)


def history_rows(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """Everything that happened, newest first."""
    booking = at_place(view.booking)
    return [
        {
            "at": when(entry.at, booking, now, language),
            "iso": formats.machine_time(entry.at),
            "what": _happened(entry, booking, now, language),
        }
        for entry in reversed(view.history)
    ]


def _happened(entry: HistoryEntry, booking: Booking, now: datetime, language: str) -> str:
    _ = catalogues.translator(language).gettext
    detail = entry.detail
    words = [_(history_words(entry)).rstrip(".")]
    if "from" in detail and "to" in detail:
        before, after = (when(datetime.fromisoformat(detail[end]), booking, now, language) for end in ("from", "to"))
        words.append(_("from %(before)s to %(after)s") % {"before": before, "after": after})
    if detail.get("changed"):
        words.append(", ".join(_(_CHANGED[name]) for name in str(detail["changed"]).split() if name in _CHANGED))
    if detail.get("who"):
        words.append(_("by %(who)s") % {"who": detail["who"]})
    elif "by" in detail:
        words.append(_("by the owner") if detail["by"] == Actor.OWNER else _("by the customer"))
    if "paid" in detail:
        paid = formats.format_money(Money(detail["paid"], booking.terms.price.currency), language)
        words += [paid, _(PAID_HOW[PaymentMethod(detail["how"])])]
    if "until" in detail:
        words.append(
            _("until %(when)s") % {"when": when(datetime.fromisoformat(detail["until"]), booking, now, language)}
        )
    amount = detail.get("amount", detail.get("back"))
    if amount is not None:
        back = formats.format_money(Money(amount, booking.terms.price.currency), language)
        words.append(_("%(amount)s back") % {"amount": back})
    words += [str(detail[name]) for name in ("dispute", "note") if detail.get(name)]
    return ", ".join(words)


def given_up(mail: MailLine) -> bool:
    """Whether a mail could not be delivered and is not tried any more."""
    return mail.sent_at is None and mail.next_try_at is None and mail.error != "no longer true"


def mail_row(mail: MailLine, zone: str, now: datetime, language: str) -> dict[str, str]:
    """A mail, and whether it went."""
    _ = catalogues.translator(language).gettext
    today = zones.local(now, zone).date()

    def when(moment: datetime) -> str:
        return moment_words(moment, zone, language, today)

    if given_up(mail):
        how, mark = _("stopped trying: %(why)s") % {"why": mail.error}, "problem"
    elif mail.sent_at:
        how, mark = _("sent %(when)s") % {"when": when(mail.sent_at)}, "check"
    elif mail.error == "no longer true":
        how, mark = _("not sent: it was no longer true"), "cross"
    elif mail.due_at > now:
        how, mark = _("will be sent on %(when)s") % {"when": when(mail.due_at)}, "clock"
    elif mail.error:
        how, mark = _("trying again: %(why)s") % {"why": mail.error}, "problem"
    else:
        how, mark = _("is being sent"), "clock"
    return {"what": _(_MAILS.get(mail.kind, mail.kind)), "how": how, "mark": mark, "booking": mail.booking_id}


# Before an act


def goes_back(view: BookingView, amount: Money, language: str) -> list[str]:
    """What goes back, and what keeps it from going."""
    _ = catalogues.translator(language).gettext
    if not amount:
        if captured(view):
            return [_("Nothing is left of the payment, so there is nothing to refund.")]
        return [_("Nothing was paid, so there is nothing to refund.")]
    whole = money_left(view)
    if amount == whole:
        lines = [
            _("That is everything that is left of the payment. It is refunded straight away, the way it was paid.")
        ]
    else:
        rest = Money(whole.amount - amount.amount, amount.currency)
        lines = [
            _("It is refunded straight away, the way it was paid. The remaining %(rest)s is not refunded.")
            % {"rest": formats.format_money(rest, language)}
        ]
    lines += _by_hand(view, language)
    if disputed(view):
        lines.append(_("A payment is disputed. What the bank takes back itself is not refunded as well."))
    return lines


def _by_hand(view: BookingView, language: str) -> list[str]:
    if not view.funds.in_person:
        return []
    _ = catalogues.translator(language).gettext
    return [_("You refund what was paid on the spot yourself: Stripe has no part in it. Mark it as paid then.")]


def moves_money(quote: MoveQuote, view: BookingView, language: str) -> tuple[str, list[str]]:
    """What a move by the owner does to the money, in a word and in sentences."""
    _ = catalogues.translator(language).gettext
    amount = formats.format_money(Money(abs(quote.difference), quote.price.currency), language)
    if quote.difference > 0:
        head = _("%(amount)s more") % {"amount": amount}
        line = _(
            "Nothing is charged now. The customer has %(num)s minutes to pay this on Stripe's page, and the new time "
            "is held until then. If they do not pay, nothing changes."
        )
        return head, [line % {"num": view.widget.payment_minutes}]
    if quote.difference < 0:
        lines = [_("The new time costs less. The difference is refunded straight away.")]
        return _("%(amount)s back") % {"amount": amount}, [*lines, *_by_hand(view, language)]
    if quote.unpaid:
        return _("Nothing to pay or refund"), [to_pay_at_visit(quote.price, quote.unpaid, language)]
    if quote.due:
        return _("Nothing to pay or refund"), [_("The new price is lower.")]
    return _("Nothing to pay or refund"), [_("The price stays at %(price)s.") % {"price": price(quote.price, language)}]


def mailed(view: BookingView, language: str, *, enabled: bool, owner: bool = True) -> str:
    """Who hears of it."""
    _ = catalogues.translator(language).gettext
    if not enabled:
        return _("No email is sent, because no mail server is set up.")
    return (
        _("The customer and the owner get an email.")
        if owner and view.widget.owner_email
        else _("The customer gets an email.")
    )


def not_done(error: HoldfastError, language: str) -> list[str]:
    """Why an act was not done. None of these comes after a change."""
    _ = catalogues.translator(language).gettext
    stays = _("Nothing was changed, charged or refunded.")
    match error:
        case LinkRefused() | BookingConflict():
            return [
                _("This page was open for a while, or the booking has changed in the meantime. Please check it again."),
                stays,
            ]
        case PolicyRefused(refusal=Refusal.UNDER_WAY):
            return [_("This booking is being moved right now, or the customer is paying for a move."), stays]
        case NotBegun():
            return [_(error.sentence), stays]
        case PolicyRefused(refusal=Refusal.NOT_OFFERED):
            return [_("Its widget is no longer in widgets.toml, so you can cancel the booking but not move it."), stays]
        case PolicyRefused():
            return [_("This can no longer be done with this booking."), stays]
        case AddressRefused():
            return [_(BAD_EMAIL), stays]
        case PaymentRefused():
            return [
                _("Stripe refused to open the payment page for this booking, so the customer could not pay."),
                stays,
            ]
        case SchedulerError() | StripeError():
            return [_(out_of_reach(error)), stays]
        case _:
            return [stays]


# Events


def event_row(stored: StoredEvent, zone: str, now: datetime, language: str) -> dict[str, str]:
    """A stored event, and whether it had its effect."""
    _ = catalogues.translator(language).gettext
    today = zones.local(now, zone).date()
    event = stored.event
    if stored.processed_at:
        how, mark = _("done"), "check"
    elif stored.error:
        how, mark = _("trying again: %(why)s") % {"why": stored.error}, "problem"
    else:
        how, mark = _("is waiting"), "clock"
    came = moment_words(stored.received_at, zone, language, today)
    return {"what": event.type, "id": event.id, "how": how, "mark": mark, "at": came, "booking": event.booking_id or ""}

"""A booking's status in words: its state, why it ended, what it waits for. For customers and for staff; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.booking.bookings import BookingView
from app.booking.overdue import CONFIRM_WITHIN
from app.domain.booking import Booking, EndReason, Status
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.payment import PaymentState
from app.msgid import N_
from app.text import catalogues, formats
from app.web.shared.booking_summary import visit_line
from app.web.shared.time_words import clock, long_when

_WHY_ENDED: Mapping[EndReason | None, str] = {
    EndReason.DEADLINE: N_("We did not receive your payment, so we have released the time."),
    EndReason.GIVEN_UP: N_("You released the time."),
    EndReason.REFUSED: N_("Someone else booked this time first."),
    EndReason.NO_ANSWER: N_("The calendar did not answer, so we could not hold the time for you."),
    EndReason.PAYMENT_FAILED: N_("The payment did not go through."),
    EndReason.PAYMENT_MISMATCH: N_("The payment did not match the price."),
    EndReason.TAKEN: N_("Someone else took this time in the calendar before we could confirm it for you."),
    EndReason.SLOT_GONE: N_("Your payment arrived after the hold had ended, and the time was no longer free."),
    EndReason.NOT_CHOSEN: N_("None of the times we held for you was chosen."),
    EndReason.BEGUN: N_("Your payment arrived after the appointment had started."),
    EndReason.REFUNDED: N_("Your payment was refunded before the booking was confirmed."),
    EndReason.CAPTURE_FAILED: N_("Your bank did not pay the amount it had reserved."),
    EndReason.BY_CUSTOMER: N_("You cancelled it."),
    EndReason.BY_OWNER: N_("We had to cancel it. We are sorry."),
}


def why_ended(reason: EndReason | str | None, language: str) -> str:
    """Why a booking ended, said to the customer; empty where there is nothing to say."""
    why = next((text for known, text in _WHY_ENDED.items() if known == reason), "") if reason else ""
    return catalogues.translator(language).gettext(why) if why else ""


def waits_long(view: BookingView, now: datetime) -> bool:
    """Whether nothing has happened to the booking for longer than a confirmation takes."""
    return bool(view.history) and now - view.history[-1].at >= CONFIRM_WITHIN


def paid_and_waiting(language: str) -> list[str]:
    """That the money is here, and that the calendar has not taken the booking yet."""
    _ = catalogues.translator(language).gettext
    return [
        _("We have your payment, but the calendar is not responding. Please do not pay again."),
        _("We keep trying. If it cannot be confirmed in time, we will refund you in full."),
    ]


def mail_problem(view: BookingView, language: str) -> str:
    """That the customer's address takes no mail; empty where nothing says so."""
    customer = view.booking.customer
    if not view.mail_problem or customer is None:
        return ""
    said = catalogues.translator(language).gettext(
        "Our email to %(email)s could not be delivered. Please contact us so that we can correct the address."
    )
    return said % {"email": customer.email}


def stands(booking: Booking, now: datetime) -> bool:
    """Whether the visit is still to come, or going on."""
    return booking.status is Status.CONFIRMED and not booking.over(now)


def status_words(booking: Booking, move: Move | None, now: datetime, language: str) -> tuple[str, str]:
    """(word, mark): where the booking stands, and the move that it is on."""
    _ = catalogues.translator(language).gettext
    match booking.status:
        case Status.CONFIRMED if booking.over(now):
            return (_("Missed"), "cross") if booking.no_show else (_("Completed"), "check")
        case Status.CONFIRMED if move and move.state is MoveState.MOVING:
            return _("Being moved"), "waiting"
        case Status.CONFIRMED:
            return (_("Under way"), "clock") if booking.starts_at <= now else (_("Confirmed"), "check")
        case Status.CANCELED:
            return _("Cancelled"), "cross"
        case Status.PAID if booking.canceled_at:
            return _("Being confirmed again"), "waiting"
        case Status.PAID:
            nothing_paid = booking.terms.free or booking.payment_id is None
            return (_("Being confirmed") if nothing_paid else _("Paid, being confirmed")), "waiting"
        case Status.OFFERED:
            return _("Waiting for a choice"), "clock"
        case Status.EXPIRED:
            return _("Not booked"), "cross"
        case Status.AWAITING_PAYMENT:
            return _("Waiting for payment"), "clock"
        case Status.HELD if booking.pay_link:
            return _("Waiting for payment"), "clock"
        case Status.HELD:
            return _("Not booked yet"), "clock"


def paying(view: BookingView, now: datetime, language: str) -> dict[str, Any] | None:
    """A move whose difference is being paid: what it would be, until when, and Stripe's page that is still open."""
    move, booking = view.move, view.booking
    if move is None or move.state is not MoveState.HELD:
        return None
    payment = next((payment for payment in reversed(view.payments) if payment.move_id == move.id), None)
    difference = Money(move.price.amount - booking.terms.price.amount, move.price.currency)
    there = long_when(move.starts_at, move.ends_at, booking, now, language)
    return {
        "what": visit_line(move.service_name, move.resource_name, there, language),
        "amount": formats.format_money(payment.price if payment else difference, language),
        "until": clock(move.deadline, booking, language),
        "url": payment.session_url if payment and payment.state is PaymentState.OPEN else None,
        "processing": payment is not None and payment.state is PaymentState.PROCESSING,
    }

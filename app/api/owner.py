"""Routes for the owner alone: no-shows, refunds, the customer's address, mails. No decision is made here."""

from __future__ import annotations

from app.api import answers, requests
from app.api.asked import must_be_owner
from app.api.door import Call
from app.api.shown import going_back, shown
from app.booking.corrections import Correction
from app.domain.money import Money
from app.domain.refund import REFUND_VOID
from app.errors import RefundFailed


async def mark_no_show(call: Call, asked: requests.NoShowRequest) -> answers.BookingAnswer:
    """POST /api/bookings/no-show"""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    await call.parts.corrections.mark_no_show(booking.id, no_show=asked.no_show)
    return await shown(call, booking)


async def give_back(call: Call, asked: requests.RefundRequest) -> answers.GivenBackAnswer:
    """POST /api/bookings/refund: a refund outside the terms; the booking stays."""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    currency = booking.terms.price.currency
    amount = Money(asked.amount, currency) if asked.amount else None
    new = await call.parts.owner_refunds.give_back(booking.id, amount)
    ids = {refund.id for refund in new}
    view = await call.parts.bookings.view(booking.id)
    made = [refund for refund in view.refunds if refund.id in ids and refund.status not in REFUND_VOID]
    if not made:
        raise RefundFailed(booking.id)
    status, total, refund_id = going_back(made)
    return answers.GivenBackAnswer(
        booking_id=booking.id, refund_status=status, refund_amount=total, refund_id=refund_id, currency=currency
    )


async def paid_another_way(call: Call, asked: requests.PaidAnotherWayRequest) -> answers.BookingAnswer:
    """POST /api/bookings/refund/paid-another-way: a failed or refused refund was paid without Stripe."""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    await call.parts.owner_refunds.paid_another_way(booking.id, asked.refund_id)
    return await shown(call, booking)


async def correct(call: Call, asked: requests.CorrectRequest) -> answers.BookingAnswer:
    """POST /api/bookings/correct: correct the customer's name, address or phone number in one booking."""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    phone = "" if asked.remove_phone else asked.phone or None
    correction = Correction(name=asked.name or None, email=asked.email or None, phone=phone)
    await call.parts.corrections.correct(booking.id, correction, by=by)
    return await shown(call, booking)


async def correct_email(call: Call, asked: requests.CorrectEmailRequest) -> answers.BookingAnswer:
    """POST /api/bookings/correct-email: correct the customer's address, and send there what the old one did not
    take."""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    await call.parts.corrections.correct_email(booking.id, asked.email)
    return await shown(call, booking)


async def resend_mails(call: Call, asked: requests.Named) -> answers.DoneAnswer:
    """POST /api/bookings/resend-mails: send again what could not be delivered."""
    booking, by = await call.booking(asked)
    must_be_owner(by)
    await call.parts.corrections.resend_mails(booking.id)
    return answers.DoneAnswer()

"""Routes that change a booking: cancel, undo, move, a new link. No decision is made here."""

from __future__ import annotations

from app.api import answers, requests
from app.api.asked import must_fit
from app.api.door import Call
from app.api.shown import booking_out, booking_status, going_back, shown
from app.booking.bookings import BookingView
from app.booking.customer_form import clean
from app.booking.take_payment import UNPAID
from app.domain.booking import Actor, Booking, Status


async def cancel(call: Call, asked: requests.CancelRequest) -> answers.CancelAnswer:
    """POST /api/bookings/cancel: give up a hold, or cancel a confirmed booking."""
    booking, by = await call.booking(asked)
    if asked.dry_run and booking.status not in {*UNPAID, Status.EXPIRED, Status.CANCELED}:
        return await _would_cancel(call, booking, by, refund=asked.refund_requested)
    if not asked.dry_run:
        await call_off(call, booking, by, reason=asked.reason, refund=asked.refund_requested)
    view = await call.parts.bookings.view(booking.id)
    return _canceled(view, call, *going_back(view.refunds))


async def call_off(call: Call, booking: Booking, by: Actor, *, reason: str, refund: bool) -> None:
    """Give up a hold, or cancel a booking; one that is over stays as it is."""
    if booking.status in {*UNPAID, Status.EXPIRED}:
        await call.parts.hold.give_up(booking.id)
    elif booking.status is not Status.CANCELED:
        await call.parts.cancel.booking(booking.id, by=by, note=clean(reason, lines=True), refund=refund)


async def _would_cancel(call: Call, booking: Booking, by: Actor, *, refund: bool) -> answers.CancelAnswer:
    view = await call.parts.bookings.view(booking.id)
    back = await call.parts.cancel.quote(booking.id, by=by)
    amount = back.amount if refund else 0
    status = answers.RefundStatus.PENDING if amount else answers.RefundStatus.NOT_APPLICABLE
    return _canceled(view, call, status, amount, None)


def _canceled(
    view: BookingView, call: Call, status: answers.RefundStatus, amount: int, refund_id: str | None
) -> answers.CancelAnswer:
    booking, now = view.booking, call.parts.now()
    undo = booking.undo_until if booking.status is Status.CANCELED else None
    return answers.CancelAnswer(
        booking_id=booking.id,
        status=booking_status(booking, view.history, now),
        refund_status=status,
        refund_amount=amount,
        refund_id=refund_id,
        currency=booking.terms.price.currency,
        undo_until=undo if undo and undo > now else None,
    )


async def restore(call: Call, asked: requests.Named) -> answers.BookingAnswer:
    """POST /api/bookings/restore: undo a cancellation, while that is allowed."""
    booking, _ = await call.booking(asked)
    await call.parts.cancel.undo(booking.id)
    return await shown(call, booking)


async def choose(call: Call, asked: requests.ChooseRequest) -> answers.BookingAnswer:
    """POST /api/bookings/choose: one of the times that are held for a payment which came too late."""
    booking, _ = await call.booking(asked)
    await call.parts.late_money.choose(booking.id, asked.time_id)
    return await shown(call, booking)


async def reschedule(call: Call, asked: requests.RescheduleRequest) -> answers.RescheduleAnswer:
    """POST /api/bookings/reschedule"""
    booking, by = await call.booking(asked)
    service = await call.parts.availability.service(
        call.parts.bookings.widget_of(booking), asked.service_id or booking.service_id
    )
    must_fit(service, asked.new_start, asked.new_end, "newEnd")
    start, service_id, resource_id = asked.new_start, asked.service_id, asked.resource_id or None
    checkout_url = None
    if asked.dry_run:
        quote = await call.parts.reschedule.quote(
            booking.id, starts_at=start, service_id=service_id, resource_id=resource_id, by=by
        )
        difference = quote.difference
    else:
        moved = await call.parts.reschedule.booking(
            booking.id, starts_at=start, service_id=service_id, resource_id=resource_id, by=by
        )
        difference, checkout_url = moved.difference, moved.checkout_url
    return answers.RescheduleAnswer(
        booking=booking_out(await call.parts.bookings.view(booking.id), call),
        price_difference=difference,
        checkout_url=checkout_url,
    )


async def abandon_move(call: Call, asked: requests.Named) -> answers.BookingAnswer:
    """POST /api/bookings/reschedule/abandon: leave an unpaid difference; the booking stays as it was."""
    booking, _ = await call.booking(asked)
    await call.parts.reschedule.give_up(booking.id)
    return await shown(call, booking)


async def resend_link(call: Call, asked: requests.Named) -> answers.DoneAnswer:
    """POST /api/bookings/resend-link: mail the customer a new link; the old ones are retired."""
    booking, by = await call.booking(asked)
    await call.parts.manage_links.renew(booking.id, by)
    return answers.DoneAnswer()

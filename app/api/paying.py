"""Routes around Stripe's page: open it, and show its status. No decision is made here."""

from __future__ import annotations

from app.api import answers, requests
from app.api.asked import must_be_allowed
from app.api.door import Call
from app.api.shown import payment_status
from app.booking.bookings import BookingView
from app.domain.booking import Actor, Booking, EndReason
from app.domain.payment import UNDER_WAY, PaymentState
from app.errors import HoldExpired, PaymentFailed, SessionExpired


async def create_session(call: Call, asked: requests.CheckoutRequest) -> answers.CheckoutAnswer:
    """POST /api/checkout/create-session"""
    booking, by = await call.booking(asked)
    return await pay(call, booking, by, return_url=asked.return_url, cancel_url=asked.cancel_url)


async def pay(
    call: Call, booking: Booking, by: Actor, *, return_url: str = "", cancel_url: str = ""
) -> answers.CheckoutAnswer:
    """Stripe's page for a booking, or its confirmation if there is nothing to pay."""
    for field, address in (("returnUrl", return_url), ("cancelUrl", cancel_url)):
        must_be_allowed(call, booking, field, address)
    try:
        url = await call.parts.checkout.start(
            booking.id, return_url=return_url, cancel_url=cancel_url, by=by, address=call.caller.address
        )
    except HoldExpired as error:
        raise _why_over(await call.parts.bookings.view(booking.id)) from error
    view = await call.parts.bookings.view(booking.id)
    payment = view.payments[-1] if url and view.payments else None
    return answers.CheckoutAnswer(
        session_id=payment.session_id if payment else None,
        url=url,
        expires_at=view.booking.deadline if payment else None,
    )


def _why_over(view: BookingView) -> HoldExpired | PaymentFailed:
    """The hold is over: because nobody paid in time, because the bank said no, or before paying began."""
    if view.booking.end_reason is EndReason.PAYMENT_FAILED:
        return PaymentFailed(view.booking.id)
    if any(payment.session_id for payment in view.payments):
        return SessionExpired(view.booking.id)
    return HoldExpired(view.booking.id)


_SESSIONS = {
    PaymentState.OPEN: answers.SessionStatus.OPEN,
    PaymentState.EXPIRED: answers.SessionStatus.EXPIRED,
}


async def show_session(call: Call, asked: requests.TokenQuery) -> answers.SessionAnswer:
    """GET /api/checkout/sessions/{sessionId}. Takes in what Stripe says, as the page does that one comes back to."""
    call.must_have_credentials(asked.token)
    session_id = call.request.path_params["sessionId"]
    payment = await call.parts.bookings.payment_by_session(session_id)
    await call.find(booking_id=payment.booking_id, token=asked.token)
    if payment.state in UNDER_WAY:
        await call.parts.settle.booking(payment.booking_id)
        payment = await call.parts.bookings.payment_by_session(session_id)
    view = await call.parts.bookings.view(payment.booking_id)
    refunds = [refund for refund in view.refunds if refund.payment_id == payment.id]
    return answers.SessionAnswer(
        session_id=session_id,
        status=_SESSIONS.get(payment.state, answers.SessionStatus.COMPLETE),
        payment_status=payment_status([payment], refunds),
        payment_intent_id=payment.payment_intent_id,
        receipt_url=await call.parts.bookings.receipt_url(payment),
    )

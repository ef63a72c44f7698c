"""Routes that make a booking (hold a time, hold it longer) and show its status. No decision is made here."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from app.api import answers, requests
from app.api.asked import asked_language, find_offer, must_fit, read_customer, visitor_key
from app.api.door import Call
from app.api.shown import booking_out, booking_status, shown
from app.booking.customer_form import clean
from app.domain.attribution import campaign
from app.domain.booking import Visitor
from app.errors import NotFound
from app.protection.hold_limits import Client
from app.protection.proof_of_work import Proof


async def lock(call: Call, asked: requests.LockRequest) -> answers.LockAnswer:
    """POST /api/bookings/lock"""
    parts = call.parts
    widget, service = await find_offer(call, asked.widget, asked.service_id)
    if asked.resource_id and service.resource(asked.resource_id) is None:
        raise NotFound(asked.resource_id)
    must_fit(service, asked.start, asked.end, "end")
    customer = read_customer(asked.customer, widget)
    key = visitor_key(call)
    visitor = Visitor(
        key=key,
        time_zone="",
        language=asked_language(call, widget),
        utm=campaign((name, clean(value)) for name, value in asked.utm.items()),
        reference=clean(asked.reference),
        metadata={clean(name): clean(value) for name, value in asked.metadata.items()},
    )
    proof = Proof(asked.proof.token, asked.proof.solution, asked.proof.answer)
    booking = await parts.hold.take(
        widget,
        service_id=service.id,
        starts_at=asked.start,
        resource_id=asked.resource_id or None,
        visitor=visitor,
        customer=customer,
        client=None if call.caller.key else Client(key, call.caller.address, proof, answers=False),
    )
    zone = ZoneInfo(booking.time_zone)
    return answers.LockAnswer(
        booking_id=booking.id,
        hapio_booking_id=booking.reservation.reference or "",
        start=booking.starts_at.astimezone(zone),
        end=booking.ends_at.astimezone(zone),
        resource_id=booking.resource_id,
        status=booking_status(booking, (), parts.now()),
        expires_at=booking.deadline,
        price=booking.terms.price.amount,
        currency=booking.terms.price.currency,
        token=parts.links.api_token(booking.id),
    )


async def extend(call: Call, asked: requests.Named) -> answers.BookingAnswer:
    """POST /api/bookings/extend: hold the time longer."""
    booking, _ = await call.booking(asked)
    await call.parts.hold.extend(booking.id)
    return await shown(call, booking)


async def show_booking(call: Call, asked: requests.TokenQuery) -> answers.BookingAnswer:
    """GET /api/bookings/{bookingId}"""
    booking, _ = await call.find(booking_id=call.request.path_params["bookingId"], token=asked.token)
    return answers.BookingAnswer(**booking_out(await call.parts.bookings.view(booking.id), call).model_dump())

"""What each route does: the same acts as the HTML door, in JSON's words. No decision is made here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from app.api import models
from app.api.door import Call
from app.api.models import BookingStatus, HapioStatus, Named, PaymentStatus, RefundStatus, SessionStatus
from app.booking.bookings import BookingView
from app.booking.customer_form import ANSWER, clean, read_details
from app.booking.take_payment import UNPAID
from app.domain.attribution import campaign
from app.domain.booking import Actor, Booking, Customer, EndReason, Status, Visitor
from app.domain.catalogue import Service, Slot
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.domain.refund import REFUND_DONE, REFUND_VOID, Refund
from app.errors import HoldExpired, InvalidDetails, NotFound, NotYours, PaymentFailed, RefundFailed, SessionExpired
from app.msgid import N_
from app.protection.hold_limits import Client
from app.protection.proof_of_work import Proof
from app.text.languages import negotiate
from app.text.zones import valid_zone
from app.widgets import Widget

#: Months are what costs calls: a longer look is several.
LONGEST_LOOK = timedelta(days=62)
#: What anybody books lies within these years; the calendar's ends overflow in reckoning.
_YEARS = range(2000, 2200)

#: How long a day's text is.
_DAY = len("2026-11-24")

_NO_SUCH_ZONE = N_("There is no such time zone.")
_NO_TIME = N_("Please give a date, or a time with its UTC offset.")
_BAD_SPAN = N_("This must not be before the start, and at most 62 days after it.")
_BAD_END = N_("This service has a different duration.")
_BAD_ADDRESS = N_("The address must be on one of the sites that may show this widget.")


# Looking


async def show_services(call: Call, asked: models.ServicesQuery) -> models.ServicesAnswer:
    """GET /api/services"""
    offered = []
    for widget in _widgets(call, asked.widget):
        catalogue = await call.parts.availability.catalogue(widget)
        offered += [_service(service, widget) for service in catalogue.services]
    return models.ServicesAnswer(services=offered)


async def show_availability(call: Call, asked: models.AvailabilityQuery) -> models.AvailabilityAnswer:
    """GET /api/availability"""
    widget, service = await _offer(call, asked.widget, asked.service_id)
    if asked.resource_id and service.resource(asked.resource_id) is None:
        raise NotFound(asked.resource_id)
    location = (await call.parts.availability.catalogue(widget)).location
    zone_name = valid_zone(asked.time_zone) if asked.time_zone else location.time_zone
    if zone_name is None:
        raise InvalidDetails({"timeZone": _NO_SUCH_ZONE})
    zone = ZoneInfo(zone_name)
    start, end = _span(asked.from_, asked.to, zone)
    slots: dict[datetime, Slot] = {}
    now = call.parts.now()
    oldest = now
    reader = "" if call.caller.key else call.caller.address
    for month in _months(start, end):
        times = await call.parts.availability.times(
            widget, service, month=month, resource_id=asked.resource_id or None, reader=reader
        )
        oldest = min(oldest, times.as_of)
        slots |= {slot.starts_at: slot for slot in times.slots if start <= slot.starts_at < end}
    return models.AvailabilityAnswer(
        slots=[
            models.SlotOut(
                start=slot.starts_at.astimezone(zone),
                end=slot.ends_at.astimezone(zone),
                resource_ids=list(slot.resource_ids),
            )
            for _, slot in sorted(slots.items())
        ],
        age=ceil((now - oldest).total_seconds()),
        time_zone=zone_name,
    )


async def show_booking(call: Call, asked: models.TokenQuery) -> models.BookingAnswer:
    """GET /api/bookings/{bookingId}"""
    booking, _ = await call.find(booking_id=call.request.path_params["bookingId"], token=asked.token)
    return models.BookingAnswer(**_booking(await call.parts.bookings.view(booking.id), call).model_dump())


async def show_session(call: Call, asked: models.TokenQuery) -> models.SessionAnswer:
    """GET /api/checkout/sessions/{sessionId}. Takes in what Stripe says, as the page does that one comes back to."""
    call.must_have_credentials(asked.token)
    session_id = call.request.path_params["sessionId"]
    payment: Payment = await call.parts.bookings.payment_by_session(session_id)
    await call.find(booking_id=payment.booking_id, token=asked.token)
    if payment.state in {PaymentState.OPEN, PaymentState.PROCESSING}:
        await call.parts.settle.booking(payment.booking_id)
        payment = await call.parts.bookings.payment_by_session(session_id)
    view: BookingView = await call.parts.bookings.view(payment.booking_id)
    refunds = [refund for refund in view.refunds if refund.payment_id == payment.id]
    return models.SessionAnswer(
        session_id=session_id,
        status=_SESSIONS.get(payment.state, SessionStatus.COMPLETE),
        payment_status=_payment_status([payment], refunds),
        payment_intent_id=payment.payment_intent_id,
        receipt_url=await call.parts.bookings.receipt_url(payment),
    )


# Booking


async def lock(call: Call, asked: models.LockRequest) -> models.LockAnswer:
    """POST /api/bookings/lock"""
    parts, headers = call.parts, call.request.headers
    widget, service = await _offer(call, asked.widget, asked.service_id)
    _must_fit(service, asked.start, asked.end, "end")
    customer = _customer(asked.customer, widget)
    # Under its key a call that is made again after a crash finds the hold that it made before.
    key = (
        parts.links.lock_key(call.caller.name, call.idempotency_key)
        if call.idempotency_key
        else parts.links.visitor_key()
    )
    visitor = Visitor(
        key=key,
        time_zone="",
        language=negotiate(None, headers.get("accept-language"), widget.languages),
        utm=campaign((name, clean(value)) for name, value in asked.utm.items()),
        reference=clean(asked.reference),
        metadata={clean(name): clean(value) for name, value in asked.metadata.items()},
    )
    proof = Proof(asked.proof.token, asked.proof.solution, asked.proof.answer)
    booking: Booking = await parts.hold.take(
        widget,
        service_id=service.id,
        starts_at=asked.start,
        resource_id=asked.resource_id or None,
        visitor=visitor,
        customer=customer,
        client=None if call.caller.key else Client(key, call.caller.address, proof, answers=False),
    )
    zone = ZoneInfo(booking.time_zone)
    return models.LockAnswer(
        booking_id=booking.id,
        hapio_booking_id=booking.hapio_booking_id or "",
        start=booking.starts_at.astimezone(zone),
        end=booking.ends_at.astimezone(zone),
        resource_id=booking.resource_id,
        status=_status(booking, (), parts.now()),
        expires_at=booking.deadline,
        price=booking.terms.price.amount,
        currency=booking.terms.price.currency,
        token=parts.links.api_token(booking.id),
    )


async def extend(call: Call, asked: Named) -> models.BookingAnswer:
    """POST /api/bookings/extend: hold the time longer."""
    booking, _ = await call.booking(asked)
    await call.parts.hold.extend(booking.id)
    return await _shown(call, booking)


async def create_session(call: Call, asked: models.CheckoutRequest) -> models.CheckoutAnswer:
    """POST /api/checkout/create-session"""
    booking, by = await call.booking(asked)
    for field, address in (("returnUrl", asked.return_url), ("cancelUrl", asked.cancel_url)):
        _must_be_allowed(call, booking, field, address)
    try:
        url = await call.parts.checkout.start(
            booking.id, return_url=asked.return_url, cancel_url=asked.cancel_url, by=by, address=call.caller.address
        )
    except HoldExpired as error:
        raise _why_over(await call.parts.bookings.view(booking.id)) from error
    view: BookingView = await call.parts.bookings.view(booking.id)
    payment = view.payments[-1] if url and view.payments else None
    return models.CheckoutAnswer(
        session_id=payment.session_id if payment else None,
        url=url,
        expires_at=view.booking.deadline if payment else None,
    )


# Changing


async def cancel(call: Call, asked: models.CancelRequest) -> models.CancelAnswer:
    """POST /api/bookings/cancel: a hold is given up, a confirmed booking called off."""
    booking, by = await call.booking(asked)
    if booking.status is Status.CANCELED:
        view: BookingView = await call.parts.bookings.view(booking.id)
        return _canceled(view, call, *_going_back(view.refunds))
    if booking.status in {*UNPAID, Status.EXPIRED}:
        if not asked.dry_run:
            booking = await call.parts.hold.give_up(booking.id)
        return _canceled(await call.parts.bookings.view(booking.id), call, RefundStatus.NOT_APPLICABLE, 0, None)
    if asked.dry_run:
        return await _would_cancel(call, booking, by, refund=asked.refund_requested)
    await call.parts.cancel.booking(
        booking.id, by=by, note=clean(asked.reason, lines=True), refund=asked.refund_requested
    )
    view = await call.parts.bookings.view(booking.id)
    return _canceled(view, call, *_going_back(view.refunds))


async def restore(call: Call, asked: Named) -> models.BookingAnswer:
    """POST /api/bookings/restore: take a cancellation back, for as long as it may be."""
    booking, _ = await call.booking(asked)
    await call.parts.cancel.undo(booking.id)
    return await _shown(call, booking)


async def reschedule(call: Call, asked: models.RescheduleRequest) -> models.RescheduleAnswer:
    """POST /api/bookings/reschedule"""
    booking, by = await call.booking(asked)
    starts_at, service_id, resource_id = asked.new_start, asked.service_id, asked.resource_id or None
    service = await call.parts.availability.service(
        call.parts.bookings.widget_of(booking), asked.service_id or booking.service_id
    )
    _must_fit(service, asked.new_start, asked.new_end, "newEnd")
    if asked.dry_run:
        quote = await call.parts.reschedule.quote(
            booking.id, starts_at=starts_at, service_id=service_id, resource_id=resource_id, by=by
        )
        return models.RescheduleAnswer(
            booking=_booking(await call.parts.bookings.view(booking.id), call),
            price_difference=quote.difference,
            checkout_url=None,
        )
    moved = await call.parts.reschedule.booking(
        booking.id, starts_at=starts_at, service_id=service_id, resource_id=resource_id, by=by
    )
    return models.RescheduleAnswer(
        booking=_booking(await call.parts.bookings.view(booking.id), call),
        price_difference=moved.difference,
        checkout_url=moved.checkout_url,
    )


async def abandon_move(call: Call, asked: Named) -> models.BookingAnswer:
    """POST /api/bookings/reschedule/abandon: leave an unpaid difference; the booking stays as it was."""
    booking, _ = await call.booking(asked)
    await call.parts.reschedule.give_up(booking.id)
    return await _shown(call, booking)


async def resend_link(call: Call, asked: Named) -> models.DoneAnswer:
    """POST /api/bookings/resend-link: mail the customer a fresh link; the old ones are retired."""
    booking, by = await call.booking(asked)
    await call.parts.manage_links.renew(booking.id, by)
    return models.DoneAnswer()


# The owner


async def mark_no_show(call: Call, asked: models.NoShowRequest) -> models.BookingAnswer:
    """POST /api/bookings/no-show"""
    booking, by = await call.booking(asked)
    _must_be_owner(by)
    await call.parts.corrections.mark_no_show(booking.id, no_show=asked.no_show)
    return await _shown(call, booking)


async def give_back(call: Call, asked: models.RefundRequest) -> models.GivenBackAnswer:
    """POST /api/bookings/refund: money back beside the terms; the booking stands."""
    booking, by = await call.booking(asked)
    _must_be_owner(by)
    currency = booking.terms.price.currency
    amount = Money(asked.amount, currency) if asked.amount else None
    new = await call.parts.owner_refunds.give_back(booking.id, amount)
    ids = {refund.id for refund in new}
    view: BookingView = await call.parts.bookings.view(booking.id)
    made = [refund for refund in view.refunds if refund.id in ids and refund.status not in REFUND_VOID]
    if not made:
        raise RefundFailed(booking.id)
    status, total, refund_id = _going_back(made)
    return models.GivenBackAnswer(
        booking_id=booking.id, refund_status=status, refund_amount=total, refund_id=refund_id, currency=currency
    )


async def paid_another_way(call: Call, asked: models.PaidAnotherWayRequest) -> models.BookingAnswer:
    """POST /api/bookings/refund/paid-another-way: a failed or refused refund was paid without Stripe."""
    booking, by = await call.booking(asked)
    _must_be_owner(by)
    await call.parts.owner_refunds.paid_another_way(booking.id, asked.refund_id)
    return await _shown(call, booking)


async def correct_email(call: Call, asked: models.CorrectEmailRequest) -> models.BookingAnswer:
    """POST /api/bookings/correct-email: the customer's right address, to which goes what the old one did not take."""
    booking, by = await call.booking(asked)
    _must_be_owner(by)
    await call.parts.corrections.correct_email(booking.id, asked.email)
    return await _shown(call, booking)


async def resend_mails(call: Call, asked: models.Named) -> models.DoneAnswer:
    """POST /api/bookings/resend-mails: send again what could not be delivered."""
    booking, by = await call.booking(asked)
    _must_be_owner(by)
    await call.parts.corrections.resend_mails(booking.id)
    return models.DoneAnswer()


# Reading what is asked


def _widgets(call: Call, name: str) -> list[Widget]:
    widgets = call.parts.widgets
    if not name:
        return list(widgets.values())
    if name not in widgets:
        raise NotFound(name)
    return [widgets[name]]


async def _offer(call: Call, widget_name: str, service_id: str) -> tuple[Widget, Service]:
    """The service, and the first widget that offers it. Raises NotFound."""
    for widget in _widgets(call, widget_name):
        for service in (await call.parts.availability.catalogue(widget)).services:
            if service.id == service_id:
                return widget, service
    raise NotFound(service_id)


def _moment(field: str, text: str, zone: ZoneInfo) -> datetime:
    """A day's beginning in the zone, or a time with its offset, in UTC."""
    try:
        if len(text) == _DAY:
            found = datetime.combine(date.fromisoformat(text), time(), zone)
        else:
            found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDetails({field: _NO_TIME}) from error
    if found.tzinfo is None or found.year not in _YEARS:
        raise InvalidDetails({field: _NO_TIME})
    return found.astimezone(UTC)


def _span(first: str, last: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when, in UTC. A last day counts to its end, as in the owner's commands; a moment is not part of it.
    Raises InvalidDetails."""
    start, end = _moment("from", first, zone), _moment("to", last, zone)
    longest = end - start
    if len(last) == _DAY:
        end = _moment("to", (date.fromisoformat(last) + timedelta(days=1)).isoformat(), zone)
    if not (timedelta(0) < end - start and longest <= LONGEST_LOOK):
        raise InvalidDetails({"to": _BAD_SPAN})
    return start, end


def _months(start: datetime, end: datetime) -> Iterator[date]:
    month = start.date().replace(day=1)
    while month < end.date() or month == start.date().replace(day=1):
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _must_fit(service: Service, start: datetime, end: datetime, field: str) -> None:
    """The end is the service's to say; a program that reckons with another would show its users a wrong one."""
    if start.year not in _YEARS:
        raise InvalidDetails({field.replace("End", "Start").replace("end", "start"): _NO_TIME})
    if end - start != service.duration:
        raise InvalidDetails({field: _BAD_END})


def _customer(given: models.CustomerIn, widget: Widget) -> Customer:
    form = {"name": given.name, "email": given.email, "phone": given.phone, "notes": given.notes}
    form |= {ANSWER + name: answer for name, answer in given.answers.items()}
    form["consent"] = "yes" if given.consent else ""
    try:
        return read_details(form, widget)
    except InvalidDetails as error:
        raise InvalidDetails({_field(name): sentence for name, sentence in error.fields.items()}) from error


def _field(name: str) -> str:
    return f"customer.answers.{name.removeprefix(ANSWER)}" if name.startswith(ANSWER) else f"customer.{name}"


def _must_be_allowed(call: Call, booking: Booking, field: str, address: str) -> None:
    """Stripe sends customers there: nowhere but to the owner's sites and to our own pages."""
    if not address:
        return
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InvalidDetails({field: _BAD_ADDRESS}) from error
    allowed = {*call.parts.bookings.widget_of(booking).allowed_origins, call.parts.settings.public_url}
    # urlsplit forgives blanks at the front; Stripe does not, and would refuse every later attempt, too.
    spoilt = not address.isascii() or not address.isprintable() or " " in address
    if spoilt or f"{parts.scheme}://{parts.netloc}" not in allowed:
        raise InvalidDetails({field: _BAD_ADDRESS})


def _must_be_owner(by: Actor) -> None:
    if by is not Actor.OWNER:
        raise NotYours("a token")


# Writing what is


def _service(service: Service, widget: Widget) -> models.ServiceOut:
    return models.ServiceOut(
        id=service.id,
        name=service.name,
        description=service.description,
        duration=round(service.duration.total_seconds() / 60),
        price=service.price.amount,
        currency=service.price.currency,
        widget=widget.name,
        resources=[models.ResourceOut(id=resource.id, name=resource.name) for resource in service.resources],
    )


_SESSIONS = {
    PaymentState.OPEN: SessionStatus.OPEN,
    PaymentState.EXPIRED: SessionStatus.EXPIRED,
}


def _status(booking: Booking, history: Sequence[HistoryEntry], now: datetime) -> BookingStatus:
    if booking.over(now):
        return BookingStatus.COMPLETED
    match booking.status:
        case Status.CONFIRMED:
            moved = any(entry.what == "moved" for entry in history)
            return BookingStatus.RESCHEDULED if moved else BookingStatus.CONFIRMED
        case Status.CANCELED | Status.EXPIRED:
            return BookingStatus.CANCELLED
        case _:
            return BookingStatus.PENDING


def _payment_status(payments: Sequence[Payment], refunds: Sequence[Refund]) -> PaymentStatus:
    """What came and what of it has gone back, not what is on its way."""
    captured = sum(payment.captured for payment in payments if payment.state is PaymentState.CAPTURED)
    back = sum(refund.amount.amount for refund in refunds if refund.status in REFUND_DONE)
    states = {payment.state for payment in payments}
    if captured:
        if back >= captured:
            return PaymentStatus.REFUNDED
        return PaymentStatus.PARTIALLY_REFUNDED if back else PaymentStatus.PAID
    if states & {PaymentState.PROCESSING, PaymentState.AUTHORIZED}:
        return PaymentStatus.PENDING
    return PaymentStatus.FAILED if PaymentState.FAILED in states else PaymentStatus.UNPAID


def _booking(view: BookingView, call: Call) -> models.BookingOut:
    booking, now = view.booking, call.parts.now()
    zone = ZoneInfo(booking.time_zone)
    in_hapio = booking.hapio_booking_id and not booking.hapio_canceled
    status, amount, _ = _going_back(view.refunds)
    undo = booking.undo_until if booking.status is Status.CANCELED else None
    return models.BookingOut(
        booking_id=booking.id,
        hapio_booking_id=booking.hapio_booking_id,
        status=_status(booking, view.history, now),
        payment_status=_payment_status(view.payments, view.refunds),
        hapio_status=HapioStatus.ACTIVE if in_hapio else HapioStatus.CANCELLED,
        service_id=booking.service_id,
        service_name=booking.service_name,
        resource_id=booking.resource_id,
        resource_name=booking.resource_name,
        location_name=booking.location_name,
        start=booking.starts_at.astimezone(zone),
        end=booking.ends_at.astimezone(zone),
        time_zone=booking.time_zone,
        price=booking.terms.price.amount,
        currency=booking.terms.price.currency,
        refund=models.RefundOut(status=status, amount=amount),
        expires_at=booking.deadline if booking.status in UNPAID else None,
        undo_until=undo if undo and undo > now else None,
        no_show=booking.no_show,
        reference=booking.visitor.reference,
        metadata=dict(booking.visitor.metadata),
        last_updated=booking.updated_at,
    )


async def _shown(call: Call, booking: Booking) -> models.BookingAnswer:
    view = await call.parts.bookings.view(booking.id)
    return models.BookingAnswer(**_booking(view, call).model_dump())


def _going_back(refunds: Sequence[Refund]) -> tuple[RefundStatus, int, str | None]:
    """(how far, how much, Stripe's id of the newest) of what goes back."""
    live = [refund for refund in refunds if refund.status not in REFUND_VOID]
    total = sum(refund.amount.amount for refund in live)
    if not total:
        return RefundStatus.NOT_APPLICABLE, 0, None
    done = all(refund.status in REFUND_DONE for refund in live)
    refund_id = next((refund.stripe_refund_id for refund in reversed(live) if refund.stripe_refund_id), None)
    return RefundStatus.COMPLETED if done else RefundStatus.PENDING, total, refund_id


async def _would_cancel(call: Call, booking: Booking, by: Actor, *, refund: bool) -> models.CancelAnswer:
    view: BookingView = await call.parts.bookings.view(booking.id)
    back = await call.parts.cancel.quote(booking.id, by=by)
    amount = back.amount if refund else 0
    status = RefundStatus.PENDING if amount else RefundStatus.NOT_APPLICABLE
    return _canceled(view, call, status, amount, None)


def _canceled(
    view: BookingView, call: Call, status: RefundStatus, amount: int, refund_id: str | None
) -> models.CancelAnswer:
    booking, now = view.booking, call.parts.now()
    undo = booking.undo_until if booking.status is Status.CANCELED else None
    return models.CancelAnswer(
        booking_id=booking.id,
        status=_status(booking, view.history, now),
        refund_status=status,
        refund_amount=amount,
        refund_id=refund_id,
        currency=booking.terms.price.currency,
        undo_until=undo if undo and undo > now else None,
    )


def _why_over(view: BookingView) -> HoldExpired | PaymentFailed:
    """The hold is over: because nobody paid in time, because the bank said no, or before paying began."""
    if view.booking.end_reason is EndReason.PAYMENT_FAILED:
        return PaymentFailed(view.booking.id)
    if any(payment.session_id for payment in view.payments):
        return SessionExpired(view.booking.id)
    return HoldExpired(view.booking.id)

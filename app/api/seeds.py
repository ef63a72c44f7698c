"""The acts under the names that programs for Calendly with Stripe use, off unless they are switched on. No decision is
made here."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit
from zoneinfo import ZoneInfo

from app.api import answers, paying, requests, seed_answers, seed_requests
from app.api.asked import asked_language, asked_widgets, find_offer, must_fit, visitor_key
from app.api.changing import call_off
from app.api.door import Call
from app.api.shown import booking_status, going_back, in_scheduler, payment_status
from app.booking.bookings import BookingView
from app.booking.customer_form import clean, read_details
from app.booking.hold import must_be_held
from app.booking.own_page import BookedThere, Unfit
from app.booking.take_payment import UNPAID
from app.domain.attribution import campaign
from app.domain.booking import Actor, Booking, Customer, Status, Visitor
from app.domain.catalogue import Service
from app.domain.flow import Flow
from app.errors import (
    BookingConflict,
    InvalidDetails,
    LinkExpired,
    LinkRefused,
    NotTakenIn,
    NotYours,
    Unauthorized,
)
from app.protection.hold_limits import Client
from app.text import zones
from app.widgets import Widget

#: Why an event is not taken in, by the field of the body that does not fit it.
_UNFIT: Mapping[str, tuple[str, str]] = {
    Unfit.UNKNOWN: ("calendlyEventUri", "The scheduler has no such event."),
    Unfit.VISITOR: ("bookingFlowId", "This event was not booked in this flow, or by another client."),
    Unfit.SERVICE: ("calendlyEventUri", "This event is of another session type."),
    Unfit.TIME: ("scheduledTime", "The event starts at another time."),
    Unfit.CANCELED: ("calendlyEventUri", "This event is cancelled."),
    Unfit.BEGUN: ("scheduledTime", "This event has already begun."),
}
_OTHER_EVENT = "This invitee is of another event."
#: Where the details form's fields stand in the bodies.
_STORE_FIELDS = {
    "name": "clientInfo.name",
    "email": "clientInfo.email",
    "phone": "clientInfo.phoneNumber",
    "notes": "clientInfo.notes",
}
_CONFIRM_FIELDS = {"name": "clientDetails.name", "email": "clientDetails.email"}


async def initiate_booking(
    call: Call, asked: seed_requests.InitiateBookingRequest
) -> seed_answers.InitiateBookingAnswer:
    """POST /api/scheduling/calendly/initiate-booking"""
    widget, service = await find_offer(call, "", asked.session_type_id)
    utm = asked.utm_params
    pairs = {"utm_source": utm.source, "utm_medium": utm.medium, "utm_campaign": utm.campaign}
    profile, language = clean(asked.builder_profile_id), asked_language(call, widget)
    flow = call.parts.links.new_flow(
        widget.name,
        service.id,
        reference=clean(asked.client_id),
        metadata={"builderProfileId": profile} if profile else {},
        utm=campaign((name, clean(value)) for name, value in pairs.items()),
    )
    return seed_answers.InitiateBookingAnswer(
        booking_flow_id=call.parts.links.flow_token(flow),
        calendly_url=_page(call, service, flow),
        session_type=seed_answers.SessionTypeOut(
            id=service.id,
            name=service.name_in(language),
            description=service.description_in(language),
            duration=round(service.duration.total_seconds() / 60),
            price=service.price.amount,
            currency=service.price.currency,
        ),
        expires_at=flow.expires_at,
    )


def _page(call: Call, service: Service, flow: Flow) -> str:
    """Where the client chooses a time. What is booked on the scheduler's own page is known again by `utm_content`."""
    if service.page is None:
        asked = urlencode({"service": service.id, **flow.utm})
        return f"{call.parts.settings.public_url}/w/{flow.widget}?{asked}"
    parts = urlsplit(service.page)
    tracking = {**flow.utm, "utm_content": flow.id}
    return parts._replace(query=urlencode([*parse_qsl(parts.query), *tracking.items()])).geturl()


async def store_event(call: Call, asked: seed_requests.StoreEventRequest) -> seed_answers.StoreEventAnswer:
    """POST /api/scheduling/calendly/store-event: what was booked on the scheduler's own page, to be paid here."""
    flow = _open_flow(call, asked.booking_flow_id)
    if not asked.calendly_invitee_uri.startswith(f"{asked.calendly_event_uri}/"):
        raise InvalidDetails({"calendlyInviteeUri": _OTHER_EVENT})
    [widget] = asked_widgets(call, flow.widget)
    info = asked.client_info
    form = {"name": info.name, "email": info.email, "phone": info.phone_number, "notes": info.notes}
    told = BookedThere(
        reference=asked.calendly_event_uri.rpartition("/")[2],
        service_id=flow.service_id,
        starts_at=asked.scheduled_time,
        tag=flow.id,
    )
    try:
        booking = await call.parts.own_page.take_in(
            widget,
            told,
            visitor=flow.visitor(language=asked_language(call, widget)),
            customer=_customer(form, widget, _STORE_FIELDS),
        )
    except NotTakenIn as error:
        raise InvalidDetails(dict([_UNFIT[error.reason]])) from error
    if booking.status in UNPAID and booking.terms.free:
        await paying.pay(call, booking, _by(call))
        booking = await call.parts.bookings.get(booking.id)
    must_be_held(booking, call.parts.now())
    if booking.status is Status.CANCELED:
        raise BookingConflict(booking.status)
    unpaid = booking.status in UNPAID
    action = seed_answers.NextAction
    return seed_answers.StoreEventAnswer(
        booking_id=booking.id,
        next_action=action.REDIRECT_TO_PAYMENT if unpaid else action.AWAIT_WEBHOOK,
        # Not Stripe's page yet: the call that asks for it may say where it leads back to.
        payment_url=_own_page(call, booking) if unpaid else None,
        expires_at=booking.deadline if unpaid else None,
    )


async def show_booking_status(
    call: Call,
    asked: seed_requests.NothingQuery,  # noqa: ARG001 - its type says what may be asked
) -> seed_answers.BookingStatusAnswer:
    """GET /api/scheduling/calendly/booking-status/{bookingId}"""
    booking, _ = await call.find(booking_id=call.request.path_params["bookingId"])
    view = (await call.parts.bookings.view(booking.id)).spoken()
    booking, language = view.booking, view.booking.visitor.language
    setting = view.widget.setting(booking.service_id)
    states = seed_answers.CalendlyStatus
    return seed_answers.BookingStatusAnswer(
        booking_id=booking.id,
        status=_status(view, call),
        payment_status=_payment_status(view),
        calendly_status=states.ACTIVE if in_scheduler(booking) else states.CANCELLED,
        scheduled_time=booking.starts_at.astimezone(ZoneInfo(booking.time_zone)),
        session_type=seed_answers.SessionTypeOut(
            id=booking.service_id,
            name=booking.service_name,
            description=view.widget.said(setting.description, language) if setting else "",
            duration=round((booking.ends_at - booking.starts_at).total_seconds() / 60),
            price=booking.terms.price.amount,
            currency=booking.terms.price.currency,
        ),
        last_updated=booking.updated_at,
    )


def _status(view: BookingView, call: Call) -> seed_answers.FlowBookingStatus:
    known = booking_status(view.booking, view.history, call.parts.now())
    if known is answers.BookingStatus.COMPLETED:
        known = booking_status(view.booking, view.history, view.booking.starts_at)
    return seed_answers.FlowBookingStatus(known.value)


def _payment_status(view: BookingView) -> seed_answers.FlowPaymentStatus:
    known, words = payment_status(view.payments, view.refunds), seed_answers.FlowPaymentStatus
    if known is answers.PaymentStatus.PARTIALLY_REFUNDED:
        return words.REFUNDED if view.booking.status is Status.CANCELED else words.PAID
    return words(known.value)


async def create_checkout_session(
    call: Call, asked: seed_requests.CreateCheckoutSessionRequest
) -> seed_answers.CreateCheckoutSessionAnswer:
    """POST /api/stripe/create-checkout-session"""
    booking, by = await call.find(booking_id=asked.booking_id)
    page = await paying.pay(call, booking, by, return_url=asked.return_url, cancel_url=asked.cancel_url)
    return seed_answers.CreateCheckoutSessionAnswer(
        session_id=page.session_id, url=page.url, expires_at=page.expires_at
    )


async def show_session_status(
    call: Call,
    asked: seed_requests.NothingQuery,  # noqa: ARG001 - its type says what may be asked
) -> seed_answers.SessionStatusAnswer:
    """GET /api/stripe/session-status/{sessionId}"""
    page = await paying.show_session(call, requests.TokenQuery())
    ours, words = answers.PaymentStatus, seed_answers.PagePaymentStatus
    known = {ours.UNPAID: words.UNPAID, ours.PENDING: words.UNPAID, ours.FAILED: words.FAILED}
    return seed_answers.SessionStatusAnswer(
        session_id=page.session_id,
        status=page.status,
        payment_status=known.get(page.payment_status, words.PAID),
        payment_intent_id=page.payment_intent_id,
        receipt_url=page.receipt_url,
    )


async def cancel_booking(call: Call, asked: seed_requests.CancelBookingRequest) -> seed_answers.CancelBookingAnswer:
    """POST /api/scheduling/cancel-booking: under the booking's terms, also for an API key."""
    booking, _ = await call.find(booking_id=asked.booking_id)
    await call_off(call, booking, Actor.CUSTOMER, reason=asked.reason, refund=asked.refund_requested)
    view = await call.parts.bookings.view(booking.id)
    refund_status, _, refund_id = going_back(view.refunds)
    words = seed_answers.CancellationStatus
    return seed_answers.CancelBookingAnswer(
        booking_id=booking.id,
        status=words.CANCELLATION_PENDING if view.booking.reservation.due else words.CANCELLED,
        refund_status=refund_status,
        refund_id=refund_id,
    )


async def confirm_booking(call: Call, asked: seed_requests.ConfirmBookingRequest) -> seed_answers.ConfirmBookingAnswer:
    """POST /api/scheduling/bookings/confirm: hold a time, and confirm it or ask for its price."""
    slot, details = asked.time_slot, asked.client_details
    flow = None if call.caller.key else _open_flow(call, call.caller.bearer)
    if flow and flow.service_id != asked.session_type_id:
        raise NotYours("another session type")
    widget, service = await find_offer(call, flow.widget if flow else "", asked.session_type_id)
    must_fit(service, slot.start_time, slot.end_time, "timeSlot.endTime")
    zone, language = zones.valid_zone(details.timezone) or "", asked_language(call, widget)
    visitor = Visitor(key=visitor_key(call), time_zone=zone, language=language)
    if flow:
        visitor = flow.visitor(time_zone=zone, language=language)
    form = {"name": details.name, "email": details.email, "notes": asked.notes}
    booking = await call.parts.hold.take(
        widget,
        service_id=service.id,
        starts_at=slot.start_time,
        resource_id=None,
        visitor=visitor,
        customer=_customer(form, widget, _CONFIRM_FIELDS),
        client=None if call.caller.key else Client(visitor.key, call.caller.address, answers=False),
    )
    page = await paying.pay(call, booking, _by(call))
    booking = await call.parts.bookings.get(booking.id)
    return seed_answers.ConfirmBookingAnswer(
        booking=seed_answers.ConfirmedBookingOut(
            id=booking.id,
            calendly_event_id=booking.reservation.reference if booking.status is Status.CONFIRMED else None,
            confirmation_url=_own_page(call, booking),
            start_time=booking.starts_at.astimezone(ZoneInfo(booking.time_zone)),
            end_time=booking.ends_at.astimezone(ZoneInfo(booking.time_zone)),
        ),
        payment_required=page.url is not None,
        checkout_url=page.url,
    )


def _open_flow(call: Call, token: str) -> Flow:
    """The flow of a token, while a time can be chosen. Raises LinkExpired, and Unauthorized for any other token."""
    try:
        return call.parts.links.read_open_flow(token)
    except LinkExpired:
        raise
    except LinkRefused as error:
        raise Unauthorized("not a flow of ours") from error


def _customer(form: Mapping[str, str], widget: Widget, fields: Mapping[str, str]) -> Customer:
    """Who comes, read as the form is read. Raises InvalidDetails with the body's `fields`."""
    try:
        return read_details(form, widget)
    except InvalidDetails as error:
        raise InvalidDetails({fields.get(name, name): sentence for name, sentence in error.fields.items()}) from error


def _by(call: Call) -> Actor:
    return Actor.OWNER if call.caller.key else Actor.CUSTOMER


def _own_page(call: Call, booking: Booking) -> str:
    token = call.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    return f"{call.parts.settings.public_url}/b/{token}"

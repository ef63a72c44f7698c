"""Every route of the JSON door, as data: what the router, the OpenAPI document and the plain page are made from."""

from __future__ import annotations

from collections import defaultdict

from starlette.routing import Route

from app.api import acts, models
from app.api.document import show_document, show_page
from app.api.door import Door, Operation, Who
from app.limiter import API_STATUS

#: What a provider that does not answer, or a time that is gone, adds to an act's ends.
_HAPIO = (503,)
_ACT = (401, 403, 404, 409, 410, 422, 503)

OPERATIONS = (
    Operation(
        "GET", "/api/services", "listServices", "What can be booked", acts.show_services,
        models.ServicesQuery, models.ServicesAnswer, Who.ANYONE, errors=(404, *_HAPIO),
    ),
    Operation(
        "GET", "/api/availability", "listFreeTimes", "Free times of a service", acts.show_availability,
        models.AvailabilityQuery, models.AvailabilityAnswer, Who.ANYONE, errors=(404, 422, *_HAPIO),
    ),
    Operation(
        "POST", "/api/bookings/lock", "lockTime", "Hold a time for a customer", acts.lock,
        models.LockRequest, models.LockAnswer, Who.ANYONE, status=201, errors=(404, 409, 422, *_HAPIO),
    ),
    Operation(
        "POST", "/api/bookings/extend", "extendHold", "Hold the time longer", acts.extend,
        models.Named, models.BookingAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/checkout/create-session", "createSession", "Start paying", acts.create_session,
        models.CheckoutRequest, models.CheckoutAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "GET", "/api/checkout/sessions/{sessionId}", "showSession", "How a payment page stands", acts.show_session,
        models.TokenQuery, models.SessionAnswer, Who.HOLDER, rule=API_STATUS, errors=(401, 403, 404, 410, 503),
    ),
    Operation(
        "GET", "/api/bookings/{bookingId}", "showBooking", "How a booking stands", acts.show_booking,
        models.TokenQuery, models.BookingAnswer, Who.HOLDER, rule=API_STATUS, errors=(401, 403, 404, 410, 503),
    ),
    Operation(
        "POST", "/api/bookings/cancel", "cancelBooking", "Give a hold up, or call a booking off", acts.cancel,
        models.CancelRequest, models.CancelAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/restore", "restoreBooking", "Take a cancellation back", acts.restore,
        models.Named, models.BookingAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/reschedule", "rescheduleBooking", "Move a booking to another time", acts.reschedule,
        models.RescheduleRequest, models.RescheduleAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/reschedule/abandon", "abandonMove", "Leave an unpaid difference", acts.abandon_move,
        models.Named, models.BookingAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/resend-link", "resendLink", "Mail the customer a fresh link", acts.resend_link,
        models.Named, models.DoneAnswer, Who.HOLDER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/no-show", "markNoShow", "Note that nobody came", acts.mark_no_show,
        models.NoShowRequest, models.BookingAnswer, Who.SERVER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/refund", "refundBooking", "Give money back beside the terms", acts.give_back,
        models.RefundRequest, models.GivenBackAnswer, Who.SERVER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/refund/paid-another-way", "markRefundPaid", "Note that a refund was paid without Stripe",
        acts.paid_another_way, models.PaidAnotherWayRequest, models.BookingAnswer, Who.SERVER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/correct-email", "correctEmail", "Change the customer's address", acts.correct_email,
        models.CorrectEmailRequest, models.BookingAnswer, Who.SERVER, errors=_ACT,
    ),
    Operation(
        "POST", "/api/bookings/resend-mails", "resendMails", "Send again what could not be delivered",
        acts.resend_mails, models.Named, models.DoneAnswer, Who.SERVER, errors=_ACT,
    ),
)  # fmt: skip


def _doors() -> list[Route]:
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in OPERATIONS:
        by_path[operation.path][operation.method] = operation
    # Names before patterns: "/api/bookings/lock" is no booking, whatever the method.
    paths = sorted(by_path, key=lambda path: "{" in path)
    return [Route(path, Door(by_path[path])) for path in paths]


routes = [
    Route("/api", show_page(OPERATIONS)),
    Route("/api/openapi.json", show_document(OPERATIONS)),
    *_doors(),
]

"""Every route of the JSON door, as data: what the router, the OpenAPI document and the plain page are made from."""

from __future__ import annotations

from collections import defaultdict

from starlette.routing import Route

from app.api import acts, models
from app.api.document import show_document, show_page
from app.api.door import Door, Operation, Who
from app.protection.rate_limits import API_STATUS

#: What a provider that does not answer, or a time that is gone, adds to an act's ends.
_HAPIO = (503,)
_ACT = (401, 403, 404, 409, 410, 422, 503)

OPERATIONS = (
    Operation(
        "GET",
        "/api/services",
        "listServices",
        "What can be booked",
        acts.show_services,
        models.ServicesQuery,
        models.ServicesAnswer,
        Who.ANYONE,
        errors=(404, *_HAPIO),
        tag="Looking",
        about="The services of one widget, or of all, with their prices and the people who offer them.",
    ),
    Operation(
        "GET",
        "/api/availability",
        "listFreeTimes",
        "Free times of a service",
        acts.show_availability,
        models.AvailabilityQuery,
        models.AvailabilityAnswer,
        Who.ANYONE,
        errors=(404, 422, *_HAPIO),
        tag="Looking",
        about="The free times of one service between two days, both included, or between two moments. "
        "They may be some seconds old; the lock decides.",
    ),
    Operation(
        "POST",
        "/api/bookings/lock",
        "lockTime",
        "Hold a time for a customer",
        acts.lock,
        models.LockRequest,
        models.LockAnswer,
        Who.ANYONE,
        status=201,
        errors=(404, 409, 422, *_HAPIO),
        tag="Booking",
        about="Holds one time for some minutes. The answer carries the booking's token.",
    ),
    Operation(
        "POST",
        "/api/bookings/extend",
        "extendHold",
        "Hold the time longer",
        acts.extend,
        models.Named,
        models.BookingAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Booking",
        about="Starts the hold's minutes again, as often as the widget allows.",
    ),
    Operation(
        "POST",
        "/api/checkout/create-session",
        "createSession",
        "Start paying",
        acts.create_session,
        models.CheckoutRequest,
        models.CheckoutAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Paying",
        about="Opens Stripe's page for the booking, or confirms it at once where nothing is due.",
    ),
    Operation(
        "GET",
        "/api/checkout/sessions/{sessionId}",
        "showSession",
        "Read the state of a payment page",
        acts.show_session,
        models.TokenQuery,
        models.SessionAnswer,
        Who.HOLDER,
        rule=API_STATUS,
        errors=(401, 403, 404, 410, 503),
        tag="Paying",
        about="Reads the state of the payment page, from Stripe while it is still open.",
    ),
    Operation(
        "GET",
        "/api/bookings/{bookingId}",
        "showBooking",
        "Read a booking",
        acts.show_booking,
        models.TokenQuery,
        models.BookingAnswer,
        Who.HOLDER,
        rule=API_STATUS,
        errors=(401, 403, 404, 410, 503),
        tag="Booking",
        about="Reads the booking. Poll this after the payment until `status` is no longer PENDING.",
    ),
    Operation(
        "POST",
        "/api/bookings/cancel",
        "cancelBooking",
        "Give a hold up, or call a booking off",
        acts.cancel,
        models.CancelRequest,
        models.CancelAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Changing",
        about="With the booking's token under the terms that it was bought with; with an API key as the owner, with "
        "all the money back.",
    ),
    Operation(
        "POST",
        "/api/bookings/restore",
        "restoreBooking",
        "Take a cancellation back",
        acts.restore,
        models.Named,
        models.BookingAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Changing",
        about="Takes a cancellation back, until `undoUntil`, if the time is still free. Its refund is withdrawn.",
    ),
    Operation(
        "POST",
        "/api/bookings/reschedule",
        "rescheduleBooking",
        "Move a booking to another time",
        acts.reschedule,
        models.RescheduleRequest,
        models.RescheduleAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Changing",
        about="Moves the booking at once, or, where the new time costs more, once the difference is paid at "
        "`checkoutUrl`.",
    ),
    Operation(
        "POST",
        "/api/bookings/reschedule/abandon",
        "abandonMove",
        "Leave an unpaid difference",
        acts.abandon_move,
        models.Named,
        models.BookingAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Changing",
        about="Ends a move whose difference is not paid. If it is paid after all, the booking is moved.",
    ),
    Operation(
        "POST",
        "/api/bookings/resend-link",
        "resendLink",
        "Email the customer a new link",
        acts.resend_link,
        models.Named,
        models.DoneAnswer,
        Who.HOLDER,
        errors=_ACT,
        tag="Changing",
        about="Emails a new link to the address on the booking, at most every five minutes, and retires the older "
        "ones.",
    ),
    Operation(
        "POST",
        "/api/bookings/no-show",
        "markNoShow",
        "Mark a booking as missed",
        acts.mark_no_show,
        models.NoShowRequest,
        models.BookingAnswer,
        Who.SERVER,
        errors=_ACT,
        tag="The owner",
        about="For servers with an API key, once the visit has begun. Nothing is charged or refunded.",
    ),
    Operation(
        "POST",
        "/api/bookings/refund",
        "refundBooking",
        "Refund outside the terms",
        acts.give_back,
        models.RefundRequest,
        models.GivenBackAnswer,
        Who.SERVER,
        errors=_ACT,
        tag="The owner",
        about="For servers with an API key: refunds without regard to the terms. The booking stays as it is.",
    ),
    Operation(
        "POST",
        "/api/bookings/refund/paid-another-way",
        "markRefundPaid",
        "Note that a refund was paid without Stripe",
        acts.paid_another_way,
        models.PaidAnotherWayRequest,
        models.BookingAnswer,
        Who.SERVER,
        errors=_ACT,
        tag="The owner",
        about="For servers with an API key: closes a refund that failed, or that Stripe refuses. No money is sent.",
    ),
    Operation(
        "POST",
        "/api/bookings/correct-email",
        "correctEmail",
        "Change the customer's address",
        acts.correct_email,
        models.CorrectEmailRequest,
        models.BookingAnswer,
        Who.SERVER,
        errors=_ACT,
        tag="The owner",
        about="For servers with an API key: what could not be delivered goes to the new address, else a new link.",
    ),
    Operation(
        "POST",
        "/api/bookings/resend-mails",
        "resendMails",
        "Send again what could not be delivered",
        acts.resend_mails,
        models.Named,
        models.DoneAnswer,
        Who.SERVER,
        errors=_ACT,
        tag="The owner",
        about="For servers with an API key: sends the booking's undelivered emails again.",
    ),
)


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

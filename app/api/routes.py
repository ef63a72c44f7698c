"""Every route of the JSON door, as data: what the router, the OpenAPI document and the plain page are made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial

from starlette.routing import BaseRoute, Route

from app.api import booking, changing, looking, owner, paying, seeds
from app.api.document import show_document, show_page
from app.api.door import Door, Operation, Who
from app.protection.rate_limits import API_STATUS
from app.settings import Settings

#: What a provider that does not answer, or a time that is gone, adds to an act's ends.
_HAPIO = (503,)
_ACT = (401, 403, 404, 409, 410, 422, 503)

_by_holder = partial(Operation, "POST", who=Who.HOLDER, errors=_ACT)
_status = partial(Operation, "GET", who=Who.HOLDER, rule=API_STATUS, errors=(401, 403, 404, 410, 503))
_by_server = partial(Operation, "POST", who=Who.SERVER, errors=_ACT)

OPERATIONS = (
    Operation(
        "GET",
        "/api/services",
        "listServices",
        "What can be booked",
        looking.show_services,
        who=Who.ANYONE,
        errors=(404, *_HAPIO),
        tag="Looking",
        about="The services of one widget, or of all, with their prices and the people who offer them.",
    ),
    Operation(
        "GET",
        "/api/availability",
        "listFreeTimes",
        "Free times of a service",
        looking.show_availability,
        who=Who.ANYONE,
        errors=(404, 422, *_HAPIO),
        tag="Looking",
        about="The free times of one service between two days, both included, or between two moments. "
        "They may be some seconds old; the lock decides.",
        kept=True,
    ),
    Operation(
        "POST",
        "/api/bookings/lock",
        "lockTime",
        "Hold a time for a customer",
        booking.lock,
        who=Who.ANYONE,
        status=201,
        errors=(404, 409, 422, *_HAPIO),
        tag="Booking",
        about="Holds one time for some minutes. The answer carries the booking's token.",
    ),
    _by_holder(
        "/api/bookings/extend",
        "extendHold",
        "Hold the time longer",
        booking.extend,
        tag="Booking",
        about="Starts the hold's minutes again, as often as the widget allows.",
    ),
    _by_holder(
        "/api/checkout/create-session",
        "createSession",
        "Start paying",
        paying.create_session,
        tag="Paying",
        about="Opens Stripe's page for the booking, or confirms it at once if there is nothing to pay.",
    ),
    _status(
        "/api/checkout/sessions/{sessionId}",
        "showSession",
        "Read the state of a payment page",
        paying.show_session,
        tag="Paying",
        about="Reads the state of the payment page, from Stripe while it is still open.",
    ),
    _status(
        "/api/bookings/{bookingId}",
        "showBooking",
        "Read a booking",
        booking.show_booking,
        tag="Booking",
        about="Reads the booking. Poll this after the payment until `status` is no longer PENDING.",
    ),
    _by_holder(
        "/api/bookings/cancel",
        "cancelBooking",
        "Give up a hold, or cancel a booking",
        changing.cancel,
        tag="Changing",
        about="With the booking's token under the terms that it was booked with; with an API key as the owner, with a "
        "full refund.",
    ),
    _by_holder(
        "/api/bookings/restore",
        "restoreBooking",
        "Take a cancellation back",
        changing.restore,
        tag="Changing",
        about="Undoes a cancellation, until `undoUntil`, if the time is still free. Its refund is withdrawn.",
    ),
    _by_holder(
        "/api/bookings/choose",
        "chooseTime",
        "Choose another time for a late payment",
        changing.choose,
        tag="Changing",
        about="Books one of the times in the booking's `offered`, which are held for a payment that came when the "
        "booking's own time was gone. `/api/bookings/cancel` gives all the money back instead.",
    ),
    _by_holder(
        "/api/bookings/reschedule",
        "rescheduleBooking",
        "Move a booking to another time",
        changing.reschedule,
        tag="Changing",
        about="Moves the booking at once, or, where the new time costs more, once the difference is paid at "
        "`checkoutUrl`.",
    ),
    _by_holder(
        "/api/bookings/reschedule/abandon",
        "abandonMove",
        "Leave an unpaid difference",
        changing.abandon_move,
        tag="Changing",
        about="Ends a move whose difference is not paid. If it has been paid after all, the booking is moved.",
    ),
    _by_holder(
        "/api/bookings/resend-link",
        "resendLink",
        "Email the customer a new link",
        changing.resend_link,
        tag="Changing",
        about="Emails a new link to the address on the booking, at most every five minutes, and retires the older "
        "ones.",
    ),
    _by_server(
        "/api/bookings/no-show",
        "markNoShow",
        "Mark a booking as missed",
        owner.mark_no_show,
        tag="The owner",
        about="For servers with an API key, once the visit has begun. Nothing is charged or refunded.",
    ),
    _by_server(
        "/api/bookings/refund",
        "refundBooking",
        "Refund outside the terms",
        owner.give_back,
        tag="The owner",
        about="For servers with an API key: refunds without regard to the terms. The booking stays as it is.",
    ),
    _by_server(
        "/api/bookings/refund/paid-another-way",
        "markRefundPaid",
        "Note that a refund was paid without Stripe",
        owner.paid_another_way,
        tag="The owner",
        about="For servers with an API key: closes a refund that failed, or that Stripe refuses. No money is sent.",
    ),
    _by_server(
        "/api/bookings/correct",
        "correct",
        "Change the customer's name, address or phone number",
        owner.correct,
        tag="The owner",
        about="For servers with an API key: with another name or address, older links stop working, and the "
        "confirmation is sent again.",
    ),
    _by_server(
        "/api/bookings/correct-email",
        "correctEmail",
        "Change the customer's address",
        owner.correct_email,
        tag="The owner",
        about="For servers with an API key: what could not be delivered goes to the new address, otherwise the "
        "confirmation.",
    ),
    _by_server(
        "/api/bookings/resend-mails",
        "resendMails",
        "Send again what could not be delivered",
        owner.resend_mails,
        tag="The owner",
        about="For servers with an API key: sends the booking's undelivered emails again.",
    ),
)


#: Under the names of programs that were written for Calendly with Stripe.
SEEDS = (
    _by_server(
        "/api/scheduling/calendly/initiate-booking",
        "initiateBooking",
        "Begin a booking",
        seeds.initiate_booking,
        begins=True,
        tag="Flows",
        about="For servers with an API key: returns where a time is chosen, and the token for what is booked there. "
        "Holds and writes nothing.",
    ),
    _by_holder(
        "/api/scheduling/calendly/store-event",
        "storeEvent",
        "Store what was booked on the scheduler's own page",
        seeds.store_event,
        tag="Flows",
        about="The event is read from the scheduler. A free one is confirmed at once; any other is cancelled there "
        "unless it is paid by `expiresAt`. The credential is `bookingFlowId`.",
    ),
    _status(
        "/api/scheduling/calendly/booking-status/{bookingId}",
        "showBookingStatus",
        "Read a booking's state",
        seeds.show_booking_status,
        tag="Flows",
        about="Reads the booking. Poll this after the payment until `status` is no longer PENDING.",
    ),
    _by_holder(
        "/api/stripe/create-checkout-session",
        "createCheckoutSession",
        "Start paying for a booking",
        seeds.create_checkout_session,
        tag="Flows",
        about="Opens Stripe's page for the booking, or confirms it at once if there is nothing to pay.",
    ),
    _status(
        "/api/stripe/session-status/{sessionId}",
        "showSessionStatus",
        "Read a payment page's state",
        seeds.show_session_status,
        tag="Flows",
        about="Reads the state of the payment page, from Stripe while it is still open.",
    ),
    _by_holder(
        "/api/scheduling/cancel-booking",
        "cancelBookingUnderItsTerms",
        "Cancel a booking under its terms",
        seeds.cancel_booking,
        tag="Flows",
        about="The refund is what the booking's terms give its customer, also for an API key.",
    ),
    _by_holder(
        "/api/scheduling/bookings/confirm",
        "confirmBooking",
        "Book a free time",
        seeds.confirm_booking,
        begins=True,
        tag="Flows",
        about="Holds the time. A free one is confirmed at once; any other once it is paid at `checkoutUrl`. Needs the "
        "token of a flow, or an API key.",
    ),
)


def operations(settings: Settings) -> tuple[Operation, ...]:
    """Every operation that is switched on."""
    return (*OPERATIONS, *(SEEDS if settings.seed_routes == "on" else ()))


def _doors(operations: tuple[Operation, ...]) -> list[Route]:
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for operation in operations:
        by_path[operation.path][operation.method] = operation
    # Names before patterns: "/api/bookings/lock" is no booking, whatever the method.
    paths = sorted(by_path, key=lambda path: "{" in path)
    return [Route(path, Door(by_path[path])) for path in paths]


def doors_with_kept_answers(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, Door]]:
    """The paths of the answers that are given again, each with the door that gives them."""
    for route in routes:
        if isinstance(route, Route) and isinstance(route.endpoint, Door) and route.endpoint.keeps:
            yield route.path, route.endpoint


def routes(settings: Settings) -> list[Route]:
    """The documents, and a door for each path."""
    there = operations(settings)
    return [Route("/api", show_page(there)), Route("/api/openapi.json", show_document(there)), *_doors(there)]

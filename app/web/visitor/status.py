"""A booking's page: its status, and what comes next."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.booking.customer_form import typed_details
from app.domain.booking import Status
from app.parts import parts_of
from app.web.shared.calendar_file import calendar_response
from app.web.shared.render import trusted_host
from app.web.shared.waiting import asked_poll, asks_providers, surely_unpaid
from app.web.visitor.booking_access import booking_path, is_return, read_view
from app.web.visitor.pay import open_page
from app.web.visitor.screens import BACK, details_screen, pay_screen
from app.web.visitor.status_screen import UNSETTLED, only_showing, render_status, status_context


async def show_booking(request: Request) -> Response:
    """GET /b/{token}: whatever comes next for this booking; with `look`, which poll it is of a page that waits."""
    asked = request.query_params
    view = await read_view(request, may_return=True)
    if asked.get("told") == BACK:
        view = await surely_unpaid(request, view)
    booking, back = view.booking, is_return(request)
    if back and not open_page(view):
        return await _status(request, view)
    if booking.status is Status.HELD or (booking.status is Status.AWAITING_PAYMENT and asked.get("from") != "stripe"):
        reported = asked.get("told", "")
        # Who comes, the owner has written down, where the customer has a link to pay by.
        if not back and (booking.customer is None or (asked.get("step") == "details" and not booking.pay_link)):
            typed = typed_details(booking.customer) if booking.customer else dict(asked)
            return details_screen(request, view, typed, reported=reported)
        return pay_screen(request, view, reported=reported)
    return await _status(request, view)


async def _status(request: Request, view: BookingView) -> Response:
    """How the booking stands. While it is being confirmed, the page asks again by itself, ever more seldom."""
    poll = asked_poll(request)
    if asks_providers(poll) and view.booking.status in UNSETTLED:
        await parts_of(request).settle.booking(view.booking.id)
        view = await read_view(request, may_return=True)
    context = status_context(request, view, poll or 0)
    return render_status(request, only_showing(context) if is_return(request) else context)


async def calendar(request: Request) -> Response:
    """GET /b/{token}/calendar.ics. A way back from Stripe's page ends too soon for the entry to name it."""
    view = await read_view(request, may_return=True)
    url = parts_of(request).settings.public_url + booking_path(request)
    if is_return(request):
        url = trusted_host(view.booking.visitor.host, view.widget)
    return calendar_response(request, view.booking, view.widget, url=url)

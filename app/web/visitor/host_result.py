"""A booking's status for the host page to which its visitor returned after paying: the page behind `#holdfast=`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.parts import parts_of
from app.protection.rate_limits import BOOKING
from app.protection.signed_links import must_not_be_forgotten
from app.text import catalogues
from app.web.shared.addresses import times_address
from app.web.shared.calendar_file import calendar_response
from app.web.shared.render import booking_shell, trusted_host
from app.web.shared.waiting import asked_poll, asks_providers, surely_unpaid
from app.web.visitor.pay import open_page
from app.web.visitor.screens import BACK
from app.web.visitor.status_screen import UNSETTLED, only_showing, render_status, status_context


async def show_result(request: Request) -> Response:
    """GET /r/{token}: how a booking stands, for the host page that the visitor came back to. Shows nothing of who
    booked, and offers no act that needs the booking's own token."""
    view, reported = await read_result(request)
    if reported == BACK:
        view = await surely_unpaid(request, view)
    poll = asked_poll(request)
    if asks_providers(poll) and view.booking.status in UNSETTLED:
        await parts_of(request).settle.booking(view.booking.id)
        view, reported = await read_result(request)
    context = only_showing(status_context(request, view, poll or 0))
    page = open_page(view)
    if reported == BACK and page:
        _ = catalogues.translator(request.state.shell.language).gettext
        context |= {
            "heading": _("Your time is still held"),
            "mark": "clock",
            "lines": [_("Nothing was charged.")],
            "payment_page": page,
            "times": times_address(request, view.booking),
            "poll": None,
            "slow": "",
        }
    return render_status(request, context)


async def show_result_calendar(request: Request) -> Response:
    """GET /r/{token}/calendar.ics. The entry names the host page: the token is too short-lived to be kept."""
    view, _ = await read_result(request)
    page = trusted_host(view.booking.visitor.host, view.widget)
    return calendar_response(request, view.booking, view.widget, url=page)


async def read_result(request: Request) -> tuple[BookingView, str]:
    """The booking that the token shows, and the word in it for the page."""
    parts = parts_of(request)
    booking_id, reported = parts.links.read_result_token(request.path_params["token"])
    await parts.rate_limits.check(BOOKING, booking_id)
    view = (await parts.bookings.view(booking_id)).spoken()
    must_not_be_forgotten(view.booking)
    request.state.is_return = True
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view, reported

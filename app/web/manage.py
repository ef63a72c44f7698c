"""The page behind the link in the mail. Looking changes nothing, because mail scanners open links."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import i18n
from app.domain import Status
from app.settlement import BookingView
from app.web.booking import calendar_names, calendar_response, money_lines
from app.web.card import booking_card
from app.web.render import booking_shell, render

_STANDS = {
    Status.CONFIRMED: i18n.N_("Confirmed"),
    Status.CANCELED: i18n.N_("Canceled"),
    Status.PAID: i18n.N_("Paid, being confirmed"),
    Status.HELD: i18n.N_("Not booked yet"),
    Status.AWAITING_PAYMENT: i18n.N_("Waiting for payment"),
    Status.EXPIRED: i18n.N_("Not booked"),
}


async def show_managed(request: Request) -> Response:
    """GET /manage/{token}: the booking as it stands. Never framed."""
    view = await _view(request)
    booking, language = view.booking, request.state.shell.language
    _ = i18n.translator(language).gettext
    ended = booking.status in {Status.CANCELED, Status.EXPIRED}
    context = {
        "heading": _(_STANDS[booking.status]),
        "card": booking_card(booking, language=language, now=request.app.state.house.now()),
        "lines": money_lines(view, language) if ended else [],
        "calendar": "" if booking.status is not Status.CONFIRMED else f"{request.url.path}/calendar.ics",
        "calendar_links": calendar_names(booking, view.widget),
    }
    return render(request, "manage.html", context, shell=request.state.shell, framed=False)


async def calendar(request: Request) -> Response:
    """GET /manage/{token}/calendar.ics"""
    view = await _view(request)
    url = request.app.state.house.settings.public_url + request.url.path.removesuffix("/calendar.ics")
    return calendar_response(request, view.booking, view.widget, url=url)


async def _view(request: Request) -> BookingView:
    house = request.app.state.house
    view: BookingView = await house.bookings.view(house.links.read_manage_token(request.path_params["token"]))
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view


routes = [
    Route("/manage/{token}", show_managed),
    Route("/manage/{token}/calendar.ics", calendar),
]

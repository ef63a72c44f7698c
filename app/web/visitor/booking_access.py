"""A booking's own pages, /b/{token}: who may open them, where they lead, and what they all show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urldefrag, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.bookings import BookingView
from app.domain.booking import Booking, EndReason
from app.domain.history import HistoryWord
from app.errors import LinkExpired, LinkRefused
from app.parts import parts_of
from app.protection.rate_limits import BOOKING
from app.protection.signed_links import must_not_be_forgotten
from app.text import catalogues
from app.web.shared import host_events
from app.web.shared.addresses import kept_style
from app.web.shared.booking_summary import hold_line, price, summarize
from app.web.shared.render import Shell, booking_shell, trusted_host


async def _named(request: Request, *, may_return: bool) -> str:
    """The booking id in the token. Counted by booking, so that an office is not one visitor here.

    `may_return` says whether a token of the way back from Stripe's page does, which can only show.
    """
    parts, token = parts_of(request), request.path_params["token"]
    try:
        booking_id = parts.links.read_booking_token(token)
        request.state.is_return = False
    except LinkExpired:
        raise
    except LinkRefused:
        if not may_return:
            raise
        booking_id = parts.links.read_return_token(token, "booking")
        request.state.is_return = True
    await parts.rate_limits.check(BOOKING, booking_id)
    return booking_id


def is_return(request: Request) -> bool:
    """Whether the address is a way back from Stripe's page: it shows nothing of who booked, and offers no act."""
    return bool(request.state.is_return)


async def read_booking(request: Request, *, may_return: bool = False) -> Booking:
    """The booking that the token names; from here on, errors speak its language."""
    parts = parts_of(request)
    booking = await parts.bookings.get(await _named(request, may_return=may_return))
    must_not_be_forgotten(booking)
    request.state.shell = booking_shell(request, booking, parts.bookings.widget_of(booking))
    return booking


async def read_view(request: Request, *, may_return: bool = False) -> BookingView:
    """The same, with everything that hangs on it."""
    parts = parts_of(request)
    view = (await parts.bookings.view(await _named(request, may_return=may_return))).spoken()
    must_not_be_forgotten(view.booking)
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view


# Leading on


def booking_path(request: Request) -> str:
    """Where the booking's pages live."""
    return f"/b/{request.path_params['token']}"


def to_booking(request: Request, query: Mapping[str, str]) -> Response:
    """On to the booking's page, with GET."""
    query = {**query, **kept_style(request)}
    return RedirectResponse(booking_path(request) + (f"?{urlencode(query)}" if query else ""), status_code=303)


def to_host(request: Request, booking: Booking, *, reported: str = "") -> Response | None:
    """Back to the page that the visitor came from, where our loader shows how the booking stands. None where no
    loader put the frame there, or the page may not frame us (any more).

    The token is in the fragment, which browsers send to nobody, and can do nothing but show this booking. What the site
    had there itself, such as its router's place, comes behind it, and our loader puts it back.
    """
    shell: Shell = request.state.shell
    host, route = urldefrag(trusted_host(booking.visitor.host, shell.widget))
    if not host or not booking.visitor.place:
        return None
    token = parts_of(request).links.result_token(booking.id, told=reported)
    behind = f"~{quote(route, safe='')}" if route else ""
    return RedirectResponse(f"{host}#holdfast={booking.visitor.place}.{token}{behind}", status_code=303)


# What every screen of it shows


def common_context(request: Request, view: BookingView) -> dict[str, Any]:
    """What the template of every screen needs."""
    shell: Shell = request.state.shell
    now = parts_of(request).now()
    path, kept = booking_path(request), kept_style(request)
    query = f"?{urlencode(kept)}" if kept else ""
    return {
        "path": path,
        "query": query,
        "summary": summarize(view.booking, language=shell.language, now=now),
        "gives_up": host_events.canceled(view.booking, EndReason.GIVEN_UP),
        "hold": hold_line(view, path=path, query=query, language=shell.language, now=now),
    }


def new_price(view: BookingView, language: str) -> str:
    """That the price is another than the one that was chosen by; empty where it is not."""
    if not any(entry.what is HistoryWord.PRICE_CHANGED for entry in view.history):
        return ""
    _ = catalogues.translator(language).gettext
    return _("The price has changed: %(price)s") % {"price": price(view.booking.terms.price, language)}

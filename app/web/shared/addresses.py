"""Where a booking's pages lead on to: the times around its own, for the same visitor, in the same look."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request

from app.domain.booking import Booking
from app.parts import parts_of
from app.text import zones
from app.web.shared.booking_summary import visitor_zone
from app.web.shared.theme import asked_style


def kept_style(request: Request) -> dict[str, str]:
    """What the address carries along from page to page: how the host page's tag wants the widget to look."""
    return dict(asked_style(request.query_params))


def times_address(request: Request, booking: Booking) -> str:
    """The times around the booking's, for the same visitor."""
    visitor = booking.visitor
    day = zones.local(booking.starts_at, visitor_zone(booking)).date()
    query = {
        "service": booking.service_id,
        "resource": "" if booking.any_resource else booking.resource_id,
        "date": day.isoformat() if booking.starts_at > parts_of(request).now() else "",
        "tz": visitor.time_zone,
        "lang": visitor.language,
        "host": visitor.host,
        "place": visitor.place,
        "visitor": visitor_token(request, booking),
        **visitor.utm,
        **kept_style(request),
    }
    return f"/w/{booking.widget}?" + urlencode({name: value for name, value in query.items() if value})


def visitor_token(request: Request, booking: Booking) -> str:
    """The holder's name, signed, for the pages that they look at next."""
    parts = parts_of(request)
    return parts.links.visitor_token(parts.hold_limits.holder(booking.id) or booking.visitor.key)

"""A booking for calendar programs: as a file, and as links that open a prefilled entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from app.domain.booking import Booking, Status
from app.errors import BookingConflict
from app.mail import calendar_file, calendar_links, stated_method
from app.parts import parts_of
from app.widgets import Widget


def calendar_response(request: Request, booking: Booking, widget: Widget, *, url: str) -> Response:
    """The booking as a calendar file, with the address of its page; a cancelled one takes the entry off again."""
    parts = parts_of(request)
    if booking.status not in {Status.PAID, Status.CONFIRMED, Status.CANCELED}:
        raise BookingConflict(booking.status)
    method: Literal["CANCEL", "PUBLISH"] = "CANCEL" if booking.status is Status.CANCELED else "PUBLISH"
    language = booking.visitor.language
    file = calendar_file(
        widget.spoken(booking), widget=widget, url=url, now=parts.now(), language=language, method=method
    )
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="booking.ics"'}
    stated = stated_method(method, widget)
    return Response(file, media_type=f"text/calendar; method={stated}" if stated else "text/calendar", headers=headers)


def named_calendar_links(booking: Booking, widget: Widget) -> Sequence[tuple[str, str]]:
    """Links that open a prefilled entry, under their calendars' own names."""
    links = calendar_links(widget.spoken(booking), widget=widget)
    return [("Google Calendar", links["google"]), ("Outlook", links["outlook"])]

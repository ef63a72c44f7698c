"""The bookings as a table and as a calendar, under an address that is a secret; dropping the key that signed it retires
it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app import i18n
from app.domain import Booking, Status
from app.limiter import STAFF, client_address
from app.mail.calendars import bookings_calendar
from app.web.staff_words import clean_cells

#: What a feed holds: a month back, a year ahead.
BACK, AHEAD = timedelta(days=31), timedelta(days=366)
MOST: Final = 5000
_HEAD: Final = (
    "reference",
    "status",
    "start",
    "end",
    "time zone",
    "service",
    "with",
    "place",
    "name",
    "email",
    "phone",
    "notes",
    "price",
    "currency",
    "no show",
)


async def show_table(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.csv, of one `widget` or `person` if named."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEAD)
    for booking in await _bookings(request, (Status.CONFIRMED, Status.PAID, Status.CANCELED)):
        writer.writerow(clean_cells(_cells(booking)))
    # Spreadsheets take a table without this mark for one in an old encoding.
    return _answer("\ufeff" + text.getvalue(), "text/csv; charset=utf-8", "bookings.csv")


async def show_calendar(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.ics: what stands, for a calendar program to subscribe to."""
    bookings = await _bookings(request, (Status.CONFIRMED, Status.PAID))
    text = bookings_calendar(bookings, now=request.app.state.house.now())
    return _answer(text.decode(), "text/calendar; charset=utf-8", "bookings.ics")


async def _bookings(request: Request, statuses: Sequence[Status]) -> list[Booking]:
    house, query = request.app.state.house, request.query_params
    house.limiter.check(STAFF, client_address(request.scope))
    house.staff.check_feed(request.path_params["secret"])
    now = house.now()
    found: list[Booking] = await house.bookings.find(
        statuses=statuses, starts_from=now - BACK, starts_to=now + AHEAD, most=MOST
    )
    widget, person = query.get("widget"), query.get("person")
    return [
        one for one in found if one.widget == (widget or one.widget) and one.resource_id == (person or one.resource_id)
    ]


def _cells(booking: Booking) -> list[str]:
    start, end = (i18n.local(moment, booking.time_zone) for moment in (booking.starts_at, booking.ends_at))
    customer, price = booking.customer, booking.terms.price
    return [
        booking.id,
        booking.status.value,
        f"{start:%Y-%m-%d %H:%M}",
        f"{end:%Y-%m-%d %H:%M}",
        booking.time_zone,
        booking.service_name,
        booking.resource_name,
        booking.location_name,
        customer.name if customer else "",
        customer.email if customer else "",
        customer.phone if customer else "",
        customer.notes if customer else "",
        format(price.to_decimal(), "f"),
        price.currency.upper(),
        "yes" if booking.no_show else "",
    ]


def _answer(text: str, kind: str, name: str) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, media_type=kind, headers=headers)


routes = [
    Route("/staff/feed/{secret}/bookings.csv", show_table),
    Route("/staff/feed/{secret}/bookings.ics", show_calendar),
]

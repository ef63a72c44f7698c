"""The bookings as a table and as a calendar, under an address that is a member's secret (`Staff.check_feed`)."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from io import StringIO
from itertools import islice
from typing import Final

from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.domain.booking import Booking, Status
from app.mail.calendars import bookings_calendar
from app.parts import parts_of
from app.protection.rate_limits import STAFF, client_address
from app.text import zones
from app.web.staff.page import place_zone
from app.widgets import Widget

#: What a feed holds: a month back, a year ahead.
BACK, AHEAD = timedelta(days=31), timedelta(days=366)
MOST: Final = 5000
#: Rows that are read, or lines that are written, at one go: some 5 ms of work, in which nobody else is answered.
_PAGE: Final = 100
_LINES: Final = 20
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
_PHONE: Final = _HEAD.index("phone")
#: Counts up when the feeds' form changes, so that programs that ask whether theirs is the newest are told no.
_FORM: Final = "1"
#: Where a spreadsheet may begin a cell, and what makes a formula of it: at the start, after a line break, and after a
#: semicolon, which separates cells in the Excel of half of Europe whatever stands in quotes.
_FORMULA: Final = re.compile(r"""(^|[;\r\n\t])([\s"']*)([=+\-@\uff1d\uff0b\uff0d\uff20\t\r])""")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}")


async def show_table(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.csv, of one `widget` or `person` if named."""
    found = await _bookings(request, (Status.CONFIRMED, Status.PAID, Status.CANCELED))
    questions = _questions(parts_of(request).widgets, found)
    rows = _table(found, questions)
    return _answer(rows, "text/csv; charset=utf-8", "bookings.csv", {"Cache-Control": "no-store"})


async def show_calendar(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.ics: what stands, for a calendar program to subscribe to."""
    found = await _bookings(request, (Status.CONFIRMED, Status.PAID))
    # `no-store` would make each poll fetch everything; a program asks whether it has changed instead.
    headers = {"Cache-Control": "private, no-cache", "ETag": _tag(found)}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    zone, now = await place_zone(request), parts_of(request).now()
    entries = bookings_calendar(found[:MOST], zone=zone, first=now - BACK, last=now + AHEAD, rest=found[MOST:])
    return _answer(entries, "text/calendar; charset=utf-8", "bookings.ics", headers)


async def _bookings(request: Request, statuses: Sequence[Status]) -> list[Booking]:
    """What is asked for; one more than `MOST` where there are more than that. Read in pages, between which others are
    answered: a booking is worked out of its row in 50 µs."""
    parts, query = parts_of(request), request.query_params
    await parts.rate_limits.check(STAFF, client_address(request.scope))
    await parts.staff.check_feed(request.path_params["secret"])
    now = parts.now()
    found: list[Booking] = []
    while len(found) <= MOST:
        page = await parts.bookings.find(
            statuses=statuses,
            starts_from=now - BACK,
            starts_to=now + AHEAD,
            widget=query.get("widget", ""),
            resource_id=query.get("person", ""),
            after=found[-1] if found else None,
            most=min(_PAGE, MOST + 1 - len(found)),
        )
        found += page
        if len(page) < _PAGE:
            break
    return found


def _tag(bookings: Iterable[Booking]) -> str:
    """An entity tag that changes with any of the bookings."""
    lines = [f"{booking.id} {booking.updated_at.isoformat()}" for booking in bookings]
    digest = hashlib.sha256("\n".join([_FORM, *lines]).encode()).hexdigest()
    return f'"{digest[:32]}"'


def _questions(widgets: Mapping[str, Widget], bookings: Iterable[Booking]) -> list[str]:
    """The names of the owner's own questions: as they are asked now, then those that were asked before."""
    asked = [question.name for widget in widgets.values() for question in widget.questions]
    answered = sorted({name for booking in bookings if booking.customer for name in booking.customer.answers})
    return list(dict.fromkeys([*asked, *answered]))


def _table(bookings: Sequence[Booking], questions: Collection[str]) -> Iterator[bytes]:
    # Spreadsheets take a table without this mark for one in an old encoding.
    yield "\ufeff".encode()
    yield _line([*_HEAD, *_clean_cells(f"q_{name}" for name in questions)])
    for booking in bookings[:MOST]:
        row = _cells(booking, questions)
        clean = _clean_cells(row)
        # A number in full: no spreadsheet makes more of it than a number, and programs can read it.
        clean[_PHONE] = row[_PHONE] if _is_number(row[_PHONE]) else clean[_PHONE]
        yield _line(clean)
    if len(bookings) > MOST:
        yield _line([f"There are more than these {MOST} bookings. Add ?person= or ?widget= to the address."])


def _line(cells: Sequence[str]) -> bytes:
    text = StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _cells(booking: Booking, questions: Iterable[str]) -> list[str]:
    start, end = (zones.local(moment, booking.time_zone) for moment in (booking.starts_at, booking.ends_at))
    customer, price = booking.customer, booking.terms.price
    answers = customer.answers if customer else {}
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
        *(answers.get(name, "") for name in questions),
    ]


def _clean_cells(cells: Iterable[str]) -> list[str]:
    """For spreadsheets: what customers typed must not become a formula. A quote before it makes it text."""
    return [_FORMULA.sub(r"\1\2'\3", cell) for cell in cells]


def _is_number(text: str) -> bool:
    """Whether this is a phone number as it is stored (E.164), and nothing else."""
    return _NUMBER.fullmatch(text) is not None


def _answer(lines: Iterable[bytes], kind: str, name: str, headers: Mapping[str, str]) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_in_turns(lines), media_type=kind, headers={**disposition, **headers})


async def _in_turns(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    """So many lines at a time, with everybody else's turn between."""
    written = iter(lines)
    while part := b"".join(islice(written, _LINES)):
        yield part
        await checkpoint()


routes = [
    Route("/staff/feed/{secret}/bookings.csv", show_table),
    Route("/staff/feed/{secret}/bookings.ics", show_calendar),
]

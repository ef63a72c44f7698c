"""The bookings as a table and as a calendar, under an address that is a member's secret (`Staff.check_feed`); and the
table for someone who is signed in."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from app.domain.booking import Booking, Status
from app.domain.local_days import days_in_utc
from app.errors import InvalidRequest
from app.mail.calendars import bookings_calendar
from app.parts import parts_of
from app.protection.rate_limits import STAFF, client_address
from app.text import zones
from app.web.shared.accepts import has_already
from app.web.staff.bookings_table import MOST, bookings_table
from app.web.staff.dates import read_day
from app.web.staff.page import place_zone
from app.web.staff.sign_in import signed_in

#: What a feed holds: a month back, a year ahead.
BACK, AHEAD = timedelta(days=31), timedelta(days=366)
#: Rows that are read, or lines that are written, at one go: some 5 ms of work, in which nobody else is answered.
_PAGE: Final = 100
_LINES: Final = 20
#: Counts up when the feeds' form changes, so that programs that ask whether theirs is the newest are told no.
_FORM: Final = "1"
_PAID_FOR: Final = (Status.CONFIRMED, Status.PAID, Status.OFFERED, Status.CANCELED)
_REST: Final = f"There are more than these {MOST} bookings. Add ?person= or ?widget= to the address."
_REST_OF_DAYS: Final = f"There are more than these {MOST} bookings. Choose fewer days."


async def show_table(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.csv, of one `widget` or `person` if named, and of the days `from` to `to`."""
    await _must_open(request)
    days = read_days(request.query_params)
    return await _table_of(request, days, rest=_REST_OF_DAYS if days else _REST)


@signed_in
async def download_table(request: Request) -> Response:
    """GET /staff/{token}/bookings.csv: the same of the days `from` to `to`, for who is signed in."""
    return await _table_of(request, read_days(request.query_params), rest=_REST_OF_DAYS)


async def _table_of(request: Request, days: tuple[date, date] | None, *, rest: str) -> Response:
    parts = parts_of(request)
    if days is None:
        found, name = await _bookings(request, _PAID_FOR), "bookings.csv"
    else:
        first, last = days
        span = days_in_utc(first, last)
        found = [
            one
            for one in await _bookings(request, _PAID_FOR, span=span)
            if first <= zones.local(one.starts_at, one.time_zone).date() <= last
        ]
        name = f"bookings-{first}-{last}.csv"
    lines = bookings_table(found, parts.bookings, parts.widgets, rest=rest)
    return _answer(lines, "text/csv; charset=utf-8", name, {"Cache-Control": "no-store"})


async def show_calendar(request: Request) -> Response:
    """GET /staff/feed/{secret}/bookings.ics: what stands, for a calendar program to subscribe to."""
    await _must_open(request)
    found = await _bookings(request, (Status.CONFIRMED, Status.PAID))
    # `no-store` would make each poll fetch everything; a program asks whether it has changed instead.
    headers = {"Cache-Control": "private, no-cache", "ETag": _tag(found)}
    if has_already(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    zone, now = await place_zone(request), parts_of(request).now()
    entries = bookings_calendar(found[:MOST], zone=zone, first=now - BACK, last=now + AHEAD, rest=found[MOST:])
    return _answer(_one_by_one(entries), "text/calendar; charset=utf-8", "bookings.ics", headers)


def read_days(query: Mapping[str, str]) -> tuple[date, date] | None:
    """The days that are asked for, both included; None where none are. Raises InvalidRequest for half a range, for one
    that ends before it begins, and for what is no day."""
    if not any(query.get(name) for end in ("from", "to") for name in (end, f"{end}-d", f"{end}-m", f"{end}-y")):
        return None
    first, last = read_day(query, "from"), read_day(query, "to")
    if first is None or last is None:
        raise InvalidRequest("from and to are days such as 2026-11-23")
    if last < first:
        raise InvalidRequest("to is before from")
    return first, last


async def _must_open(request: Request) -> None:
    parts = parts_of(request)
    await parts.rate_limits.check(STAFF, client_address(request.scope))
    await parts.staff.check_feed(request.path_params["secret"])


async def _bookings(
    request: Request, statuses: Sequence[Status], *, span: tuple[datetime, datetime] | None = None
) -> list[Booking]:
    """What is asked for; one more than `MOST` where there are more than that. Read in pages, between which others are
    answered: a booking is worked out of its row in 50 µs."""
    parts, query = parts_of(request), request.query_params
    now = parts.now()
    starts_from, starts_to = span or (now - BACK, now + AHEAD)
    found: list[Booking] = []
    while len(found) <= MOST:
        page = await parts.bookings.find(
            statuses=statuses,
            starts_from=starts_from,
            starts_to=starts_to,
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


def _answer(lines: AsyncIterator[bytes], kind: str, name: str, headers: Mapping[str, str]) -> Response:
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_in_turns(lines), media_type=kind, headers={**disposition, **headers})


async def _one_by_one(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


async def _in_turns(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """So many lines at a time, with everyone else's turn between."""
    part: list[bytes] = []
    async for line in lines:
        part.append(line)
        if len(part) == _LINES:
            yield b"".join(part)
            part.clear()
            await checkpoint()
    if part:
        yield b"".join(part)


routes = [
    Route("/staff/feed/{secret}/bookings.csv", show_table),
    Route("/staff/feed/{secret}/bookings.ics", show_calendar),
]

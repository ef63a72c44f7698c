"""The bookings of a day, a week or a month, and those that a search finds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.domain.booking import Status
from app.domain.local_days import days_in_utc
from app.msgid import N_
from app.operations.staff_access import MOST as FOUND
from app.parts import parts_of
from app.text import catalogues, formats, zones
from app.web.shared.request_input import read_form
from app.web.staff.dates import FIRST_YEAR, LAST_YEAR, day_field, read_day
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import signed_in
from app.web.staff.staff_words import days_of, visit

#: More bookings than these are not on one page.
MOST: Final = 500
SPANS: Final[Mapping[int, str]] = {1: N_("Day"), 7: N_("Week"), 31: N_("Month")}
_TO_COME: Final = (Status.CONFIRMED, Status.PAID, Status.OFFERED, Status.AWAITING_PAYMENT)
_LONGEST: Final = 100
_PAGE: Final = re.compile("[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class AskedDays:
    """Which days to show, and of what."""

    first: date
    days: int
    widget: str
    person: str
    all: bool
    page: int = 1

    @property
    def last(self) -> date:
        """The last day."""
        return self.first + timedelta(days=self.days - 1)

    def query(self, **changes: Any) -> str:
        """The address's query, with these changed."""
        asked = replace(self, **changes)
        pairs = [("from", asked.first.isoformat()), ("days", str(asked.days))]
        pairs += [(name, text) for name, text in (("widget", asked.widget), ("person", asked.person)) if text]
        pairs += [("all", "1")] if asked.all else []
        pairs += [("page", str(asked.page))] if asked.page > 1 else []
        return urlencode(pairs)


@signed_in
async def show_days(request: Request) -> Response:
    """GET /staff/{token}/bookings: today and the coming days, of one widget or person if wished; a list to print."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    today = zones.local(now, await place_zone(request)).date()
    asked = _read_asked(request.query_params, today)
    starts_from, starts_to = days_in_utc(asked.first, asked.last)
    found = await parts.bookings.find(
        statuses=(*_TO_COME, Status.CANCELED) if asked.all else _TO_COME,
        starts_from=starts_from,
        starts_to=starts_to,
        widget=asked.widget,
        resource_id=asked.person,
        skip=(asked.page - 1) * MOST,
        most=MOST + 1,
    )
    shown = [
        one for one in found[:MOST] if asked.first <= zones.local(one.starts_at, one.time_zone).date() <= asked.last
    ]
    step = timedelta(days=asked.days)
    base = base_path(request)
    _ = catalogues.translator(language).gettext
    context = {
        "asked": asked,
        "day": day_field("from", asked.first, language, today=today),
        "heading": _span_heading(asked, today, language),
        "days": days_of(shown, parts.widgets, base, now, language),
        # What is not paid yet may come to nothing: it is shown, and neither counted nor printed.
        "count": sum(one.status is not Status.AWAITING_PAYMENT for one in shown),
        "page_before": asked.query(page=asked.page - 1) if asked.page > 1 else "",
        "page_after": asked.query(page=asked.page + 1) if len(found) > MOST else "",
        "before": asked.query(first=asked.first - step, page=1) if asked.first.year > FIRST_YEAR else "",
        "after": asked.query(first=asked.first + step, page=1) if asked.first.year < LAST_YEAR else "",
        "now": asked.query(first=today, page=1) if asked.first != today else "",
        "spans": [(_(word), asked.query(days=days, page=1), days == asked.days) for days, word in SPANS.items()],
        "widgets": [(name, widget.heading()) for name, widget in parts.widgets.items()],
        "people": await parts.staff.people(starts_from=starts_from, starts_to=starts_to, widget=asked.widget),
        "list": asked.days == 1,
    }
    return render_staff(request, "staff/days.html", context, screen="days")


def _read_asked(query: Mapping[str, str], today: date) -> AskedDays:
    first = read_day(query, "from") or today
    days = next((days for days in SPANS if str(days) == query.get("days")), 7)
    page = int(text) if _PAGE.fullmatch(text := query.get("page", "1")) else 1
    widget, person = (query.get(name, "")[:_LONGEST] for name in ("widget", "person"))
    return AskedDays(first, days, widget, person, "all" in query, page)


def _span_heading(asked: AskedDays, today: date, language: str) -> str:
    first = formats.format_date(asked.first, language, "full" if asked.days == 1 else "medium", today=today)
    if asked.days == 1:
        return first
    return f"{first} – {formats.format_date(asked.last, language, 'medium', today=today)}"


@signed_in
async def show_found(request: Request) -> Response:
    """GET and POST /staff/{token}/find: bookings by a part of a name, address or phone number, or by the reference. The
    form sends it by POST, so that no name is in an address."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    asked = await read_form(request) if request.method == "POST" else request.query_params
    text = " ".join(asked.get("q", "").split())[:_LONGEST]
    found = await parts.staff.search(text) if text else []
    base = base_path(request)
    visits = [visit(booking, parts.widgets, base, now, language) for booking in found[:FOUND]]
    context = {"visits": visits, "text": text, "more": len(found) > FOUND}
    return render_staff(request, "staff/found.html", context, screen="find")

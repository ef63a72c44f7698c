"""The calendar: a day with a column for each person, or a week; the first page after signing in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from app.msgid import N_
from app.operations.services import PROVIDERS
from app.parts import parts_of
from app.text import catalogues, formats, zones
from app.web.staff.calendar_words import (
    Words,
    axis_of,
    clock_change,
    columns_of,
    everybody,
    hour_labels,
    sheet_of,
    totals_of,
    week_rows,
)
from app.web.staff.dates import FIRST_YEAR, LAST_YEAR, day_field, read_day
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import signed_in

SPANS: Final[Mapping[int, str]] = {1: N_("Day"), 7: N_("Week")}
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class AskedCalendar:
    """Which days to draw, and of whom; `person` empty is everyone."""

    first: date
    days: int
    person: str

    def query(self, **changes: Any) -> str:
        """The address's query, with these changed."""
        asked = replace(self, **changes)
        pairs = [("from", asked.first.isoformat()), ("days", str(asked.days))]
        return urlencode([*pairs, *([("person", asked.person)] if asked.person else [])])


@signed_in
async def show_calendar(request: Request) -> Response:
    """GET /staff/{token}, and /staff/{token}/calendar: today, or the day or week that is asked for."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    zone = await place_zone(request)
    today = zones.local(now, zone).date()
    asked = _read_asked(request.query_params, today, language)
    days = [asked.first + timedelta(days=number) for number in range(asked.days)]
    desk = await parts.calendar.days(days[0], days[-1])
    everyone = everybody(desk)
    people = [one for one in everyone if asked.person in {"", one.resource_id}] or everyone
    one_person = bool(asked.person) and len(people) == 1
    base = base_path(request)
    words = Words(base, language, now, zone, alone=one_person and asked.days > 1)
    columns = columns_of(desk, people, days, words)
    totals, axis = totals_of(columns, desk), axis_of(columns)
    table = asked.days > 1 and not one_person
    step = timedelta(days=asked.days)
    _ = catalogues.translator(language).gettext
    context = {
        "asked": asked,
        "heading": _heading(asked, today, language),
        "day": day_field("from", asked.first, language, today=today),
        "before": asked.query(first=asked.first - step) if asked.first.year > FIRST_YEAR else "",
        "after": asked.query(first=asked.first + step) if asked.first.year < LAST_YEAR else "",
        "now": "" if today in days else asked.query(first=today),
        "spans": [(_(word), asked.query(days=count), count == asked.days) for count, word in SPANS.items()],
        "people": [(one.name, one.resource_id) for one in everyone],
        "person": people[0] if one_person else None,
        "totals": totals,
        "sums": totals.sums(language),
        "change": "" if asked.days > 1 else clock_change(asked.first, zone, language),
        "columns": columns,
        "axis": axis,
        "hours": hour_labels(axis, language),
        "rows": week_rows(columns) if table else [],
        "week": [(one, formats.format_date(one, language, "medium", today=today), one == today) for one in days],
        "untold": [
            {
                "path": f"{base}/hours/change/{one.id}",
                "name": one.resource_name,
                "provider": PROVIDERS.get(one.scheduler.partition(":")[0], one.scheduler),
            }
            for one in desk.untold
        ],
        "today": today in days,
    }
    sheet = "" if table else sheet_of(columns, axis)
    return render_staff(request, "staff/calendar.html", context, screen="calendar", sheet=sheet)


def _read_asked(query: Mapping[str, str], today: date, language: str) -> AskedCalendar:
    days = 7 if query.get("days") == "7" else 1
    first = read_day(query, "from") or today
    if days == 7:
        first -= timedelta(days=(first.weekday() - formats.first_weekday(language)) % 7)
    return AskedCalendar(first, days, query.get("person", "")[:_LONGEST])


def _heading(asked: AskedCalendar, today: date, language: str) -> str:
    if asked.days == 1:
        return formats.format_date(asked.first, language, "full", today=today)
    first, last = asked.first, asked.first + timedelta(days=asked.days - 1)
    ends = (formats.format_date(one, language, "medium", today=today) for one in (first, last))
    return " – ".join(ends)

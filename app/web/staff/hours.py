"""Hours and time off: everyone's weeks, one person's, and a change with what is booked inside of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.domain.hours_change import ChangeKind
from app.domain.local_days import moment_at
from app.domain.studio import MIDNIGHT, Span, Week, merged
from app.errors import BookingConflict, HoursRefused, SchedulerError
from app.operations.working_hours import Member, Unfit, week_mark
from app.parts import parts_of
from app.text import catalogues, formats, zones
from app.web.shared.request_input import read_form
from app.web.staff.dates import clock, day_field, read_clock, read_day
from app.web.staff.hours_words import change_row, person_row, refused_words, report_words, scheduler_rows
from app.web.staff.page import base_path, place_zone, render_staff
from app.web.staff.sign_in import signed_in
from app.web.staff.staff_words import visit

#: How many spans of one weekday a form has room for; a week that has more is shown with one more.
_SPANS: Final = 3
_LONGEST: Final = 200
_WEEKDAYS: Final = range(7)


@signed_in
async def show_hours(request: Request) -> Response:
    """GET /staff/{token}/hours: everyone's week and time off."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    base, zone = base_path(request), await place_zone(request)
    people = await parts.working_hours.people()
    changes = await parts.working_hours.changes(ends_after=now)
    context = {
        "people": [person_row(one, changes, base, now, language) for one in people],
        "schedulers": scheduler_rows(people, zone, now, language),
        "untold": [change_row(one, base, now, language) for one in await parts.working_hours.untold()],
        "reported": report_words(request.query_params.get("told", ""), language),
    }
    return render_staff(request, "staff/hours.html", context, screen="hours")


@signed_in
async def read_again(request: Request) -> Response:
    """POST /staff/{token}/hours/read-again: what was changed in the scheduler's own pages."""
    parts, told = parts_of(request), "read"
    for name in {one.scheduler for one in await parts.working_hours.people() if one.settable}:
        try:
            await parts.working_hours.read_again(name)
        except SchedulerError:
            told = "unread"
    return RedirectResponse(f"{base_path(request)}/hours?told={told}", status_code=303)


# One person's week


@signed_in
async def show_person(request: Request) -> Response:
    """GET /staff/{token}/hours/person/{person}: the week, to be changed, and what differs from it."""
    return await _person_page(request, await _person(request))


@signed_in
async def set_week(request: Request) -> Response:
    """POST /staff/{token}/hours/person/{person}: these hours every week from now on."""
    person, form = await _person(request), await read_form(request)
    week, wrong = _read_week(form)
    if wrong:
        return await _person_page(request, person, form=form, wrong=wrong)
    try:
        change = await parts_of(request).working_hours.set_week(
            person, week, shown=form.get("shown", ""), by=request.state.staff.email
        )
    except (BookingConflict, HoursRefused) as error:
        return await _person_page(request, await _person(request), error=error)
    told = "untold" if change and change.due else "week"
    return RedirectResponse(f"{_person_path(request, person)}&told={told}", status_code=303)


async def _person_page(
    request: Request,
    person: Member,
    *,
    form: Mapping[str, str] | None = None,
    wrong: frozenset[str] = frozenset(),
    error: BookingConflict | HoursRefused | None = None,
) -> Response:
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    base = base_path(request)
    changes = [
        one
        for one in await parts.working_hours.changes(person.resource_id, ends_after=now)
        if one.location_id == person.location_id
    ]
    week = person.hours.week if person.hours else {}
    many = max([_SPANS, *(len(week.get(day, ())) for day in _WEEKDAYS)])
    first = formats.first_weekday(language)
    days = []
    for place, (_short, name) in enumerate(formats.weekday_names(language)):
        day = (first + place) % 7
        spans = merged(week.get(day, ()))
        rows = []
        for number in range(many):
            names = (f"d{day}-{number}-from", f"d{day}-{number}-to")
            known = [clock(spans[number].opens), clock(spans[number].closes)] if number < len(spans) else ["", ""]
            values = [form.get(one, "")[:_LONGEST] for one in names] if form is not None else known
            ends = [
                {"name": one, "value": value, "wrong": one in wrong} for one, value in zip(names, values, strict=True)
            ]
            rows.append(ends)
        days.append({"name": name, "rows": rows})
    _ = catalogues.translator(language).gettext
    problem = []
    if isinstance(error, HoursRefused):
        problem = [refused_words(error.reason, language)]
    elif error:
        problem = [
            _("These hours were changed after you opened this page, so yours were not set."),
            _("Below is how they are now."),
        ]
    context = {
        "person": person,
        "row": person_row(person, changes, base, now, language),
        "path": _person_path(request, person),
        "days": days,
        "wrong": bool(wrong),
        "shown": form.get("shown", "") if form is not None else week_mark(week),
        "problem": problem,
        "reported": report_words(request.query_params.get("told", ""), language) if not (problem or wrong) else "",
        "zone": zones.zone_label(person.time_zone, now, language),
        "known": person.hours is not None,
        "editable": person.settable and person.hours is not None and not person.hours.fixed,
    }
    status = error.status if error else 422 if wrong else 200
    return render_staff(request, "staff/person_hours.html", context, screen="hours", status=status)


def _read_week(form: Mapping[str, str]) -> tuple[Week, frozenset[str]]:
    """The week, and the fields that are no time, or end before they begin."""
    week: dict[int, list[Span]] = {}
    wrong: set[str] = set()
    for name, text in form.items():
        day, number, end = (*name.split("-"), "", "")[:3]
        if end != "from" or len(day) != 2 or not day[1:].isdecimal() or int(day[1:]) not in _WEEKDAYS:
            continue
        until = f"{day}-{number}-to"
        begins, ends = text.strip(), form.get(until, "").strip()
        if not begins and not ends:
            continue
        opens, closes = read_clock(begins), read_clock(ends)
        closes = MIDNIGHT if closes == 0 else closes
        if opens is None or opens == MIDNIGHT:
            wrong.add(name)
        elif closes is None or closes <= opens:
            wrong.add(until)
        else:
            week.setdefault(int(day[1:]), []).append(Span(opens, closes))
    return {day: merged(spans) for day, spans in week.items()}, frozenset(wrong)


# Time off, and extra hours


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the form says. Empty times are whole days."""

    person: str
    first: date | None
    last: date | None
    begins: str
    ends: str
    note: str


@signed_in
async def show_off(request: Request) -> Response:
    """GET /staff/{token}/hours/off: the form for time off, filled in where a gap of the calendar leads to it."""
    return await _change_page(request, ChangeKind.OFF, _read_asked(request.query_params))


@signed_in
async def show_extra(request: Request) -> Response:
    """GET /staff/{token}/hours/extra: the form for extra hours."""
    return await _change_page(request, ChangeKind.EXTRA, _read_asked(request.query_params))


@signed_in
async def take_off(request: Request) -> Response:
    """POST /staff/{token}/hours/off: nobody books this time from now on."""
    return await _change(request, ChangeKind.OFF)


@signed_in
async def open_extra(request: Request) -> Response:
    """POST /staff/{token}/hours/extra: this time can be booked as well."""
    return await _change(request, ChangeKind.EXTRA)


async def _change(request: Request, kind: ChangeKind) -> Response:
    asked = _read_asked(await read_form(request))
    parts = parts_of(request)
    person = await parts.working_hours.person(asked.person)
    interval, wrong = _interval(asked, kind, ZoneInfo(person.time_zone))
    if interval is None:
        return await _change_page(request, kind, asked, wrong=wrong)
    act = parts.working_hours.take_off if kind is ChangeKind.OFF else parts.working_hours.open_extra
    try:
        change = await act(person, *interval, by=request.state.staff.email, note=asked.note)
    except HoursRefused as error:
        field = {Unfit.ENDS_FIRST: "ends", Unfit.TOO_LONG: "last", Unfit.PAST: "last"}.get(Unfit(error.reason), "")
        return await _change_page(request, kind, asked, wrong=frozenset({field}), error=error)
    return RedirectResponse(f"{base_path(request)}/hours/change/{change.id}?told=made", status_code=303)


def _read_asked(query: Mapping[str, str]) -> _Asked:
    first = read_day(query, "from")
    last = read_day(query, "to") or (first if not any(query.get(f"to-{part}") for part in "dmy") else None)
    texts = [" ".join(query.get(name, "").split())[:_LONGEST] for name in ("person", "at", "until", "note")]
    return _Asked(texts[0], first, last, *texts[1:])


def _interval(
    asked: _Asked, kind: ChangeKind, zone: ZoneInfo
) -> tuple[tuple[datetime, datetime] | None, frozenset[str]]:
    """From when to when, and the fields that say nothing."""
    wrong = {name for name, day in (("first", asked.first), ("last", asked.last)) if day is None}
    begins, ends = (read_clock(text) if text else None for text in (asked.begins, asked.ends))
    needed = kind is ChangeKind.EXTRA
    wrong |= {
        name
        for name, text, at in (("begins", asked.begins, begins), ("ends", asked.ends, ends))
        if at is None and (text or needed)
    }
    if wrong or asked.first is None or asked.last is None:
        return None, frozenset(wrong)
    until = MIDNIGHT if ends is None or (ends == 0 and asked.last == asked.first) else ends
    return (moment_at(asked.first, begins or 0, zone), moment_at(asked.last, until, zone)), frozenset()


async def _change_page(
    request: Request,
    kind: ChangeKind,
    asked: _Asked,
    *,
    wrong: frozenset[str] = frozenset(),
    error: HoursRefused | None = None,
) -> Response:
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    people = {one.resource_id: one for one in await parts.working_hours.people() if one.settable}
    person = people.get(asked.person)
    today = zones.local(now, person.time_zone if person else await place_zone(request)).date()
    context = {
        "off": kind is ChangeKind.OFF,
        "person": person,
        "people": [(one.name, one.resource_id) for one in people.values()],
        "asked": asked,
        "first": day_field("from", asked.first or (None if wrong else today), language, today=today),
        "last": day_field("to", asked.last or (None if wrong else asked.first or today), language, today=today),
        "wrong": wrong,
        "problem": [refused_words(error.reason, language)] if error else [],
    }
    status = error.status if error else 422 if wrong else 200
    return render_staff(request, "staff/change_hours.html", context, screen="hours", status=status)


# One change


@signed_in
async def show_change(request: Request) -> Response:
    """GET /staff/{token}/hours/change/{change}: what it is, whether the scheduler knows, and what is booked inside."""
    return await _one_change(request)


@signed_in
async def take_back(request: Request) -> Response:
    """POST …/take-back: the time is as it was before."""
    hours, change_id = parts_of(request).working_hours, request.path_params["change"]
    try:
        await hours.take_back(change_id, by=request.state.staff.email)
    except BookingConflict as error:
        return await _one_change(request, error=error)
    return RedirectResponse(f"{base_path(request)}/hours/change/{change_id}", status_code=303)


@signed_in
async def try_again(request: Request) -> Response:
    """POST …/again: tell the scheduler now."""
    change = await parts_of(request).working_hours.try_again(request.path_params["change"])
    return RedirectResponse(f"{base_path(request)}/hours/change/{change.id}", status_code=303)


async def _one_change(request: Request, *, error: BookingConflict | None = None) -> Response:
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    change, base = await parts.working_hours.change(request.path_params["change"]), base_path(request)
    inside = []
    if change.kind is ChangeKind.OFF and change.stands:
        inside = await parts.working_hours.bookings_within(change)
    _ = catalogues.translator(language).gettext
    context = {
        "change": change_row(change, base, now, language),
        "stands": change.stands and change.kind is not ChangeKind.WEEK,
        "over": change.ends_at <= now and change.kind is not ChangeKind.WEEK,
        "inside": [visit(one, parts.widgets, base, now, language) for one in inside],
        "reported": report_words(request.query_params.get("told", ""), language) if not error else "",
        "problem": [_("This had already been undone. Nothing was changed.")] if error else [],
    }
    status = error.status if error else 200
    return render_staff(request, "staff/hours_change.html", context, screen="hours", status=status)


async def _person(request: Request) -> Member:
    query = request.query_params.get("place", "")[:_LONGEST]
    return await parts_of(request).working_hours.person(request.path_params["person"], query)


def _person_path(request: Request, person: Member) -> str:
    return f"{base_path(request)}/hours/person/{person.resource_id}?{urlencode({'place': person.location_id})}"

"""Booking for a customer, in three pages: what; when; who, and how it is paid. The address carries what is chosen, so
that a gap in a calendar can lead to any of them; nothing is held before the last page is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.book_for import DeskOrder
from app.booking.customer_form import desk_fields, read_details
from app.domain.amounts import read_amount
from app.domain.booking import Status
from app.domain.catalogue import Service, Slot
from app.domain.local_days import start_of_day
from app.domain.payment import Pays
from app.errors import (
    BookingConflict,
    HoldfastError,
    InvalidDetails,
    NotFound,
    RateLimited,
    SchedulerError,
    SlotTaken,
    TimesNotRead,
)
from app.msgid import N_
from app.parts import parts_of
from app.scheduling.availability.catalogue import Catalogue
from app.text import catalogues, languages, zones
from app.web.shared.request_input import read_form
from app.web.shared.time_step import read_start
from app.web.shared.time_words import start_value
from app.web.staff.dates import day_field, read_clock, read_day
from app.web.staff.new_words import (
    LONGEST,
    chosen_words,
    day_words,
    field_words,
    link_choices,
    nearest_words,
    not_booked_words,
    pay_choices,
    service_words,
)
from app.web.staff.page import base_path, render_staff
from app.web.staff.sign_in import signed_in
from app.widgets import Widget

#: Days of times on one page.
_DAYS: Final = 7
#: What was typed for the amount is no amount.
_NO_AMOUNT: Final = N_("This is not an amount of money.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What has been chosen so far; what is not, is empty or None. `day` and `at` are on the place's clock; an hour that
    it shows twice, when the clocks are set back, is the `second` one if that says so."""

    widget: str
    service: str
    person: str
    day: date | None
    at: time | None

    def query(self, **changes: Any) -> str:
        """The address's query, with these changed."""
        asked = replace(self, **changes)
        pairs = [("widget", asked.widget), ("service", asked.service), ("person", asked.person)]
        pairs += [("from", asked.day.isoformat())] if asked.day else []
        pairs += [("at", f"{asked.at:%H:%M}"), ("second", "1" if asked.at.fold else "")] if asked.at else []
        return urlencode([(name, text) for name, text in pairs if text])


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A service of a widget, as its calendar has it now."""

    asked: Asked
    widget: Widget
    catalogue: Catalogue
    service: Service

    @property
    def zone(self) -> str:
        return self.catalogue.location.time_zone

    @property
    def starts_at(self) -> datetime | None:
        """The moment that was chosen; None without one, or where the clocks skip it."""
        if self.asked.day is None or self.asked.at is None:
            return None
        there = datetime.combine(self.asked.day, self.asked.at, zones.zone_info(self.zone))
        moment = there.astimezone(UTC)
        return moment if zones.local(moment, self.zone).replace(tzinfo=None) == there.replace(tzinfo=None) else None


@signed_in
async def show_new(request: Request) -> Response:
    """GET /staff/{token}/new: whichever choice comes next."""
    chosen = await _choose(request, request.query_params)
    if isinstance(chosen, Response):
        return chosen
    if chosen.starts_at is None:
        return await _times(request, chosen)
    return await _form(request, chosen, chosen.starts_at, {})


@signed_in
async def book(request: Request) -> Response:
    """POST /staff/{token}/new: book, or show the form again with all that was typed and what is in the way."""
    form = await read_form(request)
    chosen = await _choose(request, form)
    if isinstance(chosen, Response):
        return chosen
    starts_at = chosen.starts_at
    if form.get("to"):  # one of the nearest times, in place of one that is gone
        starts_at = read_start(form["to"])
        there = zones.local(starts_at, chosen.zone)
        person = form.get("person", "")
        chosen = replace(chosen, asked=replace(chosen.asked, day=there.date(), at=there.time(), person=person))
        return await _form(request, chosen, starts_at, form)
    if starts_at is None:
        return await _times(request, chosen)
    try:
        booking = await parts_of(request).book_for.book(_read_order(request, chosen, starts_at, form))
    except InvalidDetails as error:
        return await _form(request, chosen, starts_at, form, wrong=error.fields)
    except (SlotTaken, BookingConflict, SchedulerError) as error:
        return await _form(request, chosen, starts_at, form, problem=error)
    told = "linked" if booking.pay_link else "booked" if booking.status is Status.CONFIRMED else "being_booked"
    return RedirectResponse(f"{base_path(request)}/bookings/{booking.id}?told={told}", status_code=303)


# What


def _read_asked(form: Mapping[str, str]) -> Asked:
    minutes = read_clock(form.get("at", ""))
    at = None
    if minutes is not None and minutes < 24 * 60:
        at = time(minutes // 60, minutes % 60, fold=1 if form.get("second") == "1" else 0)
    widget, service, person = (form.get(name, "")[:LONGEST] for name in ("widget", "service", "person"))
    return Asked(widget, service, person, read_day(form, "from"), at)


async def _choose(request: Request, form: Mapping[str, str]) -> _Chosen | Response:
    """The service that was chosen; the page that asks for it where none was."""
    asked, parts = _read_asked(form), parts_of(request)
    widget = parts.widgets.get(asked.widget)
    if widget is not None and asked.service:
        try:
            catalogue = await parts.availability.catalogue(widget)
        except (SchedulerError, NotFound):
            return await _services(request, asked)
        for service in catalogue.services:
            if service.id == asked.service:
                known = asked if service.resource(asked.person) else replace(asked, person="")
                return _Chosen(known, widget, catalogue, service)
    return await _services(request, asked)


async def _services(request: Request, asked: Asked) -> Response:
    """The first page: all that is offered, of every widget; of one person where one was chosen."""
    parts, language = parts_of(request), request.state.shell.language
    groups, silent = [], []
    for name, widget in parts.widgets.items():
        if asked.widget in parts.widgets and name != asked.widget:
            continue
        try:
            catalogue = await parts.availability.catalogue(widget)
        except (SchedulerError, NotFound):
            silent.append(widget.heading(language))
            continue
        offered = [one for one in catalogue.services if not asked.person or one.resource(asked.person)]
        if offered:
            links = [
                {
                    **service_words(service, language),
                    "path": f"{base_path(request)}/new?{asked.query(widget=name, service=service.id)}",
                }
                for service in offered
            ]
            groups.append({"title": widget.heading(language), "services": links})
    context = {"step": "what", "groups": groups, "silent": silent}
    return render_staff(request, "staff/new.html", context, screen="new")


# When


async def _times(request: Request, chosen: _Chosen) -> Response:
    """The second page: the times of some days, and any other."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    asked, today = chosen.asked, zones.local(now, chosen.zone).date()
    first = max(asked.day or today, today)
    days = [first + timedelta(days=count) for count in range(_DAYS)]
    problem, slots = "", list[Slot]()
    try:
        for month in sorted({day.replace(day=1) for day in days}):
            times = await parts.availability.times(
                chosen.widget, chosen.service, month=month, resource_id=asked.person or None
            )
            slots += times.slots
    except (SchedulerError, TimesNotRead, RateLimited):
        problem = catalogues.translator(language).gettext("The calendar cannot be reached right now.")
    path = f"{base_path(request)}/new"
    links: dict[date, dict[datetime, str]] = {day: {} for day in days}
    for slot in slots:
        there = zones.local(slot.starts_at, chosen.zone)
        if there.date() in links and slot.starts_at > now:
            links[there.date()][slot.starts_at] = f"{path}?{asked.query(day=there.date(), at=there.time())}"
    step = timedelta(days=_DAYS)
    soon = zones.local(now + timedelta(minutes=10), chosen.zone)
    context = {
        "step": "when",
        "service": service_words(chosen.service, language),
        "change": f"{path}?{asked.query(widget='', service='')}",
        "days": [day_words(day, links[day], chosen.zone, language, now) for day in days],
        "earlier": f"{path}?{asked.query(day=max(first - step, today), at=None)}" if first > today else "",
        "later": f"{path}?{asked.query(day=first + step, at=None)}",
        "asked": asked,
        "day": day_field("from", first, language, today=today),
        "at": f"{soon.replace(minute=soon.minute // 5 * 5):%H:%M}" if asked.at is None else f"{asked.at:%H:%M}",
        "skipped": asked.day is not None and asked.at is not None,
        "people": [(one.id, one.name) for one in chosen.service.resources],
        "any_time": parts.book_for.any_time(chosen.widget),
        "zone": zones.zone_label(chosen.zone, start_of_day(first, zones.zone_info(chosen.zone)), language),
        "problem": problem,
    }
    return render_staff(request, "staff/new.html", context, screen="new")


# Who, and how it is paid


async def _form(
    request: Request,
    chosen: _Chosen,
    starts_at: datetime,
    form: Mapping[str, str],
    *,
    wrong: Mapping[str, str] | None = None,
    problem: HoldfastError | None = None,
) -> Response:
    """The third page, as it was typed. A time that the calendar does not offer is said to be one."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    widget, service, asked = chosen.widget, chosen.service, chosen.asked
    _ = catalogues.translator(language).gettext
    try:
        offered = await parts.book_for.offered(widget, service, starts_at, None)
    except (SchedulerError, RateLimited) as error:
        offered, problem = None, problem or error
    people = [one for one in service.resources if offered is None or one.id in offered.resource_ids]
    person = form.get("person", asked.person)
    beyond = offered is None or bool(person and person not in offered.resource_ids)
    if beyond:
        people = list(service.resources)
    slot = offered or Slot(starts_at, starts_at + service.duration, starts_at, starts_at, ())
    needs_email = parts.book_for.needs_email(widget)
    nearest = problem.nearest if isinstance(problem, SlotTaken) else ()
    context = {
        "step": "who",
        "service": service_words(service, language),
        "chosen": chosen_words(slot, chosen.zone, language, now),
        "change": f"{base_path(request)}/new?{asked.query(at=None)}",
        "hidden": [
            ("widget", widget.name),
            ("service", service.id),
            ("from", zones.local(starts_at, chosen.zone).date().isoformat()),
            ("at", f"{zones.local(starts_at, chosen.zone):%H:%M}"),
            *([("second", "1")] if zones.local(starts_at, chosen.zone).fold else []),
            # Kept whatever went wrong: a form books once, even where nobody knows whether it has.
            ("key", parts.links.read_visitor_key(form.get("key", ""))),
            *([("beyond", "1")] if beyond else []),
        ],
        "beyond": beyond,
        "any_time": parts.book_for.any_time(widget),
        "people": [(one.id, one.name) for one in people],
        "person": person if any(one.id == person for one in people) else "",
        "anyone": not beyond,
        "fields": field_words(desk_fields(widget, language, email=needs_email), form, wrong or {}, language),
        "languages": [(tag, languages.LANGUAGES[tag].native_name) for tag in widget.languages],
        "language": form.get("language", widget.languages[0]),
        "free": not service.price,
        "pays": pay_choices(form.get("pays", Pays.AT_VISIT), language, link=parts.book_for.has_links),
        "paid": form.get("paid", format(service.price.to_decimal(), "f")),
        "currency": service.price.currency.upper(),
        "lasts": link_choices(starts_at, now, form.get("lasts", "1440"), language),
        "wrong": {name: _(text) for name, text in (wrong or {}).items()},
        "problem": not_booked_words(problem, language, beyond=form.get("beyond") == "1") if problem else [],
        "nearest": nearest_words([(start_value(start), start) for start in nearest], chosen.zone, language, now),
        "mail_on": parts.mailer.enabled,
    }
    status = problem.status if problem else 422 if wrong else 200
    return render_staff(request, "staff/new.html", context, screen="new", status=status)


def _read_order(request: Request, chosen: _Chosen, starts_at: datetime, form: Mapping[str, str]) -> DeskOrder:
    """What the form asks for. Raises InvalidDetails."""
    parts, widget = parts_of(request), chosen.widget
    pays = Pays(form["pays"]) if form.get("pays") in set(Pays) else Pays.AT_VISIT
    wrong: dict[str, str] = {}
    customer = None
    try:
        fields = desk_fields(
            widget,
            request.state.shell.language,
            email=parts.book_for.needs_email(widget, pays) and bool(chosen.service.price),
        )
        customer = read_details(form, widget, fields)
    except InvalidDetails as error:
        wrong |= error.fields
    paid = None
    if pays.method and chosen.service.price:
        paid = read_amount(form.get("paid", ""), chosen.service.price.currency)
        if paid is None:
            wrong["paid"] = _NO_AMOUNT
    if wrong or customer is None:
        raise InvalidDetails(wrong)
    lasts = form.get("lasts", "")
    until = parts.now() + timedelta(minutes=int(lasts)) if lasts.isdecimal() and len(lasts) < 6 else starts_at
    language = form.get("language", "")
    return DeskOrder(
        widget=widget,
        service_id=chosen.service.id,
        starts_at=starts_at,
        resource_id=form.get("person", "")[:LONGEST] or None,
        customer=customer,
        language=language if language in widget.languages else widget.languages[0],
        pays=pays,
        form=parts.links.read_visitor_key(form.get("key", "")),
        who=request.state.staff.email,
        paid=paid,
        pay_until=until,
        any_time=form.get("beyond") == "1",
    )

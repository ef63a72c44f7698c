"""Which times to show: what an address or a form asks for, and the day to open on. For visitors who look for a time,
and for bookings that look for another one."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from starlette.requests import Request

from app.domain import local_days
from app.domain.catalogue import Resource, Service, Slot
from app.errors import InvalidRequest, RateLimited, SchedulerError, TimesNotRead
from app.parts import Parts, parts_of
from app.protection.rate_limits import client_address
from app.scheduling.availability import Catalogue, Times
from app.text import zones
from app.web.shared.calendar_view import first_free_day
from app.web.shared.theme import Style, asked_style
from app.widgets import Widget

#: Near the ends of the calendar there is no month before or after, and another zone's clock cannot be shown.
_YEARS = range(1901, 3000)

#: From so long before a month's end on, its last row shows the next month's first days as well. That is one read more
#: of the scheduler for each service, which visitors at the end of a month need next anyway.
_NEAR_THE_END = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class AskedTimes:
    """What an address, or a posted form, asks to see. `day` None with a `month` is that month's first free day; both
    None open on the first free day there is. `zone` None is the place's own. `language` is empty where none is asked
    for."""

    service: str
    resource: str
    month: date | None
    day: date | None
    zone: str | None
    language: str
    style: Style
    choose_zone: bool

    def on(self, day: date) -> AskedTimes:
        """The same, open on this day."""
        return replace(self, month=day.replace(day=1), day=day)

    @property
    def kept(self) -> tuple[str, str, Style]:
        """What every next step is asked for as well."""
        return self.zone or "", self.language, self.style


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the time step shows, read and settled: the day it is open on and the times around it. `people`
    are those whom one may choose; `following` are the next month's times, near the end of this one."""

    catalogue: Catalogue
    service: Service
    people: tuple[Resource, ...]
    resource: str
    wanted: AskedTimes
    zone: str
    month: date
    day: date | None
    times: Times
    following: Times | None
    next_free: Slot | None
    today: date
    last_day: date | None
    opened: bool

    @property
    def shown(self) -> str:
        """The day that it is open on, or the month where no day is, as an address says it."""
        return self.day.isoformat() if self.day else f"{self.month:%Y-%m}"


# Reading what is asked


def read_asked_times(query: Mapping[str, str], language: str) -> AskedTimes:
    """What an address or a form asks to see; what cannot be read asks for nothing."""
    month, day = _asked_date(query.get("date", ""))
    return AskedTimes(
        service=query.get("service", "")[:100],
        resource=query.get("resource", "")[:100],
        month=month,
        day=day,
        zone=zones.valid_zone(query.get("tz")),
        language=language if query.get("lang") else "",
        style=asked_style(query),
        choose_zone="zones" in query,
    )


def _asked_date(text: str) -> tuple[date | None, date | None]:
    """A day ("2026-11-24") or a month ("2026-11"); what is neither asks for nothing."""
    try:
        day = date.fromisoformat(f"{text}-01" if len(text) == 7 else text)
    except ValueError:
        return None, None
    if day.year not in _YEARS:
        return None, None
    return day.replace(day=1), None if len(text) == 7 else day


def read_start(text: str) -> datetime:
    """The time that a form names. Raises InvalidRequest."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest("start is not a time") from error
    if start.tzinfo is None:
        raise InvalidRequest("start has no offset")
    if start.year not in _YEARS:
        raise InvalidRequest("nothing is booked so far away")
    return start


# Finding the times


async def find_scene(
    request: Request,
    widget: Widget,
    catalogue: Catalogue,
    service: Service,
    wanted: AskedTimes,
    people: tuple[Resource, ...] | None = None,
) -> Scene:
    """Find the day to open on: the one asked for, else the first with free times, in this month or a later one.

    `people` are those whom one may choose; None leaves it to the widget.
    """
    parts = parts_of(request)
    now = parts.now()
    zone = wanted.zone or catalogue.location.time_zone
    today = zones.local(now, zone).date()
    if people is None:
        people = service.resources if widget.choose_resource else ()
    resource = wanted.resource if any(one.id == wanted.resource for one in people) else ""
    month = max(wanted.month or today, today).replace(day=1)
    day = wanted.day if wanted.day and wanted.day >= today else None

    reader = client_address(request.scope)

    async def read(month: date) -> Times:
        try:
            return await parts.availability.times(
                widget, service, month=month, resource_id=resource or None, reader=reader
            )
        except TimesNotRead:
            return Times((), now, False, "not read", read=False)

    times = await read(month)
    next_free: Slot | None = None
    free = True
    if day is None:
        day = first_free_day(times.slots, zone, month)
    elif times.read:
        free = any(zones.local(slot.starts_at, zone).date() == day for slot in times.slots)
    if times.read and (day is None or not free):
        next_free = await _next_free(
            parts, widget, service, max(day or month, today), zone, resource_id=resource or None, reader=reader
        )
        if next_free and wanted.month is None:
            day = zones.local(next_free.starts_at, zone).date()
            month, next_free = day.replace(day=1), None
            times = await read(month)
    window = service.booking_window_end
    last_day = zones.local(now + window, zone).date() if window is not None else None
    after = local_days.next_month(month)
    following: Times | None = None
    if times.read and month <= today and today + _NEAR_THE_END >= after and (last_day is None or last_day >= after):
        following = await _following(read(after))
    # The times that were read may have shown that the offer was old.
    catalogue = await parts.availability.catalogue(widget)
    service = catalogue.find(service.id) or service
    return Scene(
        catalogue=catalogue,
        service=service,
        people=people,
        resource=resource,
        wanted=wanted,
        zone=zone,
        month=month,
        day=day,
        times=times,
        following=following,
        next_free=next_free,
        today=today,
        last_day=last_day,
        opened=wanted.day is None and day is not None,
    )


async def _following(reading: Awaitable[Times]) -> Times | None:
    """The next month's times; None where they cannot be read, which costs the visitor nothing but a few days."""
    try:
        times = await reading
    except (SchedulerError, RateLimited):
        return None
    return times if times.read else None


async def _next_free(
    parts: Parts,
    widget: Widget,
    service: Service,
    after: date,
    zone: str,
    *,
    resource_id: str | None,
    reader: str,
) -> Slot | None:
    """The first free time from a day of the visitor's on; None where the months after it have not been read."""
    try:
        return await parts.availability.next_free(
            widget, service, after=after, zone=zone, resource_id=resource_id, reader=reader
        )
    except (TimesNotRead, RateLimited):
        return None

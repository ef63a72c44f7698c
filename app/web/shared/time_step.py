"""Which times to show: what an address or a form asks for, and the day to open on. For visitors who look for a time,
and for bookings that look for another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from starlette.requests import Request

from app.domain import local_days
from app.domain.catalogue import Resource, Service, Slot
from app.errors import InvalidRequest, RateLimited, SchedulerError, TimesNotRead
from app.parts import parts_of
from app.protection.rate_limits import client_address
from app.scheduling.availability import Availability, Catalogue, Times
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


# Choosing the day


def asked_from(wanted: AskedTimes, today: date) -> tuple[date, date | None]:
    """The month and the day that are asked for; nothing before today is."""
    month = max(wanted.month or today, today).replace(day=1)
    return month, wanted.day if wanted.day and wanted.day >= today else None


def choose_day(asked: date | None, month: date, times: Times, zone: str) -> tuple[date | None, bool]:
    """The day to open on: the one asked for, else the month's first with free times. And whether to look further,
    because nothing is free then; of times that were not read, nobody knows."""
    day = asked or first_free_day(times.slots, zone, month)
    free = any(zones.local(slot.starts_at, zone).date() == day for slot in times.slots)
    return day, times.read and not free


def following_month(month: date, today: date, last_day: date | None) -> date | None:
    """The month after, if its first days are shown as well: near the end of the present one, and if they can be
    booked."""
    after = local_days.next_month(month)
    shown = month <= today and today + _NEAR_THE_END >= after and (last_day is None or last_day >= after)
    return after if shown else None


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
    reading = _Reading(parts.availability, widget, service, resource or None, client_address(request.scope), zone, now)
    found = await _find_day(reading, wanted, today)
    window = service.booking_window_end
    last_day = zones.local(now + window, zone).date() if window is not None else None
    after = following_month(found.month, today, last_day) if found.times.read else None
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
        month=found.month,
        day=found.day,
        times=found.times,
        following=await reading.following(after) if after else None,
        next_free=found.next_free,
        today=today,
        last_day=last_day,
        opened=wanted.day is None and found.day is not None,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The day to open on, and its month's times. `next_free` leads on where nothing is free then."""

    month: date
    day: date | None
    times: Times
    next_free: Slot | None = None


async def _find_day(reading: _Reading, wanted: AskedTimes, today: date) -> _Found:
    month, asked = asked_from(wanted, today)
    times = await reading.month(month)
    day, look_further = choose_day(asked, month, times, reading.zone)
    if not look_further:
        return _Found(month, day, times)
    next_free = await reading.next_free(max(day or month, today))
    if next_free is None or wanted.month is not None:
        return _Found(month, day, times, next_free)
    day = zones.local(next_free.starts_at, reading.zone).date()
    month = day.replace(day=1)
    return _Found(month, day, await reading.month(month))


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads what one visitor asks for: the times of a service, with one person or with anyone."""

    availability: Availability
    widget: Widget
    service: Service
    resource_id: str | None
    reader: str
    zone: str
    now: datetime

    async def month(self, month: date) -> Times:
        """A month's times; none, and marked so, where they have not been read."""
        try:
            return await self.availability.times(
                self.widget, self.service, month=month, resource_id=self.resource_id, reader=self.reader
            )
        except TimesNotRead:
            return Times((), self.now, False, "not read", read=False)

    async def following(self, month: date) -> Times | None:
        """The next month's times; None where they cannot be read, which costs the visitor nothing but a few days."""
        try:
            times = await self.month(month)
        except (SchedulerError, RateLimited):
            return None
        return times if times.read else None

    async def next_free(self, after: date) -> Slot | None:
        """The first free time from a day of the visitor's on; None where the months after it have not been read."""
        try:
            return await self.availability.next_free(
                self.widget,
                self.service,
                after=after,
                zone=self.zone,
                resource_id=self.resource_id,
                reader=self.reader,
            )
        except (TimesNotRead, RateLimited):
            return None

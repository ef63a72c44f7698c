"""The time step's view models: a month as a table of days, a day as its parts with times. Pure.

Days are the visitor's: a time at the place stands on the day that the visitor's own calendar shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from app.domain import local_days
from app.domain.catalogue import Slot
from app.msgid import N_
from app.text import catalogues, formats, zones
from app.web.shared.time_words import start_value

Density = Literal["none", "few", "some", "many"]

#: A day with at most so many times counts as few, as some; more are many.
_FEW: Final = 3
_SOME: Final = 8

#: (first hour, name). A visitor far away may see times at night, and ought to notice.
_PARTS: Final = ((0, N_("Night")), (5, N_("Morning")), (12, N_("Afternoon")), (17, N_("Evening")))


@dataclass(frozen=True, slots=True)
class Clocks:
    """Whose days and hours these are: the visitor's zone, the place's, and the language that they are written in."""

    zone: str
    place_zone: str
    language: str


@dataclass(frozen=True, slots=True)
class DayCell:
    """One cell of the month. Days of the month before only fill the row; those of the next one carry times if they were
    read, so that the end of a month is not a dead end.

    `label` is the day's number, `name` says the whole: "Tuesday 24 November, 6 times". `clocks_change` asks for a
    warning: clocks go forward or back that day, here or at the place. `is_own` is the day of the booking that looks
    for another time.
    """

    date: date
    label: str
    name: str
    count: int
    density: Density
    is_today: bool
    is_chosen: bool
    in_month: bool
    clocks_change: bool
    is_own: bool


@dataclass(frozen=True, slots=True)
class MonthView:
    """A month's table, without the weeks that are over. `weekdays` are (short, full) names in the language's order;
    `previous` and `next` are the first days of the months that can be looked at; `total` counts the month's times."""

    month: date
    heading: str
    weekdays: tuple[tuple[str, str], ...]
    weeks: tuple[tuple[DayCell, ...], ...]
    previous: date | None
    next: date | None
    first_free: date | None
    total: int


@dataclass(frozen=True, slots=True)
class TimeChoice:
    """One time to choose. `value` is its ISO 8601 start in UTC, for the form.

    `place_label` is the wall time at the place where it differs from the visitor's, with the day where that
    differs too; otherwise empty. `name` is what a screen reader says. `own` is the time that a booking has already,
    shown among the others and not to be chosen.
    """

    starts_at: datetime
    value: str
    label: str
    end_label: str
    place_label: str
    name: str
    resource_ids: tuple[str, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class DayPart:
    """Morning, Afternoon, Evening (or Night), with its times."""

    name: str
    times: tuple[TimeChoice, ...]


@dataclass(frozen=True, slots=True)
class DayView:
    """A day's times; `count` leaves the booking's own out. `zones_differ` when any time reads differently at the
    place."""

    date: date
    heading: str
    parts: tuple[DayPart, ...]
    count: int
    zones_differ: bool
    clocks_change: bool


def month_view(
    slots: Iterable[Slot],
    clocks: Clocks,
    *,
    month: date,
    today: date,
    chosen: date | None = None,
    last_day: date | None = None,
    own: Slot | None = None,
    following: Iterable[Slot] | None = None,
) -> MonthView:
    """The month around `month` in the visitor's zone; slots outside it are passed over.

    `today` is the visitor's day; `last_day` the end of the booking window, None without one; `own` the time of a
    booking that is to be moved; `following` the next month's slots, None where they were not read.
    """
    month = month.replace(day=1)
    ends = local_days.next_month(month) if following is None else date.max
    by_day: dict[date, list[Slot]] = {}
    for slot in {slot.starts_at: slot for slot in (*slots, *(following or ()))}.values():
        if own is None or slot.starts_at != own.starts_at:
            by_day.setdefault(zones.local(slot.starts_at, clocks.zone).date(), []).append(slot)
    own_day = zones.local(own.starts_at, clocks.zone).date() if own else None
    weeks = tuple(
        tuple(
            _cell(
                day,
                by_day.get(day, []) if month <= day < ends else [],
                clocks,
                month=month,
                today=today,
                chosen=chosen,
                own_day=own_day,
            )
            for day in week
        )
        for week in _weeks(month, formats.first_weekday(clocks.language))
        if week[-1] >= today
    )
    free = sorted(day for day in by_day if _same_month(day, month))
    return MonthView(
        month=month,
        heading=formats.format_month(month, clocks.language),
        weekdays=formats.weekday_names(clocks.language),
        weeks=weeks,
        previous=previous_month(month, today=today),
        next=next_bookable_month(month, last_day=last_day),
        first_free=free[0] if free else None,
        total=sum(len(by_day[day]) for day in free),
    )


def day_view(
    slots: Iterable[Slot],
    clocks: Clocks,
    *,
    day: date,
    today: date | None = None,
    own: Slot | None = None,
) -> DayView:
    """The times that fall on `day` in the visitor's zone, in order, under the parts of that day; `own`, the time of
    a booking that is to be moved, among them.

    Labels are unique: a wall time that happens twice carries its UTC offset.
    """
    if own:
        slots = [*(slot for slot in slots if slot.starts_at != own.starts_at), own]
    chosen = sorted(
        (slot for slot in slots if zones.local(slot.starts_at, clocks.zone).date() == day),
        key=lambda slot: slot.starts_at,
    )
    translate = catalogues.translator(clocks.language).gettext
    parts: dict[str, list[TimeChoice]] = {}
    for slot in chosen:
        name = _part(zones.local(slot.starts_at, clocks.zone).hour)
        parts.setdefault(name, []).append(_choice(slot, clocks, own=slot is own))
    return DayView(
        date=day,
        heading=formats.format_date(day, clocks.language, today=today),
        parts=tuple(DayPart(translate(name), tuple(times)) for name, times in parts.items()),
        count=sum(slot is not own for slot in chosen),
        zones_differ=any(not zones.same_clock(clocks.zone, clocks.place_zone, slot.starts_at) for slot in chosen),
        clocks_change=_clocks_change(day, chosen, clocks),
    )


def first_free_day(slots: Iterable[Slot], zone: str, month: date) -> date | None:
    """The first day of the month, in the zone, that has a time."""
    in_order = sorted(slots, key=lambda slot: slot.starts_at)
    days = (zones.local(slot.starts_at, zone).date() for slot in in_order)
    return next((day for day in days if _same_month(day, month)), None)


def previous_month(month: date, *, today: date) -> date | None:
    """The first day of the month before, unless it is past."""
    before = (month.replace(day=1) - timedelta(days=1)).replace(day=1)
    return before if before >= today.replace(day=1) else None


def next_bookable_month(month: date, *, last_day: date | None) -> date | None:
    """The first day of the month after, unless the booking window ends before it."""
    after = local_days.next_month(month)
    return after if last_day is None or after <= last_day else None


def _same_month(day: date, month: date) -> bool:
    return (day.year, day.month) == (month.year, month.month)


def _weeks(month: date, first_weekday: int) -> Iterable[list[date]]:
    start = month - timedelta(days=(month.weekday() - first_weekday) % 7)
    after = local_days.next_month(month)
    while start < after:
        yield [start + timedelta(days=offset) for offset in range(7)]
        start += timedelta(days=7)


def _density(count: int) -> Density:
    if count == 0:
        return "none"
    if count <= _FEW:
        return "few"
    return "some" if count <= _SOME else "many"


def _cell(
    day: date,
    slots: Sequence[Slot],
    clocks: Clocks,
    *,
    month: date,
    today: date,
    chosen: date | None,
    own_day: date | None,
) -> DayCell:
    count = len(slots)
    said = catalogues.translator(clocks.language)
    times = said.ngettext("%(num)s time", "%(num)s times", count) if count else said.gettext("no times")
    # The month's heading already says the year.
    day_name = formats.format_date(day, clocks.language, today=day)
    name = said.gettext("%(day)s, %(times)s") % {"day": day_name, "times": times % {"num": count}}
    if day == own_day:
        name = said.gettext("%(day)s; your booking is on this day") % {"day": name}
    return DayCell(
        date=day,
        label=str(day.day),
        name=name,
        count=count,
        density=_density(count),
        is_today=day == today,
        is_chosen=day == chosen,
        in_month=_same_month(day, month),
        clocks_change=_clocks_change(day, slots, clocks),
        is_own=day == own_day,
    )


def _part(hour: int) -> str:
    return next(name for first, name in reversed(_PARTS) if hour >= first)


def _choice(slot: Slot, clocks: Clocks, *, own: bool) -> TimeChoice:
    label = formats.format_time(slot.starts_at, clocks.zone, clocks.language)
    end_label = formats.format_time(slot.ends_at, clocks.zone, clocks.language)
    place_label = _place_label(slot.starts_at, clocks)
    said = catalogues.translator(clocks.language)
    name = said.gettext("%(start)s to %(end)s") % {"start": label, "end": end_label}
    if place_label:
        name = said.gettext("%(time)s, %(place_time)s at the venue") % {"time": name, "place_time": place_label}
    return TimeChoice(
        starts_at=slot.starts_at,
        value=start_value(slot.starts_at.astimezone(UTC)),
        label=label,
        end_label=end_label,
        place_label=place_label,
        name=name,
        resource_ids=slot.resource_ids,
        own=own,
    )


def _place_label(moment: datetime, clocks: Clocks) -> str:
    if zones.same_clock(clocks.zone, clocks.place_zone, moment):
        return ""
    clock = formats.format_time(moment, clocks.place_zone, clocks.language)
    there = zones.local(moment, clocks.place_zone).date()
    if there == zones.local(moment, clocks.zone).date():
        return clock
    day = formats.format_date(there, clocks.language, "medium", today=there)
    return catalogues.translator(clocks.language).gettext("%(day)s, %(times)s") % {"day": day, "times": clock}


def _clocks_change(day: date, slots: Sequence[Slot], clocks: Clocks) -> bool:
    """Whether times shown on the day touch a clock change, in the visitor's zone or at the place."""
    if not slots:
        return False
    there = {zones.local(slot.starts_at, clocks.place_zone).date() for slot in slots}
    return day in clock_changes(clocks.zone, day.year) or any(
        place_day in clock_changes(clocks.place_zone, place_day.year) for place_day in there
    )


@lru_cache(maxsize=2048)
def clock_changes(zone: str, year: int) -> frozenset[date]:
    """The days of the year on which wall times of the zone are skipped or happen twice.

    A change at midnight belongs to the day whose times it touches: forward at 00:00 to the day that begins at
    01:00, back at 24:00 to the day whose last hour happens twice.
    """
    days: set[date] = set()
    start = datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=2)
    for change, old, new in zones.offset_changes(zone, start, start + timedelta(days=370)):
        touched, last = change + min(old, new), change + max(old, new) - timedelta(microseconds=1)
        day = touched.date()
        while day <= last.date():
            days.add(day)
            day += timedelta(days=1)
    return frozenset(day for day in days if day.year == year)

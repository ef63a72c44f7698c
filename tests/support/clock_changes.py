"""Every change of clocks in the IANA database, and what has to hold around each: for the tests a sample of them, for
`make zones` all.

What is right is calculated here from two offsets and the moment between them, not with the product's own functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from icalendar import Calendar

from app.api.asked import read_span
from app.cli.arguments import WrongUse
from app.cli.arguments import read_start as read_typed
from app.domain.booking import Booking
from app.domain.catalogue import Slot
from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.local_days import moment_at
from app.domain.studio import MIDNIGHT, Span
from app.mail.calendars import bookings_calendar, calendar_file, calendar_links
from app.text.formats import format_span
from app.text.zones import valid_zone
from app.web.shared.calendar_view import Clocks, DayView, day_view, month_view
from app.web.shared.time_step import read_start
from app.web.staff.calendar_words import clock_change
from app.widgets import Widget
from tests.support.examples import a_booking

FIRST, LAST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)
_STEP = timedelta(hours=12)
_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
#: How far around a change times are looked at, and how far apart they are.
_AROUND, _APART = timedelta(hours=75), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Change:
    """At `moment` the offset from UTC is no longer `before` but `after`."""

    moment: datetime
    before: timedelta
    after: timedelta

    @property
    def touched(self) -> tuple[datetime, datetime]:
        """From when to when the wall clock's times are skipped or shown twice; without a zone."""
        naive = self.moment.replace(tzinfo=None)
        return naive + min(self.before, self.after), naive + max(self.before, self.after)

    @property
    def days(self) -> set[date]:
        """The days that have such times."""
        first, last = self.touched
        return {first.date(), (last - _SECOND).date()}


@cache
def zone_names() -> tuple[str, ...]:
    """Every zone that a visitor's browser may send, old names too."""
    return tuple(sorted(name for name in available_timezones() if valid_zone(name)))


@cache
def changes_of(zone: str) -> tuple[Change, ...]:
    """Every change of the zone's clock from 2020 to 2040, found by looking twice a day and halving what lies between:
    no zone changes its clock twice in twelve hours."""
    clock, found = ZoneInfo(zone), []
    moment, offset = FIRST, FIRST.astimezone(clock).utcoffset()
    while moment < LAST:
        later = moment + _STEP
        new = later.astimezone(clock).utcoffset()
        if new != offset:
            low, high = moment, later
            while high - low > _SECOND:
                middle = low + (high - low) // _SECOND // 2 * _SECOND
                low, high = (middle, high) if middle.astimezone(clock).utcoffset() == offset else (low, middle)
            assert offset is not None
            assert new is not None
            found.append(Change(high, offset, new))
        moment, offset = later, new
    return tuple(found)


def clocks() -> Mapping[tuple[Change, ...], Sequence[str]]:
    """The zones by their changes: those of one entry show the same time at every change."""
    alike: dict[tuple[Change, ...], list[str]] = {}
    for zone in zone_names():
        alike.setdefault(changes_of(zone), []).append(zone)
    return alike


def slots_around(change: Change) -> list[Slot]:
    """A half-hour's time every quarter of an hour, some days before and after the change."""
    start = change.moment.replace(minute=0, second=0) - _AROUND
    count = 2 * _AROUND // _APART
    moments = (start + number * _APART for number in range(count))
    return [Slot(moment, moment + 2 * _APART, moment, moment + 2 * _APART, ("r",)) for moment in moments]


def wrong_about(zone: str, change: Change, place: str, others: Sequence[Change], language: str = "en") -> Iterator[str]:
    """What does not hold of times around a change, one sentence each. `place` is the zone of a place that a visitor
    from the zone looks at; `others` are all changes of the zone."""
    around = Around(zone, change, others)
    yield from around.pages(place, language)
    yield from around.days_agree()
    yield from around.typed()
    yield from around.days_off(language)
    yield from around.files()


class Around:
    """The times around one change, with what each reads by the zone's wall clock."""

    def __init__(self, zone: str, change: Change, others: Sequence[Change]) -> None:
        self.zone, self.change, self.clock = zone, change, ZoneInfo(zone)
        self.slots = slots_around(change)
        self.near = [one for one in others if abs(one.moment - change.moment) < _AROUND + _DAY]
        self.walls = {slot.starts_at: self.wall(slot.starts_at) for slot in self.slots}
        self.by_day: dict[date, list[Slot]] = {}
        for slot in self.slots:
            self.by_day.setdefault(self.walls[slot.starts_at].date(), []).append(slot)
        # The first and the last day are not looked at whole.
        self.whole = sorted(self.by_day)[1:-1]

    def wall(self, moment: datetime) -> datetime:
        """What the wall clock shows, calculated from the changes around."""
        offset = self.near[0].before
        for one in self.near:
            offset = one.after if moment >= one.moment else offset
        return moment.replace(tzinfo=None) + offset

    def twice(self, wall: datetime) -> bool:
        """Whether the wall clock shows this twice."""
        return any(one.after < one.before and one.touched[0] <= wall < one.touched[1] for one in self.near)

    def pages(self, place: str, language: str) -> Iterator[str]:
        """Each time stands once, on its day, under a label of its own, and is what a click on it asks for."""
        clocks = Clocks(self.zone, place, language)
        counted: dict[date, int] = {}
        for month in sorted({day.replace(day=1) for day in self.whole}):
            view = month_view(self.slots, clocks, month=month, today=month)
            for week in view.weeks:
                counted |= {cell.date: cell.count for cell in week if cell.in_month}
        shown: list[datetime] = []
        for day in self.whole:
            shown_day = day_view(self.slots, clocks, day=day)
            expected = self.by_day[day]
            shown += [choice.starts_at for part in shown_day.parts for choice in part.times]
            if counted[day] != len(expected):
                yield f"the month counts {counted[day]} times on {day}, not {len(expected)}"
            yield from self._day(day, shown_day, expected)
        if shown != [slot.starts_at for day in self.whole for slot in self.by_day[day]]:
            yield "the days together do not show each time once"

    def _day(self, day: date, view: DayView, expected: Sequence[Slot]) -> Iterator[str]:
        choices = [choice for part in view.parts for choice in part.times]
        for what in ("label", "name", "value"):
            if len({getattr(one, what) for one in choices}) != len(expected):
                yield f"two times of {day} have the same {what}"
        spans = {format_span(slot.starts_at, slot.ends_at, self.zone, "en") for slot in expected}
        if len(spans) != len(expected):
            yield f"two spans of {day} read the same"
        for choice in choices:
            wall = self.walls[choice.starts_at]
            twice = self.twice(wall)
            if not choice.label.startswith(f"{wall:%H:%M}") or ("UTC" in choice.label) != twice:
                yield f"{choice.starts_at} is labelled {choice.label}, the clock shows {wall}"
            if read_start(choice.value) != choice.starts_at:
                yield f"{choice.value} is not read as {choice.starts_at}"
            local = choice.starts_at.astimezone(self.clock)
            if datetime.fromisoformat(local.isoformat()) != choice.starts_at:
                yield f"{local.isoformat()} is not {choice.starts_at}"
        if any(day in one.days for one in self.near) and not view.clocks_change:
            yield f"{day} has no word about its clocks"
        if not view.clocks_change and any(self.twice(self.walls[slot.starts_at]) for slot in expected):
            yield f"{day} has a time twice, and no word about it"

    def days_agree(self) -> Iterator[str]:
        """What the page, the JSON API, the calendar of the desk and the feeds take for a day is the same."""
        for day in self.whole:
            start, end = read_span(day.isoformat(), day.isoformat(), self.clock)
            if [slot for slot in self.slots if start <= slot.starts_at < end] != self.by_day[day]:
                yield f"{day} is another over JSON, from {start} to {end}"
            usual = all(day not in one.days for one in self.near)
            if usual != (end - start == _DAY) or usual == bool(clock_change(day, self.zone, "en")):
                yield f"{day} lasts {end - start}, and the desk says {clock_change(day, self.zone, 'en')!r}"

    def typed(self) -> Iterator[str]:
        """A time typed on the place's clock is that time; one that there are two of, or none, is asked about."""
        first: dict[datetime, datetime] = {}
        for moment, wall in self.walls.items():
            first.setdefault(wall, moment)
        wall = datetime.combine(self.whole[0], time())
        while wall.date() <= self.whole[-1]:
            minutes = wall.hour * 60 + wall.minute
            found = moment_at(wall.date(), minutes, self.clock)
            skipped = next((one for one in self.near if one.after > one.before and _within(wall, one)), None)
            right = skipped.moment if skipped else first.get(wall, found)
            if found != right:
                yield f"{wall} is taken for {found}, and is {right}"
            try:
                if read_typed(wall.isoformat(), self.zone) != right or skipped or self.twice(wall):
                    yield f"{wall}, typed, is not {right}"
            except WrongUse:
                if not skipped and not self.twice(wall):
                    yield f"{wall}, typed, is refused"
            wall += _APART

    def days_off(self, language: str) -> Iterator[str]:
        """A day off is that day, whole, and nothing else, whatever becomes of its midnights."""
        for day in self.whole:
            starts_at, ends_at = (moment_at(day, minutes, self.clock) for minutes in (0, MIDNIGHT))
            off = HoursChange("hc", ChangeKind.OFF, "hapio", "r", "R", "l", self.zone, starts_at, ends_at, "e", FIRST)
            if off.days != (day, day) or not off.whole_days or off.spans_on(day) != (Span(0, MIDNIGHT),):
                yield f"a day off on {day} is {off.days}, {off.spans_on(day)}"
            if [slot for slot in self.slots if starts_at <= slot.starts_at < ends_at] != self.by_day[day]:
                yield f"a day off on {day} is from {starts_at} to {ends_at}"

    def files(self) -> Iterator[str]:
        """Calendar files and links say the moment."""
        for away in (-_HOUR, -_APART, timedelta(0), _HOUR):
            starts_at = self.change.moment + away
            booking = a_booking(starts_at=starts_at, ends_at=starts_at + _HOUR, time_zone=self.zone)
            yield from _file_of(booking)


def _within(wall: datetime, change: Change) -> bool:
    first, last = change.touched
    return first <= wall < last


_WIDGET = Widget(name="studio")


def _file_of(booking: Booking) -> Iterator[str]:
    file = calendar_file(booking, widget=_WIDGET, url="", now=FIRST, language="en")
    event: Any
    [event] = Calendar.from_ical(file).walk("VEVENT")  # icalendar's types are of every property at once
    if (event["dtstart"].dt, event["dtend"].dt) != (booking.starts_at, booking.ends_at):
        yield f"the calendar file says {event['dtstart'].dt}, not {booking.starts_at}"
    if any(
        f"{booking.starts_at:%Y%m%dT%H%M%SZ}" not in link.replace("-", "").replace("%3A", "")
        for link in calendar_links(booking, widget=_WIDGET).values()
    ):
        yield f"a calendar's link does not say {booking.starts_at}"


def wrong_about_feed(zone: str, first: datetime, last: datetime, changes: Sequence[Change]) -> Iterator[str]:
    """Where the description of the zone that a feed carries has another offset than the zone."""
    content = b"".join(bookings_calendar([], zone=zone, first=first, last=last))
    described: Any
    [described] = Calendar.from_ical(content).walk("VTIMEZONE")
    if str(described["tzid"]) != zone:
        yield f"the feed of {zone} says {described['tzid']}"
    onsets = sorted(
        (start - part["tzoffsetfrom"].td, part["tzoffsetto"].td)
        for part in described.subcomponents
        for start in (part["dtstart"].dt, *(one.dt for dates in _listed(part.get("rdate", [])) for one in dates.dts))
    )
    # From the first day on: a zone's description begins with its own first of January, and entries are in UTC.
    first += _DAY
    moments = [first, last, *(one.moment + away for one in changes for away in (-_SECOND, timedelta(0)))]
    for moment in (moment for moment in moments if first <= moment <= last):
        offset = moment.astimezone(ZoneInfo(zone)).utcoffset()
        told = [new for onset, new in onsets if onset <= moment.replace(tzinfo=None)][-1:]
        if told != [offset]:
            yield f"the feed of {zone} says that {moment} is {told} from UTC, and it is {offset}"


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]

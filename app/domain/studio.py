"""What a studio is at its scheduler: a place, services, people, weekly hours and days that differ. Pure.

People, services and places are told apart by their names, whatever case they are written in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

#: The end of a day, in minutes.
MIDNIGHT = 24 * 60


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Part of a day, in minutes after its midnight on the place's clock; `closes` may be MIDNIGHT."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= MIDNIGHT:
            raise ValueError("a day's hours begin before they end, and end at midnight at the latest")

    def __str__(self) -> str:
        return f"{_clock(self.opens)}–{_clock(self.closes)}"


#: The open parts of one day, in order; empty where it is closed.
Hours = tuple[Span, ...]
#: The hours of each weekday, Monday being 0; a weekday that is not named is closed.
Week = Mapping[int, Hours]


@dataclass(frozen=True, slots=True)
class Place:
    """Hours are read on the clock of its `time_zone`, an IANA name."""

    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class StudioService:
    """`price` in major units, 0 where it is free. `step` is the time between two starts, `notice` how long before its
    start a time can be booked at the latest, `window` at the earliest. None leaves to the scheduler what it has."""

    name: str
    duration: timedelta
    price: Decimal
    step: timedelta | None = None
    buffer_before: timedelta | None = None
    buffer_after: timedelta | None = None
    notice: timedelta | None = None
    window: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A person or a room. `at_once` is how many bookings at the same time; who is new takes one if it is None.
    `services` are the names of those on offer, and they alone; `week` is the whole week. None leaves each as it is.
    `days` names only days that must change: their hours, or None for what the week says."""

    name: str
    at_once: int | None = None
    services: tuple[str, ...] | None = None
    week: Week | None = None
    days: Mapping[date, Hours | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Studio:
    """How it is wanted."""

    place: Place
    services: tuple[StudioService, ...]
    people: tuple[Person, ...]


def same_name(one: str, other: str) -> bool:
    """Whether two names mean the same thing."""
    return one.strip().casefold() == other.strip().casefold()


def merged(spans: Iterable[Span]) -> Hours:
    """The same time with as few spans as possible, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.opens <= found[-1].closes:
            found[-1] = Span(found[-1].opens, max(found[-1].closes, span.closes))
        else:
            found.append(span)
    return tuple(found)


def without(spans: Iterable[Span], removed: Iterable[Span]) -> Hours:
    """What is left of the spans."""
    left = merged(spans)
    for gone in merged(removed):
        pieces = [
            (start, end)
            for span in left
            for start, end in (
                (span.opens, min(span.closes, gone.opens)),
                (max(span.opens, gone.closes), span.closes),
            )
        ]
        left = tuple(Span(start, end) for start, end in pieces if start < end)
    return left


def tidy(week: Week) -> dict[int, Hours]:
    """A week without closed days, each day's hours merged: two weeks are the same if these are equal."""
    return {day: merged(week[day]) for day in range(7) if week.get(day)}


def days_from(first: date, last: date) -> Iterator[date]:
    """Every day from the first to the last, both included."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def week_in_words(week: Week) -> str:
    """Such as "Mon–Fri 09:00–12:00 and 13:00–17:00, Sat 10:00–14:00"; days with equal hours in a row are one."""
    told = []
    for hours, group in groupby(range(7), key=lambda day: merged(week.get(day, ()))):
        days = list(group)
        if hours:
            name = _DAYS[days[0]] if len(days) == 1 else f"{_DAYS[days[0]]}–{_DAYS[days[-1]]}"
            told.append(f"{name} {hours_in_words(hours)}")
    return ", ".join(told) or "closed"


def hours_in_words(hours: Hours | None) -> str:
    """Such as "09:00–12:00 and 13:00–17:00"."""
    if hours is None:
        return "as every week"
    return " and ".join(map(str, merged(hours))) or "closed"


def days_in_words(days: Mapping[date, Hours | None]) -> str:
    """Such as "2026-12-24 to 2026-12-26 closed"; days in a row with equal hours are one."""
    told = []
    for first, last, hours in runs(days):
        when = first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"
        told.append(f"{when} {hours_in_words(hours)}")
    return ", ".join(told)


def runs(days: Mapping[date, Hours | None]) -> Sequence[tuple[date, date, Hours | None]]:
    """Days in a row with equal hours, each as its first, its last and the hours."""
    found: list[tuple[date, date, Hours | None]] = []
    for day in sorted(days):
        hours = days[day]
        if found and found[-1][1] + timedelta(days=1) == day and found[-1][2] == hours:
            found[-1] = (found[-1][0], day, hours)
        else:
            found.append((day, day, hours))
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"

"""What people type in one line: hours, services with their prices, days off. ValueError says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from app.domain.studio import MIDNIGHT, Hours, Span, days_from, merged

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,2})(?:[:.]([0-9]{2}))?\s*(am|pm)?", re.IGNORECASE)
_SPAN = re.compile(rf"({_TIME.pattern})\s*-\s*({_TIME.pattern})", re.IGNORECASE)
_TOKEN = re.compile(
    rf"(?P<days>{_DAY.pattern}(?:\s*-\s*{_DAY.pattern})?|daily)|(?P<span>{_SPAN.pattern})|(?P<odd>[^\s,&]+)",
    re.IGNORECASE,
)
_SERVICE = re.compile(
    r"(?P<name>.+?)[\s,]+(?P<length>[0-9]+)\s*(?P<unit>h|hours?|m|min|mins|minutes?)?[\s,]+"
    r"(?:(?P<free>free)|(?:[A-Za-z]{3}\s*)?(?P<price>[0-9]+(?:[.,][0-9]{1,3})?)(?:\s*[A-Za-z]{3})?)",
    re.IGNORECASE,
)
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:\s*(?:\.\.|to|/)\s*([0-9]{4}-[0-9]{2}-[0-9]{2}))?", re.IGNORECASE)
_CLOSED = "closed"
#: A slip in a year must not close a studio for ever.
_LONGEST = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class TypedService:
    """A service as it was typed; `price` in major units."""

    name: str
    minutes: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class TypedPeople:
    """People with their hours, as typed, and the days on which all of them are off."""

    hours: dict[str, str]
    closed: tuple[str, ...]


def read_week(text: str) -> dict[int, Hours]:
    """Such as `Mon-Fri 9-12 13-17, Sat 10:00-14:00`. Days collect until hours follow; those hours are for all."""
    week: dict[int, list[Span]] = {}
    days: list[int] = []
    fed = False
    for kind, token in _tokens(text):
        if kind == "days":
            days = [*([] if fed else days), *_days(token)]
            fed = False
        else:
            if not days:
                raise ValueError(f"{token} needs its days before it, such as Mon-Fri {token}")
            for day in days:
                week.setdefault(day, []).append(_span(token))
            fed = True
    if not week or not fed:
        raise ValueError("hours are written like Mon-Fri 9-17, Sat 10-14")
    return {day: merged(spans) for day, spans in week.items()}


def read_services(text: str) -> list[TypedService]:
    """Such as `Portrait 60 min 1200; Planning call 20 min free`."""
    found = []
    for part in _parts(text):
        typed = _SERVICE.fullmatch(part)
        if typed is None:
            raise ValueError(f"“{part}” should be a name, minutes and a price, such as Portrait 60 min 120")
        hours = (typed["unit"] or "").lower().startswith("h")
        minutes = int(typed["length"]) * (60 if hours else 1)
        price = Decimal(0) if typed["free"] else Decimal(typed["price"].replace(",", "."))
        found.append(TypedService(typed["name"].strip(" ,:"), minutes, price))
    if not found:
        raise ValueError("name at least one service, such as Portrait 60 min 120")
    return found


def read_people(text: str, *, alone: str) -> TypedPeople:
    """Such as `Maja: Mon-Fri 9-17; Jonas: Sat 10-14; closed: 2026-12-24..2026-12-26`. Hours without a name are those of
    `alone`."""
    hours: dict[str, str] = {}
    closed: list[str] = []
    for part in _parts(text):
        name, colon, rest = part.partition(":")
        # A colon within the hours parts hours from minutes.
        if not colon or re.search(r"\d$", name):
            name, rest = alone, part
        if name.strip().casefold() == _CLOSED:
            list(read_dates(rest))
            closed += [found.group() for found in _DATES.finditer(rest)]
            continue
        read_week(rest)
        hours[name.strip()] = rest.strip()
    if not hours:
        raise ValueError("name at least one person with hours, such as Maja: Mon-Fri 9-17")
    return TypedPeople(hours, tuple(closed))


def read_dates(text: str) -> Iterator[date]:
    """Such as `2026-12-24..2026-12-26, 2027-01-01`: every day of it."""
    if not re.fullmatch(rf"[\s,]*(?:{_DATES.pattern}[\s,]*)+", text, re.IGNORECASE):
        raise ValueError("days are written like 2026-12-24 or 2026-12-24..2026-12-26")
    for found in _DATES.finditer(text):
        try:
            first = date.fromisoformat(found[1])
            last = date.fromisoformat(found[2] or found[1])
        except ValueError as error:
            raise ValueError(f"{found.group()} is not in the calendar") from error
        if last < first or last - first > _LONGEST:
            raise ValueError(f"{found.group()} should be a first day and a last one, a year apart at most")
        yield from days_from(first, last)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[;\n]", text) if part.strip()]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Days and spans in order; a dash between two is part of one."""
    plain = text.replace("–", "-").replace("—", "-")
    for found in _TOKEN.finditer(plain):
        if found["odd"] and found["odd"].casefold() != "and":
            raise ValueError(f"“{found['odd']}” is neither a day nor hours; write Mon-Fri 9-17, Sat 10-14")
        if found["days"]:
            yield "days", found["days"]
        elif found["span"]:
            yield "span", found["span"]


def _days(token: str) -> list[int]:
    if token.casefold() == "daily":
        return list(range(7))
    named = [_DAYS.index(found[1].lower()) for found in _DAY.finditer(token)]
    if len(named) == 1:
        return named
    first, last = named
    return [day % 7 for day in range(first, last + 1 if last >= first else last + 8)]


def _span(token: str) -> Span:
    found = _SPAN.fullmatch(token)
    if found is None:
        raise ValueError(f"“{token}” should be hours such as 9-17 or 9:30-12")
    opens, closes = (_minutes(found[group]) for group in (1, 5))
    try:
        return Span(opens, closes)
    except ValueError as error:
        raise ValueError(f"{token}: hours begin before they end, and end at 24:00 at the latest") from error


def _minutes(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"“{text}” is not a time of day")
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    if minute > 59 or hour * 60 + minute > MIDNIGHT:
        raise ValueError(f"“{text}” is not a time of day")
    return hour * 60 + minute

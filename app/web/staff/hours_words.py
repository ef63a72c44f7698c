"""The words of people's hours: a week, a change, and why one cannot be made; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from app.domain.hours_change import ChangeKind, HoursChange
from app.domain.scheduler_names import provider_of
from app.domain.studio import Week, merged
from app.msgid import N_
from app.operations.services import PROVIDERS
from app.operations.working_hours import Member, Unfit
from app.text import catalogues, formats, zones
from app.web.shared.time_words import moment_words
from app.web.staff.calendar_words import span_words

_REFUSED: Final[Mapping[str, str]] = {
    Unfit.ENDS_FIRST: N_("The end must be after the beginning. Nothing was changed."),
    Unfit.TOO_LONG: N_("This is longer than a year, or starts more than two years from now. Nothing was changed."),
    Unfit.PAST: N_("This has already passed. Nothing was changed."),
    Unfit.BY_HAND: N_("These hours can only be set in the calendar's own pages. Nothing was changed."),
}
_REPORTS: Final[Mapping[str, str]] = {
    "week": N_("The weekly hours have been set. Customers see them from now on."),
    "untold": N_("The hours are saved here, but not in your calendar yet. We keep trying."),
    "made": N_("Done. It applies from now on."),
    "read": N_("The hours have been read again."),
    "unread": N_("The calendar cannot be reached right now. Below are the hours as last read."),
}


def refused_words(reason: str, language: str) -> str:
    """Why hours cannot be changed so."""
    return catalogues.translator(language).gettext(_REFUSED[reason])


def report_words(word: str, language: str) -> str:
    """What an act that led to the page has to say."""
    return catalogues.translator(language).gettext(_REPORTS[word]) if word in _REPORTS else ""


def provider_name(scheduler: str) -> str:
    """What people call the scheduler."""
    return PROVIDERS.get(provider_of(scheduler), scheduler)


def week_lines(week: Week, language: str) -> list[tuple[str, str]]:
    """("Mon – Fri", "09:00–12:00, 13:00–17:00") of the days that are open; days in a row with equal hours are one."""
    first = formats.first_weekday(language)
    order = [(first + number) % 7 for number in range(7)]
    names = {day: name for day, (_short, name) in zip(order, formats.weekday_names(language), strict=True)}
    lines = []
    for hours, those in groupby(order, key=lambda day: merged(week.get(day, ()))):
        days = list(those)
        if hours:
            name = names[days[0]] if len(days) == 1 else f"{names[days[0]]} – {names[days[-1]]}"
            lines.append((name, ", ".join(span_words(span, language) for span in hours)))
    return lines


def person_row(
    person: Member, changes: Sequence[HoursChange], base: str, now: datetime, language: str
) -> dict[str, Any]:
    """One person at one place, with the week and what differs from it."""
    own = [one for one in changes if (one.resource_id, one.location_id) == (person.resource_id, person.location_id)]
    ours = {day for one in own for day in _days(one)}
    today = zones.local(now, person.time_zone).date()
    return {
        "id": person.resource_id,
        "name": person.name,
        "place": person.location_name,
        "path": f"{base}/hours/person/{person.resource_id}?place={person.location_id}",
        "off": f"{base}/hours/off?person={person.resource_id}",
        "extra": f"{base}/hours/extra?person={person.resource_id}",
        "provider": provider_name(person.scheduler),
        "own_pages": person.own_pages,
        "settable": person.settable,
        "fixed": bool(person.hours and person.hours.fixed),
        "known": person.hours is not None,
        "week": week_lines(person.hours.week, language) if person.hours else [],
        "changes": [change_row(one, base, now, language) for one in own],
        # What was set there by other means, such as the owner in the scheduler's own pages.
        "elsewhere": [
            {
                "day": formats.format_date(day, language, "medium", today=today),
                "hours": ", ".join(span_words(span, language) for span in hours),
            }
            for day, hours in sorted(person.hours.days.items() if person.hours else ())
            if day not in ours
        ],
    }


def _days(change: HoursChange) -> list[Any]:
    first, last = change.days
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def scheduler_rows(people: Sequence[Member], zone: str, now: datetime, language: str) -> list[dict[str, Any]]:
    """Each scheduler, and when it told of its people's hours."""
    today = zones.local(now, zone).date()
    rows: dict[str, dict[str, Any]] = {}
    for one in people:
        asked = moment_words(one.asked_at, zone, language, today) if one.asked_at else ""
        rows.setdefault(
            one.scheduler,
            {
                "name": provider_name(one.scheduler),
                "settable": one.settable,
                "own_pages": one.own_pages,
                "asked": asked,
            },
        )
    return list(rows.values())


def change_row(change: HoursChange, base: str, now: datetime, language: str) -> dict[str, Any]:
    """A change of hours in words."""
    _ = catalogues.translator(language).gettext
    zone = change.time_zone
    today = zones.local(now, zone).date()
    first, last = change.days
    if change.kind is ChangeKind.WEEK:
        lines = week_lines(change.week or {}, language)
        what, when = _("New weekly hours"), "; ".join(" ".join(one) for one in lines) or _("closed every day")
    else:
        days = formats.format_date(first, language, "medium", today=today)
        if last != first:
            days = f"{days} – {formats.format_date(last, language, 'medium', today=today)}"
        if change.whole_days:
            when = days
        elif first == last:
            when = f"{days}, {formats.format_span(change.starts_at, change.ends_at, zone, language)}"
        else:
            ends = (
                f"{formats.format_day(at, zone, language, 'medium', today=today)} "
                f"{formats.format_time(at, zone, language)}"
                for at in (change.starts_at, change.ends_at)
            )
            when = " – ".join(ends)
        off = change.kind is ChangeKind.OFF
        what = (_("Day off") if change.whole_days else _("Blocked")) if off else _("Extra hours")
        if off and change.whole_days and last != first:
            what = _("Days off")
    by, at = (change.ended_by, change.ended_at) if change.ended_at else (change.made_by, change.made_at)
    done = _("Undone by %(who)s, %(when)s") if change.ended_at else _("Made by %(who)s, %(when)s")
    return {
        "path": f"{base}/hours/change/{change.id}",
        "person": change.resource_name,
        "person_path": f"{base}/hours/person/{change.resource_id}?place={change.location_id}",
        "calendar": f"{base}?from={first.isoformat()}&days=1",
        "what": what,
        "when": when,
        "note": change.note,
        "ended": change.ended_at is not None,
        "made": done % {"who": by, "when": moment_words(at, zone, language, today)},
        "due": change.due,
        "provider": provider_name(change.scheduler),
        "problem": change.problem,
        "next_try": moment_words(change.next_try_at, zone, language, today) if change.next_try_at else "",
    }

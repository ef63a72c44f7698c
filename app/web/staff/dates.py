"""Days and times in staff's forms, in the page's own language: a browser's own fields follow the browser's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final

from app.text.languages import locale_of

#: Days outside of these are nobody's.
FIRST_YEAR, LAST_YEAR = 2000, 2899
#: How many years a form offers before and after the one that it shows.
_AROUND: Final = 2
#: "14:30", "14.30", "1430", "9", "9 am", "2:30 pm".
_CLOCK: Final = re.compile(r"(\d{1,2})(?:[:.h]?([0-5]\d))?\s*(a|p)?\.?m?\.?", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=32)
def _months(language: str) -> tuple[str, ...]:
    names = locale_of(language).months["stand-alone"]["wide"]
    return tuple(names[number] for number in range(1, 13))


def day_field(name: str, day: date | None, language: str, *, today: date) -> dict[str, Any]:
    """A day as a form asks for it: `name` is its fields' beginning; None leaves it to be chosen."""
    year = (day or today).year
    return {
        "name": name,
        "day": day.day if day else 0,
        "month": day.month if day else 0,
        "year": year if day else 0,
        "months": _months(language),
        "years": range(max(FIRST_YEAR, min(year, today.year) - _AROUND), min(LAST_YEAR, max(year, today.year) + 3) + 1),
    }


def read_day(query: Mapping[str, str], name: str) -> date | None:
    """The day that a link or a form names; None for none, and for one that the calendar does not have."""
    text = query.get(name) or "-".join(
        query.get(f"{name}-{part}", "").strip().zfill(length) for part, length in (("y", 4), ("m", 2), ("d", 2))
    )
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_YEAR <= day.year <= LAST_YEAR else None


def read_clock(text: str) -> int | None:
    """Minutes after midnight, as people write a time of day; 1440 for 24:00, None for what is no time."""
    found = _CLOCK.fullmatch(" ".join(text.split()))
    if not found:
        return None
    hours, minutes, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half:
        if not 1 <= hours <= 12:
            return None
        hours = hours % 12 + (12 if half == "p" else 0)
    total = hours * 60 + minutes
    return total if total <= 24 * 60 else None


def clock(minutes: int) -> str:
    """Minutes after midnight as forms and addresses write them: 14:30."""
    return f"{minutes // 60:02}:{minutes % 60:02}"

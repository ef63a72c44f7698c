"""Days and months of a place's own calendar, and where they begin and end in UTC; pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

_A_DAY = timedelta(days=1)
#: Some zone's day begins up to 14 hours before UTC's (Kiribati), and ends up to 12 hours after it (Baker Island).
_EARLIEST, _LATEST = timedelta(hours=14), timedelta(hours=12)


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """The first moment of the day in the zone, in UTC.

    Where clocks go forward at midnight the day begins at one o'clock; where they go back to it, at the earlier of the
    two midnights.
    """
    return datetime.combine(day, time(), zone).astimezone(UTC)


def days_in_utc(first: date, last: date, zone: tzinfo | None = None) -> tuple[datetime, datetime]:
    """From when to when the days last, `last` included, in UTC. Without a zone: in any zone there is, so that who asks
    for the days of many places chooses from what was found by each place's own calendar."""
    if zone is None:
        return start_of_day(first, UTC) - _EARLIEST, start_of_day(last + _A_DAY, UTC) + _LATEST
    return start_of_day(first, zone), start_of_day(last + _A_DAY, zone)


def next_month(month: date) -> date:
    """The first day of the month after the one that the day is in."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)

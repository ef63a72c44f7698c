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
    return moment_at(day, 0, zone)


def moment_at(day: date, minutes: int, zone: tzinfo) -> datetime:
    """The moment, in UTC, when the zone's clock shows so many minutes after the day's midnight; 24 * 60 is the next.

    The first of two where the clock shows it twice; where it is skipped, the moment at which it is.
    """
    days, minutes = divmod(minutes, 24 * 60)
    wall = datetime.combine(day + days * _A_DAY, time(minutes // 60, minutes % 60))
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(moment, zone) == wall:
        return moment
    # Skipped: read with the offset of before it is too late by what is skipped of it, with that of after it too early.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while moment - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(moment - before) // timedelta(seconds=2))
        if _wall(middle, zone) < wall:
            before = middle
        else:
            moment = middle
    return moment


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def days_in_utc(first: date, last: date, zone: tzinfo | None = None) -> tuple[datetime, datetime]:
    """From when to when the days last, `last` included, in UTC. Without a zone: in any zone there is, so that who asks
    for the days of many places chooses from what was found by each place's own calendar."""
    if zone is None:
        return start_of_day(first, UTC) - _EARLIEST, start_of_day(last + _A_DAY, UTC) + _LATEST
    return start_of_day(first, zone), start_of_day(last + _A_DAY, zone)


def next_month(month: date) -> date:
    """The first day of the month after the one that the day is in."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)

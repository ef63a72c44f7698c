"""Instants as Cal.com writes and reads them."""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

_UTC_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|\+00:00)")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@lru_cache(maxsize=512)
def zone_info(name: str) -> ZoneInfo:
    """The zone of a name that was checked before."""
    return ZoneInfo(name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """All IANA names."""
    return frozenset(available_timezones())


def iso(at: datetime) -> str:
    """`2026-11-03T09:00:00.000Z`, as bookings and reservations show it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_in(at: datetime, zone: ZoneInfo) -> str:
    """`2026-11-03T10:00:00.000+01:00`, as slots show it; UTC ends in Z."""
    return iso(at) if zone.key == "UTC" else at.astimezone(zone).isoformat(timespec="milliseconds")


def iso_seconds(at: datetime) -> str:
    """`2026-11-03T09:00:00Z`, as webhooks write the start and the end of a booking."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc_time(text: str) -> datetime | None:
    """The instant of a UTC ISO 8601 text; None where it is none, or names another offset.

    That other offsets are refused is the strictest reading of "UTC": a client that sends local time is seen here.
    """
    if not _UTC_TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None


def edge(text: str, *, end: bool) -> datetime | None:
    """An edge of a window: a UTC instant, or a date, which means the whole day.

    An `end` at exactly midnight is read as the end of the day that begins then, as Cal.com's own code reads it.
    """
    if _DATE.fullmatch(text):
        try:
            at = datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
        except ValueError:
            return None
    else:
        found = utc_time(text)
        if found is None:
            return None
        at = found
    if end and at.timetz() == time(tzinfo=UTC):
        return at + timedelta(days=1) - timedelta(milliseconds=1)
    return at


def wall(on: date, at: str, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall time `HH:MM`."""
    return datetime.combine(on, time.fromisoformat(at), tzinfo=zone).astimezone(UTC)

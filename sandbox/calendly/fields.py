"""Reading values: times, addresses, zones, phone numbers. Each function returns None where the value is wrong."""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
_PHONE: Final = re.compile(r"\+[1-9][\d ().-]{5,20}")
_ZONES: Final = frozenset(available_timezones())


def moment(value: object) -> datetime | None:
    """Read a time in UTC, with or without a fraction of a second. Other offsets are not documented."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None


def micros(at: datetime) -> str:
    """Write a time as almost all answers do."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(at: datetime) -> str:
    """Write a time without a fraction, as available times are shown."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def email(value: object) -> str | None:
    """Read an email address."""
    return value if isinstance(value, str) and _EMAIL.fullmatch(value) else None


def zone(value: object) -> ZoneInfo | None:
    """Read an IANA zone, in its exact spelling."""
    return ZoneInfo(value) if isinstance(value, str) and value in _ZONES else None


def phone(value: object) -> str | None:
    """Read a phone number with its country code."""
    return value if isinstance(value, str) and _PHONE.fullmatch(value) else None


def text(value: object, longest: int = 10_000) -> str | None:
    """Read a text that says something."""
    return value if isinstance(value, str) and value.strip() and len(value) <= longest else None

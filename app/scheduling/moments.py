"""Moments as the bodies of schedulers' webhooks write them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def moment_in(value: object) -> datetime | None:
    """The moment that a text in ISO 8601 names, in UTC; None for anything else, and where it is centuries away: the
    calendar's ends do not bear arithmetic."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None and 1990 < moment.year < 2200 else None


def moments_in(values: Iterable[object]) -> tuple[datetime, ...]:
    """The moments among the values, each once, in order."""
    found = map(moment_in, values)
    return tuple(sorted({moment for moment in found if moment is not None}))

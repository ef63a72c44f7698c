"""Moments that were written down before the clock was set back."""

from __future__ import annotations

from datetime import datetime, timedelta

#: The clocks of two hosts differ by less.
APART = timedelta(minutes=1)


def is_ahead(moment: datetime, now: datetime) -> bool:
    """Whether something that has happened lies so far ahead that the clock must have been set back since."""
    return moment > now + APART

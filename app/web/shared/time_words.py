"""When something is, in words, and as forms carry it; pure."""

from __future__ import annotations

from datetime import date, datetime

from app.domain.booking import Booking
from app.text import catalogues, formats, zones
from app.web.shared.booking_summary import visitor_zone


def moment_words(start: datetime, zone: str, language: str, today: date) -> str:
    """ "Tue 2 Dec, 09:30"."""
    _ = catalogues.translator(language).gettext
    return _("%(day)s, %(times)s") % {
        "day": formats.format_day(start, zone, language, "medium", today=today),
        "times": formats.format_time(start, zone, language),
    }


def start_value(start: datetime) -> str:
    """A start as forms carry it."""
    return start.isoformat().replace("+00:00", "Z")


def when(moment: datetime, booking: Booking, now: datetime, language: str) -> str:
    """ "Tue 24 Nov, 10:00", in the zone that the customer chose times in."""
    zone = visitor_zone(booking)
    return moment_words(moment, zone, language, zones.local(now, zone).date())


def long_when(starts_at: datetime, ends_at: datetime, booking: Booking, now: datetime, language: str) -> str:
    """ "Tuesday 24 November, 10:00–11:00", in the same zone."""
    zone = visitor_zone(booking)
    return catalogues.translator(language).gettext("%(day)s, %(times)s") % {
        "day": formats.format_day(starts_at, zone, language, today=zones.local(now, zone).date()),
        "times": formats.format_span(starts_at, ends_at, zone, language),
    }


def clock(moment: datetime, booking: Booking, language: str) -> str:
    """ "14:30", in the same zone."""
    return formats.format_time(moment, visitor_zone(booking), language)

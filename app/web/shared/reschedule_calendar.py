"""What the calendar of a move shows beside the times, for the customer's pages and for staff's; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from app.booking.bookings import BookingView
from app.booking.moves import MoveQuote
from app.domain.booking import Booking
from app.domain.catalogue import Service
from app.errors import SchedulerError, SlotTaken, StripeError
from app.text import i18n
from app.web.shared import booking_words
from app.web.shared.booking_summary import price
from app.web.visitor.widget import moment_words, value_of


def move_act(quote: MoveQuote) -> str:
    """What a move's form stands for: should its price change before the click, the page is shown again."""
    return f"move {value_of(quote.slot.starts_at)} {quote.difference} {quote.price.currency}"


def taken_words(
    error: SlotTaken | SchedulerError | StripeError, lost: datetime, zone: str, language: str, today: date
) -> dict[str, Any]:
    """That the time is gone, with the nearest ones to choose instead; or that it can be tried again."""
    gone = isinstance(error, SlotTaken)
    times = [
        {"value": value_of(start), "label": moment_words(start, zone, language, today)}
        for start in (error.nearest if isinstance(error, SlotTaken) else (lost,))
    ]
    return {"sentence": error.sentence, "code": error.code, "gone": gone, "times": times}


def now_line(view: BookingView, zone: str, language: str, now: datetime) -> str:
    booking = in_zone(view.booking, zone)
    return i18n.translator(language).gettext("Now: %(service)s with %(person)s, %(when)s.") % {
        "service": booking.service_name,
        "person": booking.resource_name,
        "when": booking_words.long_when(booking.starts_at, booking.ends_at, booking, now, language),
    }


def service_choices(services: list[Service], chosen: Service, language: str) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "name": one.name,
            "facts": f"{i18n.format_duration(one.duration, language)} · {price(one.price, language)}",
            "chosen": one.id == chosen.id,
        }
        for one in services
    ]


def in_zone(booking: Booking, zone: str) -> Booking:
    """The booking as seen by somebody who has just chosen times in this zone."""
    return replace(booking, visitor=replace(booking.visitor, time_zone=zone))

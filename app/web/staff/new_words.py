"""The words of the pages on which the owner books for a customer; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from app.booking.book_for import LONGEST_LINK, SHORTEST_LINK
from app.booking.customer_form import Field
from app.domain.catalogue import Service, Slot
from app.domain.payment import Pays
from app.errors import BookingConflict, HoldfastError, NotOffered, SchedulerError, SlotTaken
from app.errors.after_paying import out_of_reach
from app.msgid import N_
from app.text import catalogues, formats, zones
from app.web.shared.booking_summary import price
from app.web.shared.time_words import moment_words

#: More letters of an id are nobody's.
LONGEST: Final = 100

_PAYS: Final[Mapping[Pays, tuple[str, str]]] = {
    Pays.AT_VISIT: (N_("When they come"), N_("Booked now. You note the payment on the booking's page.")),
    Pays.CASH: (N_("In cash, now"), N_("Noted as paid. You make a refund by hand.")),
    Pays.CARD_TERMINAL: (N_("By card terminal, now"), N_("Noted as paid. You make a refund on your terminal.")),
    Pays.LINK: (N_("By a payment link"), N_("Emailed. The time is held until it is paid or the link ends.")),
    Pays.NO_CHARGE: (N_("No charge"), N_("Nothing is to be paid.")),
}
_LASTS: Final = tuple(timedelta(hours=hours) for hours in (1, 4, 24, 48, 72, 168))


def service_words(service: Service, language: str) -> dict[str, str]:
    """A service in a list, and at the head of the pages that follow."""
    return {
        "name": service.name,
        "duration": formats.format_duration(service.duration, language),
        "price": price(service.price, language),
    }


def day_words(day: date, links: Mapping[datetime, str], zone: str, language: str, now: datetime) -> dict[str, Any]:
    """A day with the addresses of its times."""
    return {
        "date": day.isoformat(),
        "heading": formats.format_date(day, language, "medium", today=zones.local(now, zone).date()),
        "times": [
            {"time": formats.format_time(start, zone, language), "iso": formats.machine_time(start), "path": path}
            for start, path in sorted(links.items())
        ],
    }


def chosen_words(slot: Slot, zone: str, language: str, now: datetime) -> dict[str, str]:
    """The time that is being booked."""
    return {
        "day": formats.format_day(slot.starts_at, zone, language, today=zones.local(now, zone).date()),
        "times": formats.format_span(slot.starts_at, slot.ends_at, zone, language),
        "zone": zones.zone_label(zone, slot.starts_at, language),
        "relative": formats.relative_day(slot.starts_at, zone, now, language) if slot.starts_at > now else "",
    }


def nearest_words(
    nearest: Sequence[tuple[str, datetime]], zone: str, language: str, now: datetime
) -> list[tuple[str, str]]:
    """Free times nearby: (the form's value, when)."""
    today = zones.local(now, zone).date()
    return [(value, moment_words(start, zone, language, today)) for value, start in nearest]


def field_words(
    fields: Sequence[Field], typed: Mapping[str, str], wrong: Mapping[str, str], language: str
) -> list[dict[str, Any]]:
    """The customer's fields as they were typed, with what is wrong with them."""
    _ = catalogues.translator(language).gettext
    return [
        {
            "name": field.name,
            "kind": field.kind,
            "label": field.label if field.own_words else _(field.label),
            "required": field.required,
            "limit": field.limit,
            "options": field.options,
            "inputmode": field.inputmode,
            "value": typed.get(field.name, "")[: field.limit * 2],
            "error": _(wrong[field.name]) if field.name in wrong else "",
        }
        for field in fields
    ]


def pay_choices(chosen: str, language: str, *, link: bool) -> list[dict[str, Any]]:
    """The ways to pay; without Stripe, there is no link."""
    _ = catalogues.translator(language).gettext
    ways = [way for way in _PAYS if link or way is not Pays.LINK]
    known = chosen if chosen in ways else Pays.AT_VISIT
    return [
        {"value": way.value, "label": _(_PAYS[way][0]), "help": _(_PAYS[way][1]), "chosen": way == known}
        for way in ways
    ]


def link_choices(starts_at: datetime, now: datetime, chosen: str, language: str) -> list[dict[str, Any]]:
    """How long a link may last: (minutes, in words), none of them past the visit's start."""
    _ = catalogues.translator(language).gettext
    choices = [
        {
            "value": str(int(lasts.total_seconds() // 60)),
            "label": formats.format_duration(lasts, language)
            if lasts < timedelta(days=1)
            else catalogues.translator(language).ngettext("%(num)s day", "%(num)s days", lasts.days)
            % {"num": lasts.days},
        }
        for lasts in _LASTS
        if now + lasts < starts_at
    ]
    if SHORTEST_LINK <= starts_at - now <= LONGEST_LINK:
        choices.append({"value": "start", "label": _("until the appointment begins")})
    known = chosen if any(choice["value"] == chosen for choice in choices) else choices[-1]["value"] if choices else ""
    return [{**choice, "chosen": choice["value"] == known} for choice in choices]


def not_booked_words(error: HoldfastError, language: str, *, beyond: bool) -> list[str]:
    """Why nothing was booked; `beyond` says that the page called the time one that is not offered."""
    _ = catalogues.translator(language).gettext
    stays = _("Nothing was booked. What you typed is still here.")
    match error:
        case NotOffered() if not beyond:  # it was, when the page was opened
            return [_(SlotTaken.sentence), stays]
        case SlotTaken():
            return [_(error.sentence), stays]
        case BookingConflict():
            return [_("This form has made a booking, or is making it now. Look at the bookings before you try again.")]
        case SchedulerError():
            return [_(out_of_reach(error)), stays]
        case _:
            return [stays]

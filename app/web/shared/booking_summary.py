"""A booking in words: what, with whom, when (in the visitor's and the place's time), where, the price, the terms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.booking.bookings import BookingView
from app.booking.hold import last_end
from app.domain.booking import Booking, Status
from app.domain.money import Money
from app.mail import policy_lines
from app.text import catalogues, formats, zones

#: From here on the countdown is shown in colour, with the offer to keep the time.
SOON = timedelta(minutes=3)
#: Beyond this nobody counts minutes.
COUNTED = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class BookingSummary:
    """A booking as every screen shows it, ready for the eye. `local` is the time at the place, where it differs."""

    service: str
    duration: str
    person: str
    place: str
    starts_at: str
    day: str
    times: str
    zone: str
    relative: str
    local: str
    price: str
    free: bool
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HoldLine:
    """How long the time is still ours; without `binds`, only against our other visitors. `pay_until` is when paying
    would have to be done, if it began now. `counts` says that the minutes are few enough to be counted."""

    path: str
    query: str
    until: str
    pay_until: str
    minutes_left: int
    seconds_left: int
    soon: bool
    ended: bool
    can_extend: bool
    binds: bool
    counts: bool
    extension_minutes: int


def visitor_zone(booking: Booking) -> str:
    """The zone that the visitor chose times in, else the place's."""
    return zones.valid_zone(booking.visitor.time_zone) or booking.time_zone


def at_place(booking: Booking) -> Booking:
    """The booking as it is seen where it takes place."""
    return in_zone(booking, booking.time_zone)


def in_zone(booking: Booking, zone: str) -> Booking:
    """The booking as seen by someone who has just chosen times in this zone."""
    return replace(booking, visitor=replace(booking.visitor, time_zone=zone))


def summarize(booking: Booking, *, language: str, now: datetime) -> BookingSummary:
    """The booking in the visitor's zone and language."""
    zone = visitor_zone(booking)
    starts, ends = booking.starts_at, booking.ends_at
    today = zones.local(now, zone).date()
    _ = catalogues.translator(language).gettext
    local = ""
    if not zones.same_clock(zone, booking.time_zone, starts):
        there = formats.format_span(starts, ends, booking.time_zone, language)
        if zones.local(starts, zone).date() != zones.local(starts, booking.time_zone).date():
            day = formats.format_day(starts, booking.time_zone, language, "medium", today=today)
            there = _("%(day)s, %(times)s") % {"day": day, "times": there}
        local = _("%(time)s at the venue (%(zone)s)") % {
            "time": there,
            "zone": zones.zone_label(booking.time_zone, starts, language),
        }
    return BookingSummary(
        service=booking.service_name,
        duration=formats.format_duration(ends - starts, language),
        person=booking.resource_name,
        place=booking.location_name,
        starts_at=formats.machine_time(starts),
        day=formats.format_day(starts, zone, language, today=today),
        times=formats.format_span(starts, ends, zone, language),
        zone=zones.zone_label(zone, starts, language),
        relative=formats.relative_day(starts, zone, now, language) if starts > now else "",
        local=local,
        price=price(booking.terms.price, language),
        free=booking.terms.free,
        terms=tuple(policy_lines(booking.terms, starts, zone, language, now=now)),
    )


def price(money: Money, language: str, *, whole: bool = False) -> str:
    """ "120,00 €", or with `whole` "120 €"; or the word for nothing."""
    if money:
        return formats.format_money(money, language, whole=whole)
    return catalogues.translator(language).gettext("Free of charge")


def sentence(summary: BookingSummary, language: str) -> str:
    """The booking in one sentence."""
    _ = catalogues.translator(language).gettext
    return _("%(service)s with %(person)s on %(day)s, %(times)s.") % {
        "service": summary.service,
        "person": summary.person,
        "day": summary.day,
        "times": summary.times.replace("–", "\u2060–\u2060"),  # word joiners: no line break inside a span
    }


def visit_line(service: str, person: str, when: str, language: str) -> str:
    """What, with whom and when, as a line."""
    _ = catalogues.translator(language).gettext
    return _("%(service)s with %(person)s, %(when)s") % {"service": service, "person": person, "when": when}


def hold_line(view: BookingView, *, path: str, query: str, language: str, now: datetime) -> HoldLine:
    """The countdown of a booking that is held or being paid."""
    booking, widget = view.booking, view.widget
    zone = visitor_zone(booking)
    left = max(booking.deadline - now, timedelta(0))
    stands = booking.pay_link or booking.status is Status.AWAITING_PAYMENT
    paying = booking.deadline if stands else now + widget.payment_time
    today = zones.local(now, zone).date()

    def clock(moment: datetime) -> str:
        """With its day, where that is another: a payment link lasts for days."""
        if not booking.pay_link or zones.local(moment, zone).date() == today:
            return formats.format_time(moment, zone, language)
        return catalogues.translator(language).gettext("%(day)s, %(times)s") % {
            "day": formats.format_day(moment, zone, language, "medium", today=today),
            "times": formats.format_time(moment, zone, language),
        }

    return HoldLine(
        path=path,
        query=query,
        until=clock(booking.deadline),
        pay_until=clock(paying),
        minutes_left=-(-left // timedelta(minutes=1)),
        seconds_left=int(left.total_seconds()),
        soon=left <= SOON,
        ended=not left or booking.status not in {Status.HELD, Status.AWAITING_PAYMENT},
        can_extend=booking.status is Status.HELD
        and booking.extensions < widget.max_extensions
        and not booking.pay_link
        and booking.deadline < last_end(booking),
        binds=view.lock_binds,
        counts=left <= COUNTED,
        extension_minutes=-(-(min(now + widget.hold_time, last_end(booking)) - now) // timedelta(minutes=1)),
    )

"""The booking as an entry in the customer's calendar: a file, and links that open a prefilled entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from app.domain.booking import Booking, Status
from app.mail.letter import Method, one_line, printable
from app.text.catalogues import translator
from app.text.zones import local, offset_changes, offset_of
from app.widgets import Widget

# The package is imported where a file is made: it takes a fifth of a second and 3 MB, and pages make none.
if TYPE_CHECKING:
    from icalendar import Event, Timezone

_YEAR = timedelta(days=366)


def calendar_method(booking: Booking) -> Method:
    """What a file of the booking asks of the calendar: a booking that is off is taken out."""
    return "CANCEL" if booking.status in {Status.CANCELED, Status.EXPIRED} else "PUBLISH"


def stated_method(method: Method, widget: Widget) -> Method | None:
    """The METHOD that a file of this widget states, and its content type with it: with one, RFC 5546 demands an
    ORGANIZER, who has an address. Without, STATUS and SEQUENCE say the same to a calendar that imports the file."""
    return method if widget.owner_email else None


def calendar_file(
    booking: Booking,
    *,
    widget: Widget,
    url: str,
    now: datetime,
    language: str,
    method: Method | None = None,
) -> bytes:
    """The booking as an iCalendar file (RFC 5545, RFC 5546). `method` is by default `calendar_method`'s; serve the file
    as text/calendar with the `stated_method` of that.

    One UID for the booking's life and the booking's revision as SEQUENCE, so that a later file changes the entry, or
    takes it out, and does not add one. `url` (may be empty) is where the customer manages the booking. Times are in
    UTC: no program can misread those.
    """
    from icalendar import Calendar, Event, vCalAddress

    _ = translator(language).gettext
    method = method or calendar_method(booking)
    entry = Event()
    entry.add("uid", f"{booking.id}@holdfast")
    entry.add("sequence", booking.revision)
    entry.add("dtstamp", now.astimezone(UTC))
    entry.add("dtstart", booking.starts_at.astimezone(UTC))
    entry.add("dtend", booking.ends_at.astimezone(UTC))
    entry.add("summary", _summary(booking, widget))
    entry.add("location", one_line(booking.location_name))
    told = [_("With %(resource)s") % {"resource": one_line(booking.resource_name)}]
    if url:
        told.append(_("Your booking: %(url)s") % {"url": url})
        entry.add("url", url)
    entry.add("description", "\n".join(told))
    ended = "CANCEL" in {method, calendar_method(booking)}
    sure = booking.status is Status.CONFIRMED
    entry.add("status", "CANCELLED" if ended else "CONFIRMED" if sure else "TENTATIVE")
    if widget.owner_email:
        organizer = vCalAddress(f"mailto:{widget.owner_email}")
        # Parsers, icalendar's own among them, take a backslash in a parameter for the start of an escape.
        organizer.params["cn"] = one_line(widget.owner_name.replace("\\", " ")) or widget.owner_email
        entry.add("organizer", organizer)
    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Booking//EN")
    calendar.add("version", "2.0")
    if stated := stated_method(method, widget):
        calendar.add("method", stated)
    calendar.add_component(entry)
    return bytes(calendar.to_ical())


def bookings_calendar(
    bookings: Sequence[Booking], *, zone: str, first: datetime, last: datetime, rest: Sequence[Booking] = ()
) -> Iterator[bytes]:
    """What stands, piece by piece, as one calendar to subscribe to, for those who work here: who comes, with a phone.

    It is the same for the same bookings, so that a program that polls it sees no change where there is none. `zone` is
    the place's, from `first` to `last`; `rest` begins with the first booking that there was no room for.
    """
    from icalendar import Calendar, Event

    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Bookings//EN")
    calendar.add("version", "2.0")
    # No METHOD: a calendar to subscribe to is no iTIP message, which would need an ORGANIZER (RFC 5546, 3.2.1).
    calendar.add("x-wr-calname", "Holdfast")
    calendar.add("x-published-ttl", "PT15M")
    # Without one component a calendar is not valid (RFC 5545, 3.6), and a new studio has no bookings yet.
    calendar.add_component(_described(zone, _year(first), _year(last + _YEAR)))
    head, end = bytes(calendar.to_ical()), b"END:VCALENDAR\r\n"
    yield head.removesuffix(end)
    for booking in bookings:
        customer = booking.customer
        entry = Event()
        # Not the UID of the customer's own file: one person may have both in a calendar.
        entry.add("uid", f"{booking.id}.staff@holdfast")
        entry.add("sequence", booking.revision)
        # Without METHOD this is when the entry last changed (RFC 5545, 3.8.7.2).
        entry.add("dtstamp", booking.updated_at.astimezone(UTC))
        entry.add("dtstart", booking.starts_at.astimezone(UTC))
        entry.add("dtend", booking.ends_at.astimezone(UTC))
        name = one_line(customer.name) if customer else ""
        entry.add("summary", " · ".join(filter(None, (one_line(booking.service_name), name))))
        entry.add("location", one_line(booking.location_name))
        told = [
            booking.resource_name,
            *((customer.phone, customer.email, customer.notes) if customer else ()),
            booking.id,
        ]
        entry.add("description", "\n".join(printable(line) for line in told if line))
        entry.add("status", "CONFIRMED" if booking.status is Status.CONFIRMED else "TENTATIVE")
        yield bytes(entry.to_ical())
    if rest:
        yield bytes(_more(rest[0], len(bookings)).to_ical())
    yield end


def _more(booking: Booking, count: int) -> Event:
    """An entry at the first booking that is left out, so that an empty week is not taken for a free one."""
    from icalendar import Event

    entry = Event()
    entry.add("uid", "more.staff@holdfast")
    entry.add("dtstamp", booking.updated_at.astimezone(UTC))
    entry.add("dtstart", booking.starts_at.astimezone(UTC))
    entry.add("dtend", booking.ends_at.astimezone(UTC))
    entry.add("summary", "Holdfast: more bookings from here on")
    entry.add("description", f"This calendar holds {count} bookings. Add ?person= or ?widget= to its address.")
    return entry


def _described(zone: str, first: datetime, last: datetime) -> Timezone:
    """The zone's description (RFC 5545, 3.6.5). Our own: icalendar 7.3 lets clocks go forward an hour too late, and
    misses a Ramadan now and then. Where nothing has changed yet, the offset is that of `first`."""
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    described = Timezone()
    described.add("tzid", zone)
    begun = offset_of(local(first, zone))
    for moment, old, new in ((first, begun, begun), *offset_changes(zone, first, last)):
        part = TimezoneDaylight() if local(moment, zone).dst() else TimezoneStandard()
        part.add("dtstart", (moment + old).replace(tzinfo=None))
        part.add("tzoffsetfrom", old)
        part.add("tzoffsetto", new)
        part.add("tzname", local(moment, zone).tzname())
        described.add_component(part)
    return described


def _year(moment: datetime) -> datetime:
    """The beginning of its year: a time zone's description should not change from day to day."""
    return datetime(moment.year, 1, 1, tzinfo=UTC)


def calendar_links(booking: Booking, *, widget: Widget) -> dict[str, str]:
    """Links that open a prefilled entry, by calendar ("google", "outlook").

    The manage link is not in them, because it would reach those calendars' logs.
    """
    start, end = booking.starts_at.astimezone(UTC), booking.ends_at.astimezone(UTC)
    summary, location = _summary(booking, widget), one_line(booking.location_name)
    google = {
        "action": "TEMPLATE",
        "text": summary,
        "dates": f"{start:%Y%m%dT%H%M%SZ}/{end:%Y%m%dT%H%M%SZ}",
        "location": location,
    }
    outlook = {
        "rru": "addevent",
        "subject": summary,
        "startdt": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "enddt": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "location": location,
    }
    # Outlook shows a "+" as it stands, so spaces are %20.
    return {
        "google": f"https://calendar.google.com/calendar/render?{urlencode(google, quote_via=quote)}",
        "outlook": f"https://outlook.live.com/calendar/action/compose?{urlencode(outlook, quote_via=quote)}",
    }


def _summary(booking: Booking, widget: Widget) -> str:
    return " · ".join(filter(None, (one_line(booking.service_name), one_line(widget.owner_name))))

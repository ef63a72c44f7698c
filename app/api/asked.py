"""Reading what programs ask for, beyond its form: widget and service, from when to when, who comes, who asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from app.api import requests
from app.api.door import Call
from app.booking.customer_form import ANSWER, read_details
from app.domain.booking import Actor, Booking, Customer
from app.domain.catalogue import Service
from app.domain.local_days import next_month, start_of_day
from app.domain.urls import origin_of
from app.errors import InvalidDetails, NotFound, NotYours
from app.msgid import N_
from app.text import languages
from app.widgets import Widget

#: Months are what costs calls: a longer look is several.
LONGEST_LOOK = timedelta(days=62)
#: What anyone books lies within these years; the calendar's ends overflow in reckoning.
_YEARS = range(2000, 2200)
#: How long a day's text is.
_DAY = len("2026-11-24")
_NO_TIME = N_("Please give a date, or a time with its UTC offset.")
_BAD_SPAN = N_("This must not be before the start, and at most 62 days after it.")
_BAD_END = N_("This service has a different duration.")
_BAD_ADDRESS = N_("The address must be on one of the sites that may show this widget.")


def asked_widgets(call: Call, name: str) -> list[Widget]:
    """The widget of that name, or all of them. Raises NotFound."""
    widgets = call.parts.widgets
    if not name:
        return list(widgets.values())
    if name not in widgets:
        raise NotFound(name)
    return [widgets[name]]


async def find_offer(call: Call, widget_name: str, service_id: str) -> tuple[Widget, Service]:
    """The service, and the first widget that offers it. Raises NotFound."""
    for widget in asked_widgets(call, widget_name):
        for service in (await call.parts.availability.catalogue(widget)).services:
            if service.id == service_id:
                return widget, service
    raise NotFound(service_id)


def read_span(first: str, last: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """From when to when, in UTC. A last day counts to its end, as in the owner's commands; a moment is not part of it.
    Raises InvalidDetails."""
    start, end = _moment("from", first, zone), _moment("to", last, zone)
    longest = end - start
    if len(last) == _DAY:
        end = _moment("to", (date.fromisoformat(last) + timedelta(days=1)).isoformat(), zone)
    if not (timedelta(0) < end - start and longest <= LONGEST_LOOK):
        raise InvalidDetails({"to": _BAD_SPAN})
    return start, end


def _moment(field: str, text: str, zone: ZoneInfo) -> datetime:
    """A day's beginning in the zone, or a time with its offset, in UTC."""
    try:
        found = date.fromisoformat(text) if len(text) == _DAY else datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDetails({field: _NO_TIME}) from error
    if found.year not in _YEARS:
        raise InvalidDetails({field: _NO_TIME})
    if not isinstance(found, datetime):
        return start_of_day(found, zone)
    if found.tzinfo is None:
        raise InvalidDetails({field: _NO_TIME})
    return found.astimezone(UTC)


def months_of(start: datetime, end: datetime) -> Iterator[date]:
    """The first days of the months that the span touches, in UTC."""
    month = start.date().replace(day=1)
    while month < end.date() or month == start.date().replace(day=1):
        yield month
        month = next_month(month)


def must_fit(service: Service, start: datetime, end: datetime, field: str) -> None:
    """The end is the service's to say; a program that reckons with another would show its users a wrong one."""
    if start.year not in _YEARS:
        raise InvalidDetails({field.replace("End", "Start").replace("end", "start"): _NO_TIME})
    if end - start != service.duration:
        raise InvalidDetails({field: _BAD_END})


def visitor_key(call: Call) -> str:
    """What tells a hold's visitor from others. Under its idempotency key a call that is made again after a crash finds
    the hold that it made before."""
    links = call.parts.links
    return links.lock_key(call.caller.name, call.idempotency_key) if call.idempotency_key else links.visitor_key()


def asked_language(call: Call, widget: Widget) -> str:
    """The language of the widget that the caller's `Accept-Language` asks for."""
    return languages.negotiate(None, call.request.headers.get("accept-language"), widget.languages)


def read_customer(given: requests.CustomerIn, widget: Widget) -> Customer:
    """Who comes, read as the form is read. Raises InvalidDetails, which names the fields of the body."""
    form = {"name": given.name, "email": given.email, "phone": given.phone, "notes": given.notes}
    form |= {ANSWER + name: answer for name, answer in given.answers.items()}
    form["consent"] = "yes" if given.consent else ""
    try:
        return read_details(form, widget)
    except InvalidDetails as error:
        raise InvalidDetails({_field(name): sentence for name, sentence in error.fields.items()}) from error


def _field(name: str) -> str:
    return f"customer.answers.{name.removeprefix(ANSWER)}" if name.startswith(ANSWER) else f"customer.{name}"


def must_be_allowed(call: Call, booking: Booking, field: str, address: str) -> None:
    """Stripe sends customers there: nowhere but to the owner's sites and to our own pages."""
    if not address:
        return
    allowed = {*call.parts.bookings.widget_of(booking).allowed_origins, call.parts.settings.public_url}
    # Browsers forgive blanks; Stripe does not, and would refuse every later attempt, too.
    spoilt = not address.isascii() or not address.isprintable() or " " in address
    if spoilt or origin_of(address) not in allowed:
        raise InvalidDetails({field: _BAD_ADDRESS})


def must_be_owner(by: Actor) -> None:
    """Raises NotYours for anyone who comes with a booking's token."""
    if by is not Actor.OWNER:
        raise NotYours("a token")

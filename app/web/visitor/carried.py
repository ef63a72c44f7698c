"""What a visitor brings along, and carries from step to step: the widget, the service, what the host page fills in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from starlette.requests import Request

from app.booking.customer_form import ANSWER, clean
from app.booking.take_payment import UNPAID
from app.domain.attribution import campaign
from app.domain.booking import Booking
from app.domain.catalogue import Service
from app.errors import LinkRefused, NotFound, ServiceOff
from app.parts import parts_of
from app.scheduling.availability import Catalogue
from app.text import formats, zones
from app.web.shared.addresses import kept_style
from app.web.shared.page_cache import Pairs
from app.web.shared.render import trusted_host
from app.web.shared.time_words import moment_words
from app.web.shared.times_screen import OwnHold
from app.widgets import Widget

#: What the host page may fill into the details form.
_PREFILL = ("name", "email", "phone", "notes")
LONGEST = 500
#: What a visitor's signed name looks like; it is read where it counts, at the hold.
_VISITOR = re.compile(r"[\w.-]{1,200}", re.ASCII)
#: What a booking's token looks like, under which a page knows the visitor's own hold.
_MINE = re.compile(r"[\w.-]{20,400}", re.ASCII)
#: Where in the host page our loader put the frame: inline, popup or floating, and the how-manieth of those.
_PLACE = re.compile(r"[ipfo][0-9]{1,3}")


def asked_widget(request: Request) -> Widget:
    """The widget in the address. Raises NotFound."""
    name = request.path_params["widget"]
    widget = parts_of(request).widgets.get(name)
    if widget is None:
        raise NotFound(name)
    return widget


def chosen_service(catalogue: Catalogue, service_id: str) -> Service | None:
    """The service that is asked for, or the only one. Raises NotFound for one that the widget does not offer."""
    if not service_id:
        return catalogue.services[0] if len(catalogue.services) == 1 else None
    for service in catalogue.services:
        if service.id == service_id:
            return service
    if catalogue.find(service_id):
        raise ServiceOff(service_id)
    raise NotFound(service_id)


def is_prefill(name: str) -> bool:
    """Whether the field is one of the details form's, which a host page may fill in beforehand."""
    return name in _PREFILL or name.startswith(ANSWER)


async def own_hold(request: Request, token: str, widget: Widget) -> Booking | None:
    """The hold that the visitor has in this widget, by the token in the page's state: our script leaves it in the
    address of the times when they go on to the details, and so it is there when they come back. None for one that has
    ended or is paid."""
    if not token:
        return None
    parts = parts_of(request)
    try:
        booking = await parts.bookings.get(parts.links.read_booking_token(token))
    except (LinkRefused, NotFound):
        return None
    live = booking.status in UNPAID and booking.deadline > parts.now() and not booking.forgotten
    return booking if live and booking.widget == widget.name else None


def own_hold_line(request: Request, mine: Booking, zone: str, language: str) -> OwnHold:
    """What the times say of it: when it is, until when it is held, and where going on and giving it back lead."""
    parts = parts_of(request)
    today = zones.local(parts.now(), zone).date()
    path = f"/b/{parts.links.booking_token(mine.id, ends_at=mine.ends_at)}"
    query = f"?{urlencode(kept)}" if (kept := kept_style(request)) else ""
    return OwnHold(
        when=moment_words(mine.starts_at, zone, language, today),
        until=formats.format_time(mine.deadline, zone, language),
        go_on=path + query,
        release=f"{path}/release{query}",
    )


def meant(name: str, value: str) -> str:
    """A link's value as its writer meant it: a `+` in an address reads as a blank, which neither a mail address nor the
    beginning of a phone number has. Newsletters' merge tags write such links."""
    if name == "email":
        return value.strip(" ").replace(" ", "+")
    return f"+{value[1:]}" if name == "phone" and value.startswith(" ") else value


def carried_pairs(query: Mapping[str, str], widget: Widget) -> Pairs:
    """What passes through from step to step untouched: the host page, what it fills in, its campaign."""
    host = trusted_host(query.get("host", "")[:LONGEST], widget)
    pairs = [("host", host)] if host else []
    pairs += [("place", place)] if host and _PLACE.fullmatch(place := query.get("place", "")) else []
    pairs += [("visitor", visitor)] if _VISITOR.fullmatch(visitor := query.get("visitor", "")) else []
    pairs += [("mine", mine)] if _MINE.fullmatch(mine := query.get("mine", "")) else []
    pairs += [
        (name, clean(meant(name, value), most=LONGEST, lines=True))
        for name, value in query.items()
        if is_prefill(name) and value
    ]
    return [*pairs, *campaign((name, clean(value, most=LONGEST)) for name, value in query.items()).items()]

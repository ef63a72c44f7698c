"""`GET /v2/bookings`: filters, order, pages (calcom-api.md, section 10.4). Metadata cannot be searched.

The list may be behind the truth: it is read from a replica.
"""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sandbox.calcom import fields, views
from sandbox.calcom.fields import Field
from sandbox.calcom.paging import PAGE, pagination
from sandbox.calcom.request import ApiRequest, Reply, success
from sandbox.calcom.state import Booking, Json, User

_DEFAULT_TAKE: Final = 100
_BOUNDS: Final[dict[str, Callable[[Booking, datetime], bool]]] = {
    "afterStart": lambda booking, at: booking.start >= at,
    "beforeEnd": lambda booking, at: booking.end <= at,
    "afterCreatedAt": lambda booking, at: booking.created_at >= at,
    "beforeCreatedAt": lambda booking, at: booking.created_at <= at,
    "afterUpdatedAt": lambda booking, at: booking.updated_at >= at,
    "beforeUpdatedAt": lambda booking, at: booking.updated_at <= at,
}
_SORTS: Final = {
    "sortStart": attrgetter("start"),
    "sortEnd": attrgetter("end"),
    "sortCreated": attrgetter("created_at"),
    "sortUpdatedAt": attrgetter("updated_at"),
}
_STATUSES: Final[dict[str, Callable[[Booking, datetime], bool]]] = {
    "upcoming": lambda booking, now: booking.active and booking.end >= now,
    "past": lambda booking, now: booking.active and booking.end <= now,
    "cancelled": lambda booking, now: not booking.active,
    "unconfirmed": lambda booking, now: booking.status == "pending" and booking.end >= now,
    "recurring": lambda booking, now: False,
}
_QUERY: Final = {
    "status": Field(fields.words(*_STATUSES)),
    "attendeeEmail": Field(fields.text),
    "attendeeName": Field(fields.text),
    "bookingUid": Field(fields.text),
    "eventTypeId": Field(fields.number(1)),
    "eventTypeIds": Field(fields.numbers),
    **{name: Field(fields.instant) for name in _BOUNDS},
    **{name: Field(fields.one_of("asc", "desc")) for name in _SORTS},
    **PAGE,
}


def answer(request: ApiRequest) -> Reply:
    """The caller's bookings, as host or as attendee."""
    state, asked = request.state, request.ask(_QUERY)
    now = state.now()
    found = [b for b in state.replica() if _concerns(b, request.user) and _matches(b, asked, now)]
    found.sort(key=attrgetter("start", "id"))
    for name in reversed(_SORTS):
        if name in asked:
            found.sort(key=_SORTS[name], reverse=asked[name] == "desc")
    take, skip = asked.get("take", _DEFAULT_TAKE), asked.get("skip", 0)
    page = found[skip : skip + take]
    return success(
        [views.booking(state, booking, request.version) for booking in page],
        pagination=pagination(len(found), len(page), take=take, skip=skip),
    )


def _concerns(booking: Booking, user: User) -> bool:
    return booking.host_id == user.id or any(each.email.lower() == user.email.lower() for each in booking.attendees)


def _matches(booking: Booking, asked: Json, now: datetime) -> bool:
    return (
        all(fits(booking, asked[name]) for name, fits in _BOUNDS.items() if name in asked)
        and ("status" not in asked or any(_STATUSES[word](booking, now) for word in asked["status"]))
        and _is(asked, "bookingUid", booking.uid)
        and _is(asked, "eventTypeId", booking.event_type_id)
        and ("eventTypeIds" not in asked or booking.event_type_id in asked["eventTypeIds"])
        and _any_is(asked, "attendeeEmail", [each.email for each in booking.attendees])
        and _any_is(asked, "attendeeName", [each.name for each in booking.attendees])
    )


def _is(asked: Json, name: str, value: Any) -> bool:
    return name not in asked or asked[name] == value


def _any_is(asked: Json, name: str, values: list[str]) -> bool:
    return name not in asked or asked[name].lower() in [value.lower() for value in values]

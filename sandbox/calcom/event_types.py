"""Event types: list, one, create, patch, delete (calcom-api.md, section 7.1). No input sets a price or metadata."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sandbox.calcom import fields, views
from sandbox.calcom.answers import LOCATION_TYPES
from sandbox.calcom.errors import bad_request
from sandbox.calcom.fields import Field, FieldError
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import EventType, Json, State

VERSIONS: Final = ("2024-06-14",)
_PERIODS: Final = ("day", "week", "month", "year")
_DISABLED: Final = {"disabled": True}


def _or_disabled(known: Mapping[str, Field]) -> fields.Parse:
    """An object of these fields, or `{"disabled": true}`."""

    def parse(value: object) -> Json:
        if isinstance(value, dict) and value.get("disabled") is True:
            return dict(_DISABLED)
        return dict(fields.object_of(known)(value))

    return parse


def _policy(value: object) -> Json:
    policy = _or_disabled(
        {
            "type": Field(fields.one_of("always", "time"), required=True),
            "noticeThreshold": Field(
                fields.object_of(
                    {
                        "unit": Field(fields.one_of("minutes", "hours"), required=True),
                        "count": Field(fields.integer(1), required=True),
                    }
                )
            ),
            "blockUnconfirmedBookingsInBooker": Field(fields.boolean, required=True),
        }
    )(value)
    if policy.get("type") == "time" and "noticeThreshold" not in policy:
        raise FieldError("confirmationPolicyValidator", "needs a noticeThreshold for type time")
    return dict(policy)


def _window(value: object) -> Json:
    window = dict(
        _or_disabled({"type": Field(fields.one_of("businessDays", "calendarDays", "range"), required=True)})(value)
    )
    given = value.get("value") if isinstance(value, dict) else None
    if window.get("type") == "range":
        return window | {"value": [fields.day(day) for day in fields.list_of(fields.text, minimum=2)(given)[:2]]}
    if "type" in window:
        rolling = isinstance(value, dict) and value.get("rolling") is True
        return window | {"value": fields.integer(1)(given), "rolling": rolling}
    return window


def _location(value: object) -> Json:
    location = fields.mapping(value)
    kind = fields.one_of(*LOCATION_TYPES)(location.get("type"))
    needed = {"address": "address", "link": "link", "phone": "phone", "integration": "integration"}.get(str(kind))
    if needed:
        fields.filled(location.get(needed))
    return {
        name: location[name]
        for name in ("type", "address", "link", "phone", "integration", "public")
        if name in location
    }


def _question(value: object) -> Json:
    question = fields.mapping(value)
    fields.filled(question.get("type"))
    slug = fields.filled(question.get("slug") or question.get("type"))
    default = question["type"] in ("name", "email") or slug in ("title", "notes", "guests", "rescheduleReason")
    return {"required": False, "hidden": False, **question, "slug": slug, "isDefault": default}


def _slug(value: object) -> str:
    return re.sub(r"[^a-z0-9]+", "-", fields.filled(value).lower()).strip("-")


_KNOWN: Final[dict[str, Field]] = {
    "lengthInMinutes": Field(fields.integer(1), required=True),
    "lengthInMinutesOptions": Field(fields.list_of(fields.integer(1), minimum=1)),
    "title": Field(fields.filled, required=True),
    "slug": Field(_slug, required=True),
    "description": Field(fields.text),
    "locations": Field(fields.list_of(_location, minimum=1)),
    "bookingFields": Field(fields.list_of(_question)),
    "disableGuests": Field(fields.boolean),
    "slotInterval": Field(fields.integer(1), nullable=True),
    "minimumBookingNotice": Field(fields.integer(0)),
    "beforeEventBuffer": Field(fields.integer(0)),
    "afterEventBuffer": Field(fields.integer(0)),
    "scheduleId": Field(fields.integer(1), nullable=True),
    "bookingLimitsCount": Field(_or_disabled({name: Field(fields.integer(1)) for name in _PERIODS})),
    "bookingLimitsDuration": Field(_or_disabled({name: Field(fields.integer(1)) for name in _PERIODS})),
    "onlyShowFirstAvailableSlot": Field(fields.boolean),
    "bookingWindow": Field(_window),
    "offsetStart": Field(fields.integer(0)),
    "confirmationPolicy": Field(_policy),
    "recurrence": Field(
        _or_disabled(
            {
                "interval": Field(fields.integer(1), required=True),
                "occurrences": Field(fields.integer(1), required=True),
                "frequency": Field(fields.one_of("daily", "weekly", "monthly", "yearly"), required=True),
            }
        )
    ),
    "seats": Field(
        _or_disabled(
            {
                "seatsPerTimeSlot": Field(fields.integer(1), required=True),
                "showAttendeeInfo": Field(fields.boolean, required=True),
                "showAvailabilityCount": Field(fields.boolean, required=True),
            }
        )
    ),
    "requiresBookerEmailVerification": Field(fields.boolean),
    "hideCalendarNotes": Field(fields.boolean),
    "lockTimeZoneToggleOnBookingPage": Field(fields.boolean),
    "successRedirectUrl": Field(fields.url, nullable=True),
    "hidden": Field(fields.boolean),
    "bookingRequiresAuthentication": Field(fields.boolean),
    "disableCancelling": Field(fields.object_of({"disabled": Field(fields.boolean)})),
    "disableRescheduling": Field(
        fields.object_of({"disabled": Field(fields.boolean), "minutesBefore": Field(fields.integer(1))})
    ),
    "allowReschedulingCancelledBookings": Field(fields.boolean),
}
_DEFAULTS: Final[dict[str, Any]] = {
    "lengthInMinutesOptions": None,
    "description": "",
    "locations": [{"type": "integration", "integration": "cal-video"}],
    "bookingFields": [],
    "disableGuests": False,
    "slotInterval": None,
    "minimumBookingNotice": 120,
    "beforeEventBuffer": 0,
    "afterEventBuffer": 0,
    "scheduleId": None,
    "bookingLimitsCount": _DISABLED,
    "bookingLimitsDuration": _DISABLED,
    "onlyShowFirstAvailableSlot": False,
    "bookingWindow": _DISABLED,
    "offsetStart": 0,
    "confirmationPolicy": _DISABLED,
    "recurrence": None,
    "seats": _DISABLED,
    "requiresBookerEmailVerification": False,
    "hideCalendarNotes": False,
    "lockTimeZoneToggleOnBookingPage": False,
    "successRedirectUrl": None,
    "hidden": False,
    "bookingRequiresAuthentication": False,
    "disableCancelling": None,
    "disableRescheduling": None,
    "allowReschedulingCancelledBookings": False,
}


async def _list(request: ApiRequest) -> Reply:
    """A person's event types; hidden ones for themselves alone. All in one array."""
    state = request.state
    asked = request.ask({"username": Field(fields.text), "eventSlug": Field(fields.text)})
    if "eventSlug" in asked and "username" not in asked:
        raise bad_request("eventSlug needs username")
    username = asked.get("username")
    if username is None and request.caller and state.switches.event_types_without_username == "own":
        username = request.caller.username
    owner = next((user for user in state.users.values() if user.username == username), None)
    if owner is None:
        return success([])
    own = request.caller is not None and request.caller.id == owner.id
    found = [
        kind
        for kind in state.event_types.values()
        if kind.owner_id == owner.id
        and (own or not kind.fields["hidden"])
        and kind.slug == asked.get("eventSlug", kind.slug)
    ]
    return success([views.event_type(state, kind) for kind in found])


async def _post(request: ApiRequest) -> Reply:
    state = request.state
    settings = _DEFAULTS | request.read(_KNOWN)
    kind = EventType(state.new_number(), request.user.id, settings)
    _check(state, kind)
    state.event_types[kind.id] = kind
    return success(views.event_type(state, kind), 201)


async def _get(request: ApiRequest) -> Reply:
    return success(views.event_type(request.state, request.own_event_type()))


async def _patch(request: ApiRequest) -> Reply:
    """Replace each setting that the body carries, arrays as a whole."""
    state, present = request.state, request.own_event_type()
    kind = replace(present, fields=present.fields | request.read(_KNOWN, partial=True))
    _check(state, kind)
    state.event_types[kind.id] = kind
    return success(views.event_type(state, kind))


async def _delete(request: ApiRequest) -> Reply:
    """Its bookings stay, without a type; its reservations and webhooks go."""
    state, kind = request.state, request.own_event_type()
    del state.event_types[kind.id]
    for booking in [one for one in state.bookings.values() if one.event_type_id == kind.id]:
        state.put(replace(booking, event_type_id=None))
    for reservation in [one for one in state.reservations.values() if one.event_type_id == kind.id]:
        del state.reservations[reservation.uid]
    for webhook in [one for one in state.webhooks.values() if one.event_type_id == kind.id]:
        del state.webhooks[webhook.id]
    shown = {"id": kind.id, "lengthInMinutes": kind.minutes, "slug": kind.slug, "title": kind.fields["title"]}
    return success(shown)


def _check(state: State, kind: EventType) -> None:
    others = [one for one in state.event_types.values() if one.owner_id == kind.owner_id and one.id != kind.id]
    if any(one.slug == kind.slug for one in others):
        raise bad_request("User already has an event type with this slug.")
    if kind.lengths and kind.minutes not in kind.lengths:
        raise bad_request("lengthInMinutesOptions must include lengthInMinutes.")
    schedule = state.schedules.get(kind.fields["scheduleId"] or 0)
    if kind.fields["scheduleId"] and (schedule is None or schedule.owner_id != kind.owner_id):
        raise bad_request(f"User does not own schedule with id={kind.fields['scheduleId']}.")


OPERATIONS: Final = [
    Operation("GET", "/event-types", _list, VERSIONS, needs_credentials=False),
    Operation("POST", "/event-types", _post, VERSIONS),
    Operation("GET", "/event-types/{eventTypeId}", _get, VERSIONS),
    Operation("PATCH", "/event-types/{eventTypeId}", _patch, VERSIONS),
    Operation("DELETE", "/event-types/{eventTypeId}", _delete, VERSIONS),
]

"""`GET /v2/slots`: what is bookable, day by day (calcom-api.md, section 8)."""

from datetime import datetime, timedelta
from typing import Final

from sandbox.calcom import fields
from sandbox.calcom.availability import seated, slot_starts
from sandbox.calcom.errors import bad_request, not_found
from sandbox.calcom.fields import Field
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import EventType, Json, State
from sandbox.calcom.times import iso_in, zone_info

VERSIONS: Final = ("2024-09-04",)
_BY_NAME: Final = ("eventTypeSlug", "username", "organizationSlug", "teamSlug", "usernames")
_QUERY: Final = {
    "eventTypeId": Field(fields.number(1)),
    "eventTypeSlug": Field(fields.text),
    "username": Field(fields.text),
    "start": Field(fields.window_start, required=True),
    "end": Field(fields.window_end, required=True),
    "timeZone": Field(fields.zone),
    "duration": Field(fields.number(1)),
    "format": Field(fields.one_of("time", "range")),
    "bookingUidToReschedule": Field(fields.text),
}


def type_by_name(state: State, username: str, slug: str) -> EventType:
    """The event type of a user; raises Refusal 404 for either."""
    user = next((one for one in state.users.values() if one.username == username), None)
    if user is None:
        raise not_found(f"User with username {username} not found")
    found = next((one for one in state.event_types.values() if one.owner_id == user.id and one.slug == slug), None)
    if found is None:
        raise not_found(f"Event type with slug {slug} belonging to user {username} not found.")
    return found


def check_length(kind: EventType, minutes: int | None, name: str) -> int:
    """The length to use, which only a type of variable length leaves to the caller; raises Refusal 400."""
    if minutes is None:
        return kind.minutes
    if not kind.lengths:
        raise bad_request(f"You passed '{name}' but this event type is not a variable length event type.")
    if minutes not in kind.lengths:
        options = ", ".join(map(str, kind.lengths))
        raise bad_request(
            f"Provided '{name}' is not one of the possible lengths for the event type. The possible lengths for this "
            f"variable length event type are: {options}"
        )
    return minutes


async def _get(request: ApiRequest) -> Reply:
    state = request.state
    asked = request.ask(_QUERY)
    kind = _asked_type(request, asked)
    if kind.managed_parent:
        raise bad_request(f"Event type with id={kind.id} is the parent managed event type that has no slots.")
    minutes = check_length(kind, asked.get("duration"), "duration")
    if asked["start"] > asked["end"]:
        raise bad_request("Invalid time range given - check the 'start' and 'end' query parameters.")
    for uid in [r.uid for r in state.reservations.values() if r.event_type_id == kind.id and r.until <= state.now()]:
        del state.reservations[uid]
    low, high = asked["start"], asked["end"]
    if state.switches.slots_quirk == "empty":
        return success({})
    if state.switches.slots_quirk == "outside_range":
        high += timedelta(days=1)
    zone = zone_info(asked.get("timeZone", "UTC"))
    days: dict[str, list[Json]] = {}
    for start in slot_starts(state, kind, minutes, (low, high), asked.get("bookingUidToReschedule")):
        shown: Json = {"start": iso_in(start, zone)}
        if asked.get("format") == "range":
            shown["end"] = iso_in(start + timedelta(minutes=minutes), zone)
        days.setdefault(start.astimezone(zone).date().isoformat(), []).append(shown | _seats(state, kind, start))
    return success(days)


def _asked_type(request: ApiRequest, asked: Json) -> EventType:
    named = [name for name in _BY_NAME if name in request.query]
    if "eventTypeId" in asked:
        if named:
            raise bad_request(f"Pass either 'eventTypeId' or {', '.join(named)}, but not both.")
        kind = request.state.event_types.get(asked["eventTypeId"])
        if kind is None:
            raise not_found(f"Event Type with ID={asked['eventTypeId']} not found")
        return kind
    if "eventTypeSlug" in asked and "username" in asked:
        return type_by_name(request.state, asked["username"], asked["eventTypeSlug"])
    raise bad_request("Pass 'eventTypeId', or 'eventTypeSlug' and 'username'.")


def _seats(state: State, kind: EventType, start: datetime) -> Json:
    if not kind.seats:
        return {}
    booking = seated(state, kind, start)
    taken = len(booking.attendees) if booking else 0
    counts: Json = {"seatsBooked": taken, "seatsRemaining": kind.seats - taken, "seatsTotal": kind.seats}
    return counts | ({"bookingUid": booking.uid} if booking else {})


OPERATIONS: Final = [Operation("GET", "/slots", _get, VERSIONS, needs_credentials=False)]

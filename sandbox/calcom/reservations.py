"""Reservations: what is checked, in that order, and nothing else (calcom-api.md, section 9).

Neither hours nor notice, window, calendar, buffers, grid or the host's other event types are looked at.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sandbox.calcom import fields, views
from sandbox.calcom.errors import bad_request, forbidden, not_found, unauthorized, unprocessable
from sandbox.calcom.fields import Field
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.slots import VERSIONS, check_length
from sandbox.calcom.state import EventType, Json, Reservation, State

DEFAULT_MINUTES: Final = 5
_BODY: Final = {
    "eventTypeId": Field(fields.integer(1), required=True),
    "slotStart": Field(fields.instant, required=True),
    "slotDuration": Field(fields.integer(1)),
    "reservationDuration": Field(fields.integer(1)),
}


async def _post(request: ApiRequest) -> Reply:
    state, asked = request.state, request.read(_BODY)
    if "reservationDuration" in asked and request.caller is None:
        raise unauthorized(
            "reservationDuration can only be used for authenticated requests - use access token, api key or OAuth "
            "credentials"
        )
    kind = _kind(state, asked)
    if "reservationDuration" in asked and kind.owner_id != request.user.id:
        # Nobody in the sandbox shares a membership with the owner.
        raise forbidden(
            "authenticated user is not owner of event type, does not have memberships in common with owner of the "
            "event type, nor does belong to event type's team or org."
        )
    start, end = _checked_time(state, kind, asked)
    minutes = _minutes(state, asked)
    await state.reservation_gate.wait(state.switches)
    until = state.stamp() + timedelta(minutes=minutes)
    made = Reservation(state.new_uuid(), kind.id, kind.owner_id, start, end, until)
    state.reservations[made.uid] = made
    return _shown(made, minutes, 201)


async def _patch(request: ApiRequest) -> Reply:
    """Move a reservation. The overlap check meets the reservation itself, so that it cannot be extended in place."""
    state, asked = request.state, request.read(_BODY)
    uid = request.params["uid"]
    if uid not in state.reservations:
        raise not_found(f"Slot with uid={uid} not found")
    kind = _kind(state, asked)
    start, end = _checked_time(state, kind, asked)
    minutes = _minutes(state, asked)
    until = state.stamp() + timedelta(minutes=minutes)
    moved = replace(state.reservations[uid], event_type_id=kind.id, start=start, end=end, until=until)
    state.reservations[uid] = moved
    return _shown(moved, minutes, 200)


async def _get(request: ApiRequest) -> Reply:
    """An expired one is shown until a listing of its type's slots cleans up; an unknown one is null, not a 404."""
    found = request.state.reservations.get(request.params["uid"])
    return success(found and views.reservation(found))


async def _delete(request: ApiRequest) -> Reply:
    """A wrong uid goes unnoticed."""
    request.state.reservations.pop(request.params["uid"], None)
    return 200, {"status": "success"}


def _kind(state: State, asked: Json) -> EventType:
    kind = state.event_types.get(asked["eventTypeId"])
    if kind is None:
        raise not_found(f"Event Type with ID={asked['eventTypeId']} not found")
    return kind


def _minutes(state: State, asked: Json) -> int:
    minutes: int = asked.get("reservationDuration", DEFAULT_MINUTES)
    cap = state.switches.reservation_cap_minutes
    if cap is not None and minutes > cap:
        raise bad_request(f"reservationDuration must not be greater than {cap}")
    return minutes


def _checked_time(state: State, kind: EventType, asked: Json) -> tuple[datetime, datetime]:
    """The time asked for, if no booking and no reservation of the same type overlaps it; raises Refusal 400, 422."""
    start: datetime = asked["slotStart"]
    end = start + timedelta(minutes=check_length(kind, asked.get("slotDuration"), "slotDuration"))

    def overlap(from_: datetime, to: datetime) -> bool:
        return from_ < end and to > start

    taken = [b for b in state.bookings.values() if b.event_type_id == kind.id and b.active and overlap(b.start, b.end)]
    if kind.seats:
        if any(len(booking.attendees) >= kind.seats for booking in taken):
            raise unprocessable(f"Booking with id={kind.id} at {asked['slotStart']} has no more seats left.")
    elif taken:
        raise unprocessable("Can't reserve a slot if the event is already booked.")
    alive = [one for one in state.reservations.values() if one.until > state.now()]
    if any(one.event_type_id == kind.id and overlap(one.start, one.end) for one in alive):
        raise unprocessable("This time slot is already reserved by another user. Please choose a different time.")
    return start, end


def _shown(one: Reservation, minutes: int, status: int) -> Reply:
    return success(views.reservation(one) | {"reservationDuration": minutes}, status)


_PATH: Final = "/slots/reservations"
OPERATIONS: Final = [
    Operation("POST", _PATH, _post, VERSIONS, needs_credentials=False),
    Operation("GET", f"{_PATH}/{{uid}}", _get, VERSIONS, needs_credentials=False),
    Operation("PATCH", f"{_PATH}/{{uid}}", _patch, VERSIONS, needs_credentials=False),
    Operation("DELETE", f"{_PATH}/{{uid}}", _delete, VERSIONS, needs_credentials=False),
]

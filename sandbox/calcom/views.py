"""The records as Cal.com's JSON (calcom-api.md, sections 6, 7, 9.2, 10.2 and 12.1).

What has no value is left out where the real service leaves it out (`rescheduledToUid` of a booking that was not moved),
and null where it says null.
"""

from typing import Any, Final

from sandbox.calcom.state import Booking, EventType, Json, Reservation, Schedule, State, User, Webhook
from sandbox.calcom.times import iso

#: The version in which a cancelled booking with seats still lists who had one.
_KEEPS_SEATS: Final = "2026-02-25"


def me(user: User) -> Json:
    """Who owns the key."""
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "name": user.name,
        "avatarUrl": None,
        "bio": None,
        "timeFormat": 12,
        "defaultScheduleId": user.default_schedule_id,
        "weekStart": "Sunday",
        "timeZone": user.time_zone,
        "organizationId": None,
    }


def schedule(state: State, one: Schedule) -> Json:
    """Working hours."""
    return {
        "id": one.id,
        "ownerId": one.owner_id,
        "name": one.name,
        "timeZone": one.time_zone,
        "availability": one.availability,
        "isDefault": state.users[one.owner_id].default_schedule_id == one.id,
        "overrides": one.overrides,
    }


def event_type(state: State, one: EventType) -> Json:
    """A service, with its price (0 without a payment app)."""
    owner = state.users[one.owner_id]
    shown = {name: value for name, value in one.fields.items() if value is not None or name in _NULLABLE}
    return {
        "id": one.id,
        "ownerId": one.owner_id,
        **shown,
        "bookingFields": _booking_fields(one),
        "seatsPerTimeSlot": one.seats,
        "price": one.price,
        "currency": one.currency,
        "metadata": {},
        "isInstantEvent": False,
        "users": [
            {
                "id": owner.id,
                "name": owner.name,
                "username": owner.username,
                "avatarUrl": None,
                "weekStart": "Sunday",
                "brandColor": None,
                "darkBrandColor": None,
                "metadata": {},
            }
        ],
    }


_NULLABLE: Final = {"slotInterval", "recurrence", "scheduleId", "successRedirectUrl"}


def _booking_fields(one: EventType) -> list[Json]:
    """The default questions, then the type's own. A default that the type defines itself is not doubled."""
    own: list[Json] = one.fields["bookingFields"]
    defaults: list[Json] = [
        {"isDefault": True, "type": "name", "slug": "name", "required": True},
        {"isDefault": True, "type": "email", "slug": "email", "required": True, "hidden": False},
        {"isDefault": True, "type": "text", "slug": "title", "required": True, "hidden": True},
        {"isDefault": True, "type": "textarea", "slug": "notes", "required": False, "hidden": False},
        {"isDefault": True, "type": "multiemail", "slug": "guests", "required": False, "hidden": False},
        {"isDefault": True, "type": "textarea", "slug": "rescheduleReason", "required": False, "hidden": False},
    ]
    mine = {field["slug"] for field in own}
    return [field for field in defaults if field["slug"] not in mine] + own


def reservation(one: Reservation) -> Json:
    """A reservation as GET shows it; nothing says who made it, or for how long."""
    return {
        "eventTypeId": one.event_type_id,
        "slotStart": iso(one.start),
        "slotEnd": iso(one.end),
        "slotDuration": int((one.end - one.start).total_seconds() // 60),
        "reservationUid": one.uid,
        "reservationUntil": iso(one.until),
    }


def booking(state: State, one: Booking, version: str) -> Json:
    """A booking. There is no price in it, and no word whether it is paid."""
    host = state.users[one.host_id]
    kind = state.type_of(one)
    successor = state.successor(one) if one.rescheduled else None
    cancelled = one.status == "cancelled"
    hide_seats = cancelled and one.seated and version != _KEEPS_SEATS
    shown: Json = {
        "id": one.id,
        "uid": one.uid,
        "title": one.title,
        "description": str(one.responses.get("notes", "")),
        "hosts": [
            {
                "id": host.id,
                "name": host.name,
                "email": host.email,
                "displayEmail": host.email,
                "username": host.username,
                "timeZone": host.time_zone,
            }
        ],
        "status": one.status,
        "start": iso(one.start),
        "end": iso(one.end),
        "duration": one.minutes,
        "eventTypeId": one.event_type_id,
        "eventType": kind and {"id": kind.id, "slug": kind.slug},
        "location": one.location,
        "meetingUrl": one.location,
        "absentHost": one.absent_host,
        "createdAt": iso(one.created_at),
        "updatedAt": iso(one.updated_at),
        "metadata": one.metadata,
        "rating": None,
        "icsUid": one.ics_uid,
        "attendees": [] if hide_seats else attendees(one),
        "bookingFieldsResponses": one.responses,
        "rescheduledByEmail": successor.rescheduled_by if successor else one.rescheduled_by,
    }
    if cancelled:
        shown |= {"cancellationReason": one.cancellation_reason, "cancelledByEmail": one.cancelled_by}
    optional = {
        "guests": one.guests or None,
        "reschedulingReason": one.rescheduling_reason,
        "rescheduledFromUid": one.from_uid,
        "rescheduledToUid": successor and successor.uid,
    }
    return shown | {name: value for name, value in optional.items() if value is not None}


def attendees(one: Booking) -> list[Json]:
    """Who comes."""
    return [
        {
            "name": each.name,
            "email": each.email,
            "displayEmail": each.email,
            "timeZone": each.time_zone,
            "language": each.language,
            "absent": each.absent,
            **({} if each.phone is None else {"phoneNumber": each.phone}),
            **({} if each.seat_uid is None else {"seatUid": each.seat_uid}),
        }
        for each in one.attendees
    ]


def webhook(one: Webhook) -> Json:
    """A subscription; the secret can be read again."""
    belongs: dict[str, Any] = (
        {"userId": one.owner_id} if one.event_type_id is None else {"eventTypeId": one.event_type_id}
    )
    return {
        "id": one.id,
        **belongs,
        "subscriberUrl": one.endpoint.url,
        "triggers": one.triggers,
        "active": one.active,
        "payloadTemplate": one.payload_template,
        "secret": one.endpoint.secret or None,
        "version": one.version,
    }

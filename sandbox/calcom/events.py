"""Webhooks: which event is told to whom, and how it looks (calcom-api.md, section 12).

No id, no signed time but `createdAt` in the body, one attempt, no order.
"""

import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Any, Final

from sandbox.calcom.state import Booking, Json, State, Webhook
from sandbox.calcom.times import iso, iso_seconds

#: How long an answer is waited for; the service's own figure is not known.
TIMEOUT_SECONDS: Final = 10.0
WEBHOOK_VERSION: Final = "2021-10-20"
NO_SECRET: Final = "no-secret-provided"
TRIGGERS: Final = (
    "BOOKING_CREATED",
    "BOOKING_PAYMENT_INITIATED",
    "BOOKING_PAID",
    "BOOKING_RESCHEDULED",
    "BOOKING_REQUESTED",
    "BOOKING_CANCELLED",
    "BOOKING_REJECTED",
    "BOOKING_NO_SHOW_UPDATED",
    "FORM_SUBMITTED",
    "MEETING_ENDED",
    "MEETING_STARTED",
    "RECORDING_READY",
    "RECORDING_TRANSCRIPTION_GENERATED",
    "OOO_CREATED",
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW",
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW",
    "FORM_SUBMITTED_NO_EVENT",
    "INSTANT_MEETING",
    "DELEGATION_CREDENTIAL_ERROR",
    "WRONG_ASSIGNMENT_REPORT",
)


def sign(secret: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers of an attempt. The moment `at` is not signed: a copy of a webhook is as good as the first."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() if secret else NO_SECRET
    return {"X-Cal-Signature-256": digest, "x-cal-webhook-version": WEBHOOK_VERSION}


def created(state: State, booking: Booking) -> None:
    """Tell of a booking that was just made: accepted, or waiting for the owner's yes or for Cal.com's own payment."""
    if booking.status == "accepted":
        emit(state, "BOOKING_CREATED", booking)
        return
    if booking.price and not booking.paid:
        emit(state, "BOOKING_PAYMENT_INITIATED", booking)
    kind = state.type_of(booking)
    if kind is not None and kind.needs_confirmation(booking.start, state.now()):
        emit(state, "BOOKING_REQUESTED", booking)


def rescheduled(state: State, old: Booking, new: Booking) -> None:
    """Tell of a move: the uid is the new one, `rescheduleUid` the old."""
    trigger = "BOOKING_REQUESTED" if new.status == "pending" else state.switches.reschedule_webhook
    more = {
        "rescheduleId": old.id,
        "rescheduleUid": old.uid,
        "rescheduleStartTime": iso_seconds(old.start),
        "rescheduleEndTime": iso_seconds(old.end),
        "rescheduledBy": new.rescheduled_by,
    }
    emit(state, trigger, new, more)


def cancelled(state: State, booking: Booking, *, asks_for_new_time: bool = False) -> None:
    """Tell of a cancellation; `requestReschedule` says that the host wants another time (#28543)."""
    more: Json = {
        "cancellationReason": booking.cancellation_reason,
        "cancelledBy": booking.cancelled_by,
        "requestReschedule": asks_for_new_time,
    }
    emit(state, "BOOKING_CANCELLED", booking, more, drop_metadata=not state.switches.cancel_webhook_metadata)


def no_show(state: State, booking: Booking, marked: list[Json]) -> None:
    """Tell who did not come; this payload names no more than that."""
    body = {"bookingUid": booking.uid, "bookingId": booking.id, "message": "No-show updated", "attendees": marked}
    _send(state, "BOOKING_NO_SHOW_UPDATED", booking, body)


def emit(
    state: State, trigger: str, booking: Booking, more: Json | None = None, *, drop_metadata: bool = False
) -> None:
    """Put an event on its way to every subscription of the host and of the event type that asked for it."""
    payload = _payload(state, booking) | (more or {})
    if drop_metadata:
        del payload["metadata"]
    _send(state, trigger, booking, payload)


def _send(state: State, trigger: str, booking: Booking, payload: Json) -> None:
    event = {"triggerEvent": trigger, "createdAt": iso(state.stamp()), "payload": payload}
    for webhook in state.webhooks.values():
        mine = webhook.event_type_id == booking.event_type_id if webhook.event_type_id else True
        if not (mine and webhook.active and trigger in webhook.triggers and webhook.owner_id == booking.host_id):
            continue
        if state.switches.webhook_lose > 0:
            state.switches.webhook_lose -= 1
            continue
        state.deliveries.add(trigger, _body(webhook, event), webhook.endpoint, state.switches.webhook_delivery)


def _body(webhook: Webhook, event: Json) -> bytes:
    """The event, or the owner's own template with its `{{payload.paths}}` filled in."""
    if webhook.payload_template is None:
        return json.dumps(event).encode()
    flat = event["payload"] | {"triggerEvent": event["triggerEvent"], "createdAt": event["createdAt"]}
    return re.sub(r"{{\s*([\w.]+)\s*}}", lambda found: _at(flat, found[1]), webhook.payload_template).encode()


def _at(value: Any, path: str) -> str:
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdecimal() and int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _payload(state: State, booking: Booking) -> Json:
    host = state.users[booking.host_id]
    kind = state.type_of(booking)
    return {
        "uid": booking.uid,
        "bookingId": booking.id,
        "eventTypeId": booking.event_type_id,
        "type": kind.slug if kind else "",
        "title": booking.title,
        "startTime": iso_seconds(booking.start),
        "endTime": iso_seconds(booking.end),
        "organizer": {
            "id": host.id,
            "name": host.name,
            "email": host.email,
            "username": host.username,
            "timeZone": host.time_zone,
            "language": {"locale": "en"},
        },
        "attendees": [
            {
                "name": each.name,
                "email": each.email,
                "timeZone": each.time_zone,
                "language": {"locale": each.language},
                "phoneNumber": each.phone,
            }
            for each in booking.attendees
        ],
        "responses": {slug: {"label": slug, "value": value} for slug, value in booking.responses.items()},
        "location": booking.location,
        "metadata": booking.metadata,
        "status": booking.status.upper(),
        "price": booking.price,
        "currency": booking.currency,
        "length": booking.minutes,
        "iCalUID": booking.ics_uid,
        "iCalSequence": booking.sequence,
    }

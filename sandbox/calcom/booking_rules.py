"""The rules of create, cancel, reschedule, confirm and decline (calcom-api.md, section 10). No HTTP here.

A create is first planned, which makes all checks, then stored. Between the two lies the race gate: the service reads
the availability, then inserts, and only its unique key on start, end and host stops an exact twin (#13397).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sandbox.calcom import answers, availability, events
from sandbox.calcom.errors import (
    TAKEN,
    Refusal,
    bad_request,
    conflict,
    exists_already,
    forbidden,
    not_found,
    procedure_failed,
    unauthorized,
)
from sandbox.calcom.slots import check_length, type_by_name
from sandbox.calcom.state import Attendee, Booking, EventType, Json, State, User

_OUT_OF_BOUNDS: Final = (
    "The event type can't be booked at the \"start\" time provided. This could be because it's too soon (violating the "
    "minimum booking notice) or too far in the future (outside the event's scheduling window). Try fetching available "
    'slots first using the GET /v2/slots endpoint and then make a booking with "start" time equal to one of the '
    "available slots: https://cal.com/docs/api-reference/v2/slots"
)


@dataclass(frozen=True)
class Plan:
    """A booking as it will be stored. `seat` joins one that is there; `repeat` is one that is there already; a
    `decoy` is never stored."""

    booking: Booking
    seat: Attendee | None = None
    repeat: bool = False
    decoy: bool = False


def plan_create(state: State, caller: User | None, asked: Json, *, on_the_page: bool = False) -> Plan:
    """Check a new booking (a body that was read as `answers.BODY`); `on_the_page` is a visitor of the owner's own page.

    Raises Refusal 400, 401, 403, 404 and 409.
    """
    kind = _asked_type(state, asked)
    _check_caller(state, kind, caller, on_the_page=on_the_page)
    if kind.managed_parent:
        raise bad_request(
            f"Event type with id={kind.id} is the parent managed event type that can't be booked. You have to provide "
            f"the child event type id aka id of event type that has been assigned to one of the users."
        )
    if kind.setting("recurrence"):
        raise bad_request("The sandbox books no recurring event types.")
    who = answers.attendee(kind, asked)
    given = answers.responses(kind, asked, who)
    if kind.fields["requiresBookerEmailVerification"] and not asked.get("emailVerificationCode"):
        raise bad_request("Email verification code is required by the event type.")
    minutes = check_length(kind, asked.get("lengthInMinutes"), "lengthInMinutes")
    start: datetime = asked["start"]
    end = start + timedelta(minutes=minutes)
    booking = _new(state, kind, who, start, end)
    booking = replace(
        booking,
        location=answers.location(kind, asked, booking.uid),
        guests=asked.get("guests", []),
        responses=given,
        metadata=asked.get("metadata", {}),
    )
    if who.email.lower() in state.blocked_emails:
        if not state.switches.decoy:
            raise forbidden("You are not allowed to book this event type.")
        return Plan(replace(booking, id=0), decoy=True)
    if there := _repeat(state, kind, who, start):
        return Plan(there, repeat=True)
    if kind.seats and (there := availability.seated(state, kind, start)):
        if len(there.attendees) >= kind.seats:
            raise conflict("This booking has no more seats left.")
        return Plan(there, seat=replace(who, seat_uid=state.new_uuid()))
    _check_free(state, kind, start, end)
    _check_reservations(state, kind, start, end)
    return Plan(booking)


def store(state: State, plan: Plan) -> Booking:
    """Insert what was planned and tell the webhooks; raises Refusal 409 for an exact twin of an accepted booking."""
    if plan.decoy or plan.repeat:
        return plan.booking
    if plan.seat is not None:
        there = state.bookings[plan.booking.uid]
        booking = state.change(there, attendees=[*there.attendees, plan.seat])
        events.emit(state, "BOOKING_CREATED", booking)
        return booking
    booking = _insert(state, plan.booking)
    events.created(state, booking)
    return booking


def plan_reschedule(
    state: State, caller: User | None, old: Booking, start: datetime, *, by: str | None, by_link: bool = False
) -> Booking:
    """Check a move and return the new booking; `by_link` is the link in the mail that asked for a new time.

    The mover is the owner with the host's credentials, or where `by` is the host's address. Raises Refusal 400, 403.
    """
    kind = state.type_of(old)
    if kind is None:
        raise not_found("The event type of this booking was not found.")
    if old.status == "cancelled":
        _check_cancelled_move(state, kind, old, by_link=by_link)
    host = state.users[old.host_id]
    is_owner = (caller is not None and caller.id == host.id) or (by or "").lower() == host.email.lower()
    _check_move_allowed(state, kind, old, is_owner=is_owner)
    end = start + (old.end - old.start)
    _check_free(state, kind, start, end, besides=old.uid)
    now = state.stamp()
    waits = (kind.needs_confirmation(start, now) and not is_owner) or (kind.price > 0 and not old.paid)
    uid = state.new_uid()
    return replace(
        old,
        id=state.new_number(),
        uid=uid,
        status="pending" if waits else "accepted",
        unique=not waits,
        price=kind.price,
        currency=kind.currency,
        start=start,
        end=end,
        location=old.location.replace(old.uid, uid),
        created_at=now,
        updated_at=now,
        sequence=old.sequence + 1,
        from_uid=old.uid,
        rescheduled=False,
        rescheduled_by=by,
        cancellation_reason=None,
        cancelled_by=None,
    )


def store_move(state: State, old: Booking, new: Booking, reason: str | None) -> Booking:
    """End the old booking and insert the new one, both or none; raises Refusal 400 and 409."""
    present = state.bookings[old.uid]
    if present.status != old.status:
        raise _moved_already(state, present)
    new = _insert(state, replace(new, rescheduling_reason=reason), besides=old.uid)
    state.change(present, status="cancelled", rescheduled=True, unique=False)
    events.rescheduled(state, old, new)
    return new


def cancel(
    state: State, caller: User | None, booking: Booking, reason: str | None, *, by: str | None = None
) -> Booking:
    """Cancel as `caller`, or as the address `by` of a link in a mail; raises Refusal 400."""
    if booking.status == "cancelled":
        raise bad_request("This booking has already been cancelled.")
    kind = state.type_of(booking)
    if kind is not None and (kind.fields["disableCancelling"] or {}).get("disabled"):
        raise bad_request("This event type does not allow cancellations")
    is_host = caller is not None and caller.id == booking.host_id
    if is_host and not (reason or "").strip():
        raise bad_request("Cancellation reason is required when you are the host")
    if booking.end < state.now():
        raise bad_request("Cannot cancel a booking that has already ended")
    canceller = by or (caller.email if caller else None)
    booking = state.change(
        booking, status="cancelled", unique=False, cancellation_reason=reason, cancelled_by=canceller
    )
    events.cancelled(state, booking)
    return booking


def give_up_seat(state: State, booking: Booking, seat_uid: str) -> Booking:
    """Cancel one seat; the last one takes the booking with it. Raises Refusal 400."""
    left = [each for each in booking.attendees if each.seat_uid != seat_uid]
    if len(left) == len(booking.attendees) or booking.status == "cancelled":
        raise bad_request("Invalid seatUid: this seat does not exist or has already been cancelled.")
    if left:
        booking = state.change(booking, attendees=left)
        events.cancelled(state, booking)
        return booking
    return cancel(state, None, booking, None)


def ask_for_new_time(state: State, booking: Booking, reason: str) -> Booking:
    """Cancel as the host who wants another time: no successor until the attendee picks one (#28543)."""
    if not booking.active:
        raise bad_request("This booking has already been cancelled.")
    host = state.users[booking.host_id]
    booking = state.change(
        booking,
        status="cancelled",
        unique=False,
        rescheduled=True,
        cancellation_reason=reason,
        cancelled_by=host.email,
    )
    events.cancelled(state, booking, asks_for_new_time=True)
    return booking


def confirm(state: State, booking: Booking) -> Booking:
    """Accept, without a look at what else is at that time (#29958), paid or not; raises Refusal 400."""
    if booking.status == "accepted":
        raise procedure_failed()
    if booking.status != "pending" and state.switches.confirm_from_cancelled == "refused":
        raise procedure_failed()
    booking = state.change(booking, status="accepted")
    events.emit(state, "BOOKING_CREATED", booking)
    return booking


def pay(state: State, booking: Booking) -> Booking:
    """Take the money of Cal.com's own payment app, which accepts the booking unless the owner must say yes.

    Raises Refusal 400.
    """
    kind = state.type_of(booking)
    if booking.status != "pending" or not booking.price or booking.paid:
        raise bad_request("Nothing is to be paid for this booking.")
    waits = kind is not None and kind.needs_confirmation(booking.start, state.now())
    booking = state.change(booking, paid=True, status="pending" if waits else "accepted")
    events.emit(state, "BOOKING_PAID", booking)
    if not waits:
        events.emit(state, "BOOKING_CREATED", booking)
    return booking


def decline(state: State, booking: Booking, reason: str | None) -> Booking:
    """Reject what waits; raises Refusal 400."""
    if booking.status != "pending":
        raise procedure_failed()
    booking = state.change(booking, status="rejected", rejection_reason=reason)
    events.emit(state, "BOOKING_REJECTED", booking, {"rejectionReason": reason})
    return booking


def _asked_type(state: State, asked: Json) -> EventType:
    if "eventTypeId" in asked:
        kind = state.event_types.get(asked["eventTypeId"])
        if kind is None:
            raise not_found(f"Event type with id {asked['eventTypeId']} not found.")
        return kind
    if "username" in asked and "eventTypeSlug" in asked:
        return type_by_name(state, asked["username"], asked["eventTypeSlug"])
    raise bad_request("Either eventTypeId or username and eventTypeSlug must be provided.")


def _check_caller(state: State, kind: EventType, caller: User | None, *, on_the_page: bool) -> None:
    if not kind.fields["bookingRequiresAuthentication"]:
        return
    if on_the_page and not state.switches.page_requires_authentication:
        return
    if caller is None:
        raise unauthorized(
            "checkBookingRequiresAuthentication - request must be authenticated by passing credentials belonging to "
            "event type owner, host or team or org admin or owner."
        )
    if caller.id != kind.owner_id:
        raise forbidden(
            "checkBookingRequiresAuthentication - user is not authorized to access this event type. User has to be "
            "either event type owner, host, team admin or owner or org admin or owner."
        )


def _new(state: State, kind: EventType, who: Attendee, start: datetime, end: datetime) -> Booking:
    now, uid = state.stamp(), state.new_uid()
    waits = kind.price > 0 or kind.needs_confirmation(start, now)
    host = state.users[kind.owner_id]
    return Booking(
        id=state.new_number(),
        uid=uid,
        event_type_id=kind.id,
        host_id=kind.owner_id,
        title=f"{kind.fields['title']} between {host.name} and {who.name}",
        status="pending" if waits else "accepted",
        start=start,
        end=end,
        attendees=[replace(who, seat_uid=state.new_uuid())] if kind.seats else [who],
        guests=[],
        responses={},
        metadata={},
        location="",
        created_at=now,
        updated_at=now,
        unique=not waits,
        price=kind.price,
        currency=kind.currency,
        ics_uid=f"{uid}@Cal.com",
        seated=kind.seats is not None,
    )


def _repeat(state: State, kind: EventType, who: Attendee, start: datetime) -> Booking | None:
    """The same attendee's booking of the same start, which a type with confirmation answers with."""
    if not kind.needs_confirmation(start, state.now()):
        return None
    same = [
        b for b in state.bookings_around(start, start) if b.event_type_id == kind.id and b.start == start and b.active
    ]
    return next((b for b in same if any(each.email.lower() == who.email.lower() for each in b.attendees)), None)


def _check_free(state: State, kind: EventType, start: datetime, end: datetime, besides: str | None = None) -> None:
    if start <= state.now():
        raise bad_request("Attempting to book a meeting in the past.")
    earliest, latest = availability.booking_window(state, kind)
    if not earliest <= start <= latest:
        raise bad_request(_OUT_OF_BOUNDS)
    if availability.over_limit(state, kind, start, besides):
        raise bad_request("booking_limit_reached")
    if not availability.fits(state, kind, start, end, besides):
        raise Refusal(state.switches.taken_status, TAKEN)


def _check_reservations(state: State, kind: EventType, start: datetime, end: datetime) -> None:
    """Only where it is switched on; the code of 2026 does not look."""
    if not state.switches.reservation_enforced:
        return
    now = state.now()
    for one in state.reservations.values():
        if one.event_type_id == kind.id and one.until > now and one.start < end and one.end > start:
            seconds = int((one.until - now).total_seconds())
            raise conflict(f"This slot is reserved. It is free again in {seconds} seconds.")


def _insert(state: State, booking: Booking, besides: str | None = None) -> Booking:
    key = (booking.start, booking.end, booking.host_id)
    near = state.bookings_around(booking.start, booking.start)
    twins = [b for b in near if b.unique and (b.start, b.end, b.host_id) == key and b.uid != besides]
    if booking.unique and twins:
        raise exists_already("idempotencyKey")
    return state.put(booking)


def _check_cancelled_move(state: State, kind: EventType, old: Booking, *, by_link: bool) -> None:
    if old.rescheduled:
        if by_link and state.successor(old) is None:
            return
        raise _moved_already(state, old)
    if not kind.fields["allowReschedulingCancelledBookings"]:
        raise _moved_already(state, old)


def _moved_already(state: State, old: Booking) -> Refusal:
    if not old.rescheduled:
        return bad_request(
            f"Can't reschedule booking with uid={old.uid} because it has been cancelled. Please provide uid of a "
            f"booking that is not cancelled."
        )
    successor = state.successor(old)
    uid = successor.uid if successor else "undefined"
    return bad_request(
        f"Can't reschedule booking with uid={old.uid} because it has been cancelled and rescheduled already to booking "
        f"with uid={uid}. You probably want to reschedule {uid} instead by passing it within the request URL."
    )


def _check_move_allowed(state: State, kind: EventType, old: Booking, *, is_owner: bool) -> None:
    rule = kind.fields["disableRescheduling"] or {}
    if is_owner and not state.switches.disabled_rescheduling_binds_owner:
        return
    if rule.get("disabled"):
        raise forbidden("Rescheduling is disabled for this event type.")
    notice = rule.get("minutesBefore")
    if notice is not None and old.start - state.now() < timedelta(minutes=notice):
        raise forbidden("Rescheduling is not allowed this close to the start.")

"""What happens to events and invitees, by the API, the pages or the operator. No HTTP here."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from sandbox.calendly.availability import Opening
from sandbox.calendly.records import TRACKING_KEYS, Cancellation, Event, EventType, Invitee, Json
from sandbox.calendly.state import State
from sandbox.calendly.webhooks import emit

Canceler = Literal["host", "invitee"]


@dataclass(frozen=True)
class Guest:
    """Who books, and what they say with it."""

    email: str
    name: str
    timezone: str
    first_name: str | None = None
    last_name: str | None = None
    location: Json | None = None
    answers: tuple[Json, ...] = ()
    tracking: Json | None = None
    text_reminder_number: str | None = None
    event_guests: tuple[str, ...] = ()


def book(state: State, event_type: EventType, opening: Opening, guest: Guest) -> Invitee:
    """Put a guest on the calendar: in the event of a group that is there at that time, else in a new one."""
    invitee = _book(state, event_type, opening, guest)
    emit(state, "invitee.created", invitee)
    return invitee


def _book(
    state: State, event_type: EventType, opening: Opening, guest: Guest, old_invitee: str | None = None
) -> Invitee:
    now = state.now()
    event = _joinable(state, event_type, opening.start)
    if event is None:
        end = opening.start + timedelta(minutes=event_type.duration)
        event = Event(
            id=state.new_id(),
            event_type=event_type.id,
            hosts=opening.hosts,
            name=event_type.name,
            start=opening.start,
            end=end,
            buffered=event_type.buffered(opening.start),
            invitee_limit=event_type.invitee_limit,
            location=guest.location,
            created_at=now,
            updated_at=now,
        )
    guests = event.guests + tuple((email, now) for email in guest.event_guests)
    state.events[event.id] = replace(event, guests=guests, updated_at=now)
    invitee = Invitee(
        id=state.new_id(),
        event=event.id,
        email=guest.email,
        name=guest.name,
        first_name=guest.first_name,
        last_name=guest.last_name,
        timezone=guest.timezone,
        tracking=dict.fromkeys(TRACKING_KEYS) | (guest.tracking or {}),
        answers=guest.answers,
        text_reminder_number=guest.text_reminder_number,
        old_invitee=old_invitee,
        created_at=now,
        updated_at=now,
    )
    state.invitees[invitee.id] = invitee
    return invitee


def _joinable(state: State, event_type: EventType, start: datetime) -> Event | None:
    """Return the event of a group at that time; in a race of creates a solo type gets a second event instead."""
    return next(
        (
            event
            for event in state.events_around(start, start)
            if event.event_type == event_type.id
            and event.start == start
            and event.status == "active"
            and event.invitee_limit > 1
        ),
        None,
    )


def cancel_event(state: State, event: Event, reason: str | None) -> Cancellation:
    """Take an event off the calendar as its host, for all who come."""
    return _cancel(state, event, present(state, event), state.users[event.hosts[0]].name, "host", reason)


def cancel_invitee(state: State, invitee: Invitee, reason: str | None) -> Cancellation:
    """Cancel one invitee's place, as that invitee; the event ends with its last one."""
    return _cancel(state, state.events[invitee.event], [invitee], invitee.name, "invitee", reason)


def _cancel(
    state: State, event: Event, leaving: list[Invitee], by: str, canceler_type: Canceler, reason: str | None
) -> Cancellation:
    cancellation = _strike(state, event, leaving, by, canceler_type, reason)
    for invitee in leaving:
        emit(state, "invitee.canceled", state.invitees[invitee.id])
    return cancellation


def _strike(
    state: State, event: Event, leaving: list[Invitee], by: str, canceler_type: Canceler, reason: str | None
) -> Cancellation:
    now = state.now()
    cancellation = Cancellation(by, reason, canceler_type, now)
    for invitee in leaving:
        state.invitees[invitee.id] = replace(state.invitees[invitee.id], cancellation=cancellation, updated_at=now)
    gone = state.places_taken(event) == 0
    state.events[event.id] = replace(event, updated_at=now, cancellation=cancellation if gone else None)
    return cancellation


def reschedule(state: State, invitee: Invitee, opening: Opening, *, by: Canceler, reason: str | None = None) -> Invitee:
    """Move an invitee as Calendly's page does: a new event and a new invitee, each invitee linked with the other."""
    event = state.events[invitee.event]
    event_type = state.event_types[event.event_type]
    guest = Guest(
        email=invitee.email,
        name=invitee.name,
        timezone=invitee.timezone,
        first_name=invitee.first_name,
        last_name=invitee.last_name,
        location=event.location,
        answers=invitee.answers,
        tracking=invitee.tracking if state.switches.tracking_after_reschedule == "kept" else None,
        text_reminder_number=invitee.text_reminder_number,
        event_guests=tuple(email for email, _ in event.guests),
    )
    name = state.users[event.hosts[0]].name if by == "host" else invitee.name
    _strike(state, event, [invitee], name, by, reason)
    moved = _book(state, event_type, opening, guest, old_invitee=invitee.id)
    state.invitees[invitee.id] = replace(state.invitees[invitee.id], new_invitee=moved.id)
    emit(state, "invitee.canceled", state.invitees[invitee.id])
    emit(state, "invitee.created", moved)
    return moved


def present(state: State, event: Event) -> list[Invitee]:
    """Return the invitees of an event who still come."""
    return [one for one in state.invitees_of(event) if one.cancellation is None]


def is_past(state: State, start: datetime) -> bool:
    """Tell whether an event has begun, after which nobody cancels it."""
    return start <= state.now()

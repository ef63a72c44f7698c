"""The records as Calendly shows them (Calendly API v2, setup objects, booking, webhooks)."""

from dataclasses import asdict
from datetime import timedelta
from html import escape

from sandbox.calendly.fields import micros
from sandbox.calendly.records import (
    CONFERENCES,
    Cancellation,
    Event,
    EventType,
    Invitee,
    Json,
    NoShow,
    Subscription,
    User,
)
from sandbox.calendly.state import State


def user_json(state: State, user: User) -> Json:
    """Show a user."""
    return {
        "uri": state.uri("users", user.id),
        "name": user.name,
        "slug": user.slug,
        "email": user.email,
        "scheduling_url": f"{state.site_url}/{user.slug}",
        "timezone": user.timezone,
        "avatar_url": None,
        "created_at": micros(user.created_at),
        "updated_at": micros(user.updated_at),
        "current_organization": state.uri("organizations", user.organization),
    }


def scheduling_url(state: State, event_type: EventType) -> str:
    """Return the address of an event type's public page."""
    return f"{state.site_url}/{state.users[event_type.hosts[0]].slug}/{event_type.slug}"


def event_type_json(state: State, event_type: EventType) -> Json:
    """Show an event type; it has no price, and hides how it asks for names."""
    owner = state.users[event_type.hosts[0]]
    plain = event_type.description_plain
    kinds = {"round_robin": "Round Robin", "collective": "Collective"}
    return {
        "uri": state.uri("event_types", event_type.id),
        "name": event_type.name,
        "active": event_type.active,
        "slug": event_type.slug,
        "scheduling_url": scheduling_url(state, event_type),
        "duration": event_type.duration,
        "kind": event_type.kind,
        "pooling_type": event_type.pooling_type,
        "type": "StandardEventType",
        "booking_method": event_type.booking_method,
        "color": "#0069ff",
        "created_at": micros(event_type.created_at),
        "updated_at": micros(event_type.updated_at),
        "deleted_at": None if event_type.deleted_at is None else micros(event_type.deleted_at),
        "internal_note": event_type.internal_note,
        "description_plain": plain,
        "description_html": None if plain is None else f"<p>{escape(plain)}</p>",
        "profile": {"type": "User", "name": owner.name, "owner": state.uri("users", owner.id)},
        "secret": event_type.secret,
        "custom_questions": [
            asdict(question) | {"answer_choices": list(question.answer_choices)}
            for question in event_type.custom_questions
        ],
        "kind_description": kinds.get(
            event_type.pooling_type or "", "Group" if event_type.kind == "group" else "One-on-One"
        ),
        "admin_managed": False,
        "locations": [dict(one) for one in event_type.locations] or None,
        "locale": "en",
        "start_time_increment": event_type.start_time_increment,
        "before_buffer": event_type.before_buffer,
        "after_buffer": event_type.after_buffer,
    }


def event_json(state: State, event: Event) -> Json:
    """Show a scheduled event."""
    shown = {
        "uri": state.uri("scheduled_events", event.id),
        "name": event.name,
        "status": event.status,
        "start_time": micros(event.start),
        "end_time": micros(event.end),
        "event_type": state.uri("event_types", event.event_type),
        "location": _location(state, event),
        "invitees_counter": {
            "total": len(state.invitees_of(event)),
            "active": state.places_taken(event),
            "limit": event.invitee_limit,
        },
        "created_at": micros(event.created_at),
        "updated_at": micros(event.updated_at),
        "event_memberships": [_membership(state, event, state.users[host]) for host in event.hosts],
        "event_guests": [
            {"email": email, "created_at": micros(at), "updated_at": micros(at)} for email, at in event.guests
        ],
        "calendar_event": {"kind": "google", "external_id": event.id.lower()},
        "meeting_notes_plain": None,
        "meeting_notes_html": None,
    }
    return shown | ({"cancellation": cancellation_json(event.cancellation)} if event.cancellation else {})


def _membership(state: State, event: Event, host: User) -> Json:
    return {
        "user": state.uri("users", host.id),
        "user_email": host.email,
        "user_name": host.name,
        "buffered_start_time": micros(event.buffered[0]),
        "buffered_end_time": micros(event.buffered[1]),
    }


def _location(state: State, event: Event) -> Json | None:
    """Show where an event takes place; a conference may have no link yet."""
    if event.location is None or event.location["kind"] not in CONFERENCES:
        return event.location and {"type": event.location["kind"], "location": event.location.get("location")}
    ready = event.created_at + timedelta(seconds=state.switches.conference_lag_seconds) <= state.now()
    return {
        "type": event.location["kind"],
        "status": "pushed" if ready else "processing",
        "join_url": f"{state.site_url}/events/{event.id}/{event.location['kind']}" if ready else None,
    }


def cancellation_json(cancellation: Cancellation) -> Json:
    """Show who cancelled, and why."""
    return {
        "canceled_by": cancellation.canceled_by,
        "reason": cancellation.reason,
        "canceler_type": cancellation.canceler_type,
        "created_at": micros(cancellation.created_at),
    }


def invitee_json(state: State, invitee: Invitee) -> Json:
    """Show an invitee."""
    no_show = state.no_show_of(invitee)
    shown = {
        "uri": state.invitee_uri(invitee),
        "email": invitee.email,
        "name": invitee.name,
        "first_name": invitee.first_name,
        "last_name": invitee.last_name,
        "status": invitee.status,
        "timezone": invitee.timezone,
        "event": state.uri("scheduled_events", invitee.event),
        "questions_and_answers": [dict(answer) for answer in invitee.answers],
        "tracking": dict(invitee.tracking),
        "text_reminder_number": invitee.text_reminder_number,
        "rescheduled": invitee.new_invitee is not None,
        "old_invitee": _other(state, invitee.old_invitee),
        "new_invitee": _other(state, invitee.new_invitee),
        "cancel_url": f"{state.site_url}/cancellations/{invitee.id}",
        "reschedule_url": f"{state.site_url}/reschedulings/{invitee.id}",
        "payment": None,
        "no_show": no_show and {"uri": no_show_json(state, no_show)["uri"], "created_at": micros(no_show.created_at)},
        "reconfirmation": None,
        "routing_form_submission": None,
        "scheduling_method": None,
        "invitee_scheduled_by": None,
        "created_at": micros(invitee.created_at),
        "updated_at": micros(invitee.updated_at),
    }
    return shown | ({"cancellation": cancellation_json(invitee.cancellation)} if invitee.cancellation else {})


def _other(state: State, id_: str | None) -> str | None:
    return None if id_ is None else state.invitee_uri(state.invitees[id_])


def no_show_json(state: State, no_show: NoShow) -> Json:
    """Show the mark that an invitee did not come."""
    return {
        "uri": state.uri("invitee_no_shows", no_show.id),
        "invitee": state.invitee_uri(state.invitees[no_show.invitee]),
        "created_at": micros(no_show.created_at),
    }


def subscription_json(state: State, subscription: Subscription) -> Json:
    """Show a webhook subscription, without its key."""
    started = subscription.retry_started_at
    return {
        "uri": state.uri("webhook_subscriptions", subscription.id),
        "callback_url": subscription.endpoint.url,
        "created_at": micros(subscription.created_at),
        "updated_at": micros(subscription.updated_at),
        "retry_started_at": None if started is None else micros(started),
        "state": "active" if subscription.endpoint.on else "disabled",
        "events": list(subscription.events),
        "scope": subscription.scope,
        "organization": state.uri("organizations", subscription.organization),
        "user": None if subscription.user is None else state.uri("users", subscription.user),
        "creator": state.uri("users", subscription.creator),
    }

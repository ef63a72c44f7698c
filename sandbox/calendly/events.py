"""Scheduled events, their invitees, cancellations, no-shows (Calendly API v2, booking and states).

There is no call that moves an event, changes an invitee or lists by time of change: all of that is a 404.
"""

from datetime import timedelta
from typing import Final

from sandbox.calendly import bookings, fields
from sandbox.calendly.errors import (
    NO_PERMISSION,
    NOT_YOURS,
    OTHER_ORGANIZATION,
    denied,
    detail,
    error,
    invalid,
    not_found,
)
from sandbox.calendly.listing import choice, ordered, paginate
from sandbox.calendly.records import Event, Invitee, NoShow
from sandbox.calendly.render import cancellation_json, event_json, invitee_json, no_show_json
from sandbox.calendly.request import ApiRequest, Operation, Reply
from sandbox.calendly.webhooks import emit

_LONGEST_REASON: Final = 10_000


def _may_see(request: ApiRequest, event: Event) -> bool:
    host = request.state.users[event.hosts[0]]
    same = host.organization == request.user.organization
    return request.user.id in event.hosts or (same and request.is_admin)


def _event(request: ApiRequest) -> Event:
    event = request.find(request.state.events, "event")
    if not _may_see(request, event):
        raise denied("You are not allowed to view this event")
    return event


async def _list(request: ApiRequest) -> Reply:
    state = request.state
    user, organization = request.named("users", "user"), request.named("organizations", "organization")
    if user is None and organization is None:
        raise invalid(detail("user", "or organization must be filled"))
    _check_owner(request, user, organization)
    status = choice(request, "status", "active", "canceled")
    email = request.query.get("invitee_email")
    after, before = request.query.get("min_start_time"), request.query.get("max_start_time")
    lowest, highest = fields.moment(after), fields.moment(before)
    if after is not None and lowest is None:
        raise invalid(detail("min_start_time", "must be a time in UTC"))
    if before is not None and highest is None:
        raise invalid(detail("max_start_time", "must be a time in UTC"))
    listed_from = state.now() - timedelta(seconds=state.switches.listing_lag_seconds)
    known = state.events_around(lowest, highest) if lowest and highest else state.events.values()
    found = [
        event
        for event in known
        if event.created_at <= listed_from
        and (_of_organization(request, event) if user is None else user in event.hosts)
        and status in (None, event.status)
        # "After this time" and "prior to this time": whether the moment itself is meant is unknown
        and (lowest is None or event.start > lowest)
        and (highest is None or event.start < highest)
        and (email is None or any(one.email == email for one in state.invitees_of(event)))
    ]
    ordered_events = ordered(request, found, {"start_time": lambda one: one.start}, "start_time:asc")
    return paginate(request, ordered_events, lambda one: event_json(state, one))


def _check_owner(request: ApiRequest, user: str | None, organization: str | None) -> None:
    """A user sees their own events; owners and admins see those of others if they name the organization too."""
    if organization is not None and organization != request.user.organization:
        raise denied(NOT_YOURS)
    if user is not None and user != request.user.id:
        if organization is None:
            raise denied("Please also specify organization when requesting events for a user within your organization.")
        if user not in request.state.users:
            raise denied(OTHER_ORGANIZATION)
        request.colleague(user)
    if organization is not None and not request.is_admin:
        raise denied(NO_PERMISSION)


def _of_organization(request: ApiRequest, event: Event) -> bool:
    return request.state.users[event.hosts[0]].organization == request.user.organization


async def _get(request: ApiRequest) -> Reply:
    return 200, {"resource": event_json(request.state, _event(request))}


async def _invitees(request: ApiRequest) -> Reply:
    state, event = request.state, _event(request)
    status, email = choice(request, "status", "active", "canceled"), request.query.get("email")
    found = [
        one
        for one in state.invitees_of(event)
        if status in (None, one.status) and (email is None or one.email == email)
    ]
    ordered_invitees = ordered(request, found, {"created_at": lambda one: one.created_at}, "created_at:asc")
    return paginate(request, ordered_invitees, lambda one: invitee_json(state, one))


async def _invitee(request: ApiRequest) -> Reply:
    event, invitee = _event(request), request.find(request.state.invitees, "invitee")
    if invitee.event != event.id:
        raise not_found()
    return 200, {"resource": invitee_json(request.state, invitee)}


async def _cancel(request: ApiRequest) -> Reply:
    state, event = request.state, request.find(request.state.events, "event")
    if not _may_see(request, event):
        raise denied("You are not allowed to cancel this event")
    reason = request.body.get("reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > _LONGEST_REASON):
        raise invalid(detail("reason", f"must be a text of at most {_LONGEST_REASON} characters"))
    if event.status == "canceled":
        raise denied("Event is already canceled")
    if bookings.is_past(state, event.start):
        raise denied("Event in the past")
    if reason is not None and state.switches.cancel_with_reason == "refused":
        raise invalid(detail("reason", "is invalid"))
    cancellation = bookings.cancel_event(state, event, reason)
    return 201, {"resource": cancellation_json(cancellation)}


def _named_invitee(request: ApiRequest) -> Invitee:
    state, uri = request.state, request.body.get("invitee")
    if not isinstance(uri, str) or not uri.startswith(f"{state.api_url}/scheduled_events/"):
        raise invalid(detail("invitee", "must be a URI of an invitee"))
    invitee = next((one for one in state.invitees.values() if state.invitee_uri(one) == uri), None)
    if invitee is None:
        raise not_found()
    if not _may_see(request, state.events[invitee.event]):
        raise denied(NOT_YOURS)
    return invitee


async def _mark(request: ApiRequest) -> Reply:
    state, invitee = request.state, _named_invitee(request)
    if state.no_show_of(invitee) is not None:
        raise error(409, "Already Exists", "The resource already exists")
    if invitee.cancellation is not None or not bookings.is_past(state, state.events[invitee.event].start):
        raise invalid(detail("invitee", "must be active, and the event must have begun"))
    no_show = NoShow(state.new_id(), invitee.id, state.now())
    state.no_shows[no_show.id] = no_show
    emit(state, "invitee_no_show.created", invitee)
    return 201, {"resource": no_show_json(state, no_show)}


def _no_show(request: ApiRequest) -> NoShow:
    no_show = request.find(request.state.no_shows)
    invitee = request.state.invitees[no_show.invitee]
    if not _may_see(request, request.state.events[invitee.event]):
        raise denied(NOT_YOURS)
    return no_show


async def _get_mark(request: ApiRequest) -> Reply:
    return 200, {"resource": no_show_json(request.state, _no_show(request))}


async def _unmark(request: ApiRequest) -> Reply:
    state, no_show = request.state, _no_show(request)
    del state.no_shows[no_show.id]
    emit(state, "invitee_no_show.deleted", state.invitees[no_show.invitee])
    return 204, None


_READ: Final = ("scheduled_events:read",)
_WRITE: Final = ("scheduled_events:write",)
OPERATIONS: Final = [
    Operation("GET", "/scheduled_events", _READ, _list),
    Operation("GET", "/scheduled_events/{event}", _READ, _get),
    Operation("GET", "/scheduled_events/{event}/invitees", _READ, _invitees),
    Operation("GET", "/scheduled_events/{event}/invitees/{invitee}", _READ, _invitee),
    Operation("POST", "/scheduled_events/{event}/cancellation", _WRITE, _cancel),
    Operation("POST", "/invitee_no_shows", _WRITE, _mark),
    Operation("GET", "/invitee_no_shows/{uuid}", _READ, _get_mark),
    Operation("DELETE", "/invitee_no_shows/{uuid}", _WRITE, _unmark),
]

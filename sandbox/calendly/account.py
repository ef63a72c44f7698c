"""Users, event types, free and busy times, schedules, booking links (Calendly API v2, sections 6 to 8).

There is no price anywhere, and event types cannot be made here: the fields of `POST /event_types` are not known.
"""

from datetime import datetime, timedelta
from typing import Final

from sandbox.calendly import availability, fields
from sandbox.calendly.errors import (
    NOT_YOURS,
    OTHER_ORGANIZATION,
    Refusal,
    denied,
    detail,
    error,
    invalid,
    not_found,
)
from sandbox.calendly.listing import choice, ordered, paginate
from sandbox.calendly.records import EventType, Interval, Json, User
from sandbox.calendly.render import event_type_json, scheduling_url, user_json
from sandbox.calendly.request import ApiRequest, Operation, Reply

_LONGEST_BUSY: Final = timedelta(days=7)  # of 2024; today's is unknown


async def _user(request: ApiRequest) -> Reply:
    id_ = request.user.id if request.params.get("uuid", "me") == "me" else request.params["uuid"]
    if id_ not in request.state.users:
        raise not_found()
    return 200, {"resource": user_json(request.state, request.colleague(id_))}


def find_event_type(request: ApiRequest, id_: str) -> EventType:
    """Return an event type of the caller's organization, a deleted one too; raises Refusal 403 and 404."""
    event_type = request.state.event_types.get(id_)
    if event_type is None:
        raise not_found()
    if request.state.users[event_type.hosts[0]].organization != request.user.organization:
        raise denied(NOT_YOURS)
    return event_type


async def _event_type(request: ApiRequest) -> Reply:
    return 200, {"resource": event_type_json(request.state, find_event_type(request, request.params["uuid"]))}


async def _event_types(request: ApiRequest) -> Reply:
    state = request.state
    user, organization = request.named("users", "user"), request.named("organizations", "organization")
    active = choice(request, "active", "true", "false")
    if user is None and organization is None:
        raise invalid(detail("user", "or organization must be filled"))
    if organization not in (None, request.user.organization):
        raise denied(NOT_YOURS)
    if user is not None:
        request.colleague(user)
    found = [
        one
        for one in state.event_types.values()
        if one.deleted_at is None
        and (state.users[one.hosts[0]].organization == request.user.organization if user is None else user in one.hosts)
        and active in (None, str(one.active).lower())
    ]
    ordered_types = ordered(request, found, {"name": lambda one: one.name}, "name:asc")
    return paginate(request, ordered_types, lambda one: event_type_json(state, one))


def _window(request: ApiRequest, longest: timedelta) -> Interval:
    """Read `start_time` and `end_time`; raises Refusal 400 naming what is wrong."""
    moments: dict[str, datetime] = {}
    problems = []
    for name in ("start_time", "end_time"):
        if (at := fields.moment(request.query.get(name))) is None:
            problems.append(detail(name, "must be a time in UTC"))
        else:
            moments[name] = at
    if problems:
        raise invalid(*problems)
    start, end = moments["start_time"], moments["end_time"]
    if end <= start:
        raise invalid(detail("end_time", "must be after start_time"))
    if end - start > longest:
        raise invalid(detail("end_time", f"must be within {longest.days} days of start_time"))
    return start, end


async def _available_times(request: ApiRequest) -> Reply:
    state = request.state
    id_ = request.named("event_types", "event_type")
    if id_ is None:
        raise invalid(detail("event_type", "must be filled"))
    event_type = find_event_type(request, id_)
    if event_type.deleted_at is not None:
        raise not_found()
    start, end = _window(request, timedelta(days=state.switches.window_limit_days))
    if start <= state.now():
        raise invalid(detail("start_time", "must be in the future"))
    page = scheduling_url(state, event_type)
    found = [
        {
            "status": "available",
            "invitees_remaining": one.places,
            "start_time": fields.seconds(one.start),
            "scheduling_url": f"{page}/{fields.seconds(one.start)}?month={one.start:%Y-%m}&date={one.start:%Y-%m-%d}",
        }
        for one in availability.openings(state, event_type, start, end)
    ]
    return 200, {"collection": found}


def _asked_user(request: ApiRequest) -> User:
    id_ = request.named("users", "user")
    if id_ is None:
        raise invalid(detail("user", "must be filled"))
    if id_ not in request.state.users:
        raise denied(OTHER_ORGANIZATION)
    return request.colleague(id_)


async def _busy_times(request: ApiRequest) -> Reply:
    state, user = request.state, _asked_user(request)
    start, end = _window(request, _LONGEST_BUSY)
    if state.switches.external_calendar == "failing":
        raise _calendar_failed()
    found: list[tuple[datetime, Json]] = []
    for event in state.events_around(start, end):
        if user.id in event.hosts and event.status == "active" and event.start < end and start < event.end:
            shown = {
                "type": "calendly",
                "start_time": fields.micros(event.start),
                "end_time": fields.micros(event.end),
                "buffered_start_time": fields.micros(event.buffered[0]),
                "buffered_end_time": fields.micros(event.buffered[1]),
                "event": {"uri": state.uri("scheduled_events", event.id)},
            }
            found.append((event.start, shown))
    for busy in state.busy_times:
        if busy.user == user.id and busy.start < end and start < busy.end:
            shown = {
                "type": "external",
                "start_time": fields.micros(busy.start),
                "end_time": fields.micros(busy.end),
            }
            found.append((busy.start, shown))
    return 200, {"collection": [shown for _, shown in sorted(found, key=lambda one: one[0])]}


def _calendar_failed() -> Refusal:
    return error(424, "External Calendar Error", "There is a problem accessing your calendar.")


async def _schedules(request: ApiRequest) -> Reply:
    user = _asked_user(request)
    rules = [
        {"type": "wday", "wday": day, "intervals": [{"from": opens, "to": closes} for opens, closes in spans]}
        for day, spans in user.hours.items()
    ]
    schedule = {
        "uri": request.state.uri("user_availability_schedules", user.id),
        "default": True,
        "name": "Working hours",
        "user": request.state.uri("users", user.id),
        "timezone": user.timezone,
        "rules": rules,
    }
    return 200, {"collection": [schedule]}


async def _scheduling_link(request: ApiRequest) -> Reply:
    state, body = request.state, request.body
    problems = []
    if body.get("max_event_count") != 1:
        problems.append(detail("max_event_count", "must be 1"))
    if body.get("owner_type") != "EventType":
        problems.append(detail("owner_type", "must be EventType"))
    id_ = state.id_in("event_types", body.get("owner"))
    if id_ is None:
        problems.append(detail("owner", "must be a URI of event_types"))
    if problems or id_ is None:
        raise invalid(*problems)
    event_type = find_event_type(request, id_)
    if event_type.deleted_at is not None:
        raise not_found()
    code = state.new_id().lower()
    url = f"{state.site_url}/d/{code[:4]}-{code[4:8]}/{event_type.slug}"
    state.scheduling_links[url] = event_type.id
    return 201, {"resource": {"booking_url": url, "owner": body["owner"], "owner_type": "EventType"}}


OPERATIONS: Final = [
    Operation("GET", "/users/{uuid}", ("users:read",), _user),
    Operation("GET", "/event_types", ("event_types:read",), _event_types),
    Operation("GET", "/event_types/{uuid}", ("event_types:read",), _event_type),
    # Two official pages name different scopes for this one
    Operation("GET", "/event_type_available_times", ("event_types:read", "availability:read"), _available_times),
    Operation("GET", "/user_busy_times", ("availability:read",), _busy_times),
    Operation("GET", "/user_availability_schedules", ("availability:read",), _schedules),
    Operation("POST", "/scheduling_links", ("scheduling_links:write",), _scheduling_link),
]

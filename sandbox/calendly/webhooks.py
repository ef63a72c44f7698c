"""Webhook subscriptions, and what is sent to them (Calendly API v2, webhooks).

Subscriptions to `event_type.…` and `routing_form_submission.created` are taken, and never hear anything: what those
webhooks carry is not known. The same goes for the scope `group`, which is refused.
"""

import json
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from sandbox.calendly.errors import (
    NO_PERMISSION,
    NOT_YOURS,
    PLAN,
    denied,
    detail,
    error,
    invalid,
    scope_missing,
)
from sandbox.calendly.fields import micros
from sandbox.calendly.listing import choice, ordered, paginate
from sandbox.calendly.records import TRACKING_KEYS, Invitee, Json, Subscription, SubscriptionScope
from sandbox.calendly.render import event_json, invitee_json, subscription_json
from sandbox.calendly.request import ApiRequest, Operation, Reply
from sandbox.calendly.state import State
from sandbox.deliveries import Endpoint

INVITEE_EVENTS: Final = ("invitee.created", "invitee.canceled", "invitee_no_show.created", "invitee_no_show.deleted")
_EVENT_TYPE_EVENTS: Final = ("event_type.created", "event_type.updated", "event_type.deleted")
_ORGANIZATION_EVENTS: Final = ("routing_form_submission.created",)
_EVENTS: Final = (*INVITEE_EVENTS, *_EVENT_TYPE_EVENTS, *_ORGANIZATION_EVENTS)
_SCOPES: Final[dict[str, SubscriptionScope]] = {"user": "user", "organization": "organization"}


def emit(state: State, kind: str, invitee: Invitee) -> None:
    """Tell all who subscribed to it what happened to an invitee, as it is now."""
    mode = state.switches.webhooks
    event = state.events[invitee.event]
    organization = state.users[event.hosts[0]].organization
    payload = invitee_json(state, invitee) | {"scheduled_event": event_json(state, event)}
    for subscription in state.subscriptions.values():
        hears = subscription.user in event.hosts if subscription.scope == "user" else True
        if kind not in subscription.events or subscription.organization != organization or not hears:
            continue
        if subscription.endpoint.on and mode != "disabled":
            body = json.dumps(_envelope(state, kind, subscription.creator, payload)).encode()
            state.deliveries.add(kind, body, subscription.endpoint, mode)


def _envelope(state: State, kind: str, creator: str, payload: Json) -> Json:
    return {
        "event": kind,
        "created_at": micros(state.now()),
        "created_by": state.uri("users", creator),
        "payload": payload,
    }


async def deliver_due(state: State) -> int:
    """Try each webhook that is due, once; return how many requests were made."""
    state.tick()
    mode = state.switches.webhooks
    sent = await state.deliveries.deliver_due("once" if mode == "disabled" else mode)
    failing = {id(one.endpoint) for one in state.deliveries.unended() if one.state == "pending" and one.answers}
    for id_, subscription in list(state.subscriptions.items()):
        started = _retry_started_at(state, subscription, failing)
        if started != subscription.retry_started_at:
            state.subscriptions[id_] = replace(subscription, retry_started_at=started, updated_at=state.now())
    return sent


def _retry_started_at(state: State, subscription: Subscription, failing: set[int]) -> datetime | None:
    """Return since when deliveries are tried again; a disabled subscription keeps the moment."""
    if id(subscription.endpoint) in failing:
        return subscription.retry_started_at or state.now()
    return None if subscription.endpoint.on else subscription.retry_started_at


def _is_public(url: object, *, local: bool) -> bool:
    """Tell whether Calendly could reach a URL: https, and no host of the caller's own network."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if local:
        return parts.scheme in ("http", "https") and bool(host)
    try:
        return parts.scheme == "https" and ip_address(host).is_global
    except ValueError:
        return parts.scheme == "https" and "." in host


class _Wanted(NamedTuple):
    """A subscription as it was asked for, in the right form."""

    url: str
    events: tuple[str, ...]
    scope: SubscriptionScope
    organization: str
    user: str | None
    key: str


def _read(state: State, body: Json) -> _Wanted:
    """Read what to subscribe to; raises Refusal 400 that names all that is wrong."""
    problems = []
    url, key = body.get("url"), body.get("signing_key")
    scope = _SCOPES.get(str(body.get("scope")))
    if not _is_public(url, local=state.switches.local_webhook_urls):
        problems.append(detail("url", "must be a public https URL"))
    given = body.get("events")
    events = tuple(given) if isinstance(given, list) else ()
    if not events or not all(one in _EVENTS for one in events):
        problems.append(detail("events", f"must be some of: {', '.join(_EVENTS)}"))
    elif len(set(events)) < len(events):
        problems.append(detail("events", "must be unique"))
    elif scope == "user" and set(events) & set(_ORGANIZATION_EVENTS):
        problems.append(detail("events", "are not all available for this scope"))
    if scope is None:
        problems.append(detail("scope", "must be user or organization"))
    organization = state.id_in("organizations", body.get("organization"))
    if organization is None:
        problems.append(detail("organization", "must be a URI of organizations"))
    user = state.id_in("users", body.get("user"))
    if user is None and (scope == "user" or body.get("user") is not None):
        problems.append(detail("user", "must be a URI of users"))
    if key is not None and (not isinstance(key, str) or not key):
        problems.append(detail("signing_key", "must be a text"))
    if problems or organization is None or scope is None:
        raise invalid(*problems)
    return _Wanted(str(url), events, scope, organization, user, key or "")


async def _create(request: ApiRequest) -> Reply:
    state = request.state
    if state.switches.plan == "free_old":
        raise denied(PLAN)
    wanted = _read(state, request.body)
    if wanted.organization != request.user.organization or (wanted.user is not None and wanted.user not in state.users):
        raise denied(NOT_YOURS)
    personal = wanted.scope == "user"
    if (personal and wanted.user != request.user.id) or not (personal or request.is_admin):
        raise denied(NO_PERMISSION)
    _check_rights(request, wanted.events)
    user = wanted.user if personal else None
    if any(_same(one, wanted.url, wanted.organization, user) for one in state.subscriptions.values()):
        raise error(409, "Already Exists", "Hook with this url already exists")
    app, now = state.apps.get(request.token.app or ""), state.now()
    subscription = Subscription(
        id=state.new_id(),
        endpoint=Endpoint(wanted.url, app.signing_key if app else wanted.key),
        events=wanted.events,
        scope=wanted.scope,
        organization=wanted.organization,
        user=user,
        creator=request.user.id,
        created_at=now,
        updated_at=now,
    )
    state.subscriptions[subscription.id] = subscription
    return 201, {"resource": subscription_json(state, subscription)}


def _same(subscription: Subscription, url: str, organization: str, user: str | None) -> bool:
    """A URL is unique per user and organization."""
    return (subscription.endpoint.url, subscription.organization, subscription.user) == (url, organization, user)


def _check_rights(request: ApiRequest, events: tuple[str, ...]) -> None:
    """The data of a webhook also needs the scope that reads it."""
    if set(events) & set(INVITEE_EVENTS) and not request.token.allows("scheduled_events:read"):
        raise scope_missing("scheduled_events:read")
    if set(events) & set(_EVENT_TYPE_EVENTS) and not request.token.allows("event_types:read"):
        raise scope_missing("event_types:read")


def _owner(request: ApiRequest, *, scope: str | None) -> tuple[str, str | None]:
    """Read `organization` and, for the scope user, `user`; raises Refusal 400 and 403."""
    organization, user = request.named("organizations", "organization"), request.named("users", "user")
    if organization is None:
        raise invalid(detail("organization", "must be filled"))
    if scope is None:
        raise invalid(detail("scope", "must be filled"))
    if scope == "user" and user is None:
        raise invalid(detail("user", "must be filled"))
    if organization != request.user.organization:
        raise denied(NO_PERMISSION)
    if scope == "organization" and not request.is_admin:
        raise denied(NOT_YOURS)
    if scope == "user" and user != request.user.id:
        raise denied("Unauthorized")
    return organization, user


async def _list(request: ApiRequest) -> Reply:
    state = request.state
    scope = choice(request, "scope", "user", "organization")
    organization, user = _owner(request, scope=scope)
    found = [
        one
        for one in state.subscriptions.values()
        if (one.organization, one.scope) == (organization, scope) and (scope == "organization" or one.user == user)
    ]
    ordered_hooks = ordered(request, found, {"created_at": lambda one: one.created_at}, "created_at:asc")
    return paginate(request, ordered_hooks, lambda one: subscription_json(state, one))


def _mine(request: ApiRequest) -> Subscription:
    subscription = request.find(request.state.subscriptions)
    if subscription.creator != request.user.id and not request.is_admin:
        raise denied(NOT_YOURS)
    return subscription


async def _get(request: ApiRequest) -> Reply:
    return 200, {"resource": subscription_json(request.state, _mine(request))}


async def _delete(request: ApiRequest) -> Reply:
    subscription = _mine(request)
    subscription.endpoint.on = False
    del request.state.subscriptions[subscription.id]
    return 204, None


async def _sample(request: ApiRequest) -> Reply:
    """Answer a made-up webhook, the bare envelope as it would be posted."""
    state = request.state
    kind = choice(request, "event", *INVITEE_EVENTS)
    if kind is None:
        raise invalid(detail("event", "must be filled"))
    _owner(request, scope=choice(request, "scope", "user", "organization"))
    event, now = state.uri("scheduled_events", "SAMPLEEVENT00000"), micros(state.now())
    canceled = kind == "invitee.canceled"
    payload: Json = {
        "uri": f"{event}/invitees/SAMPLEINVITEE000",
        "email": "sample@example.com",
        "name": "Sample Invitee",
        "status": "canceled" if canceled else "active",
        "timezone": request.user.timezone,
        "event": event,
        "questions_and_answers": [],
        "tracking": dict.fromkeys(TRACKING_KEYS),
        "rescheduled": False,
        "old_invitee": None,
        "new_invitee": None,
        "cancel_url": f"{state.site_url}/cancellations/SAMPLEINVITEE000",
        "reschedule_url": f"{state.site_url}/reschedulings/SAMPLEINVITEE000",
        "created_at": now,
        "updated_at": now,
        "scheduled_event": {"uri": event, "name": "Sample event", "status": "canceled" if canceled else "active"},
    }
    return 200, _envelope(state, kind, request.user.id, payload)


OPERATIONS: Final = [
    Operation("POST", "/webhook_subscriptions", ("webhooks:write",), _create),
    Operation("GET", "/webhook_subscriptions", ("webhooks:read",), _list),
    Operation("GET", "/webhook_subscriptions/{uuid}", ("webhooks:read",), _get),
    Operation("DELETE", "/webhook_subscriptions/{uuid}", ("webhooks:write",), _delete),
    Operation("GET", "/sample_webhook_data", ("webhooks:read",), _sample),
]

"""Webhook subscriptions of a user and of an event type (calcom-api.md, section 12.1). No version header is needed."""

from dataclasses import replace
from typing import Any, Final

from sandbox.calcom import fields, views
from sandbox.calcom.errors import conflict, not_found
from sandbox.calcom.events import TRIGGERS, WEBHOOK_VERSION
from sandbox.calcom.fields import Field
from sandbox.calcom.paging import MOST, PAGE
from sandbox.calcom.request import ApiRequest, Operation, Reply, success
from sandbox.calcom.state import Webhook
from sandbox.deliveries import Endpoint

_KNOWN: Final = {
    "active": Field(fields.boolean, required=True),
    "subscriberUrl": Field(fields.url, required=True),
    "triggers": Field(fields.list_of(fields.one_of(*TRIGGERS)), required=True),
    "secret": Field(fields.text, nullable=True),
    "payloadTemplate": Field(fields.text, nullable=True),
    "version": Field(fields.one_of(WEBHOOK_VERSION)),
}


async def _list(request: ApiRequest) -> Reply:
    """One array, without `pagination`."""
    asked = request.ask(PAGE)
    skip = asked.get("skip", 0)
    found = _mine(request)[skip : skip + asked.get("take", MOST)]
    return success([views.webhook(one) for one in found])


async def _post(request: ApiRequest) -> Reply:
    state, asked = request.state, request.read(_KNOWN)
    _check_url(request, asked["subscriberUrl"])
    made = Webhook(
        id=state.new_uuid(),
        owner_id=request.user.id,
        event_type_id=_of_type(request),
        triggers=asked["triggers"],
        active=asked["active"],
        payload_template=asked.get("payloadTemplate"),
        version=asked.get("version", WEBHOOK_VERSION),
        endpoint=Endpoint(asked["subscriberUrl"], asked.get("secret") or ""),
    )
    state.webhooks[made.id] = made
    return success(views.webhook(made), 201)


async def _get(request: ApiRequest) -> Reply:
    return success(views.webhook(_one(request)))


async def _patch(request: ApiRequest) -> Reply:
    present, asked = _one(request), request.read(_KNOWN, partial=True)
    if "subscriberUrl" in asked:
        _check_url(request, asked["subscriberUrl"], besides=present.id)
        present.endpoint.url = asked["subscriberUrl"]
    if "secret" in asked:
        present.endpoint.secret = asked["secret"] or ""
    names = {"triggers": "triggers", "active": "active", "payloadTemplate": "payload_template", "version": "version"}
    changes: dict[str, Any] = {attribute: asked[name] for name, attribute in names.items() if name in asked}
    changed = replace(present, **changes)
    request.state.webhooks[changed.id] = changed
    return success(views.webhook(changed))


async def _delete(request: ApiRequest) -> Reply:
    gone = request.state.webhooks.pop(_one(request).id)
    return success(views.webhook(gone))


def _of_type(request: ApiRequest) -> int | None:
    return request.own_event_type().id if "eventTypeId" in request.params else None


def _mine(request: ApiRequest) -> list[Webhook]:
    kind = _of_type(request)
    return [w for w in request.state.webhooks.values() if w.owner_id == request.user.id and w.event_type_id == kind]


def _one(request: ApiRequest) -> Webhook:
    wanted = request.params["webhookId"]
    found = next((one for one in _mine(request) if one.id == wanted), None)
    if found is None:
        raise not_found(f"Webhook ({wanted}) not found.")
    return found


def _check_url(request: ApiRequest, url: str, besides: str | None = None) -> None:
    """The same address twice is refused."""
    if any(one.endpoint.url == url and one.id != besides for one in _mine(request)):
        raise conflict("Webhook with this subscriber url already exists for this user")


OPERATIONS: Final = [
    operation
    for path in ("/webhooks", "/event-types/{eventTypeId}/webhooks")
    for operation in (
        Operation("GET", path, _list),
        Operation("POST", path, _post),
        Operation("GET", f"{path}/{{webhookId}}", _get),
        Operation("PATCH", f"{path}/{{webhookId}}", _patch),
        Operation("DELETE", f"{path}/{{webhookId}}", _delete),
    )
]

"""The operator's side of the Calendly sandbox: switches, and all acts of owners and strangers, as JSON and as one page.

A form's answer is the page again, a program's is JSON.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any, get_args, get_type_hints

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.calendly import acts, limits, webhooks
from sandbox.calendly.control import Switches
from sandbox.calendly.pages import render
from sandbox.calendly.records import Json, Role, Token
from sandbox.calendly.render import event_json, event_type_json, invitee_json, subscription_json, user_json
from sandbox.calendly.seed import seed_adviser
from sandbox.calendly.site import next_openings
from sandbox.calendly.state import State
from sandbox.faults import FAULT_KINDS, BadControl, parse_fault
from sandbox.operating import common_routes, strict

_FORM = "application/x-www-form-urlencoded"
_DESK = "/_sandbox/"
_FEW_TIMES = 12
_ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
_LATEST_CALLS = 30


def control_routes(state: State) -> list[Route]:
    """Return the routes below /_sandbox."""
    desk = _Desk(state)
    acts_by_path: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/switches": desk.set_switches,
        "/faults": desk.add_faults,
        "/reset": desk.reset,
        "/seed": desk.seed,
        "/deliver": desk.deliver,
        "/busy_times": desk.block_time,
        "/users": desk.add_user,
        "/users/{id}/hours": desk.change_hours,
        "/event_types": desk.add_event_type,
        "/event_types/{id}": desk.change_event_type,
        "/event_types/{id}/delete": desk.delete_event_type,
        "/event_types/{id}/questions": desk.change_questions,
        "/event_types/{id}/book": desk.book,
        "/events/{id}/cancel": desk.cancel_as_host,
        "/invitees/{id}/cancel": desk.cancel_as_invitee,
        "/invitees/{id}/reschedule": desk.reschedule,
        "/tokens": desk.add_token,
        "/tokens/{token}/scopes": desk.set_scopes,
        "/tokens/{token}/revoke": desk.revoke_token,
        "/tokens/{token}/expire": desk.expire_token,
    }
    return [
        Route("/", desk.page, methods=["GET"]),
        Route("/state", desk.show_state, methods=["GET"]),
        Route("/switches", desk.show_switches, methods=["GET"]),
        Route("/switches", strict(desk.set_switches), methods=["PATCH"]),
        *(Route(path, strict(act), methods=["POST"]) for path, act in acts_by_path.items()),
        *common_routes(state),
    ]


class _Desk:
    def __init__(self, state: State) -> None:
        self._state = state

    async def page(self, request: Request) -> Response:
        state = self._state
        state.tick()
        creates = limits.creates(state, state.owner)
        context = {
            "now": state.now(),
            "owner": state.owner,
            "event_types": [
                (one, next_openings(state, one)[:_FEW_TIMES])
                for one in state.event_types.values()
                if one.deleted_at is None
            ],
            "events": [
                (
                    event,
                    state.event_types[event.event_type],
                    state.invitees_of(event),
                    next_openings(state, state.event_types[event.event_type], ignoring=event)[:_FEW_TIMES],
                )
                for event in list(state.events.values())[::-1]
            ],
            "subscriptions": [subscription_json(state, one) for one in state.subscriptions.values()],
            "deliveries": state.deliveries.queue[::-1],
            "tokens": list(state.tokens.values()),
            "calls": state.calls[: -_LATEST_CALLS - 1 : -1],
            "faults": state.faults,
            "fault_kinds": FAULT_KINDS,
            "switches": asdict(state.switches),
            "choices": _choices(),
            "creates": creates,
            "calls_left": limits.calls(state, state.owner),
        }
        return render(request, "calendly_desk.html", context)

    async def show_state(self, _: Request) -> Response:
        """All objects as the API shows them, without a token."""
        state = self._state
        state.tick()
        return JSONResponse(
            {
                "users": [user_json(state, one) for one in state.users.values()],
                "event_types": [event_type_json(state, one) for one in state.event_types.values()],
                "events": [event_json(state, one) for one in state.events.values()],
                "invitees": [invitee_json(state, one) for one in state.invitees.values()],
                "webhook_subscriptions": [subscription_json(state, one) for one in state.subscriptions.values()],
                "deliveries": [
                    {
                        "event": one.kind,
                        "url": one.endpoint.url,
                        "state": one.state,
                        "answers": one.answers,
                        "due_at": one.due_at.isoformat(),
                    }
                    for one in state.deliveries.queue
                ],
            }
        )

    async def show_switches(self, _: Request) -> Response:
        return JSONResponse(asdict(self._state.switches))

    async def set_switches(self, request: Request) -> Response:
        """`{name: value, …}`; a form has all of them, and leaves out the boxes that are not ticked."""
        changes = await _body(request)
        if _is_form(request):
            changes = _switches_of_form(changes)
        self._state.switches.update(changes)
        return _done(request, asdict(self._state.switches))

    async def add_faults(self, request: Request) -> Response:
        """One fault, or a list of them."""
        raw = await _body(request)
        if _is_form(request):
            raw = {name: int(value) if value.isdecimal() else value for name, value in raw.items() if value}
        self._state.faults += [parse_fault(item) for item in (raw if isinstance(raw, list) else [raw])]
        return _done(request, [asdict(fault) for fault in self._state.faults], 201)

    async def reset(self, request: Request) -> Response:
        self._state.clear()
        return _done(request, {})

    async def seed(self, request: Request) -> Response:
        """Forget everything and make the adviser."""
        self._state.clear()
        return _done(request, asdict(seed_adviser(self._state)), 201)

    async def deliver(self, request: Request) -> Response:
        return _done(request, {"sent": await webhooks.deliver_due(self._state)})

    async def block_time(self, request: Request) -> Response:
        """`{"start_time", "end_time", "user"?}`: an entry in a connected calendar."""
        body = await _object(request)
        start, end = _moment(body, "start_time"), _moment(body, "end_time")
        acts.block_time(self._state, start, end, user=body.get("user") or None)
        return _done(request, {"start_time": start.isoformat(), "end_time": end.isoformat()}, 201)

    async def add_user(self, request: Request) -> Response:
        """`{"name", "email", "role"?, "timezone"?}`."""
        body = await _object(request)
        if (role := _ROLES.get(body.get("role", "user"))) is None:
            raise BadControl(f"role is one of {tuple(_ROLES)}")
        name, email = str(body.get("name", "")), str(body.get("email", ""))
        zone = body.get("timezone") or "America/New_York"
        user = acts.add_user(self._state, name, email, role=role, timezone=zone)
        return _done(request, user_json(self._state, user), 201)

    async def change_hours(self, request: Request) -> Response:
        """`{"monday": [["09:00", "12:30"], …], …}`; a day that is left out is free."""
        user = acts.change_hours(self._state, request.path_params["id"], await _object(request))
        return _done(request, {"hours": user.hours})

    async def add_event_type(self, request: Request) -> Response:
        """`{"name", "duration", …}` with the settings of sandbox.calendly.records.EventType."""
        made = acts.add_event_type(self._state, **await _object(request))
        return _done(request, event_type_json(self._state, made), 201)

    async def change_event_type(self, request: Request) -> Response:
        """`{"active": false}` deactivates; any other setting of an event type changes in the same way."""
        body = await _object(request)
        if _is_form(request):
            body = {"active": body.get("active") == "true"}
        changed = acts.change_event_type(self._state, request.path_params["id"], **body)
        return _done(request, event_type_json(self._state, changed))

    async def delete_event_type(self, request: Request) -> Response:
        deleted = acts.delete_event_type(self._state, request.path_params["id"])
        return _done(request, event_type_json(self._state, deleted))

    async def change_questions(self, request: Request) -> Response:
        """`{"custom_questions": […]}` replaces all; a form's `name` adds a required one, without a name all go."""
        body, id_ = await _object(request), request.path_params["id"]
        if _is_form(request):
            present = acts.find(self._state.event_types, id_, "event type").custom_questions
            added = {"name": body["name"], "required": True} if body.get("name") else None
            body = {"custom_questions": [*present, added] if added else []}
        if not isinstance(body.get("custom_questions"), list):
            raise BadControl("custom_questions is a list")
        changed = acts.change_event_type(self._state, id_, custom_questions=body["custom_questions"])
        return _done(request, event_type_json(self._state, changed))

    async def book(self, request: Request) -> Response:
        """`{"start_time", "name"?, "email"?, "tracking"?, "answers"?}`: a stranger books on Calendly's page."""
        body = await _object(request)
        invitee = acts.book(
            self._state,
            request.path_params["id"],
            _moment(body, "start_time"),
            **_texts(body, "name", "email"),
            tracking=body.get("tracking"),
            answers=body.get("answers"),
        )
        return _done(request, invitee_json(self._state, invitee), 201)

    async def cancel_as_host(self, request: Request) -> Response:
        """`{"reason"?}`."""
        reason = (await _object(request)).get("reason")
        event = acts.cancel_as_host(self._state, request.path_params["id"], reason)
        return _done(request, event_json(self._state, event))

    async def cancel_as_invitee(self, request: Request) -> Response:
        """`{"reason"?}`."""
        reason = (await _object(request)).get("reason")
        invitee = acts.cancel_as_invitee(self._state, request.path_params["id"], reason)
        return _done(request, invitee_json(self._state, invitee))

    async def reschedule(self, request: Request) -> Response:
        """`{"start_time", "by"?: "invitee" | "host"}`."""
        body = await _object(request)
        by = body.get("by", "invitee")
        if by not in ("host", "invitee"):
            raise BadControl("by is host or invitee")
        moved = acts.reschedule(self._state, request.path_params["id"], _moment(body, "start_time"), by=by)
        return _done(request, invitee_json(self._state, moved), 201)

    async def add_token(self, request: Request) -> Response:
        """`{"token", "scopes", "user"?}`."""
        body = await _object(request)
        value, scopes = body.get("token"), body.get("scopes")
        if not isinstance(value, str) or not isinstance(scopes, list):
            raise BadControl("a token is an object with token and scopes")
        acts.add_token(self._state, value, scopes, user=body.get("user"))
        return _done(request, {"scopes": sorted(scopes)}, 201)

    async def set_scopes(self, request: Request) -> Response:
        """`{"scopes": […]}`; a form removes all."""
        scopes = [] if _is_form(request) else (await _object(request)).get("scopes")
        if not isinstance(scopes, list):
            raise BadControl("scopes is a list")
        return self._token(request, acts.set_scopes(self._state, request.path_params["token"], scopes))

    async def revoke_token(self, request: Request) -> Response:
        return self._token(request, acts.revoke_token(self._state, request.path_params["token"]))

    async def expire_token(self, request: Request) -> Response:
        return self._token(request, acts.expire_token(self._state, request.path_params["token"]))

    def _token(self, request: Request, token: Token) -> Response:
        return _done(request, {"scopes": sorted(token.scopes), "revoked": token.revoked})


def _choices() -> dict[str, list[object]]:
    """Return the switches that have few values, with these."""
    hints = get_type_hints(Switches)
    found: dict[str, list[object]] = {}
    for one in fields(Switches):
        values = [value for part in (get_args(hints[one.name]) or ()) for value in (get_args(part) or (part,))]
        if values and all(isinstance(value, str) or type(value) is int for value in values):
            found[one.name] = values
    return found


def _switches_of_form(given: dict[str, str]) -> Json:
    """Return a form's switches with their types: every box, and numbers, of which an empty one is none."""
    changes: Json = {}
    for one in fields(Switches):
        if isinstance(one.default, bool):
            changes[one.name] = one.name in given
        elif one.name in given:
            value = given[one.name]
            changes[one.name] = int(value) if value.isdecimal() else value or None
    return changes


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith(_FORM)


async def _body(request: Request) -> Any:
    if _is_form(request):
        async with request.form() as form:
            return {name: str(value) for name, value in form.items()}
    if not await request.body():
        return {}
    try:
        return await request.json()
    except ValueError as error:
        raise BadControl("the body is not JSON") from error


async def _object(request: Request) -> Json:
    body = await _body(request)
    if not isinstance(body, dict):
        raise BadControl("the body is a JSON object")
    return body


def _texts(body: Json, *names: str) -> dict[str, str]:
    """Return those of the named fields that are given, which are texts."""
    found = {name: body[name] for name in names if body.get(name)}
    if not all(isinstance(value, str) for value in found.values()):
        raise BadControl(f"{', '.join(names)} are texts")
    return found


def _moment(body: Json, name: str) -> datetime:
    """Read a time with an offset; a form's without one is UTC."""
    try:
        at = datetime.fromisoformat(body[name])
    except (KeyError, TypeError, ValueError) as error:
        raise BadControl(f"{name} is an ISO 8601 time with an offset") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _done(request: Request, answer: Any, status: int = 200) -> Response:
    return RedirectResponse(_DESK, 303) if _is_form(request) else JSONResponse(answer, status)

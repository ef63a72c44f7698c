"""The Calendly sandbox as an ASGI app: faults, authentication, rate limit, routing, scopes, and the call log.

Serves the API at its root paths, OAuth below /oauth, the public pages below /site and the operator's controls below
/_sandbox. Checks come in the order 401, 429, 404, 403 (scope), then the operation's own. A path or method that the API
does not have is a 404: among them every way to hold a time or to reschedule.
"""

import json
import re
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sandbox.calendly import account, events, invitees, limits, oauth, site, webhooks
from sandbox.calendly.errors import (
    Refusal,
    detail,
    invalid,
    not_found,
    scope_missing,
    server_error,
    too_many,
    unauthenticated,
)
from sandbox.calendly.limits import Allowance
from sandbox.calendly.operator import control_routes
from sandbox.calendly.records import Json, Token, User
from sandbox.calendly.request import ApiRequest, Operation
from sandbox.calendly.state import State
from sandbox.faults import GATEWAY_PAGE, Call, Fault, logged, silence, take_fault

OPERATIONS: Final[list[Operation]] = [
    *account.OPERATIONS,
    *events.OPERATIONS,
    *invitees.OPERATIONS,
    *webhooks.OPERATIONS,
]


def _routes() -> list[tuple[re.Pattern[str], dict[str, Operation]]]:
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), methods) for path, methods in by_path.items()]


_ROUTES: Final = _routes()


def create_app(state: State) -> Starlette:
    """Return the app that serves one organization."""
    return Starlette(
        routes=[
            Mount("/_sandbox", routes=control_routes(state)),
            Mount("/site", routes=site.routes(state)),
            *oauth.routes(state),
            Mount("/", app=_Api(state)),
        ]
    )


class _Api:
    """Everything that Calendly answers in JSON."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body, path = await request.body(), request.url.path
        call = Call(self.state.now(), request.method, path, request.url.query, None, logged(body))
        self.state.calls.append(call)
        self.state.tick()
        fault = take_fault(self.state.faults, request.method, path) or oauth.loses_reply(self.state, path, body)
        response = await self._troubled(fault, request, body) if fault else await self._answer(request, body)
        if response:
            call.status = response.status_code
            await response(scope, receive, send)
        elif fault:
            await silence(fault.kind, receive)

    async def _troubled(self, fault: Fault, request: Request, body: bytes) -> Response | None:
        """Return the answer that a fault lets through, with the request's effect or without; None is silence."""
        user = self._user(request)
        match fault.kind:
            case "drop_before" | "hang":
                return None
            case "error_before":
                return self._refuse(server_error(fault.status), user)
            case "refuse":
                return self._reply(fault.status, fault.body, user)
            case "html_body":
                return Response(GATEWAY_PAGE, 502, media_type="text/html")
            case "rate_limited":
                limit = limits.calls(self.state, user).limit
                return self._refuse(too_many(Allowance(limit, 0, fault.retry_after).headers()), user)
        answer = await self._answer(request, body)
        match fault.kind:
            case "error_after":
                return self._refuse(server_error(fault.status), user)
            case "truncated_json":
                whole = bytes(answer.body)
                return Response(whole[: len(whole) // 2], answer.status_code, media_type="application/json")
            case "drop_after" | "hang_after":
                return None

    async def _answer(self, request: Request, body: bytes) -> Response:
        """Handle a request as Calendly would."""
        state, path = self.state, request.url.path
        if (request.method, path) == ("POST", oauth.TOKEN_PATH):
            headers = request.headers
            return oauth.token(state, headers.get("authorization", ""), headers.get("content-type", ""), body)
        user: User | None = None
        changed: dict[str, str] = {}
        try:
            token = self._token(request)
            user = state.users[token.user]
            limits.count_call(state, user)
            operation, params = _find(request.method, path)
            for scope in operation.scopes:
                if not token.allows(scope):
                    raise scope_missing(scope)
            query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
            parsed = _parse_body(request, body)
            status, shown = await operation.handler(
                ApiRequest(state, token, user, params, query, parsed, path, changed)
            )
        except Refusal as refusal:
            return self._refuse(refusal, user)
        return self._reply(status, shown, user, changed)

    def _token(self, request: Request) -> Token:
        """Return the caller's token; raises Refusal 401 with one of three messages."""
        token, switch = self._known(request), self.state.switches.token
        if token is None:
            raise unauthenticated("The access token is invalid")
        if token.revoked or switch == "revoked":
            raise unauthenticated("The access token was revoked")
        if switch == "expired" or (token.expires_at is not None and token.expires_at <= self.state.now()):
            raise unauthenticated("The access token expired")
        if switch == "scope_missing":
            return Token(token.value, token.user, frozenset(), token.expires_at, app=token.app)
        return token

    def _known(self, request: Request) -> Token | None:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return self.state.tokens.get(value) if scheme.lower() == "bearer" else None

    def _user(self, request: Request) -> User | None:
        token = self._known(request)
        return self.state.users[token.user] if token else None

    def _refuse(self, refusal: Refusal, user: User | None) -> Response:
        return self._reply(refusal.status, refusal.body, user, refusal.headers)

    def _reply(self, status: int, body: Any, user: User | None, headers: dict[str, str] | None = None) -> Response:
        return Response(
            b"" if body is None else json.dumps(body).encode(),
            status,
            headers=limits.calls(self.state, user).headers() | (headers or {}),
            media_type=None if body is None else "application/json",
        )


def _find(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    for pattern, methods in _ROUTES:
        if (found := pattern.fullmatch(path)) and method in methods:
            return methods[method], found.groupdict()
    raise not_found()


def _parse_body(request: Request, body: bytes) -> Json:
    """Return the JSON object of a request that has one; strict, so that a client's mistake is seen."""
    if not body or request.method != "POST":
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise invalid(detail("body", "must be sent as application/json"))
    try:
        parsed = json.loads(body)
    except ValueError as error:
        raise invalid(detail("body", "is not valid JSON")) from error
    if not isinstance(parsed, dict):
        raise invalid(detail("body", "must be a JSON object"))
    return parsed

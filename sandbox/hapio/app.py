"""The Hapio sandbox as an ASGI app: faults, authentication, rate limit, routing, abilities, and the call log.

Serves the 60 operations under /v1 and the operator's controls under /_sandbox. Checks come in the order 401, 429,
404/405, 403, then the operation's own 404 and 422.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sandbox.faults import GATEWAY_PAGE, Call, Fault, logged, silence, take_fault
from sandbox.hapio import bookings, groups, schedule, setup, slots
from sandbox.hapio.errors import Refusal, RuleFailure, forbidden, not_found
from sandbox.hapio.operator import control_routes
from sandbox.hapio.request import ApiRequest, Operation, Reply
from sandbox.hapio.state import Json, State

OPERATIONS: Final[list[Operation]] = [
    *setup.OPERATIONS,
    *schedule.OPERATIONS,
    *slots.OPERATIONS,
    *bookings.OPERATIONS,
    *groups.OPERATIONS,
]
_CORS: Final = {"access-control-allow-origin": "*"}
# Hapio's React booking flow calls the API from the visitor's browser, with its token. A browser asks first and sends
# no Authorization with that question (Fetch standard, CORS-preflight fetch). Which headers Hapio answers with is not
# documented.
_PREFLIGHT: Final = {
    "access-control-allow-headers": "authorization, content-type",
    "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-max-age": "600",
}


def _routes() -> list[tuple[re.Pattern[str], dict[str, Operation]]]:
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [(_pattern(path), methods) for path, methods in by_path.items()]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{([a-z-]+)\}", lambda m: f"(?P<{m[1].replace('-', '_')}>[^/]+)", path))


_ROUTES: Final = _routes()


def create_app(state: State) -> Starlette:
    """Return the app that serves one sandbox project."""
    return Starlette(routes=[Mount("/v1", app=_Api(state)), Mount("/_sandbox", routes=control_routes(state))])


class _Api:
    """Everything under /v1."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method == "OPTIONS":
            await Response(status_code=204, headers=_CORS | _PREFLIGHT)(scope, receive, send)
            return
        body = await request.body()
        call = Call(self.state.now(), request.method, request.url.path, request.url.query, None, logged(body))
        self.state.calls.append(call)
        fault = take_fault(self.state.faults, request.method, request.url.path)
        response = await self._troubled(fault, request, body) if fault else await self._answer(request, body)
        if response:
            call.status = response.status_code
            await response(scope, receive, send)
        elif fault:
            await silence(fault.kind, receive)

    async def _troubled(self, fault: Fault, request: Request, body: bytes) -> Response | None:
        """Return the answer that a fault lets through, with the request's effect or without; None is silence."""
        match fault.kind:
            case "drop_before" | "hang":
                return None
            case "error_before":
                return self._reply((fault.status, {"message": "Server Error"}))
            case "refuse":
                return self._reply((fault.status, fault.body))
            case "html_body":
                return Response(GATEWAY_PAGE, 502, media_type="text/html")
            case "rate_limited":
                headers = {"x-ratelimit-remaining": "0", "retry-after": str(fault.retry_after)}
                return self._reply((429, {"message": "Too Many Attempts."}), headers)
        answer = await self._answer(request, body)
        match fault.kind:
            case "error_after":
                return self._reply((fault.status, {"message": "Server Error"}))
            case "truncated_json":
                whole = bytes(answer.body)
                return Response(whole[: len(whole) // 2], answer.status_code, media_type="application/json")
            case "drop_after" | "hang_after":
                return None

    async def _answer(self, request: Request, body: bytes) -> Response:
        """Handle a request as Hapio would."""
        state = self.state
        state.expire_temporary()
        abilities = state.tokens.get(_token(request))
        if abilities is None:
            return self._reply((401, {"message": "Unauthenticated."}))
        if (wait := self._over_limit()) is not None:
            message = "Too Many Attempts." if self._minute_left() == 0 else "Monthly request quota exceeded."
            return self._reply((429, {"message": message}), {"retry-after": str(wait)})
        try:
            operation, params = _find(request.method, request.scope["path"].removeprefix(request.scope["root_path"]))
            if operation.ability is not None and operation.ability not in abilities:
                raise forbidden()
            query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
            url = str(request.url.replace(query="", fragment=""))
            parsed = _parse_body(request, body)
            reply = await operation.handler(ApiRequest(state, abilities, params, query, parsed, url))
        except RuleFailure as failure:
            reply = 422, self._rule_failure(failure)
        except Refusal as refusal:
            reply = refusal.status, refusal.body
        return self._reply(reply)

    def _rule_failure(self, failure: RuleFailure) -> Json:
        if self.state.switches.rule_error_shape == "B":
            return failure.body
        return {"message": "The given data was invalid.", "errors": {failure.field: [failure.message]}}

    def _over_limit(self) -> int | None:
        """Count the request, or return how many seconds it must wait.

        The window of a minute opens with its first request; limits are counted per project, as is the month.
        """
        state, now = self.state, self.state.now().astimezone(UTC)
        if state.window_started_at is None or now - state.window_started_at >= timedelta(minutes=1):
            state.window_started_at, state.window_used = now, 0
        if self._minute_left() == 0:
            return max(1, 60 - int((now - state.window_started_at).total_seconds()))
        if state.month != (now.year, now.month):
            state.month, state.month_used = (now.year, now.month), 0
        quota = state.switches.monthly_quota
        if quota is not None and state.month_used >= quota:
            return int((_next_month(now) - now).total_seconds()) + 1
        state.window_used += 1
        state.month_used += 1
        return None

    def _minute_left(self) -> int:
        return max(0, self.state.switches.rate_limit_per_minute - self.state.window_used)

    def _reply(self, reply: Reply, headers: dict[str, str] | None = None) -> Response:
        status, body = reply
        content = b"" if body is None else json.dumps(body).encode()
        return Response(
            content,
            status,
            headers={
                **_CORS,
                "x-ratelimit-limit": str(self.state.switches.rate_limit_per_minute),
                "x-ratelimit-remaining": str(self._minute_left()),
                **(headers or {}),
            },
            media_type=None if body is None else "application/json",
        )


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _next_month(now: datetime) -> datetime:
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (start + timedelta(days=32)).replace(day=1)


def _find(method: str, path: str) -> tuple[Operation, dict[str, str]]:
    for pattern, methods in _ROUTES:
        if found := pattern.fullmatch(path):
            if method not in methods:
                allowed = ", ".join(methods)
                text = f"The {method} method is not supported for this route. Supported methods: {allowed}."
                raise Refusal(405, {"message": text})
            return methods[method], {name.replace("_", "-"): value for name, value in found.groupdict().items()}
    raise not_found("route")


def _parse_body(request: Request, body: bytes) -> Json:
    """Return the JSON object of a request that has one; strict, so that a client's mistake is seen."""
    if not body or request.method not in ("POST", "PUT", "PATCH"):
        return {}
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(422, {"message": "The request body must be sent as application/json."})
    try:
        parsed = json.loads(body, parse_constant=_no_constant)
    except ValueError as error:
        raise Refusal(422, {"message": "The request body is not valid JSON."}) from error
    if not isinstance(parsed, dict) and parsed != []:
        raise Refusal(422, {"message": "The request body must be a JSON object."})
    return parsed or {}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")

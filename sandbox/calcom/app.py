"""The Cal.com sandbox as an ASGI app: faults, credentials, rate limit, version, routing, and the call log.

Checks come in the order 401 for a bad key, 429, 404 for the path and the version, 401 for no key, then the operation's
own.
"""

import json
import re
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from sandbox.calcom import account, bookings, event_types, reservations, schedules, slots, webhooks
from sandbox.calcom.errors import BARE_500, TOO_MANY, Refusal, bad_request, invalid, not_found, unauthorized
from sandbox.calcom.fields import WrongFields
from sandbox.calcom.limits import Count
from sandbox.calcom.request import ApiRequest, Operation, Reply
from sandbox.calcom.state import Json, State, User
from sandbox.faults import GATEWAY_PAGE, Call, Fault, logged, silence, take_fault

OPERATIONS: Final[list[Operation]] = [
    *account.OPERATIONS,
    *event_types.OPERATIONS,
    *schedules.OPERATIONS,
    *slots.OPERATIONS,
    *reservations.OPERATIONS,
    *bookings.OPERATIONS,
    *webhooks.OPERATIONS,
]
_ACCESS_TOKEN_LIMIT: Final = 500
_CORS: Final = {"access-control-allow-origin": "*"}
_PREFLIGHT: Final = {
    "access-control-allow-headers": "accept, authorization, cal-api-version, content-type, origin",
    "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "access-control-max-age": "86400",
}


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


_ROUTES: Final = [(_pattern(operation.path), operation) for operation in OPERATIONS]


def create_app(state: State, desk: list[BaseRoute]) -> Starlette:
    """Return the app that serves /v2, and the operator's routes under /_sandbox."""
    return Starlette(routes=[Mount("/v2", app=_Api(state)), Mount("/_sandbox", routes=desk)])


class _Api:
    """Everything under /v2."""

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
        failure = self._failure(fault.status, request.url.path)
        match fault.kind:
            case "drop_before" | "hang":
                return None
            case "error_before":
                return self._reply(failure, {})
            case "refuse":
                return self._reply((fault.status, fault.body), {})
            case "html_body":
                return Response(GATEWAY_PAGE, 502, media_type="text/html")
            case "rate_limited":
                limit = self.state.switches.rate_limit_per_minute
                headers = self._limit_headers(0, fault.retry_after, limit) | self._retry_after(fault.retry_after)
                return self._reply(self._failure(429, request.url.path, TOO_MANY), headers)
        answer = await self._answer(request, body)
        match fault.kind:
            case "error_after":
                return self._reply(failure, {})
            case "truncated_json":
                whole = bytes(answer.body)
                return Response(whole[: len(whole) // 2], answer.status_code, media_type="application/json")
            case "drop_after" | "hang_after":
                return None

    def _failure(self, status: int, path: str, message: str = "Refused by a fault.") -> Reply:
        """An error that has nothing to do with the request; a 500 comes without the envelope."""
        if status == 500:
            return 500, dict(BARE_500)
        return status, Refusal(status, message).body(path, self.state.now())

    async def _answer(self, request: Request, body: bytes) -> Response:
        """Handle a request as Cal.com would."""
        state, headers = self.state, dict[str, str]()
        try:
            token = _token(request)
            caller = self._caller(token)
            headers |= self._counted(request, token)
            version = request.headers.get("cal-api-version", "")
            path = request.scope["path"].removeprefix(request.scope["root_path"])
            operation, params = _find(request.method, path, version)
            if operation.needs_credentials and caller is None:
                raise unauthorized("ApiAuthStrategy - no credentials were sent.")
            query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
            parsed = _parse_body(request, body)
            reply = await operation.handler(ApiRequest(state, caller, token, version, params, query, parsed))
        except WrongFields as wrong:
            reply = 400, invalid(wrong.problems).body(request.url.path, state.now())
        except _Limited as limited:
            headers |= limited.headers
            reply = self._failure(429, request.url.path, TOO_MANY)
        except Refusal as refusal:
            reply = refusal.status, refusal.body(request.url.path, state.now())
        return self._reply(reply, headers)

    def _caller(self, token: str) -> User | None:
        """Whose key it is. A bad or expired one is refused even where none is needed."""
        if not token:
            return None
        key = self.state.key_of(token)
        if key is None:
            raise unauthorized("CustomThrottlerGuard - Invalid API Key")
        return self.state.users[key.user_id]

    def _counted(self, request: Request, token: str) -> dict[str, str]:
        """Count the request; raises _Limited."""
        state = self.state
        limit = state.switches.rate_limit_per_minute
        if token and not token.startswith(account.KEY_PREFIX):
            limit = _ACCESS_TOKEN_LIMIT
        address = request.client.host if request.client else "nowhere"
        count = state.limiter.count(token or f"address {address}", limit, state.now())
        headers = self._limit_headers(count.left, _seconds(count, state.now()), limit)
        if count.blocked:
            raise _Limited(headers | self._retry_after(_seconds(count, state.now())))
        return headers

    def _limit_headers(self, left: int, seconds: int, limit: int) -> dict[str, str]:
        unix = self.state.switches.rate_reset == "unix"
        return {
            "x-ratelimit-limit-default": str(limit),
            "x-ratelimit-remaining-default": str(left),
            "x-ratelimit-reset-default": str(int(self.state.now().timestamp()) + seconds if unix else seconds),
        }

    def _retry_after(self, seconds: int) -> dict[str, str]:
        return {"retry-after": str(seconds)} if self.state.switches.retry_after_header else {}

    def _reply(self, reply: Reply, headers: dict[str, str]) -> Response:
        status, body = reply
        return Response(
            json.dumps(body).encode(),
            status,
            headers={**_CORS, "x-request-id": self.state.new_request_id(), **headers},
            media_type="application/json",
        )


class _Limited(Exception):
    """One request too many."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__()
        self.headers = headers


def _seconds(count: Count, now: datetime) -> int:
    return max(1, -int((now - count.reset_at).total_seconds() // 1))


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _find(method: str, path: str, version: str) -> tuple[Operation, dict[str, str]]:
    """The operation of a path under a version. A missing or quoted version matches none that has one."""
    for pattern, operation in _ROUTES:
        found = pattern.fullmatch(path)
        if found and operation.method == method and (not operation.versions or version in operation.versions):
            return operation, found.groupdict()
    raise not_found(f"Cannot {method} /v2{path}")


def _parse_body(request: Request, body: bytes) -> Json:
    """Return the JSON object of a request that has one; without the JSON content type there is none."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body or content_type != "application/json":
        return {}
    try:
        parsed: Any = json.loads(body)
    except ValueError as error:
        raise bad_request("The request body is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise bad_request("The request body must be a JSON object.")
    return parsed

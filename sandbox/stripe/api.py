"""The doors of /v1: key, version, idempotency, faults, schemas; then the act itself."""

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.stripe import (
    balance,
    clockwork,
    disputes,
    endpoints,
    forms,
    lists,
    payments,
    refunds,
    schema,
    sessions,
    versions,
)
from sandbox.stripe.account import Account, Call, Fault, Object
from sandbox.stripe.errors import Dropped, Hung, StripeError, missing
from sandbox.stripe.idempotency import Answer, Memory

Act = Callable[[Account, str, Object], Object]  # (account, id from the path or "", parameters) → answer

MAX_EVENT_TYPES = 20


def _list_sessions(account: Account, _: str, params: Object) -> Object:
    known = account.state.sessions
    email = params.get("customer_details", {}).get("email")
    found = [
        session
        for session in known.values()
        if params.get("status") in (None, session["status"])
        and params.get("payment_intent") in (None, session["payment_intent"])
        and email in (None, (session["customer_details"] or {}).get("email"))
        # Customers, Payment Links and subscriptions are not made here, so nothing belongs to one.
        and not params.keys() & {"customer", "customer_account", "payment_link", "subscription"}
    ]
    return lists.page("checkout.session", "/v1/checkout/sessions", found, known, params)


def _list_lines(account: Account, ident: str, params: Object) -> Object:
    session = sessions.find(account, ident)
    # Lists come newest first; lines in the order in which they were given.
    lines = account.state.terms[session["id"]].line_items[::-1]
    known = {line["id"]: line for line in lines}
    return lists.page("item", f"/v1/checkout/sessions/{ident}/line_items", lines, known, params)


def _list_intents(account: Account, _: str, params: Object) -> Object:
    known = account.state.payment_intents
    found = [] if params.keys() & {"customer", "customer_account"} else list(known.values())
    return lists.page("payment_intent", "/v1/payment_intents", found, known, params)


def _list_refunds(account: Account, _: str, params: Object) -> Object:
    known = account.state.refunds
    return lists.page("refund", "/v1/refunds", _of_payment(known, params), known, params)


def _list_disputes(account: Account, _: str, params: Object) -> Object:
    known = account.state.disputes
    return lists.page("dispute", "/v1/disputes", _of_payment(known, params), known, params)


def _of_payment(known: dict[str, Object], params: Object) -> list[Object]:
    return [
        one
        for one in known.values()
        if params.get("payment_intent") in (None, one["payment_intent"])
        and params.get("charge") in (None, one["charge"])
    ]


def _list_events(account: Account, _: str, params: Object) -> Object:
    if "type" in params and "types" in params:
        raise StripeError("You may only specify one of these parameters: type, types.")
    if len(params.get("types", [])) > MAX_EVENT_TYPES:
        raise StripeError(f"You may pass at most {MAX_EVENT_TYPES} event types.", param="types")
    known = account.state.events
    types = [params["type"]] if "type" in params else params.get("types")
    there = {event["type"] for event in known.values()}
    kinds = there if types is None else {kind for kind in there if any(_matches(wanted, kind) for wanted in types)}
    delivered = params.get("delivery_success")
    found = [
        event
        for event in known.values()
        if event["type"] in kinds and delivered in (None, event["pending_webhooks"] == 0)
    ]
    return lists.page("event", "/v1/events", found, known, params)


def _list_endpoints(account: Account, _: str, params: Object) -> Object:
    known = account.webhook_endpoints
    return lists.page("webhook_endpoint", "/v1/webhook_endpoints", known.values(), known, params)


def _matches(wanted: str, kind: str) -> bool:
    return re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), kind) is not None


def _event(account: Account, ident: str, _: Object) -> Object:
    try:
        return account.state.events[ident]
    except KeyError:
        raise missing("event", ident, param="id") from None


ACTS: dict[str, Act] = {
    "GET /v1/checkout/sessions": _list_sessions,
    "POST /v1/checkout/sessions": lambda account, _, params: sessions.create(account, params),
    "GET /v1/checkout/sessions/{session}": lambda account, ident, _: sessions.find(account, ident),
    "POST /v1/checkout/sessions/{session}": sessions.update,
    "POST /v1/checkout/sessions/{session}/expire": lambda account, ident, _: sessions.expire(account, ident),
    "GET /v1/checkout/sessions/{session}/line_items": _list_lines,
    "GET /v1/payment_intents": _list_intents,
    "GET /v1/payment_intents/{intent}": lambda account, ident, _: payments.find(account, ident),
    "POST /v1/payment_intents/{intent}/capture": payments.capture,
    "POST /v1/payment_intents/{intent}/cancel": payments.cancel,
    "GET /v1/refunds": _list_refunds,
    "POST /v1/refunds": lambda account, _, params: refunds.create(account, params),
    "GET /v1/refunds/{refund}": lambda account, ident, _: refunds.find(account, ident),
    "POST /v1/refunds/{refund}": refunds.update,
    "GET /v1/charges/{charge}": lambda account, ident, _: payments.find_charge(account, ident),
    "GET /v1/balance": lambda account, _, __: balance.show(account),
    "GET /v1/disputes": _list_disputes,
    "GET /v1/disputes/{dispute}": lambda account, ident, _: disputes.find(account, ident),
    "GET /v1/webhook_endpoints": _list_endpoints,
    "POST /v1/webhook_endpoints": lambda account, _, params: endpoints.create(account, params),
    "POST /v1/webhook_endpoints/{endpoint}": endpoints.update,
    "DELETE /v1/webhook_endpoints/{endpoint}": lambda account, ident, _: endpoints.delete(account, ident),
    "GET /v1/events": _list_events,
    "GET /v1/events/{id}": _event,
}


def routes(account: Account, memory: Memory, secret_key: str) -> list[BaseRoute]:
    result: list[BaseRoute] = []
    for operation, act in ACTS.items():
        method, path = operation.split(" ")
        door = _Door(account, memory, secret_key, operation, act)
        result.append(Route(path, door.answer, methods=[method]))
    return result


def unknown_url(request: Request, _: Exception) -> Response:
    """404 and 405 alike, as Stripe says it."""
    error = StripeError(
        f"Unrecognized request URL ({request.method}: {request.url.path}). Please see https://stripe.com/docs or "
        f"we can help at https://support.stripe.com/.",
        status=404,
    )
    return JSONResponse(error.body(), status_code=404)


@dataclass(frozen=True)
class _Door:
    account: Account
    memory: Memory
    secret_key: str
    operation: str
    act: Act

    async def answer(self, request: Request) -> Response:
        """One call from arrival to answer; the order of its steps is what the faults are about."""
        account = self.account
        request_id = account.new_id("req_", 14)
        # On a GET the key has no effect (Stripe docs, Idempotent requests).
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        text = (await request.body()).decode("utf-8", "replace") if request.method == "POST" else request.url.query
        call = Call(account.now(), request.method, request.url.path, {}, None, key)
        account.calls.append(call)

        fault = self._next_fault(request)
        kind = fault.kind if fault else None
        if kind == "hang":
            raise Hung
        if kind == "drop_before":
            raise Dropped
        if account.switches.latency_seconds and key is None:
            await anyio.sleep(account.switches.latency_seconds)
        try:
            if kind == "html_body":
                call.status = 502
                return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", status_code=502)
            if kind == "rate_limited":
                raise StripeError("Request rate limit exceeded.", status=429, code="rate_limit")
            if kind == "forbidden":
                raise StripeError("The provided key does not have the required permissions.", status=403)
            if kind == "error_before":
                raise _unknown_error()
            self._authorize(request)
            self._check_headers(request)
            call.params = forms.parse(text)
            answer, replayed = await self._once(key, request, call.params, request_id, fault)
        except StripeError as refusal:
            answer, replayed = Answer(refusal.status, refusal.body(), request_id), False
        schema.check(answer.body)
        if kind == "drop_after":
            raise Dropped
        call.status = answer.status
        headers = {"Request-Id": request_id, "Stripe-Version": _version(request)}
        if key is not None:
            headers["Idempotency-Key"] = key
            headers["Original-Request"] = answer.request_id
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        if answer.status == 429:
            headers["Stripe-Rate-Limited-Reason"] = "global-rate"
        return JSONResponse(answer.body, status_code=answer.status, headers=headers)

    async def _once(
        self, key: str | None, request: Request, raw: Object, request_id: str, fault: Fault | None
    ) -> tuple[Answer, bool]:
        """The act, done once for each key; and whether the answer is an old one."""
        if key is None:
            return self._execute(request, raw, request_id, key, fault)[0], False
        remembered = self.memory.recall(key, request.url.path, raw)
        if remembered is not None:
            return remembered, True
        stored = False
        try:
            # Here, between taking the key and ending under it, a second request under it meets a 409.
            if self.account.switches.latency_seconds:
                await anyio.sleep(self.account.switches.latency_seconds)
            answer, stored = self._execute(request, raw, request_id, key, fault)
            if stored:
                self.memory.remember(key, answer)
        finally:
            if not stored:
                self.memory.forget(key)
        return answer, False

    def _execute(
        self, request: Request, raw: Object, request_id: str, key: str | None, fault: Fault | None
    ) -> tuple[Answer, bool]:
        """The answer, and whether the endpoint had begun its work, which makes it worth remembering."""
        account = self.account
        ident = next(iter(request.path_params.values()), "")
        try:
            params = schema.read(self.operation, raw)
            if fault and fault.kind == "refuse":
                raise _refusal(fault)
            with account.caused_by(request_id, key):
                clockwork.act(account)
                # What was asked for under a key is told again in these words, whatever has happened since.
                answer = self.act(account, ident, params)
                body = lists.expanded(account, answer, params.get("expand", []), kept=key is not None)
            if fault and fault.kind == "error_after":
                raise _unknown_error(executed=True)
        except StripeError as refusal:
            return Answer(refusal.status, refusal.body(), request_id), refusal.executed
        return Answer(200, body, request_id), True

    def _next_fault(self, request: Request) -> Fault | None:
        for fault in self.account.faults:
            if fault.method not in (None, request.method):
                continue
            if fault.path is not None and not re.search(fault.path, request.url.path):
                continue
            if fault.times == 1:
                self.account.faults.remove(fault)
            elif fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def _authorize(self, request: Request) -> None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        given = credentials.strip()
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                given = ""
        if scheme.lower() not in ("bearer", "basic") or not given:
            raise StripeError(
                "You did not provide an API key. You need to provide your API key in the Authorization header, "
                "using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
                status=401,
            )
        if not hmac.compare_digest(given.encode(), self.secret_key.encode()):
            shown = f"{given[:8]}{'*' * 8}{given[-4:]}" if len(given) > 16 else "********"
            raise StripeError(f"Invalid API Key provided: {shown}", status=401)

    def _check_headers(self, request: Request) -> None:
        versions.check(_version(request))
        if "stripe-account" in request.headers:
            raise StripeError(
                "The provided key does not have access to the account given in Stripe-Account (or that account "
                "does not exist).",
                status=403,
                code="account_invalid",
            )
        kind = request.headers.get("content-type", "application/x-www-form-urlencoded")
        if request.method == "POST" and not kind.startswith("application/x-www-form-urlencoded"):
            raise StripeError(
                "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
            )


def _version(request: Request) -> str:
    """The API version that the call asks for; that of the account where it names none."""
    return request.headers.get("stripe-version", schema.API_VERSION)


def _refusal(fault: Fault) -> StripeError:
    return StripeError(
        fault.message,
        status=fault.status,
        kind=fault.type,
        code=fault.code,
        param=fault.param,
        executed=fault.executed,
    )


def _unknown_error(*, executed: bool = False) -> StripeError:
    return StripeError("An unknown error occurred", status=500, kind="api_error", executed=executed)

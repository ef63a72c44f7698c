"""One request through the door: method, origin, caller, limits, form, key; then the act, then its answer as JSON."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.envelope import Malformed, envelope
from app.api.fields import is_uuid
from app.api.kept_answers import Aged, KeptAnswers, kept_in
from app.api.requests import Named
from app.domain.booking import Actor, Booking
from app.domain.flow import Flow
from app.errors import (
    HoldfastError,
    LinkExpired,
    LinkRefused,
    MethodRefused,
    NotFound,
    NotJson,
    NotYours,
    RateLimited,
    Unauthorized,
)
from app.parts import Parts, parts_in, parts_of
from app.protection.idempotency import Answer
from app.protection.rate_limits import API, API_ACT, API_KEY, WEBHOOKS, Rule, client_address
from app.protection.signed_links import MANAGE_LIFE_AFTER_END, must_not_be_forgotten

#: What a page on an allowed origin may send, and read in addition to the body.
_MAY_SEND = "Authorization, Content-Type, Idempotency-Key"
_MAY_READ = "Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"
_BEARER = re.compile(r"[Bb]earer +(\S+)")
_JSON = re.compile(r"application/json\s*(;.*)?", re.IGNORECASE)


#: What lets in so many, how many of these are left, and seconds until one more is.
Usage = tuple[int, int, int]
#: The headers that say so.
USAGE = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_JSON_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store"}


class Who(Enum):
    """Who may ask."""

    ANYONE = "anyone"
    #: The booking's token, the token of the flow that it was made in, or an API key.
    HOLDER = "holder"
    #: An API key.
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `key` names the API key that came (never the key itself), `bearer` is a token that came in its place;
    `address` as limits count it."""

    key: str
    bearer: str
    address: str

    @property
    def name(self) -> str:
        """What tells callers apart. Who comes with neither key nor token is known by nothing but the address."""
        return self.key or self.bearer or self.address


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for an operation's act."""

    parts: Parts
    request: Request
    caller: Caller
    idempotency_key: str

    async def booking(self, named: Named) -> tuple[Booking, Actor]:
        """The booking that a body names; as `find`."""
        return await self.find(booking_id=named.booking_id, hapio_booking_id=named.hapio_booking_id, token=named.token)

    async def find(self, *, booking_id: str = "", hapio_booking_id: str = "", token: str = "") -> tuple[Booking, Actor]:
        """The booking that is meant, and on whose behalf the caller acts: its customer's with its token or its flow's,
        the owner's with an API key alone. Raises Unauthorized, NotYours, LinkExpired, NotFound."""
        if token or self.caller.bearer:
            owned = await self._by_token(token or self.caller.bearer, booking_id)
            if booking_id not in {"", owned.id} or hapio_booking_id not in {"", owned.reservation.reference}:
                raise NotYours("another booking")
            return owned, Actor.CUSTOMER
        if not self.caller.key:
            raise Unauthorized("no token")
        if not booking_id:
            return await self.parts.bookings.by_reference(hapio_booking_id), Actor.OWNER
        booking: Booking = await self.parts.bookings.get(booking_id)
        if hapio_booking_id not in {"", booking.reservation.reference}:
            raise NotFound("two bookings")
        return booking, Actor.OWNER

    def must_have_credentials(self, token: str) -> None:
        """Who has none is told nothing, not even what there is. Raises Unauthorized."""
        if token or self.caller.bearer:
            given = token or self.caller.bearer
            if read_flow(self.parts, given) is None:
                self._read_token(given)
        elif not self.caller.key:
            raise Unauthorized("no token")

    def _read_token(self, token: str) -> str:
        try:
            booking_id = self.parts.links.read_api_token(token)
        except LinkRefused as error:
            raise Unauthorized("not a token of ours") from error
        return booking_id

    async def _by_token(self, token: str, named: str) -> Booking:
        """A booking's token opens that one; a flow's token the one that is `named`, if it was made in the flow."""
        flow = read_flow(self.parts, token)
        booking: Booking = await self.parts.bookings.get(named if flow else self._read_token(token))
        if flow and not flow.made(booking.visitor):
            raise NotYours("made elsewhere")
        must_not_be_forgotten(booking)
        if booking.ends_at + MANAGE_LIFE_AFTER_END <= self.parts.now():
            raise LinkExpired("long over")
        return booking


Act = Callable[[Call, Any], Awaitable[BaseModel]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One route: its act, who may ask, how often, and which errors it may end in beyond those that every route has.
    What goes in and out is what the act's own signature says. `tag` and `about` are for the document's readers."""

    method: str
    path: str
    name: str
    summary: str
    act: Act
    who: Who
    status: int = 200
    rule: Rule = API
    errors: tuple[int, ...] = ()
    tag: str = ""
    about: str = ""
    #: Whether an answer is everyone's, so that it may be given again for as long as it holds.
    kept: bool = False
    #: Whether it begins a booking, for which nobody can have paid yet. What `ANYONE` may ask is about none.
    begins: bool = False

    @property
    def asked(self) -> type[BaseModel]:
        """What goes in."""
        return _signature(self.act)["asked"]

    @property
    def answer(self) -> type[BaseModel]:
        """What comes out."""
        return _signature(self.act)["return"]

    @property
    def changes(self) -> bool:
        """Whether it changes anything, so that an idempotency key makes sense."""
        return self.method == "POST"

    @property
    def may_have_paid(self) -> bool:
        """Whether it is about a booking for which someone may have paid."""
        return self.who is not Who.ANYONE and not self.begins

    @property
    def public(self) -> bool:
        """Whether pages on allowed origins may ask."""
        return self.who is not Who.SERVER


@cache
def _signature(act: Act) -> dict[str, type[BaseModel]]:
    return get_type_hints(act)


class Door:
    """The ASGI endpoint of one path, with an operation for each of its methods."""

    def __init__(self, operations: Mapping[str, Operation]) -> None:
        self._operations = operations

    @property
    def keeps(self) -> bool:
        """Whether any of its answers is given again."""
        return any(operation.kept for operation in self._operations.values())

    def may_have_paid(self, request: Request) -> bool:
        """Whether the request is about a booking for which someone may have paid."""
        operation = self._asked(request)
        return operation is not None and operation.may_have_paid

    def _asked(self, request: Request) -> Operation | None:
        return self._operations.get("GET" if request.method == "HEAD" else request.method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        parts = parts_of(request)
        headers: dict[str, str] = {}
        operation = self._asked(request)
        if self._allows(parts, request.headers.get("origin", ""), headers) and _is_preflight(request):
            response = self._preflight(headers)
        else:
            response = await self._answer(request, parts, operation, headers)
        for name, value in headers.items():
            response.headers[name] = value
        await response(scope, receive, send)

    def ready(
        self, parts: Parts, kept: KeptAnswers, query: bytes, asked: Mapping[bytes, bytes], address: str
    ) -> tuple[Usage, bytes] | None:
        """The body of a GET's answer, if it was given before, holds, and may be given at once; it is counted then. What
        its headers say beside `headers_for` is how much is left. `address` is the asker's, as limits count it."""
        operation = self._operations.get("GET")
        if operation is None or not operation.kept:
            return None
        body = kept.find(query)
        if body is None:
            return None
        authorization = asked.get(b"authorization")
        try:
            caller = _caller(parts, authorization.decode("latin-1") if authorization is not None else None, address)
        except Unauthorized:
            return None
        usage = parts.rate_limits.count_here(*_counted(operation, caller))
        if usage is None:
            return None
        kept.hits += 1
        return usage, body

    def headers_for(self, parts: Parts, origin: str) -> dict[str, str]:
        """What the headers of a ready answer say to whoever asks from there."""
        headers = {**_JSON_HEADERS}
        self._allows(parts, origin, headers)
        return headers

    def _allows(self, parts: Parts, origin: str, headers: MutableMapping[str, str]) -> bool:
        """Whether a page of this origin may read the answer; the headers that tell its browser."""
        if not any(operation.public for operation in self._operations.values()):
            return False
        headers["Vary"] = "Origin"
        if not any(origin in widget.allowed_origins for widget in parts.widgets.values()):
            return False
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = _MAY_READ
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return True

    def _preflight(self, headers: MutableMapping[str, str]) -> Response:
        headers["Access-Control-Allow-Methods"] = ", ".join(self._operations)
        headers["Access-Control-Allow-Headers"] = _MAY_SEND
        headers["Access-Control-Max-Age"] = "7200"
        return Response(status_code=204)

    async def _answer(
        self, request: Request, parts: Parts, operation: Operation | None, headers: MutableMapping[str, str]
    ) -> Response:
        try:
            if operation is None:
                raise MethodRefused(sorted(self._operations))
            caller = _caller(parts, request.headers.get("authorization"), client_address(request.scope))
            await _count(parts, operation, caller, headers)
            if operation.who is Who.SERVER and not caller.key:
                raise NotYours("a token") if _is_token(parts, caller) else Unauthorized("no key")
            answer = await self._act(request, parts, operation, caller)
        except HoldfastError as error:
            parts.metrics.count_error(error.code)
            return envelope(error, may_have_paid=self.may_have_paid(request))
        if answer.replayed:
            headers["Idempotency-Replayed"] = "true"
        return Response(answer.body, status_code=answer.status, headers=_JSON_HEADERS)

    async def _act(self, request: Request, parts: Parts, operation: Operation, caller: Caller) -> Answer:
        if operation.kept:
            return await self._look(request, parts, operation, caller)
        asked = await _read(request, operation)
        return await _once(Call(parts, request, caller, _idempotency_key(request, operation)), operation, asked)

    async def _look(self, request: Request, parts: Parts, operation: Operation, caller: Caller) -> Answer:
        """What was answered before, where that is as good."""
        kept, query = kept_in(request.scope), request.scope["query_string"]
        found = kept.find(query)
        if found is not None:
            kept.hits += 1
            return Answer(operation.status, found)
        epoch = kept.epoch()
        asked = await _read(request, operation)
        answered = await operation.act(Call(parts, request, caller, ""), asked)
        body = _written(answered)
        kept.keep(query, body, cast("Aged", answered), epoch=epoch)
        return Answer(operation.status, body)


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _caller(parts: Parts, header: str | None, address: str) -> Caller:
    """Who asks, by what `Authorization` says. Raises Unauthorized for credentials that are none."""
    if header is None:
        return Caller("", "", address)
    match = _BEARER.fullmatch(header)
    if match is None:
        raise Unauthorized("not a bearer token")
    given = match[1].encode("utf-8", "surrogateescape")
    # Every key is compared in full, so that the time taken tells nothing.
    known = [hmac.compare_digest(given, key.get_secret_value().encode("utf-8")) for key in parts.settings.api_keys]
    if any(known):
        return Caller(hashlib.sha256(given).hexdigest()[:16], "", address)
    return Caller("", match[1], address)


def read_flow(parts: Parts, token: str) -> Flow | None:
    """The flow whose token it is; None for any other token."""
    try:
        return parts.links.read_flow_token(token)
    except LinkRefused:
        return None


def _is_token(parts: Parts, caller: Caller) -> bool:
    if read_flow(parts, caller.bearer):
        return True
    try:
        parts.links.read_api_token(caller.bearer)
    except LinkRefused:
        return False
    return True


async def _count(parts: Parts, operation: Operation, caller: Caller, headers: MutableMapping[str, str]) -> None:
    """Count the request, and tell how many are left. Raises RateLimited."""
    rule, who = _counted(operation, caller)
    try:
        await parts.rate_limits.check(rule, who)
        if operation.changes and not caller.key:
            await parts.rate_limits.check(API_ACT, who)
    finally:
        _tell_usage(await parts.rate_limits.usage(rule, who), headers)


def _counted(operation: Operation, caller: Caller) -> tuple[Rule, str]:
    """By which rule a request counts, and for whom."""
    return (API_KEY, caller.key) if caller.key else (operation.rule, caller.address)


def _tell_usage(usage: Usage, headers: MutableMapping[str, str]) -> None:
    headers.update({name: str(value) for name, value in zip(USAGE, usage, strict=True)})


async def _read(request: Request, operation: Operation) -> BaseModel:
    """What is asked, from the body, or from the path and the query. Raises Malformed, NotJson, TooLarge."""
    try:
        if operation.changes:
            if request.query_params:
                raise Malformed(dict.fromkeys(request.query_params, "belongs into the body"))
            if not _JSON.fullmatch(request.headers.get("content-type", "")):
                raise NotJson("content type")
            return operation.asked.model_validate_json(await request.body(), strict=True)
        pairs = request.query_params.multi_items()
        if len(pairs) > len(dict(pairs)):
            raise Malformed({"query": "names a parameter twice"})
        return operation.asked.model_validate(dict(pairs))
    except ValidationError as error:
        raise Malformed.because(error) from None


def _idempotency_key(request: Request, operation: Operation) -> str:
    key = request.headers.get("idempotency-key")
    if key is None or not operation.changes:
        return ""
    if not is_uuid(key):
        raise Malformed({"Idempotency-Key": "must be a UUID, a new one for each request"})
    return key.lower()


async def _once(call: Call, operation: Operation, asked: BaseModel) -> Answer:
    async def run() -> Answer:
        try:
            answered = await operation.act(call, asked)
        except HoldfastError as error:
            refusal = envelope(error)
            answer = Answer(refusal.status_code, bytes(refusal.body))
            if not answer.final:
                raise
            return answer
        return Answer(operation.status, _written(answered))

    if not call.idempotency_key:
        return await run()
    return await call.parts.idempotency.once(call.idempotency_key, await _fingerprint(call), run)


def _written(answer: BaseModel) -> bytes:
    return answer.model_dump_json(by_alias=True).encode()


async def _fingerprint(call: Call) -> str:
    """What tells requests under one key apart: method, path, caller and body. Hashed, since a body names people."""
    parts = (
        call.request.method,
        call.request.scope["path"],
        call.caller.name,
        hashlib.sha256(await call.request.body()).hexdigest(),
    )
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


class WebhookLimits:
    """ASGI middleware: how often one address may call the providers' door."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/webhooks/"):
            await self._app(scope, receive, send)
            return
        try:
            await parts_in(scope).rate_limits.check(WEBHOOKS, client_address(scope))
        except RateLimited as error:
            await envelope(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

"""The OpenAPI document, made from the models that read and write, and a plain page that shows it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup, escape
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from app.api import answers, requests
from app.api.door import Operation, Who
from app.operations.outgoing_webhooks import ABOUT, WebhookMessage
from app.parts import parts_of

_REF = "#/components/schemas/{model}"
#: What every route may end in.
_ALWAYS = (400, 405, 429, 500, 503)
_BODIES = (408, 413, 415)
_SAYS = {
    400: "The request does not have the form that this route asks for",
    401: "No token and no API key, or none that we know",
    403: "The token is for another booking, or for less than this",
    404: "No such booking, service or widget",
    405: "The address does not know this method",
    409: "The time is taken, the terms do not allow it, or the booking has changed; the code says which",
    410: "The hold, or the token, has expired",
    408: "The body did not arrive within 10 seconds",
    413: "More than 64 KiB",
    415: "Not JSON",
    422: "Well formed, but a field makes no sense, or another request was made under the Idempotency-Key",
    429: "Too many requests, or too many unpaid holds",
    500: "Our mistake",
    503: "The scheduler or Stripe does not answer, or nothing can be saved (INTERNAL_ERROR); the code says which",
}
_ABOUT = """Everything that the booking widget does, for programs. Times are ISO 8601 with offset, amounts integers in
the currency's smallest unit. The lock answers with a token; it is what the booking's other routes ask for, as
`Authorization: Bearer` or as `token` in the body. A server may present an API key instead, and then acts for the owner.
`Idempotency-Key` on a POST makes repeating it safe for 24 hours; keep it as secret as the token. Unknown fields are
refused."""
_TAGS = {
    "Looking": "What there is to book, and when.",
    "Booking": "Hold a time, and see how the booking stands.",
    "Paying": "Stripe's page, and how it stands.",
    "Changing": "Cancel, take back and move.",
    "The owner": "What only a server with an API key may do.",
    "Flows": "The same under the names of programs that were written for Calendly with Stripe.",
    "Receipts": "For a site that counts bookings: whether what its page was told is true.",
    "Webhooks": "Where the providers report.",
}
_PATH = {"bookingId": "Our id of the booking.", "sessionId": "Stripe's id of the payment page."}
_KEY = (
    "A UUID, a new one for each request and kept secret like a password. The same key and body get the same answer for "
    "24 hours."
)
_WEBHOOKS = (
    ("/api/webhooks/stripe", "stripeWebhook", "Where Stripe sends its events", "Stripe-Signature"),
    ("/api/webhooks/hapio", "hapioWebhook", "Where Hapio sends its events", "the header that Hapio signs in"),
    ("/api/webhooks/calcom", "calcomWebhook", "Where Cal.com sends its events", "X-Cal-Signature-256"),
    ("/api/webhooks/calendly", "calendlyWebhook", "Where Calendly sends its events", "Calendly-Webhook-Signature"),
)

_Endpoint = Callable[[Request], Awaitable[Response]]


@cache
def document(operations: tuple[Operation, ...], server: str) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes. `server` is our public address."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
    paths["/api/receipts/verify"] = {"post": _verify()}
    for path, name, summary, signature in _WEBHOOKS:
        paths[path] = {"post": _webhook(name, summary, signature)}
    used = {name: schema for name, schema in schemas.items() if not name.endswith("Query")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holdfast",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
            "contact": {"name": "The API as a page", "url": f"{server}/api"},
        },
        "servers": [{"url": server}],
        "tags": [
            {"name": name, "description": about}
            for name, about in _TAGS.items()
            if any(name in operation["tags"] for methods in paths.values() for operation in methods.values())
        ],
        "paths": paths,
        "webhooks": {event: {"post": _outgoing(event, about)} for event, about in ABOUT.items()},
        "components": {
            "schemas": used,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A booking's token, or an API key."}
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    asked: set[type[BaseModel]] = {operation.asked for operation in operations} | {requests.ReceiptRequest}
    answered: set[type[BaseModel]] = {operation.answer for operation in operations}
    answered |= {answers.ErrorAnswer, answers.WebhookAnswer, answers.ReceiptAnswer, WebhookMessage}
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in asked]
    wanted += [(model, "serialization") for model in answered]
    wanted.sort(key=lambda pair: pair[0].__name__)
    _, found = models_json_schema(wanted, ref_template=_REF)
    schemas: dict[str, Any] = _tidied(found["$defs"])
    return schemas


def _tidied(schema: Any) -> Any:
    """Without empty defaults, which are how our code says "not set" and which nobody should send, nor the default of a
    constant; texts in one line."""
    if isinstance(schema, dict):
        return {
            name: " ".join(value.split()) if name == "description" and isinstance(value, str) else _tidied(value)
            for name, value in schema.items()
            if not (name == "default" and _is_not_set(value))
        }
    return [_tidied(value) for value in schema] if isinstance(schema, list) else schema


def _is_not_set(default: Any) -> bool:
    return not (any(default.values()) if isinstance(default, dict) else default or default is False)


def _operation(operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    errors = {*_ALWAYS, *operation.errors, *(_BODIES if operation.changes else ())}
    if operation.changes:
        errors |= {409, 422}  # of the Idempotency-Key
    if operation.who is Who.ANYONE:
        errors |= {401}  # for credentials that are none
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": operation.about,
        "tags": [operation.tag],
        "security": _security(operation),
        "parameters": _parameters(operation, schemas),
        "responses": {
            str(operation.status): _answer(operation.answer.__name__, (operation.answer.__doc__ or "").strip()),
            **{str(status): _answer("ErrorAnswer", _SAYS[status], status=status) for status in sorted(errors)},
        },
    }
    if operation.changes:
        described["requestBody"] = {"required": True, "content": _json(operation.asked.__name__)}
    return described


def _security(operation: Operation) -> list[dict[str, list[str]]]:
    """Optional where a token may come in the body or the query instead, or where nobody is asked."""
    return [{"bearer": []}] if operation.who is Who.SERVER else [{}, {"bearer": []}]


def _parameters(operation: Operation, schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for part in operation.path.split("/"):
        if part.startswith("{"):
            named = {"type": "string", "minLength": 1, "maxLength": 100}
            name = part[1:-1]
            parameters.append(
                {"name": name, "in": "path", "required": True, "description": _PATH[name], "schema": named}
            )
    if operation.changes:
        key = {"type": "string", "format": "uuid"}
        header = {"name": "Idempotency-Key", "in": "header", "required": False, "description": _KEY, "schema": key}
        return [*parameters, header]
    query = schemas[operation.asked.__name__]
    for name, described in query["properties"].items():
        # What is about the parameter, and not about its value.
        about = {word: described[word] for word in ("description", "deprecated") if word in described}
        schema = {word: value for word, value in described.items() if word not in about}
        required = name in query.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, **about, "schema": schema})
    return parameters


def _answer(model: str, description: str, *, status: int = 200) -> dict[str, Any]:
    headers = {}
    if status in {429, 503}:
        headers["Retry-After"] = {"description": "Seconds to wait", "schema": {"type": "integer"}}
    return {
        "description": " ".join(description.split()),
        "content": _json(model),
        **({"headers": headers} if headers else {}),
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}


def _verify() -> dict[str, Any]:
    """The one route that answers a site's server and is not an act: app/web/embed/receipts.py."""
    return {
        "operationId": "verifyReceipt",
        "summary": "Whether a receipt is genuine",
        "description": "A page is handed a receipt with `holdfast:confirmed`. What a browser reports can be made up; "
        "this says whether we signed it, and what it confirms.",
        "tags": ["Receipts"],
        "security": [],
        "requestBody": {"required": True, "content": _json("ReceiptRequest")},
        "responses": {
            "200": _answer("ReceiptAnswer", (answers.ReceiptAnswer.__doc__ or "")),
            **{
                str(status): _answer("ErrorAnswer", _SAYS[status], status=status)
                for status in (400, 405, 413, 429, 500)
            },
        },
    }


def _webhook(name: str, summary: str, signature: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "description": f"The raw body, signed in {signature}.",
        "tags": ["Webhooks"],
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": _answer("WebhookAnswer", "The event is stored, or the hint taken."),
            **{str(status): _answer("ErrorAnswer", _SAYS.get(status, "")) for status in (405, 408, 429, 500, 503)},
            "400": _answer("ErrorAnswer", "Not signed, too old, or no event"),
        },
    }


def _outgoing(event: str, about: str) -> dict[str, Any]:
    """What a program of the owner's is sent: app/operations/outgoing_webhooks."""
    return {
        "operationId": re.sub(r"[._](\w)", lambda found: found[1].upper(), event),
        "summary": about.rstrip("."),
        "description": f"{about} The raw body is signed in Holdfast-Signature, as Stripe signs.",
        "security": [],
        "requestBody": {"required": True, "content": _json("WebhookMessage")},
        "responses": {
            "2XX": {"description": "The program has it."},
            "default": {"description": "It is sent again, with growing pauses, for three days."},
        },
    }


def show_document(operations: tuple[Operation, ...]) -> _Endpoint:
    """GET /api/openapi.json"""

    async def endpoint(request: Request) -> Response:
        text = json.dumps(document(operations, parts_of(request).settings.public_url))
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Response(text, media_type="application/json", headers=headers)

    return endpoint


def show_page(operations: tuple[Operation, ...]) -> _Endpoint:
    """GET /api: the document as a plain page."""

    async def endpoint(request: Request) -> Response:
        parts = parts_of(request)
        page, sheet = _drawn(parts.templates, operations, parts.settings.public_url)
        policy = f"default-src 'none'; style-src {sheet}; base-uri 'none'; frame-ancestors 'none'"
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})

    return endpoint


@lru_cache(maxsize=1)
def _drawn(templates: Environment, operations: tuple[Operation, ...], server: str) -> tuple[str, str]:
    """The page, which takes some 10 ms to draw and never changes, and the policy's source for its style sheet."""
    page = templates.get_template("api/api.html").render(
        document=document(operations, server), rows=_rows, name=_name, marked=_marked
    )
    sheet = page.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    return page, f"'sha256-{digest}'"


def _marked(text: str) -> Markup:
    """Text with `code` in it as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here


def _rows(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[tuple[str, str, bool, str]]:
    """(name, kind, required, what else) of an object's fields."""
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    return [
        (name, _kind(field), name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document["components"]["schemas"][_name(schema)] if "$ref" in schema else schema
    return found


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _kind(schema: Mapping[str, Any]) -> str:
    """A field's type in a word or two."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "const" in schema:
        return json.dumps(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "anything"))

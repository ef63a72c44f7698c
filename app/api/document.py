"""The OpenAPI document, made from the models that read and write, and a plain page that shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any

from markupsafe import Markup, escape
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from app.api import models
from app.api.door import Operation, Who

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
    503: "Hapio or Stripe does not answer, or nothing can be saved (INTERNAL_ERROR); the code says which. Try again",
}
_ABOUT = """Everything that the booking widget does, for programs. Times are ISO 8601 with offset, amounts integers in
the currency's smallest unit. The lock answers with a token; it is what the booking's other routes ask for, as `token`
or as `Authorization: Bearer`. A server may present an API key instead, and then acts for the owner. `Idempotency-Key`
on a POST makes repeating it safe for 24 hours. Unknown fields are refused."""
_WEBHOOKS = (
    ("/api/webhooks/stripe", "stripeWebhook", "Where Stripe sends its events", "Stripe-Signature"),
    ("/api/webhooks/hapio", "hapioWebhook", "Where Hapio sends its events", "the header that Hapio signs in"),
)

_Endpoint = Callable[[Request], Awaitable[Response]]


@cache
def document(operations: tuple[Operation, ...], server: str) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes. `server` is our public address."""
    schemas = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schemas)
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
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": used,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A booking's token, or an API key."}
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    asked = {operation.asked for operation in operations}
    answered: set[type[BaseModel]] = {operation.answer for operation in operations}
    answered |= {models.ErrorAnswer, models.WebhookAnswer}
    wanted: list[tuple[type[BaseModel], Any]] = [(model, "validation") for model in asked]
    wanted += [(model, "serialization") for model in answered]
    wanted.sort(key=lambda pair: pair[0].__name__)
    _, found = models_json_schema(wanted, ref_template=_REF)
    schemas: dict[str, Any] = _without_empty_defaults(found["$defs"])
    return schemas


def _without_empty_defaults(schema: Any) -> Any:
    """An empty default is how our code says "not set"; nobody should send it."""
    if isinstance(schema, dict):
        return {
            name: _without_empty_defaults(value)
            for name, value in schema.items()
            if not (name == "default" and value in ("", 0, {}) and value is not False)
        }
    return [_without_empty_defaults(value) for value in schema] if isinstance(schema, list) else schema


def _operation(operation: Operation, schemas: Mapping[str, Any]) -> dict[str, Any]:
    errors = {*_ALWAYS, *operation.errors, *(_BODIES if operation.changes else ())}
    if operation.changes:
        errors |= {409, 422}  # of the Idempotency-Key
    if operation.who is Who.ANYONE:
        errors |= {401}  # for credentials that are none
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
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
            parameters.append({"name": part[1:-1], "in": "path", "required": True, "schema": named})
    if operation.changes:
        key = {"type": "string", "format": "uuid"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
        return parameters
    query = schemas[operation.asked.__name__]
    for name, schema in query["properties"].items():
        required = name in query.get("required", ())
        parameters.append({"name": name, "in": "query", "required": required, "schema": schema})
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


def _webhook(name: str, summary: str, signature: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "description": f"The raw body, signed in {signature}.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": _answer("WebhookAnswer", "The event is stored, or the hint taken."),
            **{str(status): _answer("ErrorAnswer", _SAYS.get(status, "")) for status in (405, 408, 429, 500, 503)},
            "400": _answer("ErrorAnswer", "Not signed, too old, or no event"),
        },
    }


def show_document(operations: tuple[Operation, ...]) -> _Endpoint:
    """GET /api/openapi.json"""

    async def endpoint(request: Request) -> Response:
        text = json.dumps(document(operations, request.app.state.house.settings.public_url))
        headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
        return Response(text, media_type="application/json", headers=headers)

    return endpoint


def show_page(operations: tuple[Operation, ...]) -> _Endpoint:
    """GET /api: the document as a plain page."""

    async def endpoint(request: Request) -> Response:
        house = request.app.state.house
        nonce = house.links.visitor_key()
        told = document(operations, house.settings.public_url)
        page = house.templates.get_template("api.html").render(
            document=told, nonce=nonce, rows=_rows, name=_name, marked=_marked
        )
        policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": policy})

    return endpoint


def _marked(text: str) -> Markup:
    """Text with `code` in it as HTML."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here


def _rows(told: Mapping[str, Any], schema: Mapping[str, Any]) -> list[tuple[str, str, bool, str]]:
    """(name, kind, required, what else) of an object's fields."""
    schema = _resolved(told, schema)
    required = schema.get("required", ())
    return [
        (name, _kind(field), name in required, field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]


def _resolved(told: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = told["components"]["schemas"][_name(schema)] if "$ref" in schema else schema
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

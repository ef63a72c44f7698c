"""What the OpenAPI document has to have so that a program's generator can use it, beyond being valid."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from tests.support.json_door import KEY
from tests.support.stack import PUBLIC_URL, Stack, open_stack

Json = dict[str, Any]
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(params=["off", "on"])
async def stack(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    """Without and with the routes that are switched on."""
    async with open_stack(tmp_path, settings={"api_keys": (KEY,), "seed_routes": request.param}) as stack:
        yield stack


@pytest.fixture
async def told(stack: Stack) -> Json:
    """The document as a program reads it."""
    return dict((await stack.client.get("/api/openapi.json")).json())


def every(part: Any) -> Iterator[Json]:
    """Every object in the document, however deep."""
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from every(value)
    elif isinstance(part, list):
        for value in part:
            yield from every(value)


def operations(told: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            assert method in METHODS
            yield f"{method.upper()} {path}", operation


def resolved(told: Json, schema: Json) -> Json:
    name = schema.get("$ref", "").rpartition("/")[2]
    return told["components"]["schemas"][name] if name else schema


def body_of(told: Json, operation: Json) -> Json:
    return resolved(told, operation["requestBody"]["content"]["application/json"]["schema"])


async def test_success_is_a_plain_boolean(told: Json) -> None:
    """A constant `true` makes OpenAPI Generator's Python client refuse every good answer."""
    assert not [part for part in every(told) if isinstance(part.get("const"), bool)]
    answers = [schema for schema in told["components"]["schemas"].values() if "success" in schema.get("properties", {})]
    assert len(answers) > 10
    for schema in answers:
        assert schema["properties"]["success"]["type"] == "boolean"
        assert "success" in schema["required"]


async def test_every_body_is_one_object_with_named_and_typed_fields(told: Json) -> None:
    """Alternatives next to the properties make generators lose the type of the whole body."""
    for name, operation in operations(told):
        if "requestBody" not in operation or "webhooks" in name:
            continue
        body = body_of(told, operation)
        assert body["type"] == "object", name
        assert body["properties"], name
        assert not {"anyOf", "oneOf", "allOf"} & body.keys(), name
        for field in body["properties"].values():
            assert "type" in resolved(told, field), (name, field)
            assert "anyOf" not in field, (name, field)
    cancel = body_of(told, told["paths"]["/api/bookings/cancel"]["post"])
    assert cancel["properties"].keys() >= {"bookingId", "hapioBookingId", "token", "dryRun"}
    assert "bookingId or hapioBookingId" in cancel["description"].replace("`", "")


async def test_one_of_both_ids_is_still_needed(stack: Stack) -> None:
    for act in ("extend", "cancel", "restore", "reschedule/abandon", "resend-link"):
        answer = await stack.client.post(f"/api/bookings/{act}", json={"token": "x"})
        assert answer.status_code == 400, act
        assert "bookingId or hapioBookingId is required" in json.dumps(answer.json()["error"]["details"])


async def test_every_parameter_and_field_says_what_it_means(told: Json) -> None:
    for name, operation in operations(told):
        for parameter in operation.get("parameters", []):
            assert parameter.get("description", "").endswith("."), (name, parameter["name"])
            assert parameter["schema"]["type"] == "string"
    for name, schema in told["components"]["schemas"].items():
        assert schema.get("description"), name
        for field, described in schema.get("properties", {}).items():
            assert "description" in described or "$ref" in described, (name, field)


async def test_what_is_no_day_no_zone_and_no_id_does_not_fit_the_document(told: Json) -> None:
    parameters = {one["name"]: one for one in told["paths"]["/api/availability"]["get"]["parameters"]}
    for name in ("from", "to"):
        schema = parameters[name]["schema"]
        assert schema["minLength"] >= len("2026-12-03")
        assert schema["pattern"]
    assert "last day" in parameters["to"]["description"]
    assert "62 days" in parameters["to"]["description"]
    assert "time zone" in parameters["timeZone"]["description"]
    for name in ("serviceId", "resourceId", "timeZone", "widget"):
        assert parameters[name]["schema"]["minLength"] >= 1
    key = told["paths"]["/api/bookings/lock"]["post"]["parameters"][0]
    assert (key["name"], key["schema"]["format"]) == ("Idempotency-Key", "uuid")


async def test_the_token_in_an_address_is_told_to_be_the_old_way(told: Json) -> None:
    for path in ("/api/bookings/{bookingId}", "/api/checkout/sessions/{sessionId}"):
        [token] = [one for one in told["paths"][path]["get"]["parameters"] if one["in"] == "query"]
        assert token["deprecated"] is True
        assert "Authorization" in token["description"]


async def test_linters_have_nothing_to_say(told: Json) -> None:
    assert told["info"]["contact"]["url"]
    assert told["info"]["license"]["identifier"] == "MIT"
    assert told["servers"] == [{"url": PUBLIC_URL}]
    tags = {tag["name"]: tag["description"] for tag in told["tags"]}
    assert all(tags.values())
    used, ids = set(), []
    for name, operation in operations(told):
        assert operation["summary"], name
        assert operation["description"], name
        assert len(operation["tags"]) == 1, name
        used.add(operation["tags"][0])
        ids.append(operation["operationId"])
        assert any(status.startswith("4") for status in operation["responses"]), name
        assert all(answer["description"] for answer in operation["responses"].values()), name
    assert used == set(tags)
    assert len(ids) == len(set(ids))
    references = {part["$ref"].rpartition("/")[2] for part in every(told) if "$ref" in part}
    assert references == set(told["components"]["schemas"])


async def test_every_route_of_the_api_is_in_the_document(stack: Stack, told: Json) -> None:
    assert stack.hooks.app
    paths = {route.path for route in stack.hooks.app.routes if isinstance(route, Route)}
    ours = {path for path in paths if path.startswith("/api/")} - {"/api/openapi.json"}
    assert ours == set(told["paths"])
    verify = told["paths"]["/api/receipts/verify"]["post"]
    assert body_of(told, verify)["required"] == ["receipt"]


async def test_a_receipts_answer_is_as_the_document_says(stack: Stack, told: Json) -> None:
    answer = await stack.client.post("/api/receipts/verify", json={"receipt": "forged"})
    assert answer.json() == {"success": True, "valid": False}
    [schema] = [
        told["components"]["schemas"][name] for name in told["components"]["schemas"] if name == "ReceiptAnswer"
    ]
    assert set(schema["required"]) == {"success", "valid"}
    assert schema["properties"].keys() == {"success", "valid", "receipt"}


async def test_the_page_shows_what_fields_and_parameters_mean(stack: Stack, told: Json) -> None:
    page = (await stack.client.get("/api")).text
    assert "The last day" in page
    assert "POST /api/receipts/verify" in page
    assert told["components"]["schemas"]["LockAnswer"]["properties"]["expiresAt"]["description"] in page

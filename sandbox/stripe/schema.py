"""Holds every request and every answer against the schemas derived from the pinned stripe package.

Requests are read by hand, since Stripe's refusals name parameter and reason; answers by jsonschema-rs, since
a wrong answer is a defect of the sandbox and only has to be loud.
"""

import json
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator

from sandbox.stripe.errors import StripeError

SCHEMAS: dict[str, Any] = json.loads(Path(__file__).with_name("schemas.json").read_text())
API_VERSION: str = SCHEMAS["x-api-version"]

_DEFS: dict[str, Any] = SCHEMAS["$defs"]


class WrongAnswer(AssertionError):
    """The sandbox was about to say something that Stripe's declarations do not allow."""


def read(operation: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The parameters of `operation` (such as `POST /v1/refunds`) with their declared types.

    Raises StripeError (400) as Stripe does for unknown, missing and ill-typed parameters.
    """
    value = _read(SCHEMAS["requests"][operation], raw, "")
    assert isinstance(value, dict)  # noqa: S101 - every operation's schema is an object
    return value


def _read(schema: dict[str, Any], raw: Any, path: str) -> Any:
    if "$ref" in schema:
        return _read(_DEFS[schema["$ref"].removeprefix("#/$defs/")], raw, path)
    if "anyOf" in schema:
        return _read(_fitting(schema["anyOf"], raw), raw, path)
    if "enum" in schema:
        if raw not in schema["enum"]:
            allowed = ", ".join(value for value in schema["enum"] if value)
            raise StripeError(f"Invalid {path}: must be one of {allowed}", param=path)
        return raw
    match schema["type"]:
        case "object":
            return _read_object(schema, raw, path)
        case "array":
            if not isinstance(raw, dict) or not all(key.isdecimal() for key in raw):
                raise StripeError("Invalid array", param=path)
            places = sorted(raw, key=int)
            return [_read(schema["items"], raw[place], f"{path}[{place}]") for place in places]
    if not isinstance(raw, str):
        raise StripeError(f"Invalid {schema['type']}: a table was given", param=path)
    if raw == "":
        raise StripeError(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a "
            f"parameter; however '{path}' cannot be unset.",
            code="parameter_invalid_empty",
            param=path,
        )
    return _read_scalar(schema, raw, path)


def _read_object(schema: dict[str, Any], raw: Any, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise StripeError("Invalid object", param=path)
    if "properties" not in schema:
        # Free keys: metadata. An empty value unsets its key.
        inner = schema["additionalProperties"]
        return {k: v if v == "" else _read(inner, v, f"{path}[{k}]") for k, v in raw.items()}
    named = {key: f"{path}[{key}]" if path else key for key in [*raw, *schema.get("required", [])]}
    for key in raw:
        if key not in schema["properties"]:
            raise StripeError(f"Received unknown parameter: {named[key]}", code="parameter_unknown", param=named[key])
    for key in schema.get("required", []):
        if key not in raw:
            raise StripeError(f"Missing required param: {named[key]}.", code="parameter_missing", param=named[key])
    return {key: _read(schema["properties"][key], value, named[key]) for key, value in raw.items()}


def _read_scalar(schema: dict[str, Any], raw: str, path: str) -> Any:
    match schema["type"], schema.get("format"):
        case "integer", _:
            if not raw.removeprefix("-").isdecimal() or not raw.isascii():
                raise StripeError(f"Invalid integer: {raw}", code="parameter_invalid_integer", param=path)
            return int(raw)
        case "boolean", _:
            if raw not in ("true", "false"):
                raise StripeError(f"Invalid boolean: {raw}", param=path)
            return raw == "true"
        case "string", "decimal":
            try:
                number = Decimal(raw)
            except InvalidOperation as error:
                raise StripeError(f"Invalid decimal: {raw}", param=path) from error
            if not number.is_finite():
                raise StripeError(f"Invalid decimal: {raw}", param=path)
            return number
        case "string", None:
            limit = schema.get("maxLength")
            if limit is not None and len(raw) > limit:
                raise StripeError(f"Invalid string: must be at most {limit} characters", param=path)
            return raw
    raise NotImplementedError(f"{path}: {schema}")


def _fitting(members: list[dict[str, Any]], raw: Any) -> dict[str, Any]:
    """Which of several declared shapes the caller meant."""
    for member in members:
        target = _DEFS[member["$ref"].removeprefix("#/$defs/")] if "$ref" in member else member
        table = target.get("type") in ("object", "array")
        if isinstance(raw, dict) if table else isinstance(raw, str) and raw in target.get("enum", [raw]):
            return member
    return members[-1]


def check(answer: Any) -> None:
    """Raises WrongAnswer unless every Stripe object in `answer`, however deep, has its declared shape."""
    if isinstance(answer, list):
        for item in answer:
            check(item)
        return
    if not isinstance(answer, dict):
        return
    kind = "error" if isinstance(answer.get("error"), dict) else answer.get("object")
    # What was deleted is named by its id and no more (Stripe docs, Delete a webhook endpoint).
    gone = answer.keys() == {"id", "object", "deleted"}
    if isinstance(kind, str) and kind in SCHEMAS["responses"] and not gone:
        subject = answer["error"] if kind == "error" else answer
        for fault in _validator(kind).iter_errors(subject):
            raise WrongAnswer(f"{kind} {'.'.join(map(str, fault.instance_path))}: {fault.message}")
    for value in answer.values():
        check(value)


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator({**SCHEMAS["responses"][kind], "$defs": _strict_definitions()})


@cache
def _strict_definitions() -> dict[str, Any]:
    """Fields declared without null must be there, and fields that are not declared must not."""
    return {
        name: {**schema, "additionalProperties": False, "required": schema.get("x-non-null", [])}
        for name, schema in _DEFS.items()
    }

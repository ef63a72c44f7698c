"""Derives sandbox/stripe/schemas.json from the type declarations of the pinned stripe package.

The package is generated from Stripe's own OpenAPI description, so its declarations say which parameters
each call takes and which shape each object has. Run it again whenever the pin of stripe moves.
"""

import ast
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent.parent / "sandbox" / "stripe" / "schemas.json"

Schema = dict[str, Any]

# operation → (module under stripe/, class). Only what a booking service may call.
REQUESTS = {
    "GET /v1/checkout/sessions": ("params/checkout/_session_list_params", "SessionListParams"),
    "POST /v1/checkout/sessions": ("params/checkout/_session_create_params", "SessionCreateParams"),
    "GET /v1/checkout/sessions/{session}": (
        "params/checkout/_session_retrieve_params",
        "SessionRetrieveParams",
    ),
    "POST /v1/checkout/sessions/{session}": ("params/checkout/_session_update_params", "SessionUpdateParams"),
    "POST /v1/checkout/sessions/{session}/expire": (
        "params/checkout/_session_expire_params",
        "SessionExpireParams",
    ),
    "GET /v1/checkout/sessions/{session}/line_items": (
        "params/checkout/_session_line_item_list_params",
        "SessionLineItemListParams",
    ),
    "GET /v1/payment_intents": ("params/_payment_intent_list_params", "PaymentIntentListParams"),
    "GET /v1/payment_intents/{intent}": (
        "params/_payment_intent_retrieve_params",
        "PaymentIntentRetrieveParams",
    ),
    "POST /v1/payment_intents/{intent}/capture": (
        "params/_payment_intent_capture_params",
        "PaymentIntentCaptureParams",
    ),
    "POST /v1/payment_intents/{intent}/cancel": (
        "params/_payment_intent_cancel_params",
        "PaymentIntentCancelParams",
    ),
    "GET /v1/refunds": ("params/_refund_list_params", "RefundListParams"),
    "POST /v1/refunds": ("params/_refund_create_params", "RefundCreateParams"),
    "GET /v1/refunds/{refund}": ("params/_refund_retrieve_params", "RefundRetrieveParams"),
    "POST /v1/refunds/{refund}": ("params/_refund_update_params", "RefundUpdateParams"),
    "GET /v1/charges/{charge}": ("params/_charge_retrieve_params", "ChargeRetrieveParams"),
    "GET /v1/balance": ("params/_balance_retrieve_params", "BalanceRetrieveParams"),
    "GET /v1/disputes": ("params/_dispute_list_params", "DisputeListParams"),
    "GET /v1/disputes/{dispute}": ("params/_dispute_retrieve_params", "DisputeRetrieveParams"),
    "GET /v1/events": ("params/_event_list_params", "EventListParams"),
    "GET /v1/events/{id}": ("params/_event_retrieve_params", "EventRetrieveParams"),
    "GET /v1/webhook_endpoints": ("params/_webhook_endpoint_list_params", "WebhookEndpointListParams"),
    "POST /v1/webhook_endpoints": ("params/_webhook_endpoint_create_params", "WebhookEndpointCreateParams"),
    "POST /v1/webhook_endpoints/{endpoint}": (
        "params/_webhook_endpoint_update_params",
        "WebhookEndpointUpdateParams",
    ),
    "DELETE /v1/webhook_endpoints/{endpoint}": (
        "params/_webhook_endpoint_delete_params",
        "WebhookEndpointDeleteParams",
    ),
}

# value of the field `object` → (module under stripe/, class)
RESPONSES = {
    "balance": ("_balance", "Balance"),
    "charge": ("_charge", "Charge"),
    "checkout.session": ("checkout/_session", "Session"),
    "dispute": ("_dispute", "Dispute"),
    "error": ("_error_object", "ErrorObject"),
    "event": ("_event", "Event"),
    "item": ("_line_item", "LineItem"),
    "payment_intent": ("_payment_intent", "PaymentIntent"),
    "refund": ("_refund", "Refund"),
    "webhook_endpoint": ("_webhook_endpoint", "WebhookEndpoint"),
}

# The declarations carry no lengths. These are `maxLength` in Stripe's public OpenAPI description
# (github.com/stripe/openapi, version 2026-09-30.endive), on the fields a booking service fills.
MAX_LENGTHS = {
    "SessionCreateParams.client_reference_id": 200,
    "SessionCreateParamsCustomTextAfterSubmit.message": 1200,
    "SessionCreateParamsCustomTextShippingAddress.message": 1200,
    "SessionCreateParamsCustomTextSubmit.message": 1200,
    "SessionCreateParamsCustomTextTermsOfServiceAcceptance.message": 1200,
    "SessionCreateParamsLineItemPriceDataProductData.description": 40000,
    "SessionCreateParamsLineItemPriceDataProductData.name": 5000,
    "SessionCreateParamsLineItemPriceDataProductData.unit_label": 12,
    "SessionCreateParamsPaymentIntentData.description": 1000,
    "SessionCreateParamsPaymentIntentData.statement_descriptor_suffix": 22,
}

PLAIN: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "Decimal": {"type": "string", "format": "decimal"},
    "Any": {},
}


@dataclass
class Module:
    """One parsed source file: its classes by dotted name, and what it found reachable."""

    classes: dict[str, ast.ClassDef]
    closed: bool  # parameters refuse unknown names; objects may grow fields
    found: dict[str, Schema] = field(default_factory=dict)

    def define(self, name: str) -> None:
        """Adds the class and all that it refers to."""
        if name in self.found:
            return
        schema: Schema = {"type": "object", "properties": {}}
        self.found[name] = schema
        required, non_null = [], []
        for key, annotation in fields(self.classes[name]):
            inner, optional = unwrap(annotation, "NotRequired")
            if not optional:
                required.append(key)
            shape = self.shape(inner, name)
            if {"type": "null"} not in shape.get("anyOf", []):
                non_null.append(key)
            if limit := MAX_LENGTHS.get(f"{name}.{key}"):
                shape = {**shape, "maxLength": limit}
            schema["properties"][key] = shape
        if self.closed:
            schema["additionalProperties"] = False
            if required:
                schema["required"] = sorted(required)
        elif non_null:
            schema["x-non-null"] = sorted(non_null)

    def shape(self, node: ast.expr, scope: str) -> Schema:
        """The schema of one annotation, as seen from inside the class `scope`."""
        match node:
            case ast.Constant(value=None):
                return {"type": "null"}
            case ast.Constant(value=str() as text):
                return self.shape(ast.parse(text, mode="eval").body, scope)
            case ast.Name(id=name) if name in PLAIN:
                return PLAIN[name]
            case ast.Name() | ast.Attribute():
                return self.reference(ast.unparse(node), scope)
            case ast.BinOp(op=ast.BitOr()):
                return self.union([node.left, node.right], scope)
            case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=members)):
                return self.union(members, scope)
            case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
                return self.union([inner, ast.Constant(None)], scope)
            case ast.Subscript(value=ast.Name(id="ExpandableField"), slice=inner):
                return self.union([ast.Name("str"), inner], scope)
            case ast.Subscript(value=ast.Name(id="Literal"), slice=inner):
                values = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return {"enum": sorted(ast.literal_eval(value) for value in values)}
            case ast.Subscript(value=ast.Name(id="List" | "Sequence"), slice=inner):
                return {"type": "array", "items": self.shape(inner, scope)}
            case ast.Subscript(value=ast.Name(id="ListObject")):
                return LIST
            case ast.Subscript(value=ast.Name(id="Dict"), slice=ast.Tuple(elts=[_, inner])):
                return {"type": "object", "additionalProperties": self.shape(inner, scope)}
            case ast.Subscript(value=ast.Name(id="UntypedStripeObject"), slice=inner):
                return (
                    {"type": "object", "additionalProperties": self.shape(inner, scope)}
                    if self.closed
                    else {"type": "object"}
                )
        raise NotImplementedError(f"{scope}: {ast.unparse(node)}")

    def reference(self, name: str, scope: str) -> Schema:
        """A class nested in `scope` or further out; another file's object is only called an object."""
        while True:
            dotted = f"{scope}.{name}" if scope else name
            if dotted in self.classes:
                self.define(dotted)
                return {"$ref": f"#/$defs/{dotted}"}
            if not scope:
                return {"type": "object"}
            scope = scope.rpartition(".")[0]

    def union(self, nodes: list[ast.expr], scope: str) -> Schema:
        members: list[Schema] = []
        for node in nodes:
            shape = self.shape(node, scope)
            nested = shape.get("anyOf", [shape])
            members += [member for member in nested if member not in members]
        # Several `Literal` are one list. `Literal[...] | str`: the package lets other strings through,
        # Stripe hardly ever does; but `Literal[""] | str` is any string, and empty unsets.
        enums = [member for member in members if "enum" in member]
        if enums:
            values = sorted({value for member in enums for value in member["enum"]})
            merged: Schema = {"enum": values}
            if PLAIN["str"] in members or any("x-open-enum" in member for member in enums):
                merged = PLAIN["str"] if values == [""] else {"enum": values, "x-open-enum": True}
            rest = [member for member in members if member not in enums and member != PLAIN["str"]]
            members = [merged, *rest]
        return members[0] if len(members) == 1 else {"anyOf": members}


LIST: Schema = {
    "type": "object",
    "properties": {
        "object": {"enum": ["list"]},
        "data": {"type": "array"},
        "has_more": {"type": "boolean"},
        "url": {"type": "string"},
    },
    "required": ["data", "has_more", "object", "url"],
}


def derive() -> Schema:
    """All schemas, ready to be written: `requests`, `responses` and the `$defs` they point into."""
    definitions: dict[str, Schema] = {}
    for table, closed in ((REQUESTS, True), (RESPONSES, False)):
        for path, name in table.values():
            module = Module(classes_of(path), closed)
            module.define(name)
            definitions |= module.found
    requests = {operation: {"$ref": f"#/$defs/{name}"} for operation, (_, name) in REQUESTS.items()}
    responses = {kind: {"$ref": f"#/$defs/{name}"} for kind, (_, name) in RESPONSES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "x-api-version": api_version(),
        "x-source": f"Derived from the type declarations of the stripe package "
        f"{importlib.metadata.version('stripe')} (MIT licence) by scripts/derive_stripe_schemas.py",
        "x-note": "requests: parameters after decoding the bracketed form and coercing strings. x-non-null: "
        "fields declared without null. x-open-enum: the declaration also admits other strings, Stripe seldom does.",
        "requests": requests,
        "responses": responses,
        "$defs": definitions,
    }


def render() -> str:
    """The committed form: one line, keys sorted, so that a new pin shows as a small change."""
    return json.dumps(derive(), sort_keys=True, separators=(",", ":")) + "\n"


def package() -> Path:
    spec = importlib.util.find_spec("stripe")
    if spec is None or spec.origin is None:
        raise SystemExit("the stripe package is not installed")
    return Path(spec.origin).parent


def classes_of(path: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse((package() / f"{path}.py").read_text())
    return dict(nested_classes(tree.body, ""))


def nested_classes(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, node
            yield from nested_classes(node.body, f"{prefix}{node.name}.")


def fields(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    # Some parameter classes are written `TypedDict("Name", {"from": ...})`; none of those below are.
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if not name.startswith("_") and "ClassVar" not in ast.unparse(statement.annotation):
                yield name, statement.annotation


def unwrap(node: ast.expr, wrapper: str) -> tuple[ast.expr, bool]:
    """`Wrapper[X]` → (X, True), anything else → (itself, False)."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name == wrapper:
            return inner, True
    return node, False


def api_version() -> str:
    tree = ast.parse((package() / "_api_version.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CURRENT":
            return str(ast.literal_eval(node.value))
    raise SystemExit("the stripe package no longer names its API version")


if __name__ == "__main__":
    OUTPUT.write_text(render())

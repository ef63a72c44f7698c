"""Stripe's webhooks as they arrive: the event, and its signature."""

import json
from datetime import timedelta
from typing import Any

import stripe as stripe_package

from tests.support.stack import Stack


def signed(stack: Stack, payload: str, *, at: timedelta = timedelta(0), key: str = "whsec_sandbox") -> dict[str, str]:
    """A genuine signature of the payload, `at` from now."""
    stamp = int((stack.clock() + at).timestamp())
    header = stripe_package.WebhookSignature.generate_signature_header(payload, key, stamp)
    return {"stripe-signature": header}


def event(**changes: Any) -> str:
    """An event about a Session of someone else's."""
    thing: dict[str, Any] = {
        "id": "cs_test_other",
        "object": "checkout.session",
        "metadata": {},
        "client_reference_id": None,
    }
    envelope = {
        "id": "evt_1",
        "object": "event",
        "type": "checkout.session.completed",
        "created": 1795000000,
        "livemode": False,
        "data": {"object": thing},
    }
    return json.dumps(envelope | changes)

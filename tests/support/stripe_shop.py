"""A shop that sells by the sandboxed Stripe, and hears its webhooks."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from starlette.requests import Request
from starlette.responses import Response

from sandbox.stripe import StripeSandbox

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Shop:
    """The shop's webhook endpoint: keeps what arrives, answers `status`, waits for `gate` if there is one."""

    status: int = 200
    gate: asyncio.Event | None = None
    received: list[tuple[bytes, str]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.received.append((await request.body(), request.headers["stripe-signature"]))
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        await Response(status_code=self.status)(scope, receive, send)

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for body, _ in self.received]


def order(**changes: Any) -> Any:
    """What the shop asks for at its checkout."""
    price = {"currency": "eur", "unit_amount": 4500, "product_data": {"name": "Massage, 60 minutes"}}
    return {
        "mode": "payment",
        "submit_type": "book",
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": "https://shop.example/return?cs={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example/back",
    } | changes


MANUAL: Any = {"payment_intent_data": {"capture_method": "manual"}}
BUYER = {"email": "ada@example.test", "name": "Ada Example"}


async def open_session(client: stripe.StripeClient, **changes: Any) -> str:
    return (await client.v1.checkout.sessions.create_async(order(**changes))).id


async def paid(client: stripe.StripeClient, sandbox: StripeSandbox, card: Any = "ok", **changes: Any) -> str:
    """The PaymentIntent of a Session whose buyer has paid."""
    session_id = await open_session(client, **changes)
    await sandbox.pay(session_id, card=card)
    return str(sandbox.state.sessions[session_id]["payment_intent"])


async def intent_of(client: stripe.StripeClient, ident: str) -> stripe.PaymentIntent:
    return await client.v1.payment_intents.retrieve_async(ident, {"expand": ["latest_charge"]})

"""The JSON routes under other programs' names, as such a program uses them: begin, book on the scheduler's own page,
store, pay."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.support.json_door import SERVER, post
from tests.support.sides import CalendlySide
from tests.support.stack import Stack

Json = dict[str, Any]
CLIENT = {"name": "Anna Ek", "email": "anna@customer.example", "phoneNumber": "", "notes": "By the window."}
UTM = {"source": "newsletter", "medium": "email", "campaign": "autumn"}


async def begin(stack: Stack, service: str = "portrait") -> Json:
    """A booking that the program's server has begun."""
    body = {"sessionTypeId": stack.side.services[service], "clientId": "client 7", "builderProfileId": "profile 3"}
    answer = await post(stack, "scheduling/calendly/initiate-booking", body | {"utmParams": UTM}, **SERVER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def book_there(
    stack: Stack, flow: Json, starts_at: datetime, *, email: str = CLIENT["email"], service: str = "portrait"
) -> Json:
    """The client books on the scheduler's own page, at the address that the flow gave; the invitee."""
    assert isinstance(stack.side, CalendlySide)
    tracking = dict(parse_qsl(urlsplit(flow["calendlyUrl"]).query))
    return stack.side.sandbox.book(
        stack.side.services[service], starts_at, name="Anna Ek", email=email, tracking=tracking
    )


def storing(flow: Json, invitee: Json, starts_at: datetime, **changes: Any) -> Json:
    """The body that tells of it."""
    return {
        "bookingFlowId": flow["bookingFlowId"],
        "calendlyEventUri": invitee["event"],
        "calendlyInviteeUri": invitee["uri"],
        "scheduledTime": starts_at.isoformat(),
        "clientInfo": CLIENT,
    } | changes


async def store(stack: Stack, body: Json) -> httpx.Response:
    """Tell of it, from the client's browser."""
    return await post(stack, "scheduling/calendly/store-event", body)


async def stored(stack: Stack, service: str = "portrait", days: int = 3) -> tuple[Json, Json]:
    """A booking that was made on the scheduler's own page and is ours now: the flow, and what store-event answered."""
    flow, starts_at = await begin(stack, service), await stack.in_days(days, service)
    answer = await store(stack, storing(flow, book_there(stack, flow, starts_at, service=service), starts_at))
    assert answer.status_code == 200, answer.text
    return flow, answer.json()


def holder(flow: Json) -> dict[str, str]:
    """How a caller with the flow's token comes."""
    return {"Authorization": f"Bearer {flow['bookingFlowId']}"}


async def status(stack: Stack, booking_id: str, **headers: str) -> Json:
    """How the booking stands, as the program reads it."""
    path = f"/api/scheduling/calendly/booking-status/{booking_id}"
    answer = await stack.client.get(path, headers=headers or SERVER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def page(stack: Stack, booking_id: str, **headers: str) -> Json:
    """Stripe's page for the booking."""
    answer = await post(stack, "stripe/create-checkout-session", {"bookingId": booking_id}, **(headers or SERVER))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())

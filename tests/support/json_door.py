"""The JSON door as a program uses it: wishes, locks, confirmed bookings."""

from typing import Any

import httpx

from tests.support.stack import Stack

KEY = "a-server-key-of-some-length"
SERVER = {"Authorization": f"Bearer {KEY}"}
ANNA = {"name": "Anna Ek", "email": "anna@customer.example"}


async def post(stack: Stack, path: str, body: Any, **headers: str) -> httpx.Response:
    return await stack.client.post(f"/api/{path}", json=body, headers=headers)


async def wish(stack: Stack, nth: int = 0, service: str = "portrait") -> dict[str, Any]:
    """What to lock: the n-th free time, read over JSON."""
    service_id = getattr(stack, f"{service}_id")
    asked = {"serviceId": service_id, "from": "2026-11-23", "to": "2026-12-20"}
    answer = await stack.client.get("/api/availability", params=asked, headers=SERVER)
    slot = answer.json()["slots"][nth]
    return {"serviceId": service_id, "start": slot["start"], "end": slot["end"], "customer": ANNA}


async def lock(stack: Stack, nth: int = 0, service: str = "portrait", **headers: str) -> dict[str, Any]:
    answer = await post(stack, "bookings/lock", await wish(stack, nth, service), **headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def confirmed(stack: Stack, nth: int = 0, service: str = "portrait") -> dict[str, str]:
    """A booking, paid for; how to name it."""
    held = await lock(stack, nth, service)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    page = (await post(stack, "checkout/create-session", named)).json()
    if page["sessionId"]:
        await stack.stripe.pay(page["sessionId"])
    return named


def code(answer: httpx.Response) -> str:
    """The code of an error, which comes in the one envelope."""
    body = answer.json()
    assert set(body) == {"success", "error"}
    assert body["success"] is False
    assert set(body["error"]) == {"code", "message", "details"}
    return str(body["error"]["code"])

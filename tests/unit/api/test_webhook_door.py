"""Stripe's door: every malformed input is refused, every genuine event is stored once and answered at once."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.domain.booking import Status
from app.store.tables import inbox
from sandbox.hapio import Fault
from tests.support.stack import Stack
from tests.support.stripe_events import event, signed

DOOR = "/api/webhooks/stripe"


async def stored(stack: Stack) -> list[Any]:
    async with stack.parts.store.engine.connect() as connection:
        return list((await connection.execute(sa.select(inbox))).mappings())


async def test_a_genuine_event_is_stored_and_answered(stack: Stack) -> None:
    answer = await stack.client.post(DOOR, content=event(), headers=signed(stack, event()))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "message": "Webhook received"})
    [row] = await stored(stack)
    assert row["processed_at"]


async def test_a_repeated_event_is_stored_once(stack: Stack) -> None:
    for _ in range(3):
        answer = await stack.client.post(DOOR, content=event(), headers=signed(stack, event()))
        assert answer.status_code == 200
    assert len(await stored(stack)) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"object": "v2.core.event", "id": "evt_1"}',
        event(data={}).encode(),
        event(data={"object": None}).encode(),
        event(id="").encode(),
        event(created="soon").encode(),
    ],
)
async def test_a_malformed_body_is_refused_even_when_signed(stack: Stack, body: bytes) -> None:
    header = signed(stack, body.decode("utf-8", "replace"))
    answer = await stack.client.post(DOOR, content=body, headers=header)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "WEBHOOK_VERIFICATION_FAILED"
    assert await stored(stack) == []


@pytest.mark.parametrize("header", [None, "", "t=1", "v1=abc", "t=,v1=", "t=x,v1=y", "t=1,t=2,v1=abc", "{}", "\u00e9"])
async def test_a_malformed_signature_is_refused(stack: Stack, header: str | None) -> None:
    headers = httpx.Headers([] if header is None else [(b"stripe-signature", header.encode("utf-8"))])
    answer = await stack.client.post(DOOR, content=event(), headers=headers)
    assert answer.status_code == 400


async def test_a_forged_an_old_and_a_future_event_are_refused(stack: Stack) -> None:
    for headers in (
        signed(stack, event(), key="whsec_guess"),
        signed(stack, event(), at=timedelta(minutes=-6)),
        signed(stack, event(), at=timedelta(minutes=6)),
        signed(stack, event(type="other")),
    ):
        assert (await stack.client.post(DOOR, content=event(), headers=headers)).status_code == 400


async def test_a_huge_body_is_refused(stack: Stack) -> None:
    body = event(type="x" * (2 << 20))
    answer = await stack.client.post(DOOR, content=body, headers=signed(stack, body))
    assert answer.status_code in {400, 413}


async def test_a_live_event_at_a_test_key_has_no_effect(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.at_stripe(booking)
    thing = {"id": "cs_live_1", "object": "checkout.session", "metadata": {"booking_id": booking.id}}
    body = event(livemode=True, data={"object": thing})
    reads = len(stack.stripe.calls)
    assert (await stack.client.post(DOOR, content=body, headers=signed(stack, body))).status_code == 200
    assert len(stack.stripe.calls) == reads


async def test_a_forged_state_confirms_nothing_since_stripe_is_asked(stack: Stack) -> None:
    """Even with a stolen secret: the body is a hint, the Session is the fact."""
    booking = await stack.hold()
    session_id = await stack.at_stripe(booking)
    thing = {
        "id": session_id,
        "object": "checkout.session",
        "metadata": {"booking_id": booking.id},
        "status": "complete",
        "payment_status": "paid",
    }
    body = event(data={"object": thing})
    assert (await stack.client.post(DOOR, content=body, headers=signed(stack, body))).status_code == 200
    assert await stack.status(booking) is Status.AWAITING_PAYMENT


async def test_with_hapio_down_the_event_is_taken_and_the_worker_confirms(stack: Stack) -> None:
    booking = await stack.hold()
    stack.hapio.faults.append(Fault("drop_before", times=30))
    await stack.paid(booking)
    assert await stack.status(booking) is Status.PAID
    assert all(delivery.answers[-1] == 200 for delivery in stack.stripe.state.deliveries)
    stack.hapio.faults.clear()
    for _ in range(5):
        await stack.tick(after=stack.minutes(1))
    assert await stack.status(booking) is Status.CONFIRMED
    assert all(row["processed_at"] for row in await stored(stack))


@pytest.mark.parametrize("switches", [{"double": True}, {"reorder": True}, {"delay_seconds": 120}, {"lose": 5}])
async def test_doubled_reordered_late_and_lost_events_end_in_one_confirmed_booking(
    stack: Stack, switches: dict[str, Any]
) -> None:
    for name, value in switches.items():
        setattr(stack.stripe.switches, name, value)
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED
    assert (len(stack.hapio_bookings()), stack.money_kept()) == (1, 120000)
    assert len(stack.mailbox.messages) == 2


async def test_a_tampered_event_is_refused_and_its_next_delivery_taken(stack: Stack) -> None:
    stack.stripe.switches.tamper = 2
    booking = await stack.hold()
    await stack.paid(booking)
    assert await stack.status(booking) is Status.AWAITING_PAYMENT
    await stack.until_quiet()
    assert await stack.status(booking) is Status.CONFIRMED

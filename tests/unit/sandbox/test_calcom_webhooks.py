"""The Cal.com sandbox's webhooks: what is told to whom, signed, once, in whatever order."""

import asyncio
import hashlib
import hmac
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sandbox.calcom import CalcomSandbox
from sandbox.clock import Clock
from tests.contract.calcom_fixtures import ATTENDEE, CANCELLED, Coach
from tests.support.calcom_account import CONFIRMED_BY_HAND, FRIDAY, SECRET, Receiver, instant, subscribe


@pytest.fixture
def clock() -> Clock:
    """Stand still on a Friday morning."""
    return Clock(FRIDAY)


@pytest.fixture
def receiver() -> Receiver:
    """Someone who is told."""
    return Receiver()


@pytest.fixture
async def sandbox(clock: Clock, receiver: Receiver) -> AsyncIterator[CalcomSandbox]:
    """An account without event types."""
    transport = httpx.ASGITransport(app=receiver)
    async with httpx.AsyncClient(transport=transport) as client:
        yield CalcomSandbox(now=clock, webhook_client=client)


@pytest.fixture
async def client(sandbox: CalcomSandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the owner's key."""
    headers = {"authorization": f"Bearer {sandbox.token}"}
    transport = sandbox.transport()
    async with httpx.AsyncClient(transport=transport, base_url="http://cal.test/v2", headers=headers) as client:
        yield client


@pytest.fixture
def coach(client: httpx.AsyncClient, clock: Clock) -> Coach:
    """Shorthands for making things."""
    return Coach(client, clock, random.Random(1))


# webhooks


async def test_a_webhook_is_signed_over_its_raw_body(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    made = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    assert await sandbox.deliver_due() == 1
    [(headers, body)] = receiver.got
    assert headers["x-cal-signature-256"] == hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-cal-webhook-version"] == "2021-10-20"
    [event] = receiver.events
    assert (event["triggerEvent"], event["createdAt"]) == ("BOOKING_CREATED", "2026-11-20T08:00:00.000Z")
    payload = event["payload"]
    assert (payload["uid"], payload["bookingId"]) == (made["uid"], made["id"])
    assert (payload["status"], payload["eventTypeId"], payload["length"]) == ("ACCEPTED", kind, 30)
    assert payload["metadata"] == {"holdfast_id": "bk_1"}
    assert payload["startTime"] == coach.at("10:00")
    assert payload["organizer"]["email"] == sandbox.owner.email
    assert payload["attendees"][0]["email"] == ATTENDEE["email"]


async def test_without_a_secret_the_signature_says_so(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach, secret=None)
    await coach.booked(kind, "10:00")
    await sandbox.deliver_due()
    assert receiver.got[0][0]["x-cal-signature-256"] == "no-secret-provided"


@pytest.mark.parametrize("status", [500, 302])
async def test_a_webhook_is_a_single_shot(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach, status: int
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    receiver.status = status
    await coach.booked(kind, "10:00")
    assert await sandbox.deliver_due() == 1
    clock.advance(timedelta(days=1))
    assert await sandbox.deliver_due() == 0
    assert len(receiver.got) == 1


async def test_every_step_of_a_booking_is_told(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type(confirmationPolicy=CONFIRMED_BY_HAND)
    await subscribe(coach)
    confirmed, declined = await coach.booked(kind, "10:00"), await coach.booked(kind, "11:00")
    sandbox.confirm(confirmed["uid"])
    sandbox.decline(declined["uid"], "Away")
    moved = sandbox.move_as_owner(confirmed["uid"], instant(coach, "14:00"))
    sandbox.cancel_as_owner(moved["uid"], "Ill")
    await sandbox.deliver_due()
    assert receiver.triggers == [
        "BOOKING_REQUESTED",
        "BOOKING_REQUESTED",
        "BOOKING_CREATED",
        "BOOKING_REJECTED",
        "BOOKING_RESCHEDULED",
        "BOOKING_CANCELLED",
    ]
    requested, _, _, rejected, rescheduled, cancelled = (event["payload"] for event in receiver.events)
    assert (requested["status"], rejected["status"]) == ("PENDING", "REJECTED")
    assert (rescheduled["uid"], rescheduled["rescheduleUid"]) == (moved["uid"], confirmed["uid"])
    assert (cancelled["cancellationReason"], cancelled["cancelledBy"]) == ("Ill", sandbox.owner.email)
    assert cancelled["requestReschedule"] is False


@pytest.mark.parametrize(
    ("mode", "arrive"),
    [
        ("once", ["BOOKING_CREATED", "BOOKING_CANCELLED"]),
        ("twice", ["BOOKING_CREATED", "BOOKING_CREATED", "BOOKING_CANCELLED", "BOOKING_CANCELLED"]),
        ("reversed", ["BOOKING_CANCELLED", "BOOKING_CREATED"]),
        ("never", []),
        ("delayed", []),
    ],
)
async def test_webhooks_come_once_twice_reversed_late_or_never(
    clock: Clock, sandbox: CalcomSandbox, receiver: Receiver, coach: Coach, mode: Any, arrive: list[str]
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.webhook_delivery = mode
    await coach.cancel((await coach.booked(kind, "10:00"))["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == arrive
    clock.advance(timedelta(minutes=10))
    await sandbox.deliver_due()
    assert len(receiver.got) == (2 if mode == "delayed" else len(arrive))


async def test_the_next_webhooks_can_be_lost(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.webhook_lose = 1
    await coach.cancel((await coach.booked(kind, "10:00"))["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CANCELLED"]
    assert sandbox.switches.webhook_lose == 0


async def test_known_defects_of_webhooks_can_be_switched_on(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    sandbox.switches.update({"reschedule_webhook": "BOOKING_REQUESTED", "cancel_webhook_metadata": False})
    made = await coach.booked(kind, "10:00", metadata={"holdfast_id": "bk_1"})
    await coach.cancel((await coach.move(made["uid"], "14:00")).json()["data"]["uid"], **CANCELLED)
    await sandbox.deliver_due()
    assert receiver.triggers == ["BOOKING_CREATED", "BOOKING_REQUESTED", "BOOKING_CANCELLED"]
    assert receiver.events[1]["payload"]["rescheduleUid"] == made["uid"]
    assert "metadata" not in receiver.events[2]["payload"]


async def test_only_who_asked_is_told(sandbox: CalcomSandbox, receiver: Receiver, coach: Coach) -> None:
    kind, other = await coach.event_type(), await coach.event_type()
    body = {"active": True, "subscriberUrl": "http://us.test/type", "triggers": ["BOOKING_CREATED"]}
    await coach.make(f"event-types/{kind}/webhooks", body)
    off = await subscribe(coach)
    await coach.call("PATCH", f"webhooks/{off['id']}", {"active": False})
    await coach.booked(other, "10:00")
    assert await sandbox.deliver_due() == 0
    made = await coach.booked(kind, "11:00")
    await coach.cancel(made["uid"], **CANCELLED)
    assert await sandbox.deliver_due() == 1


async def test_a_template_of_ones_own_changes_the_whole_body(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach, payloadTemplate='{"who": "{{attendees.0.name}}", "what": "{{triggerEvent}}"}')
    await coach.booked(kind, "10:00")
    await sandbox.deliver_due()
    assert receiver.events == [{"who": "Ada Example", "what": "BOOKING_CREATED"}]


async def test_over_a_socket_deliveries_run_next_to_the_server(
    sandbox: CalcomSandbox, receiver: Receiver, coach: Coach
) -> None:
    kind = await coach.event_type()
    await subscribe(coach)
    await coach.booked(kind, "10:00")
    running = asyncio.create_task(sandbox.run_deliveries())
    async with asyncio.timeout(5):
        await receiver.arrived.wait()
    running.cancel()
    assert receiver.triggers == ["BOOKING_CREATED"]

"""Cal.com's webhooks: only what it has signed within a day comes in, and it is no more than a hint to look."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.errors import WebhookRefused
from app.scheduling.calcom.webhook import CalcomWebhooks
from app.scheduling.port import SchedulerNotice
from sandbox.calcom.events import sign
from sandbox.clock import Clock
from tests.support.calcom_coach import HOUR, MINUTE, TEN, URL, CalcomCoach, open_coach
from tests.support.hapio_studio import MONDAY

SECRET = "a secret of thirty-two characters"
_NAMES = ("CREATED", "RESCHEDULED", "REQUESTED", "CANCELLED", "REJECTED", "NO_SHOW_UPDATED")
TRIGGERS = [f"BOOKING_{name}" for name in _NAMES]


@pytest.fixture
def webhooks() -> CalcomWebhooks:
    return CalcomWebhooks(secret=SECRET, now=Clock(MONDAY))


def body(*, created: datetime | None = MONDAY, trigger: str = "BOOKING_CREATED", **payload: Any) -> bytes:
    told: dict[str, Any] = {"triggerEvent": trigger, "payload": {"uid": "uidOne", **payload}}
    return json.dumps(told | ({"createdAt": created.isoformat()} if created else {})).encode()


def signature(raw: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-cal-signature-256": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}


def read(webhooks: CalcomWebhooks, raw: bytes) -> SchedulerNotice:
    return webhooks.read(raw, signature(raw))


def test_a_signed_body_names_its_booking_and_its_times(webhooks: CalcomWebhooks) -> None:
    notice = read(webhooks, body(startTime="2026-11-24T10:00:00Z", endTime="2026-11-24T11:00:00Z"))
    assert (notice.type, notice.ids) == ("calcom.BOOKING_CREATED", ("uidOne",))
    assert notice.moments == (TEN, TEN + HOUR)
    assert (notice.bookings, notice.deletes) == ({}, False)


def test_a_move_names_the_booking_that_it_was_too(webhooks: CalcomWebhooks) -> None:
    notice = read(webhooks, body(trigger="BOOKING_RESCHEDULED", rescheduleUid="uidOld"))
    assert notice.ids == ("uidOne", "uidOld")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-cal-signature-256": ""},
        {"x-cal-signature-256": "no-secret-provided"},
        {"x-cal-signature-256": "00" * 32},
        {"x-cal-signature-256": "ä" * 64},
        signature(body(), "somebody else's secret"),
        signature(body() + b" "),
    ],
    ids=["none", "empty", "without a secret", "zeros", "no hexadecimal", "foreign", "another body's"],
)
def test_what_cal_com_did_not_sign_is_refused(webhooks: CalcomWebhooks, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused):
        webhooks.read(body(), headers)


def test_without_a_secret_of_ours_nothing_is_believed() -> None:
    webhooks = CalcomWebhooks(secret="", now=Clock(MONDAY))
    raw = body()
    for headers in (signature(raw, ""), {"x-cal-signature-256": "no-secret-provided"}):
        with pytest.raises(WebhookRefused):
            webhooks.read(raw, headers)


@pytest.mark.parametrize(
    ("age", "taken"),
    [(25 * HOUR, True), (25 * HOUR + MINUTE, False), (-5 * MINUTE, True), (-6 * MINUTE, False), (0 * HOUR, True)],
    ids=str,
)
def test_a_body_is_believed_for_a_day(webhooks: CalcomWebhooks, age: timedelta, taken: bool) -> None:
    raw = body(created=MONDAY - age)
    if taken:
        assert read(webhooks, raw).ids == ("uidOne",)
    else:
        with pytest.raises(WebhookRefused):
            read(webhooks, raw)


def test_the_same_event_twice_has_one_id_and_another_event_another(webhooks: CalcomWebhooks) -> None:
    first = read(webhooks, body())
    assert read(webhooks, body(attendees=[])).id == first.id
    others = (body(trigger="BOOKING_CANCELLED"), body(created=MONDAY - MINUTE), body(uid="uidTwo"))
    assert len({first.id, *(read(webhooks, one).id for one in others)}) == 4


@pytest.mark.parametrize(
    "told",
    [
        {"triggerEvent": "MEETING_STARTED", "createdAt": MONDAY.isoformat(), "uid": "uidOne", "id": 4},
        {"triggerEvent": "MEETING_ENDED", "uid": "uidOne"},
        {"triggerEvent": ["x"], "createdAt": MONDAY.isoformat(), "payload": "text"},
        {"triggerEvent": "BOOKING_CREATED", "createdAt": MONDAY.isoformat(), "payload": {"uid": {"a": 1}}},
        {"triggerEvent": "BOOKING_CREATED", "createdAt": MONDAY.isoformat(), "payload": {"uid": "../other"}},
        {"triggerEvent": "BOOKING_CREATED", "createdAt": 5, "payload": {"uid": "uidOne"}},
        {"content": "a template of the owner's own"},
    ],
)
def test_a_body_of_another_shape_is_no_error_and_names_nothing(webhooks: CalcomWebhooks, told: dict[str, Any]) -> None:
    notice = read(webhooks, json.dumps(told).encode())
    assert (notice.ids, notice.moments) == ((), ())
    assert notice.id.startswith("calcom_")


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"[]", b'"text"', b"[" * 100_000])
def test_what_is_no_object_is_refused(webhooks: CalcomWebhooks, raw: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read(webhooks, raw)


# As the sandbox sends them


@pytest.fixture
async def coach() -> AsyncIterator[CalcomCoach]:
    async with open_coach() as coach:
        yield coach


async def subscribe(coach: CalcomCoach, secret: str | None = SECRET) -> None:
    headers = {"authorization": f"Bearer {coach.sandbox.token}"}
    wanted = {"subscriberUrl": "http://us.test/hook", "active": True, "secret": secret, "triggers": TRIGGERS}
    async with httpx.AsyncClient(transport=coach.sandbox.transport(), base_url=URL, headers=headers) as api:
        (await api.post("/webhooks", json=wanted)).raise_for_status()


def notices(coach: CalcomCoach) -> list[SchedulerNotice]:
    """What was sent so far, as it is read here; each once."""
    webhooks = CalcomWebhooks(secret=SECRET, now=coach.clock)
    queue = coach.sandbox.state.deliveries.queue
    read = [webhooks.read(one.body, headers(one.endpoint.secret, one.body, coach.clock())) for one in queue]
    queue.clear()
    return read


def headers(secret: str, raw: bytes, at: datetime) -> dict[str, str]:
    return {name.lower(): value for name, value in sign(secret, raw, at).items()}


@pytest.mark.parametrize("moved_as", ["BOOKING_RESCHEDULED", "BOOKING_REQUESTED"])
@pytest.mark.parametrize("with_metadata", [True, False])
async def test_a_bookings_life_is_told_by_its_ids(coach: CalcomCoach, moved_as: Any, with_metadata: bool) -> None:
    coach.sandbox.switches.reschedule_webhook = moved_as
    coach.sandbox.switches.cancel_webhook_metadata = with_metadata
    await subscribe(coach)
    made = await coach.confirm()
    [created] = notices(coach)
    assert (created.type, created.ids, created.moments) == ("calcom.BOOKING_CREATED", (made.id,), (TEN, TEN + HOUR))
    new = coach.sandbox.move_as_owner(made.id, TEN + 4 * HOUR)["uid"]
    [moved] = notices(coach)
    assert (moved.type, moved.ids) == (f"calcom.{moved_as}", (new, made.id))
    coach.sandbox.cancel_as_attendee(new)
    [canceled] = notices(coach)
    assert (canceled.type, canceled.ids) == ("calcom.BOOKING_CANCELLED", (new,))


async def test_a_no_show_names_its_booking(coach: CalcomCoach) -> None:
    await subscribe(coach)
    made = await coach.confirm()
    coach.clock.set(TEN + HOUR)
    headers = {"authorization": f"Bearer {coach.sandbox.token}", "cal-api-version": "2024-08-13"}
    coach.sandbox.state.deliveries.queue.clear()
    async with httpx.AsyncClient(transport=coach.sandbox.transport(), base_url=URL, headers=headers) as api:
        (await api.post(f"/bookings/{made.id}/mark-absent", json={"host": True})).raise_for_status()
    [notice] = notices(coach)
    assert (notice.type, notice.ids) == ("calcom.BOOKING_NO_SHOW_UPDATED", (made.id,))


async def test_a_subscription_without_a_secret_is_not_believed(coach: CalcomCoach) -> None:
    await subscribe(coach, secret=None)
    await coach.confirm()
    with pytest.raises(WebhookRefused):
        notices(coach)

"""Calendly's webhooks: only what Calendly has signed within a day comes in, and it is no more than a hint to look."""

import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers

from app.errors import WebhookRefused
from app.scheduling.calendly.webhook import CalendlyWebhooks
from app.scheduling.port import SchedulerNotice
from sandbox.calendly import SIGNATURE_HEADER, signature
from tests.support.calendly_adviser import HOUR, TEN, CalendlyAdviser, open_adviser

KEY = "calendly-webhook-key"
URL = "https://book.example/api/webhooks/calendly"
THURSDAY = TEN + timedelta(days=2)


Arrived = list[tuple[bytes, Headers]]


@pytest.fixture
def heard() -> Arrived:
    """What has arrived at our address, and was not read yet."""
    return []


@pytest.fixture
async def adviser(heard: Arrived) -> AsyncIterator[CalendlyAdviser]:
    """The adviser, who has subscribed our address."""

    async def arrive(request: httpx.Request) -> httpx.Response:
        heard.append((await request.aread(), Headers(dict(request.headers))))
        return httpx.Response(200)

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(arrive)) as hooks,
        open_adviser(webhook_client=hooks) as adviser,
    ):
        await adviser.subscribe(URL, KEY)
        yield adviser


def read(adviser: CalendlyAdviser, raw: bytes, headers: Headers) -> SchedulerNotice:
    return CalendlyWebhooks(key=KEY, now=adviser.clock).read(raw, headers)


async def notices(adviser: CalendlyAdviser, heard: Arrived) -> list[SchedulerNotice]:
    """What has arrived since the last look."""
    await adviser.sandbox.deliver_due()
    told = [read(adviser, raw, headers) for raw, headers in heard]
    heard.clear()
    return told


def signed(adviser: CalendlyAdviser, body: bytes, *, at: timedelta = timedelta(), key: str = KEY) -> Headers:
    return Headers({SIGNATURE_HEADER: signature(key, body, adviser.clock() + at)})


def told(**payload: Any) -> bytes:
    return json.dumps({"event": "invitee.created", "created_at": "2026-11-23T13:00:00Z", "payload": payload}).encode()


async def test_our_own_booking_is_told_whole_so_that_nobody_needs_to_look(
    adviser: CalendlyAdviser, heard: Arrived
) -> None:
    reference = await adviser.booked()
    [notice] = await notices(adviser, heard)
    assert notice.type == "calendly.invitee.created"
    assert notice.ids == (reference,)
    assert notice.moments == (TEN, TEN + HOUR)
    assert notice.bookings == {reference.lower(): await adviser.scheduler.read(reference)}
    assert not notice.deletes


async def test_a_cancellation_names_its_event(adviser: CalendlyAdviser, heard: Arrived) -> None:
    reference = await adviser.booked()
    [created] = await notices(adviser, heard)
    adviser.sandbox.cancel_as_invitee(adviser.invitee_of(reference))
    [canceled] = await notices(adviser, heard)
    assert (canceled.type, canceled.ids) == ("calendly.invitee.canceled", (reference,))
    assert canceled.bookings[reference.lower()] == await adviser.scheduler.read(reference)
    assert canceled.id != created.id


@pytest.mark.parametrize("order", ["once", "reversed"])
async def test_a_move_on_calendlys_page_names_both_events_in_either_webhook(
    adviser: CalendlyAdviser, heard: Arrived, order: str
) -> None:
    old = await adviser.booked()
    await notices(adviser, heard)
    adviser.sandbox.switches.update({"webhooks": order})
    new = adviser.sandbox.reschedule(adviser.invitee_of(old), THURSDAY)["event"].rpartition("/")[2]
    both = {notice.type: notice for notice in await notices(adviser, heard)}
    canceled, created = both["calendly.invitee.canceled"], both["calendly.invitee.created"]
    assert set(canceled.ids) == set(created.ids) == {old, new}
    assert set(created.bookings) == {new.lower()}
    assert canceled.moments == (TEN, TEN + HOUR)
    assert created.moments == (THURSDAY, THURSDAY + HOUR)


async def test_a_webhook_that_comes_twice_is_the_same(adviser: CalendlyAdviser, heard: Arrived) -> None:
    adviser.sandbox.switches.webhooks = "twice"
    await adviser.booked()
    one, other = await notices(adviser, heard)
    assert one == other


@pytest.mark.parametrize("at", [timedelta(hours=-25), timedelta(0), timedelta(minutes=5)])
async def test_a_delivery_that_was_repeated_for_a_day_is_taken(adviser: CalendlyAdviser, at: timedelta) -> None:
    body = told(uri="https://api.calendly.com/scheduled_events/EV1/invitees/IN1")
    assert read(adviser, body, signed(adviser, body, at=at)).ids == ("EV1",)


@pytest.mark.parametrize("at", [timedelta(hours=-26), timedelta(minutes=6), timedelta(days=4000)])
async def test_an_old_webhook_and_one_of_the_future_are_refused(adviser: CalendlyAdviser, at: timedelta) -> None:
    body = told()
    with pytest.raises(WebhookRefused, match="too long ago"):
        read(adviser, body, signed(adviser, body, at=at))


@pytest.mark.parametrize(
    "header",
    ["", "t=1,v1=", "v1=abc", "t=abc,v1=abc", "t=99999999999999999,v1=abc", "nonsense", "t=é,v1=é", "t=1 t=2"],
)
async def test_a_webhook_without_a_signature_is_refused(adviser: CalendlyAdviser, header: str) -> None:
    with pytest.raises(WebhookRefused):
        CalendlyWebhooks(key=KEY, now=adviser.clock).read(told(), {SIGNATURE_HEADER.lower(): header})


async def test_a_forged_a_foreign_and_a_changed_webhook_are_refused(adviser: CalendlyAdviser) -> None:
    body = told()
    stamp = str(int(adviser.clock().timestamp()))
    unstamped = Headers({SIGNATURE_HEADER: f"t={stamp},v1={hmac.new(KEY.encode(), body, 'sha256').hexdigest()}"})
    for headers in (signed(adviser, body, key="another-key"), signed(adviser, b"{}"), unstamped):
        with pytest.raises(WebhookRefused, match="bad signature"):
            read(adviser, body, headers)
    with pytest.raises(WebhookRefused, match="not signed"):
        CalendlyWebhooks(key="", now=adviser.clock).read(body, signed(adviser, body, key=""))


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"payload": []}', b"[" * 100_000])
async def test_a_signed_body_that_is_no_webhook_is_refused(adviser: CalendlyAdviser, body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        read(adviser, body, signed(adviser, body))


async def test_a_payload_that_does_not_tell_the_booking_is_a_hint_anyway(adviser: CalendlyAdviser) -> None:
    event = "https://api.calendly.com/scheduled_events/EV1"
    odd: dict[str, Any] = {"start_time": "2026-11-24T15:00:00Z", "end_time": "tomorrow", "uri": 7}
    body = told(event=event, old_invitee=f"{event}0/invitees/IN0", new_invitee=None, scheduled_event=odd)
    notice = read(adviser, body, signed(adviser, body))
    assert (notice.ids, notice.moments, notice.bookings) == (("EV1", "EV10"), (TEN,), {})


async def test_a_canceled_invitee_is_believed_over_an_event_that_was_read_before(
    adviser: CalendlyAdviser, heard: Arrived
) -> None:
    await adviser.booked()
    await adviser.sandbox.deliver_due()
    [(raw, _)] = heard
    payload = json.loads(raw)["payload"] | {"status": "canceled"}
    body = told(**payload)
    [booking] = read(adviser, body, signed(adviser, body)).bookings.values()
    assert booking.is_canceled

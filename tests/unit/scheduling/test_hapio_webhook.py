"""Hapio's door: only what Hapio has just signed comes in, and it is no more than a hint to look."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint

from app.domain.booking import Booking, Status
from app.settings import SettingsError, WebhookScheme, read_settings
from tests.support.commands import ENVIRON
from tests.support.owner_calendar import booked, in_hapio, moved_in_hapio
from tests.support.stack import Stack, open_stack

DOOR = "/api/webhooks/hapio"
SECRET = "hapio-webhook-secret"


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, with Hapio's webhooks received."""
    async with open_stack(tmp_path, settings={"hapio_webhook_secret": SECRET}) as stack:
        yield stack


def signed(
    stack: Stack, body: bytes, *, at: timedelta = timedelta(0), secret: str = SECRET, **words: str
) -> dict[str, str]:
    """Signed as the scheme says."""
    scheme = WebhookScheme.model_validate(words)
    moment = stack.clock() + at
    stamp = {
        "seconds": f"{moment.timestamp():.0f}",
        "milliseconds": f"{moment.timestamp() * 1000:.0f}",
        "iso": moment.isoformat(),
    }[scheme.unit]
    text = {
        "timestamp.body": stamp.encode() + b"." + body,
        "timestamp+body": stamp.encode() + body,
        "body": body,
    }[scheme.signed]
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    written = digest.hex() if scheme.encoding == "hex" else base64.b64encode(digest).decode()
    return {scheme.signature_header: written, scheme.timestamp_header: stamp}


def told(booking_id: str | None, kind: str = "booking.updated") -> bytes:
    """An invented body: what Hapio really sends is not documented."""
    return json.dumps({"id": "n1", "type": kind, "data": {"id": booking_id}}).encode()


async def send(stack: Stack, body: bytes, **signing: Any) -> httpx.Response:
    return await stack.client.post(DOOR, content=body, headers=signed(stack, body, **signing))


async def test_a_cancellation_in_hapio_is_followed_at_once(hooked: Stack) -> None:
    booking = await booked(hooked)
    await in_hapio(hooked, booking, is_canceled=True)
    answer = await send(hooked, told(booking.reservation.reference))
    assert (answer.status_code, answer.json()) == (200, {"success": True, "message": "Webhook received"})
    assert await hooked.status(booking) is Status.CANCELED
    assert hooked.money_kept() == 0


async def test_a_forged_state_cancels_nothing_since_hapio_is_asked(hooked: Stack) -> None:
    booking = await booked(hooked)
    body = json.dumps({"type": "booking.canceled", "data": {"id": booking.reservation.reference, "is_canceled": True}})
    assert (await send(hooked, body.encode())).status_code == 200
    assert await hooked.status(booking) is Status.CONFIRMED


async def test_an_unsigned_a_forged_an_old_and_a_future_webhook_are_refused(hooked: Stack) -> None:
    booking = await booked(hooked)
    await in_hapio(hooked, booking, is_canceled=True)
    body = told(booking.reservation.reference)
    for headers in (
        {},
        {"x-hapio-signature": ""},
        {"x-hapio-signature": "\u00e9".encode().decode("latin-1")},
        signed(hooked, body, secret="guessed"),
        signed(hooked, body, secret=""),
        signed(hooked, body, at=timedelta(minutes=-6)),
        signed(hooked, body, at=timedelta(minutes=6)),
        signed(hooked, told("another")),
        signed(hooked, body, signed="body"),
        signed(hooked, body) | {"x-hapio-signature-timestamp": "9" * 17},
    ):
        raw = httpx.Headers([(name.encode(), value.encode("latin-1")) for name, value in headers.items()])
        answer = await hooked.client.post(DOOR, content=body, headers=raw)
        assert answer.json()["error"]["code"] == "WEBHOOK_VERIFICATION_FAILED"
    assert await hooked.status(booking) is Status.CONFIRMED


async def test_without_a_secret_there_is_no_such_door(stack: Stack) -> None:
    assert (await send(stack, told("x"))).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused_even_when_signed(hooked: Stack, body: bytes) -> None:
    assert (await send(hooked, body)).status_code == 400


@pytest.mark.parametrize(
    "scheme",
    [
        {"signed": "timestamp+body", "encoding": "base64", "unit": "milliseconds"},
        {"signed": "timestamp.body", "unit": "iso"},
        {"signed": "body", "encoding": "base64", "signature": "x-signature"},
    ],
)
async def test_another_way_of_signing_is_a_setting(tmp_path: Path, scheme: dict[str, str]) -> None:
    words = " ".join(f"{name}={value}" for name, value in scheme.items())
    settings = {"hapio_webhook_secret": SECRET, "hapio_webhook_scheme": words}
    async with open_stack(tmp_path, settings=settings) as stack:
        assert (await send(stack, told("x"), **scheme)).status_code == 200
        assert (await send(stack, told("x"), secret="guessed", **scheme)).status_code == 400


@pytest.mark.parametrize("words", ["encoding=base32", "signed", "colour=red", "signature=X@Y"])
def test_a_way_of_signing_that_makes_no_sense_stops_the_start(words: str) -> None:
    with pytest.raises(SettingsError, match="HAPIO_WEBHOOK_SCHEME"):
        read_settings({**ENVIRON, "HAPIO_WEBHOOK_SCHEME": words})


async def test_the_same_delivery_twice_is_taken_once(hooked: Stack) -> None:
    booking = await booked(hooked)
    body = told(booking.reservation.reference)
    headers = signed(hooked, body)
    for _ in range(3):
        assert (await hooked.client.post(DOOR, content=body, headers=headers)).status_code == 200
    assert len(hooked.hapio.calls) == 1


async def test_where_the_time_is_not_signed_another_time_makes_no_other_delivery(tmp_path: Path) -> None:
    settings = {"hapio_webhook_secret": SECRET, "hapio_webhook_scheme": "signed=body"}
    async with open_stack(tmp_path, settings=settings) as stack:
        booking = await booked(stack)
        body = told(booking.reservation.reference)
        headers = signed(stack, body, signed="body")
        for second in range(20):
            stamped = headers | {"x-hapio-signature-timestamp": str(second)}
            assert (await stack.client.post(DOOR, content=body, headers=stamped)).status_code == 200
            await stack.tick()
        assert len(stack.hapio.calls) == 1


async def test_the_same_body_signed_again_is_another_delivery(hooked: Stack) -> None:
    booking = await booked(hooked)
    body = told(booking.reservation.reference)
    for second in range(2):
        assert (await send(hooked, body, at=timedelta(seconds=second))).status_code == 200
    assert len(hooked.hapio.calls) == 2


async def test_what_we_did_ourselves_is_not_read_back(hooked: Stack) -> None:
    """Hapio tells of each of our own locks and confirmations, too; a booking still costs two calls."""
    booking = await booked(hooked)
    body = await as_hapio_tells(hooked, booking, "booking.updated")
    assert (await send(hooked, body)).status_code == 200
    assert hooked.hapio.calls == []
    await in_hapio(hooked, booking)
    deleted = body.replace(b"booking.updated", b"booking.deleted")
    assert (await send(hooked, deleted)).status_code == 200
    assert await hooked.status(booking) is Status.CANCELED


async def as_hapio_tells(stack: Stack, booking: Booking, kind: str) -> bytes:
    """With the whole booking in it."""
    async with stack.hapio_api() as api:
        data = (await api.get(f"/bookings/{booking.reservation.reference}")).raise_for_status().json()
    stack.hapio.calls.clear()
    return json.dumps({"id": "n2", "type": kind, "data": data}).encode()


async def test_with_hapio_down_the_hint_is_kept_and_followed_later(hooked: Stack) -> None:
    booking = await booked(hooked)
    await moved_in_hapio(hooked, booking, await hooked.free_slot(nth=60))
    token, hooked.hapio.state.tokens = hooked.hapio.state.tokens, {}
    assert (await send(hooked, told(booking.reservation.reference))).status_code == 200
    assert (await hooked.parts.bookings.get(booking.id)).starts_at == booking.starts_at
    hooked.hapio.state.tokens = token
    await hooked.restart()
    await hooked.tick(after=timedelta(minutes=2))
    assert (await hooked.parts.bookings.get(booking.id)).starts_at != booking.starts_at


async def test_a_time_that_another_program_took_is_no_longer_shown_after_the_hint(hooked: Stack) -> None:
    start = await hooked.free_slot(nth=60)
    made = await hooked.book_elsewhere(start)
    widget = hooked.parts.widgets["studio"]
    service = await hooked.parts.availability.service(widget, hooked.portrait_id)
    hooked.clock.advance(timedelta(seconds=1))
    assert await hooked.parts.availability.find_slot(widget, service, start)
    assert (await send(hooked, told(made[0], "booking.created"))).status_code == 200
    assert await hooked.parts.availability.find_slot(widget, service, start)  # as it was, and read behind that
    with fail_after(30):  # the read behind it asks the database in a thread of its own
        while await hooked.parts.availability.find_slot(widget, service, start):
            await checkpoint()

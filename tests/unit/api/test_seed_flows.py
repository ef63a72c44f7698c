"""The three systems that this product was built from, each walked through over JSON as its document tells it."""

import hmac
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.domain.booking import Status
from tests.support.flows import Json, begin, book_there, holder, page, status, store, storing
from tests.support.json_door import ANNA, KEY, SERVER, post, wish
from tests.support.sides import WEBHOOK_SECRET, CalendlySide
from tests.support.stack import Stack, open_stack

SETTINGS: dict[str, Any] = {"api_keys": (KEY,), "seed_routes": "on"}
OTHER_SERVICE = "reschedule = { other_service = true }"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def get(stack: Stack, path: str, **headers: str) -> Json:
    answer = await stack.client.get(f"/api/{path}", headers=headers or SERVER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def lock(stack: Stack, nth: int, service: str = "portrait") -> tuple[str, Json]:
    """A held time: the booking's id, and how its customer names it."""
    answer = await post(stack, "bookings/lock", await wish(stack, nth, service))
    assert answer.status_code == 201, answer.text
    held = answer.json()
    return held["bookingId"], {"bookingId": held["bookingId"], "token": held["token"]}


async def paid(stack: Stack, nth: int, service: str = "portrait") -> tuple[str, Json]:
    """A booking that was paid on Stripe's page, of which Stripe's webhook has told."""
    booking, named = await lock(stack, nth, service)
    await stack.stripe.pay((await page(stack, booking))["sessionId"])
    assert (await status(stack, booking))["status"] == "CONFIRMED"
    return booking, named


async def test_hapio_with_stripe(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings=SETTINGS, widget=OTHER_SERVICE) as stack:
        offered = {one["name"]: one for one in (await get(stack, "services?widget=studio"))["services"]}
        assert {"Portrait session", "Headshot express", "Planning call"} <= offered.keys()

        # The time is locked in the calendar before anything is paid, and not paid in time it is free again.
        _, named = await lock(stack, 0)
        assert [one.is_temporary for one in stack.hapio_bookings()] == [True]
        unpaid = (await post(stack, "checkout/create-session", named)).json()
        assert (await get(stack, f"checkout/sessions/{unpaid['sessionId']}"))["status"] == "OPEN"
        await stack.tick(after=32 * MINUTE, times=2)
        assert (await get(stack, f"checkout/sessions/{unpaid['sessionId']}"))["status"] == "EXPIRED"
        assert stack.hapio_bookings() == []

        # Paid, it is final there.
        booking, named = await paid(stack, 40)
        [there] = stack.hapio_bookings()
        assert (there.is_temporary, there.metadata["holdfast_id"]) == (False, booking)
        assert (await get(stack, f"bookings/{booking}"))["hapioStatus"] == "ACTIVE"

        # Moved, and called off under its terms.
        to = await wish(stack, 60)
        moved = (
            await post(stack, "bookings/reschedule", named | {"newStart": to["start"], "newEnd": to["end"]})
        ).json()
        assert moved["booking"]["status"] == "RESCHEDULED"
        starts_at = datetime.fromisoformat(to["start"])
        stack.clock.set(starts_at - 3 * HOUR)
        gone = (await post(stack, "bookings/cancel", named | {"reason": "ill"})).json()
        assert (gone["status"], gone["refundAmount"]) == ("CANCELLED", 60000)
        await stack.until_quiet()
        assert stack.hapio_bookings() == []
        assert stack.money_kept() == 60000


async def test_calcom_with_stripe_for_coaches(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calcom", settings=SETTINGS, widget=OTHER_SERVICE) as stack:
        offered = {one["name"]: one["price"] for one in (await get(stack, "services"))["services"]}
        assert offered == {"Coaching session": 120000, "Interview practice": 65000, "Discovery call": 0}

        # Pending before the payment, confirmed by Stripe's webhook.
        booking, named = await lock(stack, 20)
        opened = await page(stack, booking)
        shown = await status(stack, booking)
        assert (shown["status"], shown["paymentStatus"]) == ("PENDING", "UNPAID")
        assert stack.side.booked() == []
        await stack.stripe.pay(opened["sessionId"])
        shown = await status(stack, booking)
        assert (shown["status"], shown["paymentStatus"]) == ("CONFIRMED", "PAID")
        assert [one.tag for one in stack.side.booked()] == [booking]

        # To a session that costs less, then to one that costs more.
        cheaper, dearer = await wish(stack, 40, "headshot"), await wish(stack, 60)
        move = named | {"newStart": cheaper["start"], "newEnd": cheaper["end"], "serviceId": cheaper["serviceId"]}
        moved = (await post(stack, "bookings/reschedule", move)).json()
        assert (moved["priceDifference"], moved["checkoutUrl"]) == (-55000, None)
        await stack.until_quiet()
        assert stack.money_kept() == 65000
        move = named | {"newStart": dearer["start"], "newEnd": dearer["end"], "serviceId": dearer["serviceId"]}
        moved = (await post(stack, "bookings/reschedule", move)).json()
        assert moved["priceDifference"] == 55000
        await stack.stripe.pay(moved["checkoutUrl"].rpartition("/")[2])
        await stack.until_quiet()
        shown = await status(stack, booking)
        assert (shown["status"], shown["scheduledTime"]) == ("RESCHEDULED", dearer["start"])
        assert stack.money_kept() == 120000
        assert len(stack.side.booked()) == 1

        # Called off three hours before, half of it comes back.
        stack.clock.set(datetime.fromisoformat(dearer["start"]) - 3 * HOUR)
        gone = (
            await post(stack, "scheduling/cancel-booking", {"bookingId": booking, "reason": "ill"}, **SERVER)
        ).json()
        assert (gone["status"], gone["refundStatus"]) == ("CANCELLED", "PENDING")
        await stack.until_quiet()
        assert (await status(stack, booking))["paymentStatus"] == "REFUNDED"
        assert stack.money_kept() == 60000
        assert stack.side.booked() == []

        # What the coach does at Cal.com is followed: moved there, then called off there.
        booking, _ = await paid(stack, 30)
        to = await stack.in_days(9)
        [there] = stack.side.booked()
        await stack.side.owner_moves(there.reference, to)
        await stack.side.deliver()
        shown = await status(stack, booking)
        assert (shown["status"], datetime.fromisoformat(shown["scheduledTime"])) == ("RESCHEDULED", to)
        [there] = stack.side.booked()
        await stack.side.owner_cancels(there.reference)
        await stack.side.deliver()
        await stack.until_quiet()
        shown = await status(stack, booking)
        assert (shown["status"], shown["paymentStatus"]) == ("CANCELLED", "REFUNDED")
        assert stack.money_kept() == 60000

        # Every kind of webhook that the document names is received, and none without Cal.com's signature.
        for trigger in ("CREATED", "CONFIRMED", "CANCELLED", "RESCHEDULED", "REJECTED"):
            told = {"triggerEvent": f"BOOKING_{trigger}", "createdAt": stack.clock().isoformat()}
            raw = json.dumps(told | {"payload": {"uid": there.reference}}).encode()
            signature = hmac.new(WEBHOOK_SECRET.encode(), raw, "sha256").hexdigest()
            for signed, answered in ((signature, 200), ("0" * 64, 400)):
                answer = await stack.client.post(
                    "/api/webhooks/calcom", content=raw, headers={"X-Cal-Signature-256": signed}
                )
                assert answer.status_code == answered
        assert stack.money_kept() == 60000


async def test_calendly_with_stripe_for_session_types(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calendly", settings=SETTINGS) as stack:
        assert isinstance(stack.side, CalendlySide)
        offered = {one["name"]: one["price"] for one in (await get(stack, "services"))["services"]}
        assert offered == {"Advice session": 120000, "Review": 65000, "Intro call": 0}

        # The client books on Calendly's page, and pays on Stripe's.
        flow, starts_at = await begin(stack), await stack.in_days(3)
        tracked = parse_qs(urlsplit(flow["calendlyUrl"]).query)
        assert tracked["utm_source"] == ["newsletter"]
        invitee = book_there(stack, flow, starts_at)
        await stack.side.deliver()
        told = (await store(stack, storing(flow, invitee, starts_at))).json()
        assert told["nextAction"] == "REDIRECT_TO_PAYMENT"
        booking, own = told["bookingId"], holder(flow)
        assert (await status(stack, booking, **own))["status"] == "PENDING"
        opened = await page(stack, booking, **own)
        assert (await get(stack, f"stripe/session-status/{opened['sessionId']}", **own))["status"] == "OPEN"
        await stack.stripe.pay(opened["sessionId"])
        session = await get(stack, f"stripe/session-status/{opened['sessionId']}", **own)
        assert (session["status"], session["paymentStatus"]) == ("COMPLETE", "PAID")
        shown = await status(stack, booking, **own)
        assert (shown["status"], shown["paymentStatus"], shown["calendlyStatus"]) == ("CONFIRMED", "PAID", "ACTIVE")
        [there] = stack.side.booked()
        assert there.reference in invitee["event"]
        assert there.tag == tracked["utm_content"][0]

        # Rescheduled on Calendly's page: the event is another one, and the booking the same.
        to = await stack.in_days(8)
        stack.side.sandbox.reschedule(invitee["uri"], to)
        await stack.side.deliver()
        shown = await status(stack, booking, **own)
        assert (shown["status"], datetime.fromisoformat(shown["scheduledTime"])) == ("RESCHEDULED", to)
        [there] = stack.side.booked()
        assert there.starts_at == to

        # Cancelled on Calendly's page: the terms decide what comes back.
        stack.clock.set(to - 3 * HOUR)
        await stack.side.customer_cancels(there.reference)
        await stack.side.deliver()
        await stack.until_quiet()
        shown = await status(stack, booking, **own)
        assert (shown["status"], shown["paymentStatus"], shown["calendlyStatus"]) == (
            "CANCELLED",
            "REFUNDED",
            "CANCELLED",
        )
        assert stack.money_kept() == 60000

        # What nobody pays for is cancelled at Calendly at the deadline.
        flow, starts_at = await begin(stack), await stack.in_days(3)
        told = (await store(stack, storing(flow, book_there(stack, flow, starts_at), starts_at))).json()
        assert len(stack.side.booked()) == 1
        stack.clock.set(datetime.fromisoformat(told["expiresAt"]))
        await stack.tick(times=2)
        assert stack.side.booked() == []
        shown = await status(stack, told["bookingId"], **holder(flow))
        assert (shown["status"], shown["calendlyStatus"]) == ("CANCELLED", "CANCELLED")
        assert stack.money_kept() == 60000

        # A free session needs no payment.
        flow, starts_at = await begin(stack, "planning"), await stack.in_days(3, "planning")
        invitee = book_there(stack, flow, starts_at, service="planning")
        told = (await store(stack, storing(flow, invitee, starts_at))).json()
        assert (told["nextAction"], told["paymentUrl"]) == ("AWAIT_WEBHOOK", None)
        assert (await status(stack, told["bookingId"], **holder(flow)))["status"] == "CONFIRMED"

        # Chosen in the program's own calendar, the event is made after the payment.
        starts_at = await stack.in_days(4)
        ends_at = starts_at + HOUR
        body = {
            "sessionTypeId": stack.portrait_id,
            "timeSlot": {"startTime": starts_at.isoformat(), "endTime": ends_at.isoformat()},
            "clientDetails": {**ANNA, "timezone": "Europe/Stockholm"},
        }
        before = stack.side.booked()
        told = (await post(stack, "scheduling/bookings/confirm", body, **SERVER)).json()
        assert (told["paymentRequired"], stack.side.booked()) == (True, before)
        await stack.stripe.pay(told["checkoutUrl"].rpartition("/")[2])
        assert (await stack.parts.bookings.get(told["booking"]["id"])).status is Status.CONFIRMED
        assert len(stack.side.booked()) == len(before) + 1

"""The JSON door: a program books, pays, moves and cancels; anyone who has no right to, does not."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.domain.booking import Status
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.callers import solve
from tests.support.json_door import ANNA, KEY, SERVER, code, confirmed, lock, post, wish
from tests.support.rows import rows
from tests.support.stack import PUBLIC_URL, Crash, Doom, Stack, open_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, with a server that holds an API key."""
    widget = "[studio.reschedule]\nother_service = true\nuntil_hours = 2"
    async with open_stack(tmp_path, widget=widget, settings={"api_keys": (KEY,)}) as stack:
        yield stack


# The whole way


async def test_a_program_books_pays_moves_and_cancels_over_json_alone(stack: Stack) -> None:
    client = stack.client
    services = (await client.get("/api/services", params={"widget": "studio"})).json()["services"]
    [portrait] = [service for service in services if service["name"] == "Portrait session"]
    [headshot] = [service for service in services if service["name"] == "Headshot express"]
    assert (portrait["price"], portrait["currency"], portrait["duration"]) == (120000, "sek", 60)

    asked = {"serviceId": portrait["id"], "from": "2026-11-25", "to": "2026-11-29", "timeZone": "America/New_York"}
    free = (await client.get("/api/availability", params=asked)).json()
    assert free["age"] == 0
    assert all(slot["start"].endswith("-05:00") for slot in free["slots"])
    first, second = free["slots"][0], free["slots"][-1]

    body = {"serviceId": portrait["id"], "start": first["start"], "end": first["end"], "customer": ANNA}
    body |= {"reference": "order 17", "metadata": {"desk": "2"}, "utm": {"utm_source": "mail"}}
    held = (await post(stack, "bookings/lock", body)).json()
    assert held["success"] is True
    assert held["status"] == "PENDING"
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    bearer = {"Authorization": f"Bearer {held['token']}"}

    page = (await post(stack, "checkout/create-session", named)).json()
    session = f"/api/checkout/sessions/{page['sessionId']}"
    assert (await client.get(session, headers=bearer)).json()["status"] == "OPEN"
    await stack.stripe.pay(page["sessionId"])

    paid = (await client.get(session, headers=bearer)).json()
    assert (paid["status"], paid["paymentStatus"]) == ("COMPLETE", "PAID")
    assert paid["paymentIntentId"].startswith("pi_")
    assert "/receipts/" in paid["receiptUrl"]
    shown = (await client.get(f"/api/bookings/{held['bookingId']}", headers=bearer)).json()
    assert (shown["status"], shown["paymentStatus"], shown["hapioStatus"]) == ("CONFIRMED", "PAID", "ACTIVE")
    assert (shown["reference"], shown["metadata"]) == ("order 17", {"desk": "2"})

    move = named | {"newStart": second["start"], "newEnd": second["end"]}
    would = (await post(stack, "bookings/reschedule", move | {"dryRun": True})).json()
    assert (would["booking"]["status"], would["priceDifference"]) == ("CONFIRMED", 0)
    moved = (await post(stack, "bookings/reschedule", move)).json()
    assert (moved["booking"]["status"], moved["checkoutUrl"]) == ("RESCHEDULED", None)

    short = (await wish(stack, 20, "headshot")) | {"serviceId": headshot["id"]}
    cheaper = named | {"newStart": short["start"], "newEnd": short["end"], "serviceId": headshot["id"]}
    moved = (await post(stack, "bookings/reschedule", cheaper)).json()
    assert moved["priceDifference"] == 65000 - 120000
    assert stack.money_kept() == 65000

    back = short_terms = (await post(stack, "bookings/cancel", named | {"dryRun": True})).json()
    assert (back["status"], back["refundStatus"], back["refundAmount"]) == ("RESCHEDULED", "PENDING", 65000)
    gone = (await post(stack, "bookings/cancel", named | {"reason": "ill"})).json()
    assert gone["status"] == "CANCELLED"
    assert gone["refundAmount"] == 55000 + short_terms["refundAmount"]
    await stack.until_quiet()
    shown = (await client.get(f"/api/bookings/{held['bookingId']}", headers=bearer)).json()
    assert (shown["status"], shown["paymentStatus"], shown["hapioStatus"]) == ("CANCELLED", "REFUNDED", "CANCELLED")
    assert shown["refund"] == {"status": "COMPLETED", "amount": 120000}
    assert stack.money_kept() == 0
    assert stack.hapio_bookings() == []


async def test_a_dearer_time_is_paid_before_the_booking_moves(stack: Stack) -> None:
    named = await confirmed(stack, 10, "headshot")
    dear = await wish(stack, 30)
    move = named | {"newStart": dear["start"], "newEnd": dear["end"], "serviceId": dear["serviceId"]}
    asked = (await post(stack, "bookings/reschedule", move)).json()
    assert asked["priceDifference"] == 120000 - 65000
    assert asked["booking"]["status"] == "CONFIRMED"
    assert asked["checkoutUrl"]
    again = await post(stack, "bookings/reschedule", move)
    assert (again.status_code, code(again)) == (409, "POLICY_REFUSED")
    left = (await post(stack, "bookings/reschedule/abandon", named)).json()
    assert left["status"] == "CONFIRMED"
    asked = (await post(stack, "bookings/reschedule", move)).json()
    await stack.stripe.pay(asked["checkoutUrl"].rpartition("/")[2])
    shown = (await stack.client.get(f"/api/bookings/{named['bookingId']}?token={named['token']}")).json()
    assert (shown["status"], shown["price"]) == ("RESCHEDULED", 120000)


async def test_a_free_service_is_confirmed_without_a_payment_page(stack: Stack) -> None:
    named = await confirmed(stack, 0, "planning")
    shown = (await stack.client.get(f"/api/bookings/{named['bookingId']}?token={named['token']}")).json()
    assert (shown["status"], shown["paymentStatus"], shown["price"]) == ("CONFIRMED", "UNPAID", 0)


async def test_a_hold_can_be_extended_and_given_up(stack: Stack) -> None:
    held = await lock(stack)
    named = {"hapioBookingId": held["hapioBookingId"], "token": held["token"]}
    stack.clock.advance(stack.minutes(5))
    longer = (await post(stack, "bookings/extend", named)).json()
    assert longer["expiresAt"] > held["expiresAt"]
    gone = (await post(stack, "bookings/cancel", named)).json()
    assert (gone["status"], gone["refundStatus"], gone["refundAmount"]) == ("CANCELLED", "NOT_APPLICABLE", 0)
    assert stack.hapio_bookings() == []


async def test_a_cancellation_can_be_undone_and_made_without_a_refund(stack: Stack) -> None:
    named = await confirmed(stack)
    await post(stack, "bookings/cancel", named)
    back = (await post(stack, "bookings/restore", named)).json()
    assert (back["status"], back["refund"]["status"]) == ("CONFIRMED", "NOT_APPLICABLE")
    gone = (await post(stack, "bookings/cancel", named | {"refundRequested": False})).json()
    assert (gone["status"], gone["refundStatus"], gone["refundAmount"]) == ("CANCELLED", "NOT_APPLICABLE", 0)
    await stack.until_quiet()
    assert stack.money_kept() == 120000


async def test_the_owners_server_cancels_with_a_full_refund_and_refunds_outside_the_terms(stack: Stack) -> None:
    named = await confirmed(stack)
    by_id = {"bookingId": named["bookingId"]}
    some = (await post(stack, "bookings/refund", by_id | {"amount": 2000}, **SERVER)).json()
    assert (some["refundAmount"], some["refundStatus"]) == (2000, "COMPLETED")
    assert some["refundId"].startswith("re_")
    early = await post(stack, "bookings/no-show", by_id, **SERVER)
    assert (early.status_code, code(early)) == (409, "POLICY_REFUSED")
    await post(stack, "bookings/cancel", by_id, **SERVER)
    await stack.until_quiet()
    assert stack.money_kept() == 0
    nothing = await post(stack, "bookings/refund", by_id, **SERVER)
    assert (nothing.status_code, code(nothing)) == (409, "REFUND_FAILED")


async def test_the_owners_server_settles_a_refused_refund_and_reaches_a_customer_after_all(stack: Stack) -> None:
    stack.mailbox.unknown.add(ANNA["email"])
    by_id = {"bookingId": (await confirmed(stack))["bookingId"]}
    none = await post(stack, "bookings/refund/paid-another-way", by_id, **SERVER)
    assert (none.status_code, code(none)) == (409, "BOOKING_CONFLICT")
    stack.stripe.switches.refund_mode = "refused"
    refused = (await post(stack, "bookings/refund", by_id, **SERVER)).json()
    assert refused["refundStatus"] == "PENDING"
    paid = (await post(stack, "bookings/refund/paid-another-way", by_id, **SERVER)).json()
    assert (paid["paymentStatus"], paid["refund"]) == ("REFUNDED", {"status": "COMPLETED", "amount": 120000})
    await stack.tick(times=3)
    assert (await post(stack, "bookings/correct-email", by_id | {"email": "anna@"}, **SERVER)).status_code == 422
    right = "anna@right.example"
    assert (await post(stack, "bookings/correct-email", by_id | {"email": right}, **SERVER)).status_code == 200
    # Not that money is on its way: it was paid without Stripe.
    assert [subject.partition(":")[0] for subject in await stack.mail(right)] == ["Confirmed"]
    assert (await post(stack, "bookings/resend-mails", by_id, **SERVER)).json() == {"success": True}
    assert (await post(stack, "bookings/correct", by_id | {"phone": "12"}, **SERVER)).status_code == 422
    named = await post(stack, "bookings/correct", by_id | {"name": "Anna Ekman", "removePhone": True}, **SERVER)
    customer = (await stack.parts.bookings.get(by_id["bookingId"])).customer
    assert (named.status_code, customer and (customer.name, customer.phone)) == (200, ("Anna Ekman", ""))


async def test_after_the_visit_a_booking_is_completed_and_can_be_marked_a_no_show(stack: Stack) -> None:
    named = await confirmed(stack)
    stack.clock.advance(timedelta(days=3))
    shown = await post(stack, "bookings/no-show", {"bookingId": named["bookingId"]}, **SERVER)
    assert (shown.json()["status"], shown.json()["noShow"]) == ("COMPLETED", True)


# Who may


async def test_a_token_opens_its_own_booking_and_no_other(stack: Stack) -> None:
    mine, other = await lock(stack), await lock(stack, 3)
    for path in ("bookings/extend", "checkout/create-session", "bookings/cancel", "bookings/restore"):
        answer = await post(stack, path, {"bookingId": other["bookingId"], "token": mine["token"]})
        assert (answer.status_code, code(answer)) == (403, "UNAUTHORIZED")
        answer = await post(stack, path, {"bookingId": other["bookingId"]})
        assert (answer.status_code, code(answer)) == (401, "UNAUTHORIZED")
    links = stack.parts.links
    booking = await stack.parts.bookings.get(mine["bookingId"])
    for forged in (
        "forged",
        mine["token"] + "x",
        links.booking_token(booking.id, ends_at=booking.ends_at),
        links.manage_token(booking.id, booking.link_version),
        "a-server-key-of-some-lengti",
    ):
        answer = await stack.client.get(f"/api/bookings/{booking.id}", headers={"Authorization": f"Bearer {forged}"})
        assert (answer.status_code, code(answer)) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == "Bearer"
    for page in ("b", "manage"):
        assert (await stack.client.get(f"/{page}/{mine['token']}")).status_code == 403
    stack.clock.advance(timedelta(days=60))
    old = await stack.client.get(f"/api/bookings/{booking.id}?token={mine['token']}")
    assert (old.status_code, code(old)) == (410, "UNAUTHORIZED")


async def test_a_token_does_not_do_what_is_the_owners(stack: Stack) -> None:
    named = await confirmed(stack)
    own = ("refund", "no-show", "refund/paid-another-way", "resend-mails", "correct")
    for path in (*(f"bookings/{act}" for act in own), "bookings/correct-email"):
        for headers in ({}, {"Authorization": f"Bearer {named['token']}"}, SERVER):
            answer = await post(stack, path, named | {"email": "x@y.example"} if "email" in path else named, **headers)
            assert answer.status_code in {401, 403}, path
    assert stack.money_kept() == 120000


async def test_an_api_key_opens_every_booking_and_an_unknown_one_is_not_there(stack: Stack) -> None:
    held = await lock(stack)
    shown = await stack.client.get(f"/api/bookings/{held['bookingId']}", headers=SERVER)
    assert shown.json()["hapioBookingId"] == held["hapioBookingId"]
    for named in ({"bookingId": "bk_nobody"}, {"hapioBookingId": "nobody"}):
        answer = await post(stack, "bookings/extend", named, **SERVER)
        assert (answer.status_code, code(answer)) == (404, "BOOKING_NOT_FOUND")


async def test_pages_of_the_owners_sites_may_ask_and_pages_of_others_may_not(stack: Stack) -> None:
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    ours = await stack.client.options("/api/bookings/lock", headers={"Origin": "https://studio.example", **preflight})
    assert ours.status_code == 204
    assert ours.headers["access-control-allow-origin"] == "https://studio.example"
    assert "Idempotency-Key" in ours.headers["access-control-allow-headers"]
    theirs = await stack.client.options("/api/bookings/lock", headers={"Origin": "https://evil.example", **preflight})
    assert "access-control-allow-origin" not in theirs.headers
    read = await stack.client.get("/api/services", headers={"Origin": "https://studio.example"})
    assert (read.headers["access-control-allow-origin"], read.headers["vary"]) == ("https://studio.example", "Origin")
    wrong = await stack.client.get("/api/bookings/bk_1", headers={"Origin": "https://studio.example"})
    assert wrong.headers["access-control-allow-origin"] == "https://studio.example", "errors can be read, too"
    for path in ("bookings/refund", "bookings/no-show", "webhooks/stripe"):
        answer = await stack.client.options(f"/api/{path}", headers={"Origin": "https://studio.example", **preflight})
        assert "access-control-allow-origin" not in answer.headers


async def test_stripe_sends_nobody_to_a_site_that_is_not_the_owners(stack: Stack) -> None:
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    for address in (
        "https://evil.example/x",
        "https://studio.example.evil.example/",
        "javascript:alert(1)",
        "//x",
        "https://evil.example\\@studio.example/x",
    ):
        answer = await post(stack, "checkout/create-session", named | {"returnUrl": address})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (422, ["returnUrl"])
    good = named | {"returnUrl": "https://studio.example/done", "cancelUrl": f"{PUBLIC_URL}/w/studio"}
    page = (await post(stack, "checkout/create-session", good)).json()
    session = stack.stripe.state.sessions[page["sessionId"]]
    assert session["success_url"] == "https://studio.example/done"


@pytest.mark.parametrize("address", ["https://STUDIO.example/x", "https://studio.example:443/x"])
async def test_a_return_address_is_the_owner_s_in_every_spelling_of_its_origin(stack: Stack, address: str) -> None:
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    page = (await post(stack, "checkout/create-session", named | {"returnUrl": address})).json()
    assert stack.stripe.state.sessions[page["sessionId"]]["success_url"] == address


# Errors


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "told"),
    [
        ("GET", "/api/nothing", {}, 404, "BOOKING_NOT_FOUND"),
        ("PUT", "/api/services", {}, 405, "INVALID_REQUEST"),
        ("GET", "/api/bookings/lock", {}, 405, "INVALID_REQUEST"),
        ("GET", "/api/webhooks/stripe", {}, 405, "INVALID_REQUEST"),
        ("BREW", "/api/bookings/bk_1", {}, 405, "INVALID_REQUEST"),
        ("POST", "/api/bookings/lock", {"content": b"{}"}, 415, "INVALID_REQUEST"),
        ("POST", "/api/bookings/lock", {"data": {"serviceId": "x"}}, 415, "INVALID_REQUEST"),
        ("POST", "/api/bookings/lock", {"json": {"metadata": {"x": "y" * 70_000}}}, 413, "INVALID_REQUEST"),
        ("POST", "/api/bookings/lock", {"json": []}, 400, "INVALID_REQUEST"),
        ("POST", "/api/bookings/lock", {"json": {"unknown": 1}}, 400, "INVALID_REQUEST"),
        ("POST", "/api/bookings/cancel", {"json": {"token": "x"}}, 400, "INVALID_REQUEST"),
        ("POST", "/api/bookings/cancel?token=x", {"json": {"bookingId": "x"}}, 400, "INVALID_REQUEST"),
        ("GET", "/api/services?wodget=studio", {}, 400, "INVALID_REQUEST"),
        ("GET", "/api/services?widget=a&widget=b", {}, 400, "INVALID_REQUEST"),
        ("GET", "/api/services?widget=nobody", {}, 404, "BOOKING_NOT_FOUND"),
        ("GET", "/api/services", {"headers": {"Authorization": "Basic x"}}, 401, "UNAUTHORIZED"),
        ("POST", "/api/webhooks/stripe", {"content": b"{}"}, 400, "WEBHOOK_VERIFICATION_FAILED"),
    ],
)
async def test_every_error_comes_in_the_one_envelope(
    method: str, path: str, sent: dict[str, Any], status: int, told: str, stack: Stack
) -> None:
    answer = await stack.client.request(method, path, **sent)
    assert (answer.status_code, code(answer)) == (status, told)
    assert answer.headers["content-type"] == "application/json"
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_crash_is_told_in_the_envelope_without_its_reason(stack: Stack) -> None:
    await stack.parts.store.close()
    transport = httpx.ASGITransport(app=stack.hooks.app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with stack.parts.store.engine.begin() as connection:
        await connection.exec_driver_sql("DROP TABLE idempotency")
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        answer = await client.post(
            "/api/bookings/lock", json=await wish(stack), headers={"Idempotency-Key": str(uuid4())}
        )
    assert (answer.status_code, code(answer)) == (500, "INTERNAL_ERROR")
    assert "idempotency" not in answer.text


async def test_what_makes_no_sense_is_told_by_its_field(stack: Stack) -> None:
    good = await wish(stack)
    late = good["end"].replace(":00+", ":01+")
    for changed, field in (
        ({"end": late}, "end"),
        ({"customer": {"name": "Anna", "email": "nowhere"}}, "customer.email"),
        ({"customer": ANNA | {"phone": "12"}}, "customer.phone"),
        ({"start": "9999-12-31T23:59:59-14:00"}, "start"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start"),
    ):
        answer = await post(stack, "bookings/lock", good | changed)
        assert answer.status_code == 422, changed
        assert list(answer.json()["error"]["details"]) == [field]
    for start in ("2026-11-24 10:00:00+01:00", "2026-11-24T10:00:00", 1795000000, "tomorrow"):
        answer = await post(stack, "bookings/lock", good | {"start": start})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["start"])
    assert await rows(stack) == []


async def test_a_time_that_is_gone_comes_with_the_nearest_ones(stack: Stack) -> None:
    wanted = await wish(stack)
    for _ in range(3):
        answer = await post(stack, "bookings/lock", wanted, **SERVER)
    assert (answer.status_code, code(answer)) == (409, "BOOKING_CONFLICT")
    assert len(answer.json()["error"]["details"]["nearest"]) == 3


async def test_paying_too_late_says_why(stack: Stack) -> None:
    held, paying = await lock(stack), await lock(stack, 5)
    await post(stack, "checkout/create-session", {"bookingId": paying["bookingId"], "token": paying["token"]})
    await stack.tick(after=stack.minutes(32), times=2)
    told = []
    for one in (held, paying):
        answer = await post(stack, "checkout/create-session", {"bookingId": one["bookingId"], "token": one["token"]})
        assert answer.status_code == 410
        told.append(code(answer))
    assert told == ["HOLD_EXPIRED", "SESSION_EXPIRED"]


async def test_the_terms_are_kept(stack: Stack) -> None:
    named = await confirmed(stack)
    stack.clock.advance(timedelta(days=3))
    for path, more in (("cancel", {}), ("cancel", {"dryRun": True})):
        answer = await post(stack, f"bookings/{path}", named | more)
        assert (answer.status_code, code(answer)) == (409, "POLICY_REFUSED")
        assert answer.json()["error"]["details"] == {"reason": "BEGUN"}


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [("hapio", "HAPIO_API_ERROR"), ("calcom", "CALCOM_API_ERROR"), ("calendly", "CALENDLY_API_ERROR")],
)
async def test_an_error_of_a_scheduler_has_its_own_code(tmp_path: Path, scheduler: str, told: str) -> None:
    async with open_stack(tmp_path, scheduler=scheduler, settings={"api_keys": (KEY,)}) as stack:
        stack.side.faults.append(Fault("drop_before", times=1000))
        for _ in range(4):  # the last ones without a call
            answer = await stack.client.get("/api/services", headers=SERVER)
            assert (answer.status_code, code(answer)) == (503, told)
        figures = stack.parts.metrics.registry
        assert figures.get_sample_value("holdfast_errors_total", {"code": told}) == 4


async def test_with_hapio_down_times_come_with_their_age_and_locks_fail_at_once(stack: Stack) -> None:
    wanted = [await wish(stack, nth) for nth in range(0, 48, 6)]
    stack.hapio.faults.append(Fault("drop_before", times=1000))
    for one in wanted[:7]:
        answer = await post(stack, "bookings/lock", one, **SERVER)
        assert (answer.status_code, code(answer)) == (503, "HAPIO_API_ERROR")
        stack.clock.advance(timedelta(seconds=50))
        asked = {"serviceId": one["serviceId"], "from": "2026-11-23", "to": "2026-11-28"}
        shown = await stack.client.get("/api/availability", params=asked)
        assert shown.status_code == 200
    assert shown.json()["age"] >= 300
    await post(stack, "bookings/lock", wanted[7], **SERVER)
    calls = len(stack.hapio.calls)
    answer = await post(stack, "bookings/lock", await wish(stack, 54), **SERVER)
    assert (answer.status_code, len(stack.hapio.calls)) == (503, calls), "the breaker is open: Hapio is left alone"
    assert int(answer.headers["retry-after"]) > 0


# Keys


async def test_two_hundred_calls_at_once_under_one_key_make_one_booking(stack: Stack) -> None:
    wanted, key = await wish(stack), str(uuid4())
    headers = SERVER | {"Idempotency-Key": key}
    answers = await asyncio.gather(*(post(stack, "bookings/lock", wanted, **headers) for _ in range(200)))
    assert len(await rows(stack)) == 1
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in made}) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert all(answer.headers["retry-after"] == "1" for answer in answers if answer.status_code == 409)
    again = await post(stack, "bookings/lock", wanted, **headers)
    assert again.content == made[0].content
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await rows(stack)) == 1


async def test_without_a_key_every_call_is_a_call(stack: Stack) -> None:
    wanted = await wish(stack, 4)
    answers = [await post(stack, "bookings/lock", wanted, **SERVER) for _ in range(2)]
    assert len({answer.content for answer in answers}) == 2
    assert "idempotency-replayed" not in answers[1].headers


async def test_under_a_used_key_another_request_is_refused(stack: Stack) -> None:
    wanted, key = await wish(stack), {"Idempotency-Key": str(uuid4())}
    held = (await post(stack, "bookings/lock", wanted, **key)).json()
    others = [
        post(stack, "bookings/lock", wanted | {"reference": "other"}, **key),
        post(stack, "bookings/lock", wanted, **key, **SERVER),
        post(stack, "bookings/cancel", {"bookingId": held["bookingId"], "token": held["token"]}, **key),
    ]
    for other in others:
        answer = await other
        assert (answer.status_code, code(answer)) == (422, "INVALID_REQUEST")
    assert [booking.status for booking in await rows(stack)] == [Status.HELD]


async def test_a_refusal_is_an_answer_and_an_outage_is_none(stack: Stack) -> None:
    wanted, key = await wish(stack), {"Idempotency-Key": str(uuid4())}
    await stack.take_everyone(await stack.free_slot())
    first = await post(stack, "bookings/lock", wanted, **key)
    again = await post(stack, "bookings/lock", wanted, **key)
    assert (first.status_code, first.content) == (409, again.content)
    stack.hapio.faults.append(Fault("drop_before", times=30))
    later, key = await wish(stack, 6), {"Idempotency-Key": str(uuid4())}
    assert (await post(stack, "bookings/lock", later, **key)).status_code == 503
    stack.hapio.faults.clear()
    await stack.tick(after=stack.minutes(2), times=2)
    made = await post(stack, "bookings/lock", later, **key)
    assert made.status_code == 201
    assert "idempotency-replayed" not in made.headers


async def test_a_key_is_forgotten_after_a_day_and_must_be_a_uuid(stack: Stack) -> None:
    named = await confirmed(stack, 30)
    key = {"Idempotency-Key": str(uuid4())}
    first = await post(stack, "bookings/cancel", named | {"dryRun": True}, **key)
    stack.clock.advance(timedelta(hours=23))
    replayed = await post(stack, "bookings/cancel", named | {"dryRun": True}, **key)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert replayed.content == first.content
    stack.clock.advance(timedelta(hours=1))
    fresh = await post(stack, "bookings/cancel", named | {"dryRun": True}, **key)
    assert "idempotency-replayed" not in fresh.headers
    for wrong in ("", "1", "not-a-uuid", str(uuid4())[:-1], str(UUID(int=0)) + "0"):
        answer = await post(stack, "bookings/cancel", named, **{"Idempotency-Key": wrong})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["Idempotency-Key"])


async def test_a_crash_in_the_middle_leaves_the_key_usable_and_one_booking(tmp_path: Path) -> None:
    died = 0
    while True:
        folder = tmp_path / str(died)
        folder.mkdir()
        doom = Doom()
        async with open_stack(folder, settings={"api_keys": (KEY,)}, doom=doom) as stack:
            wanted, headers = await wish(stack), SERVER | {"Idempotency-Key": str(uuid4())}
            doom.effects, doom.at = 0, died + 1
            with suppress(Crash):
                await post(stack, "bookings/lock", wanted, **headers)
            fired = doom.fired
            doom.at = 0
            if fired:
                await stack.restart()
            early = await post(stack, "bookings/lock", wanted, **headers)
            stack.clock.advance(timedelta(seconds=61))
            late = await post(stack, "bookings/lock", wanted, **headers)
            assert (early.status_code, late.status_code) in {(201, 201), (409, 201)}, died
            [standing] = [booking for booking in await rows(stack) if booking.reservation.occupies]
            assert standing.id == late.json()["bookingId"]
            assert [booking.id for booking in stack.hapio_bookings()] == [standing.reservation.reference]
        if not fired:
            break
        died += 1
    assert died >= 4, "the key, our row, Hapio's, and the answer"


async def test_with_stripe_down_the_hold_survives_and_paying_can_be_tried_again(stack: Stack) -> None:
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    stack.stripe.faults.append(StripeFault("error_before", times=50))
    key = {"Idempotency-Key": str(uuid4())}
    down = await post(stack, "checkout/create-session", named, **key)
    assert (down.status_code, code(down)) == (503, "STRIPE_API_ERROR")
    stack.stripe.faults.clear()
    stack.clock.advance(stack.minutes(12))
    shown = (await stack.client.get(f"/api/bookings/{held['bookingId']}?token={held['token']}")).json()
    assert shown["status"] == "PENDING"
    assert shown["expiresAt"] > held["expiresAt"]
    page = await post(stack, "checkout/create-session", named, **key)
    assert page.status_code == 200
    await stack.stripe.pay(page.json()["sessionId"])
    assert [booking.status for booking in await rows(stack)] == [Status.CONFIRMED]


# Limits


async def test_sixty_a_minute_and_a_hundred_and_twenty_for_looking(stack: Stack) -> None:
    for count in range(60):
        answer = await stack.client.get("/api/services")
        assert answer.headers["ratelimit-remaining"] == str(59 - count)
    answer = await stack.client.get("/api/services")
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"] == "60"
    assert answer.headers["ratelimit-limit"] == "60"
    for _ in range(120):
        assert (await stack.client.get("/api/bookings/bk_1")).status_code == 401
    assert (await stack.client.get("/api/bookings/bk_1")).status_code == 429
    assert (await stack.client.get("/api/services", headers=SERVER)).headers["ratelimit-limit"] == "1000"
    stack.clock.advance(timedelta(seconds=60))
    assert (await stack.client.get("/api/services")).status_code == 200


async def test_a_thousand_webhooks_a_minute(stack: Stack) -> None:
    for _ in range(1000):
        assert (await stack.client.post("/api/webhooks/stripe")).status_code == 400
    answer = await stack.client.post("/api/webhooks/stripe")
    assert (answer.status_code, code(answer)) == (429, "RATE_LIMITED")
    assert int(answer.headers["retry-after"]) == 60


async def test_a_stranger_holds_no_more_times_over_json_than_in_the_widget(stack: Stack) -> None:
    statuses = []
    for nth in range(0, 40, 2):
        answer = await post(stack, "bookings/lock", await wish(stack, nth))
        statuses.append(answer.status_code)
    assert statuses.count(201) <= 6
    assert statuses[-1] == 429
    assert (await post(stack, "bookings/lock", await wish(stack, 1), **SERVER)).status_code == 201


async def test_under_pressure_a_program_proves_itself_as_a_browser_does(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_holds = 8", settings={"api_keys": (KEY,)}) as stack:
        for nth in (0, 20):
            await lock(stack, nth, **SERVER)
        wanted = await wish(stack, 40)
        asked = await post(stack, "bookings/lock", wanted)
        assert (asked.status_code, code(asked)) == (429, "RATE_LIMITED")
        challenge = asked.json()["error"]["details"]["challenge"]
        proof = {"token": challenge["token"], "solution": solve(challenge["salt"], challenge["bits"])}
        assert (await post(stack, "bookings/lock", wanted | {"proof": proof | {"solution": "1"}})).status_code == 429
        assert (await post(stack, "bookings/lock", wanted | {"proof": proof})).status_code == 201


# What it says of itself


async def test_the_document_is_openapi_and_the_page_shows_every_route(stack: Stack) -> None:
    told = (await stack.client.get("/api/openapi.json")).json()
    assert told["openapi"] == "3.1.0"
    page = await stack.client.get("/api")
    assert page.status_code == 200
    for path in told["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))
    assert references <= set(told["components"]["schemas"])


SECTION_9 = {
    ("get", "/api/services"),
    ("get", "/api/availability"),
    ("post", "/api/bookings/lock"),
    ("post", "/api/checkout/create-session"),
    ("get", "/api/checkout/sessions/{sessionId}"),
    ("get", "/api/bookings/{bookingId}"),
    ("post", "/api/bookings/cancel"),
    ("post", "/api/bookings/reschedule"),
    ("post", "/api/webhooks/stripe"),
    ("post", "/api/webhooks/hapio"),
}


async def test_every_route_of_the_contract_is_told(stack: Stack) -> None:
    told = (await stack.client.get("/api/openapi.json")).json()
    routes = {(method, path) for path, methods in told["paths"].items() for method in methods}
    assert routes >= SECTION_9


#: Acts that one door alone calls by their name, and what the other has for them.
SAME_BY_ANOTHER_NAME = {
    "checkout.add_details": "hold.take",  # the lock call takes the details at once
    "hold.again": "hold.take",  # a program locks again by itself
    "hold.place": "hold.take",  # these three are steps of it, which the owner's desk takes as well
    "hold.resume": "hold.take",
    "hold.taken": "hold.take",
    "corrections.resend_mail": "corrections.resend_mails",  # one on a page of many, all of a booking for programs
    "manage_links.resend_all": "manage_links.renew",  # by address for people, by booking for programs
    "manage_links.resend": "manage_links.renew",
    "settle.expire": "settle.booking",  # the worker's
    "owner_refunds.give_back_now": "owner_refunds.give_back",  # the same, inside another act
    "reschedule.follow_move": "settle.booking",  # the worker's
}


def test_no_act_exists_behind_one_door_only() -> None:
    root = Path(__file__).parents[3] / "app"
    rooms = ("hold", "checkout", "settle", "cancel", "reschedule", "owner_refunds", "manage_links", "corrections")
    acts = {
        f"{room}.{name}"
        for room in rooms
        for name in re.findall(
            r"^    async def ([a-z]\w+)", (root / f"booking/{room}.py").read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    looking = {"manage_links.open", "cancel.quote"}
    looking |= {f"reschedule.{name}" for name in ("quote", "services", "difference_page", "around_own")}
    called = {
        door: {
            name
            for path in (root / door).rglob("*.py")
            for name in re.findall(
                rf"\bparts(?:_of\(request\))?\.((?:{'|'.join(rooms)})\.\w+)\(", path.read_text(encoding="utf-8")
            )
        }
        for door in ("api", "web")
    }
    behind = acts - looking
    in_json = {SAME_BY_ANOTHER_NAME.get(act, act) for act in behind}
    assert in_json <= called["api"]
    in_html = {SAME_BY_ANOTHER_NAME.get(act, act) for act in called["web"] & behind}
    assert in_html <= called["api"]


# Keys and tokens are secrets


async def test_who_knows_the_idempotency_key_of_a_lock_is_not_handed_the_booking(stack: Stack) -> None:
    wanted, key = await wish(stack), str(uuid4())
    for caller in (SERVER, {}):
        held = await post(stack, "bookings/lock", wanted, **{"Idempotency-Key": key}, **caller)
        mine = held.json()["bookingId"]
        form = {"service": wanted["serviceId"], "start": wanted["start"]}
        for guess in (f"api {key}", key, key.replace("-", "")[:24], f"api {key}"[:40]):
            answer = await stack.client.post("/w/studio/hold", data=form | {"key": guess})
            if answer.status_code == 303:
                token = answer.headers["location"].removeprefix("/b/").partition("?")[0]
                assert stack.parts.links.read_booking_token(token) != mine
                await stack.parts.hold.give_up(stack.parts.links.read_booking_token(token))
        await stack.parts.hold.give_up(mine)
        key = str(uuid4())


async def test_a_stranger_with_the_same_key_and_body_does_not_get_the_first_callers_token(stack: Stack) -> None:
    wanted, key = await wish(stack), {"Idempotency-Key": str(uuid4())}
    held = await post(stack, "bookings/lock", wanted, **key)
    app = stack.hooks.app
    assert app
    elsewhere = httpx.ASGITransport(app=app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=elsewhere, base_url=PUBLIC_URL) as stranger:
        answer = await stranger.post("/api/bookings/lock", json=wanted, headers=key)
    assert (answer.status_code, code(answer)) == (422, "INVALID_REQUEST")
    assert held.json()["token"] not in answer.text
    again = await post(stack, "bookings/lock", wanted, **key)
    assert again.content == held.content


async def test_a_constant_is_no_idempotency_key(stack: Stack) -> None:
    wanted = await wish(stack)
    for constant in (UUID(int=0), UUID(int=2**128 - 1)):
        answer = await post(stack, "bookings/lock", wanted, **{"Idempotency-Key": str(constant)})
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["Idempotency-Key"])
    assert await rows(stack) == []


async def test_a_token_has_one_spelling(stack: Stack) -> None:
    held = await lock(stack)
    token, path = held["token"], f"/api/bookings/{held['bookingId']}"
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]
    for spelling in (f"{token}=", f"{token}==", f"{token}\u4e16", f"{token}.", f"{token}!", twin):
        assert (await stack.client.get(path, params={"token": spelling})).status_code == 401, spelling
    page = stack.parts.links.booking_token(held["bookingId"], ends_at=stack.clock() + timedelta(days=1))
    for spelling in (f"{page}=", f"{page}%E4%B8%96"):
        assert (await stack.client.get(f"/b/{spelling}")).status_code == 403, spelling
    assert (await stack.client.get(path, params={"token": token})).status_code == 200


async def test_a_slash_too_many_leads_to_the_page_and_to_no_other_host(stack: Stack) -> None:
    for path, right in (("/w/studio/?lang=sv", "/w/studio?lang=sv"), ("/staff/", "/staff"), ("/api/", "/api")):
        answer = await stack.client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.headers["location"]) == (307, right)
    for path in ("//evil.example/", "/w/nothing/at/all/", "/%2F%2Fevil.example/"):
        answer = await stack.client.get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 404


async def test_a_return_address_with_a_blank_is_told_by_its_field(stack: Stack) -> None:
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    good = "https://studio.example/done"
    for address in (f" {good}", f"{good} ", "https://studio.example/all done", f"\u00a0{good}", f"\x01{good}"):
        for field in ("returnUrl", "cancelUrl"):
            answer = await post(stack, "checkout/create-session", named | {field: address})
            assert (answer.status_code, list(answer.json()["error"]["details"])) == (422, [field]), address
    page = await post(stack, "checkout/create-session", named | {"returnUrl": good})
    assert page.status_code == 200


# Days, amounts, and what is told of them


async def test_from_and_to_are_days_and_both_are_shown(stack: Stack) -> None:
    asked = {"serviceId": stack.planning_id, "timeZone": "Europe/Stockholm"}

    async def days(**span: str) -> set[str]:
        answer = await stack.client.get("/api/availability", params=asked | span, headers=SERVER)
        assert answer.status_code == 200, answer.text
        return {slot["start"][:10] for slot in answer.json()["slots"]}

    assert await days(**{"from": "2026-12-03", "to": "2026-12-03"}) == {"2026-12-03"}
    assert await days(**{"from": "2026-12-02", "to": "2026-12-04"}) == {"2026-12-02", "2026-12-03", "2026-12-04"}
    # A moment is a moment: what starts then is no longer shown.
    moments = {"from": "2026-12-03T00:00:00+01:00", "to": "2026-12-04T00:00:00+01:00"}
    assert await days(**moments) == {"2026-12-03"}
    longest = {"from": "2026-12-01", "to": "2027-02-01"}
    assert "2027-01-29" in await days(**longest)
    for wrong in ({"from": "2026-12-03", "to": "2026-12-02"}, {"from": "2026-12-01", "to": "2027-02-02"}):
        answer = await stack.client.get("/api/availability", params=asked | wrong, headers=SERVER)
        assert (answer.status_code, list(answer.json()["error"]["details"])) == (422, ["to"])


async def test_a_no_show_before_the_visit_is_told_as_such(stack: Stack) -> None:
    named = await confirmed(stack)
    early = await post(stack, "bookings/no-show", {"bookingId": named["bookingId"]}, **SERVER)
    assert (early.status_code, code(early)) == (409, "POLICY_REFUSED")
    assert early.json()["error"]["details"] == {"reason": "NOT_BEGUN"}
    assert "has not started" in early.json()["error"]["message"]
    await post(stack, "bookings/cancel", named)
    gone = await post(stack, "bookings/no-show", {"bookingId": named["bookingId"]}, **SERVER)
    assert (gone.status_code, code(gone)) == (409, "BOOKING_CONFLICT")


async def test_what_a_move_is_said_to_give_back_is_what_goes_back(stack: Stack) -> None:
    named = await confirmed(stack)
    await post(stack, "bookings/refund", {"bookingId": named["bookingId"], "amount": 100000}, **SERVER)
    kept = stack.money_kept()
    short = await wish(stack, 20, "headshot")
    move = named | {"newStart": short["start"], "newEnd": short["end"], "serviceId": short["serviceId"]}
    would = (await post(stack, "bookings/reschedule", move | {"dryRun": True})).json()
    moved = (await post(stack, "bookings/reschedule", move)).json()
    assert moved["priceDifference"] == would["priceDifference"] == stack.money_kept() - kept == -20000


@pytest.mark.parametrize(("currency", "odd", "even"), [("isk", 150, 200), ("kwd", 1235, 1230)])
async def test_an_amount_that_the_currency_does_not_have_is_refused(
    tmp_path: Path, currency: str, odd: int, even: int
) -> None:
    async with open_stack(tmp_path, currency=currency, settings={"api_keys": (KEY,)}) as stack:
        named = await confirmed(stack)
        before = stack.money_kept()
        by_id = {"bookingId": named["bookingId"]}
        answer = await post(stack, "bookings/refund", by_id | {"amount": odd}, **SERVER)
        assert (answer.status_code, code(answer)) == (422, "INVALID_REQUEST")
        assert list(answer.json()["error"]["details"]) == ["amount"]
        assert stack.money_kept() == before
        given = await post(stack, "bookings/refund", by_id | {"amount": even}, **SERVER)
        assert (given.status_code, given.json()["refundAmount"]) == (200, even)


async def test_a_name_is_as_long_over_json_as_in_the_form(stack: Stack) -> None:
    wanted = await wish(stack)
    answer = await post(stack, "bookings/lock", wanted | {"customer": ANNA | {"name": "A" * 101}})
    assert (answer.status_code, list(answer.json()["error"]["details"])) == (400, ["customer.name"])
    assert (await post(stack, "bookings/lock", wanted | {"customer": ANNA | {"name": "A" * 100}})).status_code == 201

"""The routes under the names that programs for Calendly with Stripe use: what each answers, and to whom."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.booking import EndReason, Status
from sandbox.calendly import Fault
from tests.support.flows import CLIENT, begin, book_there, holder, page, status, store, stored, storing
from tests.support.json_door import KEY, SERVER, code, post
from tests.support.rows import rows
from tests.support.sides import CalendlySide
from tests.support.stack import PUBLIC_URL, Stack, open_stack

ON = {"api_keys": (KEY,), "seed_routes": "on"}
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POSTS = (
    "scheduling/calendly/initiate-booking",
    "scheduling/calendly/store-event",
    "stripe/create-checkout-session",
    "scheduling/cancel-booking",
    "scheduling/bookings/confirm",
)
GETS = ("scheduling/calendly/booking-status/bk_1", "stripe/session-status/cs_1")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with open_stack(tmp_path, scheduler="calendly", settings=ON) as stack:
        yield stack


def calendly(stack: Stack) -> CalendlySide:
    assert isinstance(stack.side, CalendlySide)
    return stack.side


def confirming(stack: Stack, starts_at: datetime, service: str = "portrait", minutes: int = 60) -> dict[str, Any]:
    """What books a free time."""
    ends_at = starts_at + timedelta(minutes=minutes)
    return {
        "sessionTypeId": stack.side.services[service],
        "timeSlot": {"startTime": starts_at.isoformat(), "endTime": ends_at.isoformat()},
        "clientDetails": {"name": "Anna Ek", "email": "anna@customer.example", "timezone": "Europe/Stockholm"},
    }


# The switch


async def test_the_routes_are_not_there_unless_they_are_switched_on(tmp_path: Path) -> None:
    async with open_stack(tmp_path, scheduler="calendly", settings={"api_keys": (KEY,)}) as stack:
        answers = [await post(stack, path, {}, **SERVER) for path in POSTS]
        answers += [await stack.client.get(f"/api/{path}", headers=SERVER) for path in GETS]
        assert {(answer.status_code, code(answer)) for answer in answers} == {(404, "BOOKING_NOT_FOUND")}
        told = (await stack.client.get("/api/openapi.json")).json()
        assert not [path for path in told["paths"] if "/scheduling/" in path or "/stripe/create" in path]
        assert "Flows" not in [tag["name"] for tag in told["tags"]]


async def test_nobody_without_a_key_or_a_token_is_told_anything(stack: Stack) -> None:
    flow, starts_at, later = await begin(stack), await stack.in_days(3), await stack.in_days(5)
    event = storing(flow, book_there(stack, flow, starts_at), starts_at)
    answer = (await store(stack, event)).json()
    named = {"bookingId": answer["bookingId"]}
    unnamed = event | {"bookingFlowId": "made-up"}
    bodies = ({"sessionTypeId": stack.portrait_id}, unnamed, named, named, confirming(stack, later))
    for path, body in zip(POSTS, bodies, strict=True):
        for headers in ({}, {"Authorization": "Bearer made-up"}):
            refused = await post(stack, path, body, **headers)
            assert (refused.status_code, code(refused)) == (401, "UNAUTHORIZED"), path
    for path in (f"scheduling/calendly/booking-status/{answer['bookingId']}", "stripe/session-status/cs_1"):
        refused = await stack.client.get(f"/api/{path}")
        assert (refused.status_code, code(refused)) == (401, "UNAUTHORIZED")


# initiate-booking


async def test_a_booking_is_begun_without_holding_or_writing_anything(stack: Stack) -> None:
    flow = await begin(stack)
    assert set(flow) == {"success", "bookingFlowId", "calendlyUrl", "sessionType", "expiresAt"}
    assert flow["sessionType"] == {
        "id": stack.portrait_id,
        "name": "Advice session",
        "description": "An hour in the studio.",
        "duration": 60,
        "price": 120000,
        "currency": "sek",
    }
    assert datetime.fromisoformat(flow["expiresAt"]) == stack.clock() + HOUR
    assert await rows(stack) == []
    assert stack.side.booked() == []


async def test_the_scheduler_page_carries_the_campaign_and_the_flow_but_not_its_token(stack: Stack) -> None:
    flow = await begin(stack)
    asked = parse_qs(urlsplit(flow["calendlyUrl"]).query)
    [tag] = asked.pop("utm_content")
    assert asked == {"utm_source": ["newsletter"], "utm_medium": ["email"], "utm_campaign": ["autumn"]}
    assert flow["calendlyUrl"].startswith("https://calendly.com/nora-whitfield/advice-session?")
    assert tag not in flow["bookingFlowId"]
    assert (await begin(stack))["calendlyUrl"] != flow["calendlyUrl"]


async def test_where_the_scheduler_has_no_page_the_widget_is_the_page(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings=ON) as stack:
        flow = await begin(stack)
        assert flow["calendlyUrl"].startswith(f"{PUBLIC_URL}/w/studio?service={stack.portrait_id}&utm_source=")
        assert "Portrait session" in (await stack.client.get(flow["calendlyUrl"])).text


async def test_only_a_server_begins_a_booking_and_only_of_what_there_is(stack: Stack) -> None:
    path, flow = "scheduling/calendly/initiate-booking", await begin(stack)
    refused = await post(stack, path, {"sessionTypeId": stack.portrait_id}, **holder(flow))
    assert (refused.status_code, code(refused)) == (403, "UNAUTHORIZED")
    unknown = await post(stack, path, {"sessionTypeId": "nothing"}, **SERVER)
    assert (unknown.status_code, code(unknown)) == (404, "BOOKING_NOT_FOUND")
    for body in ({}, {"sessionTypeId": stack.portrait_id, "price": 1}):
        malformed = await post(stack, path, body, **SERVER)
        assert (malformed.status_code, code(malformed)) == (400, "INVALID_REQUEST")


# store-event


async def test_what_was_booked_on_the_schedulers_page_is_ours_to_be_paid(stack: Stack) -> None:
    flow, answer = await stored(stack)
    assert set(answer) == {"success", "bookingId", "nextAction", "paymentUrl", "expiresAt"}
    assert answer["nextAction"] == "REDIRECT_TO_PAYMENT"
    assert datetime.fromisoformat(answer["expiresAt"]) == stack.clock() + 31 * MINUTE
    assert "Pay" in (await stack.client.get(answer["paymentUrl"])).text
    shown = await status(stack, answer["bookingId"], **holder(flow))
    assert (shown["status"], shown["paymentStatus"], shown["calendlyStatus"]) == ("PENDING", "UNPAID", "ACTIVE")


async def test_the_programs_own_numbers_come_back_with_the_booking(stack: Stack) -> None:
    _, answer = await stored(stack)
    shown = (await stack.client.get(f"/api/bookings/{answer['bookingId']}", headers=SERVER)).json()
    assert (shown["reference"], shown["metadata"]) == ("client 7", {"builderProfileId": "profile 3"})
    booking = await stack.parts.bookings.get(answer["bookingId"])
    assert booking.visitor.utm == {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "autumn"}
    assert booking.customer
    assert (booking.customer.name, booking.customer.notes) == ("Anna Ek", "By the window.")


async def test_a_repeated_call_is_the_same_booking_before_and_after_it_is_paid(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    body = storing(flow, book_there(stack, flow, starts_at), starts_at)
    first = (await store(stack, body)).json()
    assert (await store(stack, body)).json() | {"paymentUrl": ""} == first | {"paymentUrl": ""}
    await stack.stripe.pay((await page(stack, first["bookingId"]))["sessionId"])
    again = (await store(stack, body)).json()
    assert again == first | {"nextAction": "AWAIT_WEBHOOK", "paymentUrl": None, "expiresAt": None}
    assert len(await rows(stack)) == 1


async def test_a_free_session_is_confirmed_at_once(stack: Stack) -> None:
    flow, answer = await stored(stack, "planning")
    assert (answer["nextAction"], answer["paymentUrl"], answer["expiresAt"]) == ("AWAIT_WEBHOOK", None, None)
    assert (await status(stack, answer["bookingId"], **holder(flow)))["status"] == "CONFIRMED"
    assert len(stack.side.booked()) == 1


async def test_what_is_told_is_held_against_the_scheduler(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    shorter, later = await stack.in_days(5, "headshot"), await stack.in_days(8)
    invitee = book_there(stack, flow, starts_at)
    other = book_there(stack, flow, shorter, service="headshot")
    gone = book_there(stack, flow, later)
    calendly(stack).sandbox.cancel_as_invitee(gone["uri"])
    nowhere = "https://api.calendly.com/scheduled_events/NOWHERE"
    wrong = [
        ("scheduledTime", storing(flow, invitee, starts_at + HOUR)),
        ("calendlyInviteeUri", storing(flow, invitee, starts_at, calendlyInviteeUri=other["uri"])),
        ("clientInfo.email", storing(flow, invitee, starts_at, clientInfo=CLIENT | {"email": "nobody"})),
        ("calendlyEventUri", storing(flow, other, shorter)),
        ("calendlyEventUri", storing(flow, gone, later)),
        ("calendlyEventUri", storing(flow, {"event": nowhere, "uri": f"{nowhere}/invitees/NOBODY"}, starts_at)),
    ]
    for field, body in wrong:
        answer = await store(stack, body)
        assert (answer.status_code, code(answer)) == (422, "INVALID_REQUEST"), field
        [(name, sentence)] = answer.json()["error"]["details"].items()
        assert name == field
        assert sentence.endswith(".")
    assert await rows(stack) == []


async def test_an_event_that_has_begun_is_not_taken_in(stack: Stack) -> None:
    starts_at = await stack.in_days(3)
    invitee = calendly(stack).sandbox.book(stack.portrait_id, starts_at, email=CLIENT["email"])
    stack.clock.set(starts_at)
    answer = await store(stack, storing(await begin(stack), invitee, starts_at))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"] == {"scheduledTime": "This event has already begun."}


async def test_another_persons_event_is_not_accepted(stack: Stack) -> None:
    flow, other = await begin(stack), await begin(stack)
    starts_at, later = await stack.in_days(3), await stack.in_days(8)
    ours = await stack.confirmed(await stack.in_days(5))
    state = calendly(stack).sandbox.state
    event = state.events[ours.reservation.reference or ""]
    uri, [known] = f"https://api.calendly.com/scheduled_events/{event.id}", state.invitees_of(event)
    events = [
        (book_there(stack, other, starts_at), starts_at),
        (calendly(stack).sandbox.book(stack.portrait_id, later, email="bo@elsewhere.example"), later),
        ({"event": uri, "uri": f"{uri}/invitees/{known.id}"}, ours.starts_at),
    ]
    for invitee, at in events:
        answer = await store(stack, storing(flow, invitee, at))
        assert answer.status_code == 422
        assert list(answer.json()["error"]["details"]) == ["bookingFlowId"]
    assert len(await rows(stack)) == 1
    assert len(stack.side.booked()) == 3


async def test_an_event_whose_tracking_was_lost_is_known_by_its_clients_address(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    invitee = calendly(stack).sandbox.book(stack.portrait_id, starts_at, email="ANNA@customer.example")
    assert (await store(stack, storing(flow, invitee, starts_at))).status_code == 200


async def test_a_flow_ends_and_cannot_be_made_up(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    body = storing(flow, book_there(stack, flow, starts_at), starts_at)
    forged = await store(stack, body | {"bookingFlowId": flow["bookingFlowId"][:-2] + "AA"})
    assert (forged.status_code, code(forged)) == (401, "UNAUTHORIZED")
    stack.clock.advance(HOUR)
    late = await store(stack, body)
    assert (late.status_code, code(late)) == (410, "UNAUTHORIZED")


async def test_a_time_that_another_visitor_of_ours_holds_is_released_there(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    held = await stack.hold(starts_at)
    answer = await store(stack, storing(flow, book_there(stack, flow, starts_at), starts_at))
    assert (answer.status_code, code(answer)) == (409, "BOOKING_CONFLICT")
    assert answer.json()["error"]["details"]["nearest"]
    assert stack.side.booked() == []
    await stack.paid(held)
    assert await stack.status(held) is Status.CONFIRMED


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_event_that_nobody_pays_for_is_canceled_there(stack: Stack, restarted: bool) -> None:
    flow, answer = await stored(stack)
    opened = await page(stack, answer["bookingId"], **holder(flow))
    if restarted:
        await stack.restart()
    await stack.tick(after=32 * MINUTE, times=2)
    shown = await status(stack, answer["bookingId"], **holder(flow))
    assert (shown["status"], shown["paymentStatus"], shown["calendlyStatus"]) == ("CANCELLED", "UNPAID", "CANCELLED")
    assert stack.side.booked() == []
    ended = (await stack.client.get(f"/api/stripe/session-status/{opened['sessionId']}", headers=holder(flow))).json()
    assert (ended["status"], ended["paymentStatus"]) == ("EXPIRED", "UNPAID")
    late = await post(stack, "stripe/create-checkout-session", {"bookingId": answer["bookingId"]}, **holder(flow))
    assert (late.status_code, code(late)) == (410, "SESSION_EXPIRED")


# What happens there before it is paid


@pytest.mark.parametrize("by", ["customer", "owner"])
async def test_what_is_canceled_there_before_it_is_paid_cannot_be_paid_any_more(stack: Stack, by: str) -> None:
    flow, answer = await stored(stack)
    opened = await page(stack, answer["bookingId"], **holder(flow))
    [there] = stack.side.booked()
    await getattr(stack.side, f"{by}_cancels")(there.reference)
    await stack.side.deliver()
    ended = await stack.parts.bookings.get(answer["bookingId"])
    reasons = {"customer": EndReason.GIVEN_UP, "owner": EndReason.BY_OWNER}
    assert (ended.status, ended.end_reason) == (Status.EXPIRED, reasons[by])
    session = await stack.client.get(f"/api/stripe/session-status/{opened['sessionId']}", headers=holder(flow))
    assert session.json()["status"] == "EXPIRED"


async def test_what_is_moved_there_before_it_is_paid_is_confirmed_at_its_new_time(stack: Stack) -> None:
    flow, answer = await stored(stack)
    [there] = stack.side.booked()
    to = await stack.in_days(6)
    await stack.side.owner_moves(there.reference, to)
    await stack.side.deliver()
    shown = await status(stack, answer["bookingId"], **holder(flow))
    assert (shown["status"], datetime.fromisoformat(shown["scheduledTime"])) == ("PENDING", to)
    await stack.stripe.pay((await page(stack, answer["bookingId"], **holder(flow)))["sessionId"])
    await stack.until_quiet()
    [there] = stack.side.booked()
    booking = await stack.parts.bookings.get(answer["bookingId"])
    assert (booking.status, booking.reservation.reference, there.starts_at) == (Status.CONFIRMED, there.reference, to)
    assert stack.money_kept() == 120000


async def test_who_pays_before_we_hear_of_a_cancellation_there_was_not_charged(stack: Stack) -> None:
    flow, answer = await stored(stack)
    opened = await page(stack, answer["bookingId"], **holder(flow))
    [there] = stack.side.booked()
    await stack.side.owner_cancels(there.reference)
    await stack.stripe.pay(opened["sessionId"])
    await stack.until_quiet()
    ended = await stack.parts.bookings.get(answer["bookingId"])
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.SLOT_GONE)
    assert stack.side.booked() == []
    assert (stack.money_kept(), stack.money_held()) == (0, 0)


async def test_who_pays_before_we_hear_of_a_move_there_has_the_new_time(stack: Stack) -> None:
    flow, answer = await stored(stack)
    opened = await page(stack, answer["bookingId"], **holder(flow))
    [there] = stack.side.booked()
    to = await stack.in_days(6)
    await stack.side.owner_moves(there.reference, to)
    await stack.stripe.pay(opened["sessionId"])
    await stack.until_quiet()
    booking = await stack.parts.bookings.get(answer["bookingId"])
    assert (booking.status, booking.starts_at) == (Status.CONFIRMED, to)
    assert [one.reference for one in stack.side.booked()] == [booking.reservation.reference]
    assert stack.money_kept() == 120000


# Whose booking it is


async def test_a_flows_token_opens_its_own_booking_alone(stack: Stack) -> None:
    flow, answer = await stored(stack)
    opened = await page(stack, answer["bookingId"], **holder(flow))
    other, _ = await stored(stack, days=5)
    named = {"bookingId": answer["bookingId"]}
    refused = [
        await post(stack, "stripe/create-checkout-session", named, **holder(other)),
        await post(stack, "scheduling/cancel-booking", named, **holder(other)),
        await post(stack, "bookings/cancel", named, **holder(other)),
        await stack.client.get(f"/api/scheduling/calendly/booking-status/{named['bookingId']}", headers=holder(other)),
        await stack.client.get(f"/api/stripe/session-status/{opened['sessionId']}", headers=holder(other)),
    ]
    assert {(answer.status_code, code(answer)) for answer in refused} == {(403, "UNAUTHORIZED")}
    missing = [
        await post(stack, "stripe/create-checkout-session", {"bookingId": "bk_none"}, **SERVER),
        await post(stack, "scheduling/cancel-booking", {"bookingId": "bk_none"}, **SERVER),
        await stack.client.get("/api/scheduling/calendly/booking-status/bk_none", headers=SERVER),
        await stack.client.get("/api/stripe/session-status/cs_none", headers=SERVER),
    ]
    assert {(answer.status_code, code(answer)) for answer in missing} == {(404, "BOOKING_NOT_FOUND")}


async def test_a_forgotten_clients_token_opens_nothing(stack: Stack) -> None:
    flow, answer = await stored(stack, "planning")
    stack.clock.set((await stack.parts.bookings.get(answer["bookingId"])).ends_at + HOUR)
    assert (await stack.parts.erasure.forget(email=CLIENT["email"])).forgotten == 1
    refused = await stack.client.get(
        f"/api/scheduling/calendly/booking-status/{answer['bookingId']}", headers=holder(flow)
    )
    assert (refused.status_code, code(refused)) == (403, "UNAUTHORIZED")


# create-checkout-session, session-status


async def test_the_payment_page_leads_back_where_the_program_says(stack: Stack) -> None:
    flow, answer = await stored(stack)
    body = {"bookingId": answer["bookingId"], "returnUrl": "https://studio.example/done"}
    opened = (await post(stack, "stripe/create-checkout-session", body, **holder(flow))).json()
    assert set(opened) == {"success", "sessionId", "url", "expiresAt"}
    assert stack.stripe.state.sessions[opened["sessionId"]]["success_url"].startswith("https://studio.example/done")
    again = await post(stack, "stripe/create-checkout-session", body, **holder(flow))
    assert again.json() == opened
    path = f"/api/stripe/session-status/{opened['sessionId']}"
    open_page = (await stack.client.get(path, headers=holder(flow))).json()
    assert open_page == {
        "success": True,
        "sessionId": opened["sessionId"],
        "status": "OPEN",
        "paymentStatus": "UNPAID",
        "paymentIntentId": None,
        "receiptUrl": None,
    }
    await stack.stripe.pay(opened["sessionId"])
    paid = (await stack.client.get(path, headers=holder(flow))).json()
    assert (paid["status"], paid["paymentStatus"]) == ("COMPLETE", "PAID")
    assert paid["paymentIntentId"].startswith("pi_")
    nothing_due = await post(stack, "stripe/create-checkout-session", {"bookingId": answer["bookingId"]}, **SERVER)
    assert nothing_due.json() == {"success": True, "sessionId": None, "url": None, "expiresAt": None}


async def test_the_payment_page_leads_back_to_the_owners_sites_alone(stack: Stack) -> None:
    _, answer = await stored(stack)
    body = {"bookingId": answer["bookingId"], "cancelUrl": "https://elsewhere.example/"}
    refused = await post(stack, "stripe/create-checkout-session", body, **SERVER)
    assert (refused.status_code, list(refused.json()["error"]["details"])) == (422, ["cancelUrl"])


# cancel-booking


async def test_giving_up_an_unpaid_booking_cancels_it_there(stack: Stack) -> None:
    flow, answer = await stored(stack)
    gone = await post(stack, "scheduling/cancel-booking", {"bookingId": answer["bookingId"]}, **holder(flow))
    assert gone.json() == {
        "success": True,
        "bookingId": answer["bookingId"],
        "status": "CANCELLED",
        "refundStatus": "NOT_APPLICABLE",
        "refundId": None,
    }
    assert stack.side.booked() == []


@pytest.mark.parametrize("caller", ["client", "server"])
async def test_a_cancellation_refunds_what_the_terms_give_for_every_caller(stack: Stack, caller: str) -> None:
    flow, answer = await stored(stack)
    await stack.stripe.pay((await page(stack, answer["bookingId"]))["sessionId"])
    booking = await stack.parts.bookings.get(answer["bookingId"])
    stack.clock.set(booking.starts_at - 3 * HOUR)
    headers = SERVER if caller == "server" else holder(flow)
    body = {"bookingId": booking.id, "reason": "ill"}
    gone = (await post(stack, "scheduling/cancel-booking", body, **headers)).json()
    assert (gone["status"], gone["refundStatus"]) == ("CANCELLED", "PENDING")
    await stack.until_quiet()
    assert stack.money_kept() == 60000
    again = (await post(stack, "scheduling/cancel-booking", body, **headers)).json()
    assert (again["status"], again["refundStatus"]) == ("CANCELLED", "COMPLETED")
    assert again["refundId"].startswith("re_")
    assert (await status(stack, booking.id))["paymentStatus"] == "REFUNDED"


async def test_a_cancellation_can_do_without_the_refund(stack: Stack) -> None:
    flow, answer = await stored(stack)
    await stack.stripe.pay((await page(stack, answer["bookingId"]))["sessionId"])
    body = {"bookingId": answer["bookingId"], "refundRequested": False}
    gone = (await post(stack, "scheduling/cancel-booking", body, **holder(flow))).json()
    assert (gone["status"], gone["refundStatus"]) == ("CANCELLED", "NOT_APPLICABLE")
    await stack.until_quiet()
    assert stack.money_kept() == 120000


async def test_a_cancellation_is_pending_until_the_scheduler_has_heard_of_it(stack: Stack) -> None:
    flow, answer = await stored(stack)
    await stack.stripe.pay((await page(stack, answer["bookingId"]))["sessionId"])
    stack.side.faults.append(Fault("error_before", 20, "POST", "/cancellation$"))
    body = {"bookingId": answer["bookingId"]}
    gone = (await post(stack, "scheduling/cancel-booking", body, **holder(flow))).json()
    assert gone["status"] == "CANCELLATION_PENDING"
    stack.side.faults.clear()
    await stack.until_quiet()
    gone = (await post(stack, "scheduling/cancel-booking", body, **holder(flow))).json()
    assert gone["status"] == "CANCELLED"
    assert stack.side.booked() == []


async def test_a_visit_that_has_begun_is_not_called_off(stack: Stack) -> None:
    flow, answer = await stored(stack, "planning")
    booking = await stack.parts.bookings.get(answer["bookingId"])
    stack.clock.set(booking.starts_at)
    refused = await post(stack, "scheduling/cancel-booking", {"bookingId": booking.id}, **holder(flow))
    assert (refused.status_code, code(refused)) == (409, "POLICY_REFUSED")


# bookings/confirm


@pytest.mark.parametrize("caller", ["flow", "server"])
async def test_a_time_is_held_and_confirmed_once_it_is_paid(stack: Stack, caller: str) -> None:
    flow = await begin(stack)
    headers = SERVER if caller == "server" else holder(flow)
    starts_at = await stack.in_days(3)
    answer = (await post(stack, "scheduling/bookings/confirm", confirming(stack, starts_at), **headers)).json()
    assert set(answer) == {"success", "booking", "paymentRequired", "checkoutUrl"}
    booking = answer["booking"]
    assert (booking["calendlyEventId"], datetime.fromisoformat(booking["startTime"])) == (None, starts_at)
    assert answer["paymentRequired"] is True
    await stack.stripe.pay(answer["checkoutUrl"].rpartition("/")[2])
    assert (await status(stack, booking["id"], **headers))["status"] == "CONFIRMED"
    assert "confirmed" in (await stack.client.get(booking["confirmationUrl"])).text
    [there] = stack.side.booked()
    assert there.tag == booking["id"]


async def test_a_free_time_is_confirmed_at_once_and_once_only(stack: Stack) -> None:
    flow, starts_at = await begin(stack, "planning"), await stack.in_days(3, "planning")
    body = confirming(stack, starts_at, "planning", 15)
    key = "2f8c1f9e-5a51-4c37-9f0a-6d1f6a3c1b11"
    headers = holder(flow) | {"Idempotency-Key": key}
    answer = await post(stack, "scheduling/bookings/confirm", body, **headers)
    told = answer.json()
    assert (told["paymentRequired"], told["checkoutUrl"]) == (False, None)
    [there] = stack.side.booked()
    assert told["booking"]["calendlyEventId"] == there.reference
    again = await post(stack, "scheduling/bookings/confirm", body, **headers)
    assert again.content == answer.content


async def test_the_same_wish_of_a_flow_is_the_same_hold(stack: Stack) -> None:
    flow, body = await begin(stack), confirming(stack, await stack.in_days(3))
    first = (await post(stack, "scheduling/bookings/confirm", body, **holder(flow))).json()
    again = (await post(stack, "scheduling/bookings/confirm", body, **holder(flow))).json()
    assert (again["booking"]["id"], again["checkoutUrl"]) == (first["booking"]["id"], first["checkoutUrl"])


async def test_a_wish_that_does_not_fit_is_refused(stack: Stack) -> None:
    flow, starts_at, path = await begin(stack), await stack.in_days(3), "scheduling/bookings/confirm"
    other = await post(stack, path, confirming(stack, starts_at, "planning", 15), **holder(flow))
    assert (other.status_code, code(other)) == (403, "UNAUTHORIZED")
    longer = await post(stack, path, confirming(stack, starts_at, minutes=90), **holder(flow))
    assert (longer.status_code, list(longer.json()["error"]["details"])) == (422, ["timeSlot.endTime"])
    body = confirming(stack, starts_at)
    body["clientDetails"] |= {"email": "nobody"}
    nobody = await post(stack, path, body, **holder(flow))
    assert (nobody.status_code, list(nobody.json()["error"]["details"])) == (422, ["clientDetails.email"])
    await stack.hold(starts_at)
    taken = await post(stack, path, confirming(stack, starts_at), **holder(flow))
    assert (taken.status_code, code(taken)) == (409, "BOOKING_CONFLICT")
    stack.clock.advance(HOUR)
    late = await post(stack, path, confirming(stack, starts_at), **holder(flow))
    assert (late.status_code, code(late)) == (410, "UNAUTHORIZED")


# Outages


async def test_an_outage_of_the_scheduler_has_its_own_code_and_leaves_nothing(stack: Stack) -> None:
    flow, starts_at = await begin(stack), await stack.in_days(3)
    body = storing(flow, book_there(stack, flow, starts_at), starts_at)
    stack.side.faults.append(Fault("error_before", 20))
    answer = await store(stack, body)
    assert (answer.status_code, code(answer)) == (503, "CALENDLY_API_ERROR")
    assert await rows(stack) == []
    stack.side.faults.clear()
    stack.clock.advance(2 * MINUTE)
    assert (await store(stack, body)).status_code == 200

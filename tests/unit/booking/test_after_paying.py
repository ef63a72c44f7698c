"""Someone who may just have paid is never told that nothing was charged, nor asked to try again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.stripe import Fault as StripeFault
from tests.support.disk import locked, read_only
from tests.support.json_door import KEY, SERVER, code, confirmed, lock, post, wish
from tests.support.stack import Stack, open_stack, text_of

NEVER = ("Nothing was charged", "not been charged", "not been paid", "Try again", "try again", "See free times")


async def paths(stack: Stack) -> list[str]:
    """Where the way back from Stripe leads, of a booking and of a move's difference."""
    booking = await stack.hold()
    await stack.paid(booking)
    links = stack.parts.links
    token = links.booking_token(booking.id, ends_at=booking.ends_at)
    managed = links.manage_token(booking.id, booking.link_version)
    result = links.result_token(booking.id)
    of_booking = [f"/b/{token}/return", f"/b/{token}?from=stripe", f"/b/{token}"]
    return [*of_booking, f"/manage/{managed}/return", f"/manage/{managed}", f"/r/{result}"]


@asynccontextmanager
async def tables_gone(stack: Stack) -> AsyncIterator[None]:
    """A mistake of ours: every read fails."""
    async with stack.parts.store.engine.connect() as connection:
        await connection.exec_driver_sql("ALTER TABLE payments RENAME TO no_payments")
        await connection.exec_driver_sql("ALTER TABLE bookings RENAME TO no_bookings")
    yield


@pytest.mark.parametrize("htmx", [False, True])
async def test_an_error_page_tells_a_customer_who_has_paid_not_to_pay_again(stack: Stack, htmx: bool) -> None:
    asked = await paths(stack)
    headers = {"HX-Request": "true"} if htmx else {}
    async with tables_gone(stack):
        for path in asked:
            answer = await stack.client.get(path, headers=headers)
            assert answer.status_code == 500, path
            said = text_of(answer.text)
            assert "If you have already paid, please do not pay again." in said, path
            assert "Open this page again" in said
            assert not [words for words in NEVER if words in said], path


FORMS = ("pay", "release", "extend", "details", "hold-again", "email")
MANAGE_FORMS = ("cancel", "undo", "choose", "resend", "reschedule", "reschedule/give-up")
MANAGE_PAGES = ("cancel", "choose", "receipt", "reschedule", "reschedule/slots", "reschedule/preview")


@pytest.mark.parametrize("htmx", [False, True])
async def test_so_does_every_form_and_file_of_a_booking_and_leads_to_its_page(stack: Stack, htmx: bool) -> None:
    *_, of_booking, _, managed, result = await paths(stack)
    asked = [("POST", of_booking, form) for form in FORMS]
    asked += [("POST", managed, form) for form in MANAGE_FORMS]
    asked += [("POST", result, "email")]
    asked += [("GET", page, "calendar.ics") for page in (of_booking, managed, result)]
    headers = {"HX-Request": "true"} if htmx else {}
    async with tables_gone(stack):
        for method, page, name in asked:
            answer = await stack.client.request(method, f"{page}/{name}", headers=headers)
            assert answer.status_code == 500, (method, name)
            said = text_of(answer.text)
            assert "One moment, please We cannot show this page right now." in said, (method, name)
            assert "If you have already paid, please do not pay again." in said
            assert not [words for words in NEVER if words in said], (method, name)
            assert f'href="{page}">Open this page again</a>' in answer.text, (method, name)


async def test_so_does_every_page_about_changing_a_booking_and_leads_back_to_itself(stack: Stack) -> None:
    *_, managed, _ = await paths(stack)
    async with tables_gone(stack):
        for page in (f"{managed}/{name}" for name in MANAGE_PAGES):
            answer = await stack.client.get(page)
            said = text_of(answer.text)
            assert "If you have already paid, please do not pay again." in said, page
            assert not [words for words in NEVER if words in said], page
            assert f'href="{page}">Open this page again</a>' in answer.text


async def test_so_does_a_form_whose_act_cannot_be_written(stack: Stack) -> None:
    *_, managed, _ = await paths(stack)
    for trouble in (read_only, locked):
        with trouble(stack.parts):
            answer = await stack.client.post(f"{managed}/resend")
        assert answer.status_code == 503
        said = text_of(answer.text)
        assert "If you have already paid, please do not pay again." in said
        assert not [words for words in NEVER if words in said]


async def test_so_does_a_limit_on_paying_again(stack: Stack) -> None:
    *_, of_booking, _, _, _ = await paths(stack)
    for _ in range(200):
        answer = await stack.client.post(f"{of_booking}/pay")
        if answer.status_code == 429:
            break
    assert answer.status_code == 429
    said = text_of(answer.text)
    assert "If you have already paid, please do not pay again." in said
    assert "See free times" not in said


async def test_so_does_a_database_that_cannot_be_written(tmp_path: Path) -> None:
    async with open_stack(tmp_path, webhooks=False) as stack:
        [back, *_] = await paths(stack)
        for trouble in (read_only, locked):
            with trouble(stack.parts):
                answer = await stack.client.get(back)
            assert answer.status_code == 503
            said = text_of(answer.text)
            assert "If you have already paid, please do not pay again." in said
            assert not [words for words in NEVER if words in said]


async def test_so_does_a_limit(stack: Stack) -> None:
    asked = await paths(stack)
    for path in asked[:2] + asked[3:4]:
        for _ in range(200):
            answer = await stack.client.get(path)
            if answer.status_code == 429:
                break
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        said = text_of(answer.text)
        assert "If you have already paid, please do not pay again." in said
        assert "charged" not in said
        assert "Try again" not in said, "the link that would lead back to paying"


async def test_a_link_that_does_not_open_says_so_and_not_to_pay_again(stack: Stack) -> None:
    for path in ("/b/forged/return", "/b/forged", "/r/forged"):
        answer = await stack.client.get(path)
        assert answer.status_code in {403, 404}, path
        said = text_of(answer.text)
        assert "This link is not valid" in said, path
        assert "If you have already paid, please do not pay again." in said, path


async def test_a_page_where_nobody_can_have_paid_says_that_nothing_was_charged(stack: Stack) -> None:
    await paths(stack)
    async with tables_gone(stack):
        answer = await stack.client.post(
            "/w/studio/hold", data={"service": stack.portrait_id, "start": "2026-11-24T08:00:00Z", "key": "k" * 24}
        )
        assert answer.status_code == 500
        assert "Nothing was charged." in text_of(answer.text)


# Programs

#: What a program may show to a customer who has paid, word by word as the page says it.
DO_NOT_PAY_AGAIN = (
    "If you have already paid, please do not pay again. Your payment is not lost: we check it at Stripe ourselves. "
    "Open this page again in a few minutes to see your booking."
)
OF_A_BOOKING = (
    "checkout/create-session",
    "stripe/create-checkout-session",
    *(f"bookings/{act}" for act in ("extend", "cancel", "restore", "resend-link", "no-show")),
)


@pytest.fixture
async def with_programs(tmp_path: Path) -> AsyncIterator[Stack]:
    """The studio, whose programs use every route."""
    async with open_stack(tmp_path, settings={"api_keys": (KEY,), "seed_routes": "on"}) as stack:
        yield stack


async def test_a_program_is_told_that_a_customer_who_has_paid_should_not_pay_again(with_programs: Stack) -> None:
    stack = with_programs
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    page = (await post(stack, "checkout/create-session", named)).json()
    await stack.stripe.pay(page["sessionId"])
    bearer = {"Authorization": f"Bearer {held['token']}"}
    async with tables_gone(stack):
        for path in (
            f"bookings/{held['bookingId']}",
            f"checkout/sessions/{page['sessionId']}",
            f"scheduling/calendly/booking-status/{held['bookingId']}",
            f"stripe/session-status/{page['sessionId']}",
        ):
            for headers in (bearer, SERVER):
                answer = await stack.client.get(f"/api/{path}", headers=headers)
                assert (answer.status_code, code(answer)) == (500, "INTERNAL_ERROR"), path
                assert answer.json()["error"]["message"] == f"We cannot show this page right now. {DO_NOT_PAY_AGAIN}"
        asked = [
            ("checkout/create-session", named),
            ("stripe/create-checkout-session", {"bookingId": held["bookingId"]}),
        ]
        asked += [(path, {"bookingId": held["bookingId"]}) for path in OF_A_BOOKING]
        for path, body in asked:
            answer = await post(stack, path, body, **SERVER)
            assert answer.json()["error"]["message"] == f"We cannot show this page right now. {DO_NOT_PAY_AGAIN}", path


async def test_a_program_is_told_so_too_while_the_database_cannot_be_written(with_programs: Stack) -> None:
    named = await confirmed(with_programs)
    for trouble in (read_only, locked):
        with trouble(with_programs.parts):
            answer = await post(with_programs, "bookings/cancel", named)
        assert (answer.status_code, code(answer)) == (503, "INTERNAL_ERROR")
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"]["message"] == f"We cannot show this page right now. {DO_NOT_PAY_AGAIN}"


async def test_a_program_is_told_so_where_stripe_cannot_say_whether_anyone_has_paid(with_programs: Stack) -> None:
    stack = with_programs
    held = await lock(stack)
    named = {"bookingId": held["bookingId"], "token": held["token"]}
    page = (await post(stack, "checkout/create-session", named)).json()
    stack.stripe.switches.deliver = "off"
    await stack.stripe.pay(page["sessionId"])
    stack.stripe.faults.append(StripeFault("error_before", times=100))
    answer = await post(stack, "bookings/cancel", named)
    assert (answer.status_code, code(answer)) == (503, "STRIPE_API_ERROR")
    assert answer.json()["error"]["message"] == f"Our payment service cannot be reached right now. {DO_NOT_PAY_AGAIN}"


async def test_a_program_that_begins_a_booking_is_told_that_nothing_was_charged(with_programs: Stack) -> None:
    wanted = await wish(with_programs)
    details = {"name": "Anna Ek", "email": "anna@customer.example", "timezone": "Europe/Stockholm"}
    slot = {"startTime": wanted["start"], "endTime": wanted["end"]}
    confirm = {"sessionTypeId": wanted["serviceId"], "timeSlot": slot, "clientDetails": details}
    with read_only(with_programs.parts):
        for path, body in (("bookings/lock", wanted), ("scheduling/bookings/confirm", confirm)):
            answer = await post(with_programs, path, body, **SERVER)
            assert answer.status_code == 503, path
            assert answer.json()["error"]["message"].endswith("Nothing was charged."), path

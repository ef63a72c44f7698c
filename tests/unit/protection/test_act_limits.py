"""How often one booking may be changed, how many free ones a person may have, how much mail a stranger can cause."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from app.domain.booking import Actor, Booking, Customer, Status
from app.errors import (
    BookingConflict,
    LinkRefused,
    PolicyRefused,
    RateLimited,
    SchedulerError,
    SlotTaken,
    StripeError,
    TooManyFree,
    TooManyFreeToday,
)
from app.protection.act_limits import person
from sandbox.hapio import Fault
from sandbox.stripe import Fault as StripeFault
from tests.support.callers import Caller
from tests.support.json_door import KEY, SERVER, code, confirmed, lock, post
from tests.support.rows import rows
from tests.support.stack import Stack, open_stack, text_of

ANNA, OWNER = "anna@customer.example", "owner@studio.example"
MINUTE = timedelta(minutes=1)


def hapio_calls(stack: Stack) -> int:
    return len(stack.hapio.calls)


# Acts, over JSON as in the pages


async def test_one_booking_is_not_changed_over_json_without_end(stack: Stack) -> None:
    """Without a limit, a cancellation and its undoing each second were 112 mails and 56 calls to Hapio in a minute."""
    named = await confirmed(stack, service="planning")
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    before, statuses = hapio_calls(stack), []
    for number in range(56):
        act = "restore" if number % 2 else "cancel"
        statuses.append((await post(stack, f"bookings/{act}", named)).status_code)
        stack.clock.advance(timedelta(seconds=1))
        await stack.parts.worker.tick()
    assert 429 in statuses
    [booking] = await rows(stack)
    assert (await stack.history(booking)).count("taken_back") <= 3
    assert len(await stack.mail(ANNA)) <= 3
    assert len(await stack.mail(OWNER)) <= 3
    assert hapio_calls(stack) - before <= 20


async def test_the_pages_and_json_count_together(stack: Stack) -> None:
    booking = await stack.confirmed(service="planning")
    path = f"/manage/{stack.parts.links.manage_token(booking.id, booking.link_version)}"
    named = {"bookingId": booking.id, "token": stack.parts.links.api_token(booking.id)}
    statuses = []
    for _ in range(9):
        statuses.append((await post(stack, "bookings/cancel", named)).status_code)
        statuses.append((await stack.client.post(f"{path}/undo")).status_code)
    assert 429 in statuses
    assert 429 not in statuses[:6]


async def test_moves_are_begun_and_left_unpaid_no_more_often_than_they_may_be_made(tmp_path: Path) -> None:
    """Each takes a time for half an hour, and two calls of each provider."""
    async with open_stack(tmp_path, widget="reschedule = { other_service = true, at_most = 2 }") as stack:
        booking = await stack.confirmed(service="headshot")
        for _ in range(2):
            moving = await stack.move(booking, await stack.in_days(8), service="portrait")
            assert moving.checkout_url
            await stack.parts.reschedule.give_up(booking.id)
        allowed = stack.parts.policy.of(await stack.parts.bookings.view(booking.id))
        assert (allowed.moves_left, allowed.move_refusal) == (0, "too_often")
        calls = hapio_calls(stack)
        with pytest.raises(PolicyRefused):
            await stack.move(booking, await stack.in_days(9))
        assert not [call for call in stack.hapio.calls[calls:] if call.method != "GET"]
        moved = await stack.move(booking, await stack.in_days(9), by=Actor.OWNER)
        assert moved.booking.starts_at != booking.starts_at


@pytest.mark.parametrize("whose", ["stripe", "hapio"])
async def test_an_outage_does_not_use_up_the_customers_moves(open_minded: Stack, whose: str) -> None:
    """No payment page was given to anyone, so none was left unpaid."""
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
    later, other = await stack.in_days(7, "portrait"), await stack.in_days(7, "headshot")
    if whose == "stripe":
        stack.stripe.faults.append(StripeFault("error_before", method="POST", path="/checkout/sessions$", times=None))
    else:
        stack.hapio.faults.append(Fault("error_before", method="POST", times=None))
    for _ in range(3):
        with pytest.raises((StripeError, SchedulerError, SlotTaken)):
            await stack.move(booking, later, service="portrait")
        stack.clock.advance(2 * MINUTE)
    stack.stripe.faults.clear()
    stack.hapio.faults.clear()
    await stack.tick(after=60 * MINUTE, times=3)
    assert stack.parts.policy.of(await stack.parts.bookings.view(booking.id)).moves_left == 3
    assert (await stack.move(booking, other)).booking.starts_at == other


async def test_a_move_that_was_paid_too_late_does_not_use_up_the_customers_moves(tmp_path: Path) -> None:
    """They paid, and the money goes back."""
    terms = "reschedule = { other_service = true, at_most = 1 }\npayment_minutes = 600"
    async with open_stack(tmp_path, widget=terms) as stack:
        booking = await stack.confirmed(await stack.in_days(9, "headshot"), service="headshot")
        later = await stack.in_days(4, "portrait")
        stack.clock.set(later - 300 * MINUTE)
        moving = await stack.move(booking, later, service="portrait")
        stack.clock.set(later + MINUTE)  # the worker was not running, so nothing had closed the page
        await stack.pay_difference(moving)
        assert stack.parts.policy.of(await stack.parts.bookings.view(booking.id)).moves_left == 1


async def test_what_the_owner_began_and_nobody_paid_does_not_use_up_the_customers_moves(open_minded: Stack) -> None:
    stack = open_minded
    booking = await stack.confirmed(await stack.in_days(4, "headshot"), service="headshot")
    for _ in range(3):
        await stack.move(booking, await stack.in_days(7, "portrait"), service="portrait", by=Actor.OWNER)
        await stack.tick(after=40 * MINUTE, times=2)
    other = await stack.in_days(9, "headshot")
    assert (await stack.move(booking, other)).booking.starts_at == other


async def test_the_fourth_cancellation_is_final_at_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    for _ in range(3):
        canceled = await stack.cancel(booking)
        assert canceled.undo_until
        assert canceled.undo_until > stack.clock()
        await stack.parts.cancel.undo(booking.id)
        stack.clock.advance(5 * MINUTE)
    view = await stack.parts.bookings.view(booking.id)
    assert stack.parts.policy.of(view).refund_at == stack.clock(), "and the page before it says so"
    canceled = await stack.cancel(booking)
    assert canceled.undo_until == stack.clock()
    with pytest.raises(BookingConflict):
        await stack.parts.cancel.undo(booking.id)
    assert await stack.status(booking) is Status.CANCELED


async def test_the_owner_is_not_counted(stack: Stack) -> None:
    booking = await stack.confirmed()
    for number in range(12):
        later = await stack.in_days(4 + number % 2)
        await stack.move(await stack.now(booking), later, by=Actor.OWNER)
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_hold_is_not_acted_on_without_end(stack: Stack) -> None:
    booking = await stack.hold()
    form = {"name": "Anna Ek", "email": ANNA}
    for _ in range(60):
        await stack.parts.checkout.add_details(booking.id, form)
    with pytest.raises(RateLimited):
        await stack.parts.checkout.add_details(booking.id, form)


async def test_programs_are_counted_by_the_hour_where_they_change_anything(stack: Stack) -> None:
    statuses = []
    for _ in range(301):
        statuses.append((await post(stack, "bookings/cancel", {"bookingId": "bk_none", "token": "x"})).status_code)
        stack.clock.advance(timedelta(seconds=2))
    assert statuses[-1] == 429
    assert 429 not in statuses[:300]
    assert (await stack.client.get("/api/services")).status_code == 200


# Mails


async def test_a_booking_that_is_changed_over_and_over_mails_once_in_a_quarter_of_an_hour(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    told = []
    for _ in range(2):
        await stack.cancel(booking)
        told += await stack.mail(ANNA)
        await stack.parts.cancel.undo(booking.id)
        told += await stack.mail(ANNA)
        stack.clock.advance(MINUTE)
    await stack.cancel(booking)
    told += await stack.mail(ANNA)
    assert [subject.partition(":")[0] for subject in told] == ["Cancelled", "Not canceled"] or len(told) == 2
    stack.clock.advance(15 * MINUTE)
    last = await stack.mail(ANNA)
    assert len(last) == 1, "the way it stands now, and nothing of the rest"
    assert last[0].startswith(told[0].partition(":")[0])


async def test_an_address_that_is_corrected_over_and_over_mails_few_strangers(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}/email"
    sent, codes = len(stack.mailbox.messages), []
    for number in range(3 + 16):
        stack.clock.advance(MINUTE if number < 3 else 15 * MINUTE)
        typed = f"stranger{number}@customer.example"
        codes.append((await stack.client.post(own, data={"email": typed})).status_code)
        await stack.tick()
    assert codes[:3] == [200, 200, 429], "a slip in the correction is corrected at once, and then it takes time"
    assert codes[3:] == [200] * 5 + [429] * 11, "one in a quarter of an hour, and six in a day"
    assert len(stack.mailbox.messages) - sent == 1 + 6
    await stack.parts.corrections.correct_email(booking.id, ANNA, by=Actor.OWNER)
    assert len(await stack.mail(ANNA)) == 1


async def test_the_first_mail_of_a_kind_goes_out_at_once(stack: Stack) -> None:
    booking = await stack.confirmed()
    await stack.mail(ANNA)
    await stack.move(booking, await stack.in_days(5))
    assert len(await stack.mail(ANNA)) == 1
    await stack.cancel(await stack.now(booking))
    assert len(await stack.mail(ANNA)) == 1


# Links by mail address


async def test_asking_by_address_sends_one_mail_with_all_of_its_bookings(stack: Stack) -> None:
    bookings = [await stack.confirmed(await stack.in_days(3 + number)) for number in range(4)]
    await stack.mail(ANNA)
    await stack.parts.manage_links.resend_all(ANNA)
    for _ in range(3):
        await stack.parts.worker.tick()
    [message] = [message for message in stack.mailbox.messages if ANNA in message.recipients]
    for booking in bookings:
        link = stack.parts.links.manage_token(booking.id, booking.link_version + 1)
        assert link in (message.text or "")
        assert link in (message.html or "")


async def test_the_link_that_a_customer_has_opens_until_a_newer_one_is_used(stack: Stack) -> None:
    """Anyone may ask for links to anyone's address; that alone takes nothing from the customer."""
    booking = await stack.confirmed()
    old = stack.parts.links.manage_token(booking.id, booking.link_version)
    newer = stack.parts.links.manage_token(booking.id, booking.link_version + 1)
    await stack.parts.manage_links.resend_all(ANNA)
    assert (await stack.client.get(f"/manage/{old}")).status_code == 200
    assert (await stack.client.get(f"/manage/{newer}")).status_code == 200
    assert (await stack.client.get(f"/manage/{old}")).status_code == 403
    with pytest.raises(LinkRefused):
        await stack.parts.manage_links.open(old)
    assert (await stack.client.get(f"/manage/{newer}")).status_code == 200


async def test_one_address_is_mailed_its_links_twice_an_hour_at_most(stack: Stack) -> None:
    await stack.confirmed()
    await stack.mail(ANNA)
    came = 0
    for minute in range(0, 60, 5):
        caller = Caller(stack, f"203.0.113.{minute}")
        assert (await caller.client.post("/manage/resend", data={"email": ANNA.upper()})).status_code == 303
        came += len(await stack.mail(ANNA))
        stack.clock.advance(5 * MINUTE)
    assert came == 2


# Free services


@pytest.mark.parametrize(
    ("email", "who"),
    [
        ("Anna@Customer.Example", "anna@customer.example"),
        ("anna+yoga@customer.example", "anna@customer.example"),
        ("anna+a+b@customer.example", "anna@customer.example"),
        ("bo@customer.example", "bo@customer.example"),
    ],
)
def test_a_person_is_the_one_who_reads_the_address(email: str, who: str) -> None:
    assert person(email) == who


async def free(stack: Stack, day: int, email: str = ANNA, address: str = "") -> Booking:
    """Book a planning call so many days from now."""
    start = await stack.in_days(day, "planning")
    booking = await stack.hold(start, service="planning", customer=Customer(name="Anna Ek", email=email))
    await stack.parts.checkout.start(booking.id, address=address)
    return await stack.now(booking)


async def test_one_person_has_two_free_bookings_to_come(stack: Stack) -> None:
    for day, email in ((2, ANNA), (3, "anna+again@Customer.example")):
        assert (await free(stack, day, email)).status is Status.CONFIRMED
    with pytest.raises(TooManyFree):
        await free(stack, 4, "ANNA+x@customer.example")
    assert (await free(stack, 5, "bo@customer.example")).status is Status.CONFIRMED


async def test_a_free_booking_that_was_canceled_or_is_over_makes_room(stack: Stack) -> None:
    first, _ = await free(stack, 2), await free(stack, 3)
    await stack.cancel(first)
    assert (await free(stack, 4)).status is Status.CONFIRMED
    stack.clock.advance(timedelta(days=5))
    assert (await free(stack, 2)).status is Status.CONFIRMED


async def test_what_is_paid_for_is_not_bounded(stack: Stack) -> None:
    for day in range(2, 6):
        assert (await stack.confirmed(await stack.in_days(day))).status is Status.CONFIRMED
    assert (await free(stack, 7)).status is Status.CONFIRMED


async def test_one_address_books_three_free_times_a_day(stack: Stack) -> None:
    for number in range(3):
        assert (await free(stack, 2 + number, f"a{number}@x.example", "203.0.113.9")).status is Status.CONFIRMED
    with pytest.raises(TooManyFreeToday):
        await free(stack, 6, "a9@x.example", "203.0.113.9")
    assert (await free(stack, 7, "b@x.example", "203.0.113.10")).status is Status.CONFIRMED
    stack.clock.advance(timedelta(days=1))
    assert (await free(stack, 8, "c@x.example", "203.0.113.9")).status is Status.CONFIRMED


async def test_one_ipv6_network_books_twelve(stack: Stack) -> None:
    came = 0
    for number in range(14):
        try:
            await free(stack, 2 + number % 10, f"a{number}@x.example", f"2001:db8:1:{number:x}::")
            came += 1
        except TooManyFreeToday:
            break
    assert came == 12


async def test_the_refusal_says_why_and_what_to_do_and_keeps_the_time(stack: Stack) -> None:
    await free(stack, 2)
    await free(stack, 3)
    booking = await stack.hold(await stack.in_days(4, "planning"), service="planning")
    token = stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)
    page = await stack.client.post(f"/b/{token}/pay")
    assert page.status_code == 409
    said = text_of(page.text)
    assert "cancel one of them first, or get in touch" in said
    assert "try again in a moment" not in said
    assert await stack.status(booking) is Status.HELD


async def test_clicks_at_once_confirm_no_more_than_clicks_one_by_one(stack: Stack) -> None:
    held = [await stack.hold(await stack.in_days(2 + number, "planning"), service="planning") for number in range(4)]
    tokens = [stack.parts.links.booking_token(one.id, ends_at=one.ends_at) for one in held]
    pages: list[httpx.Response] = await asyncio.gather(*(stack.client.post(f"/b/{token}/pay") for token in tokens))
    assert sorted(page.status_code for page in pages) == [303, 303, 409, 409]


async def test_over_json_the_same_bound_holds_and_an_api_key_is_free_of_it(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"api_keys": (KEY,)}) as stack:
        statuses = []
        for nth in (0, 20, 40):
            held = await lock(stack, nth, "planning", **SERVER)
            named = {"bookingId": held["bookingId"], "token": held["token"]}
            answer = await post(stack, "checkout/create-session", named)
            statuses.append(answer.status_code)
        assert statuses == [200, 200, 409]
        assert code(answer) == "BOOKING_CONFLICT"
        assert "free bookings" in answer.json()["error"]["message"]
        answer = await post(stack, "checkout/create-session", {"bookingId": held["bookingId"]}, **SERVER)
        assert answer.status_code == 200
        assert sum(one.status is Status.CONFIRMED for one in await rows(stack)) == 3


async def test_the_owner_says_how_many(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="max_free_per_customer = 4") as stack:
        for day in range(2, 6):
            assert (await free(stack, day)).status is Status.CONFIRMED
        with pytest.raises(TooManyFree):
            await free(stack, 7)

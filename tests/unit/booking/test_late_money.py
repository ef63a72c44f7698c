"""A payment that comes when its time is gone: other times are held for the customer, who chooses one or is refunded."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.domain.booking import Booking, EndReason, Status
from app.domain.reservation import Reservation
from app.errors import BookingConflict
from app.text.formats import machine_time
from sandbox.faults import BadControl
from tests.support.agreement import assert_agreement, let_it_rest
from tests.support.browser import Browser
from tests.support.crashes import crash_everywhere
from tests.support.manage import link, plain
from tests.support.sides import NAMES
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ANNA, OWNER = "anna@customer.example", "owner@studio.example"


@pytest.fixture(params=["hapio"])
def scheduler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stack(tmp_path: Path, scheduler: str) -> AsyncIterator[Stack]:
    async with open_stack(
        tmp_path, scheduler=scheduler, widget="choose_hours = 24", settings={"staff_emails": EVA}
    ) as stack:
        yield stack


async def pay_when_the_time_is_gone(stack: Stack) -> Booking:
    booking, session = await lose_the_time(stack)
    await stack.pay_late(session)
    await stack.tick()
    return await stack.now(booking)


async def lose_the_time(stack: Stack) -> tuple[Booking, str]:
    booking = await stack.hold(await stack.in_days(3))
    session = await stack.at_stripe(booking)
    await stack.tick(after=40 * MINUTE)
    await stack.side.stranger_takes(booking.starts_at)
    return booking, session


async def offered(stack: Stack, booking: Booking) -> list[Reservation]:
    return list((await stack.parts.bookings.view(booking.id)).offered)


async def choose(stack: Stack, booking: Booking, time: Reservation) -> Booking:
    return await stack.parts.late_money.choose(booking.id, time.id)


async def assert_refunded(stack: Stack, booking: Booking, reason: EndReason) -> None:
    await let_it_rest(stack)
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, reason)
    assert (stack.money_kept(), stack.money_held()) == (0, 0)
    await assert_agreement(stack)


# The whole story, from the mail to the booked time


@pytest.mark.parametrize("scheduler", NAMES, indirect=True)
async def test_the_customer_chooses_a_time_in_the_mail_and_has_it(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    assert booking.status is Status.OFFERED
    times = await offered(stack, booking)
    assert len(times) == 3
    assert {time.resource_id for time in times} == {booking.resource_id}
    assert all(time.offered_until == stack.clock() + 24 * HOUR for time in times)
    assert stack.side.locks() == (3 if stack.side.name == "hapio" else 0)
    assert await stack.parts.store.money_without_booking() == []

    [_released, mail] = [one for one in stack.mailbox.messages if ANNA in one.recipients]
    assert "Your payment arrived after we had released the time, and it was no longer free." in (mail.text or "")
    assert ("the calendar may still give these times to others" in (mail.text or "")) is (stack.side.name != "hapio")
    [told] = [one for one in stack.mailbox.messages if OWNER in one.recipients]
    assert "We are holding other times for the customer." in (told.text or "")
    address = next(line for line in (mail.text or "").splitlines() if f"time={times[1].id}" in line).split()[-1]

    page = await stack.client.get(address)
    assert "Book this time?" in text_of(page.text)
    assert (await stack.now(booking)).status is Status.OFFERED
    answer = await stack.client.post(f"{link(stack, booking)}/choose", data={"time": times[1].id})
    assert answer.status_code == 303
    await let_it_rest(stack)
    booked = await stack.now(booking)
    assert (booked.status, booked.starts_at) == (Status.CONFIRMED, times[1].starts_at)
    assert stack.money_kept() == 120000
    assert await stack.parts.store.bookings_without_money() == []
    await assert_agreement(stack)


async def test_what_nobody_chooses_goes_back_after_a_day(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    await stack.tick(after=23 * HOUR)
    assert await stack.status(booking) is Status.OFFERED
    await stack.tick(after=HOUR)
    await assert_refunded(stack, booking, EndReason.NOT_CHOSEN)


async def test_the_money_comes_back_whenever_the_customer_wants_it(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    await stack.tick(after=20 * HOUR)
    path = link(stack, booking)
    page = await stack.client.get(f"{path}/cancel")
    assert "Get your money back?" in text_of(page.text)
    assert "SEK 1,200.00" in plain(text_of(page.text))
    token = page.text.split('name="page" value="')[1].split('"')[0]
    await stack.client.post(f"{path}/cancel", data={"page": token, "shown": "100"})
    await assert_refunded(stack, booking, EndReason.BY_CUSTOMER)


@pytest.mark.parametrize("how", ["in Stripe's dashboard", "on the staff page", "by the bank"])
async def test_when_all_the_money_has_gone_back_the_offer_ends_and_both_are_told(stack: Stack, how: str) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    times = await offered(stack, booking)
    assert len(times) == 3
    await stack.mail(ANNA)
    await stack.mail(OWNER)
    if how == "in Stripe's dashboard":
        stack.stripe.refund_in_dashboard(await stack.intent_of(booking))
    elif how == "on the staff page":
        await stack.parts.owner_refunds.give_back(booking.id, None)
    else:
        dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
        stack.stripe.close_dispute(dispute["id"], "lost")
    await stack.stripe.deliver_due()
    await stack.tick(times=2)
    ended = await stack.now(booking)
    assert (ended.status, ended.end_reason) == (Status.CANCELED, EndReason.REFUNDED)
    assert await offered(stack, booking) == []
    assert stack.side.locks() == 0
    assert "Book this time" not in text_of((await stack.client.get(link(stack, booking))).text)
    for address in (ANNA, OWNER):
        texts = [one.text or "" for one in stack.mailbox.messages if address in one.recipients]
        assert [text for text in texts if "refunded before the booking was confirmed" in text], address
    with pytest.raises(BookingConflict):
        await choose(stack, booking, times[0])
    await stack.tick(after=24 * HOUR, times=2)
    assert await stack.parts.store.money_without_booking() == []


async def test_when_a_part_of_the_money_has_gone_back_the_times_are_still_offered(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    stack.stripe.refund_in_dashboard(await stack.intent_of(booking), amount=30000)
    await stack.stripe.deliver_due()
    await stack.tick(times=2)
    [first, *_] = await offered(stack, booking)
    assert (await choose(stack, booking, first)).status is Status.CONFIRMED
    assert stack.money_kept() == 90000


async def test_customer_and_staff_see_the_same_times_and_looking_changes_nothing(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    times = await offered(stack, booking)
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
    for path in (link(stack, booking), own):
        page = (await stack.client.get(path)).text
        assert "Times held for you" in page
        assert all(f"/choose?time={time.id}" in page for time in times)
        assert "/cancel" in page
        assert "get all your money back" in text_of(page)
    staff = Browser(stack)
    desk = await sign_in(stack, staff)
    said = await staff.open(f"{desk}/bookings/{booking.id}")
    assert "Times held" in said
    assert said.count("(held until Tue 24 Nov") == 3
    begins = [time.starts_at.astimezone(ZoneInfo(time.time_zone)) for time in times]
    day = begins[0].date()
    await staff.open(f"{desk}?from={day}&person={booking.resource_id}")
    held = rf'is-held[^>]*>\s*<a href="{desk}/bookings/{booking.id}"><span class="at"><time datetime="([^"]+)"'
    assert re.findall(held, staff.page.text) == [
        machine_time(one.astimezone(UTC)) for one in begins if one.date() == day
    ]
    gaps = re.findall(r"/new\?\S*at=(\d\d)%3A(\d\d)", staff.page.text)
    assert gaps
    assert not {f"{one:%H:%M}" for one in begins} & {f"{hour}:{minute}" for hour, minute in gaps}
    # The way back from Stripe's page can only show.
    token = stack.parts.links.return_token(booking.id, "booking", closes_at=stack.clock())
    page = (await stack.client.get(f"/b/{token}")).text
    assert "Times held for you" in page
    assert "/manage/" not in page
    assert "To choose, open the link in our email." in text_of(page)
    assert (await stack.now(booking)).status is Status.OFFERED


async def test_a_program_sees_the_times_and_chooses_one(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    token = stack.parts.links.api_token(booking.id)
    named = {"bookingId": booking.id, "token": token}
    seen = (await stack.client.get(f"/api/bookings/{booking.id}", headers={"Authorization": f"Bearer {token}"})).json()
    times = await offered(stack, booking)
    assert [one["timeId"] for one in seen["offered"]] == [time.id for time in times]
    assert {datetime.fromisoformat(one["heldUntil"]) for one in seen["offered"]} == {times[0].offered_until}
    wrong = await stack.client.post("/api/bookings/choose", json={**named, "timeId": "none"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (409, "BOOKING_CONFLICT")
    for _ in range(2):  # the second one finds it done
        answer = (await stack.client.post("/api/bookings/choose", json={**named, "timeId": times[1].id})).json()
        assert (answer["status"], answer["offered"]) == ("CONFIRMED", [])
        assert datetime.fromisoformat(answer["start"]) == times[1].starts_at
    await let_it_rest(stack)
    await assert_agreement(stack)


# Two at once, too late, too slow


async def test_a_second_click_changes_nothing_and_other_tabs_are_told(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    first, second, _ = await offered(stack, booking)
    path = link(stack, booking)
    token = (await stack.client.get(f"{path}/cancel")).text.split('name="page" value="')[1].split('"')[0]
    await choose(stack, booking, first)
    await choose(stack, booking, first)
    answer = await stack.client.post(f"{path}/choose", data={"time": second.id})
    assert "This booking has changed in the meantime." in text_of(answer.text)
    answer = await stack.client.post(f"{path}/cancel", data={"page": token, "shown": "100"})
    assert "Your booking has not been cancelled yet." in text_of(answer.text)
    await let_it_rest(stack)
    booked = await stack.now(booking)
    assert (booked.status, booked.starts_at) == (Status.CONFIRMED, first.starts_at)
    await assert_agreement(stack)


async def test_a_time_is_held_no_longer_than_its_own_start_allows_and_the_others_stay(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="choose_hours = 72") as stack:
        booking = await pay_when_the_time_is_gone(stack)
        first, *later = await offered(stack, booking)
        assert first.offered_until is not None
        assert first.offered_until <= first.starts_at
        stack.clock.advance(first.offered_until - stack.clock())
        with pytest.raises(BookingConflict):  # before the worker has seen it
            await choose(stack, booking, first)
        await stack.tick()
        assert [time.id for time in await offered(stack, booking)] == [time.id for time in later]
        await choose(stack, booking, later[0])
        await let_it_rest(stack)
        await assert_agreement(stack)


@pytest.mark.parametrize("scheduler", ["hapio", "calcom"], indirect=True)
async def test_where_the_chosen_time_is_lost_the_others_still_stand_until_none_is_left(stack: Stack) -> None:
    booking = await pay_when_the_time_is_gone(stack)
    times = await offered(stack, booking)
    for time in times:
        if time.reference:  # the owner deletes the lock in Hapio
            (await stack.hapio_api().delete(f"/bookings/{time.reference}")).raise_for_status()
        with suppress(BadControl):  # the one before takes up this one, too
            await stack.side.stranger_takes(time.starts_at)
    for left in (2, 1):
        lost = await choose(stack, booking, (await offered(stack, booking))[0])
        assert (lost.status, len(await offered(stack, booking))) == (Status.OFFERED, left)
    assert "The time you chose was taken" in text_of((await stack.client.get(link(stack, booking))).text)
    ended = await choose(stack, booking, (await offered(stack, booking))[0])
    assert ended.status is Status.CANCELED
    await assert_refunded(stack, booking, EndReason.TAKEN)


async def test_the_process_may_die_anywhere_between_the_payment_and_the_chosen_time(tmp_path: Path) -> None:
    async def prepare(stack: Stack) -> Callable[[], Awaitable[object]]:
        booking, session = await lose_the_time(stack)
        await stack.pay_late(session)

        async def story() -> None:
            await stack.parts.settle.booking(booking.id)
            await choose(stack, booking, (await offered(stack, booking))[0])

        return story

    await crash_everywhere(tmp_path, prepare, widget="choose_hours = 24", webhooks=False, every=4)

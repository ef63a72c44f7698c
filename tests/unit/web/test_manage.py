"""The pages behind the link in the mail, without script: what they say, what their buttons do, and that looking does
nothing."""

import re
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.domain.booking import Actor, Booking, Status, Visitor
from app.domain.move import MoveState
from app.text.zones import local
from sandbox import stripe
from sandbox.hapio import Fault
from tests.support.browser import Browser
from tests.support.manage import OTHER_SERVICE, everything, link, plain, to_preview
from tests.support.stack import PUBLIC_URL, Stack, open_stack, session_of, text_of

ANNA = "anna@customer.example"
HOUR = timedelta(hours=1)


@pytest.fixture
def anna(stack: Stack) -> Browser:
    """The customer."""
    return Browser(stack)


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio whose customers may also change the service."""
    async with open_stack(tmp_path, widget=OTHER_SERVICE) as stack:
        yield stack


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's forms."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))


async def open_at(stack: Stack, anna: Browser, booking: Booking, before: timedelta) -> str:
    """Open the page so long before the visit."""
    stack.clock.set(booking.starts_at - before)
    return plain(await anna.open(link(stack, booking)))


# The page


async def test_the_page_says_what_is_booked_and_paid_and_names_nobody_but_who_is_visited(
    stack: Stack, anna: Browser
) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    said = plain(await anna.open(link(stack, booking)))
    for expected in ("Confirmed", "Portrait session", booking.resource_name, booking.location_name, "Booked"):
        assert expected in said
    assert "Paid SEK 1,200.00" in said
    assert booking.customer
    assert booking.customer.email not in anna.page.text
    assert booking.customer.name not in anna.page.text


async def test_both_zones_are_shown_where_they_differ(stack: Stack, anna: Browser) -> None:
    visitor = Visitor(key="far", time_zone="America/New_York", language="en")
    booking = await stack.hold(await stack.in_days(3), visitor=visitor)
    await stack.paid(booking)
    said = await anna.open(link(stack, booking))
    assert "New York, UTC−5" in said
    assert "at the venue (Stockholm, UTC+1)" in said


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(hours=30), "Free cancellation until Tue"),
        (timedelta(hours=30), "with a full refund of SEK 1,200.00"),
        (timedelta(hours=24), "with a full refund of SEK 1,200.00"),
        (timedelta(hours=23), "Free cancellation ended on Tue"),
        (timedelta(hours=23), "you would get a 50% refund: SEK 600.00"),
        (timedelta(hours=1), "You would get no refund."),
        (timedelta(hours=25), "You can move it 3 more times, until Tue"),
        (timedelta(hours=23), "The last chance to move it was Tue"),
        (timedelta(0), "The appointment has started"),
        (-HOUR, "Completed"),
    ],
)
async def test_the_page_says_what_may_be_done_now_and_why_not_more(
    before: timedelta, said: str, stack: Stack, anna: Browser
) -> None:
    booking = await stack.confirmed(await stack.in_days(2))
    assert booking.starts_at.strftime("%a") == "Wed"
    assert said in await open_at(stack, anna, booking, before)


async def test_what_is_over_offers_nothing_but_to_book_again(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(2))
    said = await open_at(stack, anna, booking, -HOUR)
    assert "Book again" in said
    assert "<form" not in anna.page.text
    assert "/cancel" not in anna.page.text
    assert "/reschedule" not in anna.page.text


async def test_a_booking_that_was_moved_as_often_as_it_may_says_so(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { at_most = 1 }") as stack:
        anna, booking = Browser(stack), await stack.confirmed(await stack.in_days(3))
        await stack.move(booking, await stack.in_days(5))
        assert "The limit of 1 move has been reached." in await anna.open(link(stack, booking))
        assert "Choose another time" not in text_of(anna.page.text)


async def test_the_history_is_told_in_words(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await stack.move(booking, await stack.in_days(5))
    await stack.cancel(await stack.now(booking))
    said = await anna.open(link(stack, booking))
    story = said.partition("History")[2]
    assert re.search(r"You cancelled it.*You moved it from Thu 26 Nov.* to Sat 28 Nov.*Booked", story)


async def test_every_manage_page_is_unframed_unstored_unindexed_and_tells_no_referrer(
    stack: Stack, anna: Browser
) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    path = link(stack, booking)
    start = (await stack.in_days(4)).isoformat().replace("+00:00", "Z")
    pages = ["", "/cancel", "/reschedule", f"/reschedule/preview?start={start}", "/sent", "/reschedule/preview?start=x"]
    for page in [*(f"{path}{tail}" for tail in pages), "/manage/forged", "/manage/sent"]:
        await anna.open(page)
        headers = anna.page.headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], page
        assert headers["cache-control"] == "no-store", page
        assert headers["referrer-policy"] == "no-referrer", page
        assert '<meta name="robots" content="noindex">' in anna.page.text, page
        assert not headers.get_list("set-cookie")


async def test_a_payment_that_the_bank_asks_back_is_told_with_what_it_means(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    dispute = stack.stripe.open_dispute(await stack.intent_of(booking))
    await stack.until_quiet()
    assert "Until it has decided, we cannot refund anything." in await anna.open(link(stack, booking))
    stack.stripe.close_dispute(dispute["id"], "lost")
    await stack.until_quiet()
    said = await anna.open(link(stack, booking))
    assert "Until it has decided" not in said
    assert "Your bank has returned the payment to you." in said
    assert "You would get no further refund." in said
    assert said.count("Your bank asked for the payment back") == 1


# Looking


async def test_a_mail_scanner_that_opens_every_link_twice_changes_nothing(studio: Stack) -> None:
    """Bookings in every state, their mails, and every link in those and on the pages behind them."""
    first = await studio.confirmed(await studio.in_days(3), service="headshot")
    await studio.tick()
    moving = await studio.move(first, await studio.in_days(5), service="portrait")
    assert moving.move.state is MoveState.HELD
    second = await studio.confirmed(await studio.in_days(4))
    await studio.move(second, await studio.in_days(6))
    third = await studio.confirmed(await studio.in_days(7))
    await studio.cancel(third)
    await studio.tick(times=3)
    links = set()
    for message in studio.mailbox.messages:
        links |= set(re.findall(rf"{PUBLIC_URL}(/[^\s\"<>]+)", message.text or ""))
        links |= set(re.findall(rf'href="{PUBLIC_URL}(/[^"]+)"', message.html or ""))
    assert len(links) >= 3
    for path in sorted(path for path in links if "/manage/" in path):
        page = (await studio.client.get(path)).text
        links |= set(re.findall(r'(?:href|hx-get)="(/manage/[^"]+)"', page))
        acts = ("cancel", "undo", "reschedule", "reschedule/give-up", "resend", "reschedule/slots", "back", "return")
        links |= {f"{path}/{act}" for act in acts}
    before, calls = await everything(studio), len(studio.hapio.calls)
    for _ in range(2):
        for path in links:
            for method in ("GET", "HEAD"):
                await studio.client.request(method, path)
    assert await everything(studio) == before
    assert [call.method for call in studio.hapio.calls[calls:] if call.method != "GET"] == []


# Cancelling


async def test_what_the_preview_says_is_what_comes_back(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(2))
    stack.clock.set(booking.starts_at - 5 * HOUR)
    said = plain(await anna.open(f"{link(stack, booking)}/cancel"))
    assert "Your refund SEK 600.00" in said
    assert "50% of SEK 1,200.00" in said
    until = local(stack.clock() + timedelta(minutes=10), booking.time_zone)
    assert f"We will send it at {until:%H:%M}" in said
    assert await stack.status(booking) is Status.CONFIRMED
    said = plain(await anna.send('action="[^"]*/cancel"'))
    assert "Cancelled" in said
    assert "You cancelled it." in said
    assert "Refund SEK 600.00 We will send it at" in said
    assert stack.stripe.state.refunds == {}
    await stack.tick(after=timedelta(minutes=11))
    assert [refund["amount"] for refund in stack.stripe.state.refunds.values()] == [60000]
    assert "Sent to your card." in await anna.open(link(stack, booking))


async def test_a_free_booking_is_canceled_without_a_word_of_refunds(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(2, "planning"), service="planning")
    assert "Cancelling is free." in await anna.open(link(stack, booking))
    assert "nothing to refund" in await anna.open(f"{link(stack, booking)}/cancel")
    said = await anna.send('action="[^"]*/cancel"')
    assert "Cancelled" in said
    assert "refund" not in said.lower()


async def test_a_page_that_lay_open_for_long_is_shown_again_with_what_holds_now(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(2))
    stack.clock.set(booking.starts_at - timedelta(hours=24, minutes=5))
    await anna.open(f"{link(stack, booking)}/cancel")
    stack.clock.advance(timedelta(minutes=11))
    said = plain(await anna.send('action="[^"]*/cancel"'))
    assert anna.page.status_code == 410
    assert "Your booking has not been cancelled yet. This page was open for a while" in said
    assert "The refund would have been 100%; now it is 50%." in said
    assert await stack.status(booking) is Status.CONFIRMED
    await anna.send('action="[^"]*/cancel"')
    assert await stack.status(booking) is Status.CANCELED
    await stack.until_quiet()
    assert stack.money_kept() == 60000


async def test_within_ten_minutes_the_refund_is_the_one_that_was_shown(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(2))
    stack.clock.set(booking.starts_at - timedelta(hours=24, minutes=5))
    await anna.open(f"{link(stack, booking)}/cancel")
    stack.clock.advance(timedelta(minutes=9))
    await anna.send('action="[^"]*/cancel"')
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_a_page_that_another_tab_has_overtaken_says_what_changed(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    await stack.move(booking, await stack.in_days(5))
    said = await anna.send('action="[^"]*/cancel"')
    assert anna.page.status_code == 409
    assert "It has changed since you opened this page" in said
    assert "You moved it from Thu 26 Nov" in said
    assert await stack.status(booking) is Status.CONFIRMED


async def test_a_form_without_its_page_cancels_nothing(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    path = link(stack, booking)
    await anna.open(f"{path}/reschedule/preview?start={(await stack.in_days(4)).isoformat().replace('+', '%2B')}")
    another_act = hidden(anna.page.text)["page"]
    for page in ("", "forged", another_act):
        answer = await stack.client.post(f"{path}/cancel", data={"page": page})
        assert answer.status_code == 403
    assert await stack.status(booking) is Status.CONFIRMED


async def test_canceling_twice_is_canceling_once(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    form = anna.page
    await anna.send('action="[^"]*/cancel"')
    anna.page = form
    assert "Cancelled" in await anna.send('action="[^"]*/cancel"')
    await stack.until_quiet()
    assert len(stack.stripe.state.refunds) == 1


async def test_with_hapio_down_a_cancellation_stands_and_hapio_follows(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    stack.hapio.faults.append(Fault("drop_before", times=50))
    assert "Cancelled" in await anna.send('action="[^"]*/cancel"')
    stack.hapio.faults.clear()
    await stack.until_quiet()
    assert stack.hapio_bookings() == []


# Taking it back


async def test_a_cancellation_can_be_undone_for_some_minutes(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    said = await anna.send('action="[^"]*/cancel"')
    assert "you can undo the cancellation and keep the same time" in said
    said = await anna.send('action="[^"]*/undo"')
    assert "Your booking is confirmed as before" in said
    assert "Confirmed" in said
    assert "Refund" not in said
    await stack.until_quiet()
    assert stack.money_kept() == 120000
    assert len(stack.hapio_bookings()) == 1


async def test_taking_it_back_too_late_says_so(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    await anna.send('action="[^"]*/cancel"')
    stack.clock.advance(timedelta(minutes=11))
    said = await anna.send('action="[^"]*/undo"')
    assert anna.page.status_code == 409
    assert "The time to undo the cancellation has run out." in said
    assert "<form" not in anna.page.text


async def test_a_cancellation_cannot_be_undone_once_the_time_is_taken(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    await anna.send('action="[^"]*/cancel"')
    await stack.hold(booking.starts_at, resource_id=booking.resource_id)
    said = await anna.send('action="[^"]*/undo"')
    assert anna.page.status_code == 409
    assert "The time was taken in the meantime, so your booking stays cancelled." in said
    await stack.until_quiet()
    assert stack.money_kept() == 0


async def test_while_hapio_does_not_answer_the_page_waits_for_the_time_to_be_back(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/cancel")
    await anna.send('action="[^"]*/cancel"')
    stack.hapio.faults.append(Fault("drop_before", times=50))
    said = await anna.send('action="[^"]*/undo"')
    assert "Being confirmed again" in said
    assert 'hx-trigger="load' in anna.page.text
    assert "<form" not in anna.page.text
    stack.hapio.faults.clear()
    await stack.tick(after=timedelta(minutes=2))
    assert "Confirmed" in await anna.open(link(stack, booking))


# Moving


async def test_the_calendar_shows_the_booking_among_the_times_that_it_can_have(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    said = await anna.open(f"{link(stack, booking)}/reschedule")
    assert f"Now: Portrait session with {booking.resource_name}, Thursday 26 November" in said
    assert re.search(r'<span class="time own"[^>]*>\d\d:\d\d</span>', anna.page.text)
    assert f'id="d{booking.starts_at.date()}"' in anna.page.text
    assert "your booking is on this day" in anna.page.text
    assert anna.starts
    assert booking.starts_at.isoformat().replace("+00:00", "Z") not in anna.starts


async def test_another_time_for_the_same_price_moves_no_money(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    new = await stack.in_days(5)
    said = await to_preview(anna, link(stack, booking), new)
    assert "From" in said
    assert "Saturday 28 November" in said
    assert "Nothing to pay or refund" in said
    assert (await stack.now(booking)).starts_at == booking.starts_at
    said = await anna.send('action="[^"]*/reschedule"')
    assert "Your booking has been moved." in said
    assert (await stack.now(booking)).starts_at == new
    [left] = stack.hapio_bookings()
    assert left.starts_at == new


async def test_a_cheaper_service_gives_the_difference_back(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3))
    new = await studio.in_days(5, "headshot")
    said = await to_preview(anna, link(studio, booking), new, service=studio.headshot_id)
    assert "You get a refund of SEK 550.00" in said
    said = plain(await anna.send('action="[^"]*/reschedule"'))
    assert "Headshot express" in said
    assert "Refund SEK 550.00" in said
    await studio.until_quiet()
    assert studio.money_kept() == 65000


async def test_a_dearer_service_is_moved_to_once_the_difference_is_paid(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    new = await studio.in_days(5)
    said = await to_preview(anna, link(studio, booking), new, service=studio.portrait_id)
    assert "SEK 550.00 more" in said
    assert "You keep your old time until you have paid" in said
    await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 303
    stripe = anna.page.headers["location"]
    assert (await studio.now(booking)).starts_at == booking.starts_at

    said = plain(await anna.open(f"{link(studio, booking)}/back"))
    assert "Nothing was charged." in said
    assert "Waiting for your payment" in said
    assert f'href="{stripe}"' in anna.page.text
    assert "Headshot express" in said

    back = await studio.stripe.pay(urlsplit(stripe).path.rpartition("/")[2])
    said = plain(await anna.open(back))
    assert "Your booking has been moved." in said
    assert "Paid for the move SEK 550.00" in said
    assert (await studio.now(booking)).starts_at == new
    await studio.until_quiet()
    assert studio.money_kept() == 120000


async def test_without_webhooks_the_way_back_from_stripe_moves_the_booking(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget=OTHER_SERVICE, webhooks=False) as stack:
        anna, booking = Browser(stack), await stack.hold(await stack.in_days(3, "headshot"), service="headshot")
        await anna.open(await stack.stripe.pay(await stack.at_stripe(booking)))
        moving = await stack.move(booking, await stack.in_days(5), service="portrait")
        back = await stack.stripe.pay(session_of(moving))
        assert (await stack.now(booking)).service_name == "Headshot express"
        assert "Your booking has been moved." in await anna.open(back)


async def test_a_difference_can_be_left_unpaid_and_nothing_changes(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    await studio.move(booking, await studio.in_days(5), service="portrait")
    await anna.open(link(studio, booking))
    said = await anna.send('action="[^"]*/give-up"')
    assert "Your booking stays as it was." in said
    assert "Waiting for your payment" not in said
    await studio.until_quiet()
    assert len(studio.hapio_bookings()) == 1
    assert (await studio.now(booking)).starts_at == booking.starts_at


async def test_a_second_click_on_paying_the_difference_leads_to_the_same_page(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    await to_preview(anna, link(studio, booking), await studio.in_days(5), service=studio.portrait_id)
    form, pages = anna.page, set()
    for _ in range(2):
        anna.page = form
        await anna.send('action="[^"]*/reschedule"')
        assert anna.page.status_code == 303
        pages.add(anna.page.headers["location"])
    assert len(pages) == 1


async def test_a_second_click_on_moving_finds_the_booking_moved(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await to_preview(anna, link(stack, booking), await stack.in_days(5))
    form = anna.page
    for _ in range(2):
        anna.page = form
        assert "Your booking has been moved." in await anna.send('action="[^"]*/reschedule"')
    assert (await stack.now(booking)).moves == 1


async def test_a_time_that_is_gone_leaves_the_booking_and_offers_the_nearest(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    new = await stack.in_days(5)
    await to_preview(anna, link(stack, booking), new)
    await stack.take_everyone(new)
    said = await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 409
    assert ("This time has just been taken. Your booking stays as it was. The nearest free times are:") in said
    assert anna.starts
    assert (await stack.now(booking)).starts_at == booking.starts_at
    await anna.send('id="hf-hold"', start=anna.starts[0])
    assert "Your booking has been moved." in await anna.send('action="[^"]*/reschedule"')


async def test_what_hapio_refuses_leaves_the_booking_and_offers_the_nearest(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    new = await stack.in_days(5)
    await to_preview(anna, link(stack, booking), new)
    await stack.book_elsewhere(new)
    said = await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 409
    assert "Your booking stays as it was." in said
    assert (await stack.now(booking)).starts_at == booking.starts_at


@pytest.mark.parametrize("down", ["hapio", "stripe"])
async def test_with_a_provider_down_a_dearer_move_says_that_nothing_was_moved(down: str, studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    await to_preview(anna, link(studio, booking), await studio.in_days(5), service=studio.portrait_id)
    if down == "hapio":
        studio.hapio.faults.append(Fault("drop_before", method="POST", times=50))
    else:
        studio.stripe.faults.append(stripe.Fault("drop_before", times=50))
    said = await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 503
    assert "Nothing was charged." in said
    stays = {"hapio": "Your booking stays as it was.", "stripe": "Your booking was not moved. It stays as it was."}
    assert stays[down] in said
    studio.hapio.faults.clear()
    studio.stripe.faults.clear()
    await studio.until_quiet()
    assert len(studio.hapio_bookings()) == 1
    assert (await studio.now(booking)).service_name == "Headshot express"
    assert studio.money_kept() == 65000


def refuse_pages(stack: Stack, code: str, *, param: str | None = None) -> None:
    """From now on Stripe makes no payment page, for this reason."""
    path, status = "/checkout/sessions$", 400 if param else 403
    fault = stripe.Fault("refuse", method="POST", path=path, times=None, status=status, code=code, param=param)
    stack.stripe.faults.append(fault)


async def test_a_difference_that_stripe_never_takes_is_told_so_however_often_it_is_tried(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    await to_preview(anna, link(studio, booking), await studio.in_days(5), service=studio.portrait_id)
    refuse_pages(studio, "account_invalid")
    for _ in range(4):
        said = await anna.send('action="[^"]*/reschedule"')
        assert "trying again will not help" in said
        assert "Your booking was not moved. It stays as it was." in said
        assert "cannot be reached" not in said
        assert "try again in a moment" not in said
        studio.clock.advance(timedelta(minutes=1))


async def test_an_address_that_stripe_does_not_take_for_a_difference_is_told_with_a_way_on(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    new = await studio.in_days(5)
    await to_preview(anna, link(studio, booking), new, service=studio.portrait_id)
    refuse_pages(studio, "email_invalid", param="customer_email")
    said = await anna.send('action="[^"]*/reschedule"')
    assert "The payment page does not accept the email address of this booking. Please contact us" in said
    assert "Your booking was not moved. It stays as it was." in said
    assert "marked fields" not in said
    studio.stripe.faults.clear()
    corrected = await studio.parts.corrections.correct_email(booking.id, "anna.ek@customer.example")
    await to_preview(anna, link(studio, corrected), new, service=studio.portrait_id)
    await anna.send('action="[^"]*/reschedule"')
    assert anna.page.headers["location"].startswith("http://stripe.sandbox/")


async def test_a_page_before_a_move_that_lay_open_for_long_is_shown_again(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await to_preview(anna, link(stack, booking), await stack.in_days(5))
    stack.clock.advance(timedelta(minutes=11))
    said = await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 410
    assert "Your booking has not been moved yet. This page was open for a while" in said
    assert (await stack.now(booking)).moves == 0
    assert "Your booking has been moved." in await anna.send('action="[^"]*/reschedule"')


async def test_a_form_cannot_be_bent_to_another_price(studio: Stack) -> None:
    """The page said that no money moves; its form with another service in it is shown again with the price."""
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    new = await studio.in_days(5)
    await to_preview(anna, link(studio, booking), new, service=studio.headshot_id)
    said = plain(await anna.send('action="[^"]*/reschedule"', service=studio.portrait_id))
    assert anna.page.status_code == 403
    assert "or its price has changed" in said
    assert "SEK 550.00 more" in said
    assert (await studio.parts.bookings.view(booking.id)).move is None


async def test_two_tabs_cancel_and_move_and_the_second_is_told(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await to_preview(anna, link(stack, booking), await stack.in_days(5))
    other = Browser(stack)
    await other.open(f"{link(stack, booking)}/cancel")
    await other.send('action="[^"]*/cancel"')
    said = await anna.send('action="[^"]*/reschedule"')
    assert anna.page.status_code == 409
    assert "This booking has changed in the meantime." in said
    assert await stack.status(booking) is Status.CANCELED


async def test_while_hapio_does_not_answer_the_page_waits_for_the_move(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    new = await stack.in_days(5)
    await to_preview(anna, link(stack, booking), new)
    stack.hapio.faults.append(Fault("drop_before", method="PATCH", times=50))
    said = await anna.send('action="[^"]*/reschedule"')
    assert "Being moved" in said
    look = re.search(r'hx-get="([^"]+)" hx-trigger="load', anna.page.text)
    assert look
    again = await stack.client.get(look[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert again.headers["HX-Retarget"] == "#hf-wait"
    stack.hapio.faults.clear()
    await stack.tick(after=timedelta(minutes=2))
    through = await stack.client.get(look[1].replace("&amp;", "&"), headers={"HX-Request": "true"})
    assert "HX-Retarget" not in through.headers
    assert "Confirmed" in text_of(through.text)
    assert (await stack.now(booking)).starts_at == new


async def test_with_a_widget_that_keeps_people_only_the_same_person_is_offered(tmp_path: Path) -> None:
    async with open_stack(tmp_path, widget="reschedule = { other_resource = false }") as stack:
        anna, booking = Browser(stack), await stack.confirmed(await stack.in_days(3))
        said = await anna.open(f"{link(stack, booking)}/reschedule?resource=")
        assert "Anyone" not in said
        widget = stack.parts.widgets["studio"]
        service = await stack.parts.availability.service(widget, stack.portrait_id)
        month = booking.starts_at.date().replace(day=1)
        times = await stack.parts.availability.times(widget, service, month=month, resource_id=booking.resource_id)
        around = await stack.parts.reschedule.around_own(booking, service)
        assert set(anna.starts) <= {
            slot.starts_at.isoformat().replace("+00:00", "Z") for slot in (*times.slots, *around)
        }


async def test_a_service_is_a_choice_where_the_widget_says_so(studio: Stack) -> None:
    anna, booking = Browser(studio), await studio.confirmed(await studio.in_days(3))
    assert "Headshot express 30 min" in await anna.open(f"{link(studio, booking)}/reschedule")
    await anna.open(f"{link(studio, booking)}/reschedule?service={studio.headshot_id}&resource=")
    assert 'aria-pressed="true"><bdi>Headshot express' in anna.page.text
    assert 'class="time own"' not in anna.page.text


async def test_a_service_is_no_choice_otherwise(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    assert "Headshot express" not in await anna.open(f"{link(stack, booking)}/reschedule")
    await anna.open(f"{link(stack, booking)}/reschedule?service={stack.headshot_id}")
    assert anna.page.status_code == 200
    start = (await stack.in_days(5, "headshot")).strftime("%Y-%m-%dT%H:%MZ")
    await anna.open(f"{link(stack, booking)}/reschedule/preview?service={stack.headshot_id}&start={start}")
    assert anna.page.status_code == 400


async def test_what_cannot_be_moved_any_more_leads_back_to_the_booking(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    stack.clock.set(booking.starts_at - 23 * HOUR)
    for page in ("/reschedule", f"/reschedule/preview?start={booking.starts_at:%Y-%m-%dT%H:%M}Z"):
        said = await anna.open(link(stack, booking) + page)
        assert "The last chance to move it was" in said


async def test_the_calendar_speaks_the_zone_that_is_asked_for(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await anna.open(f"{link(stack, booking)}/reschedule")
    await anna.send('id="hf-look"', zones="1")
    await anna.send('id="hf-look"', tz="America/New_York")
    assert "Times in New York" in text_of(anna.page.text)
    said = await anna.send('id="hf-hold"', start=anna.starts[0])
    assert said.count("New York, UTC−5") == 2


async def test_htmx_gets_the_times_alone_and_is_sent_to_stripe_by_its_own_means(studio: Stack) -> None:
    booking = await studio.confirmed(await studio.in_days(3, "headshot"), service="headshot")
    path, htmx = link(studio, booking), {"HX-Request": "true"}
    part = await studio.client.get(f"{path}/reschedule/slots", headers=htmx)
    assert part.text.lstrip().startswith('<div id="hf-times"')
    assert part.headers["HX-Replace-Url"].startswith(f"{path}/reschedule?")
    anna = Browser(studio)
    await to_preview(anna, path, await studio.in_days(5), service=studio.portrait_id)
    answer = await studio.client.post(f"{path}/reschedule", data=hidden(anna.page.text), headers=htmx)
    assert answer.headers["HX-Redirect"].startswith("http://stripe.sandbox/")


# Links that do not open


async def test_a_forged_link_asks_for_the_address(stack: Stack, anna: Browser) -> None:
    said = await anna.open("/manage/forged")
    assert anna.page.status_code == 403
    assert "This link does not work" in said
    booking = await stack.confirmed(await stack.in_days(3))
    await stack.mail(ANNA)
    said = await anna.send('action="/manage/resend"', email=f" {ANNA.upper()} ")
    assert "If we find a booking, a new link is on its way" in said
    assert len(await stack.mail(ANNA)) == 1
    assert (await stack.now(booking)).link_version == 0, "the link that she has opens until the new one is used"
    fresh = stack.parts.links.manage_token(booking.id, 1)
    assert (await stack.client.get(f"/manage/{fresh}")).status_code == 200
    assert (await stack.now(booking)).link_version == 1


async def test_the_answer_is_the_same_whether_there_is_a_booking_or_not(stack: Stack) -> None:
    await stack.confirmed(await stack.in_days(3))
    answers = []
    for email in (ANNA, "nobody@customer.example"):
        anna = Browser(stack)
        await anna.open("/manage/forged")
        await anna.send('action="/manage/resend"', email=email)
        answers.append((anna.page.status_code, anna.page.url, anna.page.text))
    assert answers[0] == answers[1]


async def test_what_is_no_address_is_marked(stack: Stack, anna: Browser) -> None:
    await anna.open("/manage/forged")
    await anna.send('action="/manage/resend"', email="anna@")
    assert anna.page.status_code == 422
    assert 'value="anna@"' in anna.page.text
    assert 'aria-invalid="true"' in anna.page.text


async def test_a_replaced_link_is_renewed_at_a_click(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    old = link(stack, booking)
    await stack.parts.manage_links.resend(old.rpartition("/")[2])
    await stack.mail(ANNA)
    stack.clock.advance(timedelta(minutes=10))
    said = await anna.open(old)
    assert anna.page.status_code == 403
    assert "This link was replaced" in said
    said = await anna.send('action="[^"]*/resend"')
    assert "Check your email" in said
    await stack.tick()
    assert len(await stack.mail(ANNA)) == 1
    await anna.open(link(stack, await stack.now(booking)))
    assert anna.page.status_code == 200


async def test_a_link_that_is_long_over_says_so(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    stack.clock.advance(timedelta(days=40))
    said = await anna.open(link(stack, booking))
    assert anna.page.status_code == 410
    assert "This link has expired" in said
    assert 'action="/manage/resend"' in anna.page.text


@pytest.mark.parametrize("act", ["cancel", "undo", "reschedule", "reschedule/give-up"])
async def test_a_link_that_does_not_open_does_nothing(act: str, stack: Stack) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    retired = link(stack, booking)
    await stack.parts.manage_links.resend(retired.rpartition("/")[2])
    before = await everything(stack)
    for path in (retired, "/manage/forged"):
        assert (await stack.client.post(f"{path}/{act}")).status_code == 403
    assert await everything(stack) == before


async def test_without_a_mail_server_no_link_is_promised(tmp_path: Path) -> None:
    async with open_stack(tmp_path, settings={"smtp_url": None}) as stack:
        anna = Browser(stack)
        said = await anna.open("/manage/forged")
        assert "new link" not in said
        assert "<form" not in anna.page.text


async def test_what_the_owner_did_is_told_as_the_owners(stack: Stack, anna: Browser) -> None:
    booking = await stack.confirmed(await stack.in_days(3))
    await stack.move(booking, await stack.in_days(5), by=Actor.OWNER)
    assert "We moved it from Thu 26 Nov" in await anna.open(link(stack, booking))
    await stack.cancel(await stack.now(booking), by=Actor.OWNER)
    said = await anna.open(link(stack, booking))
    assert "We had to cancel it. We are sorry." in said
    assert "Undo" not in said


@dataclass
class Sent:
    """What had been written to the database when an answer went out, and how often it was when the request ended."""

    at_the_answer: int
    in_the_end: int


async def effects_around(stack: Stack, path: str, body: bytes) -> Sent:
    """Post a form, and count the transactions before and after the answer."""
    assert stack.hooks.app
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }
    scope |= {
        "headers": [kind, (b"host", b"book.example")],
        "client": ("192.0.2.1", 1),
        "server": ("book.example", 443),
    }
    scope |= {"scheme": "https", "http_version": "1.1", "asgi": {"version": "3.0"}, "root_path": ""}
    began, answered = stack.doom.effects, []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body"):
            answered.append(stack.doom.effects - began)

    await stack.hooks.app(scope, receive, send)
    return Sent(answered[0], stack.doom.effects - began)


async def test_how_long_the_answer_takes_does_not_tell_whose_address_it_is(studio: Stack) -> None:
    for _ in range(3):
        await studio.confirmed()
    sent = await effects_around(studio, "/manage/resend", b"email=anna%40customer.example")
    assert sent.at_the_answer == 0
    assert sent.in_the_end > 0
    unknown = await effects_around(studio, "/manage/resend", b"email=nobody%40customer.example")
    assert unknown == Sent(0, 0)
    assert any("link" in subject for subject in await studio.mail("anna@customer.example"))

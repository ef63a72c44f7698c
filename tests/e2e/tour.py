"""Every screen and state, one after the other: for axe, and for the pictures in docs/screenshots.

A tour walks one visitor through states and calls `show(name, page)` at each. The widget fills the window here; that it
works in a frame is proven elsewhere, and the pictures of the host site show it there.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from app.cli.demo import OWNER
from app.domain.booking import Customer
from app.domain.booking import Visitor as DomainVisitor
from sandbox import hapio, stripe
from sandbox.faults import Fault
from tests.e2e.harness import Visitor
from tests.e2e.stack import ONE_STUDIO, STOCKHOLM, Shop
from tests.e2e.steps import (
    ANNA,
    CALL,
    HEADSHOT,
    PORTRAIT,
    booked,
    choose_new_time,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    manage_address,
    pay,
    start_of,
    times,
    told,
    type_details,
)

Show = Callable[[str, Page], Awaitable[None]]
Tour = Callable[[Shop, Visitor, Show], Awaitable[None]]

#: The payment methods that take days exist in euro only. Here everything is looked at once more before it is paid.
EURO_WIDGETS: Final = {"hapio": ONE_STUDIO["hapio"].replace('currency = "sek"', 'currency = "eur"')}


async def book_and_pay(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The way that most bookings go, to the mail and the page behind its link."""
    visitor.expect_problem("422")
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await show("services", page)
    await choose_service(page)
    await show("times", page)
    await choose_time(page)
    await show("details", page)
    await page.get_by_label("Email").fill("anna at home")
    await page.get_by_role("button", name="Pay").click()
    await expect(page.get_by_text("Please check the marked fields.")).to_be_visible()
    await show("details-errors", page)
    await type_details(page)
    await page.get_by_role("textbox", name="Phone").fill("070-123 45 67")
    await go_to_stripe(page, page)
    await show("stripe", page)
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(page.get_by_text("Nothing was charged. Your time is still held.")).to_be_visible()
    await show("summary-back-from-stripe", page)
    await go_to_stripe(page, page)
    await pay(page, "Card that needs 3-D Secure")
    await expect(page.get_by_role("button", name="Complete")).to_be_visible()
    await show("stripe-3-d-secure", page)
    await page.get_by_role("button", name="Complete").click()
    await expect_confirmed(page)
    await show("confirmed", page)
    await shop.tick()
    await page.goto(f"{shop.demo.urls.mailbox}/?live=off")
    await show("mailbox", page)
    number = 1 + shop.demo.mailbox.messages.index(shop.mail_to(ANNA)[-1])
    await page.goto(f"{shop.demo.urls.mailbox}/messages/{number}/html")
    await show("mail-confirmed", page)
    manage = await page.locator('a[href*="/manage/"]').first.get_attribute("href")
    assert manage
    await page.goto(manage)
    await show("manage", page)


async def choose(shop: Shop, visitor: Visitor, show: Show) -> None:
    """What the time step shows when things are not plain: nothing free, another zone, just taken, old."""
    visitor.expect_problem("409")
    page = visitor.page
    address = f"{shop.public}/w/studio?service={(await shop.service()).id}"
    sunday = shop.clock().date() + timedelta(days=6 - shop.clock().weekday())
    await page.goto(f"{address}&date={sunday}")
    await show("times-none-on-this-day", page)
    far = shop.clock().date() + timedelta(days=120)
    await page.goto(f"{address}&date={far:%Y-%m}")
    await show("times-none-in-this-month", page)
    await page.goto(f"{address}&tz=America/New_York")
    await show("times-in-another-zone", page)
    await page.get_by_role("button", name="Change the time zone").click()
    await expect(page.get_by_label("Show times in")).to_be_visible()
    await show("times-choosing-a-zone", page)
    await page.goto(f"{address}&lang=ar")
    await show("times-right-to-left", page)
    await page.goto(address)
    await shop.book_elsewhere(await start_of(times(page).last))
    await times(page).last.click()
    await expect(page.get_by_text("This time has just been taken.")).to_be_visible()
    await show("times-just-taken", page)


async def hold_on(shop: Shop, visitor: Visitor, show: Show) -> None:
    """A hold near its end, ended, taken again, and lost."""
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio?tz=America/New_York")
    await choose_service(page)
    starts_at = await choose_time(page)
    await show("details-in-another-zone", page)
    shop.clock.advance(timedelta(minutes=8))
    await page.reload()
    await show("details-running-out", page)
    shop.clock.advance(timedelta(minutes=3))
    await page.reload()
    await show("details-hold-ended", page)
    await type_details(page)
    await page.get_by_role("button", name="Pay").click()
    await expect(page.get_by_text("We held your time again.")).to_be_visible()
    await show("summary-held-again", page)
    await go_to_stripe(page, page)
    await shop.tick(after=timedelta(minutes=32))
    await page.reload()
    await show("stripe-expired", page)
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(heading(page, "This time is no longer held for you")).to_be_visible()
    await show("expired", page)
    await shop.book_elsewhere(starts_at)
    await shop.pay_late()
    await shop.tick()
    await page.reload()
    await expect(heading(page, "Your time was no longer free")).to_be_visible()
    await show("offered", page)
    booking, mail = page.url, shop.mail_to(ANNA)[-1]
    await page.goto(f"{shop.demo.urls.mailbox}/messages/{1 + shop.demo.mailbox.messages.index(mail)}/html")
    await show("mail-offered", page)
    await page.goto(re.findall(r"http\S+/choose\S+", mail.text or "")[0])
    await expect(heading(page, "Book this time?")).to_be_visible()
    await show("choose-held-time", page)
    await page.get_by_role("link", name="Get my money back").click()
    await expect(heading(page, "Get your money back?")).to_be_visible()
    await show("refund-instead-of-held-times", page)
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_role("heading", name="Portrait session")).to_be_visible()
    await shop.tick()
    await page.goto(booking)
    await expect(heading(page, "This booking is cancelled")).to_be_visible()
    await show("canceled-and-refunded", page)
    number = 1 + shop.demo.mailbox.messages.index(shop.mail_to(ANNA)[-1])
    await page.goto(f"{shop.demo.urls.mailbox}/messages/{number}/html")
    await show("mail-refunded", page)


async def pay_with_trouble(shop: Shop, visitor: Visitor, show: Show) -> None:
    """Providers that are down, a card that is declined, a confirmation that takes a while."""
    visitor.expect_problem("402")
    visitor.expect_problem("503")
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await choose_service(page)
    shop.hapio.faults.append(hapio.Fault(kind="error_before", status=503, times=1000))
    await times(page).last.click()
    await expect(page.get_by_text("The calendar cannot be reached right now.")).to_be_visible()
    await show("times-calendar-down", page)
    shop.clock.advance(timedelta(minutes=10))
    await page.reload()
    await expect(page.get_by_text("we check again when you choose")).to_be_visible()
    await show("times-stale", page)
    shop.clock.advance(timedelta(hours=2))
    await page.reload()
    await expect(heading(page, "The calendar is not responding")).to_be_visible()
    await show("error-calendar-down", page)
    shop.mend()
    await shop.tick(after=timedelta(minutes=2))

    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page)
    shop.stripe.faults.append(stripe.Fault(kind="error_before", times=1000))
    await page.get_by_role("button", name="Pay").click()
    await expect(page.get_by_text("The payment page cannot be reached right now.")).to_be_visible()
    await show("summary-stripe-down", page)
    shop.mend()
    shop.clock.advance(timedelta(minutes=1))
    await go_to_stripe(page, page)
    await pay(page, "Card that is declined")
    await expect(page.get_by_role("alert")).to_be_visible()
    await show("stripe-declined", page)
    shop.hapio.faults.append(hapio.Fault(kind="error_before", method="PATCH", times=1000))
    await pay(page)
    await expect(heading(page, "Payment received, confirming your time")).to_be_visible()
    await show("confirming", page)
    shop.mend()
    await shop.tick(after=timedelta(minutes=2))
    await expect_confirmed(page)


async def wait_for_stripe(shop: Shop, visitor: Visitor, show: Show) -> None:
    """Back from Stripe before Stripe knows of a payment, and for so long that the page says so."""
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page)
    booking = page.url.partition("?")[0]
    await go_to_stripe(page, page)
    await page.goto(f"{booking}?from=stripe")
    await expect(heading(page, "Waiting for Stripe")).to_be_visible()
    await show("waiting-for-stripe", page)
    await page.goto(f"{booking}?from=stripe&look=9")
    await expect(page.get_by_text("This is taking longer than usual.")).to_be_visible()
    await show("waiting-for-long", page)


async def book_for_free(shop: Shop, visitor: Visitor, show: Show) -> None:
    """A service that costs nothing."""
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page, CALL)
    await show("details-free", page)
    await page.get_by_role("button", name="Confirm booking").click()
    await expect_confirmed(page)
    await show("confirmed-free", page)


async def go_astray(shop: Shop, visitor: Visitor, show: Show) -> None:
    """Addresses that lead nowhere."""
    visitor.expect_problem("404")
    visitor.expect_problem("403")
    visitor.expect_problem("410")
    page = visitor.page
    await page.goto(f"{shop.public}/w/nobody")
    await show("error-not-found", page)
    await page.goto(f"{shop.public}/b/no-such-link")
    await show("error-link-refused", page)
    old = shop.parts.links.booking_token("bk_0", ends_at=datetime(2026, 1, 1, tzinfo=UTC))
    await page.goto(f"{shop.public}/b/{old}")
    await show("error-link-expired", page)


async def see_the_booking(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The page behind the link in the mail, from the days before the visit to the day after."""
    page = visitor.page
    booking, address = await booked(shop)
    await page.goto(address)
    await show("manage-free-cancellation", page)
    for name, hours in (("manage-half-back", 20), ("manage-nothing-back", 1), ("manage-under-way", 0)):
        shop.clock.set(booking.starts_at - timedelta(hours=hours))
        await page.goto(address)
        await show(name, page)
    shop.clock.set(booking.ends_at + timedelta(hours=1))
    await page.goto(address)
    await show("manage-completed", page)
    await shop.parts.corrections.mark_no_show(booking.id, no_show=True)
    await page.goto(address)
    await show("manage-missed", page)
    _booking, address = await booked(shop, CALL, zone="America/New_York")
    await page.goto(address)
    await show("manage-free-in-another-zone", page)
    _booking, address = await booked(shop, language="ar")
    await page.goto(address)
    await show("manage-right-to-left", page)
    await page.goto(f"{address}/cancel")
    await show("manage-cancel-right-to-left", page)
    await page.goto(f"{address}/reschedule")
    await show("manage-times-right-to-left", page)


async def cancel_it(shop: Shop, visitor: Visitor, show: Show) -> None:
    """What cancelling refunds, cancelling, undoing it, and cancelling again without undoing it."""
    visitor.expect_problem("410")
    page = visitor.page
    booking, address = await booked(shop)
    await page.goto(f"{address}/cancel")
    await show("manage-cancel", page)
    shop.clock.set(booking.starts_at - timedelta(hours=24))
    await page.goto(f"{address}/cancel")
    shop.clock.advance(timedelta(minutes=11))
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("This page was open for a while")).to_be_visible()
    await show("manage-cancel-again", page)
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("Changed your mind?")).to_be_visible()
    await show("manage-canceled", page)
    await page.get_by_role("button", name="Undo the cancellation").click()
    await expect(told(page, "Your booking is confirmed as before")).to_be_visible()
    await show("manage-undone", page)
    shop.clock.set(booking.starts_at - timedelta(hours=1))
    await page.goto(f"{address}/cancel")
    await show("manage-cancel-nothing-back", page)
    booking, address = await booked(shop)
    await page.goto(f"{address}/cancel")
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("Changed your mind?")).to_be_visible()
    await shop.tick(after=timedelta(minutes=11))
    await page.goto(address)
    await show("manage-refunded", page)
    _booking, address = await booked(shop, CALL)
    await page.goto(f"{address}/cancel")
    await show("manage-cancel-free", page)


async def move_it(shop: Shop, visitor: Visitor, show: Show) -> None:
    """Another time: the same price, less, more, and what can come in between."""
    visitor.expect_problem("409")
    page = visitor.page
    _booking, address = await booked(shop)
    await page.goto(f"{address}/reschedule")
    await show("manage-times", page)
    await page.goto(address)
    await choose_new_time(page)
    await show("manage-move", page)
    await page.get_by_role("button", name="Move the booking").click()
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    await show("manage-moved", page)
    await choose_new_time(page, service=HEADSHOT)
    await show("manage-move-cheaper", page)
    await page.get_by_role("button", name="Move the booking").click()
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    await show("manage-moved-cheaper", page)
    await choose_new_time(page, service=PORTRAIT)
    await show("manage-move-dearer", page)
    await page.get_by_role("button", name="Pay SEK 550.00 and move").click()
    await expect(page.get_by_text("Sandbox — no real money")).to_be_visible()
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(page.get_by_text("Waiting for your payment")).to_be_visible()
    await show("manage-waiting-for-payment", page)
    await page.goto(address)  # the way back from Stripe can only show
    await page.get_by_role("button", name="Keep the booking unchanged").click()
    await expect(told(page, "Your booking stays as it was.")).to_be_visible()
    await show("manage-left-as-it-was", page)
    await page.get_by_role("link", name="Choose another time").click()
    await shop.book_elsewhere(await start_of(times(page).last), HEADSHOT)
    await times(page).last.click()
    await page.get_by_role("button", name="Move the booking").click()
    await expect(page.get_by_text("This time has just been taken.")).to_be_visible()
    await show("manage-times-just-taken", page)
    _booking, address = await booked(shop, days=6)
    await page.goto(address)
    shop.hapio.faults.append(hapio.Fault(kind="error_before", method="PATCH", times=1000))
    await choose_new_time(page)
    await page.get_by_role("button", name="Move the booking").click()
    await expect(told(page, "Being moved")).to_be_visible()
    await show("manage-being-moved", page)
    shop.mend()
    await shop.tick(after=timedelta(minutes=2))
    await expect(page.get_by_role("main").get_by_text("Confirmed", exact=True)).to_be_visible()


async def lose_the_link(shop: Shop, visitor: Visitor, show: Show) -> None:
    """Links that do not open, and how to get a fresh one."""
    for status in ("403", "410", "422"):
        visitor.expect_problem(status)
    page = visitor.page
    booking, address = await booked(shop)
    await shop.parts.manage_links.renew(booking.id)
    await page.goto(address)
    await show("manage-link-replaced", page)
    await page.get_by_role("button", name="Email me a new link").click()
    await expect(heading(page, "Check your email")).to_be_visible()
    await show("manage-link-sent", page)
    await page.goto(f"{shop.public}/manage/no-such-link")
    await show("manage-link-refused", page)
    await page.get_by_label("Email").fill("anna at home")
    await page.get_by_role("button", name="Email me a new link").click()
    await expect(page.get_by_text("This does not look like an email address.")).to_be_visible()
    await show("manage-link-no-address", page)
    shop.clock.set(booking.ends_at + timedelta(days=31))
    await page.goto(manage_address(shop, await shop.parts.bookings.get(booking.id)))
    await show("manage-link-expired", page)


async def pay_by_bank(shop: Shop, visitor: Visitor, show: Show) -> None:
    """A method that takes days, and then the bank says no. The shop must sell in euro."""
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page)
    await go_to_stripe(page, page)
    # As an owner who has switched SEPA debit on in Stripe's dashboard.
    list(shop.stripe.state.sessions.values())[-1]["payment_method_types"].append("sepa_debit")
    await page.reload()
    await pay(page, "SEPA Direct Debit")
    await expect(heading(page, "Your payment is on its way")).to_be_visible()
    await show("payment-on-its-way", page)
    await shop.settle_delayed("failed")
    await shop.tick()
    await page.reload()
    await expect(page.get_by_text("The payment did not go through.")).to_be_visible()
    await show("payment-failed", page)


async def work_there(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The staff page: signing in, the days, a search, one booking and the pages before its acts, the house."""
    visitor.expect_problem("422")
    for name in ("Anna Ek", "Bo Berg"):
        await booked_by(shop, name)
    page = visitor.page

    async def seen(name: str) -> None:
        await page.wait_for_load_state()  # these pages' styles are files next to them
        await show(name, page)

    await page.goto(f"{shop.public}/staff")
    await seen("staff-sign-in")
    await page.get_by_label("Email").fill("nobody")
    await page.get_by_role("button", name="Email me a link").click()
    await expect(page.get_by_text("This does not look like an email address.")).to_be_visible()
    await seen("staff-sign-in-errors")
    await page.get_by_label("Email").fill(OWNER)
    await page.get_by_role("button", name="Email me a link").click()
    await expect(page.get_by_label("Email")).to_have_count(0)
    await seen("staff-sent")
    await page.goto(await shop.sign_in_link(OWNER))
    await seen("staff-link")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Bookings").click()
    await expect(page.get_by_role("link", name="Anna Ek").first).to_be_visible()
    await seen("staff-days")
    await page.get_by_role("link", name="Month").click()
    await page.get_by_label("Name, email, phone or reference").fill("anna")
    await page.get_by_role("button", name="Find").click()
    await seen("staff-found")
    await page.get_by_role("link", name="Anna Ek").first.click()
    await seen("staff-booking")
    for link, name in (("Refund …", "refund"), ("Cancel …", "cancel"), ("Move …", "move")):
        await page.get_by_role("link", name=link).click()
        await seen(f"staff-{name}")
        if name == "refund":
            await page.get_by_label("Amount").fill("100")
            await page.get_by_role("button", name="Continue").click()
            await seen("staff-refund-preview")
        if name != "move":
            await page.get_by_role("link", name="Leave it as it is").click()
    await times(page).last.click()
    await seen("staff-move-preview")
    await page.get_by_role("button", name="Move the booking").click()
    await expect(page.get_by_text("The booking has been moved.")).to_be_visible()
    await seen("staff-moved")
    await _know_customers(page, seen)
    await _do_again(shop, page, seen)


async def _know_customers(page: Page, seen: Callable[[str], Awaitable[None]]) -> None:
    """The customers, one of them, and a correction that cannot be read."""
    await page.get_by_role("link", name="Customers").click()
    await seen("staff-customers")
    await page.get_by_label("Name, email or phone", exact=True).fill("nobody")
    await page.get_by_role("button", name="Find a customer").click()
    await seen("staff-customers-none")
    await page.get_by_role("link", name="All customers").click()
    await page.get_by_role("link", name="Anna Ek").click()
    await page.get_by_role("textbox", name="Note").fill("Prefers mornings.")
    await page.get_by_role("button", name="Save the note").click()
    await expect(page.get_by_text("The note has been saved.")).to_be_visible()
    await seen("staff-customer")
    await page.get_by_text("Correct the details").click()
    await page.get_by_role("textbox", name="Phone").fill("12")
    await page.get_by_role("button", name="Change the details").click()
    await expect(page.get_by_text("This is not a phone number in that country.")).to_be_visible()
    await seen("staff-customer-errors")


async def _do_again(shop: Shop, page: Page, seen: Callable[[str], Awaitable[None]]) -> None:
    """Technical, what is not well, and its tables."""
    await shop.tick()
    await page.get_by_role("link", name="Technical").click()
    await expect(page.get_by_text("All is well.")).to_be_visible()
    await seen("staff-technical")
    shop.demo.mailbox.unknown.add("carla@customer.example")
    await booked_by(shop, "Carla Dahl")
    await shop.tick(times=3)
    await page.get_by_role("link", name="Calendar", exact=True).click()
    await expect(page.get_by_text("1 email could not be delivered.")).to_be_visible()
    await seen("staff-not-well")
    await page.locator("section.well").get_by_role("link", name="See emails").click()
    await seen("staff-technical-emails")
    shop.demo.mailbox.unknown.clear()
    await page.get_by_role("button", name="Send again: Confirmation").click()
    await expect(page.get_by_text("The email is being sent again.")).to_be_visible()
    await shop.tick(times=2)
    await page.goto(f"{page.url.partition('/emails')[0]}/events?all=1")
    await seen("staff-technical-events")


async def book_for_somebody(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The desk's own bookings: in three pages, with what may be wrong, a payment link and what is paid on the spot."""
    visitor.expect_problem("422")
    page = visitor.page

    async def seen(name: str) -> None:
        await page.wait_for_load_state()
        await show(name, page)

    await page.goto(f"{shop.public}/staff")
    await page.get_by_label("Email").fill(OWNER)
    await page.get_by_role("button", name="Email me a link").click()
    await page.goto(await shop.sign_in_link(OWNER))
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="New booking").click()
    await seen("staff-new")
    await page.get_by_role("link", name=PORTRAIT).click()
    await seen("staff-new-times")
    taken = page.locator(".week a").last
    address = str(await taken.get_attribute("href"))
    await taken.click()
    await page.get_by_role("button", name="Book").click()
    await expect(page.get_by_text("Please enter the customer's name.")).to_be_visible()
    await seen("staff-new-errors")
    await page.get_by_label("Name", exact=True).fill("Åsa Lind")
    await page.get_by_role("textbox", name="Phone").fill("070-123 45 67")
    await page.get_by_label("In cash, now").check()
    await seen("staff-new-form")
    await page.get_by_role("button", name="Book").click()
    await expect(page.get_by_text("The time is booked.")).to_be_visible()
    await seen("staff-new-booked")
    await page.goto(f"{shop.public}{address}&person=")
    await page.get_by_label("Name", exact=True).fill("Bo Berg")
    await page.get_by_role("button", name="Book").click()
    await seen("staff-new-not-offered")
    await page.goto(f"{shop.public}{address}".replace("&at=", "&then="))
    await page.locator(".week a").first.click()
    await page.get_by_label("Name", exact=True).fill("Bo Berg")
    await page.get_by_role("textbox", name="Email").fill("bo@customer.example")
    await page.get_by_label("By a payment link").check()
    await page.get_by_role("button", name="Book").click()
    await expect(page.get_by_role("heading", name="Waiting for the customer to pay")).to_be_visible()
    await seen("staff-link-waiting")
    home, link = page.url, str(await page.locator('a[href*="/b/"]').first.get_attribute("href"))
    await page.get_by_role("link", name="Stop waiting …").click()
    await seen("staff-link-end")
    await page.goto(home)
    await page.get_by_role("link", name="Paid on the spot …").click()
    await seen("staff-payment")
    await page.goto(link)
    await expect(page.get_by_role("button", name="Pay")).to_be_visible()
    await seen("pay-by-link")


async def keep_the_services(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The services: the list, one switched off, the form of one, what is wrong in it, what was changed meanwhile."""
    visitor.expect_problem("422")
    visitor.expect_problem("409")
    page = visitor.page

    async def seen(name: str) -> None:
        await page.wait_for_load_state()
        await show(name, page)

    await sign_in_at(shop, page)
    await page.get_by_role("link", name="Services", exact=True).click()
    await page.get_by_role("button", name="Switch off").last.click()
    await expect(page.get_by_role("button", name="Switch on")).to_have_count(1)
    await page.get_by_role("button", name=f"Show {HEADSHOT} earlier").click()
    await expect(page.get_by_role("button", name="Back to the order of widgets.toml")).to_be_visible()
    await seen("staff-services")
    # Other tours walk through the same shop.
    await page.get_by_role("button", name="Switch on").click()
    await page.get_by_role("button", name="Back to the order of widgets.toml").click()
    await expect(page.get_by_text("The order of widgets.toml is back.")).to_be_visible()
    await page.get_by_role("link", name=f"Edit {PORTRAIT}").click()
    await expect(page.get_by_role("heading", name=PORTRAIT)).to_be_visible()
    await seen("staff-service")
    await page.get_by_label("Price").fill("1,5x")
    await page.get_by_label("Length").fill("0")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Please check the marked fields.")).to_be_visible()
    await seen("staff-service-errors")
    await page.get_by_label("Price").fill("1200")
    await page.get_by_label("Length").fill("60")
    await page.locator("summary", has_text="French").click()
    await page.locator("#f-description_fr").fill("Une heure au studio.")
    version = await page.locator('input[name="version"]').input_value()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. Visitors see it from now on.")).to_be_visible()
    await seen("staff-service-saved")
    await page.locator("#f-description_fr").fill("Une heure entière.")
    await page.locator('input[name="version"]').evaluate("(field, old) => { field.value = old }", version)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("What you typed is still here")).to_be_visible()
    await seen("staff-service-overtaken")
    await page.get_by_role("link", name="Discard what I typed").click()
    await page.get_by_role("checkbox", name="Description").check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. Visitors see it from now on.")).to_be_visible()


async def keep_hours(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The calendar, everyone's hours, and time taken off in which someone is booked, which Hapio does not take."""
    visitor.expect_problem("422")
    page, day = visitor.page, (await booked_by(shop, "Anna Ek")).astimezone(STOCKHOLM).date()
    await booked_by(shop, "Bo Berg")

    async def seen(name: str) -> None:
        await page.wait_for_load_state()  # these pages' styles are files next to them
        await show(name, page)

    await sign_in_at(shop, page)
    await expect(page.get_by_role("link", name="Book", exact=False).first).to_be_visible()
    await seen("staff-calendar")
    await page.goto(f"{page.url}?from={day}")
    await expect(page.get_by_role("link", name="Anna Ek").first).to_be_visible()
    await seen("staff-calendar-day")
    await page.get_by_role("link", name="Week").click()
    await seen("staff-calendar-week")
    await page.get_by_role("link", name="Astrid Lindqvist").click()
    await seen("staff-calendar-person")
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Hours").click()
    await seen("staff-hours")
    await page.get_by_role("link", name="Weekly hours Astrid Lindqvist").click()
    await seen("staff-week")
    await page.get_by_label("Monday, from").first.fill("nine")
    await page.get_by_role("button", name="Set the weekly hours").click()
    await seen("staff-week-errors")
    await page.get_by_label("Monday, from").first.fill("10 am")
    await page.get_by_role("button", name="Set the weekly hours").click()
    await expect(page.get_by_text("The weekly hours have been set.")).to_be_visible()
    await page.get_by_role("link", name="Time off").click()
    await page.get_by_label("at", exact=True).first.fill("25:00")
    await page.get_by_role("button", name="Block this time").click()
    await seen("staff-time-off-errors")
    await page.get_by_label("at", exact=True).first.fill("")
    await page.get_by_label("Until: day").select_option(str((day + timedelta(days=3)).day))
    await page.get_by_label("Until: month").select_option(str((day + timedelta(days=3)).month))
    shop.hapio.faults.append(Fault("error_before", times=None, path="schedule-blocks", status=500))
    await page.get_by_role("button", name="Block this time").click()
    await expect(page.get_by_text("This is not saved in Hapio yet.")).to_be_visible()
    await seen("staff-time-off-untold")
    shop.hapio.faults.clear()
    await page.get_by_role("button", name="Try again now").click()
    await expect(page.get_by_text("It is saved in Hapio.")).to_be_visible()
    await seen("staff-time-off")


async def sign_in_at(shop: Shop, page: Page) -> None:
    """Signed in to the staff pages, for the working day."""
    await page.goto(f"{shop.public}/staff")
    await page.get_by_label("Email").fill(OWNER)
    await page.get_by_role("button", name="Email me a link").click()
    await page.goto(await shop.sign_in_link(OWNER))
    await page.get_by_label("Keep me signed in for the working day").check()
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("link", name="Calendar")).to_be_visible()


async def booked_by(shop: Shop, name: str) -> datetime:
    """A booking, paid for, without anyone's browser; when it begins."""
    parts, service = shop.parts, await shop.service()
    widget = parts.widgets["studio"]
    slot = await parts.availability.next_free(widget, service, after=shop.clock().date() + timedelta(days=2))
    assert slot
    booking = await parts.hold.take(
        widget,
        service_id=service.id,
        starts_at=slot.starts_at,
        resource_id=None,
        visitor=DomainVisitor(key=name, time_zone="Europe/Stockholm", language="en"),
        customer=Customer(name=name, email=f"{name.split()[0].lower()}@customer.example", phone="+46701234567"),
    )
    url = await parts.checkout.start(booking.id)
    assert url
    await shop.stripe.pay(urlsplit(url).path.rpartition("/")[2])
    await shop.tick(times=2)
    return slot.starts_at


async def see_the_site(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The studio's own page, with the widget in it."""
    page = visitor.page
    await page.goto(shop.host)
    frame = page.frame_locator('iframe[title="Book a time"]')
    await expect(frame.get_by_role("button", name=PORTRAIT)).to_be_visible()
    await show("host-site", page)
    await choose_service(frame)
    await show("host-site-times", page)


async def put_it_on_a_site(shop: Shop, visitor: Visitor, show: Show) -> None:
    """The owner's pages: what to paste, and why it does not show."""
    page = visitor.page
    await page.goto(f"{shop.public}/embed?site={shop.host}/")
    preview = page.frame_locator(".device:visible iframe")
    await expect(preview.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    await show("owner-embed", page)
    await page.goto(f"{shop.public}/embed?mode=popup&accent=b3261e&density=compact&site=https://www.example.com/book")
    link = preview.get_by_role("link", name="Book a time")
    # Until the loader has come it is a plain link, which leaves the page.
    await expect(link).to_have_attribute("aria-haspopup", "dialog")
    # By key: Playwright aims next to what stands in a frame that is scaled.
    await link.press("Enter")
    await expect(preview.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    await show("owner-embed-dialog", page)
    await page.goto(f"{shop.public}/embed/doctor?site={shop.host}/")
    await expect(page.get_by_role("heading", name="No problems found")).to_be_visible()
    await show("owner-embed-check-well", page)
    await page.goto(f"{shop.public}/embed/doctor?site={shop.host}/walled")
    await expect(page.get_by_role("heading", name="1 problem found")).to_be_visible()
    await show("owner-embed-check", page)
    await page.goto(f"{shop.public}/embed/doctor?site=http://10.0.0.1/")
    await expect(page.get_by_text("We could not read that page.")).to_be_visible()
    await show("owner-embed-check-unreadable", page)
    await page.goto(f"{shop.host}/#holdfast-doctor")
    await page.get_by_title("Book a time").scroll_into_view_if_needed()
    await expect(page.get_by_text("nothing cut off or in the way")).to_be_visible()
    await show("host-site-self-test", page)


TOURS: Final[Mapping[str, Tour]] = MappingProxyType(
    {
        "book and pay": book_and_pay,
        "choose": choose,
        "hold on": hold_on,
        "pay with trouble": pay_with_trouble,
        "wait for Stripe": wait_for_stripe,
        "book for free": book_for_free,
        "go astray": go_astray,
        "see the booking": see_the_booking,
        "cancel it": cancel_it,
        "move it": move_it,
        "lose the link": lose_the_link,
        "work there": work_there,
        "keep hours": keep_hours,
        "book for somebody": book_for_somebody,
        "keep the services": keep_the_services,
        "see the site": see_the_site,
        "put it on a site": put_it_on_a_site,
    }
)

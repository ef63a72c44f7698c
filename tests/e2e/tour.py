"""Every screen and state, one after the other: for axe, and for the pictures in docs/screenshots.

A tour walks one visitor through states and calls `show(name, page)` at each. The widget fills the window here; that it
works in a frame is proven elsewhere, and the pictures of the host site show it there.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from playwright.async_api import Page, expect

from app.demo import WIDGETS
from app.sandbox import hapio, stripe
from tests.e2e.harness import Visitor
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    ANNA,
    CALL,
    PORTRAIT,
    choose_service,
    choose_time,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    pay,
    start_of,
    times,
    to_summary,
    type_details,
)

Show = Callable[[str, Page], Awaitable[None]]
Tour = Callable[[Shop, Visitor, Show], Awaitable[None]]

#: The payment methods that take days exist in euro only.
EURO_WIDGETS: Final = WIDGETS.replace('currency = "sek"', 'currency = "eur"')


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
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("Please check the marked fields.")).to_be_visible()
    await show("details-errors", page)
    await type_details(page)
    await page.get_by_label("Phone").fill("070-123 45 67")
    await to_summary(page)
    await show("summary", page)
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
    await page.goto(f"{shop.demo.mailbox_url}/?live=off")
    await show("mailbox", page)
    number = 1 + shop.demo.mailbox.messages.index(shop.mail_to(ANNA)[-1])
    await page.goto(f"{shop.demo.mailbox_url}/messages/{number}/html")
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
    await expect(page.get_by_text("That time was just taken.")).to_be_visible()
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
    await to_summary(page)
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
    await expect(heading(page, "This booking is canceled")).to_be_visible()
    await show("canceled-and-refunded", page)
    number = 1 + shop.demo.mailbox.messages.index(shop.mail_to(ANNA)[-1])
    await page.goto(f"{shop.demo.mailbox_url}/messages/{number}/html")
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
    await expect(heading(page, "The calendar does not answer")).to_be_visible()
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
    await expect(page.get_by_text("This takes longer than usual.")).to_be_visible()
    await show("waiting-for-long", page)


async def book_for_free(shop: Shop, visitor: Visitor, show: Show) -> None:
    """A service that costs nothing."""
    page = visitor.page
    await page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(page, CALL)
    await show("summary-free", page)
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
    old = shop.house.links.manage_token("bk_0", ends_at=datetime(2026, 1, 1, tzinfo=UTC))
    await page.goto(f"{shop.public}/manage/{old}")
    await show("error-link-expired", page)


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
    # By key: Playwright aims beside what stands in a frame that is scaled.
    await preview.get_by_role("link", name="Book a time").press("Enter")
    await expect(preview.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    await show("owner-embed-dialog", page)
    await page.goto(f"{shop.public}/embed/doctor?site={shop.host}/")
    await expect(page.get_by_role("heading", name="Nothing stands in the way")).to_be_visible()
    await show("owner-doctor-well", page)
    await page.goto(f"{shop.public}/embed/doctor?site={shop.host}/walled")
    await expect(page.get_by_role("heading", name="1 thing stands in the way")).to_be_visible()
    await show("owner-doctor", page)
    await page.goto(f"{shop.public}/embed/doctor?site=http://10.0.0.1/")
    await expect(page.get_by_text("We could not read that page.")).to_be_visible()
    await show("owner-doctor-unreadable", page)
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
        "see the site": see_the_site,
        "put it on a site": put_it_on_a_site,
    }
)

"""The pages behind the link in the mail: cancel, take back and move, with the money that goes with it."""

import re

from playwright.async_api import Page, expect

from app.domain.move import MoveState
from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import (
    ANNA,
    HEADSHOT,
    PORTRAIT,
    booked,
    choose_new_time,
    go_to_stripe,
    heading,
    hold_and_tell,
    open_widget,
    pay,
    times,
    told,
)

NARROW = 320


async def test_a_customer_follows_the_link_in_the_mail_cancels_and_takes_it_back(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, page)
    await pay(page)
    await expect(heading(page, "Your time is confirmed")).to_be_visible()
    await shop.tick()
    (mail,) = shop.mail_to(ANNA)
    (link,) = set(re.findall(r"http\S+/manage/[^/\s]+$", mail.text or "", re.MULTILINE))
    await page.goto(link)
    await page.get_by_role("link", name="Cancel the booking").click()
    await expect(heading(page, "Cancel this booking?")).to_be_focused()
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("You cancelled it.")).to_be_visible()
    await page.get_by_role("button", name="Undo the cancellation").click()
    await expect(told(page, "Your booking is confirmed as before")).to_be_visible()
    before = len(shop.refunded())
    await shop.tick(after=shop.parts.widgets["studio"].hold_time * 2, times=2)
    assert len(shop.refunded()) == before


async def test_what_the_button_says_is_what_goes_back(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page, before = visitor.page, len(shop.refunded())
    booking, address = await booked(shop)
    await page.goto(f"{address}/cancel")
    await page.get_by_role("button", name="Cancel and get SEK 1,200.00").click()
    await expect(page.get_by_text("You cancelled it.")).to_be_visible()
    await expect(page.get_by_text("We will send it at")).to_be_visible()
    assert shop.in_hapio(booking.starts_at) == []
    await shop.tick(after=shop.parts.widgets["studio"].hold_time * 2, times=2)
    assert shop.refunded()[before:] == [120000]
    await page.reload()
    await expect(page.get_by_text("Sent to your card.")).to_be_visible()
    await expect(page.get_by_role("button", name="Undo")).to_have_count(0)


async def test_a_booking_is_moved_for_the_same_price(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    booking, address = await booked(shop)
    await page.goto(address)
    await choose_new_time(page)
    await expect(page.get_by_text("Nothing to pay or refund")).to_be_visible()
    await page.get_by_role("button", name="Move the booking").click()
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    assert shop.in_hapio(booking.starts_at) == []
    moved = await shop.parts.bookings.get(booking.id)
    assert len(shop.in_hapio(moved.starts_at)) == 1


async def test_a_dearer_service_is_paid_on_stripe_and_only_then_had(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    booking, address = await booked(shop, HEADSHOT)
    await page.goto(address)
    await choose_new_time(page, service=PORTRAIT)
    await page.get_by_role("button", name="Pay SEK 550.00 and move").click()
    await expect(page.get_by_text("Sandbox — no real money")).to_be_visible()
    view = await shop.parts.bookings.view(booking.id)
    assert view.booking.starts_at == booking.starts_at
    assert view.move
    assert view.move.state is MoveState.HELD
    await page.get_by_role("link", name="Back to Studio Nord").click()
    await page.get_by_role("link", name="Continue to pay SEK 550.00").click()
    await pay(page)
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    await expect(heading(page, PORTRAIT)).to_be_visible()
    assert shop.in_hapio(booking.starts_at) == []
    assert len(shop.in_hapio(view.move.starts_at)) == 1


async def test_without_script_a_booking_is_moved_and_canceled(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    page = visitor.page
    _booking, address = await booked(shop)
    await page.goto(address)
    await choose_new_time(page)
    await page.get_by_role("button", name="Move the booking").click()
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    await page.get_by_role("link", name="Cancel the booking").click()
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("You cancelled it.")).to_be_visible()


async def test_with_the_keyboard_alone_a_booking_is_moved(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    page = visitor.page
    _booking, address = await booked(shop)
    await page.goto(address)
    await reach(page, "Choose another time")
    await expect(heading(page, "Choose another time")).to_be_focused()
    own = await page.locator("span.time.own").inner_text()
    await reach(page, await times(page).last.get_attribute("aria-label") or "")
    await expect(heading(page, "Move this booking?")).to_be_focused()
    await reach(page, "Move the booking")
    await expect(told(page, "Your booking has been moved.")).to_be_visible()
    await expect(page.locator("p.when")).not_to_contain_text(own)


async def reach(page: Page, name: str) -> None:
    """Tab to what has this name, and press Enter."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        said = await focused.get_attribute("aria-label") or await focused.inner_text()
        if said.strip() == name:
            await page.keyboard.press("Enter")
            return
    raise AssertionError(f"{name!r} cannot be reached")


async def test_two_tabs_cancel_and_move_and_the_second_is_told(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("409")
    page = visitor.page
    _booking, address = await booked(shop)
    await page.goto(address)
    await choose_new_time(page)
    other = await visitor.context.new_page()
    await other.goto(f"{address}/cancel")
    await other.get_by_role("button", name="Cancel and get").click()
    await expect(other.get_by_text("You cancelled it.")).to_be_visible()
    await page.get_by_role("button", name="Move the booking").click()
    await expect(page.get_by_text("This booking has changed in the meantime.")).to_be_visible()
    await expect(page.get_by_text("Cancelled", exact=True)).to_be_visible()


async def test_the_way_back_in_the_browser_never_offers_what_is_done(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    page = visitor.page
    _booking, address = await booked(shop)
    await page.goto(address)
    await page.get_by_role("link", name="Cancel the booking").click()
    await page.get_by_role("button", name="Cancel and get").click()
    await expect(page.get_by_text("You cancelled it.")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_text("You cancelled it.")).to_be_visible()


async def test_nothing_sticks_out_on_the_narrowest_phone(shop: Shop, visit: Visit) -> None:
    visitor = await visit(width=NARROW, height=640, touch=True)
    visitor.expect_problem("403")
    page = visitor.page
    _booking, address = await booked(shop, zone="America/New_York")
    for path in ("", "/cancel", "/reschedule"):
        await page.goto(address + path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW, path
    await times(page).last.click()
    await expect(heading(page, "Move this booking?")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW
    await page.goto(f"{shop.public}/manage/no-such-link")
    assert await page.evaluate("document.documentElement.scrollWidth") <= NARROW

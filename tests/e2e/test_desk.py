"""The front desk by keyboard alone: a time is blocked in two clicks from the calendar, and given back."""

from datetime import timedelta

from playwright.async_api import Page, expect

from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.tour import sign_in_at


async def tab_to(page: Page, name: str) -> None:
    """Walk on until something of this name has the focus."""
    for _ in range(150):
        await page.keyboard.press("Tab")
        if name in await page.evaluate("document.activeElement.textContent"):
            return
    raise AssertionError(f"{name} is out of reach of the keyboard")


async def test_a_time_is_blocked_and_unblocked_by_keyboard_without_scripts(shop: Shop, visit: Visit) -> None:
    visitor = await visit(scripts=False)
    page = visitor.page
    await sign_in_at(shop, page)
    day = shop.clock().date() + timedelta(days=1)
    await page.goto(f"{page.url}?from={day}")
    gap = page.get_by_role("link", name="Block").and_(page.locator(".is-gap a")).first
    times = (await gap.inner_text()).removeprefix("Block").strip()
    await gap.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Time off")).to_be_visible()
    await page.get_by_label("Note").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("It is saved in Hapio.")).to_be_visible()
    await page.get_by_role("button", name="Undo").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Undone by")).to_be_visible()
    await page.get_by_role("link", name="To the calendar").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name=f"Block {times}").first).to_be_visible()


async def test_a_page_says_by_itself_when_the_sign_in_is_about_to_end(shop: Shop, visit: Visit) -> None:
    page = (await visit(scripts=False)).page
    await sign_in_at(shop, page)
    warning = page.get_by_text("Your sign-in ends at")
    await expect(warning).to_be_hidden()
    shop.clock.advance(timedelta(hours=11, minutes=54, seconds=59))
    await page.reload()
    await expect(warning).to_be_visible()
    shop.clock.advance(timedelta(minutes=1))
    await page.get_by_role("button", name="Stay signed in").last.click()
    await expect(warning).to_be_hidden()
    shop.clock.advance(timedelta(hours=3))
    await page.get_by_role("link", name="Hours").click()
    await expect(page.get_by_role("heading", name="Hours and time off")).to_be_visible()

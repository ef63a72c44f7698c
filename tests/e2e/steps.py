"""What a visitor does, step by step, and how the next screen is told from the last.

`Screen` is wherever the widget is: in the host site's frame, or a page of its own.
"""

import re
from datetime import datetime
from typing import Final

from playwright.async_api import FrameLocator, Locator, Page, expect

from tests.e2e.harness import Visitor
from tests.e2e.stack import Shop

Screen = FrameLocator | Page

PORTRAIT: Final = "Portrait session"
CALL: Final = "Planning call"
ANNA: Final = "anna@customer.example"


def widget(visitor: Visitor) -> FrameLocator:
    """The widget on the host site."""
    return visitor.page.frame_locator('iframe[title="Book a time"]')


async def open_widget(visitor: Visitor, shop: Shop) -> FrameLocator:
    """Come to the host site's page with the bare iframe and scroll to it. Waits for no more than the site's HTML.

    Once the whole frame is in view the site need not scroll again: Chromium sends a click that comes with a scroll
    to where a cross-site frame was before.
    """
    await visitor.page.goto(f"{shop.host}/plain", wait_until="commit")
    await visitor.page.get_by_title("Book a time").scroll_into_view_if_needed()
    return widget(visitor)


def heading(screen: Screen, text: str | re.Pattern[str]) -> Locator:
    """The heading of a step."""
    return screen.get_by_role("heading", level=1, name=text)


async def choose_service(screen: Screen, name: str = PORTRAIT) -> None:
    """From the list of services to the times of one."""
    await screen.get_by_role("button", name=name).click()
    await expect(times(screen).first).to_be_visible()


def times(screen: Screen) -> Locator:
    """The free times shown."""
    return screen.locator("button.time")


async def start_of(time: Locator) -> datetime:
    """When the time on a button starts."""
    return datetime.fromisoformat(await time.get_attribute("value") or "")


async def choose_time(screen: Screen) -> datetime:
    """Click on the last time of the day, and come to the details; returns when it starts.

    The last, because Hapio takes no booking at short notice, and tests let hours pass.
    """
    starts_at = await start_of(times(screen).last)
    await times(screen).last.click()
    await expect(screen.get_by_label("Name")).to_be_visible()
    return starts_at


async def type_details(screen: Screen, *, name: str = "Anna Ek", email: str = ANNA) -> None:
    """Fill in what the form wants."""
    await screen.get_by_label("Name").fill(name)
    await screen.get_by_label("Email").fill(email)
    await screen.get_by_label("What are the pictures for?").fill("A book cover")
    await screen.get_by_role("checkbox", name="I agree").check()


async def to_summary(screen: Screen) -> None:
    """Send the details, and come to the summary."""
    await screen.get_by_role("button", name="Continue").click()
    await expect(heading(screen, "Everything right?")).to_be_visible()


async def hold_and_tell(screen: Screen, service: str = PORTRAIT) -> datetime:
    """From the list of services to the summary; returns when the time starts."""
    await choose_service(screen, service)
    starts_at = await choose_time(screen)
    await type_details(screen)
    await to_summary(screen)
    return starts_at


async def go_to_stripe(screen: Screen, page: Page) -> None:
    """Click on Pay: Stripe's page takes the whole window."""
    await screen.get_by_role("button", name="Pay").click()
    await expect(page.get_by_text("Sandbox — no real money")).to_be_visible()


async def pay(page: Page, card: str = "Card that pays") -> None:
    """On Stripe's page, pay in this way."""
    await page.get_by_role("radio", name=card).check()
    await page.get_by_role("button", name="Book").click()


async def expect_confirmed(screen: Screen) -> None:
    """The booking is confirmed, and says so."""
    await expect(heading(screen, "Your time is confirmed")).to_be_visible()


def token_in(url: str) -> str:
    """The booking's token in the address of one of its pages."""
    found = re.search(r"/b/([^/?#]+)", url)
    assert found, url
    return found[1]


async def offered(visitor: Visitor, shop: Shop, starts_at: datetime, service: str = PORTRAIT) -> bool:
    """Whether this visitor, who comes to the site now, is offered the time."""
    screen = await open_widget(visitor, shop)
    await choose_service(screen, service)
    shown = [await start_of(time) for time in await times(screen).all()]
    assert shown, "no times at all"
    return starts_at in shown

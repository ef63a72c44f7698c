"""What a visitor does, step by step, and how the next screen is told from the last.

`Screen` is wherever the widget is: in the host site's frame, or a page of its own.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from playwright.async_api import FrameLocator, Locator, Page, expect

from app.domain.booking import Booking, Customer
from app.domain.booking import Visitor as Browser
from tests.e2e.harness import Visitor
from tests.e2e.stack import Shop

Screen = FrameLocator | Page

PORTRAIT: Final = "Portrait session"
HEADSHOT: Final = "Headshot express"
CALL: Final = "Planning call"
ANNA: Final = "anna@customer.example"
PICTURES: Final = "What are the pictures for?"


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


async def type_details(screen: Screen, *, name: str = "Anna Ek", email: str = ANNA, question: str = PICTURES) -> None:
    """Fill in what the form wants; `question` is the widget's own."""
    await screen.get_by_label("Name").fill(name)
    await screen.get_by_label("Email").fill(email)
    await screen.get_by_label(question).fill("A book cover")
    # By keyboard: Chromium sends a click that comes with a scroll to where a cross-site frame was before.
    consent = screen.get_by_role("checkbox", name="I agree")
    if await consent.count() and not await consent.is_checked():
        await consent.press("Space")
        await expect(consent).to_be_checked()


async def to_summary(screen: Screen, button: str = "Continue") -> None:
    """Send the details where the widget has everything looked at once more, and come to the summary."""
    await screen.get_by_role("button", name=button).press("Enter")
    await expect(heading(screen, "Check your booking")).to_be_visible()


async def hold_and_tell(screen: Screen, service: str = PORTRAIT, *, question: str = PICTURES) -> datetime:
    """From the list of services to the filled-in details, above the button that pays; returns when the time starts."""
    await choose_service(screen, service)
    starts_at = await choose_time(screen)
    await type_details(screen, question=question)
    return starts_at


async def go_to_stripe(screen: Screen, page: Page) -> None:
    """Press Pay: Stripe's page takes the whole window. By keyboard, as in `type_details`."""
    await screen.get_by_role("button", name="Pay").press("Enter")
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


async def booked(
    shop: Shop, service: str = PORTRAIT, *, days: int = 3, zone: str = "Europe/Stockholm", language: str = "en"
) -> tuple[Booking, str]:
    """A confirmed and paid booking that many days from now or later, with the address of its manage page.

    By the acts behind the pages: what is to be seen begins where it stands.
    """
    parts = shop.parts
    studio, offered = parts.widgets["studio"], await shop.service(service)
    after = shop.clock().date() + timedelta(days=days)
    slot = await parts.availability.next_free(studio, offered, after=after)
    assert slot
    held = await parts.hold.take(
        studio,
        service_id=offered.id,
        starts_at=slot.starts_at,
        resource_id=None,
        visitor=Browser(key=f"{slot.starts_at}", time_zone=zone, language=language),
        customer=Customer("Anna Ek", ANNA),
    )
    address = await parts.checkout.start(held.id)
    if address:
        await shop.stripe.pay(address.rpartition("/")[2])
    booking = await parts.bookings.get(held.id)
    assert booking.confirmed_at
    return booking, manage_address(shop, booking)


def manage_address(shop: Shop, booking: Booking) -> str:
    """The link that the booking's mails carry now."""
    return f"{shop.public}/manage/{shop.parts.links.manage_token(booking.id, booking.link_version)}"


def told(page: Page, text: str) -> Locator:
    """What a page says after an act; screen readers are told as well, outside of it."""
    return page.get_by_role("main").get_by_text(text)


async def choose_new_time(page: Page, day: datetime | None = None, service: str = "") -> None:
    """From the booking's page to the page before a move; of that day, or the calendar's own."""
    await page.get_by_role("link", name="Choose another time").click()
    await expect(heading(page, "Choose another time")).to_be_visible()
    if service:
        await page.get_by_role("button", name=service).click()
        await expect(page.get_by_role("button", name=service)).to_have_attribute("aria-pressed", "true")
    if day:
        await page.locator(f"#d{day.date()}").click()
        await expect(page.locator(f"#d{day.date()}")).to_have_attribute("aria-pressed", "true")
    await page.locator("button.time").last.click()
    await expect(heading(page, "Move this booking?")).to_be_visible()

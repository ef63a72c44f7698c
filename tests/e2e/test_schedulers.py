"""A coach with her calendar at Cal.com, an adviser with hers at Calendly: book and pay on their own pages."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from playwright.async_api import FrameLocator, expect

from app.cli.demo import WIDGETS
from tests.e2e.conftest import Visit
from tests.e2e.harness import DARK, PHONE, WIDE, Limits, Visitor, axe
from tests.e2e.stack import Shop, open_shop
from tests.e2e.steps import ANNA, expect_confirmed, go_to_stripe, heading, hold_and_tell, pay, widget


@dataclass(frozen=True)
class Business:
    """What is sold on which page, and what the form asks there. `booked` tells who has a time in the owner's calendar;
    `take` books one there as a stranger does."""

    path: str
    service: str
    question: str
    price: str
    amount: int
    booked: Callable[[Shop, datetime], Sequence[str]]
    take: Callable[[Shop, datetime], object]


def booked_at_calcom(shop: Shop, starts_at: datetime) -> Sequence[str]:
    bookings = shop.demo.calcom.state.bookings.values()
    return [one.attendees[0].email for one in bookings if (one.start, one.status) == (starts_at, "accepted")]


def booked_at_calendly(shop: Shop, starts_at: datetime) -> Sequence[str]:
    state = shop.demo.calendly.state
    events = {one.id for one in state.events.values() if (one.start, one.status) == (starts_at, "active")}
    return [one.email for one in state.invitees.values() if one.event in events]


def take_at_calcom(shop: Shop, starts_at: datetime) -> object:
    return shop.demo.calcom.book_as_stranger("coaching-session", starts_at, email=STRANGER)


def take_at_calendly(shop: Shop, starts_at: datetime) -> object:
    calendly = shop.demo.calendly
    (session,) = [one.id for one in calendly.state.event_types.values() if one.name == ADVISER.service]
    return calendly.book(session, starts_at, email=STRANGER)


STRANGER = "somebody@elsewhere.example"
COACH = Business(
    "/coach",
    "Coaching session",
    "Which question do you bring?",
    "£140.00",
    14000,
    booked_at_calcom,
    take_at_calcom,
)
ADVISER = Business(
    "/advice",
    "Advice session",
    "What would you like to talk about?",
    "$280.00",
    28000,
    booked_at_calendly,
    take_at_calendly,
)
BOTH = pytest.mark.parametrize("business", [COACH, ADVISER], ids=["coach", "adviser"])


@pytest.fixture(scope="module")
async def opened_shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path_factory.mktemp("shop"), widgets=WIDGETS) as shop:
        yield shop


async def come(visitor: Visitor, shop: Shop, business: Business) -> FrameLocator:
    """To the business's own page, and to the widget in it."""
    await visitor.page.goto(shop.host + business.path)
    await visitor.page.get_by_title("Book a time").scroll_into_view_if_needed()
    return widget(visitor)


def charged(shop: Shop) -> int:
    """What Stripe took off cards today, in minor units."""
    return sum(intent["amount_received"] for intent in shop.stripe.state.payment_intents.values())


@BOTH
async def test_a_customer_books_and_pays_on_the_page_of_each_business(
    shop: Shop, visit: Visit, business: Business
) -> None:
    before = charged(shop)
    visitor = await visit()
    screen = await come(visitor, shop, business)
    starts_at = await hold_and_tell(screen, business.service, question=business.question)
    assert business.booked(shop, starts_at) == []
    await expect(screen.get_by_role("button", name=f"Pay {business.price}")).to_be_visible()
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(widget(visitor))
    assert visitor.page.url == shop.host + business.path
    assert business.booked(shop, starts_at) == [ANNA]

    await shop.tick()
    assert charged(shop) - before == business.amount
    (mail,) = shop.mail_to(ANNA)
    assert mail.header("Subject").startswith(f"Confirmed: {business.service}")


@BOTH
async def test_who_loses_the_time_to_a_stranger_while_paying_reads_that_nothing_was_charged(
    shop: Shop, visit: Visit, business: Business
) -> None:
    before = charged(shop)
    visitor = await visit()
    screen = await come(visitor, shop, business)
    starts_at = await hold_and_tell(screen, business.service, question=business.question)
    await go_to_stripe(screen, visitor.page)
    business.take(shop, starts_at)
    await pay(visitor.page)

    screen = widget(visitor)
    await expect(heading(screen, "This booking is cancelled")).to_be_visible()
    told = screen.get_by_role("main")
    await expect(told).to_contain_text("Someone else took this time in the calendar")
    await expect(told).to_contain_text("You have not been charged.")
    await expect(screen.get_by_role("link", name="See other times")).to_be_visible()
    await shop.tick(after=timedelta(minutes=1))
    assert charged(shop) == before
    assert business.booked(shop, starts_at) == [STRANGER]


@pytest.mark.parametrize("limits", [WIDE, DARK, PHONE], ids=["wide", "dark", "phone"])
@BOTH
async def test_the_two_sites_are_usable_by_everyone(
    shop: Shop, visit: Visit, business: Business, limits: Limits
) -> None:
    visitor = await visit(**limits)
    screen = await come(visitor, shop, business)
    await expect(screen.get_by_role("button", name=business.service)).to_be_visible()
    await axe(visitor.page)
    width = "document.documentElement.scrollWidth - innerWidth"
    assert await visitor.page.evaluate(width) <= 0

"""From the first time to the paid booking, in the studio's own page, and every way in which paying can go otherwise."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

from playwright.async_api import Page, expect

from sandbox.hapio import Fault
from tests.e2e.conftest import Visit
from tests.e2e.stack import STOCKHOLM, Shop
from tests.e2e.steps import (
    ANNA,
    CALL,
    expect_confirmed,
    go_to_stripe,
    heading,
    hold_and_tell,
    offered,
    open_widget,
    pay,
)

PAYMENT_MINUTES = timedelta(minutes=32)  # a minute more than a visitor has


async def test_a_customer_books_and_pays_from_the_studios_own_page(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await expect(visitor.page.get_by_text("Portrait session")).to_be_visible()
    # Finding: neither time nor person next to the name, and a stranger's name in the form.
    at = f"{starts_at.astimezone(STOCKHOLM):%H:%M}"
    await expect(visitor.page.get_by_text(re.compile(f"{at}–.*, (Astrid|Jonas) .*, Studio Nord"))).to_be_visible()
    await expect(visitor.page.get_by_label("Name on card or account")).to_have_value("")
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary
    assert booking.metadata["customer_email"] == ANNA

    await shop.tick()
    (mail,) = shop.mail_to(ANNA)
    assert mail.header("Subject").startswith("Confirmed: Portrait session")
    (calendar,) = [part for part in mail.attachments if part.content_type == "text/calendar"]
    assert "BEGIN:VEVENT" in (calendar.text or "")
    (link,) = set(re.findall(r"http\S+/manage/[^/\s]+(?=\s)", mail.text or ""))
    await visitor.page.goto(link)
    await expect(visitor.page.get_by_text("Confirmed", exact=True)).to_be_visible()
    await expect(heading(visitor.page, "Portrait session")).to_be_visible()


async def test_a_declined_card_can_be_followed_by_a_good_one(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    visitor.expect_problem("402")
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page, "Card that is declined")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("declined")
    (booking,) = shop.in_hapio(starts_at)
    assert booking.is_temporary
    await pay(visitor.page)
    await expect_confirmed(visitor.page)


async def test_a_card_that_asks_the_bank_first_pays_too(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page, "Card that needs 3-D Secure")
    await visitor.page.get_by_role("button", name="Complete").click()
    await expect_confirmed(visitor.page)


async def test_a_free_service_is_confirmed_without_stripe(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen, CALL)
    sessions = len(shop.stripe.state.sessions)
    await screen.get_by_role("button", name="Confirm booking").click()
    await expect_confirmed(screen)
    assert len(shop.stripe.state.sessions) == sessions
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary


async def test_a_customer_who_walks_away_from_stripe_leaves_the_time_to_others(shop: Shop, visit: Visit) -> None:
    anna, bo = await visit(), await visit()
    screen = await open_widget(anna, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, anna.page)
    assert not await offered(bo, shop, starts_at)

    await shop.tick(after=PAYMENT_MINUTES)
    assert await offered(bo, shop, starts_at)
    assert shop.in_hapio(starts_at) == []
    await anna.page.reload()
    await expect(anna.page.get_by_role("heading", name="This payment page has expired")).to_be_visible()
    await anna.page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(heading(anna.page, "This time is no longer held for you")).to_be_visible()
    await expect(anna.page.get_by_text("You have not been charged.")).to_be_visible()


async def test_coming_back_from_stripe_unpaid_finds_the_time_still_held(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await visitor.page.get_by_role("link", name="Back to Studio Nord").click()
    await expect(visitor.page.get_by_text("Nothing was charged. Your time is still held.")).to_be_visible()
    await go_to_stripe(visitor.page, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)


async def test_without_webhooks_the_way_back_from_stripe_confirms(shop: Shop, visit: Visit) -> None:
    shop.stripe.switches.deliver = "off"
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)


async def test_without_webhooks_a_customer_who_closes_the_window_after_paying_is_confirmed_and_told(
    shop: Shop, visit: Visit
) -> None:
    shop.stripe.switches.deliver = "off"
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    session = urlsplit(visitor.page.url).path.rpartition("/")[2]
    await visitor.leave()
    await shop.stripe.pay(session)
    (booking,) = shop.in_hapio(starts_at)
    assert booking.is_temporary

    await shop.tick(after=timedelta(minutes=2))
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary
    (mail,) = shop.mail_to(ANNA)
    assert mail.header("Subject").startswith("Confirmed")


async def test_a_payment_that_lands_late_gets_its_time_if_that_is_still_free(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await shop.tick(after=PAYMENT_MINUTES)
    await shop.pay_late()
    await shop.tick()
    await _back_from_closed_page(visitor.page)
    await expect_confirmed(visitor.page)
    (booking,) = shop.in_hapio(starts_at)
    assert not booking.is_temporary


async def test_a_payment_that_lands_after_the_time_is_gone_may_have_another_time(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    await shop.tick(after=PAYMENT_MINUTES)
    await shop.book_elsewhere(starts_at)
    before = len(shop.refunded())
    await shop.pay_late()
    await shop.tick()
    await _back_from_closed_page(visitor.page)
    await expect(heading(visitor.page, "Your time was no longer free")).to_be_visible()
    told = visitor.page.get_by_role("main")
    await expect(told).to_contain_text("Your payment arrived after we had released the time")
    await expect(told).to_contain_text("To choose, open the link in our email.")
    addresses = re.findall(r"http\S+/choose\S+", shop.mail_to(ANNA)[-1].text or "")
    assert len(addresses) == 3
    await visitor.page.goto(addresses[0])
    await visitor.page.get_by_role("button", name="Book this time").click()
    await expect(visitor.page.locator(".stands")).to_contain_text("Confirmed")
    assert shop.refunded()[before:] == []


async def test_a_slow_confirmation_shows_by_itself_when_it_is_through(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    shop.hapio.faults.append(Fault(kind="error_before", method="PATCH", times=1000))
    await pay(visitor.page)
    await expect(heading(visitor.page, "Payment received, confirming your time")).to_be_visible()
    shop.hapio.faults.clear()
    await shop.tick(after=timedelta(minutes=1))
    await expect_confirmed(visitor.page)


async def test_two_tabs_on_the_payment_page_pay_once(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    screen = await open_widget(visitor, shop)
    starts_at = await hold_and_tell(screen)
    await go_to_stripe(screen, visitor.page)
    second = await visitor.context.new_page()
    await second.goto(visitor.page.url)
    charges = len(shop.stripe.state.charges)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    await pay(second)
    await expect(second.get_by_text("nothing is charged twice")).to_be_visible()
    assert len(shop.stripe.state.charges) == charges + 1
    assert len(shop.in_hapio(starts_at)) == 1


async def test_paying_in_two_tabs_leads_to_the_same_payment_page(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(visitor.page)
    second = await visitor.context.new_page()
    details = visitor.page.url
    await go_to_stripe(visitor.page, visitor.page)
    await second.goto(details)
    await go_to_stripe(second, second)
    assert second.url == visitor.page.url


async def test_the_browsers_back_button_after_paying_never_offers_to_pay_again(shop: Shop, visit: Visit) -> None:
    visitor = await visit()
    await visitor.page.goto(f"{shop.public}/w/studio")
    await hold_and_tell(visitor.page)
    await go_to_stripe(visitor.page, visitor.page)
    await pay(visitor.page)
    await expect_confirmed(visitor.page)
    await visitor.page.go_back()
    await expect(visitor.page.get_by_role("heading", name="You are all done here")).to_be_visible()
    await visitor.page.go_back()
    await expect_confirmed(visitor.page)
    await expect(visitor.page.get_by_role("button", name="Pay")).to_have_count(0)


async def _back_from_closed_page(page: Page) -> None:
    """The visitor looks at Stripe's page again, and follows its way back."""
    back = await page.get_by_role("link", name="Back to Studio Nord").get_attribute("href")
    assert back
    await page.goto(back)

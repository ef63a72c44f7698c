"""An owner's Monday at the front desk: her week, an hour for the dentist, a caller who pays by a link, a mistyped
address, half the money back, and the day on paper."""

import re
from datetime import timedelta

from playwright.async_api import expect

from app.domain.booking import Status
from app.domain.money import Money
from tests.e2e.conftest import Visit
from tests.e2e.stack import STOCKHOLM, Shop
from tests.e2e.steps import PORTRAIT, booked, pay
from tests.e2e.tour import sign_in_at


async def test_an_owners_monday(shop: Shop, visit: Visit) -> None:
    anna, _ = await booked(shop, days=2)
    day = anna.starts_at.astimezone(STOCKHOLM).date()
    visitor = await visit(scripts=False)
    page = visitor.page

    await sign_in_at(shop, page)
    home = page.url
    await page.get_by_role("link", name="Week").click()
    await expect(page.get_by_role("link", name="Anna Ek").first).to_be_visible()

    await page.goto(f"{home}?from={day + timedelta(days=1)}")
    await page.get_by_role("link", name=re.compile(r"Block \d")).first.click()
    begins = await page.get_by_label("at", exact=True).first.input_value()
    hour, _, minute = begins.partition(":")
    await page.get_by_label("at", exact=True).last.fill(f"{int(hour) + 1}:{minute}")
    await page.get_by_label("Note").fill("Dentist")
    await page.get_by_role("button", name="Block this time").click()
    await expect(page.get_by_text("It is saved in Hapio.")).to_be_visible()
    await page.goto(f"{home}?from={day + timedelta(days=1)}")
    await expect(page.get_by_text("Dentist")).to_be_visible()

    await page.get_by_role("link", name="New booking").click()
    await page.get_by_role("link", name=PORTRAIT).click()
    await page.locator(".week a").last.click()
    await page.get_by_label("Name", exact=True).fill("Cleo Dahl")
    await page.get_by_role("textbox", name="Email").fill("cleo@customer.example")
    await page.get_by_label("By a payment link").check()
    await page.get_by_role("button", name="Book").click()
    await expect(page.get_by_role("heading", name="Waiting for the customer to pay")).to_be_visible()
    called, link = page.url, str(await page.locator('a[href*="/b/"]').first.get_attribute("href"))

    customer = (await visit()).page
    await customer.goto(link)
    await customer.get_by_role("button", name="Pay").click()
    await pay(customer)
    await shop.tick(times=2)
    await page.goto(called)
    await expect(page.get_by_text("Confirmed").first).to_be_visible()

    await page.get_by_label("Name, email, phone or reference").fill("anna")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("link", name="Anna Ek").first.click()
    await page.get_by_text("Correct the email address").click()
    await page.get_by_role("textbox", name="Email").fill("anna.ek@customer.example")
    await page.get_by_role("button", name="Change the address").click()
    await expect(page.get_by_text("anna.ek@customer.example").first).to_be_visible()
    await page.get_by_role("link", name="Refund …").click()
    await page.get_by_label("Amount").fill("600")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("SEK 600.00").first).to_be_visible()
    await page.get_by_role("button", name="Refund SEK 600.00").click()
    await shop.tick(after=timedelta(minutes=1), times=3)

    await page.goto(f"{home}/bookings?from={day}&days=1")
    await page.emulate_media(media="print")
    await expect(page.get_by_text("Anna Ek")).to_be_visible()
    await expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()

    view = await shop.parts.bookings.view(anna.id)
    assert view.booking.status is Status.CONFIRMED
    assert view.booking.customer
    assert view.booking.customer.email == "anna.ek@customer.example"
    assert [one.amount for one in view.refunds] == [Money(60_000, "sek")]
    subjects = [mail.header("Subject") for mail in shop.mail_to("anna.ek@customer.example")]
    assert any("Confirmed" in subject for subject in subjects)
    assert any("refund" in subject.lower() for subject in subjects)

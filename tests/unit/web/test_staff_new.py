"""The staff pages on which someone else's time is booked and paid: what, when, who; and what follows on its page."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest

from app.domain.booking import Booking, Status
from tests.support.browser import Browser
from tests.support.manage import everything
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

ASKS = """
phone = "required"
consent = "I agree."
questions = [{ name = "food", label = "Allergies", required = true }]
"""


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works, and which asks visitors a lot."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}, widget=ASKS) as stack:
        yield stack


@pytest.fixture
async def eva(studio: Stack) -> Browser:
    """Who works there, signed in."""
    browser = Browser(studio)
    await sign_in(studio, browser)
    return browser


def href(browser: Browser, containing: str) -> str:
    """The first link of the page whose address has this in it."""
    found = re.search(rf'href="([^"]*{containing}[^"]*)"', browser.page.text)
    assert found, containing
    return unescape(found[1])


async def only(stack: Stack) -> Booking:
    [booking] = await stack.parts.bookings.find()
    return booking


async def test_eva_books_for_a_caller_in_three_pages(studio: Stack, eva: Browser) -> None:
    await eva.open(href(eva, "/new"))
    before = await everything(studio)
    await eva.open(href(eva, studio.portrait_id))
    await eva.open(href(eva, "at="))
    assert await everything(studio) == before  # looking holds nothing
    page = await eva.send('id="new"', name="", email="", pays="cash", paid="a lot")
    assert eva.page.status_code == 422
    assert "Please enter the customer's name" in unescape(page)
    assert 'value="a lot"' in eva.page.text
    page = await eva.send('id="new"', name="Åsa Lind", phone="070 123 45 67", email="", pays="cash", paid="1200")
    booking = await only(studio)
    assert booking.status is Status.CONFIRMED
    assert booking.customer
    assert (booking.customer.phone, booking.customer.consent) == ("+46701234567", False)
    assert "The time is booked." in page
    assert "in cash" in page
    assert f"by {EVA}" in page
    manage = href(eva, "/manage/")
    assert "Åsa" not in await eva.open(manage)
    assert "You get" not in eva.page.text
    assert eva.page.status_code == 200


async def test_a_gap_in_a_calendar_leads_straight_to_the_form_and_a_taken_time_loses_nothing(
    studio: Stack, eva: Browser
) -> None:
    starts_at = await studio.in_days(3)
    base = href(eva, "/new")
    gap = f"{base}?widget=studio&service={studio.portrait_id}&from={starts_at:%Y-%m-%d}&at=09:00"
    await eva.open(gap)
    await studio.take_everyone(starts_at)
    page = await eva.send('id="new"', name="Bo Ek", notes="by the back door", pays="no_charge", person="")
    assert eva.page.status_code == 409
    assert "This time has just been taken." in page
    assert 'value="Bo Ek"' in eva.page.text
    assert "by the back door" in eva.page.text
    nearest = re.search(r'name="to" value="([^"]+)"', eva.page.text)
    assert nearest
    await eva.send('id="new"', name="Bo Ek", pays="no_charge", to=unescape(nearest[1]))
    assert 'value="Bo Ek"' in eva.page.text
    await eva.send('id="new"', name="Bo Ek", pays="no_charge")
    booking = next(one for one in await studio.parts.bookings.find() if one.customer and one.customer.name == "Bo Ek")
    assert (booking.status, booking.terms.free) == (Status.CONFIRMED, True)


async def test_a_time_at_night_is_said_not_to_be_offered_and_booked_anyway(studio: Stack, eva: Browser) -> None:
    day = (await studio.in_days(3)).date()
    path = f"{href(eva, '/new')}?widget=studio&service={studio.portrait_id}&from={day}&at=03:10"
    page = await eva.open(path)
    assert "This time is not offered online." in page
    page = await eva.send('id="new"', name="Bo", person="")
    assert "Choose a person" in page
    person = next(one for one in re.findall(r'<option value="([^"]+)"', eva.page.text) if len(one) > 10)
    await eva.send('id="new"', name="Bo", person=person)
    assert (await only(studio)).status is Status.CONFIRMED


async def test_eva_watches_over_a_payment_link(studio: Stack, eva: Browser) -> None:
    starts_at = await studio.in_days(9)
    await eva.open(f"{href(eva, '/new')}?widget=studio&service={studio.portrait_id}&from={starts_at:%Y-%m-%d}&at=09:00")
    page = await eva.send('id="new"', name="Bo", email="", pays="link", lasts="1440", person="")
    assert "An email address is needed here" in page
    page = await eva.send('id="new"', name="Bo", email="bo@customer.example", pays="link", lasts="1440", person="")
    assert "Waiting for the customer to pay" in page
    booking, home = await only(studio), eva.page.url.path
    link = href(eva, "/b/")
    visitor = Browser(studio)
    seen = await visitor.open(link)
    assert "Pay" in seen
    assert "1440 min" not in seen
    assert "I do not want this time" in seen
    await visitor.send('action="[^"]*/pay"')
    assert studio.stripe.state.sessions
    await eva.open(home)
    assert "moment ago" in (await eva.send('action="[^"]*/link/resend"'))
    assert "more time" in (await eva.send('action="[^"]*/link/extend"', lasts="2880"))
    assert (await studio.now(booking)).deadline == studio.clock() + timedelta(days=2)
    await eva.open(href(eva, "/link/give-up"))
    assert "Nothing was charged" in (await eva.send('action="[^"]*/link/give-up"'))
    assert (await studio.now(booking)).status is Status.EXPIRED


async def test_eva_notes_at_the_visit_what_the_customer_pays(studio: Stack, eva: Browser) -> None:
    starts_at = await studio.in_days(3)
    await eva.open(f"{href(eva, '/new')}?widget=studio&service={studio.portrait_id}&from={starts_at:%Y-%m-%d}&at=09:00")
    page = await eva.send('id="new"', name="Bo", email="bo@customer.example", pays="at_visit", person="")
    assert "Still to pay" in page
    await studio.mail("bo@customer.example")
    home = eva.page.url.path
    await eva.open(href(eva, "/payment"))
    page = await eva.send('action="[^"]*/payment"', amount="2000", how="card_terminal")
    assert eva.page.status_code == 422
    page = await eva.send('action="[^"]*/payment"', amount="1200", how="card_terminal")
    assert "The payment has been noted." in page
    assert "Still to pay" not in page
    await eva.open(f"{home}/cancel")
    assert "yourself: Stripe has no part" in text_of(eva.page.text)
    await eva.send('action="[^"]*/cancel"')
    assert "refund it yourself" in (await eva.open(home))
    await eva.open(href(eva, "paid-another-way"))
    assert "Marked as paid another way" in (await eva.send('action="[^"]*/paid-another-way"'))

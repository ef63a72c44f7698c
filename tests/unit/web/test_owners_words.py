"""The owner's texts in the languages of the widget: each reader gets their own, and is told where it is another."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.booking import Visitor
from tests.support.browser import Browser
from tests.support.stack import Stack, open_stack, text_of
from tests.support.staff import EVA, sign_in

WIDGET = """
[studio]
title = { en = "Studio Nord", de = "Studio Nord in Stockholm" }
languages = ["en", "de", "sv"]
services = [
  { id = "{portrait}", name = { de = "Porträt" }, description = { en = "An hour.", de = "Eine Stunde." } },
  { id = "{headshot}", description = "Half an hour." },
]
currency = "sek"
consent = { en = "I have read the house rules.", de = "Ich kenne die Hausordnung." }
bring = { de = "Ein zweites Hemd.", en = "A second shirt." }
notice = "Only for this booking."
owner_email = "owner@studio.example"

[[studio.questions]]
name = "occasion"
label = { en = "What for?", de = "Wofür?" }
kind = "select"
options = [{ en = "A profile", de = "Ein Profil" }, { en = "A family", de = "Eine Familie" }]
"""


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio that speaks English and German to its visitors, and Swedish as far as the product does."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        text = WIDGET.replace("{portrait}", stack.portrait_id).replace("{headshot}", stack.headshot_id)
        assert stack.settings.widgets_file
        stack.settings.widgets_file.write_text(text, encoding="utf-8")
        await stack.restart()
        yield stack


async def test_a_page_shows_the_owners_texts_in_its_language_and_names_the_language_of_others(stack: Stack) -> None:
    german = (await stack.client.get("/w/studio?lang=de")).text
    assert '<h1 tabindex="-1"><bdi>Studio Nord in Stockholm</bdi></h1>' in german
    assert "<bdi>Porträt</bdi>" in german
    assert "<bdi>Eine Stunde.</bdi>" in german
    assert '<bdi lang="en">Half an hour.</bdi>' in german
    swedish = (await stack.client.get("/w/studio?lang=sv")).text
    assert '<bdi lang="en">An hour.</bdi>' in swedish
    assert ' lang="de"' not in swedish
    english = (await stack.client.get("/w/studio?lang=en")).text
    assert "<bdi>An hour.</bdi>" in english
    assert "<bdi lang" not in english


async def test_a_german_customer_books_in_german_and_the_owner_reads_english(stack: Stack) -> None:
    visitor = Visitor(key="greta", time_zone="Europe/Stockholm", language="de")
    held = await stack.hold(await stack.in_days(3), visitor=visitor)
    own = f"/b/{stack.parts.links.booking_token(held.id, ends_at=held.ends_at)}"
    form = (await stack.client.get(f"{own}?step=details&q_occasion=Eine+Familie")).text
    assert "<bdi>Ich kenne die Hausordnung.</bdi>" in form
    assert '<bdi lang="en">Only for this booking.</bdi>' in form
    assert '<option value="A family">Eine Familie</option>' in form
    typed = {"name": "Greta", "email": "greta@customer.example", "q_occasion": "Ein Profil", "consent": "yes"}
    booked = await stack.parts.checkout.add_details(held.id, typed)
    assert booked.customer
    assert booked.customer.answers == {"occasion": "A profile"}
    await stack.paid(held)
    [payment] = (await stack.parts.bookings.view(held.id)).payments
    assert payment.params["line_items"][0]["price_data"]["product_data"]["name"] == "Porträt"
    await stack.parts.settle.booking(held.id)

    page = text_of((await stack.client.get(own)).text)
    assert "Porträt" in page
    assert "Ein zweites Hemd." in page
    calendar = (await stack.client.get(f"{own}/calendar.ics")).text
    assert "SUMMARY:Porträt" in calendar
    answer = (await stack.client.get("/api/services", headers={"Accept-Language": "de"})).json()
    assert answer["services"][0]["name"] == "Porträt"
    subjects = await stack.mail("greta@customer.example")
    assert [one for one in subjects if "Porträt" in one]
    owners = [one for one in stack.mailbox.messages if "owner@studio.example" in one.recipients]
    assert owners
    assert "What for?" in (owners[0].text or "")
    assert "A profile" in (owners[0].text or "")
    assert "Porträt" not in (owners[0].text or "")
    eva = Browser(stack)
    await eva.open(f"{await sign_in(stack, eva)}/bookings")
    assert "Greta" in eva.page.text
    assert "Porträt" not in eva.page.text

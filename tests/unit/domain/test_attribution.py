"""Where a booking came from, from the host page's address to Hapio, Stripe and the owner's mail."""

import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from app.domain.attribution import booked_on, came_from, campaign, metadata
from app.domain.booking import Visitor
from tests.support.browser import Browser
from tests.support.rows import rows
from tests.support.stack import Stack

CAMPAIGN = {"utm_source": "instagram", "utm_medium": "social", "utm_campaign": "Höst & vinter", "gclid": "Cj0KCQiA"}
PAGE = "https://studio.example/book?customer=4711"


async def book(stack: Stack, anna: Browser, **more: str) -> None:
    """From the host page's address to the paid booking, on plain pages."""
    await anna.open("/w/studio?" + urlencode({"service": stack.portrait_id, "host": PAGE, **CAMPAIGN, **more}))
    await anna.send('id="hf-hold"', start=anna.starts[0])
    await anna.send('action="[^"]*/details"', name="Anna Ek", email="anna@customer.example")
    await anna.send('action="[^"]*/pay"')
    await anna.open(await stack.stripe.pay(urlsplit(anna.page.headers["location"]).path.rpartition("/")[2]))
    await stack.tick()


async def test_the_campaign_of_the_host_page_reaches_hapio_and_stripe_with_the_booking(stack: Stack) -> None:
    await book(stack, Browser(stack))
    [in_hapio] = stack.hapio_bookings()
    [session] = stack.stripe.state.sessions.values()
    [intent] = stack.stripe.state.payment_intents.values()
    for kept in (in_hapio.metadata, session["metadata"], intent["metadata"]):
        assert {name: kept[name] for name in CAMPAIGN} == CAMPAIGN
        assert kept["host_page"] == "https://studio.example/book", "without the query, which may name people"


async def test_the_owner_reads_in_the_mail_where_the_customer_came_from(stack: Stack) -> None:
    await book(stack, Browser(stack))
    [mail] = [message for message in stack.mailbox.messages if message.recipients == ("owner@studio.example",)]
    assert mail.text
    assert "instagram / social / Höst & vinter / Google Ads" in mail.text
    assert "studio.example/book" in mail.text
    assert "4711" not in mail.text
    [customers] = [message for message in stack.mailbox.messages if message.recipients != ("owner@studio.example",)]
    assert customers.text
    assert "instagram" not in customers.text


async def test_the_campaign_survives_giving_the_time_back_and_choosing_another(stack: Stack) -> None:
    anna = Browser(stack)
    await anna.open("/w/studio?" + urlencode({"service": stack.portrait_id, "host": PAGE, **CAMPAIGN}))
    await anna.send('id="hf-hold"', start=anna.starts[0])
    await anna.send('action="[^"]*/release"')
    await anna.send('id="hf-hold"', start=anna.starts[1])
    assert [booking.visitor.utm for booking in await rows(stack)] == [CAMPAIGN, CAMPAIGN]


async def test_what_anyone_can_write_into_an_address_is_bounded_and_cannot_take_our_keys(stack: Stack) -> None:
    flood = {f"utm_{letter * 3}": "x" * 600 for letter in "abcdefghijklmnopqrst"}
    more = {"utm_booking_id": "other", "booking_id": "other", "holdfast_id": "other", "payment_id": "other"}
    await book(stack, Browser(stack), **more, **flood)
    [booking] = await rows(stack)
    assert len(booking.visitor.utm) == 12
    assert max(map(len, booking.visitor.utm.values())) == 500
    [session] = stack.stripe.state.sessions.values()
    assert session["metadata"]["booking_id"] == booking.id
    [in_hapio] = stack.hapio_bookings()
    assert in_hapio.metadata["holdfast_id"] == booking.id


async def test_a_foreign_page_is_not_taken_for_the_one_that_the_booking_came_from(stack: Stack) -> None:
    anna = Browser(stack)
    address = {"service": stack.portrait_id, "host": "https://evil.example/", "utm_source": "evil"}
    await anna.open("/w/studio?" + urlencode(address))
    await anna.send('id="hf-hold"', start=anna.starts[0])
    [booking] = await rows(stack)
    assert booking.visitor.host == ""
    assert metadata(booking.visitor) == {"utm_source": "evil"}


def test_a_mail_address_in_a_campaign_is_left_out() -> None:
    assert campaign(parse_qsl("utm_source=news&utm_content=anna%40customer.example")) == {"utm_source": "news"}


def test_the_first_of_two_values_counts_and_other_parameters_do_not() -> None:
    pairs = parse_qsl("utm_source=a&utm_source=b&name=Anna&fbclid=F&UTM_MEDIUM=x&utm_=y")
    assert campaign(pairs) == {"utm_source": "a", "fbclid": "F"}


def test_the_owner_reads_words_not_click_ids() -> None:
    visitor = Visitor(key="k", utm={"utm_campaign": "autumn", "utm_source": "news", "gclid": "Cj0", "gbraid": "0AA"})
    assert came_from(visitor) == "news / autumn / Google Ads"
    assert came_from(replace(visitor, utm={})) == ""
    assert booked_on(replace(visitor, host="https://studio.example/book/?a=1")) == "studio.example/book"
    assert booked_on(visitor) == ""


def test_no_key_is_longer_than_stripe_takes() -> None:
    longest = campaign([("utm_" + "x" * 20, "1")])
    assert max(map(len, longest)) <= 40
    assert not campaign([("utm_" + "x" * 21, "1")])
    assert all(re.fullmatch("[a-z_]+", name) for name in longest)

"""Slips in what visitors type: caught where they can be, read as meant, and never a reason to lose a customer."""

import pytest

from app.booking.address_typos import distance, likely_meant
from app.booking.customer_form import read_address, read_details
from app.errors import InvalidDetails
from app.widgets import Widget
from tests.support.browser import Browser
from tests.support.rows import rows
from tests.support.stack import Stack, text_of

STUDIO = Widget(name="studio", phone="optional", country="SE")
ANNA = {"name": "Anna Ek", "email": "anna@customer.example"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("anna@gmial.com", "anna@gmail.com"),
        ("anna@gmail.con", "anna@gmail.com"),
        ("anna@gamil.con", "anna@gmail.com"),
        ("anna@gmail.co", "anna@gmail.com"),
        ("anna@hotmial.com", "anna@hotmail.com"),
        ("anna@outlok.com", "anna@outlook.com"),
        ("anna@yaho.com", "anna@yahoo.com"),
        ("anna@iclou.com", "anna@icloud.com"),
        ("anna@t-onlin.de", "anna@t-online.de"),
        ("Anna.Ek@Gmial.com", "Anna.Ek@gmail.com"),
        ("anna@gmail.se", "anna@gmail.com"),
        ("anna@hotmail.cm", "anna@hotmail.com"),
    ],
)
def test_a_slip_in_a_usual_domain_is_noticed(typed: str, meant: str) -> None:
    assert likely_meant(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "anna@gmail.com", "anna@ymail.com", "anna@mail.com", "anna@email.com", "anna@gmx.net", "anna@web.de",
        "anna@live.se", "anna@customer.example", "anna@studionord.se", "anna@google.com", "anna@qq.com",
        "anna@outlook.dk", "anna@live.nl", "anna@yahoo.se", "anna@hotmail.com.tr",
    ],
)  # fmt: skip
def test_a_domain_that_there_is_is_no_slip(typed: str) -> None:
    assert likely_meant(typed) == ""


def test_two_letters_changed_round_are_one_slip() -> None:
    assert [distance("gmial", other) for other in ("gmial", "gmail", "gmaill")] == [0, 1, 2]


async def test_a_mistyped_address_is_asked_about_once_and_what_the_visitor_keeps_is_right(stack: Stack) -> None:
    anna = Browser(stack)
    await anna.open(f"/w/studio?service={stack.portrait_id}")
    await anna.send('id="hf-hold"', start=anna.starts[0])
    [booking] = await rows(stack)
    said = await anna.send('id="hf-details"', name="Anna Ek", email="anna@gmial.com")
    assert "Did you mean anna@gmail.com?" in said
    assert (await stack.parts.bookings.get(booking.id)).customer is None
    said = await anna.send('id="hf-details"', name="Anna Ek", email="anna@gmial.com", kept_email="anna@gmial.com")
    assert "Check your booking" in said
    customer = (await stack.parts.bookings.get(booking.id)).customer
    assert customer
    assert customer.email == "anna@gmial.com"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("070-174 06 05", "+46701740605"),
        ("070 174 06 05 ext. 12", "+46701740605 ext. 12"),
        ("+1 (212) 555-0123", "+12125550123"),
        ("0046 70 174 06 05", "+46701740605"),
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+52 55 1234 5678", "+525512345678"),
        ("+46 (0)70-174 06 05", "+46701740605"),
        ("tel:+46701740605;ext=12", "+46701740605 ext. 12"),
    ],
)
def test_a_phone_number_is_kept_as_it_was_meant(typed: str, kept: str) -> None:
    customer = read_details({**ANNA, "phone": typed}, STUDIO)
    assert customer.phone == kept
    assert read_details({**ANNA, "phone": customer.phone}, STUDIO).phone == kept


@pytest.mark.parametrize("typed", ["(212) 555-0123", "020 7946 0018"])
def test_another_country_s_number_without_its_code_is_asked_about(typed: str) -> None:
    with pytest.raises(InvalidDetails) as refused:
        read_details({**ANNA, "phone": typed}, STUDIO)
    assert "start with + and the country code" in refused.value.fields["phone"]


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("(212) 736-5000", "US", "+12127365000"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("011 46 70 174 06 05", "US", "+46701740605"),
        ("0046 70 174 06 05", "US", "+46701740605"),
        ("070-174 06 05", "", "+46701740605"),
    ],
)
def test_the_country_that_the_visitor_chose_says_whose_number_it_is(typed: str, country: str, kept: str) -> None:
    assert read_details({**ANNA, "phone": typed, "phone_country": country}, STUDIO).phone == kept


async def test_a_visitor_abroad_sees_which_country_a_number_is_read_in_and_may_choose(stack: Stack) -> None:
    form = {"service": stack.portrait_id, "start": (await stack.free_slot()).isoformat(), "tz": "America/New_York"}
    held = await stack.client.post("/w/studio/hold", data=form)
    page = await stack.client.get(held.headers["location"])
    assert '<option value="US" selected>United States</option><option value="SE">Sweden</option>' in page.text
    form |= {"tz": "Europe/Stockholm", "start": (await stack.free_slot(nth=5)).isoformat()}
    held = await stack.client.post("/w/studio/hold", data=form)
    page = await stack.client.get(held.headers["location"])
    assert "we read it as a number in Sweden" in text_of(page.text)


@pytest.mark.parametrize(
    "name", ["\u200b", "\u200d\u2060", "\u3164", "\u2800 \u2800", "\u00a0", "\u0301", "\U0001d159"]
)
def test_a_name_that_nobody_can_see_is_none(name: str) -> None:
    with pytest.raises(InvalidDetails) as refused:
        read_details({**ANNA, "name": name}, STUDIO)
    assert refused.value.fields == {"name": "Please enter your name."}


def test_invisible_characters_that_came_along_are_no_part_of_an_address() -> None:
    for pasted in (
        "ada@example.com\u200b",
        "ada@example.com\u00a0",
        "mailto:ada@example.com",
        "MAILTO:ada@example.com",
        "<ada@example.com>",
    ):
        assert read_address(pasted) == "ada@example.com"
    assert read_address("ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ") == "ada@example.com"
    assert read_details({**ANNA, "name": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"}, STUDIO).name


async def test_a_plus_in_a_link_is_read_as_it_was_meant(stack: Stack) -> None:
    page = await stack.client.get(
        f"/w/studio?service={stack.portrait_id}&email=ada+test@example.com&phone=+447911123456"
    )
    assert 'name="email" value="ada+test@example.com"' in page.text
    assert 'name="phone" value="+447911123456"' in page.text

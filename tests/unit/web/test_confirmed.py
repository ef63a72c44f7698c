"""The confirmed page and its mail: what was paid, where it is, a reference to read out, and an address to put right."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.booking import Booking, Visitor, short_reference
from sandbox.hapio import Fault
from tests.support.stack import Stack, open_stack, text_of

TOLD = 'address = "Hornsgatan 12, Stockholm"\nbring = "Bring a second shirt."\nphone = "off"'
HOST = "https://studio.example/book"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio that says where it is and what to bring."""
    async with open_stack(tmp_path, widget=TOLD) as stack:
        yield stack


async def paid(stack: Stack, email: str = "anna@gmial.com") -> tuple[Booking, str]:
    """A booking that was paid inside a host page, and the address of the page that its frame shows afterwards."""
    visitor = Visitor(key="anna", time_zone="Europe/Stockholm", language="en", host=HOST, place="i0")
    held = await stack.hold(await stack.in_days(3), visitor=visitor)
    await stack.parts.checkout.add_details(held.id, {"name": "Anna Ek", "email": email})
    await stack.paid(held)
    await stack.parts.settle.booking(held.id)
    return await stack.parts.bookings.get(held.id), f"/r/{stack.parts.links.result_token(held.id)}"


async def test_the_confirmed_page_tells_what_was_paid_where_it_is_and_what_to_bring(stack: Stack) -> None:
    booking, address = await paid(stack)
    page = await stack.client.get(address)
    said = text_of(page.text)
    for words in ("Paid SEK 1,200.00", f"Reference {short_reference(booking.id)}", "Bring a second shirt.", "Map"):
        assert words in said
    assert re.fullmatch(r"[0-9A-F]{4}-[0-9A-F]{4}", short_reference(booking.id))
    assert "https://www.google.com/maps/search/?api=1&amp;query=Hornsgatan%2012%2C%20Stockholm" in page.text
    assert "We look forward to seeing you on" in said
    [found] = await stack.parts.staff.search(short_reference(booking.id).lower())
    assert found.id == booking.id


async def test_in_a_frame_the_address_is_masked_and_nothing_opens_the_booking(stack: Stack) -> None:
    booking, address = await paid(stack)
    framed = await stack.client.get(address)
    assert "a•••@gmial.com" in framed.text
    assert "anna@" not in framed.text
    assert "/manage/" not in framed.text
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
    page = await stack.client.get(own)
    assert "anna@gmial.com" in page.text
    [manage] = re.findall(r'href="(/manage/[^"]+)"', page.text)
    assert "Change or cancel" in text_of(page.text)
    assert (await stack.client.get(manage)).status_code == 200


async def test_a_slip_in_the_address_is_corrected_after_paying_and_the_mail_goes_out_again(stack: Stack) -> None:
    booking, address = await paid(stack)
    page = await stack.client.post(f"{address}/email", data={"email": "anna@gmail.com"})
    assert page.status_code == 200
    assert "We emailed your booking to a•••@gmail.com." in text_of(page.text)
    customer = (await stack.parts.bookings.get(booking.id)).customer
    assert customer
    assert customer.email == "anna@gmail.com"
    await stack.tick(times=3)
    assert "anna@gmail.com" in {to for message in stack.mailbox.messages for to in message.recipients}


async def test_from_a_frame_an_address_is_corrected_and_never_exchanged_for_another(stack: Stack) -> None:
    """The host page's scripts can read the frame's token; with another address they would be mailed the booking."""
    booking, address = await paid(stack)
    page = await stack.client.post(f"{address}/email", data={"email": "thief@evil.example"})
    assert page.status_code == 422
    assert "not a correction" in text_of(page.text)
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
    assert (await stack.client.post(f"{own}/email", data={"email": "nobody"})).status_code == 422
    assert (await stack.client.post(f"{own}/email", data={"email": "anna.ek@work.example"})).status_code == 200
    customer = (await stack.parts.bookings.get(booking.id)).customer
    assert customer
    assert customer.email == "anna.ek@work.example"


async def test_no_chain_of_slips_leads_to_another_persons_address(stack: Stack) -> None:
    booking, address = await paid(stack, "anna@customer.example")
    typed = ["anna@custmer.example", "anna@custmer.exampel", "anna@attmer.exampel", "anna@custmer.example"]
    codes = []
    for email in typed:
        codes.append((await stack.client.post(f"{address}/email", data={"email": email})).status_code)
        stack.clock.advance(timedelta(minutes=8))
    assert codes == [200, 200, 422, 200], "one letter, one more, three more, and the second one back"
    assert (await stack.client.post(f"{address}/email", data={"email": "anna@customer.example"})).status_code == 422
    customer = (await stack.parts.bookings.get(booking.id)).customer
    assert customer
    assert customer.email == "anna@custmer.example"
    assert not [entry for entry in await stack.parts.store.history(booking.id) if "@" in str(entry.detail)]


async def test_the_mails_have_the_map_the_receipt_what_to_bring_and_a_reference(stack: Stack) -> None:
    booking, _ = await paid(stack, "anna@customer.example")
    await stack.tick(times=3)
    [mail] = [one for one in stack.mailbox.messages if one.recipients == ("anna@customer.example",)]
    assert mail.text
    told = mail.text.replace("\xa0", " ")
    for words in ("Paid: SEK 1,200.00", f"Reference: {short_reference(booking.id)}", "Good to know: Bring a second"):
        assert words in told
    assert "https://www.google.com/maps/search/?api=1&query=Hornsgatan" in mail.text
    [receipt] = re.findall(r"https://book\.example(/manage/\S+/receipt)", mail.text)
    answer = await stack.client.get(receipt)
    assert answer.status_code == 303
    assert "/receipt" in answer.headers["location"]
    assert mail.text.count("Anna") == 1, (
        "a plain name greets, and nothing else that was typed is repeated (decision 0174)"
    )
    assert "Hello Anna Ek," in mail.text

    stack.clock.set(booking.starts_at - stack.minutes(60 * 23))
    await stack.tick(times=3)
    reminder = stack.mailbox.messages[-1]
    assert reminder.text
    assert "Your booking is tomorrow" in reminder.text
    assert "Good to know: Bring a second shirt." in reminder.text


FORMS = {
    "an empty field": {"name": "Anna Ek", "email": ""},
    "a slip in the address": {"name": "Anna Ek", "email": "anna@gmial.com"},
    "everything": {"name": "Someone Else", "email": "else@customer.example"},
}


@pytest.mark.parametrize("sent", FORMS)
@pytest.mark.parametrize("stands", ["confirmed", "paid", "cancelled", "over"])
async def test_who_goes_back_to_the_form_after_paying_is_shown_how_the_booking_stands(
    stack: Stack, stands: str, sent: str
) -> None:
    if stands == "paid":
        stack.hapio.faults.append(Fault("error_before", method="PATCH", times=None))
    booking, _ = await paid(stack, "anna@customer.example")
    if stands == "cancelled":
        await stack.cancel(booking)
    if stands == "over":
        stack.clock.set(booking.ends_at + timedelta(hours=1))
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
    answer = await stack.client.post(f"{own}/details", data=FORMS[sent])
    assert (answer.status_code, answer.headers["location"]) == (303, own)
    customer = (await stack.now(booking)).customer
    assert customer
    assert (customer.name, customer.email) == ("Anna Ek", "anna@customer.example")


async def test_a_hold_that_ended_is_still_offered_again_where_a_field_is_empty(stack: Stack) -> None:
    booking = await stack.hold(await stack.in_days(3))
    await stack.tick(after=timedelta(minutes=31))
    own = f"/b/{stack.parts.links.booking_token(booking.id, ends_at=booking.ends_at)}"
    answer = await stack.client.post(f"{own}/details", data=FORMS["an empty field"])
    assert answer.status_code == 422
    assert "If you continue, we hold it again if it is still free." in text_of(answer.text)

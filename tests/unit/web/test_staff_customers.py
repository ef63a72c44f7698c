"""Customers on the staff page: found, shown with their bookings and money, fixed, noted, and forgotten."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.booking.corrections import Correction
from app.cli.forget import forget
from app.domain.booking import Actor, Booking, Customer
from app.domain.customer import details_mark
from app.errors import BookingConflict, InvalidDetails, LinkRefused
from tests.support.backups import asked
from tests.support.browser import Browser
from tests.support.manage import plain
from tests.support.stack import Stack, open_stack
from tests.support.staff import EVA, copies, sign_in

BO = Customer(name="Bo Berg", email="bo@customer.example", phone="+46701234567")


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Stack]:
    """A studio where Eva works."""
    async with open_stack(tmp_path, settings={"staff_emails": EVA}) as stack:
        yield stack


@pytest.fixture
def eva(studio: Stack) -> Browser:
    """Who works there."""
    return Browser(studio)


def page_of(home: str, booking: Booking) -> str:
    return f"{home}/customers/{booking.id}"


async def test_a_customer_is_found_by_a_part_of_the_name_the_address_or_the_phone(studio: Stack, eva: Browser) -> None:
    await studio.confirmed(customer=BO)
    await studio.confirmed(await studio.in_days(4), customer=replace(studio.customer("Åsa Öman"), phone=""))
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/customers")
    assert "Bo Berg bo@customer.example +46701234567 1 booking" in said
    for text, name in (("berg", "Bo Berg"), ("BO@", "Bo Berg"), ("070-123 45 67", "Bo Berg"), ("åsa ö", "Åsa Öman")):
        said = await eva.send('action="[^"]+/customers"', q=text)
        assert name in said, text
        assert text not in str(eva.page.url)
        assert ({"Bo Berg", "Åsa Öman"} - {name}).pop() not in said, text
    assert "Nobody found" in await eva.send('action="[^"]+/customers"', q="%")


async def test_customers_are_paged_and_those_who_booked_last_come_first(studio: Stack, eva: Browser) -> None:
    first = await studio.confirmed(customer=BO)
    await copies(studio, first, 50, customer_key="", customer_email="", customer={"name": "Nobody's", "email": ""})
    for number in range(51):
        await copies(studio, first, 1, customer_key=f"{number}@x.example", customer_search=f"{number}@x.example")
    home = await sign_in(studio, eva)
    said = await eva.open(f"{home}/customers")
    assert said.count("1 booking") == 50
    [after] = re.findall(r'<a class="button" href="([^"]+)">Next page</a>', eva.page.text)
    assert (await eva.open(after)).count("1 booking") == 2
    assert (await eva.send('action="[^"]+/customers"', q="x.example")).count("1 booking") == 50
    assert (await eva.send('action="[^"]+/customers"><input type="hidden"', page="2")).count("1 booking") == 1


async def test_a_customers_page_adds_up_bookings_money_and_missed_visits(studio: Stack, eva: Browser) -> None:
    kept = await studio.confirmed(customer=BO)
    gone = await studio.confirmed(await studio.in_days(5), customer=replace(BO, email="Bo@Customer.example"))
    other = await studio.confirmed(await studio.in_days(6))
    await studio.cancel(gone, by=Actor.OWNER)
    studio.clock.advance(kept.ends_at - studio.clock())
    await studio.parts.corrections.mark_no_show(kept.id, no_show=True)
    home = await sign_in(studio, eva)
    said = plain(await eva.open(page_of(home, gone)))
    assert "Bookings 2 Cancelled 1 Missed 1 Paid SEK 2,400.00 Refunded SEK 1,200.00" in said
    assert kept.id in eva.page.text
    assert other.id not in eva.page.text
    assert "bo@customer" not in str(eva.page.url)


async def test_corrected_details_reach_every_booking_and_the_confirmations_go_out_again(
    studio: Stack, eva: Browser
) -> None:
    first = await studio.confirmed(customer=BO)
    second = await studio.confirmed(await studio.in_days(5), customer=BO)
    await studio.mail("bo@customer.example")
    links = [studio.parts.links.manage_token(one.id, one.link_version) for one in (first, second)]
    home = await sign_in(studio, eva)
    await eva.open(page_of(home, first))
    said = await eva.send('action="[^"]+/details"', name="Bo Björk", email="bo@right.example", phone="070-765 43 21")
    assert "The details were changed in 2 bookings." in said
    for booking in (first, second):
        assert (await studio.now(booking)).customer == Customer("Bo Björk", "bo@right.example", "+46707654321")
    await studio.tick(times=3)
    again = [message for message in studio.mailbox.messages if message.recipients == ("bo@right.example",)]
    assert [message.header("Subject").partition(":")[0] for message in again] == ["Confirmed", "Confirmed"]
    assert all(message.attachments for message in again)
    for link in links:
        with pytest.raises(LinkRefused):
            await studio.parts.manage_links.open(link)
    line = (await studio.parts.bookings.view(second.id)).history[-1]
    assert (line.what, line.detail["who"], line.detail["changed"]) == ("email_corrected", EVA, "name email phone")


async def test_another_phone_number_alone_mails_nobody_and_retires_no_link(studio: Stack) -> None:
    booking = await studio.confirmed(customer=BO)
    await studio.mail("bo@customer.example")
    correct = studio.parts.corrections.correct
    after = await correct(booking.id, Correction(phone="070-765 43 21"), by=Actor.OWNER)
    assert after.link_version == booking.link_version
    assert await studio.mail("bo@customer.example") == []
    assert (await studio.history(booking))[-1] == "details_corrected"
    for wrong in (Correction(name=" "), Correction(email="bo@"), Correction(phone="12"), Correction(email="")):
        with pytest.raises(InvalidDetails):
            await correct(booking.id, wrong, by=Actor.OWNER)
    assert await studio.now(booking) == after


async def test_the_second_of_two_windows_is_told_and_what_it_typed_is_kept(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(customer=BO)
    home = await sign_in(studio, eva)
    await eva.open(page_of(home, booking))
    other = Browser(studio)
    await other.open(page_of(home, booking))
    assert "The note has been saved." in await eva.send('action="[^"]+/note"', note="Prefers mornings")
    said = await other.send('action="[^"]+/note"', note="Allergic to dust")
    assert "changed in another window" in said
    assert "Allergic to dust" in said
    assert "Prefers mornings" in said
    assert other.page.status_code == 409
    await eva.send('action="[^"]+/details"', name="Bo Björk", email=BO.email, phone=BO.phone)
    await other.open(page_of(home, booking))
    assert "Prefers mornings" in other.page.text
    assert EVA in other.page.text
    with pytest.raises(BookingConflict):
        await studio.parts.customers.correct(booking.id, Correction(name="Bob"), who=EVA, shown=details_mark(BO))
    assert (await studio.now(booking)).customer == replace(BO, name="Bo Björk")


async def test_details_that_cannot_be_read_are_marked_and_change_nothing(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(customer=BO)
    home = await sign_in(studio, eva)
    await eva.open(page_of(home, booking))
    said = await eva.send('action="[^"]+/details"', name="", email="bo@", phone="abc")
    assert eva.page.status_code == 422
    for words in ("a name of at most 100 characters", "does not look like an email", "not a phone number"):
        assert words in said
    assert 'value="abc"' in eva.page.text
    assert await studio.now(booking) == booking


async def test_a_note_goes_with_a_corrected_address_and_is_forgotten_with_its_customer(
    studio: Stack, eva: Browser
) -> None:
    booking = await studio.confirmed(customer=BO)
    customers = studio.parts.customers
    await customers.write_note(booking.id, "Prefers mornings", version=0, who=EVA)
    await studio.parts.corrections.correct_email(booking.id, "bo@right.example")
    assert (await customers.view(booking.id, most=1)).note.text == "Prefers mornings"
    studio.clock.advance(booking.ends_at - studio.clock())
    studio.clock.advance(studio.minutes(60 * 24))
    await studio.tick(times=3)
    assert await forget(studio.parts, asked("bo@right.example")) == 0
    for key in ("bo@customer.example", "bo@right.example"):
        assert (await studio.parts.store.customer_note(key)).text == ""
    home = await sign_in(studio, eva)
    await eva.open(page_of(home, booking))
    assert eva.page.status_code == 404
    await eva.open(f"{home}/customers")
    assert "Nobody found" in await eva.send('action="[^"]+/customers"', q="bo")


async def test_a_customer_without_an_email_address_is_known_by_the_phone_number(studio: Stack, eva: Browser) -> None:
    booking = await studio.confirmed(customer=BO)
    phoned = {"name": "Cia", "email": "", "phone": "+46707654321", "notes": "", "answers": {}, "consent": False}
    keyed = {"customer_email": "", "customer_key": "tel:+46707654321", "customer_search": "cia\n\n+46707654321"}
    await copies(studio, booking, 2, customer=phoned, **keyed)
    nameless = {"customer": phoned | {"phone": ""}, "customer_email": "", "customer_key": "", "customer_search": "cia"}
    await copies(studio, booking, 1, **nameless)
    home = await sign_in(studio, eva)
    await eva.open(f"{home}/customers")
    assert "Cia +46707654321 2 bookings" in await eva.send('action="[^"]+/customers"', q="cia")
    found = await studio.parts.staff.search("cia")
    assert len(found) == 3
    for one in found:
        said = await eva.open(page_of(home, one))
        assert ("Only the name of this customer is known" in said) is not bool(one.customer and one.customer.phone)

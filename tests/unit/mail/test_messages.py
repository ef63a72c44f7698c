"""The message as mail programs see it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from app.domain.booking import Customer
from app.errors import MailError
from app.mail import MailKind
from app.widgets import Widget
from tests.support.examples import a_booking
from tests.support.mails import SILENT, Post, a_mail, a_mailer, entry_of, rich, told


async def test_the_headers_say_who_when_and_that_nobody_need_answer(post: Post) -> None:
    message = await post.receive(a_mail())
    assert message.header("From") == "Studio Nord <bookings@book.example>"
    assert message.header("To") == "ada@example.test"
    assert message.header("Reply-To") == "owner@studio.example"
    assert message.header("Message-ID") == "<bk_1.confirmed@book.example>"
    assert message.header("Date") == "Fri, 20 Nov 2026 09:00:00 +0000"
    assert message.header("Auto-Submitted") == "auto-generated"
    assert message.mail_from == "bookings@book.example"
    assert message.recipients == ("ada@example.test",)


async def test_without_an_owners_name_the_configured_sender_stands(post: Post) -> None:
    message = await post.receive(a_mail(widget=Widget(name="plain")))
    assert message.header("From") == "Holdfast <bookings@book.example>"
    assert message.header("Reply-To") == ""


async def test_a_repeat_is_the_same_message(post: Post) -> None:
    first = await post.receive(a_mail())
    post.mailbox.drop_after_data = True
    with pytest.raises(MailError) as lost:
        await post.mailer.send(a_mail())
    assert not lost.value.permanent
    assert lost.value.may_have_arrived
    again = post.mailbox.messages[-1]
    assert again.header("Message-ID") == first.header("Message-ID")
    assert again.text == first.text


async def test_a_confirmed_booking_brings_its_calendar_file(post: Post) -> None:
    message = await post.receive(a_mail())
    (attached,) = message.attachments
    assert (attached.filename, attached.content_type) == ("booking.ics", "text/calendar")
    (part,) = [part for part in message.parsed.walk() if part.get_content_type() == "text/calendar"]
    assert dict(part["Content-Type"].params) == {"method": "PUBLISH", "charset": "utf-8"}
    assert Calendar.from_ical(attached.content)["method"] == "PUBLISH"


@pytest.mark.parametrize(
    ("kind", "method", "status"),
    [
        (MailKind.MOVED_CUSTOMER, "PUBLISH", "CONFIRMED"),
        (MailKind.RESTORED_CUSTOMER, "PUBLISH", "CONFIRMED"),
        (MailKind.CANCELED_CUSTOMER, "CANCEL", "CANCELLED"),
    ],
)
async def test_a_change_replaces_the_entry_and_offers_no_link_that_would_double_it(
    post: Post, kind: MailKind, method: str, status: str
) -> None:
    booking = replace(told(kind).booking, revision=4)
    message = await post.receive(told(kind, booking=booking))
    (attached,) = message.attachments
    (part,) = [part for part in message.parsed.walk() if part.get_content_type() == "text/calendar"]
    assert dict(part["Content-Type"].params) == {"method": method, "charset": "utf-8"}
    assert Calendar.from_ical(attached.content)["method"] == method
    entry = entry_of(attached.content)
    assert (str(entry["uid"]), entry["sequence"], entry["status"]) == ("bk_1@holdfast", 4, status)
    assert "calendar.google" not in (message.text or "")
    assert "outlook.live" not in (message.text or "")


async def test_only_what_the_calendar_must_follow_brings_a_file(post: Post) -> None:
    brought = {kind for kind in MailKind if (await post.receive(told(kind))).attachments}
    kinds = ("confirmed", "moved", "restored", "canceled")
    assert brought == {MailKind(f"{kind}_customer") for kind in kinds}


@pytest.mark.parametrize("language", ["ar", "he", "en"])
async def test_the_html_names_its_language_and_direction(post: Post, language: str) -> None:
    message = await post.receive(a_mail(language=language))
    assert f'<html lang="{language}" dir="' in (message.html or "")


async def test_texts_with_markup_line_breaks_or_headers_in_them_stay_texts(post: Post) -> None:
    bad = "Cut <script>alert(1)</script>\r\nBcc: all@example.test\x00 & more"
    booking = a_booking(
        service_name=bad, resource_name=bad, location_name=bad, customer=Customer(bad, "a@example.test")
    )
    for kind in MailKind:
        message = await post.receive(a_mail(kind, booking=booking))
        assert message.header("Bcc") == ""
        assert "script" not in rich(message).tags
        assert "Cut <script>alert(1)</script> Bcc: all@example.test & more" in message.header("Subject")
        assert "\x00" not in f"{message.text}{message.html}"
        assert len(message.recipients) == 1


@settings(max_examples=40)
@given(name=st.text(max_size=60))
def test_whatever_a_service_is_called_its_mail_can_be_written(name: str) -> None:
    mail = a_mail(booking=a_booking(service_name=name, resource_name=name, location_name=name))
    source = SILENT.message(mail).as_bytes()
    assert source.isascii()


@pytest.mark.parametrize(
    "address",
    ["", "ada", "ada@example.test\r\nBcc: x@example.test", "a b@example.test", "<>", "a@b@c", "å b@c.example"],
)
async def test_an_address_that_is_none_is_given_up(post: Post, address: str) -> None:
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail(to=address))
    assert error.value.permanent
    assert post.mailbox.messages == []


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("åsa@exempel.example", "åsa@exempel.example"),
        ("asa@räksmörgås.example", "asa@xn--rksmrgs-5wao1o.example"),
        # Python's own codec follows the standard of 2003, and leads these to other people's domains.
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@βόλος.example", "ada@xn--nxasmm1c.example"),
        ("åsa@straße.example", "åsa@xn--strae-oqa.example"),
        ("asa+booking@exempel.example", "asa+booking@exempel.example"),
    ],
)
async def test_an_address_in_any_script_is_reached(post: Post, address: str, reached: str) -> None:
    message = await post.receive(a_mail(to=address))
    assert message.recipients == (reached,)
    assert message.header("To") == reached


@pytest.mark.parametrize("mail_from", ["", "nobody", "Name <a b@example.test>"])
def test_a_sender_that_is_no_address_stops_the_start(mail_from: str) -> None:
    with pytest.raises(ValueError, match="MAIL_FROM"):
        a_mailer("smtp://mail.example", mail_from=mail_from)

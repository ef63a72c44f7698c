"""What the customer and the owner are mailed, read as it arrived over real SMTP."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.booking import Customer, EndReason, Status, Visitor
from app.domain.money import Money
from app.domain.terms import Terms, Tier
from app.mail import MailKind, calendar_links, policy_lines, write_letter
from app.text.formats import format_day
from app.text.languages import LANGUAGES
from tests.support.examples import NOW, a_booking
from tests.support.mails import DETAILS, MANAGE, NEW_YORK, SILENT, STATUS, WIDGET, Post, a_mail, rich, told

SUBJECTS = {
    "confirmed": "Confirmed: Portrait session, Tue 24 Nov 10:00",
    "released": "Not booked: Portrait session, Tue 24 Nov 10:00",
    "refunded": "Refunded: Portrait session, Tue 24 Nov 10:00",
    "canceled": "Cancelled: Portrait session, Tue 24 Nov 10:00",
    "restored": "Booked again: Portrait session, Tue 24 Nov 10:00",
    "moved": "Moved: Portrait session, Tue 24 Nov 10:00",
    "not_moved": "Not moved: Portrait session, Tue 24 Nov 10:00",
    "reminder": "Reminder: Portrait session tomorrow, Tue 24 Nov 10:00",
    "link": "New link: Portrait session, Tue 24 Nov 10:00",
    "refund_failed": "Refund failed: Portrait session, Tue 24 Nov 10:00",
    "delayed": "Not confirmed yet: Portrait session, Tue 24 Nov 10:00",
    "pay_link": "Please pay: Portrait session, Tue 24 Nov 10:00",
    "offered": "No longer free: Portrait session, Tue 24 Nov 10:00",
    "pay_reminder": "Still to pay: Portrait session, Tue 24 Nov 10:00",
}


def test_a_subject_says_the_fact_what_and_when_in_every_language() -> None:
    kinds = [kind for kind in MailKind if not kind.to_owner]
    now = NOW + timedelta(days=3)
    written = {kind: write_letter(told(kind), now=now).subject for kind in kinds}
    assert {kind.value.removesuffix("_customer"): subject for kind, subject in written.items()} == SUBJECTS
    for language in LANGUAGES:
        when = format_day(a_booking().starts_at, "Europe/Stockholm", language, "medium", today=now.date())
        subjects = [write_letter(replace(told(kind), language=language), now=now).subject for kind in kinds]
        assert all("Portrait session" in subject and when in subject for subject in subjects), language
        assert len(set(subjects)) == len(kinds), language


async def test_a_long_subject_arrives_as_it_was_written_whatever_its_letters(post: Post) -> None:
    """Finding (cpython#92081): folded, it lost a space or had an encoded word with nothing in it."""
    for name in ('Schnitt Schnitt "luxe" Hund session 💇‍♀️', "مكالمة تخطيط", "カット、カラー、ヘッドスパ", "Färg " * 14):
        for language in ("en", "ar", "ja"):
            mail = a_mail(booking=a_booking(service_name=name.strip()), language=language)
            message = await post.receive(mail)
            assert message.header("Subject") == write_letter(mail, now=NOW).subject
            assert not re.search(rb"=\?[\w-]+\?[qQbB]\?\?=", message.source), "RFC 2047 allows no empty word"


async def test_the_customer_learns_what_is_booked_when_where_and_under_which_terms(post: Post) -> None:
    message = await post.receive(a_mail())
    assert message.header("Subject") == "Confirmed: Portrait session, Tue 24 Nov 10:00"
    assert (
        message.text
        == """\
Your booking is confirmed

Hello Ada Example,

Your time is booked and paid.

Tuesday 24 November
10:00–11:00

What: Portrait session
With: Maja Lind
Where: Studio Nord, Götgatan 1
Reference: 1
Paid: €120.00
If you cancel:
  Free cancellation until Mon 23 Nov, 10:00
  Then 50% refund until Tue 24 Nov, 08:00
  After that, no refund

Change or cancel:
https://book.example/manage/token

Receipt:
https://book.example/manage/token/receipt

Add to your calendar. The attached file works with every calendar app.
Google Calendar: """
        + calendar_links(a_booking(), widget=WIDGET)["google"]
        + "\nOutlook: "
        + calendar_links(a_booking(), widget=WIDGET)["outlook"]
        + """

Questions? Reply to this email or call +46 8 123 45.

Studio Nord
"""
    )


@pytest.mark.parametrize("kind", list(MailKind))
@pytest.mark.parametrize("language", ["en", "sv", "de", "ar"])
async def test_the_html_says_what_the_plain_text_says(post: Post, kind: MailKind, language: str) -> None:
    mail = a_mail(kind, language=language, detail=DETAILS.get(kind, {}), refund=Money(12000, "eur"))
    mail = replace(mail, booking=a_booking(visitor=NEW_YORK))
    message = await post.receive(mail)
    letter = write_letter(mail, now=NOW)
    rows = [part for label, value in letter.rows for part in (label, *value.splitlines())]
    for part in (letter.heading, *letter.paragraphs, *rows, letter.closing, "Studio Nord"):
        assert part in (message.text or "")
        assert " ".join(part.split()) in rich(message).text
    links = [word for word in (message.text or "").split() if word.startswith("https://")]
    assert set(links) == set(rich(message).links)


async def test_the_html_needs_no_images_no_scripts_and_tracks_nobody(post: Post) -> None:
    message = await post.receive(a_mail())
    html = rich(message)
    assert message.html
    assert not html.tags & {"img", "script", "link", "iframe", "form", "object"}
    assert not html.attributes & {"src", "srcset", "background"}
    assert "url(" not in message.html
    assert "prefers-color-scheme: dark" in message.html
    assert "#8844cc" in message.html


async def test_the_visitors_own_time_is_told_where_the_clocks_differ(post: Post) -> None:
    text = (await post.receive(a_mail(booking=a_booking(visitor=NEW_YORK)))).text
    assert text
    assert "10:00–11:00 (Stockholm, UTC+1)" in text
    assert "Your time: 04:00–05:00 (New York, UTC−5)" in text


async def test_the_visitors_own_day_is_told_where_it_is_another_day(post: Post) -> None:
    visitor = Visitor("v", "Pacific/Auckland")
    starts_at = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)
    booking = a_booking(visitor=visitor, starts_at=starts_at, ends_at=starts_at + timedelta(hours=1))
    text = (await post.receive(a_mail(booking=booking))).text
    assert text
    assert "Your time: Wed 25 Nov, 02:00–03:00 (Auckland, UTC+13)" in text


@pytest.mark.parametrize("zone", ["", "Europe/Stockholm", "Europe/Berlin"])
async def test_one_clock_is_enough_where_the_clocks_agree(post: Post, zone: str) -> None:
    text = (await post.receive(a_mail(booking=a_booking(visitor=Visitor("v", zone))))).text
    assert text
    assert "Your time:" not in text
    assert "UTC" not in text


async def test_the_deadlines_of_the_policy_name_their_zone_where_the_clocks_differ(post: Post) -> None:
    text = (await post.receive(a_mail(booking=a_booking(visitor=NEW_YORK)))).text or ""
    assert "  After that, no refund\n  Times in Stockholm, UTC+1" in text
    nothing = a_booking(visitor=NEW_YORK, terms=Terms(Money(12000, "eur")))
    assert "Times in" not in ((await post.receive(a_mail(booking=nothing))).text or "")


async def test_the_owner_learns_who_comes(post: Post) -> None:
    customer = Customer("Ada Example", "ada@example.test", "+46701234567", "Two dogs\nand a cat", {"people": "3"})
    message = await post.receive(a_mail(MailKind.CONFIRMED_OWNER, booking=a_booking(customer=customer)))
    assert message.header("Subject") == "New booking: Portrait session, Tue 24 Nov 10:00, Ada Example"
    assert message.header("Reply-To") == "ada@example.test"
    assert message.recipients == ("owner@studio.example",)
    text = message.text or ""
    for said in ("Name: Ada Example", "Phone: +46701234567", "How many people?: 3", "  Two dogs\n  and a cat"):
        assert said in text
    assert "https://" not in text
    assert message.attachments == ()


async def test_what_a_customer_typed_is_not_mailed_to_an_address_a_customer_typed(post: Post) -> None:
    customer = Customer("Win at evil.example", "victim@example.test", "+1", "evil.example", {"people": "evil.example"})
    for kind in MailKind:
        if not kind.to_owner:
            mail = replace(told(kind), booking=a_booking(customer=customer), to=customer.email)
            message = await post.receive(mail)
            assert b"evil.example" not in message.source
            assert "evil.example" not in f"{message.text}{message.html}"


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Ada Example", True),
        ("J. R. O’Brien-Smith", True),
        ("अनीता राव", True),
        ("李小龍", True),
        ("evil.example", False),
        ("Call 555 1234", False),
        ("Your account is now closed", False),
        ("x" * 41, False),
    ],
)
async def test_a_mail_greets_by_a_plain_name_and_by_nothing_that_could_be_an_advertisement(
    name: str, greeted: bool
) -> None:
    message = SILENT.message(a_mail(booking=a_booking(customer=Customer(name, "ada@example.test"))))
    for part in ("plain", "html"):
        body = message.get_body((part,))
        assert body
        assert (name in body.get_content()) == greeted


async def test_a_free_booking_is_not_called_paid(post: Post) -> None:
    text = (await post.receive(a_mail(booking=a_booking(terms=Terms(Money(0, "eur"), (Tier(24, 100),)))))).text
    assert text
    assert "Price: Free" in text
    assert "paid" not in text
    assert "If you cancel" not in text


async def test_a_time_booked_again_for_late_money_says_with_whom(post: Post) -> None:
    booking = a_booking(resource_name="Bo")
    text = (await post.receive(a_mail(booking=booking, detail={"rescued": True}))).text
    assert text
    assert "we booked it again with Bo." in text
    plain = (await post.receive(a_mail(booking=booking, detail={"rescued": False}))).text
    assert plain
    assert "again" not in plain


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (EndReason.DEADLINE, "We did not receive your payment"),
        (EndReason.PAYMENT_FAILED, "Your payment did not go through"),
        (EndReason.GIVEN_UP, "You released the time"),
        (EndReason.NO_ANSWER, "The calendar could not keep this time"),
    ],
)
async def test_a_released_time_says_why_and_that_nothing_was_charged(post: Post, reason: EndReason, said: str) -> None:
    booking = a_booking(status=Status.EXPIRED, end_reason=reason)
    message = await post.receive(a_mail(MailKind.RELEASED_CUSTOMER, booking=booking, detail={"reason": reason}))
    assert message.header("Subject") == "Not booked: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert said in text
    assert "You have not been charged." in text
    assert STATUS in text
    assert MANAGE not in text
    assert message.attachments == ()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (EndReason.SLOT_GONE, "the time was no longer free"),
        (EndReason.CAPTURE_FAILED, "bank did not pay the amount"),
        (EndReason.PAYMENT_MISMATCH, "payment does not match the price"),
        (EndReason.PAID_TWICE, "had ended"),
    ],
)
async def test_a_refund_says_why_and_how_much(post: Post, reason: EndReason, said: str) -> None:
    booking = a_booking(status=Status.CANCELED, end_reason=reason)
    mail = a_mail(booking=booking, refund=Money(12000, "eur"), detail={"reason": reason})
    for kind in (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER):
        message = await post.receive(replace(mail, kind=kind))
        assert message.header("Subject").startswith("Refunded: Portrait session, Tue 24 Nov 10:00")
        text = message.text or ""
        assert said in text
        assert "€120.00" in text
        assert MANAGE not in text


async def test_a_second_payment_goes_back_while_the_booking_stands(post: Post) -> None:
    mail = a_mail(MailKind.REFUNDED_CUSTOMER, refund=Money(12000, "eur"), detail={"reason": "paid_twice"})
    message = await post.receive(mail)
    assert message.header("Subject") == "Second payment refunded: Portrait session, Tue 24 Nov 10:00"
    assert "Your booking stays confirmed" in (message.text or "")
    assert "no booking" not in (message.text or "")


async def test_money_that_was_only_held_is_not_called_a_refund_of_money(post: Post) -> None:
    mail = a_mail(MailKind.REFUNDED_CUSTOMER, refund=None, detail={"reason": "slot_gone"})
    assert "You have not been charged." in ((await post.receive(mail)).text or "")


async def test_there_is_no_link_to_what_cannot_be_done(post: Post) -> None:
    message = await post.receive(a_mail(manage_url=""))
    assert "Change or cancel" not in (message.text or "")
    assert not [link for link in rich(message).links if "book.example" in link]
    assert "See your booking" not in (message.attachments[0].text or "")


@pytest.mark.parametrize(
    ("email", "phone", "said"),
    [
        ("o@x.example", "+46 8", "Questions? Reply to this email or call +46 8."),
        ("o@x.example", "", "Questions? Reply to this email."),
        ("", "+46 8", "Questions? Call +46 8."),
    ],
)
async def test_the_owner_can_be_reached_in_the_way_there_is(post: Post, email: str, phone: str, said: str) -> None:
    widget = WIDGET.model_copy(update={"owner_email": email, "owner_phone": phone})
    message = await post.receive(a_mail(widget=widget))
    assert said in (message.text or "")
    assert message.header("Reply-To") == email


def test_the_policy_is_told_by_its_deadlines_and_what_is_past_is_left_out() -> None:
    booking = a_booking()

    def lines(terms: Terms, now: datetime) -> list[str]:
        return policy_lines(terms, booking.starts_at, booking.time_zone, "en", now=now)

    price = Money(12000, "eur")
    tiers = Terms(price, (Tier(24, 100), Tier(2, 50)))
    assert lines(tiers, booking.starts_at - timedelta(hours=3)) == [
        "50% refund until Tue 24 Nov, 08:00",
        "After that, no refund",
    ]
    assert lines(tiers, booking.starts_at - timedelta(hours=2)) == ["No refund if you cancel"]
    assert lines(Terms(price), NOW) == ["No refund if you cancel"]
    assert lines(Terms(price, (Tier(24, 0),)), NOW) == ["No refund if you cancel"]
    assert lines(Terms(Money(0, "eur"), tiers.tiers), NOW) == []
    assert lines(tiers, NOW - timedelta(days=400))[0] == "Free cancellation until Mon, 23 Nov 2026, 10:00"

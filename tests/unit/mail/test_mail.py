"""What the customer and the owner are mailed, read as it arrived over real SMTP."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from jinja2 import Environment, FileSystemLoader
from structlog.testing import capture_logs

from app.domain.booking import Booking, Customer, EndReason, Status, Trouble, Visitor
from app.domain.money import Money
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentSeen
from app.domain.refund import Owed
from app.domain.terms import Terms, Tier
from app.errors import MailError
from app.mail import Mail, Mailer, MailKind, calendar_file, calendar_links, policy_lines, write_letter
from app.text.formats import format_day
from app.text.languages import LANGUAGES
from app.widgets import Question, Theme, Widget
from sandbox.mailbox import MailboxSandbox, Message
from tests.support.examples import NOW, a_booking
from tests.support.stack import Stack

TEMPLATES = Path(__file__).parents[3] / "templates"
MANAGE = "https://book.example/manage/token"
STATUS = "https://book.example/b/token"
WIDGET = Widget(
    name="studio",
    owner_name="Studio Nord",
    owner_email="owner@studio.example",
    owner_phone="+46 8 123 45",
    theme=Theme(accent="#8844cc"),
    questions=(Question(name="people", label="How many people?"),),
)


def a_mail(kind: MailKind = MailKind.CONFIRMED_CUSTOMER, **changes: Any) -> Mail:
    mail = Mail(
        message_id="<bk_1.confirmed@book.example>",
        to="owner@studio.example" if kind.to_owner else "ada@example.test",
        kind=kind,
        booking=a_booking(),
        language="en",
        manage_url=MANAGE,
        status_url=STATUS,
        widget=WIDGET,
    )
    return replace(mail, **changes)


#: What the outbox rows say of each kind: Ada's session was on Monday at nine, and costs 30 euros more on Tuesday.
UNDO = NOW + timedelta(minutes=10)
DETAILS: dict[MailKind, dict[str, Any]] = {
    MailKind.RELEASED_CUSTOMER: {"reason": "deadline"},
    MailKind.REFUNDED_CUSTOMER: {"reason": "slot_gone"},
    MailKind.REFUNDED_OWNER: {"reason": "slot_gone"},
    MailKind.NOT_MOVED_CUSTOMER: {"back": 3000, "to": "2026-11-25T13:00:00+00:00"},
    MailKind.DISPUTED_OWNER: {
        "dispute": "needs_response",
        "amount": 12000,
        "answer_by": "2026-12-01T22:59:00+00:00",
    },
    MailKind.TROUBLE_OWNER: {"trouble": Trouble.NOT_CONFIRMED, "amount": 6000, "code": "api_key_expired"},
}
for _whom in ("customer", "owner"):
    DETAILS[MailKind(f"canceled_{_whom}")] = {"by": "by_customer", "back": 6000, "undo_until": UNDO.isoformat()}
    DETAILS[MailKind(f"moved_{_whom}")] = {
        "by": "by_customer",
        "from": "2026-11-23T08:00:00+00:00",
        "was": "Portrait session",
        "difference": 3000,
    }
    DETAILS[MailKind(f"refund_failed_{_whom}")] = {"amount": 6000, "currency": "eur"}


def told(kind: MailKind, *, booking: Booking | None = None, **detail: Any) -> Mail:
    """A mail about what was done, with some of its detail changed; a canceled booking is canceled."""
    canceled = a_booking(status=Status.CANCELED) if kind.value.startswith("canceled") else a_booking()
    return a_mail(kind, booking=booking or canceled, detail={**DETAILS.get(kind, {}), **detail})


def a_mailer(smtp_url: str | None, *, mail_from: str = "Holdfast <bookings@book.example>") -> Mailer:
    templates = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    return Mailer(smtp_url=smtp_url, mail_from=mail_from, templates=templates, now=lambda: NOW)


#: Writes, but cannot send.
SILENT = a_mailer(None)


@dataclass
class Post:
    """A mailer, and the mailbox that its mails arrive in."""

    mailer: Mailer
    mailbox: MailboxSandbox
    port: int

    async def receive(self, mail: Mail) -> Message:
        await self.mailer.send(mail)
        return self.mailbox.messages[-1]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    mailbox = MailboxSandbox(now=lambda: NOW)
    port = await mailbox.start_smtp()
    yield Post(a_mailer(f"smtp://127.0.0.1:{port}"), mailbox, port)
    await mailbox.stop_smtp()


class Reader(HTMLParser):
    """The words and links of an HTML mail as a person meets them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rich(message: Message) -> Reader:
    assert message.html
    return Reader(message.html)


# -- What is said ------------------------------------------------------------------------------------------


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


# -- What is said of a change -------------------------------------------------------------------------------


async def test_a_cancellation_says_what_is_refunded_when_and_until_when_it_can_be_undone(post: Post) -> None:
    message = await post.receive(told(MailKind.CANCELED_CUSTOMER))
    assert message.header("Subject") == "Cancelled: Portrait session, Tue 24 Nov 10:00"
    assert (
        message.text
        == """\
Your booking has been cancelled

Hello Ada Example,

You cancelled your booking.
We will refund €60.00 of €120.00 to your original payment method. It usually arrives within 5–10 days.
We will send the refund at 10:10. Until then, you can undo the cancellation using the link below if the time is still free.

Tuesday 24 November
10:00–11:00

What: Portrait session
With: Maja Lind
Where: Studio Nord, Götgatan 1
Reference: 1

See your booking:
https://book.example/manage/token

The attached file removes the entry from your calendar. An entry that you added through a link stays until you remove it.

Questions? Reply to this email or call +46 8 123 45.

Studio Nord
"""  # noqa: E501 - as it arrives
    )


@pytest.mark.parametrize(
    ("terms", "back", "customer_told", "owner_told"),
    [
        (
            Terms(Money(12000, "eur")),
            12000,
            "We will refund €120.00 to your original payment method.",
            "We will refund €120.00 to the",
        ),
        (Terms(Money(12000, "eur")), 0, "there is no refund", "None of the €120.00 is refunded."),
        (Terms(Money(9000, "jpy")), 4500, "We will refund JP¥4,500 of JP¥9,000", "We will refund JP¥4,500 of JP¥9,000"),
        (
            Terms(Money(0, "eur")),
            0,
            "nothing to pay, so there is nothing to refund",
            "nothing to pay, so there is nothing to refund",
        ),
    ],
)
async def test_a_cancellation_tells_both_what_it_does_to_the_money(
    post: Post, terms: Terms, back: int, customer_told: str, owner_told: str
) -> None:
    booking = a_booking(status=Status.CANCELED, terms=terms)
    for kind, said in ((MailKind.CANCELED_CUSTOMER, customer_told), (MailKind.CANCELED_OWNER, owner_told)):
        text = (await post.receive(told(kind, booking=booking, back=back))).text or ""
        assert said in text
        assert ("We will send the refund at 10:10" in text) == bool(back)
        assert "undo the cancellation" in text


@pytest.mark.parametrize("until", ["", (NOW - timedelta(seconds=1)).isoformat(), NOW.isoformat()])
async def test_an_undo_that_is_too_late_is_not_offered(post: Post, until: str) -> None:
    for kind in (MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER):
        text = (await post.receive(told(kind, undo_until=until))).text or ""
        assert "undo the cancellation" not in text
        assert "€60.00 of €120.00" in text


async def test_an_owner_who_cancels_is_sorry_and_gives_everything_back(post: Post) -> None:
    detail: dict[str, Any] = {"by": EndReason.BY_OWNER, "back": 12000, "undo_until": ""}
    text = (await post.receive(told(MailKind.CANCELED_CUSTOMER, **detail))).text or ""
    assert "We are sorry, but we had to cancel your booking." in text
    assert "We will refund €120.00 to your original payment method." in text
    assert "You cancelled" not in text
    ours = (await post.receive(told(MailKind.CANCELED_OWNER, **detail))).text or ""
    assert "You cancelled this booking. The time is free again, and the customer has been told." in ours


async def test_the_minutes_for_taking_back_are_told_on_the_readers_own_clock(post: Post) -> None:
    booking = a_booking(status=Status.CANCELED, visitor=NEW_YORK)
    text = (await post.receive(told(MailKind.CANCELED_CUSTOMER, booking=booking))).text or ""
    assert "We will send the refund at 04:10 (New York, UTC−5)." in text
    owner = (await post.receive(told(MailKind.CANCELED_OWNER, booking=booking))).text or ""
    assert "We will send the refund at 10:10." in owner


async def test_a_booking_whose_cancellation_is_undone_is_as_before(post: Post) -> None:
    message = await post.receive(told(MailKind.RESTORED_CUSTOMER))
    assert message.header("Subject") == "Booked again: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "Your time is booked as before, and there is nothing to pay or refund." in text
    assert "Paid: €120.00" in text
    assert "Free cancellation until Mon 23 Nov, 10:00" in text


async def test_a_move_says_from_when_to_when_what_was_paid_and_what_holds_now(post: Post) -> None:
    terms = Terms(Money(15000, "eur"), (Tier(24, 100), Tier(2, 50)))
    message = await post.receive(told(MailKind.MOVED_CUSTOMER, booking=a_booking(terms=terms, revision=2)))
    assert message.header("Subject") == "Moved: Portrait session, Tue 24 Nov 10:00"
    assert (message.text or "").startswith(
        """\
Your booking has been moved

Hello Ada Example,

We have released your old time.
You paid the difference of €30.00.

Tuesday 24 November
10:00–11:00

Before: Mon 23 Nov, 09:00
What: Portrait session
With: Maja Lind
Where: Studio Nord, Götgatan 1
Reference: 1
Paid: €150.00
If you cancel:
  Free cancellation until Mon 23 Nov, 10:00
  Then 50% refund until Tue 24 Nov, 08:00
  After that, no refund

Change or cancel:
https://book.example/manage/token

Receipt:
https://book.example/manage/token/receipt

The attached file updates the entry in your calendar. An entry that you added through a link does not update by itself.
"""
    )


@pytest.mark.parametrize(
    ("difference", "customer_told", "owner_told"),
    [
        (3000, "You paid the difference of €30.00.", "The customer paid the difference of €30.00."),
        (
            -3000,
            "The new price is lower. We will refund €30.00 to your original payment method.",
            "We will refund the difference of €30.00",
        ),
        (0, "There is nothing to pay or refund.", "There is nothing to pay or refund."),
    ],
)
async def test_a_move_tells_both_what_it_does_to_the_money(
    post: Post, difference: int, customer_told: str, owner_told: str
) -> None:
    for kind, said in ((MailKind.MOVED_CUSTOMER, customer_told), (MailKind.MOVED_OWNER, owner_told)):
        assert said in ((await post.receive(told(kind, difference=difference))).text or "")


async def test_a_move_of_a_free_booking_costs_nothing(post: Post) -> None:
    free = a_booking(terms=Terms(Money(0, "eur")))
    for kind in (MailKind.MOVED_CUSTOMER, MailKind.MOVED_OWNER):
        text = (await post.receive(told(kind, booking=free, difference=0))).text or ""
        assert "There is nothing to pay." in text
        assert "paid" not in text


async def test_a_move_by_the_owner_is_excused_and_names_no_wish_of_the_customers(post: Post) -> None:
    text = (await post.receive(told(MailKind.MOVED_CUSTOMER, by="by_owner", difference=0))).text or ""
    assert "We are sorry, but we had to change your booking. If this does not suit you, please let us know." in text
    ours = (await post.receive(told(MailKind.MOVED_OWNER, by="by_owner", difference=0))).text or ""
    assert "You changed this booking, and the customer has been told." in ours


async def test_another_service_at_the_same_time_is_a_change_and_names_both(post: Post) -> None:
    before: dict[str, Any] = {"from": a_booking().starts_at.isoformat(), "was": "Family session"}
    message = await post.receive(told(MailKind.MOVED_CUSTOMER, **before))
    assert message.header("Subject") == "Changed: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "Before:\n  Family session\n  Tue 24 Nov, 10:00" in text
    assert "released your old time" not in text


async def test_the_times_of_a_move_name_their_zone_to_a_customer_elsewhere(post: Post) -> None:
    booking = a_booking(visitor=NEW_YORK)
    before = (await post.receive(told(MailKind.MOVED_CUSTOMER, booking=booking))).text or ""
    assert "Before: Mon 23 Nov, 09:00 (Stockholm, UTC+1)" in before
    to = (await post.receive(told(MailKind.NOT_MOVED_CUSTOMER, booking=booking))).text or ""
    assert "Wed 25 Nov, 14:00 (Stockholm, UTC+1)" in to


async def test_a_move_that_failed_changes_nothing_and_gives_the_difference_back(post: Post) -> None:
    message = await post.receive(told(MailKind.NOT_MOVED_CUSTOMER))
    assert message.header("Subject") == "Not moved: Portrait session, Tue 24 Nov 10:00"
    text = message.text or ""
    assert "You paid to move your booking to Wed 25 Nov, 14:00, but that time was no longer free." in text
    assert "Nothing has changed: your booking is still confirmed." in text
    assert "We will refund €30.00 to your original payment method." in text
    held = (await post.receive(told(MailKind.NOT_MOVED_CUSTOMER, back=0))).text or ""
    assert "You have not been charged." in held
    off = told(MailKind.NOT_MOVED_CUSTOMER, booking=a_booking(status=Status.CANCELED))
    assert "your booking is still confirmed" not in ((await post.receive(off)).text or "")


async def test_a_reminder_says_what_when_where_and_with_whom_and_adds_no_second_calendar_entry(post: Post) -> None:
    message = await post.receive(told(MailKind.REMINDER_CUSTOMER, booking=a_booking(visitor=NEW_YORK)))
    assert message.header("Subject") == "Reminder: Portrait session in 4 days, Tue 24 Nov 10:00"
    text = message.text or ""
    for said in ("What: Portrait session", "With: Maja Lind", "Where: Studio Nord", "Your time: 04:00–05:00"):
        assert said in text
    assert MANAGE in text
    assert f"Calendar file: {MANAGE}/calendar.ics" in text
    assert "google" not in text
    assert message.attachments == ()


async def test_a_new_link_retires_the_older_ones_and_changes_nothing_else(post: Post) -> None:
    message = await post.receive(told(MailKind.LINK_CUSTOMER))
    text = message.text or ""
    assert "Older links no longer work. Nothing else has changed." in text
    assert f"Change or cancel:\n{MANAGE}" in text
    off = (await post.receive(told(MailKind.LINK_CUSTOMER, booking=a_booking(status=Status.CANCELED)))).text or ""
    assert "This booking is cancelled." in off
    assert f"See your booking:\n{MANAGE}" in off


async def test_a_refund_that_failed_tells_the_customer_to_call_and_the_owner_what_to_do(post: Post) -> None:
    customer = (await post.receive(told(MailKind.REFUND_FAILED_CUSTOMER))).text or ""
    assert "We tried to refund €60.00 to your original payment method" in customer
    assert "The money is still yours. Please contact us" in customer
    assert "Reply to this email or call +46 8 123 45." in customer
    owner = (await post.receive(told(MailKind.REFUND_FAILED_OWNER, amount=6000, currency="jpy"))).text or ""
    assert "JP¥6,000" in owner
    assert "The money is in your Stripe balance." in owner
    assert "Please pay it another way" in owner
    assert "Name: Ada Example" in owner


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble.PAYMENT_REFUSED, "Stripe refused to open the payment page"),
        (Trouble.NOT_CONFIRMED, "The customer has paid, but the calendar has not confirmed the booking yet."),
        (Trouble.NOT_MOVED, "This booking is being moved, but the calendar has not answered yet."),
        (Trouble.NOT_RELEASED, "This booking stands, but the calendar may have a second entry for it"),
        (Trouble.REFUND_REFUSED, "Stripe has not carried out a refund of €60.00 to the customer."),
        (Trouble.MAIL_GIVEN_UP, "An email to the customer could not be delivered"),
    ],
)
async def test_every_trouble_is_said_in_words_with_its_reason(post: Post, trouble: Trouble, said: str) -> None:
    message = await post.receive(told(MailKind.TROUBLE_OWNER, trouble=trouble))
    assert message.header("Subject") == "Needs your attention: Portrait session, Tue 24 Nov 10:00, Ada Example"
    text = message.text or ""
    assert said in text
    assert "The reason given was: api_key_expired." in text
    assert trouble not in text


def test_a_time_that_could_not_be_released_is_blocked_where_the_booking_has_ended() -> None:
    ended = a_booking(status=Status.CANCELED)
    letter = write_letter(told(MailKind.TROUBLE_OWNER, booking=ended, trouble=Trouble.NOT_RELEASED), now=NOW)
    assert "so the time is still blocked there" in " ".join(letter.paragraphs)


def test_every_trouble_has_words_of_its_own() -> None:
    mails = [told(MailKind.TROUBLE_OWNER, trouble=trouble) for trouble in Trouble]
    assert len({write_letter(mail, now=NOW).paragraphs for mail in mails}) == len(Trouble)


def test_a_trouble_that_this_program_does_not_know_is_still_told() -> None:
    for detail in ({"trouble": "one_of_tomorrow"}, {}):
        letter = write_letter(a_mail(MailKind.TROUBLE_OWNER, detail=detail), now=NOW)
        assert letter.paragraphs == ("Something about this booking could not be done. The log has the details.",)


def test_a_refund_that_waits_for_the_balance_is_not_to_be_paid_twice() -> None:
    mail = told(MailKind.TROUBLE_OWNER, trouble=Trouble.REFUND_REFUSED, code="insufficient_funds")
    text = " ".join(write_letter(mail, now=NOW).paragraphs)
    assert "Your Stripe balance is too low." in text
    assert "first cancel the refund in the Stripe dashboard" in text


@pytest.mark.parametrize("kind", [MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER])
def test_a_cancellation_of_a_disputed_payment_promises_no_time(kind: MailKind) -> None:
    letter = write_letter(replace(told(kind), waits_for_bank=True), now=NOW)
    said = " ".join(letter.paragraphs)
    assert "bank has decided" in said
    assert "We will send the refund at" not in said


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ("needs_response", "The customer's bank has taken back a payment of €120.00"),
        (
            "warning_needs_response",
            "The customer's bank is asking about a payment of €120.00. It has not taken the money",
        ),
        ("lost", "The dispute has been decided"),
        ("won", "The dispute has been decided"),
    ],
)
async def test_a_dispute_tells_the_owner_where_and_until_when_to_answer(post: Post, stage: str, said: str) -> None:
    message = await post.receive(told(MailKind.DISPUTED_OWNER, dispute=stage))
    assert message.header("Subject") == "Payment disputed: Portrait session, Tue 24 Nov 10:00, Ada Example"
    text = message.text or ""
    assert said in text
    assert "The booking stays confirmed" in text
    open_still = "decided:" not in text
    assert ("Please answer in the Stripe dashboard by Tue 1 Dec, 23:59." in text) == open_still
    assert ("We will not refund any of this payment while the bank is deciding." in text) == open_still


async def test_a_dispute_without_a_known_deadline_says_where_it_stands(post: Post) -> None:
    text = (await post.receive(told(MailKind.DISPUTED_OWNER, answer_by=""))).text or ""
    assert "Please answer in the Stripe dashboard. You will find the deadline there." in text
    off = told(MailKind.DISPUTED_OWNER, booking=a_booking(status=Status.CANCELED))
    assert "The booking stays confirmed" not in ((await post.receive(off)).text or "")


async def test_money_refunded_by_the_owner_leaves_the_booking_as_it_is(post: Post) -> None:
    mail = a_mail(MailKind.REFUNDED_CUSTOMER, refund=Money(2000, "eur"), detail={"reason": EndReason.GOODWILL})
    message = await post.receive(mail)
    text = message.text or ""
    assert "Your booking stays as it is.\nWe will refund €20.00 to your original payment method." in text
    assert f"See your booking:\n{MANAGE}" in text


async def test_money_drawn_from_two_payments_is_told_as_one_sum(stack: Stack) -> None:
    booking = await stack.hold()
    await stack.paid(booking)
    await stack.tick()
    parts = stack.parts
    owes = OutboxMail(
        id="goodwill",
        booking_id=booking.id,
        kind=MailKind.REFUNDED_CUSTOMER,
        message_id="<goodwill@book.example>",
        detail={"reason": EndReason.GOODWILL, "refund": "rf_1"},
        tries=0,
        created_at=parts.now(),
        sent_at=None,
        due_at=parts.now(),
        revision=1,
    )
    [payment] = await parts.store.payments(booking.id)
    seen = PaymentSeen(payment.id, payment.state, payment.session_id or "", payment.payment_intent_id, payment.captured)
    owed = Owed("rf_1", booking.id, Money(5000, "eur"), EndReason.GOODWILL, "", parts.now(), parts.now())
    first, second = owed.draw([(payment.id, 2000), (payment.id, 9000)])
    for refund in (first, replace(second, cause="second"), replace(first, id="rf_12", cause="another debt")):
        assert await parts.store.add_refund(refund, seen=seen, mails=[owes])
    await stack.until_quiet()
    [text] = [mail.text for mail in stack.mailbox.messages if mail.header("Subject").startswith("Refunded")]
    assert "We will refund €50.00 to your original payment method." in (text or "")


@pytest.mark.parametrize("reason", [EndReason.NOT_MOVED, EndReason.DEADLINE, EndReason.PAYMENT_MISMATCH])
async def test_a_payment_too_many_is_never_said_to_cost_the_booking(post: Post, reason: EndReason) -> None:
    mail = a_mail(refund=Money(3000, "eur"), detail={"reason": reason})
    for kind in (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER):
        text = (await post.receive(replace(mail, kind=kind))).text or ""
        assert "booking stays confirmed" in text
        assert "no booking" not in text


@pytest.mark.parametrize("kind", [kind for kind in MailKind if kind.to_owner])
async def test_every_mail_to_the_owner_names_the_customer_and_has_no_link_of_the_customers(
    post: Post, kind: MailKind
) -> None:
    message = await post.receive(told(kind))
    assert message.header("Subject").endswith(", Ada Example")
    assert "Phone: +46701234567" in (message.text or "")
    assert message.header("Reply-To") == "ada@example.test"
    assert "book.example" not in (message.text or "")
    assert message.attachments == ()


async def test_a_time_that_is_off_is_struck_out(post: Post) -> None:
    off = await post.receive(told(MailKind.CANCELED_CUSTOMER))
    on = await post.receive(told(MailKind.RESTORED_CUSTOMER))
    assert "line-through" in (off.html or "")
    assert "line-through" not in (on.html or "")


# -- The message as mail programs see it -------------------------------------------------------------------


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


# -- Sending -----------------------------------------------------------------------------------------------


async def test_a_server_that_refuses_for_now_is_asked_again(post: Post) -> None:
    post.mailbox.refuse = "temporary"
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert not error.value.permanent
    assert "ada" not in str(error.value)


async def test_a_recipient_refused_permanently_is_given_up(post: Post) -> None:
    post.mailbox.refuse = "permanent"
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert error.value.permanent
    assert "ada" not in str(error.value)


@dataclass
class Refusing:
    """A mail server that answers each recipient, or each message, with one line."""

    recipient: str = "250 2.1.5 Recipient ok"
    message: str = "250 2.0.0 Kept"

    async def handle_RCPT(  # noqa: N802  (aiosmtpd finds its hooks by this name)
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802
        return self.message


async def refusal_of(server: Refusing) -> MailError:
    """What becomes of a mail that this server gets."""
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: SMTP(server, enable_SMTPUTF8=True, loop=loop), "127.0.0.1")
    try:
        with pytest.raises(MailError) as error:
            await a_mailer(f"smtp://127.0.0.1:{listening.sockets[0].getsockname()[1]}").send(a_mail())
    finally:
        listening.close()
    return error.value


@pytest.mark.parametrize(
    ("answer", "for_good"),
    [
        ("550 5.1.1 No such user ada@example.test", True),
        ("550 No such user", True),
        ("553 5.1.3 Bad address", True),
        ("554 5.7.1 Refused by policy", True),
        ("552 Mailbox full", False),
        ("552 5.2.2 Over quota", False),
        ("554 5.2.2 Mailbox full", False),
        ("550 5.2.2 Mailbox full", False),
        ("554 5.3.1 Mail system full", False),
        ("550 4.2.2 Over quota", False),
        ("452 4.2.2 Over quota", False),
        ("552 5.3.4 Message too big", True),
    ],
)
async def test_only_what_lasts_is_given_up_at_once(answer: str, for_good: bool) -> None:
    for server in (Refusing(recipient=answer), Refusing(message=answer)):
        error = await refusal_of(server)
        assert error.permanent is for_good
        assert answer.split()[0] in error.reason
        assert "ada" not in error.reason


async def test_a_refused_mail_says_which_server_refused_what_and_with_which_code() -> None:
    error = await refusal_of(Refusing(recipient="550 5.1.1 No such user ada@example.test"))
    assert re.fullmatch(r"127\.0\.0\.1:\d+: recipient refused, 550 5\.1\.1", error.reason)
    error = await refusal_of(Refusing(message="554 Go away"))
    assert error.reason.endswith(": message refused, 554")


async def test_a_mail_that_reached_no_server_says_why(post: Post) -> None:
    async def reason(smtp_url: str) -> str:
        with pytest.raises(MailError) as error:
            await a_mailer(smtp_url).send(a_mail())
        assert not error.value.permanent
        return error.value.reason

    here = f"127.0.0.1:{post.port}"
    assert await reason(f"smtp+starttls://{here}") == f"{here}: STARTTLS not offered"
    assert await reason(f"smtp://user:secret@{here}") == f"{here}: login not offered"
    assert (await reason(f"smtps://{here}")).startswith(f"{here}: no TLS, ")
    assert await reason("smtp://mail.invalid:25") == "mail.invalid:25: no such host"
    await post.mailbox.stop_smtp()
    assert await reason(f"smtp://{here}") == f"{here}: no answer, ConnectionRefusedError"


async def test_a_login_that_is_refused_says_so_without_the_password() -> None:
    loop = asyncio.get_running_loop()

    def refuse(_server: object, _session: object, _envelope: object, _mechanism: str, _login: object) -> AuthResult:
        return AuthResult(success=False, handled=False)

    server = await loop.create_server(
        lambda: SMTP(Sink(), authenticator=refuse, auth_require_tls=False, loop=loop), "127.0.0.1"
    )
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtp://user:secret@127.0.0.1:{port}").send(a_mail())
    server.close()
    assert error.value.reason == f"127.0.0.1:{port}: login refused, 535 5.7.8"
    assert not error.value.permanent


async def test_a_certificate_that_nobody_vouches_for_is_told_as_such() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(__file__).parent / "self_signed.pem")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(), loop=loop), "127.0.0.1", ssl=context)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtps://127.0.0.1:{port}").send(a_mail())
    server.close()
    assert error.value.reason == f"127.0.0.1:{port}: certificate not accepted, self-signed certificate"


async def test_a_server_that_is_not_there_is_asked_again(post: Post) -> None:
    await post.mailbox.stop_smtp()
    with pytest.raises(MailError) as error:
        await post.mailer.send(a_mail())
    assert not error.value.permanent


async def test_a_login_the_server_does_not_know_is_for_the_operator_to_mend(post: Post) -> None:
    with pytest.raises(MailError) as error:
        await a_mailer(f"smtp://user:secret@127.0.0.1:{post.port}").send(a_mail())
    assert not error.value.permanent
    assert "secret" not in str(error.value)


async def test_the_login_in_the_address_is_decoded_and_given() -> None:
    given: list[tuple[bytes, bytes]] = []

    def know(_server: object, _session: object, _envelope: object, _mechanism: str, login: LoginPassword) -> AuthResult:
        given.append((login.login, login.password))
        return AuthResult(success=True)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Sink(), authenticator=know, auth_require_tls=False, loop=loop), "127.0.0.1"
    )
    port = server.sockets[0].getsockname()[1]
    await a_mailer(f"smtp://b%40x:p%2Fw%3A%25@127.0.0.1:{port}").send(a_mail())
    server.close()
    assert given == [(b"b@x", b"p/w:%")]


async def test_encryption_that_the_server_lacks_is_not_gone_without(post: Post) -> None:
    for scheme in ("smtps", "smtp+starttls"):
        with pytest.raises(MailError):
            await a_mailer(f"{scheme}://127.0.0.1:{post.port}").send(a_mail())
    assert post.mailbox.messages == []


async def test_without_a_mail_server_mail_is_off_and_says_so_once() -> None:
    with capture_logs() as logs:
        mailer = a_mailer(None)
        assert not mailer.enabled
        with pytest.raises(MailError) as error:
            await mailer.send(a_mail())
    assert not error.value.permanent
    assert [entry["event"] for entry in logs] == ["mail_is_off"]


# -- The calendar file -------------------------------------------------------------------------------------

ODD = st.text(max_size=80)


def entry_of(ics: bytes) -> Any:
    (entry,) = Calendar.from_ical(ics).walk("VEVENT")
    return entry


def a_file(**changes: Any) -> bytes:
    return calendar_file(a_booking(**changes), widget=WIDGET, url=MANAGE, now=NOW, language="en")


def test_the_calendar_entry_says_what_the_mail_says() -> None:
    entry = entry_of(a_file())
    assert str(entry["uid"]) == "bk_1@holdfast"
    assert entry["dtstart"].dt == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert entry["dtend"].dt == datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    assert entry["dtstamp"].dt == NOW
    assert str(entry["summary"]) == "Portrait session · Studio Nord"
    assert str(entry["location"]) == "Studio Nord, Götgatan 1"
    assert str(entry["description"]) == f"With Maja Lind\nYour booking: {MANAGE}"
    assert str(entry["organizer"]) == "mailto:owner@studio.example"
    assert entry["organizer"].params["cn"] == "Studio Nord"
    assert entry["status"] == "CONFIRMED"
    assert b"DTSTART:20261124T090000Z" in a_file()


def test_a_change_keeps_the_entry_and_raises_its_sequence() -> None:
    before, after = entry_of(a_file()), entry_of(a_file(revision=2, starts_at=NOW + timedelta(days=5)))
    assert before["uid"] == after["uid"]
    assert (before["sequence"], after["sequence"]) == (1, 2)


def test_a_canceled_booking_takes_its_entry_away() -> None:
    for status in (Status.CANCELED, Status.EXPIRED):
        off = a_file(status=status)
        assert entry_of(off)["status"] == "CANCELLED"
        assert Calendar.from_ical(off)["method"] == "CANCEL"
    assert Calendar.from_ical(a_file())["method"] == "PUBLISH"
    ics = calendar_file(a_booking(), widget=WIDGET, url="", now=NOW, language="en", method="CANCEL")
    assert entry_of(ics)["status"] == "CANCELLED"
    assert Calendar.from_ical(ics)["method"] == "CANCEL"
    assert "url" not in entry_of(ics)


def test_a_booking_that_is_not_final_is_tentative() -> None:
    assert entry_of(a_file(status=Status.PAID))["status"] == "TENTATIVE"


def test_without_an_owners_address_there_is_no_organizer() -> None:
    ics = calendar_file(a_booking(), widget=Widget(name="plain"), url="", now=NOW, language="en")
    assert "organizer" not in entry_of(ics)


def test_without_an_organizer_the_file_states_no_method_and_still_takes_the_entry_off() -> None:
    """RFC 5546 demands an ORGANIZER wherever there is a METHOD."""
    endings: tuple[tuple[Literal["PUBLISH", "CANCEL"], str], ...] = (("PUBLISH", "CONFIRMED"), ("CANCEL", "CANCELLED"))
    for method, status in endings:
        ics = calendar_file(
            a_booking(revision=2), widget=Widget(name="plain"), url="", now=NOW, language="en", method=method
        )
        assert "method" not in Calendar.from_ical(ics)
        assert (entry_of(ics)["status"], entry_of(ics)["sequence"]) == (status, 2)
    with_owner = Calendar.from_ical(a_file())
    assert (with_owner["method"], str(entry_of(a_file())["organizer"])) == ("PUBLISH", "mailto:owner@studio.example")


@settings(max_examples=60)
@given(service=ODD, resource=ODD, location=ODD, owner=ODD)
def test_whatever_things_are_called_the_calendar_file_reads_back(
    service: str, resource: str, location: str, owner: str
) -> None:
    widget = WIDGET.model_copy(update={"owner_name": owner})
    booking = a_booking(service_name=service, resource_name=resource, location_name=location)
    ics = calendar_file(booking, widget=widget, url=MANAGE, now=NOW, language="en")
    assert all(len(line) <= 75 for line in ics.split(b"\r\n"))
    entry = entry_of(ics)
    assert str(entry["location"]) == one_line(location)
    assert str(entry["summary"]) == " · ".join(filter(None, (one_line(service), one_line(owner))))
    assert str(entry["description"]) == f"With {one_line(resource)}\nYour booking: {MANAGE}"
    assert entry["organizer"].params["cn"] == (one_line(owner.replace("\\", " ")) or "owner@studio.example")


def one_line(text: str) -> str:
    """What a name comes to on one line."""
    return "".join(char for char in " ".join(text.split()) if ord(char) > 31 and not 127 <= ord(char) < 160)


def test_the_calendar_links_carry_the_time_and_never_the_manage_link() -> None:
    links = calendar_links(a_booking(service_name="Cut & colour + wash"), widget=WIDGET)
    google, outlook = (parse_qs(urlsplit(links[name]).query) for name in ("google", "outlook"))
    assert google["dates"] == ["20261124T090000Z/20261124T100000Z"]
    assert google["text"] == outlook["subject"] == ["Cut & colour + wash · Studio Nord"]
    assert (outlook["startdt"], outlook["enddt"]) == (["2026-11-24T09:00:00Z"], ["2026-11-24T10:00:00Z"])
    assert "token" not in json.dumps(links)
    assert "+" not in links["outlook"]


NEW_YORK = Visitor("visitor", "America/New_York")

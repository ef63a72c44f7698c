"""Mails about a booking, and the post that brings them over real SMTP."""

from dataclasses import dataclass, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from icalendar import Calendar
from jinja2 import Environment, FileSystemLoader

from app.domain.booking import Booking, Status, Trouble, Visitor
from app.mail import Mail, Mailer, MailKind
from app.widgets import Question, Theme, Widget
from sandbox.mailbox import MailboxSandbox, Message
from tests.support.examples import NOW, a_booking

TEMPLATES = Path(__file__).parents[2] / "templates"
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
#: Whose clock is another than the studio's.
NEW_YORK = Visitor("visitor", "America/New_York")


def a_mail(kind: MailKind = MailKind.CONFIRMED_CUSTOMER, **changes: Any) -> Mail:
    """A mail of this kind about a booking of Ada's."""
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
    """Writes and sends as the product does."""
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
    """Its HTML."""
    assert message.html
    return Reader(message.html)


def entry_of(ics: bytes) -> Any:
    """The only entry of a calendar file."""
    (entry,) = Calendar.from_ical(ics).walk("VEVENT")
    return entry

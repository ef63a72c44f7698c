"""Makes a message from what a mail says, and gives it to the mail server."""

from __future__ import annotations

import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import aiosmtplib
import structlog
from jinja2 import Environment, StrictUndefined, select_autoescape

from app.domain.booking import Status
from app.domain.colours import ink_on
from app.domain.hostnames import registered_name
from app.errors import MailError
from app.mail import to_customer, to_owner
from app.mail.calendars import calendar_file, stated_method
from app.mail.letter import Letter, Mail, MailKind, one_line, printable
from app.mail.phrases import greeting, today, zones
from app.mail.subjects import MESSAGE
from app.text.catalogues import translator
from app.text.formats import format_day, format_span
from app.text.languages import direction

#: Seconds for one step of the conversation with the mail server.
SMTP_TIMEOUT = 20
#: Whoever may have been reached is written to again until they may have it so many times.
_COPIES = 3
_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}

log = structlog.get_logger()


class Give(Protocol):
    """The way to a mail server. Raises MailError."""

    async def __call__(self, message: EmailMessage, server: SplitResult, *, sender: str) -> None:
        """Hand the message over."""


class Mailer:
    """Builds messages and gives them to the SMTP server. Without `smtp_url` it is off: see `enabled`.

    `mail_from` is an address, or "Name <address>"; customers see the owner's name where there is one. `templates`
    finds `email/letter.html` and `.txt`; `through` is the way to the mail server, by default SMTP. Raises ValueError
    if mail is on and `mail_from` is no address.
    """

    def __init__(
        self,
        *,
        smtp_url: str | None,
        mail_from: str,
        templates: Environment,
        now: Callable[[], datetime],
        through: Give | None = None,
    ) -> None:
        self._server = urlsplit(smtp_url) if smtp_url else None
        self._from_name, self._from_address = parseaddr(mail_from)
        if smtp_url:
            _check_sender(self._from_address)
        environment = templates.overlay(
            autoescape=select_autoescape(("html",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._html = environment.get_template("email/letter.html")
        self._text = environment.get_template("email/letter.txt")
        self._now = now
        self._give = through or give
        self._had: Counter[tuple[str, str]] = Counter()
        if not self.enabled:
            log.warning("mail_is_off", reason="SMTP_URL is not set")

    @property
    def enabled(self) -> bool:
        """Whether there is a mail server; without one, mails stay owed."""
        return self._server is not None

    async def send(self, mail: Mail) -> None:
        """Give the mail to the server. Raises MailError; a repeat carries the same Message-ID.

        An error is permanent only where the server permanently refuses this recipient or this message, or where the
        message cannot be written. A refused login or sender can be corrected by the operator, and the mail waits for
        that.
        """
        if self._server is None:
            raise MailError("mail is off", permanent=False)
        try:
            message = self.message(mail)
        except (ValueError, LookupError, MessageError) as error:
            raise MailError(f"cannot be written: {type(error).__name__}", permanent=True) from error
        await self._give(message, self._server, sender=self._from_address)

    async def send_text(self, *, to: str, subject: str, text: str) -> None:
        """Plain words to someone who works here, not about any booking. Raises MailError."""
        if self._server is None:
            raise MailError("mail is off", permanent=False)
        message = plain_message((self._from_name, self._from_address), to=to, subject=subject, text=text)
        message["Date"] = format_datetime(self._now())
        await self._give(message, self._server, sender=self._from_address)

    async def send_texts(self, about: str, texts: Mapping[str, tuple[str, str]]) -> None:
        """The same for several people, by address: (subject, text), about one thing. Whom it does not reach keeps
        nobody else waiting; called again, it goes to those alone, as far as this process knows. Who may have it already
        gets so many copies at most. Raises MailError, one that is worth another try before one that is not."""
        failed: MailError | None = None
        for to, (subject, text) in texts.items():
            if self._had[about, to] >= _COPIES:
                continue
            try:
                await self.send_text(to=to, subject=subject, text=text)
            except MailError as error:
                self._had[about, to] += error.may_have_arrived
                if self._had[about, to] < _COPIES and (failed is None or failed.permanent):
                    failed = error
            else:
                self._had[about, to] = _COPIES
        if failed:
            raise failed
        for to in texts:
            del self._had[about, to]

    def message(self, mail: Mail) -> EmailMessage:
        """The finished message: plain text, HTML, and where the calendar must follow its file."""
        letter = write_letter(mail, now=self._now())
        widget, booking = mail.widget, mail.booking
        message = EmailMessage(policy=MESSAGE)
        message["From"] = _address(self._from_address, one_line(widget.owner_name or self._from_name))
        message["To"] = _address(mail.to)
        reply_to = booking.customer.email if mail.kind.to_owner and booking.customer else widget.owner_email
        if reply_to and reply_to != mail.to:
            message["Reply-To"] = _address(reply_to)
        message["Subject"] = one_line(letter.subject)
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = mail.message_id
        message["Auto-Submitted"] = "auto-generated"
        context = self._context(mail, letter)
        message.set_content(printable(self._text.render(context)))
        message.add_alternative(printable(self._html.render(context)), subtype="html")
        if letter.method:
            stated = stated_method(letter.method, widget)
            message.add_attachment(
                calendar_file(
                    booking,
                    widget=widget,
                    url=mail.manage_url,
                    now=self._now(),
                    language=mail.language,
                    method=letter.method,
                ),
                maintype="text",
                subtype="calendar",
                filename="booking.ics",
                params={**({"method": stated} if stated else {}), "charset": "utf-8"},
            )
        return message

    def _context(self, mail: Mail, letter: Letter) -> dict[str, object]:
        booking, language = mail.booking, mail.language
        day = today(self._now(), booking.time_zone)
        return {
            "letter": letter,
            "language": language,
            "direction": direction(language),
            "accent": mail.widget.theme.accent,
            "on_accent": ink_on(mail.widget.theme.accent),
            "greeting": "" if mail.kind.to_owner else greeting(booking.customer, language),
            "owner": mail.widget.owner_name,
            "day": format_day(booking.starts_at, booking.time_zone, language, today=day),
            "span": format_span(booking.starts_at, booking.ends_at, booking.time_zone, language),
            "zones": zones(mail),
            "off": booking.status in {Status.CANCELED, Status.EXPIRED, Status.OFFERED},
            "add_to_calendar": translator(language).gettext("Add to your calendar"),
            "not_working": translator(language).gettext("Button not working? Open this link:"),
        }


async def send_plain(*, smtp_url: str, mail_from: str, to: str, subject: str, text: str, now: datetime) -> None:
    """Plain words through a mail server that no `Mailer` was made for yet. Raises MailError, and ValueError where
    `mail_from` is no address."""
    name, sender = parseaddr(mail_from)
    _check_sender(sender)
    message = plain_message((name, sender), to=to, subject=subject, text=text)
    message["Date"] = format_datetime(now)
    await give(message, urlsplit(smtp_url), sender=sender)


def plain_message(sender: tuple[str, str], *, to: str, subject: str, text: str) -> EmailMessage:
    """Plain words from (name, address), without a date."""
    name, address = sender
    message = EmailMessage(policy=MESSAGE)
    message["From"] = _address(address, one_line(name))
    message["To"] = _address(to)
    message["Subject"] = one_line(subject)
    message["Message-ID"] = make_msgid(domain=address.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(printable(text))
    return message


async def give(message: EmailMessage, server: SplitResult, *, sender: str) -> None:
    """Hand it to the server. Raises MailError."""
    client = _Client(
        hostname=_host(server),
        port=_port(server),
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        timeout=SMTP_TIMEOUT,
    )
    recipients = [address.addr_spec for address in message["To"].addresses]
    try:
        async with client:
            await client.send_message(message, sender=sender, recipients=recipients)
    except (aiosmtplib.SMTPException, OSError) as error:
        step, permanent = _what_failed(error)
        answered = isinstance(error, aiosmtplib.SMTPResponseException)
        # A server's own sentence may quote the address, so the cause is left out of tracebacks.
        raise MailError(
            f"{server.hostname or 'localhost'}:{_port(server)}: {step}",
            permanent=permanent,
            may_have_arrived=client.handed_over and not answered,
        ) from None


class _Client(aiosmtplib.SMTP):
    """A connection that knows whether the message was handed over."""

    handed_over = False

    async def data(self, *message: Any, **options: Any) -> aiosmtplib.SMTPResponse:
        self.handed_over = True
        return await super().data(*message, **options)


def _host(server: SplitResult) -> str:
    """By the standard that its mail addresses go by; Python's own way would ask another server for "ß"."""
    try:
        return registered_name(server.hostname or "localhost")
    except ValueError:
        return server.hostname or "localhost"


def _port(server: SplitResult) -> int:
    return server.port or _PORTS[server.scheme]


def _what_failed(error: aiosmtplib.SMTPException | OSError) -> tuple[str, bool]:
    """(the step that failed and the server's code, whether trying again is of no use). Never the server's sentence."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            refusals = [(refusal.code, refusal.message) for refusal in error.recipients]
            codes = ", ".join(_code(*refusal) for refusal in refusals)
            return f"recipient refused, {codes}", all(_for_good(*refusal) for refusal in refusals)
        case aiosmtplib.SMTPDataError():
            return f"message refused, {_code(error.code, error.message)}", _for_good(error.code, error.message)
        case aiosmtplib.SMTPNotSupported():
            return "the server cannot carry an address beyond ASCII", True
        case aiosmtplib.SMTPAuthenticationError():
            return f"login refused, {_code(error.code, error.message)}", False
        case aiosmtplib.SMTPSenderRefused():
            return f"sender refused, {_code(error.code, error.message)}", False
        case aiosmtplib.SMTPResponseException():
            return f"refused, {_code(error.code, error.message)}", False
    cause = error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate not accepted, {cause.verify_message}", False
    if isinstance(cause, ssl.SSLError):
        return f"no TLS, {cause.reason}", False
    if isinstance(cause, socket.gaierror):
        return "no such host", False
    # The package has no class of its own for what a server does not offer.
    if "STARTTLS extension" in str(error):
        return "STARTTLS not offered", False
    if "AUTH extension" in str(error):
        return "login not offered", False
    return f"no answer, {type(cause).__name__}", False


def _code(code: int, message: str) -> str:
    """A server's code with its enhanced status code, where it has one (RFC 3463)."""
    return f"{code} {_enhanced(message)}".strip()


def _enhanced(message: str) -> str:
    found = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", message)
    return found.group() if found else ""


def _for_good(code: int, message: str) -> bool:
    """Whether a refusal lasts. A full mailbox is emptied some day, whatever class its code has: RFC 5321 4.5.3.1.10 on
    552; RFC 3463 on x.2.2 (mailbox full), x.3.1 (system full) and x.3.2 (system not accepting)."""
    enhanced = _enhanced(message)
    if enhanced:
        return enhanced.startswith("5.") and enhanced[1:] not in {".2.2", ".3.1", ".3.2"} and code >= 500
    return code >= 500 and code != 552


def write_letter(mail: Mail, *, now: datetime) -> Letter:
    """What the mail says, in its language. `now` decides what is still ahead, and whether a year must be named."""
    letter = _WRITERS[mail.kind](mail, now)
    if mail.staff_url:
        letter = replace(letter, action=(translator(mail.language).gettext("Open the booking"), mail.staff_url))
    return letter


_WRITERS: Mapping[MailKind, Callable[[Mail, datetime], Letter]] = {
    MailKind.CONFIRMED_CUSTOMER: to_customer.confirmed,
    MailKind.CONFIRMED_OWNER: to_owner.confirmed,
    MailKind.RELEASED_CUSTOMER: to_customer.released,
    MailKind.REFUNDED_CUSTOMER: to_customer.refunded,
    MailKind.REFUNDED_OWNER: to_owner.refunded,
    MailKind.CANCELED_CUSTOMER: to_customer.canceled,
    MailKind.CANCELED_OWNER: to_owner.canceled,
    MailKind.RESTORED_CUSTOMER: to_customer.restored,
    MailKind.RESTORED_OWNER: to_owner.restored,
    MailKind.MOVED_CUSTOMER: to_customer.moved,
    MailKind.MOVED_OWNER: to_owner.moved,
    MailKind.NOT_MOVED_CUSTOMER: to_customer.not_moved,
    MailKind.REMINDER_CUSTOMER: to_customer.reminder,
    MailKind.LINK_CUSTOMER: to_customer.new_link,
    MailKind.REFUND_FAILED_CUSTOMER: to_customer.refund_failed,
    MailKind.REFUND_FAILED_OWNER: to_owner.refund_failed,
    MailKind.DISPUTED_OWNER: to_owner.disputed,
    MailKind.DELAYED_CUSTOMER: to_customer.delayed,
    MailKind.PAY_LINK_CUSTOMER: to_customer.pay_link,
    MailKind.PAY_REMINDER_CUSTOMER: to_customer.pay_reminder,
    MailKind.NOT_PAID_OWNER: to_owner.not_paid,
    MailKind.TROUBLE_OWNER: to_owner.trouble,
    MailKind.OFFERED_CUSTOMER: to_customer.offered,
    MailKind.OFFERED_OWNER: to_owner.offered,
}


def _check_sender(address: str) -> None:
    # Found only when a mail is written, it would cost every mail.
    try:
        _address(address)
    except (ValueError, LookupError, MessageError):
        raise ValueError("MAIL_FROM is not an address such as bookings@example.com") from None


def _address(address: str, name: str = "") -> Address:
    """An address for a header. Raises ValueError or MessageError for what is none."""
    if address.isascii():
        return Address(name, addr_spec=address)
    local_part, _, domain = address.rpartition("@")
    domain = registered_name(domain)
    # The library parses ASCII only; with a stand-in for every other letter it still tells what is no address.
    Address(addr_spec=f"{re.sub('[^ -~]', 'x', local_part)}@{domain}")
    return Address(name, username=local_part, domain=domain)

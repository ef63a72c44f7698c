"""Mail: what each one says, its HTML and plain-text twins, sending, and calendar entries.

A mail says one fact about a booking in a final state. What a customer typed is never repeated to the customer's
address: anybody may type anybody's address, and ours would carry their words there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from enum import StrEnum
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

import aiosmtplib
import structlog
from icalendar import Calendar, Event, vCalAddress
from jinja2 import Environment, StrictUndefined, select_autoescape

from app.attribution import booked_on, came_from
from app.domain import Booking, EndReason, Money, Status, Terms
from app.errors import MailError
from app.i18n import (
    direction,
    format_day,
    format_money,
    format_span,
    format_time,
    local,
    same_clock,
    translator,
    zone_label,
)
from app.widgets import Widget

#: Seconds for one step of the conversation with the mail server.
SMTP_TIMEOUT = 20
_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}

log = structlog.get_logger()


class MailKind(StrEnum):
    """Which fact a mail tells, and to whom."""

    CONFIRMED_CUSTOMER = "confirmed_customer"
    CONFIRMED_OWNER = "confirmed_owner"
    #: The time was given back, nothing was charged.
    RELEASED_CUSTOMER = "released_customer"
    #: A payment came that could buy nothing, and goes back.
    REFUNDED_CUSTOMER = "refunded_customer"
    REFUNDED_OWNER = "refunded_owner"

    @property
    def to_owner(self) -> bool:
        """Whether it goes to the owner's address."""
        return self.value.endswith("_owner")


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to send.

    `message_id` is the whole header value, the same for every attempt. `manage_url` and `status_url` may be empty:
    then nothing links there. `refund` is what goes back; None where held money was let go. `detail` is the outbox
    row's: `reason` (an EndReason) and `rescued`.
    """

    message_id: str
    to: str
    kind: MailKind
    booking: Booking
    language: str
    manage_url: str
    status_url: str
    widget: Widget
    refund: Money | None = None
    detail: Mapping[str, object] = field(default_factory=dict)

    @property
    def reason(self) -> EndReason | None:
        """Why the booking, or this payment, came to nothing."""
        reason = self.detail.get("reason")
        return EndReason(str(reason)) if reason else self.booking.end_reason


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says, before it becomes HTML and plain text."""

    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    action: tuple[str, str] | None = None
    calendar: Mapping[str, str] = field(default_factory=dict)
    closing: str = ""


class Mailer:
    """Builds messages and gives them to the SMTP server. Without `smtp_url` it is off: see `enabled`.

    `mail_from` is an address, or "Name <address>"; customers see the owner's name where there is one. `templates`
    finds `email/letter.html` and `.txt`. Raises ValueError if mail is on and `mail_from` is no address.
    """

    def __init__(
        self, *, smtp_url: str | None, mail_from: str, templates: Environment, now: Callable[[], datetime]
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
        if not self.enabled:
            log.warning("mail_is_off", reason="SMTP_URL is not set")

    @property
    def enabled(self) -> bool:
        """Whether there is a mail server; without one, mails stay owed."""
        return self._server is not None

    async def send(self, mail: Mail) -> None:
        """Give the mail to the server. Raises MailError; a repeat carries the same Message-ID.

        Permanent is only what the server says of this recipient or this message for good, or a message that cannot
        be written: a refused login or sender is the operator's to mend, and the mail waits for it.
        """
        if self._server is None:
            raise MailError("mail is off", permanent=False)
        try:
            message = self.message(mail)
        except (ValueError, LookupError, MessageError) as error:
            raise MailError(f"cannot be written: {type(error).__name__}", permanent=True) from error
        try:
            await _send(message, self._server, sender=self._from_address)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refusal.code for refusal in error.recipients]
            permanent = all(code >= 500 for code in codes)
            raise MailError(f"recipient refused: {codes}", permanent=permanent) from None
        except aiosmtplib.SMTPDataError as error:
            raise MailError(f"message refused: {error.code}", permanent=error.code >= 500) from None
        except aiosmtplib.SMTPNotSupported:
            raise MailError("the server cannot carry this address", permanent=True) from None
        except aiosmtplib.SMTPResponseException as error:
            raise MailError(f"{type(error).__name__}: {error.code}", permanent=False) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailError(f"no answer: {type(error).__name__}", permanent=False) from None

    def message(self, mail: Mail) -> EmailMessage:
        """The finished message: plain text, HTML, and for a confirmed booking its calendar file."""
        letter = write_letter(mail, now=self._now())
        widget, booking = mail.widget, mail.booking
        message = EmailMessage(policy=SMTP)
        message["From"] = _address(self._from_address, _line(widget.owner_name or self._from_name))
        message["To"] = _address(mail.to)
        reply_to = booking.customer.email if mail.kind.to_owner and booking.customer else widget.owner_email
        if reply_to and reply_to != mail.to:
            message["Reply-To"] = _address(reply_to)
        message["Subject"] = _line(letter.subject)
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = mail.message_id
        message["Auto-Submitted"] = "auto-generated"
        _ = translator(mail.language).gettext
        context = {
            "letter": letter,
            "language": mail.language,
            "direction": direction(mail.language),
            "accent": widget.theme.accent,
            "owner": widget.owner_name,
            "day": format_day(
                booking.starts_at, booking.time_zone, mail.language, today=_today(self._now(), booking.time_zone)
            ),
            "span": format_span(booking.starts_at, booking.ends_at, booking.time_zone, mail.language),
            "zones": _zones(mail),
            "add_to_calendar": _("Add to your calendar"),
            "calendar_note": _("The attached file fits every calendar program."),
        }
        message.set_content(_printable(self._text.render(context)))
        message.add_alternative(_printable(self._html.render(context)), subtype="html")
        if letter.calendar:
            message.add_attachment(
                calendar_file(booking, widget=widget, url=mail.manage_url, now=self._now(), language=mail.language),
                maintype="text",
                subtype="calendar",
                filename="booking.ics",
                params={"method": "PUBLISH", "charset": "utf-8"},
            )
        return message


async def _send(message: EmailMessage, server: SplitResult, *, sender: str) -> None:
    recipients = [address.addr_spec for address in message["To"].addresses]
    await aiosmtplib.send(
        message,
        sender=sender,
        recipients=recipients,
        hostname=server.hostname or "localhost",
        port=server.port or _PORTS[server.scheme],
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        timeout=SMTP_TIMEOUT,
    )


def write_letter(mail: Mail, *, now: datetime) -> Letter:
    """What the mail says, in its language. `now` decides whether a year must be named."""
    _ = translator(mail.language).gettext
    booking, language = mail.booking, mail.language
    today = _today(now, booking.time_zone)
    day = format_day(booking.starts_at, booking.time_zone, language, "medium", today=today)
    what = {
        "service": booking.service_name,
        "when": f"{day} {format_time(booking.starts_at, booking.time_zone, language)}",
        "resource": booking.resource_name,
        "amount": format_money(mail.refund, language) if mail.refund else "",
        "customer": booking.customer.name if booking.customer else "",
    }
    place = ((_("What"), booking.service_name), (_("With"), booking.resource_name), (_("Where"), booking.location_name))
    match mail.kind:
        case MailKind.CONFIRMED_CUSTOMER:
            paid = not booking.terms.free
            said = [_("Your time is booked and paid.") if paid else _("Your time is booked.")]
            if mail.detail.get("rescued"):
                said.append(
                    _(
                        "Your payment arrived after the time had been given back. "
                        "It was still free, and we booked it again with %(resource)s."
                    )
                    % what
                )
            policy = "\n".join(policy_lines(booking.terms, booking.starts_at, booking.time_zone, language, now=now))
            return Letter(
                subject=_("Confirmed: %(service)s, %(when)s") % what,
                heading=_("Your booking is confirmed"),
                paragraphs=tuple(said),
                rows=_filled(*place, (_("Price"), _price(booking, language)), (_("If you cancel"), policy)),
                action=_action(mail.manage_url, _("See your booking")),
                calendar=calendar_links(booking, widget=mail.widget),
                closing=_contact(mail.widget, language),
            )
        case MailKind.CONFIRMED_OWNER:
            return Letter(
                subject=_("New booking: %(service)s, %(when)s, %(customer)s") % what,
                heading=_("You have a new booking"),
                paragraphs=(),
                rows=_filled(
                    *place,
                    (_("Price"), _price(booking, language)),
                    *_customer_rows(mail),
                    (_("Came from"), came_from(booking.visitor)),
                    (_("Booked on"), booked_on(booking.visitor)),
                ),
            )
        case MailKind.RELEASED_CUSTOMER:
            return Letter(
                subject=_("Not booked: %(service)s, %(when)s") % what,
                heading=_("Your time was given back"),
                paragraphs=(_why_released(mail.reason, language), _("You have not been charged.")),
                rows=_filled(*place),
                action=_action(mail.status_url, _("See if the time is still free")),
                closing=_contact(mail.widget, language),
            )
        case MailKind.REFUNDED_CUSTOMER:
            back = (
                _("We send %(amount)s back the way you paid. It usually arrives within 5 to 10 days.")
                if mail.refund
                else _("You have not been charged. What your bank had set aside is free again within days.")
            )
            return Letter(
                subject=(
                    _("Second payment refunded: %(service)s, %(when)s")
                    if _paid_twice(mail)
                    else _("Refunded: %(service)s, %(when)s")
                )
                % what,
                heading=_("Your payment goes back to you"),
                paragraphs=(_why_refunded(mail, language), back % what),
                rows=_filled(*place),
                action=_action(mail.status_url, _("See your booking")),
                closing=_contact(mail.widget, language),
            )
        case MailKind.REFUNDED_OWNER:
            back = _("We send %(amount)s back to the customer.") if mail.refund else _("Nothing was charged.")
            return Letter(
                subject=_("Refunded: %(service)s, %(when)s, %(customer)s") % what,
                heading=_("A payment goes back"),
                paragraphs=(_why_refunded_to_owner(mail, language), back % what, _("There is nothing you must do.")),
                rows=_filled(*place, *_customer_rows(mail)),
            )


def policy_lines(terms: Terms, starts_at: datetime, zone: str, language: str, *, now: datetime) -> list[str]:
    """The cancellation policy as dated sentences, earliest deadline first; what is past is left out.

    Empty for a free booking: there is nothing to give back.
    """
    _ = translator(language).gettext
    if terms.free:
        return []
    lines: list[str] = []
    for until, percent in terms.steps(starts_at):
        if until <= now or not percent:
            continue
        day = format_day(until, zone, language, "medium", today=_today(now, zone))
        when = _("%(day)s, %(times)s") % {"day": day, "times": format_time(until, zone, language)}
        values = {"percent": percent, "when": when}
        if percent == 100:
            lines.append(_("Free cancellation until %(when)s") % values)
        elif lines:
            lines.append(_("then %(percent)d %% back until %(when)s") % values)
        else:
            lines.append(_("%(percent)d %% back until %(when)s") % values)
    lines.append(_("after that, nothing back") if lines else _("The price is not paid back"))
    return lines


def calendar_file(
    booking: Booking,
    *,
    widget: Widget,
    url: str,
    now: datetime,
    language: str,
    method: Literal["PUBLISH", "CANCEL"] = "PUBLISH",
) -> bytes:
    """The booking as an iCalendar file (RFC 5545, RFC 5546); serve it as text/calendar with the same `method`.

    One UID for the booking's life, so that a later file changes the entry and does not add one. `url` (may be
    empty) is where the customer manages the booking. Times are in UTC: no program can misread those.
    """
    _ = translator(language).gettext
    entry = Event()
    entry.add("uid", f"{booking.id}@holdfast")
    entry.add("sequence", booking.revision)
    entry.add("dtstamp", now.astimezone(UTC))
    entry.add("dtstart", booking.starts_at.astimezone(UTC))
    entry.add("dtend", booking.ends_at.astimezone(UTC))
    entry.add("summary", _summary(booking, widget))
    entry.add("location", _line(booking.location_name))
    told = [_("With %(resource)s") % {"resource": _line(booking.resource_name)}]
    if url:
        told.append(_("Your booking: %(url)s") % {"url": url})
        entry.add("url", url)
    entry.add("description", "\n".join(told))
    ended = method == "CANCEL" or booking.status in {Status.CANCELED, Status.EXPIRED}
    sure = booking.status is Status.CONFIRMED
    entry.add("status", "CANCELLED" if ended else "CONFIRMED" if sure else "TENTATIVE")
    if widget.owner_email:
        organizer = vCalAddress(f"mailto:{widget.owner_email}")
        # Parsers, icalendar's own among them, take a backslash in a parameter for the start of an escape.
        organizer.params["cn"] = _line(widget.owner_name.replace("\\", " ")) or widget.owner_email
        entry.add("organizer", organizer)
    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Booking//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(entry)
    return bytes(calendar.to_ical())


def calendar_links(booking: Booking, *, widget: Widget) -> dict[str, str]:
    """Links that open a prefilled entry, by calendar ("google", "outlook").

    The manage link is not in them, because it would reach those calendars' logs.
    """
    start, end = booking.starts_at.astimezone(UTC), booking.ends_at.astimezone(UTC)
    summary, location = _summary(booking, widget), _line(booking.location_name)
    google = {
        "action": "TEMPLATE",
        "text": summary,
        "dates": f"{start:%Y%m%dT%H%M%SZ}/{end:%Y%m%dT%H%M%SZ}",
        "location": location,
    }
    outlook = {
        "rru": "addevent",
        "subject": summary,
        "startdt": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "enddt": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "location": location,
    }
    # Outlook shows a "+" as it stands, so spaces are %20.
    return {
        "google": f"https://calendar.google.com/calendar/render?{urlencode(google, quote_via=quote)}",
        "outlook": f"https://outlook.live.com/calendar/action/compose?{urlencode(outlook, quote_via=quote)}",
    }


def _summary(booking: Booking, widget: Widget) -> str:
    return " · ".join(filter(None, (_line(booking.service_name), _line(widget.owner_name))))


def _zones(mail: Mail) -> tuple[str, ...]:
    """The place's zone, and the visitor's own time where its clock shows another."""
    _ = translator(mail.language).gettext
    booking, visitor_zone = mail.booking, mail.booking.visitor.time_zone
    if mail.kind.to_owner or not visitor_zone or same_clock(visitor_zone, booking.time_zone, booking.starts_at):
        return ()
    span = format_span(booking.starts_at, booking.ends_at, visitor_zone, mail.language)
    here, there = (local(booking.starts_at, zone).date() for zone in (booking.time_zone, visitor_zone))
    if here != there:
        day = format_day(booking.starts_at, visitor_zone, mail.language, "medium", today=there)
        span = _("%(day)s, %(times)s") % {"day": day, "times": span}
    where = zone_label(visitor_zone, booking.starts_at, mail.language)
    return (
        zone_label(booking.time_zone, booking.starts_at, mail.language),
        _("Your time: %(span)s (%(zone)s)") % {"span": span, "zone": where},
    )


def _price(booking: Booking, language: str) -> str:
    _ = translator(language).gettext
    if booking.terms.free:
        return _("Free")
    return _("%(amount)s, paid") % {"amount": format_money(booking.terms.price, language)}


def _customer_rows(mail: Mail) -> tuple[tuple[str, str], ...]:
    _ = translator(mail.language).gettext
    customer = mail.booking.customer
    if customer is None:
        return ()
    labels = {question.name: question.label for question in mail.widget.questions}
    answers = ((labels.get(name, name), answer) for name, answer in customer.answers.items())
    known = ((_("Name"), customer.name), (_("Email"), customer.email), (_("Phone"), customer.phone))
    return (*known, *answers, (_("Message"), customer.notes))


def _why_released(reason: EndReason | None, language: str) -> str:
    _ = translator(language).gettext
    match reason:
        case EndReason.PAYMENT_FAILED:
            return _("Your payment did not go through, so the time is free for others again.")
        case EndReason.GIVEN_UP:
            return _("You gave the time back, so it is free for others again.")
        case EndReason.REFUSED | EndReason.NO_ANSWER:
            return _("The calendar could not keep this time for you.")
        case _:
            return _("No payment came while we held the time, so it is free for others again.")


def _paid_twice(mail: Mail) -> bool:
    return mail.reason is EndReason.PAID_TWICE and mail.booking.status is Status.CONFIRMED


def _why_refunded(mail: Mail, language: str) -> str:
    _ = translator(language).gettext
    match mail.reason:
        case EndReason.SLOT_GONE:
            return _(
                "Your payment came when the time was already gone, and no one else was free then. You have no booking."
            )
        case EndReason.CAPTURE_FAILED:
            return _("Your bank did not hand over the amount that it had set aside. You have no booking.")
        case EndReason.PAYMENT_MISMATCH:
            return _("What was paid is not the price of this booking. You have no booking.")
        case EndReason.NO_ANSWER:
            return _("The calendar did not answer until the time had come. You have no booking.")
        case _ if _paid_twice(mail):
            return _("You paid twice. Your booking stands; the second payment goes back.")
        case _:
            return _("Your payment came when this booking was already over.")


def _why_refunded_to_owner(mail: Mail, language: str) -> str:
    _ = translator(language).gettext
    match mail.reason:
        case EndReason.SLOT_GONE:
            return _("The payment came when the time was already gone, and no one else was free then.")
        case EndReason.CAPTURE_FAILED:
            return _("The customer's bank did not hand over the amount that it had set aside.")
        case EndReason.PAYMENT_MISMATCH:
            return _("What was paid is not the price of the booking.")
        case EndReason.NO_ANSWER:
            return _("Hapio did not answer until the time had come, so the booking could not be confirmed.")
        case _ if _paid_twice(mail):
            return _("The customer paid twice. The booking stands; the second payment goes back.")
        case _:
            return _("The payment came when the booking was already over.")


def _contact(widget: Widget, language: str) -> str:
    _ = translator(language).gettext
    if widget.owner_email and widget.owner_phone:
        return _("Questions? Reply to this mail or call %(phone)s.") % {"phone": widget.owner_phone}
    if widget.owner_email:
        return _("Questions? Reply to this mail.")
    if widget.owner_phone:
        return _("Questions? Call %(phone)s.") % {"phone": widget.owner_phone}
    return ""


def _action(url: str, label: str) -> tuple[str, str] | None:
    return (label, url) if url else None


def _filled(*rows: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((label, value.strip()) for label, value in rows if value.strip())


def _today(now: datetime, zone: str) -> date:
    return local(now, zone).date()


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
    domain = domain.encode("idna").decode()
    # The library parses ASCII only; with a stand-in for every other letter it still tells what is no address.
    Address(addr_spec=f"{re.sub('[^ -~]', 'x', local_part)}@{domain}")
    return Address(name, username=local_part, domain=domain)


def _line(text: str) -> str:
    """One line without control characters, for a header or a calendar's field."""
    return _printable(" ".join(text.split()))


def _printable(text: str) -> str:
    # Control characters and lone surrogates go; marks that steer the writing direction (Cf) stay.
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"})

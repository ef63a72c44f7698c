"""Problems in words, or that all is well: what is wrong, what to do about it, and where; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict

from app.domain.booking import short_reference
from app.msgid import N_
from app.operations.alerts import Alert, AlertKind
from app.text import catalogues, formats, zones
from app.web.shared.time_words import moment_words

#: On the first page; *Technical* has all.
MOST: Final = 5
_MOST_BOOKINGS: Final = 3


class Said(TypedDict):
    """An alert in words. `links` are (words, address)."""

    what: str
    do: str
    links: list[tuple[str, str]]


class Well(TypedDict):
    """`alerts` is empty where all is well; `more` counts those that are not among them, `technical` has all."""

    alerts: list[Said]
    more: int
    technical: str


def well(alerts: Sequence[Alert], base: str, zone: str, now: datetime, language: str, *, most: int = MOST) -> Well:
    """What there is to say, `most` of it. Addresses begin with `base`."""
    said = [_said(alert, base, zone, now, language) for alert in alerts[:most]]
    return {"alerts": said, "more": len(alerts) - len(said), "technical": f"{base}/technical"}


def _said(alert: Alert, base: str, zone: str, now: datetime, language: str) -> Said:
    what, do = _sentences(alert, zone, now, language)
    links = [(short_reference(one), f"{base}/bookings/{one}") for one in dict.fromkeys(alert.bookings)]
    if alert.kind is AlertKind.MONEY_UNKNOWN:
        links = []  # this server has no page of it
    elif alert.kind is AlertKind.CALENDLY_BROKEN:
        links = [("Calendly", f"{base}/calendly")]
    elif alert.kind in _PARTS:
        part, words = _PARTS[alert.kind]
        links = [*links[:_MOST_BOOKINGS], (catalogues.translator(language).gettext(words), f"{base}/technical/{part}")]
    return {"what": what, "do": do, "links": links[: _MOST_BOOKINGS + 1]}


_MAILS: Final = ("emails", N_("See emails"))
_EVENTS: Final = ("events", N_("See messages"))
_PROGRAMS: Final = ("programs", N_("See programs"))
#: Where under *Technical* something can be done about it, and the words for the link.
_PARTS: Final = {
    AlertKind.MAILS_GIVEN_UP: _MAILS,
    AlertKind.MAILS_LATE: _MAILS,
    AlertKind.EVENTS_FAILING: _EVENTS,
    AlertKind.WEBHOOKS_SILENT: _EVENTS,
    AlertKind.PROGRAM_OFF: _PROGRAMS,
    AlertKind.PROGRAM_FAILING: _PROGRAMS,
}


def _sentences(alert: Alert, zone: str, now: datetime, language: str) -> tuple[str, str]:
    """What is not well, and what to do."""
    _ = catalogues.translator(language).gettext
    ngettext = catalogues.translator(language).ngettext
    values = {
        "num": alert.many,
        "amount": formats.format_money(alert.amount, language) if alert.amount else "",
        "name": alert.name,
        "why": alert.why,
        "since": moment_words(alert.since, zone, language, zones.local(now, zone).date()) if alert.since else "",
    }
    match alert.kind:
        case AlertKind.WORKER_LATE:
            what = _("Nothing is being carried out: bookings are not confirmed, and refunds and emails wait.")
            do = _("The part of the server that does it, the worker, is not running. Start the server again.")
        case AlertKind.PROVIDER_DOWN:
            stripe = alert.name == "stripe"
            what = _("Stripe does not answer.") if stripe else _("The calendar (%(name)s) does not answer.")
            do = _("We keep trying, and nothing is lost. Check its status page if this lasts.")
        case AlertKind.NOT_CONFIRMED:
            what = ngettext(
                "%(num)s booking is paid but not confirmed, because the calendar does not answer.",
                "%(num)s bookings are paid but not confirmed, because the calendar does not answer.",
                alert.many,
            )
            do = _("We keep trying until the appointment begins. If you cancel it, we refund the customer in full.")
        case AlertKind.MONEY_WITHOUT_BOOKING:
            what = _("We hold %(amount)s that pays for nothing and is not being refunded.")
            do = _("Open the booking and refund it.")
        case AlertKind.MONEY_UNKNOWN:
            what = _("We took %(amount)s for a booking that this server does not know.")
            do = _("Refund it in the Stripe dashboard, or on the server with: python -m app reconcile")
        case AlertKind.REFUND_STUCK:
            what = _("A refund of %(amount)s does not go out.")
            do = _(
                "Check your balance and your key in the Stripe dashboard. If you pay it another way, mark it so on the "
                "booking."
            )
        case AlertKind.DISPUTED:
            what = _("A customer's bank disputes a payment of %(amount)s.")
            do = _("Answer in the Stripe dashboard before the deadline that it names.")
        case AlertKind.NOT_MOVED:
            what = ngettext(
                "%(num)s booking is being moved, but the calendar does not answer.",
                "%(num)s bookings are being moved, but the calendar does not answer.",
                alert.many,
            )
            do = _("We keep trying until the new time begins. Both times are kept until then.")
        case AlertKind.NOT_ENDED:
            what = ngettext(
                "%(num)s unpaid booking still blocks its time, because Stripe does not say whether it was paid.",
                "%(num)s unpaid bookings still block their times, because Stripe does not say whether they were paid.",
                alert.many,
            )
            do = _("We keep asking. Check your Stripe account if this lasts.")
        case AlertKind.NOT_RELEASED:
            what = ngettext(
                "%(num)s ended booking still blocks its time in the calendar.",
                "%(num)s ended bookings still block their times in the calendar.",
                alert.many,
            )
            do = _("We keep trying. You can also delete the entry in your calendar yourself.")
        case AlertKind.SECOND_ENTRY:
            what = _("This booking stands, but the calendar may have a second entry for it that we could not delete.")
            do = _("We keep trying. If you delete it yourself, keep one entry at the time of the booking.")
        case AlertKind.MAIL_OFF:
            what = ngettext("%(num)s email is waiting.", "%(num)s emails are waiting.", alert.many)
            do = _("No mail server is set up: set SMTP_URL and MAIL_FROM, and start the server again.")
        case AlertKind.MAILS_LATE:
            what = ngettext(
                "%(num)s email has been waiting for more than a quarter of an hour.",
                "%(num)s emails have been waiting for more than a quarter of an hour.",
                alert.many,
            )
            do = _("We keep trying. The mail server says: %(why)s") if alert.why else _("We keep trying.")
        case AlertKind.MAILS_GIVEN_UP:
            what = ngettext(
                "%(num)s email could not be delivered.", "%(num)s emails could not be delivered.", alert.many
            )
            do = _("Correct the address on the booking, or send the email again.")
        case AlertKind.EVENTS_FAILING:
            what = ngettext(
                "%(num)s message from Stripe or the calendar has not been acted on yet.",
                "%(num)s messages from Stripe or the calendar have not been acted on yet.",
                alert.many,
            )
            do = _("We keep trying. Once the cause is gone, you can act on them at once.")
        case AlertKind.WEBHOOKS_SILENT:
            what = _("Since %(since)s no message from Stripe has arrived by itself, so payments are noticed late.")
            do = _("Check the webhook endpoint in the Stripe dashboard: its address, and whether it is enabled.")
        case AlertKind.PROGRAM_OFF:
            what = _("Your program “%(name)s” is no longer told about bookings: it has taken nothing for five days.")
            do = _("When it works again, switch it on. Everything that it missed is then sent.")
        case AlertKind.PROGRAM_FAILING:
            what = _("Your program “%(name)s” has taken no message since %(since)s.")
            do = _("We keep trying. It said: %(why)s")
        case AlertKind.CALENDLY_BROKEN:
            what = _("The Calendly account of %(name)s is no longer connected, so nobody can book there.")
            do = _("Connect it again.")
    return what % values, do % values

"""Phrases that several mails share: when, where, what it costs, what is refunded, how to reach the owner."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from datetime import date, datetime
from urllib.parse import quote

from app.domain.booking import Customer, Status, short_reference
from app.domain.money import Money
from app.domain.reservation import Reservation
from app.domain.terms import Terms
from app.domain.words import Said
from app.mail.letter import Mail
from app.text.catalogues import translator
from app.text.formats import format_day, format_money, format_span, format_time
from app.text.price_words import back_by_hand, to_pay_at_visit
from app.text.zones import local, same_clock, zone_label
from app.widgets import Widget

Rows = tuple[tuple[str, str], ...]


_LONGEST_NAME = 40
_MOST_WORDS = 4


def greeting(customer: Customer | None, language: str) -> str:
    """ "Hello Ada Example,"; nothing for what does not read as a name alone (decision 0174)."""
    words = customer.name.split() if customer else []
    name = " ".join(words)
    if not 0 < len(words) <= _MOST_WORDS or len(name) > _LONGEST_NAME or not all(map(_is_name, words)):
        return ""
    return translator(language).gettext("Hello %(name)s,") % {"name": name}


def _is_name(word: str) -> bool:
    """Letters with their marks, hyphens and apostrophes, and a full stop at the end: no address, no number."""
    return all(char in "'’-" or unicodedata.category(char)[0] in "LM" for char in word.removesuffix("."))


def facts(mail: Mail, now: datetime) -> dict[str, str]:
    """The booking's own values for the sentences of its mail."""
    booking, language = mail.booking, mail.language
    day = format_day(booking.starts_at, booking.time_zone, language, "medium", today=today(now, booking.time_zone))
    return {
        "service": booking.service_name,
        "when": f"{day} {format_time(booking.starts_at, booking.time_zone, language)}",
        "resource": booking.resource_name,
        "price": format_money(booking.terms.price, language),
        "amount": format_money(mail.refund, language) if mail.refund else "",
        "customer": booking.customer.name if booking.customer else "",
    }


def when(mail: Mail, moment: datetime, now: datetime) -> str:
    """A day and its time on the place's clock; it names the zone to a customer whose clock shows another."""
    _ = translator(mail.language).gettext
    zone = mail.booking.time_zone
    day = format_day(moment, zone, mail.language, "medium", today=today(now, zone))
    times = format_time(moment, zone, mail.language) + (_zone(mail, zone, moment) if _elsewhere(mail, moment) else "")
    return _("%(day)s, %(times)s") % {"day": day, "times": times}


def clock(mail: Mail, moment: datetime) -> str:
    """A time of today on the reader's own clock, with its zone where that is not the place's."""
    own = mail.booking.visitor.time_zone if _elsewhere(mail, moment) else ""
    zone = own or mail.booking.time_zone
    return format_time(moment, zone, mail.language) + (_zone(mail, zone, moment) if own else "")


def zones(mail: Mail) -> tuple[str, ...]:
    """The place's zone, and the visitor's own time where its clock shows another."""
    _ = translator(mail.language).gettext
    booking, visitor_zone = mail.booking, mail.booking.visitor.time_zone
    if not _elsewhere(mail, booking.starts_at):
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


def policy_lines(terms: Terms, starts_at: datetime, zone: str, language: str, *, now: datetime) -> list[str]:
    """The cancellation policy as dated sentences, earliest deadline first; what is past is left out.

    Empty for a free booking: there is nothing to refund.
    """
    _ = translator(language).gettext
    if terms.free:
        return []
    lines: list[str] = []
    for until, percent in terms.steps(starts_at):
        if until <= now or not percent:
            continue
        day = format_day(until, zone, language, "medium", today=today(now, zone))
        deadline = _("%(day)s, %(times)s") % {"day": day, "times": format_time(until, zone, language)}
        values = {"percent": percent, "when": deadline}
        if percent == 100:
            lines.append(_("Free cancellation until %(when)s") % values)
        elif lines:
            lines.append(_("Then %(percent)d%% refund until %(when)s") % values)
        else:
            lines.append(_("%(percent)d%% refund until %(when)s") % values)
    lines.append(_("After that, no refund") if lines else _("No refund if you cancel"))
    return lines


def place_rows(mail: Mail) -> Rows:
    """What, with whom, where; to the customer also the reference that both can name."""
    _ = translator(mail.language).gettext
    booking = mail.booking
    return filled(
        (_("What"), booking.service_name),
        (_("With"), booking.resource_name),
        (_("Where"), booking.location_name),
        (_("Reference"), "" if mail.kind.to_owner else short_reference(booking.id)),
    )


def booked_rows(mail: Mail, now: datetime) -> Rows:
    """What the customer has: the place, the price, and what a cancellation refunds."""
    _ = translator(mail.language).gettext
    booking, zone = mail.booking, mail.booking.time_zone
    policy = policy_lines(booking.terms, booking.starts_at, zone, mail.language, now=now)
    if len(policy) > 1 and _elsewhere(mail, booking.starts_at):
        policy.append(_("Times in %(zone)s") % {"zone": zone_label(zone, booking.starts_at, mail.language)})
    return (*place_rows(mail), *visit_rows(mail), price_row(mail), *filled((_("If you cancel"), "\n".join(policy))))


def map_link(address: str) -> str:
    """Where the address is on a map: https://developers.google.com/maps/documentation/urls/get-started."""
    return f"https://www.google.com/maps/search/?api=1&query={quote(address)}" if address else ""


def visit_rows(mail: Mail) -> Rows:
    """What else the customer needs on the day."""
    _ = translator(mail.language).gettext
    bring = mail.widget.said(mail.widget.bring, mail.language)
    return filled((_("Address"), mail.widget.address), (_("Good to know"), bring))


def more_links(mail: Mail) -> tuple[tuple[str, str], ...]:
    """The map, and Stripe's receipt, which its address looks up when it is opened."""
    _ = translator(mail.language).gettext
    receipt = f"{mail.manage_url}/receipt" if mail.manage_url and mail.receipt and not mail.booking.terms.free else ""
    links = ((_("Map"), map_link(mail.widget.address)), (_("Receipt"), receipt))
    return tuple((name, url) for name, url in links if url)


def price_row(mail: Mail) -> tuple[str, str]:
    """What was paid, or what it costs while that is still to come."""
    _ = translator(mail.language).gettext
    terms = mail.booking.terms
    if terms.free:
        return (_("Price"), _("Free"))
    price = format_money(terms.price, mail.language)
    if mail.booking.confirmed_at is None and mail.booking.pay_link:
        return (_("Price"), price)
    if mail.unpaid:
        return (_("Price"), to_pay_at_visit(terms.price, mail.unpaid, mail.language))
    return (_("Paid"), format_money(terms.price, mail.language))


def offer_words(mail: Mail, offer: Reservation, now: datetime) -> str:
    """A time that is held: when, with whom, and how long it is held."""
    _ = translator(mail.language).gettext
    values = {
        "when": when(mail, offer.starts_at, now),
        "person": offer.resource_name,
        "until": when(mail, offer.offered_until, now) if offer.offered_until else "",
    }
    return _("%(when)s with %(person)s (held until %(until)s)") % values


def before_row(mail: Mail, now: datetime) -> Rows:
    """When, and of another service what, a moved booking was before."""
    _ = translator(mail.language).gettext
    was, before = str(mail.detail.get("was") or ""), mail.moment("from")
    other = was if was != mail.booking.service_name else ""
    return filled((_("Before"), "\n".join(filter(None, (other, when(mail, before, now) if before else "")))))


def filled(*rows: tuple[str, str]) -> Rows:
    """The rows that say something."""
    return tuple((label, _stripped(value)) for label, value in rows if value.strip())


def _stripped(text: str) -> str:
    return Said(text.strip(), text.lang) if isinstance(text, Said) else text.strip()


def says(lines: Iterable[str]) -> tuple[str, ...]:
    """The paragraphs that say something."""
    return tuple(line for line in lines if line)


def sent_back(money: Money, language: str, *, of: Money | None = None, in_person: bool = False) -> str:
    """That money goes back to the customer, all `of` what was paid or a part; that none moves if it is nothing.
    `in_person`: some of it was not paid through Stripe, and comes from the owner's hand."""
    _ = translator(language).gettext
    if not money:
        return _("There is nothing to refund.")
    amount = format_money(money, language)
    if in_person:
        return back_by_hand(money, language)
    if of is None or of.amount <= money.amount:
        return _("We will refund %(amount)s to your original payment method. It usually arrives within 5–10 days.") % {
            "amount": amount
        }
    return _(
        "We will refund %(amount)s of %(price)s to your original payment method. It usually arrives within 5–10 days."
    ) % {
        "amount": amount,
        "price": format_money(of, language),
    }


def bank_decides(money: Money, language: str) -> str:
    """That a refund waits for the end of a dispute."""
    _ = translator(language).gettext
    amount = format_money(money, language)
    return _("The payment is disputed. We will refund %(amount)s once your bank has decided.") % {"amount": amount}


def undo_until(mail: Mail, now: datetime) -> datetime | None:
    """Until when the cancellation that the mail tells of may be taken back, if it still may."""
    until = mail.moment("undo_until")
    return until if until and until > now and mail.booking.status is Status.CANCELED else None


def contact(widget: Widget, language: str) -> str:
    """How to reach the owner; empty if there is no way."""
    _ = translator(language).gettext
    if widget.owner_email and widget.owner_phone:
        return _("Questions? Reply to this email or call %(phone)s.") % {"phone": widget.owner_phone}
    if widget.owner_email:
        return _("Questions? Reply to this email.")
    if widget.owner_phone:
        return _("Questions? Call %(phone)s.") % {"phone": widget.owner_phone}
    return ""


def button(url: str, label: str) -> tuple[str, str] | None:
    """A link, if there is where to."""
    return (label, url) if url else None


def today(now: datetime, zone: str) -> date:
    """The day of the reader."""
    return local(now, zone).date()


def _elsewhere(mail: Mail, moment: datetime) -> bool:
    zone = mail.booking.visitor.time_zone
    return bool(zone) and not mail.kind.to_owner and not same_clock(zone, mail.booking.time_zone, moment)


def _zone(mail: Mail, zone: str, moment: datetime) -> str:
    return f" ({zone_label(zone, moment, mail.language)})"

"""The words of the customers' pages; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from app.domain.customer import CustomerFigures, CustomerLine, CustomerNote
from app.domain.money import Money
from app.msgid import N_
from app.text import catalogues, formats, zones
from app.web.shared.time_words import moment_words

_REPORTS: Final[Mapping[str, str]] = {
    "noted": N_("The note has been saved."),
    "same": N_("These are the details that we have. Nothing was changed."),
}
_COUNT: Final = re.compile("[0-9]{1,6}")


def customer_rows(lines: Sequence[CustomerLine], base: str, now: datetime, language: str) -> list[dict[str, str]]:
    """Customers as lines of a list."""
    ngettext = catalogues.translator(language).ngettext
    return [
        {
            "path": f"{base}/customers/{one.booking_id}",
            "name": one.name,
            "email": one.email,
            "phone": one.phone,
            "many": ngettext("%(num)s booking", "%(num)s bookings", one.bookings) % {"num": one.bookings},
            "iso": formats.machine_time(one.last_at),
            "last": formats.format_day(
                one.last_at, one.time_zone, language, "medium", today=zones.local(now, one.time_zone).date()
            ),
        }
        for one in lines
    ]


def figures(found: CustomerFigures, language: str) -> list[tuple[str, str]]:
    """(what, how much) of a customer's bookings and their money."""
    _ = catalogues.translator(language).gettext
    rows = [(_("Bookings"), str(found.bookings))]
    rows += [(_("Cancelled"), str(found.canceled))] if found.canceled else []
    rows += [
        (_("Missed"), str(found.no_shows)),
        (_("Paid"), _sums(found.paid, language)),
        (_("Refunded"), _sums(found.refunded, language)),
    ]
    return rows


def _sums(amounts: Mapping[str, int], language: str) -> str:
    """One sum for each currency; a dash for nothing."""
    return (
        " + ".join(formats.format_money(Money(amount, currency), language) for currency, amount in amounts.items())
        or "–"
    )


def note_row(note: CustomerNote, zone: str, now: datetime, language: str) -> str:
    """Who wrote the note, and when; empty for none."""
    if note.written_at is None:
        return ""
    _ = catalogues.translator(language).gettext
    when = moment_words(note.written_at, zone, language, zones.local(now, zone).date())
    return _("Last changed by %(who)s, %(when)s") % {"who": note.written_by, "when": when}


def reported_words(query: Mapping[str, str], language: str) -> str:
    """What an act that led to the page has to say."""
    told = catalogues.translator(language)
    word, many, left = (query.get(name, "") for name in ("told", "many", "left"))
    if word == "corrected" and _COUNT.fullmatch(many):
        said = told.ngettext(
            "The details were changed in %(num)s booking.", "The details were changed in %(num)s bookings.", int(many)
        ) % {"num": int(many)}
        if _COUNT.fullmatch(left):
            said += " " + told.ngettext(
                "%(num)s booking could not be changed just now. Please change the details again.",
                "%(num)s bookings could not be changed just now. Please change the details again.",
                int(left),
            ) % {"num": int(left)}
        return said
    return told.gettext(_REPORTS[word]) if word in _REPORTS else ""

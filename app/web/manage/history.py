"""What happened to a booking, as its customer reads it; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.booking.bookings import BookingView
from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryEntry, HistoryWord
from app.domain.money import Money
from app.domain.payment import DISPUTE_LOST, DISPUTE_OVER
from app.msgid import N_
from app.text import catalogues, formats
from app.text.history_words import telling_reason
from app.web.shared.status_words import why_ended
from app.web.shared.time_words import when

#: What a customer finds in the history. The rest is of use to nobody but us.
_HISTORY: Mapping[str, str] = {
    HistoryWord.CONFIRMED: N_("Booked"),
    HistoryWord.RESCUED: N_("Booked after a late payment"),
    HistoryWord.OTHER_PERSON: N_("Booked with another person, because the one you chose was no longer free"),
    HistoryWord.OFFERED: N_("Other times were held for you"),
    HistoryWord.CHOSEN: N_("You chose another time"),
    HistoryWord.TAKEN_BACK: N_("You undid the cancellation"),
    HistoryWord.NOT_TAKEN_BACK: N_("The cancellation could not be undone: the time was no longer free"),
    HistoryWord.DIFFERENCE_PAID: N_("You paid the difference for another time"),
    HistoryWord.MOVE_REFUSED: N_("The other time was no longer free, so nothing changed"),
    HistoryWord.MOVE_EXPIRED: N_("The other time was not paid for, so nothing changed"),
    HistoryWord.NO_SHOW: N_("Marked as missed"),
    HistoryWord.CAME_AFTER_ALL: N_("No longer marked as missed"),
}


def history_lines(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """What happened, newest first, in words that name nobody."""
    lines: list[dict[str, str]] = []
    before = ""
    for entry in view.history:
        what = happened(entry, view.booking, now, language)
        # A dispute takes steps that say nothing new.
        if what and not (what == before and entry.what is HistoryWord.DISPUTED):
            lines.append(
                {"at": when(entry.at, view.booking, now, language), "iso": formats.machine_time(entry.at), "what": what}
            )
        before = what
    return lines[::-1]


def happened(entry: HistoryEntry, booking: Booking, now: datetime, language: str) -> str:
    """One line of the history; empty for what is of no use to the customer."""
    _ = catalogues.translator(language).gettext
    detail = entry.detail
    if entry.what is HistoryWord.MOVED:
        times = {
            "before": when(datetime.fromisoformat(detail["from"]), booking, now, language),
            "after": when(datetime.fromisoformat(detail["to"]), booking, now, language),
        }
        if detail.get("by") == Actor.OWNER:
            return _("We moved it from %(before)s to %(after)s") % times
        return _("You moved it from %(before)s to %(after)s") % times
    if entry.what in {HistoryWord.REFUND_ADDED, HistoryWord.REFUNDED_AT_STRIPE}:
        amount = formats.format_money(Money(int(detail["amount"]), booking.terms.price.currency), language)
        return _("We refunded %(amount)s") % {"amount": amount}
    if entry.what is HistoryWord.DISPUTED:
        if detail["dispute"] == DISPUTE_LOST:
            return _("Your bank returned the payment to you")
        over = detail["dispute"] in DISPUTE_OVER
        return (
            _("Your bank decided that the payment stays with us") if over else _("Your bank asked for the payment back")
        )
    if why := telling_reason(entry):
        return why_ended(why, language).rstrip(".")
    if entry.what in _HISTORY:
        return _(_HISTORY[entry.what])
    if entry.status in {Status.CANCELED, Status.EXPIRED}:
        return why_ended(entry.what, language).rstrip(".")
    return ""

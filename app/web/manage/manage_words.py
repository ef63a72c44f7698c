"""What the page behind the link in the mail says of a booking: what is new, what an act that led here reported, and why
an act came to nothing; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.booking.bookings import BookingView
from app.booking.policy import Allowed
from app.domain.booking import Booking, Status
from app.domain.history import HistoryWord
from app.domain.move import MoveState
from app.errors import BookingConflict, HoldfastError, PaymentRefused, SchedulerError, StripeError
from app.errors.after_paying import out_of_reach
from app.msgid import N_
from app.text import catalogues
from app.web.shared.offered_words import why_offered
from app.web.shared.refund_words import captured, disputed, gives_back, money_lines
from app.web.shared.status_words import paid_and_waiting, waits_long, why_ended
from app.web.shared.time_words import clock

#: How long the page tells of a move that came to nothing.
_STILL_NEWS = timedelta(days=1)
_ENDS_OF_MOVES = frozenset({HistoryWord.MOVED, HistoryWord.MOVE_REFUSED, HistoryWord.MOVE_EXPIRED})
#: What an act that led to the page has to say, by the word in the address.
_REPORTS = {
    "moved": N_("Your booking has been moved."),
    "undone": N_("The cancellation has been undone. Your booking is confirmed as before."),
    "left": N_("Your booking stays as it was."),
    "back": N_("Nothing was charged."),
}


def news(view: BookingView, now: datetime, language: str) -> list[str]:
    """What there is to know before anything else: why it ended, what a dispute means, what became of a move."""
    _ = catalogues.translator(language).gettext
    booking, lines = view.booking, list[str]()
    if booking.status is Status.PAID and not booking.canceled_at and waits_long(view, now):
        lines += paid_and_waiting(language)
    lines += why_offered(view, language)
    if booking.status in {Status.CANCELED, Status.EXPIRED}:
        lines += filter(None, [why_ended(booking.end_reason, language)])
        given_back = gives_back(view)
        if booking.status is Status.CANCELED and captured(view) and not given_back:
            if view.funds.left:  # else the bank has returned it
                lines.append(_("Under your booking terms, there is no refund."))
        elif not given_back:  # what went back stands in the table of the money, with where it is
            lines += money_lines(view, language)
    if any(payment.returned_by_bank for payment in view.payments):
        lines.append(_("Your bank has returned the payment to you."))
    if disputed(view):
        lines.append(_("Your bank is asking for the payment back. Until it has decided, we cannot refund anything."))
    last = view.history[-1] if view.history else None
    refused = last and last.what is HistoryWord.MOVE_REFUSED and now - last.at < _STILL_NEWS
    if booking.status is Status.CONFIRMED and refused:
        lines.append(_("The other time was no longer free. Your booking stays as it is."))
    return lines


def reported_words(word: str, view: BookingView, language: str) -> str:
    """What an act has to say, for as long as that is true."""
    booking, move = view.booking, view.move
    settled = booking.status is Status.CONFIRMED and move is None
    last = [entry.what for entry in view.history if entry.what in _ENDS_OF_MOVES][-1:]
    true = {
        "moved": settled and last == [HistoryWord.MOVED],
        "undone": settled and booking.canceled_at is None,
        "left": settled and last == [HistoryWord.MOVE_EXPIRED],
        "back": move is not None and move.state is MoveState.HELD,
    }
    return catalogues.translator(language).gettext(_REPORTS[word]) if true.get(word) else ""


def not_done(error: HoldfastError, language: str) -> list[str]:
    """Why an act came to nothing, where the booking's page shows how it stands instead."""
    _ = catalogues.translator(language).gettext
    if isinstance(error, PaymentRefused):
        return [_(error.sentence), _("Your booking stays as it was.")]
    if isinstance(error, SchedulerError | StripeError):
        return [_(out_of_reach(error)), _("This page shows your booking as it is now. Please try again in a moment.")]
    return [_("This booking has changed in the meantime. This page shows it as it is now.")]


def not_undone(error: HoldfastError, booking: Booking, now: datetime, language: str) -> list[str]:
    """Why a cancellation could not be taken back."""
    _ = catalogues.translator(language).gettext
    if not isinstance(error, BookingConflict):
        return not_done(error, language)
    if booking.undo_until is None or booking.undo_until <= now:
        return [_("The time to undo the cancellation has run out. Your booking stays cancelled.")]
    return [_("The time was taken in the meantime, so your booking stays cancelled.")]


def undo_line(allowed: Allowed, booking: Booking, language: str) -> str:
    """Until when a cancellation may be taken back; empty where it may not."""
    if allowed.undo_until is None:
        return ""
    return catalogues.translator(language).gettext(
        "Until %(time)s, you can undo the cancellation and keep the same time."
    ) % {"time": clock(allowed.undo_until, booking, language)}

"""How long and how often a booking may be moved, what a move costs, and why it was not done; pure."""

from __future__ import annotations

from datetime import timedelta

from app.booking.bookings import BookingView
from app.booking.moves import MoveQuote
from app.booking.policy import Allowed, Refusal
from app.domain.booking import Booking
from app.domain.money import Money
from app.errors import HoldfastError, LinkExpired, PaymentRefused, SchedulerError, StripeError
from app.text import catalogues, formats
from app.text.price_words import back_by_hand, to_pay_at_visit
from app.web.shared.time_words import when


def may_move(allowed: Allowed, booking: Booking, language: str) -> list[str]:
    """How long and how often it may be moved; or why not."""
    said = catalogues.translator(language)
    _ = said.gettext
    until = {"until": when(allowed.move_until, booking, allowed.at, language)}
    often = booking.terms.most_moves
    match allowed.move_refusal:
        case None:
            times = said.ngettext("%(num)s more time", "%(num)s more times", allowed.moves_left)
            return [
                _("You can move it %(times)s, until %(until)s.")
                % {**until, "times": times % {"num": allowed.moves_left}}
            ]
        case Refusal.TOO_LATE:
            return [_("The last chance to move it was %(until)s.") % until]
        case Refusal.TOO_OFTEN if often:
            moved = said.ngettext(
                "The limit of %(num)s move has been reached.", "The limit of %(num)s moves has been reached.", often
            )
            return [moved % {"num": often}]
        case Refusal.TOO_OFTEN:
            return [_("This booking cannot be moved.")]
        case Refusal.UNDER_WAY:
            return [_("A move is in progress.")]
        case Refusal.BEGUN:
            return [_("The appointment has started, so it can no longer be moved here.")]
        case Refusal.NOT_OFFERED:
            return [_("This booking can no longer be moved here. Please contact us to change the time.")]
        case Refusal.NOT_CONFIRMED:
            return [_("Only a confirmed booking can be moved.")]


# Before moving


def price_difference(quote: MoveQuote, view: BookingView, language: str) -> tuple[str, str]:
    """What the move does to the money, in a word and in a sentence."""
    _ = catalogues.translator(language).gettext
    amount = {"amount": formats.format_money(Money(abs(quote.difference), quote.price.currency), language)}
    if quote.difference > 0:
        return _("%(amount)s more") % amount, _(
            "You pay this on Stripe next. You keep your old time until you have paid; if you do not pay, nothing "
            "changes."
        )
    terms, back = view.booking.terms, Money(max(0, -quote.difference), quote.price.currency)
    cheaper = terms.price.amount - quote.price.amount
    if back and view.funds.in_person:
        return _("You get a refund of %(amount)s") % amount, back_by_hand(back, language)
    if quote.due > back.amount:  # some of it was never paid, or went back already
        head = _("You get a refund of %(amount)s") % amount if back else _at_visit(quote, language)
        return head, _("The new price is lower.")
    if 0 < back.amount < cheaper:
        return _("You get a refund of %(amount)s") % amount, _(
            "This is the part of the price difference that your booking terms still refund. It usually arrives "
            "within 5–10 days."
        )
    if back:
        return _("You get a refund of %(amount)s") % amount, _(
            "This is the difference in price. It usually arrives within 5–10 days."
        )
    if cheaper > 0:
        return _("Nothing to pay or refund"), _(
            "The new price is lower, but your booking terms give no refund any more."
        )
    if terms.free:
        return _("Nothing to pay or refund"), _("It stays free of charge.")
    if quote.unpaid:
        return _at_visit(quote, language), ""
    return _("Nothing to pay or refund"), _("What you paid counts towards the new time.")


def _at_visit(quote: MoveQuote, language: str) -> str:
    if quote.unpaid:
        return to_pay_at_visit(quote.price, quote.unpaid, language)
    return catalogues.translator(language).gettext("Nothing to pay or refund")


def move_button(quote: MoveQuote, language: str) -> str:
    """What the button does."""
    _ = catalogues.translator(language).gettext
    if quote.difference > 0:
        amount = formats.format_money(Money(quote.difference, quote.price.currency), language)
        return _("Pay %(amount)s and move") % {"amount": amount}
    return _("Move the booking")


def afterwards(allowed: Allowed, after: Booking, language: str) -> str:
    """How often and how long the new time could be moved again."""
    said = catalogues.translator(language)
    left = allowed.moves_left - 1
    until = after.starts_at - timedelta(hours=after.terms.move_hours)
    if left <= 0 or until <= allowed.at:
        return said.gettext("After this, you can no longer move it here.")
    again = said.ngettext(
        "After this, you can move it %(num)s more time, until %(until)s.",
        "After this, you can move it %(num)s more times, until %(until)s.",
        left,
    )
    return again % {"num": left, "until": when(until, after, allowed.at, language)}


def not_moved(error: HoldfastError, language: str) -> list[str]:
    """Why the preview is shown again."""
    _ = catalogues.translator(language).gettext
    if isinstance(error, PaymentRefused):
        return [_(error.sentence), _("Your booking was not moved. It stays as it was.")]
    if isinstance(error, SchedulerError | StripeError):
        return [_(error.sentence), _("Your booking was not moved. It stays as it was. Please try again in a moment.")]
    if isinstance(error, LinkExpired):
        return [_("Your booking has not been moved yet. This page was open for a while, so please check it again.")]
    return [_("Your booking has not been moved yet. The booking or its price has changed since you opened this page.")]

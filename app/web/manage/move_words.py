"""How long and how often a booking may be moved, what a move costs, and why it was not done; pure."""

from __future__ import annotations

from datetime import timedelta

from app.booking.moves import MoveQuote
from app.booking.offer import Offer, Refusal
from app.domain.booking import Booking
from app.domain.money import Money
from app.errors import HoldfastError, LinkExpired, PaymentRefused, SchedulerError, StripeError
from app.text import catalogues, formats
from app.web.shared.time_words import when


def may_move(offer: Offer, booking: Booking, language: str) -> list[str]:
    """How long and how often it may be moved; or why not."""
    said = catalogues.translator(language)
    _ = said.gettext
    until = {"until": when(offer.move_until, booking, offer.at, language)}
    often = booking.terms.most_moves
    match offer.move_refusal:
        case None:
            times = said.ngettext("%(num)s more time", "%(num)s more times", offer.moves_left)
            return [
                _("It can be moved until %(until)s, %(times)s.") % {**until, "times": times % {"num": offer.moves_left}}
            ]
        case Refusal.TOO_LATE:
            return [_("It could be moved until %(until)s.") % until]
        case Refusal.TOO_OFTEN if often:
            moved = said.ngettext("It was moved %(num)s time already.", "It was moved %(num)s times already.", often)
            return [moved % {"num": often}]
        case Refusal.TOO_OFTEN:
            return [_("This booking cannot be moved.")]
        case Refusal.UNDER_WAY:
            return [_("A move is under way.")]
        case Refusal.BEGUN:
            return [_("The visit has begun, so it can no longer be moved here.")]
        case Refusal.NOT_OFFERED:
            return [_("This booking can no longer be moved here. Please contact us to change the time.")]
        case Refusal.NOT_CONFIRMED:
            return [_("Only a confirmed booking can be moved.")]


# Before moving


def price_difference(quote: MoveQuote, booking: Booking, language: str) -> tuple[str, str]:
    """What the move does to the money, in a word and in a sentence."""
    _ = catalogues.translator(language).gettext
    amount = {"amount": formats.format_money(Money(abs(quote.difference), quote.price.currency), language)}
    if quote.difference > 0:
        return _("%(amount)s more") % amount, _(
            "You pay it on Stripe now. Your old time is yours until then; without the payment nothing changes."
        )
    cheaper = booking.terms.price.amount - quote.price.amount
    if 0 < -quote.difference < cheaper:
        return _("%(amount)s go back to your card") % amount, _(
            "That is the part of the price difference that your booking terms pay back now. "
            "Banks usually take 5–10 days to show it."
        )
    if quote.difference < 0:
        return _("%(amount)s go back to your card") % amount, _(
            "That is the difference in price. Banks usually take 5–10 days to show it."
        )
    if cheaper > 0:
        return _("No money moves"), _("It costs less, but under your booking terms nothing is paid back now.")
    if booking.terms.free:
        return _("No money moves"), _("It stays free of charge.")
    return _("No money moves"), _("What you paid counts for the new time.")


def move_button(quote: MoveQuote, language: str) -> str:
    """What the button does."""
    _ = catalogues.translator(language).gettext
    if quote.difference > 0:
        amount = formats.format_money(Money(quote.difference, quote.price.currency), language)
        return _("Pay %(amount)s and move") % {"amount": amount}
    return _("Move the booking")


def afterwards(offer: Offer, after: Booking, language: str) -> str:
    """How often and how long the new time could be moved again."""
    said = catalogues.translator(language)
    left = offer.moves_left - 1
    until = after.starts_at - timedelta(hours=after.terms.move_hours)
    if left <= 0 or until <= offer.at:
        return said.gettext("After this it can no longer be moved here.")
    again = said.ngettext(
        "After this it can be moved %(num)s more time, until %(until)s.",
        "After this it can be moved %(num)s more times, until %(until)s.",
        left,
    )
    return again % {"num": left, "until": when(until, after, offer.at, language)}


def not_moved(error: HoldfastError, language: str) -> list[str]:
    """Why the preview is shown again."""
    _ = catalogues.translator(language).gettext
    if isinstance(error, PaymentRefused):
        return [_(error.sentence), _("Nothing was moved: your booking stands as it was.")]
    if isinstance(error, SchedulerError | StripeError):
        return [_(error.sentence), _("Nothing was moved: your booking stands as it was. Please try again in a moment.")]
    if isinstance(error, LinkExpired):
        return [_("Nothing was moved yet: this page was open for a while, so please look once more.")]
    return [_("Nothing was moved yet: your booking, or its price, has changed since this page was opened.")]

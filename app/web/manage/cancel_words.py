"""What a cancellation refunds, now and later, and why one was not made; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.booking.bookings import BookingView
from app.booking.policy import Allowed, Refusal
from app.domain.booking import Booking
from app.errors import BookingConflict, HoldfastError, SchedulerError, StripeError
from app.errors.after_paying import out_of_reach
from app.text import catalogues, formats
from app.web.manage.history import happened
from app.web.shared.booking_summary import price
from app.web.shared.time_words import when


def may_cancel(allowed: Allowed, booking: Booking, language: str) -> list[str]:
    """What a cancellation refunds at this moment and until when; or why there is none."""
    _ = catalogues.translator(language).gettext
    match allowed.cancel_refusal:
        case None:
            return [tight(line) for line in _gives_back(allowed, booking, language)]
        case Refusal.BEGUN:
            return [_("The appointment has started, so it can no longer be cancelled here.")]
        case _:
            return [_("This booking cannot be cancelled here.")]


def _gives_back(allowed: Allowed, booking: Booking, language: str) -> list[str]:
    _ = catalogues.translator(language).gettext
    terms, now = booking.terms, allowed.at
    if terms.free or (allowed.unpaid and not allowed.uncharged):
        return [_("Cancelling is free.")]
    if allowed.uncharged:
        return [_("You have not been charged yet. If you cancel, you will not be charged.")]
    steps = terms.steps(booking.starts_at)
    past = [step for step in steps if step[0] < now and step[1] > allowed.percent]
    ahead = next((until for until, _percent in steps if until >= now), None)
    values: dict[str, Any] = {
        "percent": allowed.percent,
        "amount": formats.format_money(allowed.refund, language),
        "ended": when(past[-1][0], booking, now, language) if past else "",
        "before": past[-1][1] if past else 0,
        "until": when(ahead, booking, now, language) if ahead else "",
    }
    # Some of it went back already, is disputed, or was never paid.
    if allowed.refund != terms.price.share(allowed.percent):
        return [
            _("You would get a refund of %(amount)s.") % values
            if allowed.refund
            else _("You would get no refund.")
            if allowed.at_visit
            else _("You would get no further refund.")
        ]
    if allowed.percent == 100:
        return [_("Free cancellation until %(until)s, with a full refund of %(amount)s.") % values]
    if not past and not allowed.percent:
        return [_("You would get no refund.")]
    if not past:
        return [_("Until %(until)s, you would get a %(percent)d%% refund: %(amount)s.") % values]
    if past[-1][1] == 100:
        ended = _("Free cancellation ended on %(ended)s.") % values
    else:
        ended = _("The %(before)d%% refund ended on %(ended)s.") % values
    if not allowed.percent:
        return [ended, _("You would get no refund.")]
    return [ended, _("Until %(until)s, you would get a %(percent)d%% refund: %(amount)s.") % values]


# Before cancelling


def share_line(allowed: Allowed, booking: Booking, language: str) -> str:
    """How the refund comes about; empty where that is not the terms alone."""
    if booking.terms.free or allowed.refund != booking.terms.price.share(allowed.percent):
        return ""
    _ = catalogues.translator(language).gettext
    if not allowed.percent:
        return _("Under your booking terms, there is no refund.")
    share = _("%(percent)d%% of %(price)s, under your booking terms.")
    return tight(share % {"percent": allowed.percent, "price": price(booking.terms.price, language)})


def steps(allowed: Allowed, booking: Booking, language: str) -> list[dict[str, Any]]:
    """The terms as dated lines, with the one that holds now. Empty where there is nothing to refund."""
    _ = catalogues.translator(language).gettext
    terms, now = booking.terms, allowed.at
    if terms.free or allowed.at_visit == terms.price.amount:
        return []
    lines: list[dict[str, Any]] = []
    dated = [(until, percent) for until, percent in terms.steps(booking.starts_at) if percent]
    for until, percent in dated:
        holds = until >= now and not any(line["now"] for line in lines)
        back = terms.refund(at=until, starts_at=booking.starts_at)
        back = replace(back, amount=max(0, back.amount - allowed.at_visit))
        share = {"percent": percent, "amount": formats.format_money(back, language)}
        lines.append(
            {
                "until": _("Until %(when)s") % {"when": when(until, booking, now, language)},
                "back": tight(_("%(percent)d%%, %(amount)s") % share) if back else _("no refund"),
                "now": holds,
                "past": until < now,
            }
        )
    last = _("After that") if lines else _("At any time")
    none_holds = not any(line["now"] for line in lines)
    return [*lines, {"until": last, "back": _("no refund"), "now": none_holds, "past": False}]


def not_canceled(error: HoldfastError, allowed: Allowed, view: BookingView, shown: str, language: str) -> list[str]:
    """Why the preview is shown again, and what is different from the one that was `shown` (its percent)."""
    _ = catalogues.translator(language).gettext
    if isinstance(error, SchedulerError | StripeError):
        return [_(out_of_reach(error)), _("Your booking was not cancelled. Please try again in a moment.")]
    lines = [_("Your booking has not been cancelled yet. This page was open for a while, so please check it again.")]
    if isinstance(error, BookingConflict):
        lines = [_("Your booking has not been cancelled yet. It has changed since you opened this page.")]
        changes = (happened(entry, view.booking, allowed.at, language) for entry in reversed(view.history))
        lines += [f"{change}." for change in [next(filter(None, changes), "")] if change]
    if shown.isdecimal() and len(shown) < 4 and int(shown) != allowed.percent and not view.booking.terms.free:
        values = {"before": int(shown), "percent": allowed.percent}
        lines.append(tight(_("The refund would have been %(before)d%%; now it is %(percent)d%%.") % values))
    return lines


def tight(text: str) -> str:
    """The text, with no line break before a per cent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")

"""How a confirmed booking stands, in words: its money, its history, what its terms allow at this moment and why not
more. For the pages behind the link in the mail; pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.booking.bookings import BookingView
from app.booking.moves import MoveQuote
from app.booking.offer import Offer, Refusal
from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.payment import DISPUTE_LOST, DISPUTE_OVER, PaymentState
from app.domain.refund import PAID_ANOTHER_WAY, Refund
from app.errors import BookingConflict, HoldfastError, LinkExpired, PaymentRefused, SchedulerError, StripeError
from app.text import i18n
from app.text.i18n import N_
from app.web.shared.booking_summary import price, visitor_zone
from app.web.visitor.booking import WHY_ENDED, money_lines, shown_refunds, waits_for_bank, waits_long
from app.web.visitor.widget import moment_words

#: How long the page tells of a move that came to nothing.
_STILL_NEWS = timedelta(days=1)

#: What a customer finds in the history. The rest is of use to nobody but us.
_HISTORY: Mapping[str, str] = {
    "confirmed": N_("Booked"),
    "rescued": N_("Booked after a late payment"),
    "other_person": N_("Booked with another person, because the one you chose was no longer free"),
    "taken_back": N_("You undid the cancellation"),
    "not_taken_back": N_("The cancellation could not be undone: the time was no longer free"),
    "difference_paid": N_("You paid the difference for another time"),
    "move_refused": N_("The other time was no longer free, so nothing changed"),
    "move_expired": N_("The other time was not paid for, so nothing changed"),
    "no_show": N_("Marked as missed"),
    "came_after_all": N_("No longer marked as missed"),
}

#: What an act that led to the page has to say, by the word in the address.
_TOLD = {
    "moved": N_("Your booking has been moved."),
    "undone": N_("The cancellation has been undone. Your booking is confirmed as before."),
    "left": N_("Your booking stays as it was."),
    "back": N_("Nothing was charged."),
}


def when(moment: datetime, booking: Booking, now: datetime, language: str) -> str:
    """ "Tue 24 Nov, 10:00", in the zone that the customer chose times in."""
    zone = visitor_zone(booking)
    return moment_words(moment, zone, language, i18n.local(now, zone).date())


def long_when(starts_at: datetime, ends_at: datetime, booking: Booking, now: datetime, language: str) -> str:
    """ "Tuesday 24 November, 10:00–11:00", in the same zone."""
    zone = visitor_zone(booking)
    return i18n.translator(language).gettext("%(day)s, %(times)s") % {
        "day": i18n.format_day(starts_at, zone, language, today=i18n.local(now, zone).date()),
        "times": i18n.format_span(starts_at, ends_at, zone, language),
    }


def tight(text: str) -> str:
    """The text, with no line break before a per cent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def clock(moment: datetime, booking: Booking, language: str) -> str:
    """ "14:30", in the same zone."""
    return i18n.format_time(moment, visitor_zone(booking), language)


# Where it stands


def stands(booking: Booking, now: datetime) -> bool:
    """Whether the visit is still to come, or going on."""
    return booking.status is Status.CONFIRMED and not booking.over(now)


def standing(view: BookingView, now: datetime, language: str) -> tuple[str, str]:
    """(word, mark): where the booking stands."""
    return word_for(view.booking, view.move, now, language)


def word_for(booking: Booking, move: Move | None, now: datetime, language: str) -> tuple[str, str]:
    """The same, of a booking and the move that it is on."""
    _ = i18n.translator(language).gettext
    match booking.status:
        case Status.CONFIRMED if booking.over(now):
            return (_("Missed"), "cross") if booking.no_show else (_("Completed"), "check")
        case Status.CONFIRMED if move and move.state is MoveState.MOVING:
            return _("Being moved"), "waiting"
        case Status.CONFIRMED:
            return (_("Under way"), "clock") if booking.starts_at <= now else (_("Confirmed"), "check")
        case Status.CANCELED:
            return _("Cancelled"), "cross"
        case Status.PAID if booking.canceled_at:
            return _("Being confirmed again"), "waiting"
        case Status.PAID:
            return (_("Being confirmed") if booking.terms.free else _("Paid, being confirmed")), "waiting"
        case Status.EXPIRED:
            return _("Not booked"), "cross"
        case Status.AWAITING_PAYMENT:
            return _("Waiting for payment"), "clock"
        case Status.HELD:
            return _("Not booked yet"), "clock"


def news(view: BookingView, now: datetime, language: str) -> list[str]:
    """What there is to know before anything else: why it ended, what a dispute means, what became of a move."""
    _ = i18n.translator(language).gettext
    booking, lines = view.booking, list[str]()
    if booking.status is Status.PAID and not booking.canceled_at and waits_long(view, now):
        lines += [
            _("We have your payment, but the calendar is not responding. Please do not pay again."),
            _("We keep trying. If it cannot be confirmed in time, we refund you in full."),
        ]
    if booking.status in {Status.CANCELED, Status.EXPIRED}:
        why = WHY_ENDED.get(booking.end_reason)
        lines += [_(why)] if why else []
        given_back = gives_back(view)
        if booking.status is Status.CANCELED and captured(view) and not given_back:
            lines.append(_("Under your booking terms, there is no refund."))
        elif not given_back:  # what went back stands in the table of the money, with where it is
            lines += money_lines(view, language)
    disputes = {payment.dispute for payment in view.payments}
    if "lost" in disputes:
        lines.append(_("Your bank has given you the payment back."))
    if disputes - DISPUTE_OVER - {"lost"}:
        lines.append(_("Your bank is asking for the payment back. Until it has decided, we cannot refund anything."))
    last = view.history[-1] if view.history else None
    if booking.status is Status.CONFIRMED and last and now - last.at < _STILL_NEWS and last.what == "move_refused":
        lines.append(_("The other time was no longer free. Your booking stays as it is."))
    return lines


def told(word: str, view: BookingView, language: str) -> str:
    """What an act has to say, for as long as that is true."""
    booking, move = view.booking, view.move
    settled = booking.status is Status.CONFIRMED and move is None
    last = [entry.what for entry in view.history if entry.what in {"moved", "move_refused", "move_expired"}][-1:]
    true = {
        "moved": settled and last == ["moved"],
        "undone": settled and booking.canceled_at is None,
        "left": settled and last == ["move_expired"],
        "back": move is not None and move.state is MoveState.HELD,
    }
    return i18n.translator(language).gettext(_TOLD[word]) if true.get(word) else ""


def out_of_reach(error: SchedulerError | StripeError) -> str:
    """Which provider does not answer; a msgid. The errors' own sentences say that nothing was charged, which whoever
    has paid must not read."""
    if isinstance(error, SchedulerError):
        return N_("The calendar cannot be reached right now.")
    return N_("Our payment service cannot be reached right now.")


def not_done(error: HoldfastError, language: str) -> list[str]:
    """Why an act came to nothing, where the booking's page shows how it stands instead."""
    _ = i18n.translator(language).gettext
    if isinstance(error, SchedulerError | StripeError):
        return [_(out_of_reach(error)), _("This page shows your booking as it is now. Please try again in a moment.")]
    return [_("This booking has changed in the meantime. This page shows it as it is now.")]


def not_undone(error: HoldfastError, booking: Booking, now: datetime, language: str) -> list[str]:
    """Why a cancellation could not be taken back."""
    _ = i18n.translator(language).gettext
    if not isinstance(error, BookingConflict):
        return not_done(error, language)
    if booking.undo_until is None or booking.undo_until <= now:
        return [_("The time to undo the cancellation has run out. Your booking stays cancelled.")]
    return [_("The time was taken in the meantime, so your booking stays cancelled.")]


# Money


def captured(view: BookingView) -> bool:
    """Whether any money came."""
    return any(payment.captured for payment in view.payments)


def gives_back(view: BookingView) -> bool:
    """Whether any money goes back, or has gone."""
    return bool(shown_refunds(view))


def money_rows(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """What was paid and what went back, each with how it stands."""
    _ = i18n.translator(language).gettext
    rows = []
    for payment in view.payments:
        if payment.captured:
            amount = i18n.format_money(Money(payment.captured, payment.price.currency), language)
            label = _("Paid for the move") if payment.move_id else _("Paid")
            rows.append({"label": label, "amount": amount, "how": ""})
    for refund in shown_refunds(view):
        amount = i18n.format_money(refund.amount, language)
        rows.append({"label": _("Refund"), "amount": amount, "how": _sent(refund, view, now, language)})
    return rows


def disputed(view: BookingView) -> bool:
    """Whether a bank has still to decide about one of the payments, so that its money cannot be sent back."""
    return any(payment.dispute not in DISPUTE_OVER | {DISPUTE_LOST} for payment in view.payments)


def _sent(refund: Refund, view: BookingView, now: datetime, language: str) -> str:
    """Stripe's word for where a refund stands, in ours (Stripe docs, "Refund", status)."""
    booking = view.booking
    _ = i18n.translator(language).gettext
    if waits_for_bank(refund, view):
        return _("The payment is disputed, so we send it once your bank has decided.")
    if refund.delayed:
        return _("It is delayed. We keep trying to send it; you do not need to do anything.")
    if refund.status == "requested" and not refund.tries and refund.next_try_at and refund.next_try_at > now:
        return _("We send it at %(time)s, the way you paid.") % {"time": clock(refund.next_try_at, booking, language)}
    words = {
        "requested": N_("We are sending it the way you paid."),
        "succeeded": N_("On its way to your card. Banks usually take 5–10 days to show it."),
        "requires_action": N_("Stripe will email you to ask for the details it needs."),
        "failed": N_("We could not send it back to your card. Please contact us so that we can send it another way."),
        "canceled": N_("We could not send it back to your card. Please contact us so that we can send it another way."),
        PAID_ANOTHER_WAY: N_("We paid it back to you another way."),
    }
    sentence = words.get(refund.status, N_("On its way to your card. It usually arrives within 5–10 days."))
    return _(sentence)


# History


def history_lines(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """What happened, newest first, in words that name nobody."""
    lines: list[dict[str, str]] = []
    before = ""
    for entry in view.history:
        what = happened(entry, view.booking, now, language)
        if what and not (what == before and entry.what == "disputed"):  # a dispute takes steps that say nothing new
            lines.append(
                {"at": when(entry.at, view.booking, now, language), "iso": i18n.machine_time(entry.at), "what": what}
            )
        before = what
    return lines[::-1]


def happened(entry: HistoryEntry, booking: Booking, now: datetime, language: str) -> str:
    """One line of the history; empty for what is of no use to the customer."""
    _ = i18n.translator(language).gettext
    detail = entry.detail
    if entry.what == "moved":
        times = {
            "before": when(datetime.fromisoformat(detail["from"]), booking, now, language),
            "after": when(datetime.fromisoformat(detail["to"]), booking, now, language),
        }
        if detail.get("by") == Actor.OWNER:
            return _("We moved it from %(before)s to %(after)s") % times
        return _("You moved it from %(before)s to %(after)s") % times
    if entry.what in {"refund_added", "refunded_at_stripe"}:
        amount = i18n.format_money(Money(int(detail["amount"]), booking.terms.price.currency), language)
        return _("We refunded %(amount)s") % {"amount": amount}
    if entry.what == "disputed":
        if detail["dispute"] == "lost":
            return _("Your bank gave you the payment back")
        over = detail["dispute"] in DISPUTE_OVER
        return _("Your bank left the payment with us") if over else _("Your bank asked for the payment back")
    if entry.what in _HISTORY:
        return _(_HISTORY[entry.what])
    if entry.status in {Status.CANCELED, Status.EXPIRED}:
        why = next((text for reason, text in WHY_ENDED.items() if reason == entry.what), "")
        return _(why).rstrip(".") if why else ""
    return ""


# What may be done


def may_cancel(offer: Offer, booking: Booking, language: str) -> list[str]:
    """What a cancellation gives back at this moment and until when; or why there is none."""
    _ = i18n.translator(language).gettext
    match offer.cancel_bar:
        case None:
            return [tight(line) for line in _gives_back(offer, booking, language)]
        case Refusal.BEGUN:
            return [_("The visit has begun, so it can no longer be cancelled here.")]
        case _:
            return [_("This booking cannot be cancelled here.")]


def _gives_back(offer: Offer, booking: Booking, language: str) -> list[str]:
    _ = i18n.translator(language).gettext
    terms, now = booking.terms, offer.at
    if terms.free:
        return [_("Cancelling is free.")]
    if offer.uncharged:
        return [_("You have not been charged yet. If you cancel, you will not be charged.")]
    steps = terms.steps(booking.starts_at)
    past = [step for step in steps if step[0] < now and step[1] > offer.percent]
    ahead = next((until for until, _percent in steps if until >= now), None)
    values: dict[str, Any] = {
        "percent": offer.percent,
        "amount": i18n.format_money(offer.refund, language),
        "ended": when(past[-1][0], booking, now, language) if past else "",
        "before": past[-1][1] if past else 0,
        "until": when(ahead, booking, now, language) if ahead else "",
    }
    if offer.refund != terms.price.share(offer.percent):  # some of it went back already, or is disputed
        return [_("You would get %(amount)s back.") % values if offer.refund else _("You would get nothing more back.")]
    if offer.percent == 100:
        return [_("Free cancellation until %(until)s: you would get %(amount)s back.") % values]
    if not past and not offer.percent:
        return [_("You would get no refund.")]
    if not past:
        return [_("Until %(until)s you would get %(percent)d%% back: %(amount)s.") % values]
    if past[-1][1] == 100:
        ended = _("Free cancellation ended on %(ended)s.") % values
    else:
        ended = _("The %(before)d%% refund ended on %(ended)s.") % values
    if not offer.percent:
        return [ended, _("You would get nothing back.")]
    return [ended, _("Until %(until)s you would get %(percent)d%% back: %(amount)s.") % values]


def may_move(offer: Offer, booking: Booking, language: str) -> list[str]:
    """How long and how often it may be moved; or why not."""
    said = i18n.translator(language)
    _ = said.gettext
    until = {"until": when(offer.move_until, booking, offer.at, language)}
    often = booking.terms.most_moves
    match offer.move_bar:
        case None:
            times = said.ngettext("%(num)s more time", "%(num)s more times", offer.moves_left)
            return [
                _("You can move it %(times)s, until %(until)s.") % {**until, "times": times % {"num": offer.moves_left}}
            ]
        case Refusal.TOO_LATE:
            return [_("You could move it until %(until)s.") % until]
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
            return [_("The visit has begun, so it can no longer be moved here.")]
        case Refusal.NOT_OFFERED:
            return [_("This booking can no longer be moved here. Please contact us to change the time.")]
        case Refusal.NOT_CONFIRMED:
            return [_("Only a confirmed booking can be moved.")]


def undo_line(offer: Offer, booking: Booking, language: str) -> str:
    """Until when a cancellation may be taken back; empty where it may not."""
    if offer.undo_until is None:
        return ""
    return i18n.translator(language).gettext("Until %(time)s you can undo the cancellation and keep the same time.") % {
        "time": clock(offer.undo_until, booking, language)
    }


def paying(view: BookingView, now: datetime, language: str) -> dict[str, Any] | None:
    """A move whose difference is being paid: what it would be, until when, and Stripe's page that is still open."""
    move, booking = view.move, view.booking
    if move is None or move.state is not MoveState.HELD:
        return None
    payment = next((payment for payment in reversed(view.payments) if payment.move_id == move.id), None)
    difference = Money(move.price.amount - booking.terms.price.amount, move.price.currency)
    _ = i18n.translator(language).gettext
    what = _("%(service)s with %(person)s, %(when)s") % {
        "service": move.service_name,
        "person": move.resource_name,
        "when": long_when(move.starts_at, move.ends_at, booking, now, language),
    }
    return {
        "what": what,
        "amount": i18n.format_money(payment.price if payment else difference, language),
        "until": clock(move.deadline, booking, language),
        "url": payment.session_url if payment and payment.state is PaymentState.OPEN else None,
        "processing": payment is not None and payment.state is PaymentState.PROCESSING,
    }


# Before canceling


def share_line(offer: Offer, booking: Booking, language: str) -> str:
    """How the refund comes about; empty where that is not the terms alone."""
    if booking.terms.free or offer.refund != booking.terms.price.share(offer.percent):
        return ""
    _ = i18n.translator(language).gettext
    if not offer.percent:
        return _("Under your booking terms, there is no refund.")
    share = _("%(percent)d%% of %(price)s, under your booking terms.")
    return tight(share % {"percent": offer.percent, "price": price(booking.terms.price, language)})


def steps(offer: Offer, booking: Booking, language: str) -> list[dict[str, Any]]:
    """The terms as dated lines, with the one that holds now. Empty for a free booking."""
    _ = i18n.translator(language).gettext
    terms, now = booking.terms, offer.at
    if terms.free:
        return []
    lines: list[dict[str, Any]] = []
    dated = [(until, percent) for until, percent in terms.steps(booking.starts_at) if percent]
    for until, percent in dated:
        holds = until >= now and not any(line["now"] for line in lines)
        amount = i18n.format_money(terms.refund(at=until, starts_at=booking.starts_at), language)
        lines.append(
            {
                "until": _("Until %(when)s") % {"when": when(until, booking, now, language)},
                "back": tight(_("%(percent)d%%, %(amount)s") % {"percent": percent, "amount": amount}),
                "now": holds,
                "past": until < now,
            }
        )
    last = _("After that") if lines else _("At any time")
    none_holds = not any(line["now"] for line in lines)
    return [*lines, {"until": last, "back": _("no refund"), "now": none_holds, "past": False}]


def not_canceled(error: HoldfastError, offer: Offer, view: BookingView, shown: str, language: str) -> list[str]:
    """Why the preview is shown again, and what is different from the one that was `shown` (its percent)."""
    _ = i18n.translator(language).gettext
    if isinstance(error, SchedulerError | StripeError):
        return [_(out_of_reach(error)), _("Your booking was not cancelled. Please try again in a moment.")]
    lines = [_("Your booking has not been cancelled yet. This page was open for a while, so please check it again.")]
    if isinstance(error, BookingConflict):
        lines = [_("Your booking has not been cancelled yet. It has changed since you opened this page.")]
        changes = (happened(entry, view.booking, offer.at, language) for entry in reversed(view.history))
        lines += [f"{change}." for change in [next(filter(None, changes), "")] if change]
    if shown.isdecimal() and len(shown) < 4 and int(shown) != offer.percent and not view.booking.terms.free:
        values = {"before": int(shown), "percent": offer.percent}
        lines.append(tight(_("The refund would have been %(before)d%%; now it is %(percent)d%%.") % values))
    return lines


# Before moving


def price_difference(quote: MoveQuote, booking: Booking, language: str) -> tuple[str, str]:
    """What the move does to the money, in a word and in a sentence."""
    _ = i18n.translator(language).gettext
    amount = {"amount": i18n.format_money(Money(abs(quote.difference), quote.price.currency), language)}
    if quote.difference > 0:
        return _("%(amount)s more") % amount, _(
            "You pay this on Stripe now. You keep your old time until then; if you do not pay, nothing changes."
        )
    cheaper = booking.terms.price.amount - quote.price.amount
    if 0 < -quote.difference < cheaper:
        return _("You get %(amount)s back") % amount, _(
            "This is the part of the price difference that your booking terms refund now. Banks usually take 5–10 "
            "days to show it."
        )
    if quote.difference < 0:
        return _("You get %(amount)s back") % amount, _(
            "This is the difference in price. Banks usually take 5–10 days to show it."
        )
    if cheaper > 0:
        return _("Nothing to pay or refund"), _("It costs less, but your booking terms give no refund now.")
    if booking.terms.free:
        return _("Nothing to pay or refund"), _("It stays free of charge.")
    return _("Nothing to pay or refund"), _("What you paid counts towards the new time.")


def move_button(quote: MoveQuote, language: str) -> str:
    """What the button does."""
    _ = i18n.translator(language).gettext
    if quote.difference > 0:
        amount = i18n.format_money(Money(quote.difference, quote.price.currency), language)
        return _("Pay %(amount)s and move") % {"amount": amount}
    return _("Move the booking")


def afterwards(offer: Offer, after: Booking, language: str) -> str:
    """How often and how long the new time could be moved again."""
    said = i18n.translator(language)
    left = offer.moves_left - 1
    until = after.starts_at - timedelta(hours=after.terms.move_hours)
    if left <= 0 or until <= offer.at:
        return said.gettext("After this, you can no longer move it here.")
    again = said.ngettext(
        "After this, you can move it %(num)s more time, until %(until)s.",
        "After this, you can move it %(num)s more times, until %(until)s.",
        left,
    )
    return again % {"num": left, "until": when(until, after, offer.at, language)}


def not_moved(error: HoldfastError, language: str) -> list[str]:
    """Why the preview is shown again."""
    _ = i18n.translator(language).gettext
    if isinstance(error, PaymentRefused):
        return [_(error.sentence), _("Your booking was not moved. It stays as it was.")]
    if isinstance(error, SchedulerError | StripeError):
        return [_(error.sentence), _("Your booking was not moved. It stays as it was. Please try again in a moment.")]
    if isinstance(error, LinkExpired):
        return [_("Your booking has not been moved yet. This page was open for a while, so please check it again.")]
    return [_("Your booking has not been moved yet. The booking or its price has changed since you opened this page.")]

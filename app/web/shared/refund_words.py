"""What comes back of a booking's money and where each refund is, in words: to the customer in sentences and in a table,
to the owner in full; pure. What a refund waits for is decided once, and worded three times."""

from __future__ import annotations

from datetime import datetime

from app.booking.bookings import BookingView
from app.domain.booking import Status
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Refund, RefundStatus, failures
from app.msgid import N_
from app.text import catalogues, formats
from app.text.history_words import PAID_HOW, REFUND_STANDS
from app.web.shared.booking_summary import at_place, price
from app.web.shared.time_words import clock, when

# Where the money is

#: What a payment ends as that took no money, and will take none.
_UNCHARGED = frozenset({PaymentState.OPEN, PaymentState.EXPIRED, PaymentState.VOIDED, PaymentState.FAILED})


def captured(view: BookingView) -> bool:
    """Whether any money came."""
    return any(payment.captured for payment in view.payments)


def gives_back(view: BookingView) -> bool:
    """Whether any money goes back, or has gone."""
    return bool(shown_refunds(view))


def disputed(view: BookingView) -> bool:
    """Whether a bank has still to decide about one of the payments, so that its money cannot be sent back."""
    return any(payment.in_dispute for payment in view.payments)


def goes_by_hand(refund: Refund, view: BookingView) -> bool:
    """Whether the owner has to refund it, since it was paid on the spot."""
    return any(payment.id == refund.payment_id and payment.in_person for payment in view.payments)


def paid_how(payment: Payment, language: str) -> str:
    """How it was paid; empty for Stripe's page."""
    if payment.method not in PAID_HOW:
        return ""
    return catalogues.translator(language).gettext(PAID_HOW[payment.method])


def shown_refunds(view: BookingView) -> list[Refund]:
    """The refunds that say something to the customer: not what was withdrawn, nor what failed and was made good by
    another that is shown, nor money that was only held and let go: nothing is sent to their card."""
    past = made_good(view)
    let_go = {payment.id for payment in view.payments if payment.state in _UNCHARGED and not payment.captured}
    return [
        refund
        for refund in view.refunds
        if refund.status != RefundStatus.WITHDRAWN
        and refund.id not in past
        and not (refund.status == RefundStatus.SUCCEEDED and refund.payment_id in let_go)
    ]


def made_good(view: BookingView) -> set[str]:
    """The refunds that failed, and whose money went back by a later one."""
    return {refund_id for refund_id, amount in failures(view.payments, view.refunds).items() if not amount}


def waits_for_bank(refund: Refund, view: BookingView) -> bool:
    """Whether a refund cannot go out before a bank has decided about its payment."""
    payment = next((payment for payment in view.payments if payment.id == refund.payment_id), None)
    return payment is not None and payment.in_dispute and refund.status == RefundStatus.REQUESTED


def goes_out_later(refund: Refund, now: datetime) -> datetime | None:
    """When a refund goes out that waits because its cancellation can still be taken back; None where none is
    awaited."""
    waits = refund.status == RefundStatus.REQUESTED and not refund.tries and refund.next_try_at
    return refund.next_try_at if waits and refund.next_try_at and refund.next_try_at > now else None


# What the customer reads


def money_lines(view: BookingView, language: str) -> list[str]:
    """Whether money moved, and what of it comes back."""
    _ = catalogues.translator(language).gettext
    if view.payment is not None and view.payment.state is PaymentState.VOIDED:
        return [_("You have not been charged. Your bank will release the amount it had reserved within a few days.")]
    refunds = shown_refunds(view)
    if not refunds:
        uncharged = all(payment.state in _UNCHARGED and not payment.captured for payment in view.payments)
        return [_("You have not been charged.")] if uncharged and not view.booking.terms.free else []
    return [_refund_line(refund, view, language) for refund in refunds]


def _refund_line(refund: Refund, view: BookingView, language: str) -> str:
    """Stripe's word for where the refund stands, in ours (Stripe docs, "Refund", status)."""
    _ = catalogues.translator(language).gettext
    amount = {"amount": price(refund.amount, language)}
    if waits_for_bank(refund, view):
        return _("The payment is disputed. We will refund %(amount)s once your bank has decided.") % amount
    if goes_by_hand(refund, view) and refund.status == RefundStatus.REQUESTED:
        return _("You get %(amount)s back from us directly, because you paid on the spot.") % amount
    if refund.delayed:
        return _("Your refund of %(amount)s is delayed. We keep trying to send it.") % amount
    words: dict[str, str] = {
        RefundStatus.FAILED: N_(
            "We could not refund %(amount)s to your card. Please contact us so that we can send it another way."
        ),
        RefundStatus.CANCELED: N_(
            "We could not refund %(amount)s to your card. Please contact us so that we can send it another way."
        ),
        RefundStatus.PAID_ANOTHER_WAY: N_("We paid %(amount)s back to you another way."),
        RefundStatus.REQUIRES_ACTION: N_(
            "We are refunding %(amount)s. Stripe will email you to ask for the details it needs."
        ),
        RefundStatus.SUCCEEDED: N_("We have sent %(amount)s back to your card. It can take 5–10 days to show there."),
    }
    sentence = words.get(
        refund.status, N_("We are refunding %(amount)s to your card. It usually arrives within 5–10 days.")
    )
    return _(sentence) % amount


def money_rows(view: BookingView, now: datetime, language: str) -> list[dict[str, str]]:
    """What was paid and what went back, each with how it stands."""
    _ = catalogues.translator(language).gettext
    rows = []
    for payment in view.payments:
        if payment.captured:
            amount = formats.format_money(Money(payment.captured, payment.price.currency), language)
            label = _("Paid for the move") if payment.move_id else _("Paid")
            rows.append({"label": label, "amount": amount, "how": paid_how(payment, language)})
    unpaid = view.funds.to_pay_at_visit(view.booking)
    if unpaid and view.booking.status is Status.CONFIRMED:
        amount = formats.format_money(Money(unpaid, view.booking.terms.price.currency), language)
        rows.append({"label": _("To pay at your visit"), "amount": amount, "how": ""})
    for refund in shown_refunds(view):
        amount = formats.format_money(refund.amount, language)
        rows.append({"label": _("Refund"), "amount": amount, "how": _refund_row_words(refund, view, now, language)})
    return rows


def _refund_row_words(refund: Refund, view: BookingView, now: datetime, language: str) -> str:
    """Stripe's word for where a refund stands, in ours (Stripe docs, "Refund", status)."""
    booking = view.booking
    _ = catalogues.translator(language).gettext
    if waits_for_bank(refund, view):
        return _("The payment is disputed, so we will send it once your bank has decided.")
    if goes_by_hand(refund, view) and refund.status == RefundStatus.REQUESTED:
        return _("You get it back from us directly, because you paid on the spot.")
    if refund.delayed:
        return _("It is delayed. We keep trying to send it; you do not need to do anything.")
    if later := goes_out_later(refund, now):
        return _("We will send it at %(time)s to your original payment method.") % {
            "time": clock(later, booking, language)
        }
    words: dict[str, str] = {
        RefundStatus.REQUESTED: N_("We are sending it to your original payment method."),
        RefundStatus.SUCCEEDED: N_("Sent to your card. It can take 5–10 days to show there."),
        RefundStatus.REQUIRES_ACTION: N_("Stripe will email you to ask for the details it needs."),
        RefundStatus.FAILED: N_(
            "We could not send it back to your card. Please contact us so that we can send it another way."
        ),
        RefundStatus.CANCELED: N_(
            "We could not send it back to your card. Please contact us so that we can send it another way."
        ),
        RefundStatus.PAID_ANOTHER_WAY: N_("We paid it back to you another way."),
    }
    sentence = words.get(refund.status, N_("On its way to your card. It usually arrives within 5–10 days."))
    return _(sentence)


# What the owner reads


def owner_refund_words(refund: Refund, view: BookingView, now: datetime, language: str) -> str:
    """Where a refund is, and what it waits for."""
    _ = catalogues.translator(language).gettext
    if waits_for_bank(refund, view):
        return _("waiting for the bank to decide the dispute")
    if later := goes_out_later(refund, now):
        return _("will be sent on %(when)s") % {"when": when(later, at_place(view.booking), now, language)}
    if goes_by_hand(refund, view) and refund.status == RefundStatus.REQUESTED:
        return _("paid on the spot: please refund it yourself, then mark it as paid another way")
    if refund.delayed:
        return _("delayed (%(reason)s); we keep trying") % {"reason": refund.problem}
    if refund.id in made_good(view):
        return _("failed at Stripe; settled since")
    return _(REFUND_STANDS[refund.status]) if refund.status in REFUND_STANDS else refund.status

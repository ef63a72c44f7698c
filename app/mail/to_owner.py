"""What each mail to the owner says: what happened, who comes or came, what is charged or refunded, what to do."""

from __future__ import annotations

from datetime import datetime

from app.domain.attribution import booked_on, came_from
from app.domain.booking import EndReason, Status, Trouble
from app.domain.payment import undecided
from app.domain.refund import BALANCE_TOO_LOW
from app.mail.letter import Letter, Mail
from app.mail.phrases import (
    Rows,
    before_row,
    clock,
    facts,
    filled,
    offer_words,
    place_rows,
    price_row,
    says,
    undo_until,
    when,
)
from app.text.catalogues import translator
from app.text.formats import format_money


def confirmed(mail: Mail, now: datetime) -> Letter:
    """Someone booked."""
    _ = translator(mail.language).gettext
    return Letter(
        subject=_("New booking: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("You have a new booking"),
        paragraphs=(),
        rows=(*place_rows(mail), price_row(mail), *_customer_rows(mail), *_origin_rows(mail)),
    )


def refunded(mail: Mail, now: datetime) -> Letter:
    """A payment that bought nothing goes back, or the owner's own refund does."""
    _ = translator(mail.language).gettext
    what = facts(mail, now)
    back = _("We will refund %(amount)s to the customer.") if mail.refund else _("Nothing was charged.")
    if mail.reason is EndReason.REFUNDED:
        back = ""
    if mail.refund and mail.waits_for_bank:
        back = _("We will refund %(amount)s to the customer once the bank has decided the dispute.")
    return Letter(
        subject=_("Refunded: %(service)s, %(when)s, %(customer)s") % what,
        heading=_("The customer is refunded"),
        paragraphs=says((_why_refunded(mail), back % what, _("You do not need to do anything."))),
        rows=(*place_rows(mail), *_customer_rows(mail)),
    )


def canceled(mail: Mail, now: datetime) -> Letter:
    """A booking is off."""
    _ = translator(mail.language).gettext
    theirs = _("The customer cancelled this booking. The time is free again.")
    ours = _("You cancelled this booking. The time is free again, and the customer has been told.")
    return Letter(
        subject=_("Cancelled: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A booking has been cancelled"),
        paragraphs=says((ours if mail.by_owner else theirs, _what_goes_back(mail), _take_back(mail, now))),
        rows=(*place_rows(mail), *_customer_rows(mail)),
    )


def not_paid(mail: Mail, now: datetime) -> Letter:
    """A customer for whom the owner booked has not paid by the link, so the time is free again."""
    _ = translator(mail.language).gettext
    theirs = mail.reason is EndReason.GIVEN_UP
    return Letter(
        subject=_("Not paid: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A payment link has ended"),
        paragraphs=(
            _("The customer released the time.") if theirs else _("The customer did not pay in time."),
            _("The time is free again, and nothing was charged."),
        ),
        rows=(*place_rows(mail), price_row(mail), *_customer_rows(mail)),
    )


def offered(mail: Mail, now: datetime) -> Letter:
    """Paid when the time was gone: which other times are kept from others until the customer has chosen."""
    _ = translator(mail.language).gettext
    why = _("The payment arrived after the time had been released, and it was no longer free.")
    if mail.detail.get("again"):
        why = _("The time that the customer chose was taken before it could be booked.")
    return Letter(
        subject=_("Paid too late: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A payment arrived too late"),
        paragraphs=(
            why,
            _("We are holding other times for the customer. If none is chosen in time, we will refund them in full."),
            _("You can cancel the booking at any time. If you do, we will refund the customer in full."),
        ),
        rows=(
            *place_rows(mail),
            price_row(mail),
            *filled((_("Times held"), "\n".join(offer_words(mail, one, now) for one in mail.offered))),
            *_customer_rows(mail),
        ),
    )


def restored(mail: Mail, now: datetime) -> Letter:
    """A cancellation was taken back."""
    _ = translator(mail.language).gettext
    return Letter(
        subject=_("Booked again: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A cancelled booking has been restored"),
        paragraphs=(
            _("The cancellation has been undone. The time is booked as before, and there is nothing to pay or refund."),
        ),
        rows=(*place_rows(mail), price_row(mail), *_customer_rows(mail)),
    )


def moved(mail: Mail, now: datetime) -> Letter:
    """A booking has another time, service or person."""
    _ = translator(mail.language).gettext
    same_time = mail.moment("from") == mail.booking.starts_at
    subject = (
        _("Changed: %(service)s, %(when)s, %(customer)s")
        if same_time
        else _("Moved: %(service)s, %(when)s, %(customer)s")
    )
    ours = _("You changed this booking, and the customer has been told.")
    theirs = _("The customer changed this booking.")
    return Letter(
        subject=subject % facts(mail, now),
        heading=_("A booking has been changed") if same_time else _("A booking has been moved"),
        paragraphs=says((ours if mail.by_owner else theirs, _difference(mail))),
        rows=(*before_row(mail, now), *place_rows(mail), price_row(mail), *_customer_rows(mail)),
    )


def refund_failed(mail: Mail, now: datetime) -> Letter:
    """Stripe could not deliver a refund; Stripe docs, "Refunds": the money returns, another way must be found."""
    _ = translator(mail.language).gettext
    amount = format_money(mail.money("amount"), mail.language)
    why = _("Stripe could not send %(amount)s back to the customer. The money is in your Stripe balance.")
    if mail.detail.get("code") == "resource_missing":
        why = _(
            "Stripe does not know this payment, so %(amount)s could not be refunded to the customer. The payment was "
            "probably made with the key of another Stripe account, or with a test key."
        )
    return Letter(
        subject=_("Refund failed: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A refund has failed"),
        paragraphs=(
            why % {"amount": amount},
            _("We will not try again. Please pay it another way, such as a bank transfer."),
            _("The customer has been asked to contact you."),
        ),
        rows=(*place_rows(mail), *_customer_rows(mail)),
    )


def disputed(mail: Mail, now: datetime) -> Letter:
    """The customer's bank questions a payment. Only the owner can answer, and only at Stripe."""
    _ = translator(mail.language).gettext
    stands = mail.booking.status is Status.CONFIRMED
    return Letter(
        subject=_("Payment disputed: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A payment is disputed"),
        paragraphs=says(
            (*_dispute(mail, now), _("The booking stays confirmed unless you cancel it.") if stands else "")
        ),
        rows=(*place_rows(mail), *_customer_rows(mail)),
    )


def trouble(mail: Mail, now: datetime) -> Letter:
    """Something that is due cannot be done: what it is, what happens by itself, what the owner can do."""
    _ = translator(mail.language).gettext
    code = str(mail.detail.get("code") or "")
    return Letter(
        subject=_("Needs your attention: %(service)s, %(when)s, %(customer)s") % facts(mail, now),
        heading=_("A booking needs your attention"),
        paragraphs=says((*_trouble(mail), _("The reason given was: %(code)s.") % {"code": code} if code else "")),
        rows=(*place_rows(mail), *_customer_rows(mail)),
    )


def _trouble(mail: Mail) -> tuple[str, ...]:
    _ = translator(mail.language).gettext
    amount = {"amount": format_money(mail.money("amount"), mail.language)}
    match mail.detail.get("trouble"):
        case Trouble.PAYMENT_REFUSED:
            return (
                _("Stripe refused to open the payment page for this booking, so the customer could not pay."),
                _("Nothing was charged. Until the cause is fixed, other customers may not be able to pay either."),
                _("Please check your Stripe account and run: python -m app doctor"),
            )
        case Trouble.NOT_CONFIRMED:
            return (
                _("The customer has paid, but the calendar has not confirmed the booking yet."),
                _("We keep trying until the appointment starts. If that fails, we will refund the customer in full."),
                _("You can cancel the booking at any time. If you do, we will refund the customer in full."),
            )
        case Trouble.NOT_MOVED:
            return (
                _("This booking is being moved, but the calendar has not answered yet."),
                _("We keep trying until the new time starts. If that fails, we will refund any difference paid."),
                _("You can cancel the booking at any time. If you do, we will refund the customer in full."),
            )
        case Trouble.NOT_ENDED:
            blocked = _(
                "Until it does, the time stays blocked. If the payment did arrive, we will confirm the booking "
                "or refund the payment."
            )
            return (
                _("The time to pay has run out, but Stripe does not say whether the customer has paid."),
                "" if mail.booking.status is Status.EXPIRED else blocked,
                _("Please check your Stripe account and run: python -m app doctor"),
            )
        case Trouble.NOT_RELEASED if mail.booking.status is Status.CONFIRMED:
            # It was moved, or asked for twice: what is too much must not take the booking with it.
            return (
                _("This booking stands, but the calendar may have a second entry for it that we could not delete."),
                _("We keep trying. If you delete it yourself, keep one entry at the time of the booking."),
            )
        case Trouble.NOT_RELEASED:
            return (
                _("This booking has ended, but we could not tell the calendar, so the time is still blocked there."),
                _("We keep trying. You can also delete the entry in your calendar yourself."),
            )
        case Trouble.REFUND_REFUSED if mail.detail.get("code") == BALANCE_TOO_LOW:
            return (
                _("Stripe has not carried out a refund of %(amount)s to the customer.") % amount,
                _("Your Stripe balance is too low. Stripe sends the refund by itself once the balance is high enough."),
                _("If you want to pay the customer another way, first cancel the refund in the Stripe dashboard."),
            )
        case Trouble.REFUND_REFUSED:
            return (
                _("Stripe has not carried out a refund of %(amount)s to the customer.") % amount,
                _("We keep trying. Please check your balance and your key's permissions in the Stripe dashboard."),
                _("If you pay the customer another way, mark the refund as paid another way."),
            )
        case Trouble.REFUND_IN_PERSON:
            return (
                _("%(amount)s is due back to the customer, who paid it on the spot.") % amount,
                _("Stripe has no part in it: please refund it yourself, then mark the refund as paid another way."),
            )
        case Trouble.MAIL_GIVEN_UP:
            return (
                _("An email to the customer could not be delivered, so they may not know about this booking."),
                _("Please contact the customer another way, or correct the address: we then send the email again."),
            )
        case _:
            # An older program may find what a newer one has written.
            return (_("Something about this booking could not be done. The log has the details."),)


def _origin_rows(mail: Mail) -> Rows:
    """Which page it was booked on, and what had led there."""
    _ = translator(mail.language).gettext
    visitor = mail.booking.visitor
    return filled((_("Came from"), came_from(visitor)), (_("Booked on"), booked_on(visitor)))


def _customer_rows(mail: Mail) -> Rows:
    _ = translator(mail.language).gettext
    customer = mail.booking.customer
    if customer is None:
        return ()
    answers = (mail.widget.answer(name, answer) for name, answer in customer.answers.items())
    known = ((_("Name"), customer.name), (_("Email"), customer.email), (_("Phone"), customer.phone))
    return filled(*known, *answers, (_("Message"), customer.notes))


def _what_goes_back(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    terms, back = mail.booking.terms, mail.money("back")
    values = {"amount": format_money(back, mail.language), "price": format_money(terms.price, mail.language)}
    if terms.free and not back:
        return _("There was nothing to pay, so there is nothing to refund.")
    if not back and mail.unpaid == terms.price.amount:
        return _("Nothing had been paid, so there is nothing to refund.")
    if mail.detail.get("held"):
        return _("The customer was not charged: the amount was only held.")
    if not back:
        return _("None of the %(price)s is refunded.") % values
    if mail.in_person:
        return _("%(amount)s is due back to the customer. You refund what was paid on the spot yourself.") % values
    if mail.waits_for_bank:
        return _("We will refund %(amount)s to the customer once the bank has decided the dispute.") % values
    if back.amount >= terms.price.amount:
        return _("We will refund %(amount)s to the customer.") % values
    return _("We will refund %(amount)s of %(price)s to the customer.") % values


def _take_back(mail: Mail, now: datetime) -> str:
    _ = translator(mail.language).gettext
    until = undo_until(mail, now)
    if until is None:
        return ""
    said = _("Until %(time)s, the customer can undo the cancellation if the time is still free.")
    if mail.money("back") and not mail.waits_for_bank:
        said = _(
            "We will send the refund at %(time)s. Until then, the customer can undo the cancellation if the time "
            "is still free."
        )
    return said % {"time": clock(mail, until)}


def _difference(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    difference = mail.units("difference")
    amount = {"amount": format_money(mail.money("difference"), mail.language)}
    if difference > 0:
        return _("The customer paid the difference of %(amount)s.") % amount
    if difference < 0 and mail.waits_for_bank:
        decided = _("We will refund %(amount)s to the customer once the bank has decided the dispute.")
        return _("The new price is lower.") + " " + decided % amount
    if difference < 0:
        return _("The new price is lower. We will refund the difference of %(amount)s to the customer.") % amount
    if mail.booking.terms.free:
        return _("There is nothing to pay.")
    return "" if mail.unpaid else _("There is nothing to pay or refund.")


def _dispute(mail: Mail, now: datetime) -> tuple[str, ...]:
    _ = translator(mail.language).gettext
    stage, answer_by = str(mail.detail.get("dispute") or "needs_response"), mail.moment("answer_by")
    amount = {"amount": format_money(mail.money("amount"), mail.language)}
    if not undecided(stage):
        decided = _(
            "The customer's bank questioned a payment of %(amount)s. The dispute has been decided: see the "
            "Stripe dashboard."
        )
        return (decided % amount,)
    asks = _("The customer's bank is asking about a payment of %(amount)s. It has not taken the money back.")
    took = _("The customer's bank has taken back a payment of %(amount)s until the dispute is decided.")
    undated = _("Please answer in the Stripe dashboard. You will find the deadline there.")
    dated = _("Please answer in the Stripe dashboard by %(when)s.")
    return (
        (asks if stage.startswith("warning_") else took) % amount,
        dated % {"when": when(mail, answer_by, now)} if answer_by else undated,
        _("We will not refund any of this payment while the bank is deciding."),
    )


def _why_refunded(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    stands = mail.booking.status is Status.CONFIRMED
    match mail.reason:
        case EndReason.GOODWILL:
            return _("You made a refund outside the terms of the booking.")
        case EndReason.PAID_TWICE if stands:
            return _("The customer paid twice. The booking stays confirmed, and we are refunding the second payment.")
        case _ if stands:
            return _("This payment was not needed. The booking stays confirmed, and we are refunding the payment.")
        case EndReason.SLOT_GONE:
            return _("When the payment arrived, the time was no longer free, and no one else was available then.")
        case EndReason.NOT_CHOSEN:
            return _("The customer chose none of the times that were held.")
        case EndReason.TAKEN:
            return _("Someone else took the time in the calendar before the booking was confirmed.")
        case EndReason.BEGUN:
            return _("The payment arrived after the appointment had started.")
        case EndReason.REFUNDED:
            return _("The payment was refunded before the booking was confirmed, so the time is free again.")
        case EndReason.CAPTURE_FAILED:
            return _("The customer's bank did not pay the amount it had reserved.")
        case EndReason.PAYMENT_MISMATCH:
            return _("The payment does not match the price of the booking.")
        case EndReason.NO_ANSWER:
            return _(
                "The calendar did not answer before the appointment was due to start, so the booking could not be "
                "confirmed."
            )
        case _:
            return _("The payment arrived after the booking had ended.")

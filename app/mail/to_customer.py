"""What each mail to the customer says: one fact, what is charged or refunded, and what can be done now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.booking import EndReason, Status
from app.domain.money import Money
from app.mail.calendars import calendar_links
from app.mail.letter import Letter, Mail
from app.mail.phrases import (
    bank_decides,
    before_row,
    booked_rows,
    button,
    clock,
    contact,
    facts,
    more_links,
    offer_words,
    place_rows,
    says,
    sent_back,
    undo_until,
    when,
)
from app.text.catalogues import translator
from app.text.formats import format_money, relative_day


def confirmed(mail: Mail, now: datetime) -> Letter:
    """The booking is final."""
    _ = translator(mail.language).gettext
    what = facts(mail, now)
    again = _(
        "Your payment arrived after we had released the time. It was still free, so we booked it again with "
        "%(resource)s."
    )
    links = calendar_links(mail.booking, widget=mail.widget)
    return Letter(
        subject=_("Confirmed: %(service)s, %(when)s") % what,
        heading=_("Your booking is confirmed"),
        paragraphs=says(
            (
                _("Your time is booked.")
                if mail.booking.terms.free or mail.unpaid
                else _("Your time is booked and paid."),
                again % what if mail.detail.get("rescued") else "",
            )
        ),
        rows=booked_rows(mail, now),
        action=button(mail.manage_url, _("Change or cancel")),
        calendar=(("Google Calendar", links["google"]), ("Outlook", links["outlook"])),
        calendar_note=_("The attached file works with every calendar app."),
        method="PUBLISH",
        more=more_links(mail),
        closing=contact(mail.widget, mail.language),
    )


def pay_link(mail: Mail, now: datetime) -> Letter:
    """The owner has booked for this customer, who pays by the link: until then it is only held."""
    _ = translator(mail.language).gettext
    return _to_pay(mail, now, _("Please pay: %(service)s, %(when)s"), _("We hold this time for you"))


def pay_reminder(mail: Mail, now: datetime) -> Letter:
    """It is still not paid, and the link ends soon."""
    _ = translator(mail.language).gettext
    return _to_pay(mail, now, _("Still to pay: %(service)s, %(when)s"), _("We still hold this time for you"))


def _to_pay(mail: Mail, now: datetime, subject: str, heading: str) -> Letter:
    _ = translator(mail.language).gettext
    price = format_money(mail.booking.terms.price, mail.language)
    until = when(mail, mail.moment("until") or mail.booking.deadline, now)
    paragraphs = (
        _("Your time is held until %(when)s. It is booked once you have paid %(price)s.")
        % {"when": until, "price": price},
        _("If you do not pay by then, the time becomes available to others, and nothing is charged."),
    )
    return Letter(
        subject=subject % facts(mail, now),
        heading=heading,
        paragraphs=paragraphs,
        rows=booked_rows(mail, now),
        action=button(mail.status_url, _("Pay %(price)s") % {"price": price}),
        closing=contact(mail.widget, mail.language),
    )


def delayed(mail: Mail, now: datetime) -> Letter:
    """Paid, and the calendar has not answered for a while: the customer knows, and need not pay again."""
    _ = translator(mail.language).gettext
    paragraphs = (
        _("We have your payment, but the calendar is not responding, so your time is not confirmed yet."),
        _("Please do not pay again. We keep trying, and will email you as soon as it is confirmed."),
        _("If it cannot be confirmed before your appointment starts, we will refund you in full."),
    )
    return Letter(
        subject=_("Not confirmed yet: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your booking is not confirmed yet"),
        paragraphs=paragraphs,
        rows=booked_rows(mail, now),
        action=button(mail.manage_url, _("See your booking")),
        closing=contact(mail.widget, mail.language),
    )


def offered(mail: Mail, now: datetime) -> Letter:
    """Paid when the time was gone: other times are held, each with a link, and all the money can come back."""
    _ = translator(mail.language).gettext
    why = _("Your payment arrived after we had released the time, and it was no longer free.")
    if mail.detail.get("again"):
        why = _("The time you chose was taken before we could book it.")
    paragraphs = (
        why,
        _("We are holding other times for you. Choose one at no extra cost, or get all your money back."),
        _("If you choose none in time, we will refund you in full."),
        "" if mail.detail.get("binds") else _("Until you choose, the calendar may still give these times to others."),
    )
    page = mail.manage_url
    return Letter(
        subject=_("No longer free: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your time was no longer free"),
        paragraphs=says(paragraphs),
        rows=place_rows(mail),
        action=button(page, _("See the times held for you")),
        more=((_("Get my money back"), f"{page}/cancel"),) if page else (),
        links=tuple((offer_words(mail, one, now), f"{page}/choose?time={one.id}") for one in mail.offered)
        if page
        else (),
        links_heading=_("Times held for you"),
        closing=contact(mail.widget, mail.language),
    )


def released(mail: Mail, now: datetime) -> Letter:
    """The time was released before it was paid."""
    _ = translator(mail.language).gettext
    return Letter(
        subject=_("Not booked: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your time is no longer held"),
        paragraphs=(_why_released(mail), _("You have not been charged.")),
        rows=place_rows(mail),
        action=button(mail.status_url, _("See if the time is still free")),
        closing=contact(mail.widget, mail.language),
    )


def refunded(mail: Mail, now: datetime) -> Letter:
    """A payment without a booking is refunded; or the owner refunds."""
    _ = translator(mail.language).gettext
    uncharged = _("You have not been charged. Your bank will release the amount it had reserved within a few days.")
    twice = mail.reason is EndReason.PAID_TWICE and mail.booking.status is Status.CONFIRMED
    subject = _("Second payment refunded: %(service)s, %(when)s") if twice else _("Refunded: %(service)s, %(when)s")
    given = mail.reason is EndReason.GOODWILL
    refunded_before = mail.reason is EndReason.REFUNDED
    return Letter(
        subject=subject % facts(mail, now),
        heading=_("You are getting a refund") if given else _("We are refunding your payment"),
        paragraphs=says(
            (
                _why_refunded(mail),
                _goes_back(mail, mail.refund) if mail.refund else "" if refunded_before else uncharged,
            )
        ),
        rows=place_rows(mail),
        action=button(mail.manage_url if given else mail.status_url, _("See your booking")),
        closing=contact(mail.widget, mail.language),
    )


def canceled(mail: Mail, now: datetime) -> Letter:
    """The booking is off, and what comes back."""
    _ = translator(mail.language).gettext
    who = _("We are sorry, but we had to cancel your booking.") if mail.by_owner else _("You cancelled your booking.")
    return Letter(
        subject=_("Cancelled: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your booking has been cancelled"),
        paragraphs=says((who, _what_comes_back(mail), _take_back(mail, now))),
        rows=place_rows(mail),
        action=button(mail.manage_url, _("See your booking")),
        calendar_note=_(
            "The attached file removes the entry from your calendar. An entry that you added through a link stays "
            "until you remove it."
        ),
        method="CANCEL",
        closing=contact(mail.widget, mail.language),
    )


def restored(mail: Mail, now: datetime) -> Letter:
    """A cancellation was taken back."""
    _ = translator(mail.language).gettext
    return Letter(
        subject=_("Booked again: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your booking has been restored"),
        paragraphs=(
            _(
                "The cancellation has been undone. Your time is booked as before, and there is nothing to pay or "
                "refund."
            ),
        ),
        rows=booked_rows(mail, now),
        action=button(mail.manage_url, _("Change or cancel")),
        calendar_note=_("The attached file puts the entry back into your calendar."),
        method="PUBLISH",
        more=more_links(mail),
        closing=contact(mail.widget, mail.language),
    )


def moved(mail: Mail, now: datetime) -> Letter:
    """The booking has another time, or another service or person at the same time."""
    _ = translator(mail.language).gettext
    same_time = mail.moment("from") == mail.booking.starts_at
    sorry = _("We are sorry, but we had to change your booking. If this does not suit you, please let us know.")
    free = _("We have released your old time.")
    return Letter(
        subject=(_("Changed: %(service)s, %(when)s") if same_time else _("Moved: %(service)s, %(when)s"))
        % facts(mail, now),
        heading=_("Your booking has been changed") if same_time else _("Your booking has been moved"),
        paragraphs=says((sorry if mail.by_owner else "" if same_time else free, _difference(mail))),
        rows=(*before_row(mail, now), *booked_rows(mail, now)),
        action=button(mail.manage_url, _("Change or cancel")),
        calendar_note=_(
            "The attached file updates the entry in your calendar. An entry that you added through a link does not "
            "update by itself."
        ),
        method="PUBLISH",
        more=more_links(mail),
        closing=contact(mail.widget, mail.language),
    )


def not_moved(mail: Mail, now: datetime) -> Letter:
    """The difference was paid, but the new time was gone."""
    _ = translator(mail.language).gettext
    to, back = mail.moment("to"), mail.money("back")
    stands = mail.booking.status is Status.CONFIRMED
    named = _("You paid to move your booking to %(when)s, but that time was no longer free.")
    unnamed = _("You paid to move your booking, but the new time was no longer free.")
    return Letter(
        subject=_("Not moved: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your booking was not moved"),
        paragraphs=says(
            (
                named % {"when": when(mail, to, now)} if to else unnamed,
                _("Nothing has changed: your booking is still confirmed.") if stands else "",
                _goes_back(mail, back) if back else _("You have not been charged."),
            )
        ),
        rows=place_rows(mail),
        action=button(mail.manage_url, _("Change or cancel") if stands else _("See your booking")),
        closing=contact(mail.widget, mail.language),
    )


def reminder(mail: Mail, now: datetime) -> Letter:
    """The visit is near. Its calendar file is a link, since most have the entry already."""
    _ = translator(mail.language).gettext
    file = f"{mail.manage_url}/calendar.ics"
    near = relative_day(mail.booking.starts_at, mail.booking.time_zone, now, mail.language)
    return Letter(
        subject=_("Reminder: %(service)s %(near)s, %(when)s") % {**facts(mail, now), "near": near},
        heading=_("Your booking is %(when)s") % {"when": near},
        paragraphs=says(
            (_("If you cannot come, please let us know using the link below.") if mail.manage_url else "",)
        ),
        rows=booked_rows(mail, now),
        action=button(mail.manage_url, _("Change or cancel")),
        calendar=((_("Calendar file"), file),) if mail.manage_url else (),
        more=more_links(mail),
        closing=contact(mail.widget, mail.language),
    )


def new_link(mail: Mail, now: datetime) -> Letter:
    """A new manage link was asked for."""
    _ = translator(mail.language).gettext
    stands = mail.booking.status is Status.CONFIRMED
    canceled = mail.booking.status is Status.CANCELED
    return Letter(
        subject=_("New link: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Here is a new link to your booking"),
        paragraphs=says(
            (
                _("Links in older emails will stop working once you use a link in this one. Nothing else has changed.")
                if mail.detail.get("later")
                else _("Older links no longer work. Nothing else has changed."),
                _("This booking is cancelled.") if canceled else "",
            )
        ),
        rows=place_rows(mail),
        action=button(mail.manage_url, _("Change or cancel") if stands else _("See your booking")),
        closing=contact(mail.widget, mail.language),
        links=tuple(
            (_("%(service)s, %(when)s") % facts(replace(mail, booking=other), now), url) for other, url in mail.others
        ),
        links_heading=_("Your other bookings"),
    )


def refund_failed(mail: Mail, now: datetime) -> Letter:
    """Money that was to go back did not arrive."""
    _ = translator(mail.language).gettext
    amount = format_money(mail.money("amount"), mail.language)
    return Letter(
        subject=_("Refund failed: %(service)s, %(when)s") % facts(mail, now),
        heading=_("Your refund did not arrive"),
        paragraphs=(
            _("We tried to refund %(amount)s to your original payment method, but the refund did not go through.")
            % {"amount": amount},
            _("The money is still yours. Please contact us so that we can send it another way."),
        ),
        rows=place_rows(mail),
        action=button(mail.manage_url, _("See your booking")),
        closing=contact(mail.widget, mail.language),
    )


def _what_comes_back(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    terms, back = mail.booking.terms, mail.money("back")
    if terms.free and not back:
        return _("There was nothing to pay, so there is nothing to refund.")
    if not back and mail.unpaid == terms.price.amount:
        return _("Nothing had been paid, so there is nothing to refund.")
    if mail.detail.get("held"):
        return _("You have not been charged. Your bank will release the amount it had reserved within a few days.")
    if not back and mail.returned_by_bank:
        return _("Your bank has returned the payment to you.")
    if not back and not mail.by_owner:
        return _("Under your booking terms, there is no refund.")
    return _goes_back(mail, back, of=terms.price)


def _goes_back(mail: Mail, money: Money, *, of: Money | None = None) -> str:
    if money and mail.waits_for_bank:
        return bank_decides(money, mail.language)
    return sent_back(money, mail.language, of=of, in_person=mail.in_person)


def _take_back(mail: Mail, now: datetime) -> str:
    _ = translator(mail.language).gettext
    until = undo_until(mail, now)
    if until is None or not mail.manage_url:
        return ""
    said = _("Until %(time)s, you can undo the cancellation using the link below if the time is still free.")
    if mail.money("back") and not mail.waits_for_bank:
        said = _(
            "We will send the refund at %(time)s. Until then, you can undo the cancellation using the link below "
            "if the time is still free."
        )
    return said % {"time": clock(mail, until)}


def _difference(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    difference, money = mail.units("difference"), mail.money("difference")
    if difference > 0:
        return _("You paid the difference of %(amount)s.") % {"amount": format_money(money, mail.language)}
    if difference < 0:
        return _("The new price is lower.") + " " + _goes_back(mail, money)
    if mail.booking.terms.free:
        return _("There is nothing to pay.")
    return "" if mail.unpaid else _("There is nothing to pay or refund.")


def _why_released(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    match mail.reason:
        case EndReason.BY_OWNER if mail.booking.pay_link:
            return _("We no longer hold this time for you, and it is available to others again.")
        case EndReason.PAYMENT_FAILED:
            return _("Your payment did not go through, so we have released the time.")
        case EndReason.GIVEN_UP:
            return _("You released the time, so others can book it again.")
        case EndReason.REFUSED | EndReason.NO_ANSWER | EndReason.BY_OWNER:
            return _("The calendar could not keep this time for you.")
        case _:
            return _("We did not receive your payment, so we have released the time.")


def _why_refunded(mail: Mail) -> str:
    _ = translator(mail.language).gettext
    stands = mail.booking.status is Status.CONFIRMED
    match mail.reason:
        case EndReason.GOODWILL:
            return (
                _("Your booking stays as it is.")
                if stands
                else _("This is a goodwill refund, outside your booking terms.")
            )
        case EndReason.PAID_TWICE if stands:
            return _("You paid twice. Your booking stays confirmed, and we are refunding the second payment.")
        case _ if stands:
            return _("This payment was not needed. Your booking stays confirmed, and we are refunding the payment.")
        case EndReason.SLOT_GONE:
            return _(
                "When your payment arrived, the time was no longer free, and no one else was available then. You "
                "have no booking."
            )
        case EndReason.NOT_CHOSEN:
            return _("None of the times we held for you was chosen.")
        case EndReason.TAKEN:
            return _("Someone else took this time in the calendar before we could confirm it. You have no booking.")
        case EndReason.BEGUN:
            return _("Your payment arrived after the appointment had started. You have no booking.")
        case EndReason.REFUNDED:
            return _("Your payment was refunded before the booking was confirmed. You have no booking.")
        case EndReason.CAPTURE_FAILED:
            return _("Your bank did not pay the amount it had reserved. You have no booking.")
        case EndReason.PAYMENT_MISMATCH:
            return _("Your payment does not match the price of this booking. You have no booking.")
        case EndReason.NO_ANSWER:
            return _("The calendar did not answer before your appointment was due to start. You have no booking.")
        case _:
            return _("Your payment arrived after this booking had ended.")

"""The two screens between the hold and the payment: who comes, and everything once more before it is paid."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.booking.customer_form import PHONE_COUNTRY, form_fields, read_country
from app.domain.booking import Booking
from app.errors import HoldfastError
from app.msgid import N_
from app.text import catalogues, languages, zones
from app.web.shared import host_events
from app.web.shared.addresses import times_address
from app.web.shared.booking_summary import price, sentence
from app.web.shared.render import render
from app.web.visitor.booking_access import common_context, is_return, new_price

#: The word for a visitor who comes from Stripe's page without having paid.
BACK = "back"
#: What the step that led here reported, by the word in the address.
_REPORTS = {
    "again": N_("We held your time again."),
    BACK: N_("Nothing was charged. Your time is still held."),
    "kept": N_("We cannot hold your time any longer without payment. It is held until the time shown above."),
}


def details_screen(
    request: Request,
    view: BookingView,
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    reported: str = "",
    suggestion: str = "",
) -> Response:
    """The form that asks who comes, as it was `typed`, with what is wrong with it; `suggestion` is the mail address
    that was probably meant."""
    _ = catalogues.translator(request.state.shell.language).gettext
    errors = errors or {}
    fields = [
        {
            "name": field.name,
            "kind": field.kind,
            "label": field.label if field.own_words else _(field.label),
            "help": field.help,
            "required": field.required,
            "limit": field.limit,
            "options": field.options,
            "autocomplete": field.autocomplete,
            "inputmode": field.inputmode,
            "value": typed.get(field.name, "")[: field.limit * 2],
            "error": _(errors[field.name]) if field.name in errors else "",
            "countries": _countries(request, view, typed) if field.kind == "tel" else (),
        }
        for field in form_fields(view.widget)
    ]
    context = {
        **common_context(request, view),
        "review": view.widget.review,
        "notice": view.widget.notice,
        "pay_label": _pay_label(view.booking, request.state.shell.language),
        "pays": host_events.payment(view.booking),
        "fields": fields,
        "errors": bool(errors),
        "suggestion": suggestion,
        "reported": _(_REPORTS[reported]) if reported in _REPORTS else "",
        "new_price": new_price(view, request.state.shell.language),
        "event": host_events.held(view.booking),
    }
    return render(request, "visitor/details.html", context, shell=request.state.shell, status=422 if errors else 200)


def pay_screen(
    request: Request, view: BookingView, *, reported: str = "", error: HoldfastError | None = None
) -> Response:
    """Everything once more, and the button that pays; with an `error`, why paying did not begin."""
    booking, language = view.booking, request.state.shell.language
    _ = catalogues.translator(language).gettext
    common = common_context(request, view)
    customer = booking.customer
    labels = {question.name: question.label for question in view.widget.questions}
    answers = [
        (labels.get(name, name), _("Yes") if answer == "yes" else answer)
        for name, answer in (customer.answers.items() if customer else ())
    ]
    context = {
        **common,
        "is_return": is_return(request),
        "linked": booking.pay_link,
        "times": times_address(request, booking),
        "customer": customer,
        "answers": answers,
        "sentence": sentence(common["summary"], language),
        "notice": view.widget.notice,
        "pay_label": _pay_label(booking, language),
        "event": host_events.held(booking),
        "pays": host_events.payment(booking),
        "reported": _(_REPORTS[reported]) if reported in _REPORTS else "",
        "new_price": new_price(view, language),
        "problem": _(error.sentence) if error else "",
        "retry": error is not None and error.retry,
    }
    status = error.status if error else 200
    return render(request, "visitor/pay.html", context, shell=request.state.shell, status=status)


def _countries(request: Request, view: BookingView, typed: Mapping[str, str]) -> list[dict[str, object]]:
    """Which country's a number without a country code may be: the one that the visitor's clock is in, and the owner's.
    Where they are one, nothing is to be chosen."""
    here, owners = read_country(zones.country_of(view.booking.visitor.time_zone)), view.widget.country
    names = languages.locale_of(request.state.shell.language).territories
    codes = [*dict.fromkeys(filter(None, (here, owners)))]
    asked = read_country(typed.get(PHONE_COUNTRY, ""))
    chosen = asked if asked in codes else codes[0]
    return [{"code": code, "name": names.get(code, code), "chosen": code == chosen} for code in codes]


def _pay_label(booking: Booking, language: str) -> str:
    _ = catalogues.translator(language).gettext
    if booking.terms.free:
        return _("Confirm booking")
    return _("Pay %(price)s") % {"price": price(booking.terms.price, language)}

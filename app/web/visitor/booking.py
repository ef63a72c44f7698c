"""A booking's own pages, from the hold to the confirmation: details, summary, paying, status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urldefrag, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from app.booking.bookings import BookingView
from app.booking.customer_form import ANSWER, form_fields, typed_details
from app.booking.overdue import CONFIRM_WITHIN
from app.domain.booking import Booking, EndReason, Status
from app.domain.payment import DISPUTE_LOST, DISPUTE_OVER, PaymentState
from app.domain.refund import PAID_ANOTHER_WAY, Refund, failures
from app.errors import (
    BookingConflict,
    HoldExpired,
    HoldfastError,
    InvalidDetails,
    InvalidRequest,
    LinkExpired,
    LinkRefused,
    SchedulerError,
    SlotTaken,
    StripeError,
    TooManyHolds,
)
from app.mail import calendar_file, calendar_links, stated_method
from app.parts import parts_of
from app.protection.rate_limits import BOOKING, PAY, client_address
from app.protection.signed_links import must_not_be_forgotten
from app.text import i18n
from app.text.i18n import N_
from app.web.shared import host_events
from app.web.shared.booking_summary import booking_card, hold_line, price, sentence
from app.web.shared.render import Shell, booking_shell, render, trusted_host, wants_block
from app.web.shared.request_input import asked_path, read_form
from app.web.shared.theme import asked_style
from app.web.visitor.proof_of_work import read_client, visitor_token
from app.web.visitor.widget import PREFILL, show_refusal
from app.widgets import Widget

UNPAID = (Status.HELD, Status.AWAITING_PAYMENT)

#: Seconds before each look at a booking that is being confirmed: soon at first, then seldom, two minutes in all.
LOOKS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)
#: From this look on, some 20 seconds have passed.
_SLOW = 8
#: Every so many looks ask Stripe and Hapio themselves, in case the webhook was lost.
_SETTLE_EVERY = 4

#: The word for a visitor who comes from Stripe's page without having paid.
BACK = "back"

#: What a step that led here has to say, by the word in the address.
_TOLD = {
    "again": N_("We held your time again."),
    BACK: N_("Nothing was charged. Your time is still held."),
    "kept": N_("We cannot hold your time any longer without payment. It is yours until the time above."),
}

WHY_ENDED: Mapping[EndReason | None, str] = {
    EndReason.DEADLINE: N_("We did not receive a payment in time, so we released the time."),
    EndReason.GIVEN_UP: N_("You released the time."),
    EndReason.REFUSED: N_("Someone else booked this time first."),
    EndReason.NO_ANSWER: N_("The calendar did not answer, so we could not hold the time for you."),
    EndReason.PAYMENT_FAILED: N_("The payment did not go through."),
    EndReason.PAYMENT_MISMATCH: N_("The payment did not match the price."),
    EndReason.SLOT_GONE: N_("Your payment arrived after the hold had ended, and the time was no longer free."),
    EndReason.BEGUN: N_("Your payment arrived after the appointment had begun."),
    EndReason.REFUNDED: N_("Your payment was refunded before the booking was confirmed."),
    EndReason.CAPTURE_FAILED: N_("Your bank did not pay out the amount that it had set aside."),
    EndReason.BY_CUSTOMER: N_("You cancelled it."),
    EndReason.BY_OWNER: N_("We had to cancel it. We are sorry."),
}


# Showing


async def show_booking(request: Request) -> Response:
    """GET /b/{token}: whatever comes next for this booking; with `look`, whether it is confirmed by now."""
    asked = request.query_params
    view = await _view(request, may_return=True)
    if asked.get("told") == BACK:
        view = await surely_unpaid(request, view)
    booking, back = view.booking, _is_return(request)
    if back and not open_page(view):
        return await _status(request, view)
    if booking.status is Status.HELD or (booking.status is Status.AWAITING_PAYMENT and asked.get("from") != "stripe"):
        told = _TOLD.get(asked.get("told", ""), "")
        if not back and (booking.customer is None or asked.get("step") == "details"):
            typed = typed_details(booking.customer) if booking.customer else dict(asked)
            return _details(request, view, typed, told=told)
        return _summary(request, view, told=told)
    return await _status(request, view)


async def show_return(request: Request) -> Response:
    """GET /b/{token}/return: back from Stripe. Looks at the payment once, at its source, before showing anything."""
    booking = await _read(request, may_return=True)
    if request.method == "GET":
        await parts_of(request).settle.booking(booking.id)
    return _to_host(request, booking) or _to(request, {"from": "stripe"})


async def show_back(request: Request) -> Response:
    """GET /b/{token}/back: left Stripe's page without paying. The page there stays open, and the time held."""
    booking = await _read(request, may_return=True)
    return _to_host(request, booking, told=BACK) or _to(request, {"told": BACK})


async def calendar(request: Request) -> Response:
    """GET /b/{token}/calendar.ics. A way back from Stripe's page ends too soon for the entry to name it."""
    view = await _view(request, may_return=True)
    url = parts_of(request).settings.public_url + _path(request)
    if _is_return(request):
        url = trusted_host(view.booking.visitor.host, view.widget)
    return calendar_response(request, view.booking, view.widget, url=url)


def calendar_response(request: Request, booking: Booking, widget: Widget, *, url: str) -> Response:
    """The booking as a calendar file, with the address of its page; a canceled one takes the entry off again."""
    parts = parts_of(request)
    if booking.status not in {Status.PAID, Status.CONFIRMED, Status.CANCELED}:
        raise BookingConflict(booking.status)
    method: Literal["CANCEL", "PUBLISH"] = "CANCEL" if booking.status is Status.CANCELED else "PUBLISH"
    language = booking.visitor.language
    file = calendar_file(booking, widget=widget, url=url, now=parts.now(), language=language, method=method)
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="booking.ics"'}
    stated = stated_method(method, widget)
    return Response(file, media_type=f"text/calendar; method={stated}" if stated else "text/calendar", headers=headers)


# Doing


async def add_details(request: Request) -> Response:
    """POST /b/{token}/details: keep who is coming. A hold that ended meanwhile is held again, if it is still free."""
    booking = await _read(request)
    form = await read_form(request)
    try:
        await parts_of(request).checkout.add_details(booking.id, form)
        return _to(request, {})
    except InvalidDetails as error:
        return _details(request, await _view(request), form, errors=error.fields)
    except HoldExpired:
        return await _hold_again(request, booking, form)
    except BookingConflict:
        return _to(request, {})


async def extend(request: Request) -> Response:
    """POST /b/{token}/extend: hold the time longer. What is typed in the form around the button stays typed."""
    booking = await _read(request)
    form = await read_form(request)
    told = ""
    try:
        await parts_of(request).hold.extend(booking.id)
    except HoldExpired:
        pass
    except BookingConflict:
        told = _TOLD["kept"]
    view = await _view(request)
    if view.booking.status in {Status.HELD, Status.EXPIRED}:
        if "email" in form:
            return _details(request, view, form, told=told)
        if wants_block(request) and view.booking.customer:
            return _summary(request, view, told=told)
    return _to(request, {"told": "kept"} if told else {})


async def release(request: Request) -> Response:
    """POST /b/{token}/release: another time, please. If Stripe does not answer, the hold ends by itself."""
    booking = await _read(request)
    try:
        booking = await parts_of(request).hold.give_up(booking.id)
    except (SchedulerError, StripeError):
        return RedirectResponse(times_address(request, booking), status_code=303)
    if booking.status in {Status.PAID, Status.CONFIRMED}:
        return _to(request, {})
    return RedirectResponse(times_address(request, booking), status_code=303)


async def hold_again(request: Request) -> Response:
    """POST /b/{token}/hold-again: the same time once more, with everything that was typed."""
    return await _hold_again(request, await _read(request), None)


async def pay(request: Request) -> Response:
    """POST /b/{token}/pay: on to Stripe's page, or straight to the confirmation where nothing is due. Who comes back
    from Stripe's page is led to that same page, while it is open."""
    booking = await _read(request, may_return=True)
    parts_of(request).rate_limits.check(PAY, client_address(request.scope))
    if _is_return(request):
        page = open_page(await _view(request, may_return=True))
        return RedirectResponse(page, status_code=303) if page else _to(request, {"from": "stripe"})
    try:
        address = client_address(request.scope)
        url = await parts_of(request).checkout.start(booking.id, address=address)
    except HoldExpired:
        return await _hold_again(request, booking, None)
    except InvalidDetails as error:  # an address that Stripe does not take
        typed = typed_details(booking.customer) if booking.customer else {}
        return _details(request, await _view(request), typed, errors=error.fields)
    except InvalidRequest:
        return _to(request, {})
    except (StripeError, SchedulerError, BookingConflict) as error:
        view = await _view(request)
        if view.booking.status not in UNPAID or view.booking.customer is None:
            return _to(request, {})
        return _summary(request, view, error=error)
    return RedirectResponse(url, status_code=303) if url else _to(request, {})


async def _hold_again(request: Request, booking: Booking, form: Mapping[str, str] | None) -> Response:
    """Hold an ended hold's time afresh, for the same customer or the one just typed; else offer the nearest."""
    parts = parts_of(request)
    try:
        # The ended booking's id as the key: a doubled click is one new hold.
        client = read_client(request, await read_form(request), booking)
        again: Booking = await parts.hold.again(booking.id, booking.id, form, client=client)
    except InvalidDetails as error:
        return _details(request, await _view(request), form or {}, errors=error.fields)
    except (SlotTaken, SchedulerError, TooManyHolds) as error:
        typed = form if form is not None else typed_details(booking.customer) if booking.customer else {}
        return await _show_gone(request, booking, typed, error)
    except BookingConflict:
        return _to(request, {})
    except StripeError as error:
        return _summary(request, await _view(request), error=error)
    token = parts.links.booking_token(again.id, ends_at=again.ends_at)
    return RedirectResponse(f"/b/{token}?{urlencode({'told': 'again', **_kept(request)})}", status_code=303)


async def _show_gone(
    request: Request, booking: Booking, typed: Mapping[str, str], error: SlotTaken | SchedulerError | TooManyHolds
) -> Response:
    """The times around one that is gone, with what was typed carried along."""
    visitor = booking.visitor
    look = {
        "service": booking.service_id,
        "resource": "" if booking.any_resource else booking.resource_id,
        "tz": visitor.time_zone,
        **_kept(request),
    }
    carried = {name: value for name, value in typed.items() if name in PREFILL or name.startswith(ANSWER)}
    asked = {**look, **carried, **visitor.utm, "host": visitor.host, "place": visitor.place}
    asked["visitor"] = visitor_token(request, booking)
    return await show_refusal(request, request.state.shell, asked, booking.starts_at, error)


# Reading


def _named(request: Request, *, may_return: bool) -> str:
    """The booking id in the token. Counted by booking, so that an office is not one visitor here.

    `may_return` says whether a token of the way back from Stripe's page does, which can only show.
    """
    parts, token = parts_of(request), request.path_params["token"]
    try:
        booking_id: str = parts.links.read_booking_token(token)
        request.state.is_return = False
    except LinkExpired:
        raise
    except LinkRefused:
        if not may_return:
            raise
        booking_id = parts.links.read_return_token(token, "booking")
        request.state.is_return = True
    parts.rate_limits.check(BOOKING, booking_id)
    return booking_id


def _is_return(request: Request) -> bool:
    """Whether the address is a way back from Stripe's page: it shows nothing of who booked, and offers no act."""
    is_return: bool = request.state.is_return
    return is_return


async def _read(request: Request, *, may_return: bool = False) -> Booking:
    """The booking that the token names; from here on, errors speak its language."""
    parts = parts_of(request)
    booking: Booking = await parts.bookings.get(_named(request, may_return=may_return))
    must_not_be_forgotten(booking)
    request.state.shell = booking_shell(request, booking, parts.bookings.widget_of(booking))
    return booking


async def _view(request: Request, *, may_return: bool = False) -> BookingView:
    parts = parts_of(request)
    view: BookingView = await parts.bookings.view(_named(request, may_return=may_return))
    must_not_be_forgotten(view.booking)
    request.state.shell = booking_shell(request, view.booking, view.widget)
    return view


async def surely_unpaid(request: Request, view: BookingView) -> BookingView:
    """The same, read anew after a look at Stripe where money may be on its way: no page says that nothing was charged
    because Stripe's word of it is late."""
    parts = parts_of(request)
    if view.booking.status is Status.AWAITING_PAYMENT or view.move:
        await parts.settle.booking(view.booking.id)
        view = await parts.bookings.view(view.booking.id)
    return view


def open_page(view: BookingView) -> str:
    """Stripe's page, if it is still open for this booking."""
    payment = view.payment
    if view.booking.status is not Status.AWAITING_PAYMENT or payment is None or payment.state is not PaymentState.OPEN:
        return ""
    return payment.session_url or ""


def _path(request: Request) -> str:
    return f"/b/{request.path_params['token']}"


def _kept(request: Request) -> dict[str, str]:
    """What the address carries along from page to page: how the host page's tag wants the widget to look."""
    return dict(asked_style(request.query_params))


def _to(request: Request, query: Mapping[str, str]) -> Response:
    """On to the booking's page, with GET."""
    query = {**query, **_kept(request)}
    return RedirectResponse(_path(request) + (f"?{urlencode(query)}" if query else ""), status_code=303)


def _to_host(request: Request, booking: Booking, *, told: str = "") -> Response | None:
    """Back to the page that the visitor came from, where our loader shows how the booking stands. None where no
    loader put the frame there, or the page may not frame us (any more).

    The token is in the fragment, which browsers send to nobody, and can do nothing but show this booking.
    """
    shell: Shell = request.state.shell
    host, _ = urldefrag(trusted_host(booking.visitor.host, shell.widget))
    if not host or not booking.visitor.place:
        return None
    token = parts_of(request).links.result_token(booking.id, told=told)
    return RedirectResponse(f"{host}#holdfast={booking.visitor.place}.{token}", status_code=303)


def times_address(request: Request, booking: Booking) -> str:
    """The times around the booking's, for the same visitor."""
    visitor = booking.visitor
    day = i18n.local(booking.starts_at, i18n.valid_zone(visitor.time_zone) or booking.time_zone).date()
    query = {
        "service": booking.service_id,
        "resource": "" if booking.any_resource else booking.resource_id,
        "date": day.isoformat() if booking.starts_at > parts_of(request).now() else "",
        "tz": visitor.time_zone,
        "lang": visitor.language,
        "host": visitor.host,
        "place": visitor.place,
        "visitor": visitor_token(request, booking),
        **visitor.utm,
        **_kept(request),
    }
    return f"/w/{booking.widget}?" + urlencode({name: value for name, value in query.items() if value})


# Screens


def _common(request: Request, view: BookingView) -> dict[str, Any]:
    shell: Shell = request.state.shell
    now = parts_of(request).now()
    path, kept = _path(request), _kept(request)
    query = f"?{urlencode(kept)}" if kept else ""
    return {
        "path": path,
        "query": query,
        "card": booking_card(view.booking, language=shell.language, now=now),
        "gives_up": host_events.canceled(view.booking, EndReason.GIVEN_UP),
        "hold": hold_line(view.booking, view.widget, path=path, query=query, language=shell.language, now=now),
    }


def _details(
    request: Request,
    view: BookingView,
    typed: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    told: str = "",
) -> Response:
    _ = i18n.translator(request.state.shell.language).gettext
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
        }
        for field in form_fields(view.widget)
    ]
    context = {
        **_common(request, view),
        "fields": fields,
        "errors": bool(errors),
        "told": _(told) if told else "",
        "new_price": _new_price(view, request.state.shell.language),
        "event": host_events.held(view.booking),
    }
    return render(request, "visitor/details.html", context, shell=request.state.shell, status=422 if errors else 200)


def _summary(request: Request, view: BookingView, *, told: str = "", error: HoldfastError | None = None) -> Response:
    booking, language = view.booking, request.state.shell.language
    _ = i18n.translator(language).gettext
    common = _common(request, view)
    customer = booking.customer
    labels = {question.name: question.label for question in view.widget.questions}
    answers = [
        (labels.get(name, name), _("Yes") if answer == "yes" else answer)
        for name, answer in (customer.answers.items() if customer else ())
    ]
    pay_label = _("Confirm booking")
    if not booking.terms.free:
        pay_label = _("Pay %(price)s") % {"price": price(booking.terms.price, language)}
    context = {
        **common,
        "is_return": _is_return(request),
        "times": times_address(request, booking),
        "customer": customer,
        "answers": answers,
        "sentence": sentence(common["card"], language),
        "pay_label": pay_label,
        "event": host_events.held(booking),
        "pays": host_events.payment(booking),
        "told": _(told) if told else "",
        "new_price": _new_price(view, language),
        "problem": _(error.sentence) if error else "",
        "retry": error is not None and error.retry,
    }
    status = error.status if error else 200
    return render(request, "visitor/summary.html", context, shell=request.state.shell, status=status)


def _new_price(view: BookingView, language: str) -> str:
    """That the price is another than the one that was chosen by; empty where it is not."""
    if not any(entry.what == "price_changed" for entry in view.history):
        return ""
    _ = i18n.translator(language).gettext
    return _("The price has changed: %(price)s") % {"price": price(view.booking.terms.price, language)}


async def _status(request: Request, view: BookingView) -> Response:
    """How the booking stands. While it is being confirmed, the page looks again by itself, ever more seldom."""
    look = asked_look(request)
    if settles(look) and view.booking.status in UNSETTLED:
        await parts_of(request).settle.booking(view.booking.id)
        view = await _view(request, may_return=True)
    context = status_context(request, view, look or 0)
    return render_status(request, only_showing(context) if _is_return(request) else context)


def asked_look(request: Request) -> int | None:
    """The how-manieth look of a waiting page this is; None for a first view."""
    look = request.query_params.get("look", "")
    return int(look) if look.isdecimal() and len(look) < 4 else None


def settles(look: int | None) -> bool:
    """Whether this look asks Stripe and Hapio themselves."""
    return look is not None and look % _SETTLE_EVERY == _SETTLE_EVERY - 1


def render_status(request: Request, context: Mapping[str, Any]) -> Response:
    """The page, or for a look that finds nothing new only the wait, so that focus and animation stay where they
    are."""
    seen = request.query_params.get("seen")
    if asked_look(request) is not None and wants_block(request) and context["poll"] and seen == context["seen"]:
        response = render(request, "visitor/status.html", context, shell=request.state.shell, block="wait")
        response.headers["HX-Retarget"] = "#hf-wait"
        return response
    return render(request, "visitor/status.html", context, shell=request.state.shell)


def only_showing(context: dict[str, Any]) -> dict[str, Any]:
    """The same page for an address that may only show: nothing of who booked, and no act but to look elsewhere."""
    again = context["again"] and context["again"] | {"hold": False}
    return context | {"mailed_to": "", "again": again, "lasts": False}


UNSETTLED = (Status.AWAITING_PAYMENT, Status.PAID)


def status_context(request: Request, view: BookingView, look: int) -> dict[str, Any]:
    """What the page says of a booking that is past its summary."""
    booking, language, parts = view.booking, request.state.shell.language, parts_of(request)
    _ = i18n.translator(language).gettext
    late = waits_long(view, parts.now())
    heading, mark, lines = _told(view, language, late=late)
    processing = view.payment is not None and view.payment.state is PaymentState.PROCESSING
    seen = f"{booking.status}{'-processing' if processing else ''}"
    poll, slow = None, ""
    if booking.status in UNSETTLED and not processing:
        if look < len(LOOKS):
            query = urlencode({"from": "stripe", "look": look + 1, "seen": seen, **_kept(request)})
            poll = {"path": f"{asked_path(request)}?{query}", "seconds": LOOKS[look]}
        if look >= _SLOW:
            slow = _("This is taking longer than usual. You can close this page and check again later.")
            if parts.mailer.enabled:
                slow = _("This is taking longer than usual. You can close this page; we will email you.")
    again = None
    if booking.status in {Status.EXPIRED, Status.CANCELED}:
        ahead = booking.starts_at > parts.now()
        again = {"hold": booking.status is Status.EXPIRED and ahead, "times": times_address(request, booking)}
    confirmed = booking.status is Status.CONFIRMED
    return {
        **_common(request, view),
        "heading": heading,
        "mark": mark,
        "lines": lines,
        "seen": seen,
        "poll": poll,
        "slow": slow,
        "again": again,
        "event": host_events.outcome(booking, parts.links),
        "confirmed": confirmed,
        "page_path": asked_path(request),
        "mailed": parts.mailer.enabled,
        "lasts": True,
        "payment_page": "",
        "mailed_to": booking.customer.email if booking.customer and parts.mailer.enabled else "",
        "mail_problem": mail_problem(view, language),
        "calendar_links": calendar_names(booking, view.widget) if confirmed else [],
        "ask": booking.status in {Status.EXPIRED, Status.CANCELED} or bool(slow),
    }


def mail_problem(view: BookingView, language: str) -> str:
    """That the customer's address takes no mail; empty where nothing says so."""
    customer = view.booking.customer
    if not view.mail_problem or customer is None:
        return ""
    said = i18n.translator(language).gettext(
        "Our email to %(email)s could not be delivered. Please contact us so that we can correct the address."
    )
    return said % {"email": customer.email}


def waits_long(view: BookingView, now: datetime) -> bool:
    """Whether nothing has happened to the booking for longer than a confirmation takes."""
    return bool(view.history) and now - view.history[-1].at >= CONFIRM_WITHIN


def calendar_names(booking: Booking, widget: Widget) -> Sequence[tuple[str, str]]:
    """Links that open a prefilled entry, under their calendars' own names."""
    links = calendar_links(booking, widget=widget)
    return [("Google Calendar", links["google"]), ("Outlook", links["outlook"])]


def _told(view: BookingView, language: str, *, late: bool) -> tuple[str, str, list[str]]:
    """(heading, mark, lines): what happened, and whether money moved. `late`: it has been paid for a while."""
    _ = i18n.translator(language).gettext
    booking = view.booking
    match booking.status:
        case Status.AWAITING_PAYMENT if view.payment and view.payment.state is PaymentState.PROCESSING:
            later = _("Your bank needs a while for this payment. We keep your time, and will email you.")
            return _("Your payment is on its way"), "clock", [later]
        case Status.AWAITING_PAYMENT | Status.HELD:
            return (
                _("Waiting for Stripe"),
                "waiting",
                [_("We confirm your booking as soon as Stripe tells us that you have paid.")],
            )
        case Status.PAID if booking.terms.free:
            return _("Confirming your time"), "waiting", []
        case Status.PAID if late:
            lines = [
                _("We have your payment, but the calendar is not responding. Please do not pay again."),
                _("We keep trying. If it cannot be confirmed in time, we refund you in full."),
            ]
            return _("Your time is not confirmed yet"), "waiting", lines
        case Status.PAID:
            return _("Payment received, confirming your time"), "waiting", []
        case Status.CONFIRMED:
            lines = [_("Your appointment is now with %(person)s.") % {"person": booking.resource_name}]
            moved = not booking.any_resource and _other_person(view)
            return _("Your time is confirmed"), "check", lines if moved else []
        case Status.CANCELED:
            return _("This booking is cancelled"), "cross", [*_why(booking, language), *money_lines(view, language)]
        case Status.EXPIRED:
            lines = [*_why(booking, language), *money_lines(view, language)]
            return _("This time is no longer held for you"), "clock", lines


def _other_person(view: BookingView) -> bool:
    """Whether late money was rescued with somebody else at the same time."""
    return any(entry.what == "other_person" for entry in view.history)


def _why(booking: Booking, language: str) -> list[str]:
    why = WHY_ENDED.get(booking.end_reason)
    return [i18n.translator(language).gettext(why)] if why else []


#: What a payment ends as that took no money, and will take none.
_UNCHARGED = frozenset({PaymentState.OPEN, PaymentState.EXPIRED, PaymentState.VOIDED, PaymentState.FAILED})


def money_lines(view: BookingView, language: str) -> list[str]:
    """Whether money moved, and what of it comes back."""
    _ = i18n.translator(language).gettext
    if view.payment is not None and view.payment.state is PaymentState.VOIDED:
        return [_("You have not been charged. Your bank releases the amount it had set aside within a few days.")]
    refunds = shown_refunds(view)
    if not refunds:
        uncharged = all(payment.state in _UNCHARGED and not payment.captured for payment in view.payments)
        return [_("You have not been charged.")] if uncharged and not view.booking.terms.free else []
    return [_refund_line(refund, view, language) for refund in refunds]


def shown_refunds(view: BookingView) -> list[Refund]:
    """The refunds that say something to the customer: not what was withdrawn, nor what failed and was made good by
    another that is shown."""
    made_good = {refund_id for refund_id, amount in failures(view.payments, view.refunds).items() if not amount}
    return [refund for refund in view.refunds if refund.status != "withdrawn" and refund.id not in made_good]


def waits_for_bank(refund: Refund, view: BookingView) -> bool:
    """Whether a refund cannot go out before a bank has decided about its payment."""
    payment = next((payment for payment in view.payments if payment.id == refund.payment_id), None)
    undecided = payment is not None and payment.dispute not in DISPUTE_OVER | {DISPUTE_LOST}
    return undecided and refund.status == "requested"


def _refund_line(refund: Refund, view: BookingView, language: str) -> str:
    """Stripe's word for where the refund stands, in ours (Stripe docs, "Refund", status)."""
    _ = i18n.translator(language).gettext
    amount = {"amount": price(refund.amount, language)}
    if waits_for_bank(refund, view):
        return _("The payment is disputed. We will refund %(amount)s once your bank has decided.") % amount
    if refund.delayed:
        return _("Your refund of %(amount)s is delayed. We keep trying to send it.") % amount
    told = {
        "failed": N_(
            "We could not refund %(amount)s to your card. Please contact us so that we can send it another way."
        ),
        "canceled": N_(
            "We could not refund %(amount)s to your card. Please contact us so that we can send it another way."
        ),
        PAID_ANOTHER_WAY: N_("We paid %(amount)s back to you another way."),
        "requires_action": N_("We are refunding %(amount)s. Stripe will email you to ask for the details it needs."),
        "succeeded": N_("We are refunding %(amount)s to your card. Banks usually take 5–10 days to show it."),
    }
    sentence = told.get(
        refund.status, N_("We are refunding %(amount)s to your card. It usually arrives within 5–10 days.")
    )
    return _(sentence) % amount


routes = [
    Route("/b/{token}", show_booking),
    Route("/b/{token}/details", add_details, methods=["POST"]),
    Route("/b/{token}/extend", extend, methods=["POST"]),
    Route("/b/{token}/release", release, methods=["POST"]),
    Route("/b/{token}/hold-again", hold_again, methods=["POST"]),
    Route("/b/{token}/pay", pay, methods=["POST"]),
    Route("/b/{token}/return", show_return),
    Route("/b/{token}/back", show_back),
    Route("/b/{token}/calendar.ics", calendar),
]

"""Paying for a booking that the owner made: noting what was paid on the spot, and the payment link."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.amounts import read_amount
from app.domain.money import Money
from app.domain.payment import PaymentMethod
from app.errors import BookingConflict, HoldfastError, InvalidDetails, SchedulerError, StripeError
from app.parts import parts_of
from app.text import catalogues, formats
from app.text.history_words import PAID_HOW
from app.web.shared.request_input import read_form
from app.web.staff.before_act import NOT_DONE, BeforeAct, before_act, screen_instead
from app.web.staff.booking import booking_path, booking_screen, read_view, to_booking, to_take
from app.web.staff.page import render_staff

# On the spot


async def show_payment(request: Request, view: BookingView) -> Response:
    """GET …/payment: how much, and how. Nothing happens yet."""
    return _ask(request, view)


async def record(request: Request, view: BookingView) -> Response:
    """POST …/payment: note it, once however often the form comes."""
    parts, form = parts_of(request), await read_form(request)
    amount = read_amount(form.get("amount", ""), view.booking.terms.price.currency)
    how, unpaid = form.get("how", ""), form.get("unpaid", "")
    if amount is None or how not in PAID_HOW or not unpaid.isdecimal():
        return _ask(request, view, typed=form.get("amount", ""), how=how)
    try:
        await parts.desk_payments.record(
            view.booking.id, amount, PaymentMethod(how), who=request.state.staff.email, unpaid=int(unpaid[:12])
        )
    except InvalidDetails:
        return _ask(request, await read_view(request), typed=form.get("amount", ""), how=how)
    except (BookingConflict, SchedulerError, StripeError) as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="taken")


def _ask(request: Request, view: BookingView, *, typed: str | None = None, how: str = "") -> Response:
    """The page that asks; `typed` is what is no amount that can be taken."""
    language, unpaid = request.state.shell.language, to_take(view)
    if not unpaid:
        return to_booking(request)
    _ = catalogues.translator(language).gettext
    left = Money(unpaid, view.booking.terms.price.currency)
    known = how if how in PAID_HOW else PaymentMethod.CASH
    context = {
        "path": booking_path(request),
        "name": view.booking.customer.name if view.booking.customer else "",
        "service": view.booking.service_name,
        "left": formats.format_money(left, language),
        "unpaid": unpaid,
        "currency": left.currency.upper(),
        "value": format(left.to_decimal(), "f") if typed is None else typed,
        "wrong": typed is not None,
        "ways": [(method.value, _(word), method == known) for method, word in PAID_HOW.items()],
        "link": view.booking.pay_link,
    }
    return render_staff(request, "staff/payment.html", context, status=200 if typed is None else 422)


# Links


async def resend_link(request: Request, view: BookingView) -> Response:
    """POST …/link/resend: mail it once more."""
    try:
        sent = await parts_of(request).desk_payments.resend_link(view.booking.id, who=request.state.staff.email)
    except BookingConflict as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="link_sent" if sent else "link_waits")


async def extend_link(request: Request, view: BookingView) -> Response:
    """POST …/link/extend: more time, counted from now."""
    parts, lasts = parts_of(request), (await read_form(request)).get("lasts", "")
    until = view.booking.starts_at
    if lasts.isdecimal() and len(lasts) < 6:
        until = parts.now() + timedelta(minutes=int(lasts))
    try:
        await parts.desk_payments.extend_link(view.booking.id, until, who=request.state.staff.email)
    except InvalidDetails as error:
        [said] = error.fields.values()
        return await booking_screen(request, await read_view(request), refused=said)
    except BookingConflict as error:
        return await booking_screen(request, await read_view(request), error=error)
    return to_booking(request, reported="link_longer")


async def show_give_up(request: Request, view: BookingView) -> Response:
    """GET …/link/give-up: what it means. Nothing happens yet."""
    return _before_giving_up(request, view)


async def give_up(request: Request, view: BookingView) -> Response:
    """POST …/link/give-up: the time is free again, unless it is paid in this moment."""
    parts = parts_of(request)
    page = (await read_form(request)).get("page", "")
    try:
        parts.links.read_page_token(page, view.booking.id, "staff end link")
        ended = await parts.desk_payments.give_up(view.booking.id, who=request.state.staff.email)
    except NOT_DONE as error:
        return await screen_instead(request, error, partial(_before_giving_up))
    return to_booking(request, reported="link_ended" if ended.payment_id is None else "booked")


def _before_giving_up(request: Request, view: BookingView, *, problem: HoldfastError | None = None) -> Response:
    language, booking = request.state.shell.language, view.booking
    if not booking.pay_link or not to_take(view):
        return to_booking(request)
    _ = catalogues.translator(language).gettext
    lines = [_("The link stops working, and the time becomes available to others again.")]
    if booking.customer and booking.customer.email:
        lines.append(_("The customer gets an email."))
    act = BeforeAct(
        heading=_("Stop waiting for the payment?"),
        sum=_("Nothing to pay or refund"),
        lines=lines,
        fields=[("page", parts_of(request).links.page_token(booking.id, "staff end link", booking.revision))],
        button=_("Stop waiting"),
        action="link/give-up",
        grave=True,
    )
    return before_act(request, view, act, problem=problem)

"""Refunding outside the terms, and noting that a refund was paid without Stripe. The booking stays as it is."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.amounts import read_amount
from app.domain.money import Money
from app.domain.refund import payable_another_way
from app.errors import BookingConflict, HoldfastError, NotFound
from app.parts import parts_of
from app.text import catalogues, formats
from app.web.shared.request_input import read_form
from app.web.staff.before_act import NOT_DONE, BeforeAct, before_act, mailed_line, screen_instead
from app.web.staff.booking import to_booking
from app.web.staff.staff_words import goes_back, money_left


async def show_refund(request: Request, view: BookingView) -> Response:
    """GET …/refund: how much; with an amount, what it means. Nothing happens yet."""
    return _before_refunding(request, view)


async def refund(request: Request, view: BookingView) -> Response:
    """POST …/refund: as the page showed it, and once however often the form comes."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    amount = _read_amount(form.get("amount", ""), money_left(view))
    try:
        if amount is None:
            raise BookingConflict("less is left")
        parts.links.read_page_token(form.get("page", ""), booking.id, _refund_act(amount, view))
        await parts.owner_refunds.give_back(booking.id, amount, left=view.left)
    except NOT_DONE as error:
        return await screen_instead(request, error, _before_refunding)
    return to_booking(request, reported="refunded")


def _refund_act(amount: Money, view: BookingView) -> str:
    return f"staff refund {amount.amount} of {view.left}"


def _read_amount(text: str, left: Money) -> Money | None:
    """The amount that was typed; None for what cannot be refunded."""
    amount = read_amount(text, left.currency)
    return amount if amount and amount.amount <= left.amount else None


def _before_refunding(request: Request, view: BookingView, *, problem: HoldfastError | None = None) -> Response:
    language, left = request.state.shell.language, money_left(view)
    if left.amount <= 0:
        return to_booking(request)
    _ = catalogues.translator(language).gettext
    typed = request.query_params.get("amount")
    amount = _read_amount(typed, left) if typed is not None else None
    most = {"amount": formats.format_money(left, language)}
    if amount is None:
        ask = {
            "value": typed if typed is not None else format(left.to_decimal(), "f"),
            "wrong": typed is not None,
            "help": _("At most %(amount)s, which is what has not been refunded yet.") % most,
            "currency": left.currency.upper(),
        }
        act = BeforeAct(
            heading=_("Refund the customer"),
            sum="",
            lines=[_("The booking stays as it is. The next page shows what happens; nothing is refunded before that.")],
            ask=ask,
            button=_("Continue"),
            action="refund",
        )
        return before_act(request, view, act, problem=problem)
    given = formats.format_money(amount, language)
    page = parts_of(request).links.page_token(view.booking.id, _refund_act(amount, view), view.booking.revision)
    act = BeforeAct(
        heading=_("Refund this amount?"),
        sum=_("%(amount)s back") % {"amount": given},
        lines=[
            *goes_back(view, amount, language),
            _("The booking stays as it is."),
            mailed_line(request, view, owner=False),
        ],
        fields=[("amount", format(amount.to_decimal(), "f")), ("page", page)],
        button=_("Refund %(amount)s") % {"amount": given},
        action="refund",
        grave=True,
    )
    return before_act(request, view, act, problem=problem)


# Paid without Stripe


async def show_paid_another_way(request: Request, view: BookingView) -> Response:
    """GET …/paid-another-way: what noting that means. Nothing happens yet."""
    return _before_noting(request, view, request.query_params.get("refund", ""))


async def paid_another_way(request: Request, view: BookingView) -> Response:
    """POST …/paid-another-way: as the page showed it."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    refund_id = form.get("refund", "")
    try:
        parts.links.read_page_token(form.get("page", ""), booking.id, _noting_act(view, refund_id))
        await parts.owner_refunds.paid_another_way(booking.id, refund_id)
    except (*NOT_DONE, NotFound) as error:
        return await screen_instead(request, error, partial(_before_noting, refund_id=refund_id))
    return to_booking(request, reported="paid")


def _noting_act(view: BookingView, refund_id: str) -> str:
    return f"staff paid {refund_id} {payable_another_way(view.payments, view.refunds).get(refund_id)}"


def _before_noting(
    request: Request, view: BookingView, refund_id: str, *, problem: HoldfastError | None = None
) -> Response:
    amount = payable_another_way(view.payments, view.refunds).get(refund_id)
    if amount is None:
        return to_booking(request)
    language, links = request.state.shell.language, parts_of(request).links
    _ = catalogues.translator(language).gettext
    said = formats.format_money(Money(amount, view.booking.terms.price.currency), language)
    page = links.page_token(view.booking.id, _noting_act(view, refund_id), view.booking.revision)
    act = BeforeAct(
        heading=_("Did you pay this back another way?"),
        sum=said,
        lines=[
            _("No money is sent now. The refund counts as paid, and Stripe is not asked for it again."),
            _("The booking's page tells the customer that you paid it another way."),
        ],
        fields=[("refund", refund_id), ("page", page)],
        button=_("I have paid %(amount)s") % {"amount": said},
        action="paid-another-way",
    )
    return before_act(request, view, act, problem=problem)

"""The staff page: signing in by a link in the mail; the days, a search, one booking with all that hangs on it, and the
owner's acts on it.

Its addresses carry who is signed in, so nothing of it is stored, framed, logged or sent on as a referrer. Each act has
a page that says first what it does to the money; its form holds for what was said there.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial, wraps
from typing import Any, Final
from urllib.parse import urlencode

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from app.booking.bookings import BookingView
from app.booking.customer_form import read_address
from app.booking.moves import MoveQuote
from app.booking.offer import Offer, Refusal
from app.domain.amounts import read_amount
from app.domain.booking import Actor, Status
from app.domain.catalogue import Service
from app.domain.money import Money
from app.domain.move import MoveState
from app.domain.refund import payable_another_way
from app.errors import (
    BookingConflict,
    HoldfastError,
    InvalidDetails,
    LinkExpired,
    LinkRefused,
    NotFound,
    PolicyRefused,
    SchedulerError,
    SlotTaken,
    StripeError,
)
from app.operations.staff_access import MOST as FOUND
from app.operations.staff_access import SignIn
from app.parts import parts_of
from app.protection.rate_limits import SIGN_IN, STAFF, client_address
from app.protection.signed_links import SIGN_IN_LIFE
from app.text import i18n
from app.text.i18n import N_
from app.web.shared import booking_words
from app.web.shared.booking_summary import booking_card
from app.web.shared.page_cache import pages_in
from app.web.shared.render import NOBODY, Shell, make_page, policy, render_text, widget_shell
from app.web.shared.request_input import asked_path, read_form
from app.web.shared.reschedule_calendar import move_act, now_line, service_choices, taken_words
from app.web.shared.theme import style_hash, theme_css
from app.web.staff import staff_words as words
from app.web.visitor.widget import Paths, Scene, find_scene, read_look, read_start, times_context, value_of

#: More bookings than these are not on one page.
MOST: Final = 500
SPANS: Final[Mapping[int, str]] = {1: N_("Day"), 7: N_("Week"), 31: N_("Month")}
#: Local days begin up to 14 hours before UTC's, and end up to 12 hours after.
_EARLIEST, _LATEST = timedelta(hours=14), timedelta(hours=12)
_STANDING: Final = (Status.CONFIRMED, Status.PAID, Status.AWAITING_PAYMENT)
_LONGEST: Final = 100
_PAGE: Final = re.compile("[1-9][0-9]{0,3}")
#: What an owner may do beside the terms.
_MAY_CANCEL: Final = (None, Refusal.BEGUN)
_MAY_MOVE: Final = (None, Refusal.BEGUN, Refusal.TOO_LATE, Refusal.TOO_OFTEN)
_NOT_DONE = (LinkRefused, PolicyRefused, BookingConflict, SchedulerError, StripeError)

Door = Callable[[Request], Awaitable[Response]]
View = Callable[[Request, BookingView], Awaitable[Response]]


def _signed_in(door: Door) -> Door:
    """The one way in. Whose address does not open (any more) may ask for a link."""

    @wraps(door)
    async def open_door(request: Request) -> Response:
        parts = parts_of(request)
        parts.rate_limits.check(STAFF, client_address(request.scope))
        request.state.shell = widget_shell(request, NOBODY)
        try:
            request.state.staff = await parts.staff.signed_in(request.path_params["token"])
        except LinkRefused as error:
            return _ask_page(request, error=error)
        return await door(request)

    return open_door


def _of_booking(door: View) -> Door:
    """A door to one booking."""

    @_signed_in
    @wraps(door)
    async def open_door(request: Request) -> Response:
        return await door(request, await _view(request))

    return open_door


async def _view(request: Request) -> BookingView:
    view: BookingView = await parts_of(request).bookings.view(request.path_params["booking"])
    if view.booking.customer is None:
        raise NotFound("nobody has put a name to it")
    return view


# Signing in


async def show_ask(request: Request) -> Response:
    """GET /staff: ask for a link."""
    return _ask_page(request)


async def ask(request: Request) -> Response:
    """POST /staff: the same answer for every address; a link goes to those that may sign in."""
    parts = parts_of(request)
    parts.rate_limits.check(SIGN_IN, client_address(request.scope))
    shell = request.state.shell = widget_shell(request, NOBODY)
    typed = (await read_form(request)).get("email", "").strip()[:254]
    address = read_address(typed)
    if address is None:
        return _ask_page(request, typed=typed)
    task = BackgroundTask(parts.staff.ask, address, shell.language) if parts.staff.enabled else None
    return RedirectResponse("/staff/sent", status_code=303, background=task)


async def show_sent(request: Request) -> Response:
    """GET /staff/sent"""
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = i18n.translator(shell.language).gettext
    lines = [
        _("If this address is allowed to sign in, a link is on its way to it."),
        _("It works once, within %(num)s minutes.") % {"num": _minutes(SIGN_IN_LIFE)},
    ]
    return _door_page(request, heading=_("Check your email"), lines=lines)


async def show_in(request: Request) -> Response:
    """GET /staff/in/{token}: a button, since mail scanners open links and the link works once."""
    parts = parts_of(request)
    parts.rate_limits.check(STAFF, client_address(request.scope))
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = i18n.translator(shell.language).gettext
    try:
        parts.links.read_sign_in_token(request.path_params["token"])
    except LinkRefused as error:
        return _ask_page(request, error=error)
    form = {"action": asked_path(request), "label": _("Sign in"), "field": None}
    return _door_page(request, heading=_("Sign in to the bookings"), form=form)


async def sign_in(request: Request) -> Response:
    """POST /staff/in/{token}"""
    parts = parts_of(request)
    parts.rate_limits.check(STAFF, client_address(request.scope))
    request.state.shell = widget_shell(request, NOBODY)
    try:
        token = await parts.staff.sign_in(request.path_params["token"])
    except LinkRefused as error:
        return _ask_page(request, error=error)
    return RedirectResponse(f"/staff/{token}", status_code=303)


@_signed_in
async def sign_out(request: Request) -> Response:
    """POST /staff/{token}/sign-out"""
    await parts_of(request).staff.sign_out(request.state.staff)
    return RedirectResponse("/staff", status_code=303)


def _ask_page(request: Request, *, error: LinkRefused | None = None, typed: str | None = None) -> Response:
    """The form that asks for a link; `error` is why the address at hand does not open, `typed` what is no address."""
    if not parts_of(request).staff.enabled:
        raise NotFound("no staff")
    shell = request.state.shell = widget_shell(request, NOBODY)
    _ = i18n.translator(shell.language).gettext
    lines = [
        _(
            "We email a sign-in link to people who work here. You need no password, and nothing is stored in your "
            "browser."
        )
    ]
    heading = _("Sign in to the bookings")
    if isinstance(error, LinkExpired):
        heading = _("Please sign in again")
        lines.insert(0, _("This link has expired, or was used before. Nothing was changed."))
    elif error:
        heading = _("This link does not work")
        lines.insert(0, _("Part of it may be missing."))
    field = {"typed": typed or "", "wrong": typed is not None}
    form = {"action": "/staff", "label": _("Email me a link"), "field": field}
    status = error.status if error else 422 if typed is not None else 200
    return _door_page(request, heading=heading, lines=lines, form=form, status=status)


def _door_page(
    request: Request,
    *,
    heading: str,
    lines: Sequence[str] = (),
    form: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    context = {"heading": heading, "lines": lines, "form": form}
    return _render(request, "staff/sign_in.html", context, status=status)


# The days


@dataclass(frozen=True, slots=True)
class Asked:
    """Which days to show, and of what."""

    first: date
    days: int
    widget: str
    person: str
    all: bool
    page: int = 1

    @property
    def last(self) -> date:
        """The last day."""
        return self.first + timedelta(days=self.days - 1)

    def query(self, **changes: Any) -> str:
        """The address's query, with these changed."""
        asked = replace(self, **changes)
        pairs = [("from", asked.first.isoformat()), ("days", str(asked.days))]
        pairs += [(name, text) for name, text in (("widget", asked.widget), ("person", asked.person)) if text]
        pairs += [("all", "1")] if asked.all else []
        pairs += [("page", str(asked.page))] if asked.page > 1 else []
        return urlencode(pairs)


@_signed_in
async def show_days(request: Request) -> Response:
    """GET /staff/{token}: today and the coming days, of one widget or person if wished; printed, a day's list."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    today = i18n.local(now, await place_zone(request)).date()
    asked = _read_asked(request.query_params, today)
    starts_from = _midnight(asked.first) - _EARLIEST
    starts_to = _midnight(asked.last) + timedelta(days=1) + _LATEST
    found = await parts.bookings.find(
        statuses=(*_STANDING, Status.CANCELED) if asked.all else _STANDING,
        starts_from=starts_from,
        starts_to=starts_to,
        widget=asked.widget,
        resource_id=asked.person,
        skip=(asked.page - 1) * MOST,
        most=MOST + 1,
    )
    shown = [
        one for one in found[:MOST] if asked.first <= i18n.local(one.starts_at, one.time_zone).date() <= asked.last
    ]
    step = timedelta(days=asked.days)
    base = _base(request)
    _ = i18n.translator(language).gettext
    context = {
        "asked": asked,
        "heading": _span_heading(asked, today, language),
        "days": words.days_of(shown, parts.widgets, base, now, language),
        "count": len(shown),
        "page_before": asked.query(page=asked.page - 1) if asked.page > 1 else "",
        "page_after": asked.query(page=asked.page + 1) if len(found) > MOST else "",
        "before": asked.query(first=asked.first - step, page=1) if asked.first.year > 2000 else "",
        "after": asked.query(first=asked.first + step, page=1) if asked.first.year < 2900 else "",
        "now": asked.query(first=today, page=1) if asked.first != today else "",
        "spans": [(_(word), asked.query(days=days, page=1), days == asked.days) for days, word in SPANS.items()],
        "widgets": [(name, widget.title or name) for name, widget in parts.widgets.items()],
        "people": await parts.staff.people(starts_from=starts_from, starts_to=starts_to, widget=asked.widget),
        "list": asked.days == 1,
    }
    return _render(request, "staff/days.html", context, screen="days")


def _read_asked(query: Mapping[str, str], today: date) -> Asked:
    try:
        first = date.fromisoformat(query.get("from", ""))
    except ValueError:
        first = today
    days = next((days for days in SPANS if str(days) == query.get("days")), 7)
    in_reach = first if 2000 <= first.year < 2900 else today
    page = int(text) if _PAGE.fullmatch(text := query.get("page", "1")) else 1
    widget, person = (query.get(name, "")[:_LONGEST] for name in ("widget", "person"))
    return Asked(in_reach, days, widget, person, "all" in query, page)


def _span_heading(asked: Asked, today: date, language: str) -> str:
    first = i18n.format_date(asked.first, language, "full" if asked.days == 1 else "medium", today=today)
    if asked.days == 1:
        return first
    return f"{first} – {i18n.format_date(asked.last, language, 'medium', today=today)}"


async def place_zone(request: Request) -> str:
    """The zone in which it is today: the place's, if Hapio has told us of one."""
    parts = parts_of(request)
    try:
        catalogue = await parts.availability.catalogue(next(iter(parts.widgets.values())))
    except (SchedulerError, NotFound):
        return "UTC"
    zone: str = catalogue.location.time_zone
    return zone


@_signed_in
async def show_found(request: Request) -> Response:
    """GET /staff/{token}/find: bookings by a part of a name or address, or by the reference."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    text = " ".join(request.query_params.get("q", "").split())[:_LONGEST]
    found = await parts.staff.search(text) if text else []
    base = _base(request)
    visits = [words.visit(booking, parts.widgets, base, now, language) for booking in found[:FOUND]]
    context = {"visits": visits, "text": text, "more": len(found) > FOUND}
    return _render(request, "staff/found.html", context, screen="find")


# One booking


async def show_booking(request: Request, view: BookingView) -> Response:
    """GET /staff/{token}/bookings/{booking}: everything about it, and what may be done."""
    return await _show(request, view)


async def _show(
    request: Request, view: BookingView, *, error: HoldfastError | None = None, wrong_email: str | None = None
) -> Response:
    """`wrong_email` is what was typed as the customer's new address and is none."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    booking, offer = view.booking, _offer(request, view)
    here = replace(view, booking=words.at_place(booking))
    word, mark = booking_words.standing(here, now, language)
    if booking.no_show and booking.status is Status.CONFIRMED:
        word, mark = i18n.translator(language).gettext("Missed"), "cross"
    customer = booking.customer
    mails = await parts.staff.mails_of(booking.id)
    begun = booking.status is Status.CONFIRMED and booking.starts_at <= now
    context = {
        "path": _path(request),
        "id": booking.id,
        "word": word,
        "mark": mark,
        "card": booking_card(here.booking, language=language, now=now),
        "customer": customer,
        "speaks": i18n.LANGUAGES[i18n.base_language(booking.visitor.language)].native_name,
        "answers": words.answers(booking, view.widget),
        "money": [*words.payment_rows(view, language), *words.refund_rows(view, now, language)],
        "left": i18n.format_money(words.left(view), language) if view.payments else "",
        "paying": booking_words.paying(here, now, language),
        "told": words.told(request.query_params.get("told", ""), language) if error is None else "",
        "problem": words.not_done(error, language) if error else [],
        "may": {
            "move": offer.move_bar in _MAY_MOVE,
            "cancel": offer.cancel_bar in _MAY_CANCEL,
            "refund": view.left > 0,
            "miss": begun and not booking.no_show,
            "come": begun and booking.no_show,
            "resend": booking.status in {Status.CONFIRMED, Status.CANCELED, Status.PAID},
            "mail_again": any(words.given_up(mail) for mail in mails),
        },
        "mail_problem": view.mail_problem,
        "wrong_email": wrong_email,
        "history": words.history_rows(view, now, language),
        "mails": [words.mail_row(mail, booking.time_zone, now, language) for mail in mails],
    }
    status = error.status if error else 422 if wrong_email is not None else 200
    return _render(request, "staff/booking.html", context, status=status)


async def mark_missed(request: Request, view: BookingView) -> Response:
    """POST …/no-show: nobody came, or somebody did after all. No money moves."""
    no_show = (await read_form(request)).get("came") != "1"
    try:
        await parts_of(request).corrections.mark_no_show(view.booking.id, no_show=no_show)
    except (BookingConflict, PolicyRefused) as error:
        return await _show(request, await _view(request), error=error)
    return _to(request, told="missed" if no_show else "came")


async def resend(request: Request, view: BookingView) -> Response:
    """POST …/resend: a fresh link for the customer, which retires the ones before."""
    await parts_of(request).manage_links.renew(view.booking.id, Actor.OWNER)
    after = await _view(request)
    return _to(request, told="sent" if after.booking.link_version != view.booking.link_version else "waits")


async def resend_mails(request: Request, view: BookingView) -> Response:
    """POST …/mails: send again what was given up."""
    await parts_of(request).corrections.resend_mails(view.booking.id)
    return _to(request, told="again")


async def correct_email(request: Request, view: BookingView) -> Response:
    """POST …/email: the customer's right address. No money moves."""
    typed = (await read_form(request)).get("email", "").strip()[:254]
    try:
        after = await parts_of(request).corrections.correct_email(view.booking.id, typed)
    except InvalidDetails:
        return await _show(request, view, wrong_email=typed)
    except BookingConflict as error:
        return await _show(request, await _view(request), error=error)
    return _to(request, told="same" if after == view.booking else "corrected")


# Canceling, and giving back


async def show_cancel(request: Request, view: BookingView) -> Response:
    """GET …/cancel: what it gives back. Nothing happens yet."""
    return _before_canceling(request, view)


async def cancel(request: Request, view: BookingView) -> Response:
    """POST …/cancel: as the page showed it."""
    parts, booking, page = parts_of(request), view.booking, (await read_form(request)).get("page", "")
    if booking.status is Status.CANCELED:
        return _to(request)
    try:
        revision, _shown_at = parts.links.read_page_token(page, booking.id, _cancel_act(request, view))
        await parts.cancel.booking(booking.id, by=Actor.OWNER, revision=revision)
    except _NOT_DONE as error:
        return await _instead(request, error, _before_canceling)
    return _to(request, told="canceled")


def _cancel_act(request: Request, view: BookingView) -> str:
    return f"staff cancel {_back(request, view).amount}"


def _back(request: Request, view: BookingView) -> Money:
    return parts_of(request).offers.owner_refund(view)


def _before_canceling(request: Request, view: BookingView, *, problem: HoldfastError | None = None) -> Response:
    if _offer(request, view).cancel_bar not in _MAY_CANCEL:
        return _to(request)
    language, back = request.state.shell.language, _back(request, view)
    _ = i18n.translator(language).gettext
    amount = i18n.format_money(back, language)
    lines = words.goes_back(view, back, language)
    if view.move:
        lines.append(_("The move that is waiting for payment is stopped first."))
    lines += [_("The time becomes available to others again. This cannot be undone."), _mailed(request, view)]
    return _before(
        request,
        view,
        heading=_("Cancel this booking?"),
        sum=_("%(amount)s back") % {"amount": amount} if back else _("Nothing to pay or refund"),
        lines=lines,
        fields=[
            (
                "page",
                parts_of(request).links.page_token(view.booking.id, _cancel_act(request, view), view.booking.revision),
            )
        ],
        button=_("Cancel and refund %(amount)s") % {"amount": amount} if back else _("Cancel the booking"),
        action="cancel",
        grave=True,
        problem=problem,
    )


async def show_refund(request: Request, view: BookingView) -> Response:
    """GET …/refund: how much; with an amount, what it means. Nothing happens yet."""
    return _before_refunding(request, view)


async def refund(request: Request, view: BookingView) -> Response:
    """POST …/refund: as the page showed it, and once however often the form comes."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    amount = _read_amount(form.get("amount", ""), words.left(view))
    try:
        if amount is None:
            raise BookingConflict("less is left")
        parts.links.read_page_token(form.get("page", ""), booking.id, _refund_act(amount, view))
        await parts.owner_refunds.give_back(booking.id, amount, left=view.left)
    except _NOT_DONE as error:
        return await _instead(request, error, _before_refunding)
    return _to(request, told="refunded")


def _refund_act(amount: Money, view: BookingView) -> str:
    return f"staff refund {amount.amount} of {view.left}"


def _read_amount(text: str, left: Money) -> Money | None:
    """The amount that was typed; None for what cannot be given back."""
    amount = read_amount(text, left.currency)
    return amount if amount and amount.amount <= left.amount else None


def _before_refunding(request: Request, view: BookingView, *, problem: HoldfastError | None = None) -> Response:
    language, left = request.state.shell.language, words.left(view)
    if left.amount <= 0:
        return _to(request)
    _ = i18n.translator(language).gettext
    typed = request.query_params.get("amount")
    amount = _read_amount(typed, left) if typed is not None else None
    most = {"amount": i18n.format_money(left, language)}
    if amount is None:
        ask = {
            "value": typed if typed is not None else format(left.to_decimal(), "f"),
            "wrong": typed is not None,
            "help": _("At most %(amount)s, which is what has not been refunded yet.") % most,
            "currency": left.currency.upper(),
        }
        return _before(
            request,
            view,
            heading=_("Refund the customer"),
            sum="",
            lines=[_("The booking stays as it is. The next page shows what happens; nothing is refunded before that.")],
            ask=ask,
            button=_("Continue"),
            action="refund",
            problem=problem,
        )
    given = i18n.format_money(amount, language)
    page = parts_of(request).links.page_token(view.booking.id, _refund_act(amount, view), view.booking.revision)
    return _before(
        request,
        view,
        heading=_("Refund this amount?"),
        sum=_("%(amount)s back") % {"amount": given},
        lines=[
            *words.goes_back(view, amount, language),
            _("The booking stays as it is."),
            _mailed(request, view, owner=False),
        ],
        fields=[("amount", format(amount.to_decimal(), "f")), ("page", page)],
        button=_("Refund %(amount)s") % {"amount": given},
        action="refund",
        grave=True,
        problem=problem,
    )


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
    except (*_NOT_DONE, NotFound) as error:
        return await _instead(request, error, partial(_before_noting, refund_id=refund_id))
    return _to(request, told="paid")


def _noting_act(view: BookingView, refund_id: str) -> str:
    return f"staff paid {refund_id} {payable_another_way(view.payments, view.refunds).get(refund_id)}"


def _before_noting(
    request: Request, view: BookingView, refund_id: str, *, problem: HoldfastError | None = None
) -> Response:
    amount = payable_another_way(view.payments, view.refunds).get(refund_id)
    if amount is None:
        return _to(request)
    language, links = request.state.shell.language, parts_of(request).links
    _ = i18n.translator(language).gettext
    said = i18n.format_money(Money(amount, view.booking.terms.price.currency), language)
    page = links.page_token(view.booking.id, _noting_act(view, refund_id), view.booking.revision)
    return _before(
        request,
        view,
        heading=_("Did you pay this back another way?"),
        sum=said,
        lines=[
            _("No money is sent now. The refund counts as paid, and Stripe is not asked for it again."),
            _("The booking's page tells the customer that you paid it another way."),
        ],
        fields=[("refund", refund_id), ("page", page)],
        button=_("I have paid %(amount)s") % {"amount": said},
        action="paid-another-way",
        problem=problem,
    )


# Moving


async def show_times(request: Request, view: BookingView) -> Response:
    """GET …/move: the calendar, with the booking's own time in it."""
    if _offer(request, view).move_bar not in _MAY_MOVE:
        return _to(request)
    return await _times(request, view, request.query_params)


async def show_move(request: Request, view: BookingView) -> Response:
    """GET …/move/preview: from when to when, and what it does to the money. Nothing happens yet."""
    if _offer(request, view).move_bar not in _MAY_MOVE:
        return _to(request)
    return await _before_moving(request, view, request.query_params)


async def move(request: Request, view: BookingView) -> Response:
    """POST …/move: as the page showed it."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    if (form.get("service"), form.get("person")) == (booking.service_id, booking.resource_id) and read_start(
        form.get("start", "")
    ) == booking.starts_at:
        return _to(request, told="moved")  # a second click
    try:
        quote = await _quote(request, view, form)
        revision, _shown_at = parts.links.read_page_token(form.get("page", ""), booking.id, f"staff {move_act(quote)}")
        moved = await parts.reschedule.booking(
            booking.id,
            starts_at=quote.slot.starts_at,
            service_id=quote.service.id,
            resource_id=quote.resource.id,
            by=Actor.OWNER,
            revision=revision,
        )
    except SlotTaken as error:
        return await _times(request, await _view(request), form, error=error)
    except _NOT_DONE as error:
        view = await _view(request)
        if _offer(request, view).move_bar not in _MAY_MOVE:
            return await _show(request, view, error=error)
        return await _before_moving(request, view, form, problem=error)
    told = {MoveState.DONE: "moved", MoveState.HELD: "held"}
    return _to(request, told=told.get(moved.move.state, "moving"))


async def give_up_move(request: Request, view: BookingView) -> Response:
    """POST …/move/give-up: leave the difference unpaid, and the booking where it is."""
    try:
        await parts_of(request).reschedule.give_up(view.booking.id)
    except (SchedulerError, StripeError) as error:
        return await _show(request, await _view(request), error=error)
    return _to(request, told="left")


async def _quote(request: Request, view: BookingView, asked: Mapping[str, str]) -> MoveQuote:
    quote: MoveQuote = await parts_of(request).reschedule.quote(
        view.booking.id,
        starts_at=read_start(asked.get("start", "")),
        service_id=asked.get("service", "")[:_LONGEST],
        resource_id=(asked.get("person") or asked.get("resource") or "")[:_LONGEST] or None,
        by=Actor.OWNER,
    )
    return quote


async def _times(
    request: Request, view: BookingView, asked: Mapping[str, str], *, error: SlotTaken | None = None
) -> Response:
    """The customer's time step, with everybody and everything that is offered in the same currency."""
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    catalogue = await parts.availability.catalogue(view.widget)
    services = [one for one in catalogue.services if one.price.currency == booking.terms.price.currency]
    if not services:
        raise NotFound(booking.service_id)
    look = read_look(asked, language)
    chosen = look.service or booking.service_id
    service: Service = next((one for one in services if one.id == chosen), services[0])
    resource = look.resource if "resource" in asked else booking.resource_id
    lost = read_start(asked.get("start", "")) if error else None
    look = replace(look, resource=resource, zone=look.zone or booking.time_zone)
    opens = lost is None and look.month is None
    if lost or opens:
        day = i18n.local(lost or max(booking.starts_at, parts.now()), look.zone or "UTC").date()
        look = replace(look, month=day.replace(day=1), day=day)
    scene: Scene = await find_scene(request, view.widget, catalogue, service, look, service.resources)
    if opens and not any(i18n.local(slot.starts_at, scene.zone).date() == scene.day for slot in scene.times.slots):
        look = replace(look, day=None)
        scene = await find_scene(request, view.widget, catalogue, service, look, service.resources)
    path, zone = f"{_path(request)}/move", scene.zone
    same = service.id == booking.service_id and scene.resource in {"", booking.resource_id}
    context = times_context(
        scene,
        view.widget,
        language,
        filling={"carried": (), "key": ()},
        paths=Paths(path, path, f"{path}/preview", posts=False),
        own=booking.slot if same else None,
        taken=taken_words(error, lost, zone, language, scene.today) if error and lost else None,
    )
    kept = [("service", service.id), ("resource", scene.resource)]
    shown = ("date", scene.day.isoformat() if scene.day else f"{scene.month:%Y-%m}")
    context |= {
        "look": [*kept, shown] if look.choose_zone else [*kept, ("tz", zone), shown],
        "hold": [*kept, ("tz", zone)],
        "moving": {
            "back": _path(request),
            "now": now_line(view, zone, language, parts.now()),
            "staff": True,
            "services": service_choices(services, service, language) if len(services) > 1 else [],
        },
    }
    # Without htmx: what it swaps in would be a page of another make.
    shell = Shell(view.widget, language)
    page = replace(make_page(request, shell, fragment=False, framed=False), htmx_url="")
    text = render_text(parts.templates, "shared/times.html", {**context, "page": page})
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy(parts.settings, view.widget, shell.theme, framed=False),
    }
    return HTMLResponse(text, status_code=error.status if error else 200, headers=headers)


async def _before_moving(
    request: Request, view: BookingView, asked: Mapping[str, str], *, problem: HoldfastError | None = None
) -> Response:
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    try:
        quote = await _quote(request, view, asked)
    except SlotTaken as error:
        return await _times(request, view, asked, error=error)
    zone = i18n.valid_zone(asked.get("tz")) or booking.time_zone
    _ = i18n.translator(language).gettext
    after = replace(booking, starts_at=quote.slot.starts_at, ends_at=quote.slot.ends_at)
    here = words.at_place(after)
    to = _("%(service)s with %(person)s, %(when)s") % {
        "service": quote.service.name,
        "person": quote.resource.name,
        "when": booking_words.long_when(after.starts_at, after.ends_at, here, parts.now(), language),
    }
    head, lines = words.moves_money(quote, view, language)
    act = f"staff {move_act(quote)}"
    return _before(
        request,
        view,
        heading=_("Move this booking?"),
        to=to,
        sum=head,
        lines=[*lines, _mailed(request, view)],
        fields=[
            ("service", quote.service.id),
            ("resource", asked.get("resource", "")[:_LONGEST]),
            ("person", quote.resource.id),
            ("start", value_of(quote.slot.starts_at)),
            ("tz", zone),
            ("page", parts.links.page_token(booking.id, act, booking.revision)),
        ],
        button=_("Move the booking") if quote.difference <= 0 else _("Hold the new time"),
        action="move",
        problem=problem,
    )


# How the house is


@_signed_in
async def show_house(request: Request) -> Response:
    """GET /staff/{token}/house: money, mails, events, calls, and the feeds' addresses."""
    parts, language, now = parts_of(request), request.state.shell.language, parts_of(request).now()
    settings, zone, base = parts.settings, await place_zone(request), _base(request)
    feed = f"{settings.public_url}/staff/feed/{await parts.staff.feed_token(request.state.staff.email)}/bookings"
    context = {
        "stray": [
            {"id": stray.booking_id, "amount": i18n.format_money(Money(stray.amount, stray.currency), language)}
            for stray in await parts.health.money_without_booking()
        ],
        "mails": [words.mail_row(mail, zone, now, language) for mail in await parts.staff.unsent_mails()],
        "mail_on": parts.mailer.enabled,
        "events": [words.event_row(stored, zone, now, language) for stored in await parts.inbox.events()],
        "spent": parts.staff.calls_spent(),
        "calls": settings.hapio_calls_per_month,
        "fresh": round(parts.staff.seconds_fresh(settings.availability_ttl)),
        "asked_fresh": settings.availability_ttl,
        "kept": round(pages_in(request.scope).bytes_kept / 1024),
        "csv": f"{feed}.csv",
        "ics": f"{feed}.ics",
        "base": base,
        "renewed": request.query_params.get("told") == "renewed",
    }
    return _render(request, "staff/health.html", context, screen="house")


@_signed_in
async def renew_feed(request: Request) -> Response:
    """POST /staff/{token}/feed: other addresses for one's own feeds; those before stop working."""
    await parts_of(request).staff.renew_feed(request.state.staff.email)
    return RedirectResponse(f"{_base(request)}/house?told=renewed", status_code=303)


# Shared


def _before(
    request: Request,
    view: BookingView,
    *,
    heading: str,
    sum: str,  # noqa: A002 - the template's word
    lines: Sequence[str],
    button: str,
    action: str,
    fields: Sequence[tuple[str, str]] = (),
    to: str = "",
    ask: Mapping[str, Any] | None = None,
    grave: bool = False,
    problem: HoldfastError | None = None,
) -> Response:
    """The page before an act: whose booking, what it does to the money, what else happens."""
    language, now = request.state.shell.language, parts_of(request).now()
    booking = words.at_place(view.booking)
    _ = i18n.translator(language).gettext
    what = _("%(service)s with %(person)s, %(when)s") % {
        "service": booking.service_name,
        "person": booking.resource_name,
        "when": booking_words.long_when(booking.starts_at, booking.ends_at, booking, now, language),
    }
    context = {
        "path": _path(request),
        "heading": heading,
        "name": booking.customer.name if booking.customer else "",
        "what": what,
        "to": to,
        "sum": sum,
        "lines": lines,
        "ask": ask,
        "fields": fields,
        "button": button,
        "action": action,
        "grave": grave,
        "problem": words.not_done(problem, language) if problem else [],
    }
    return _render(request, "staff/act.html", context, status=problem.status if problem else 200)


async def _instead(request: Request, error: HoldfastError, before: Callable[..., Response]) -> Response:
    """What came of an act that was not done: its page anew, or where that is not open any more, the booking."""
    view = await _view(request)
    response = before(request, view, problem=error)
    return response if response.status_code != 303 else await _show(request, view, error=error)


def _mailed(request: Request, view: BookingView, *, owner: bool = True) -> str:
    enabled = parts_of(request).mailer.enabled
    return words.mailed(view, request.state.shell.language, enabled=enabled, owner=owner)


def _offer(request: Request, view: BookingView) -> Offer:
    return parts_of(request).offers.of(view)


def _base(request: Request) -> str:
    """Where the pages of this sign-in live from here on."""
    staff: SignIn = request.state.staff
    return f"/staff/{staff.token}"


def _path(request: Request) -> str:
    return f"{_base(request)}/bookings/{request.path_params['booking']}"


def _to(request: Request, *, told: str = "") -> Response:
    return RedirectResponse(_path(request) + (f"?told={told}" if told else ""), status_code=303)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


def _render(
    request: Request, name: str, context: Mapping[str, Any], *, screen: str = "", status: int = 200
) -> Response:
    """A page for staff: no script at all, never stored, framed by nobody."""
    parts, shell = parts_of(request), request.state.shell
    staff: SignIn | None = getattr(request.state, "staff", None)
    page = make_page(request, shell, fragment=False, framed=False)
    own = {
        "page": page,
        "screen": screen,
        "base": f"/staff/{staff.token}" if staff else "",
        "who": staff and staff.email,
    }
    text = render_text(parts.templates, name, {"text": "", **context, **own})
    rules = (
        "default-src 'none'",
        f"style-src 'self' {style_hash(theme_css(shell.theme))}",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": "; ".join(rules)}
    return HTMLResponse(text, status_code=status, headers=headers)


_BOOKING = "/staff/{token}/bookings/{booking}"

routes = [
    Route("/staff", show_ask),
    Route("/staff", ask, methods=["POST"]),
    Route("/staff/sent", show_sent),
    Route("/staff/in/{token}", show_in),
    Route("/staff/in/{token}", sign_in, methods=["POST"]),
    Route("/staff/{token}", show_days),
    Route("/staff/{token}/find", show_found),
    Route("/staff/{token}/house", show_house),
    Route("/staff/{token}/feed", renew_feed, methods=["POST"]),
    Route("/staff/{token}/sign-out", sign_out, methods=["POST"]),
    Route(_BOOKING, _of_booking(show_booking)),
    Route(f"{_BOOKING}/cancel", _of_booking(show_cancel)),
    Route(f"{_BOOKING}/cancel", _of_booking(cancel), methods=["POST"]),
    Route(f"{_BOOKING}/refund", _of_booking(show_refund)),
    Route(f"{_BOOKING}/refund", _of_booking(refund), methods=["POST"]),
    Route(f"{_BOOKING}/move", _of_booking(show_times)),
    Route(f"{_BOOKING}/move", _of_booking(move), methods=["POST"]),
    Route(f"{_BOOKING}/move/preview", _of_booking(show_move)),
    Route(f"{_BOOKING}/move/give-up", _of_booking(give_up_move), methods=["POST"]),
    Route(f"{_BOOKING}/no-show", _of_booking(mark_missed), methods=["POST"]),
    Route(f"{_BOOKING}/resend", _of_booking(resend), methods=["POST"]),
    Route(f"{_BOOKING}/mails", _of_booking(resend_mails), methods=["POST"]),
    Route(f"{_BOOKING}/email", _of_booking(correct_email), methods=["POST"]),
    Route(f"{_BOOKING}/paid-another-way", _of_booking(show_paid_another_way)),
    Route(f"{_BOOKING}/paid-another-way", _of_booking(paid_another_way), methods=["POST"]),
]

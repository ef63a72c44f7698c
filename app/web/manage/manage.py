"""The page that the link in the mail opens: the booking as it is now, and what may be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.bookings import BookingView
from app.booking.policy import Refusal
from app.domain.booking import Status, short_reference
from app.domain.move import MoveState
from app.errors import HoldfastError
from app.mail import map_link
from app.parts import parts_of
from app.text import catalogues
from app.web.manage.cancel_words import may_cancel
from app.web.manage.history import history_lines
from app.web.manage.link import allowed_now, manage_path, to_manage
from app.web.manage.manage_words import news, not_done, reported_words, undo_line
from app.web.manage.move_words import may_move
from app.web.shared.addresses import times_address
from app.web.shared.booking_summary import summarize
from app.web.shared.calendar_file import calendar_response, named_calendar_links
from app.web.shared.offered_words import choices
from app.web.shared.refund_words import gives_back, money_rows
from app.web.shared.render import render, wants_block
from app.web.shared.status_words import mail_problem, paying, stands, status_words
from app.web.shared.waiting import POLL_SECONDS, SLOW_FROM, asked_poll, surely_unpaid


async def show_managed(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}: the booking as it stands, and what may be done with it."""
    reported = request.query_params.get("told", "")
    if reported == "back":
        view = await surely_unpaid(request, view)
    return managed_screen(request, view, reported=reported)


async def show_return(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/return: the difference was paid on Stripe. Looks at the payment once, at its source."""
    if request.method == "GET":
        await parts_of(request).settle.booking(view.booking.id)
    return to_manage(request, reported="moved")


async def show_back(
    request: Request,
    view: BookingView,  # noqa: ARG001 - every page of a booking is called with it
) -> Response:
    """GET /manage/{token}/back: left Stripe's page without paying. It stays open, and the new time held."""
    return to_manage(request, reported="back")


async def calendar(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/calendar.ics"""
    url = parts_of(request).settings.public_url + manage_path(request)
    return calendar_response(request, view.booking, view.widget, url=url)


# The booking's page


#: What the way back from Stripe's page leaves out. Its calendar entry would name an address that ends soon.
_NO_ACTS: Mapping[str, Any] = {
    "undo": "",
    "move": [],
    "cancel": [],
    "choices": None,
    "calendar": "",
    "calendar_links": [],
}
#: Bookings that may still become real.
_OPEN = frozenset({Status.PAID, Status.OFFERED})


def managed_screen(
    request: Request, view: BookingView, *, reported: str = "", problem: Sequence[str] = (), status: int = 200
) -> Response:
    """The booking as it stands. While the scheduler is being asked, the page asks again by itself, ever more seldom."""
    booking, allowed, language = view.booking, allowed_now(request, view), request.state.shell.language
    now, path = allowed.at, manage_path(request)
    word, mark = status_words(booking, view.move, now, language)
    to_come = stands(booking, now)
    may_end = (to_come or allowed.cancel_refusal is None) and booking.status is not Status.OFFERED
    polls = asked_poll(request)
    wait = _wait(request, view, polls or 0)
    context = {
        "path": path,
        "heading": word,
        "mark": mark,
        "lines": [*news(view, now, language), *filter(None, [mail_problem(view, language)])],
        "reported": reported_words(reported, view, language),
        "problem": problem,
        "summary": summarize(booking, language=language, now=now),
        "money": money_rows(view, now, language),
        "off": booking.status in {Status.CANCELED, Status.EXPIRED, Status.OFFERED},
        "reference": short_reference(booking.id),
        "map": map_link(view.widget.address),
        "undo": undo_line(allowed, booking, language),
        "gives_back": gives_back(view),
        "paying": paying(view, now, language),
        "begun": to_come and allowed.cancel_refusal is Refusal.BEGUN,
        "move": may_move(allowed, booking, language) if to_come and not view.move else [],
        "movable": allowed.move_refusal is None,
        "cancel": may_cancel(allowed, booking, language) if may_end else [],
        "cancelable": allowed.cancel_refusal is None,
        "choices": choices(view, allowed, path, language),
        "again": "" if to_come or booking.status in _OPEN else times_address(request, booking),
        "calendar": f"{path}/calendar.ics" if to_come else "",
        "calendar_links": named_calendar_links(booking, view.widget) if to_come else [],
        "history": history_lines(view, now, language),
        "wait": wait,
        "first": polls is None,
        "is_return": request.state.is_return,
        "mailed": parts_of(request).mailer.enabled and bool(booking.customer and booking.customer.email),
    }
    nothing_new = polls is not None and wait is not None and request.query_params.get("seen") == wait["seen"]
    block = "wait" if nothing_new and wants_block(request) else None
    shell = request.state.shell
    if request.state.is_return:
        context |= _NO_ACTS
    response = render(request, "manage/manage.html", context, shell=shell, block=block, status=status, framed=False)
    if block:
        response.headers["HX-Retarget"] = "#hf-wait"  # focus stays where it is
    elif polls is not None and wants_block(request):
        response.headers["HX-Replace-Url"] = path
    return response


async def show_receipt(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/receipt: Stripe's own page of what was paid, whose address lives for some weeks only."""
    paid = [payment for payment in view.payments if payment.captured]
    url = await parts_of(request).bookings.receipt_url(paid[-1]) if paid else None
    return RedirectResponse(url or manage_path(request), status_code=303)


def managed_screen_instead(request: Request, view: BookingView, error: HoldfastError) -> Response:
    """The booking as it stands, where an act came to nothing."""
    return managed_screen(request, view, problem=not_done(error, request.state.shell.language), status=error.status)


def _wait(request: Request, view: BookingView, polls: int) -> dict[str, Any] | None:
    """When to ask again; None where nothing is awaited."""
    being_moved = view.move is not None and view.move.state is MoveState.MOVING
    if not being_moved and view.booking.status is not Status.PAID:
        return None
    _ = catalogues.translator(request.state.shell.language).gettext
    seen = f"{view.booking.status}-{view.booking.revision}"
    query = urlencode({"look": polls + 1, "seen": seen})
    return {
        "seen": seen,
        "path": f"{manage_path(request)}?{query}" if polls < len(POLL_SECONDS) else "",
        "seconds": POLL_SECONDS[min(polls, len(POLL_SECONDS) - 1)],
        "slow": _("This is taking longer than usual. You can close this page and check again later.")
        if polls >= SLOW_FROM
        else "",
    }

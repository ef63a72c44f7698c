"""Cancellation by the customer: what is refunded, cancelling, and undoing it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.booking import Actor, Status
from app.errors import BookingConflict, HoldfastError, LinkRefused, PolicyRefused, SchedulerError, StripeError
from app.parts import parts_of
from app.text import formats
from app.text.price_words import back_by_hand
from app.web.manage.cancel_words import not_canceled, share_line, steps
from app.web.manage.link import allowed_now, manage_path, read_view, to_manage
from app.web.manage.manage import managed_screen, managed_screen_instead
from app.web.manage.manage_words import not_undone
from app.web.manage.move_words import may_move
from app.web.shared.booking_summary import sentence, summarize
from app.web.shared.refund_words import disputed
from app.web.shared.render import render
from app.web.shared.request_input import read_form
from app.web.shared.time_words import clock


async def show_cancel(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/cancel: what cancelling now refunds, and when. Nothing happens yet."""
    return to_manage(request) if allowed_now(request, view).cancel_refusal else _before_canceling(request, view)


async def cancel(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/cancel: as the page showed it. A page that is old, or was overtaken, is shown again."""
    parts, booking, form = parts_of(request), view.booking, await read_form(request)
    try:
        if booking.status is not Status.CANCELED:
            revision, shown_at = parts.links.read_page_token(form.get("page", ""), booking.id, "cancel")
            await parts.cancel.booking(booking.id, by=Actor.CUSTOMER, revision=revision, shown_at=shown_at)
    except (LinkRefused, PolicyRefused, BookingConflict, SchedulerError, StripeError) as error:
        view = await read_view(request)
        if view.booking.status is not Status.CANCELED:
            if allowed_now(request, view).cancel_refusal:
                return managed_screen_instead(request, view, error)
            return _before_canceling(request, view, problem=error, shown=form.get("shown", ""))
    return to_manage(request)


async def undo(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/undo: take the cancellation back, if the time can still be had."""
    try:
        await parts_of(request).cancel.undo(view.booking.id)
    except (BookingConflict, SchedulerError, StripeError) as error:
        view = await read_view(request)
        if view.booking.status is Status.CANCELED:
            language, now = request.state.shell.language, parts_of(request).now()
            problem = not_undone(error, view.booking, now, language)
            return managed_screen(request, view, problem=problem, status=error.status)
    return to_manage(request, reported="undone")


def _before_canceling(
    request: Request, view: BookingView, *, problem: HoldfastError | None = None, shown: str = ""
) -> Response:
    """What cancelling means: the amount, when it goes out, the terms, what else happens."""
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    allowed = allowed_now(request, view)
    summary = summarize(booking, language=language, now=allowed.at)
    to_choose = booking.status is Status.OFFERED
    context = {
        "path": manage_path(request),
        "sentence": sentence(summary, language),
        "free": booking.terms.free or allowed.at_visit == booking.terms.price.amount,
        "by_hand": back_by_hand(allowed.refund, language) if view.funds.in_person else "",
        "refund": formats.format_money(allowed.refund, language) if allowed.refund and not allowed.uncharged else "",
        "uncharged": allowed.uncharged,
        "share": "" if to_choose else share_line(allowed, booking, language),
        "to_choose": to_choose,
        "disputed": disputed(view),
        "goes_out": clock(allowed.refund_at, booking, language) if allowed.refund_at > allowed.at else "",
        "steps": [] if allowed.uncharged or to_choose else steps(allowed, booking, language),
        "mailed": parts.mailer.enabled,
        "move": may_move(allowed, booking, language) if allowed.move_refusal is None else [],
        "percent": allowed.percent,
        "page_token": parts.links.page_token(booking.id, "cancel", booking.revision),
        "problem": not_canceled(problem, allowed, view, shown, language) if problem else [],
    }
    status, shell = problem.status if problem else 200, request.state.shell
    return render(request, "manage/cancel.html", context, shell=shell, status=status, framed=False)

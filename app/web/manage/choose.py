"""Choosing one of the times that are held for a customer who paid too late."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.reservation import Reservation
from app.errors import BookingConflict, SchedulerError, StripeError
from app.parts import parts_of
from app.web.manage.link import manage_path, read_view, to_manage
from app.web.manage.manage import managed_screen_instead
from app.web.shared.booking_summary import summarize
from app.web.shared.render import render
from app.web.shared.request_input import read_form
from app.web.shared.time_words import when


async def show_choice(request: Request, view: BookingView) -> Response:
    """GET /manage/{token}/choose: one of the times, and what booking it means. Nothing happens yet."""
    chosen = _chosen(view, request.query_params.get("time", ""))
    if chosen is None:
        return to_manage(request)
    parts, booking, language = parts_of(request), view.booking, request.state.shell.language
    now = parts.now()
    after = booking.elsewhere(resource_name=chosen.resource_name, starts_at=chosen.starts_at, ends_at=chosen.ends_at)
    context = {
        "path": manage_path(request),
        "was": summarize(booking, language=language, now=now),
        "summary": summarize(after, language=language, now=now),
        "until": when(chosen.offered_until or now, booking, now, language),
        "binds": view.lock_binds,
        "time": chosen.id,
    }
    return render(request, "manage/choose.html", context, shell=request.state.shell, framed=False)


async def choose(request: Request, view: BookingView) -> Response:
    """POST /manage/{token}/choose: book it. Where it is not held any more, the page shows what there is instead."""
    form = await read_form(request)
    try:
        await parts_of(request).late_money.choose(view.booking.id, form.get("time", "")[:100])
    except (BookingConflict, SchedulerError, StripeError) as error:
        return managed_screen_instead(request, await read_view(request), error)
    return to_manage(request)


def _chosen(view: BookingView, offer_id: str) -> Reservation | None:
    return next((one for one in view.offered if one.id == offer_id), None)

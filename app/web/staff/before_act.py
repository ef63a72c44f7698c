"""The page before the owner does something: it says first what is charged or refunded, and its form is valid only for
that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.errors import BookingConflict, HoldfastError, LinkRefused, PolicyRefused, SchedulerError, StripeError
from app.parts import parts_of
from app.web.shared.booking_summary import at_place, visit_line
from app.web.shared.time_words import long_when
from app.web.staff.booking import booking_path, booking_screen, read_view
from app.web.staff.page import render_staff
from app.web.staff.staff_words import mailed, not_done

#: What an act may end in that was not done; then nothing was changed.
NOT_DONE = (LinkRefused, PolicyRefused, BookingConflict, SchedulerError, StripeError)


@dataclass(frozen=True, slots=True)
class BeforeAct:
    """What a page says before an act, and the form that does it. `sum` is what happens to the money, in a word; `to`
    where a booking is moved; `ask` a question in place of the form; `grave` marks what cannot be taken back."""

    heading: str
    sum: str
    lines: Sequence[str]
    button: str
    action: str
    fields: Sequence[tuple[str, str]] = ()
    to: str = ""
    ask: Mapping[str, Any] | None = None
    grave: bool = False


def before_act(
    request: Request, view: BookingView, act: BeforeAct, *, problem: HoldfastError | None = None
) -> Response:
    """The page before an act: whose booking, what it does to the money, what else happens."""
    language, now = request.state.shell.language, parts_of(request).now()
    booking = at_place(view.booking)
    there = long_when(booking.starts_at, booking.ends_at, booking, now, language)
    context = {
        "path": booking_path(request),
        "heading": act.heading,
        "name": booking.customer.name if booking.customer else "",
        "what": visit_line(booking.service_name, booking.resource_name, there, language),
        "to": act.to,
        "sum": act.sum,
        "lines": act.lines,
        "ask": act.ask,
        "fields": act.fields,
        "button": act.button,
        "action": act.action,
        "grave": act.grave,
        "problem": not_done(problem, language) if problem else [],
    }
    return render_staff(request, "staff/act.html", context, status=problem.status if problem else 200)


async def screen_instead(request: Request, error: HoldfastError, before: Callable[..., Response]) -> Response:
    """What came of an act that was not done: its page again, or where that is not open any more, the booking."""
    view = await read_view(request)
    response = before(request, view, problem=error)
    return response if response.status_code != 303 else await booking_screen(request, view, error=error)


def mailed_line(request: Request, view: BookingView, *, owner: bool = True) -> str:
    """Who hears of it."""
    enabled = parts_of(request).mailer.enabled
    return mailed(view, request.state.shell.language, enabled=enabled, owner=owner)

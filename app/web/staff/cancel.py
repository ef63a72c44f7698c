"""Cancellation by the owner."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.booking.bookings import BookingView
from app.domain.booking import Actor, Status
from app.domain.money import Money
from app.errors import HoldfastError
from app.parts import parts_of
from app.text import catalogues, formats
from app.web.shared.request_input import read_form
from app.web.staff.before_act import NOT_DONE, BeforeAct, before_act, mailed_line, screen_instead
from app.web.staff.booking import allowed_now, to_booking
from app.web.staff.staff_words import goes_back


async def show_cancel(request: Request, view: BookingView) -> Response:
    """GET …/cancel: what it refunds. Nothing happens yet."""
    return _before_canceling(request, view)


async def cancel(request: Request, view: BookingView) -> Response:
    """POST …/cancel: as the page showed it."""
    parts, booking, page = parts_of(request), view.booking, (await read_form(request)).get("page", "")
    if booking.status is Status.CANCELED:
        return to_booking(request)
    try:
        revision, _shown_at = parts.links.read_page_token(page, booking.id, _cancel_act(request, view))
        await parts.cancel.booking(booking.id, by=Actor.OWNER, revision=revision)
    except NOT_DONE as error:
        return await screen_instead(request, error, _before_canceling)
    return to_booking(request, reported="canceled")


def _cancel_act(request: Request, view: BookingView) -> str:
    return f"staff cancel {_gives_back(request, view).amount}"


def _gives_back(request: Request, view: BookingView) -> Money:
    return parts_of(request).policy.owner_refund(view)


def _before_canceling(request: Request, view: BookingView, *, problem: HoldfastError | None = None) -> Response:
    if allowed_now(request, view).not_canceled(Actor.OWNER):
        return to_booking(request)
    language, back = request.state.shell.language, _gives_back(request, view)
    _ = catalogues.translator(language).gettext
    amount = formats.format_money(back, language)
    lines = goes_back(view, back, language)
    if view.move:
        lines.append(_("The move that is waiting for payment is stopped first."))
    lines += [_("The time becomes available to others again. This cannot be undone."), mailed_line(request, view)]
    act = BeforeAct(
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
    )
    return before_act(request, view, act, problem=problem)

"""A mistyped address, corrected by the customer on the confirmed page, where they see what they typed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.domain.booking import Actor
from app.errors import BookingConflict, InvalidDetails
from app.parts import parts_of
from app.protection.rate_limits import RESEND
from app.text import catalogues
from app.web.shared.request_input import read_form
from app.web.visitor.booking_access import is_return, read_view
from app.web.visitor.host_result import read_result
from app.web.visitor.status_screen import masked, only_showing, render_status, status_context


async def correct_email(request: Request) -> Response:
    """POST /b/{token}/email: another address for the booking's mails."""
    return await _correct(request, await _opened(request))


async def correct_result_email(request: Request) -> Response:
    """POST /r/{token}/email: the same on the host page, whose scripts can read the token; and on the way back from
    Stripe, which keeps it. So there only a slip can be corrected, not the address exchanged."""
    view, _ = await read_result(request)
    return await _correct(request, view.booking.id, only_slips=True)


async def _opened(request: Request) -> str:
    return (await read_view(request, may_return=True)).booking.id


async def _correct(request: Request, booking_id: str, *, only_slips: bool = False) -> Response:
    parts = parts_of(request)
    await parts.rate_limits.check(RESEND, booking_id)
    form = await read_form(request)
    only_slips = only_slips or is_return(request)
    _ = catalogues.translator(request.state.shell.language).gettext
    wrong, corrected = "", ""
    try:
        booking = await parts.corrections.correct_email(
            booking_id, form.get("email", ""), by=Actor.CUSTOMER, only_slips=only_slips
        )
        address = booking.customer.email if booking.customer else ""
        corrected = _("We emailed your booking to %(email)s.") % {"email": masked(address) if only_slips else address}
    except InvalidDetails as error:
        sentence = error.fields["email"]
        wrong = _(sentence)
    except BookingConflict:
        pass
    view = (await parts.bookings.view(booking_id)).spoken()
    context = status_context(request, view, 0)
    context |= {
        "email_wrong": wrong,
        "email_typed": form.get("email", "")[:254] if wrong else "",
        "reported": corrected,
        "page_path": context["page_path"].removesuffix("/email"),
    }
    if only_slips:
        context = only_showing(context)
    return render_status(request, context, status=422 if wrong else 200)

"""The customer's details: receiving the form."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from app.booking.address_typos import likely_meant
from app.booking.bookings import BookingView
from app.booking.checkout import takes_details
from app.booking.customer_form import read_address, read_details
from app.errors import BookingConflict, HoldExpired, InvalidDetails
from app.parts import parts_of
from app.protection.rate_limits import PAY, client_address
from app.web.shared.render import Shell, is_alone, wants_block
from app.web.shared.request_input import read_form
from app.web.visitor.booking_access import read_booking, read_view, to_booking
from app.web.visitor.hold import hold_afresh
from app.web.visitor.pay import begin_paying
from app.web.visitor.screens import details_screen


async def add_details(request: Request) -> Response:
    """POST /b/{token}/details: keep who is coming, and go on to pay. A hold that ended meanwhile is held again, if the
    time is still free.

    Only a form that the visitor sends from the whole window may lead to Stripe, whose page refuses frames: the script
    sends it once the details are kept; without a script, the summary has its button.
    """
    booking = await read_booking(request)
    form = await read_form(request)
    suggestion = _suggestion(form, await read_view(request)) if takes_details(booking) else ""
    if suggestion:
        return details_screen(request, await read_view(request), form, suggestion=suggestion)
    try:
        booking = await parts_of(request).checkout.add_details(booking.id, form)
    except InvalidDetails as error:
        return details_screen(request, await read_view(request), form, errors=error.fields)
    except HoldExpired:
        return await hold_afresh(request, booking, form)
    except BookingConflict:
        return to_booking(request, {})
    shell: Shell = request.state.shell
    framed = not wants_block(request) and not is_alone(request)
    if shell.widget.review or (framed and not booking.terms.free):
        return to_booking(request, {})
    if booking.terms.free or not wants_block(request):
        await parts_of(request).rate_limits.check(PAY, client_address(request.scope))
        return await begin_paying(request, booking)
    return Response(status_code=204, headers={"HX-Trigger": "hf-pay", "Cache-Control": "no-store"})


def _suggestion(form: Mapping[str, str], view: BookingView) -> str:
    """The mail address that was probably meant. Asked once: what the visitor keeps is right."""
    typed = form.get("email", "").strip()
    address = read_address(typed)
    if address is None or form.get("kept_email") == typed:
        return ""
    try:
        read_details(form, view.widget)
    except InvalidDetails:
        return ""  # what is wrong is told first
    return likely_meant(address)

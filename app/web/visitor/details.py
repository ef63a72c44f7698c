"""Who comes: taking in the details form."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BookingConflict, HoldExpired, InvalidDetails
from app.parts import parts_of
from app.web.shared.request_input import read_form
from app.web.visitor.booking_access import read_booking, read_view, to_booking
from app.web.visitor.hold import hold_afresh
from app.web.visitor.screens import details_screen


async def add_details(request: Request) -> Response:
    """POST /b/{token}/details: keep who is coming. A hold that ended meanwhile is held again, if it is still free."""
    booking = await read_booking(request)
    form = await read_form(request)
    try:
        await parts_of(request).checkout.add_details(booking.id, form)
        return to_booking(request, {})
    except InvalidDetails as error:
        return details_screen(request, await read_view(request), form, errors=error.fields)
    except HoldExpired:
        return await hold_afresh(request, booking, form)
    except BookingConflict:
        return to_booking(request, {})

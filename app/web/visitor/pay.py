"""To Stripe's page and back from it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.booking.bookings import BookingView
from app.booking.customer_form import typed_details
from app.booking.take_payment import UNPAID
from app.domain.booking import Booking, Status
from app.domain.payment import PaymentState
from app.errors import BookingConflict, HoldExpired, InvalidDetails, InvalidRequest, SchedulerError, StripeError
from app.parts import parts_of
from app.protection.rate_limits import PAY, client_address
from app.web.visitor.booking_access import is_return, read_booking, read_view, to_booking, to_host
from app.web.visitor.hold import hold_afresh
from app.web.visitor.screens import BACK, details_screen, pay_screen


async def pay(request: Request) -> Response:
    """POST /b/{token}/pay: on to Stripe's page, or straight to the confirmation where nothing is due. Who comes back
    from Stripe's page is led to that same page, while it is open."""
    booking = await read_booking(request, may_return=True)
    await parts_of(request).rate_limits.check(PAY, client_address(request.scope))
    if is_return(request):
        page = open_page(await read_view(request, may_return=True))
        return RedirectResponse(page, status_code=303) if page else to_booking(request, {"from": "stripe"})
    return await begin_paying(request, booking)


async def begin_paying(request: Request, booking: Booking) -> Response:
    """On to Stripe's page; where nothing is due, to the confirmation."""
    try:
        address = client_address(request.scope)
        url = await parts_of(request).checkout.start(booking.id, address=address)
    except HoldExpired:
        return await hold_afresh(request, booking, None)
    except InvalidDetails as error:  # an address that Stripe does not take
        typed = typed_details(booking.customer) if booking.customer else {}
        return details_screen(request, await read_view(request), typed, errors=error.fields)
    except InvalidRequest:
        return to_booking(request, {})
    except (StripeError, SchedulerError, BookingConflict) as error:
        view = await read_view(request)
        if view.booking.status not in UNPAID or view.booking.customer is None:
            return to_booking(request, {})
        return pay_screen(request, view, error=error)
    return RedirectResponse(url, status_code=303) if url else to_booking(request, {})


async def show_return(request: Request) -> Response:
    """GET /b/{token}/return: back from Stripe. Looks at the payment once, at its source, before showing anything."""
    booking = await read_booking(request, may_return=True)
    if request.method == "GET":
        await parts_of(request).settle.booking(booking.id)
    return to_host(request, booking) or to_booking(request, {"from": "stripe"})


async def show_back(request: Request) -> Response:
    """GET /b/{token}/back: left Stripe's page without paying. The page there stays open, and the time held."""
    booking = await read_booking(request, may_return=True)
    return to_host(request, booking, reported=BACK) or to_booking(request, {"told": BACK})


def open_page(view: BookingView) -> str:
    """Stripe's page, if it is still open for this booking."""
    payment = view.payment
    if view.booking.status is not Status.AWAITING_PAYMENT or payment is None or payment.state is not PaymentState.OPEN:
        return ""
    return payment.session_url or ""

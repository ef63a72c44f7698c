"""Pages that wait for a payment or for the calendar: how often they ask again, and when the providers are asked."""

from __future__ import annotations

from starlette.requests import Request

from app.booking.bookings import BookingView
from app.domain.booking import Status
from app.parts import parts_of

#: Seconds before a page that waits reads its booking again: soon at first, then seldom, two minutes in all.
POLL_SECONDS = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30)
#: From this poll on, some 20 seconds have passed, which is longer than usual.
SLOW_FROM = 8
#: Every so many polls ask Stripe and the scheduler themselves, in case the webhook was lost.
_SETTLE_EVERY = 4


def asked_poll(request: Request) -> int | None:
    """Which of its polls a waiting page makes here, counted from 1; None for a first view."""
    poll = request.query_params.get("look", "")
    return int(poll) if poll.isdecimal() and len(poll) < 4 else None


def asks_providers(poll: int | None) -> bool:
    """Whether this poll asks Stripe and the scheduler themselves."""
    return poll is not None and poll % _SETTLE_EVERY == _SETTLE_EVERY - 1


async def surely_unpaid(request: Request, view: BookingView) -> BookingView:
    """The same, read again after Stripe was asked where money may be on its way: no page says that nothing was charged
    because Stripe's word of it is late."""
    parts = parts_of(request)
    if view.booking.status is Status.AWAITING_PAYMENT or view.move:
        await parts.settle.booking(view.booking.id)
        view = (await parts.bookings.view(view.booking.id)).spoken()
    return view

"""What the owner does in the scheduler's own calendar."""

from datetime import datetime
from typing import Any

from app.domain.booking import Booking, Status
from tests.support.stack import Stack


async def booked(stack: Stack, nth: int = 30, *, service: str = "portrait") -> Booking:
    """A confirmed booking some days ahead, with its first mails sent."""
    booking = await stack.hold(await stack.free_slot(service, nth), service=service)
    if service == "planning":
        await stack.parts.checkout.start(booking.id)
    else:
        await stack.paid(booking)
    await stack.tick()
    stack.mailbox.messages.clear()
    stack.hapio.calls.clear()
    assert await stack.status(booking) is Status.CONFIRMED
    return await stack.parts.bookings.get(booking.id)


async def in_hapio(stack: Stack, booking: Booking, **changes: Any) -> None:
    """The owner changes the booking in Hapio; without changes it is deleted."""
    async with stack.hapio_api() as api:
        path = f"/bookings/{booking.reservation.reference}"
        answer = await (api.patch(path, json=changes) if changes else api.delete(path))
        answer.raise_for_status()
    stack.hapio.calls.clear()


async def moved_in_hapio(stack: Stack, booking: Booking, to: datetime) -> None:
    length = booking.ends_at - booking.starts_at
    await in_hapio(stack, booking, starts_at=to.isoformat(), ends_at=(to + length).isoformat())

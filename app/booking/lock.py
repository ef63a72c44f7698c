"""Asking the scheduler for a time: as a lock while it is being paid, or as a final booking."""

from __future__ import annotations

from app.booking.tools import Tools
from app.domain.booking import Booking
from app.domain.payment import Payment
from app.domain.reservation import Reservation
from app.scheduling.metadata import scheduler_metadata
from app.scheduling.port import SchedulerBooking


async def lock_at_scheduler(tools: Tools, reservation: Reservation) -> SchedulerBooking:
    """Lock a reservation's time under its own tag. Raises SchedulerError; `outcome_unknown` says whether the lock may
    have come about all the same."""
    return await _create(tools, reservation, tag=reservation.id, is_temporary=True)


async def book_at_scheduler(tools: Tools, booking: Booking, payment: Payment | None) -> SchedulerBooking:
    """Book the booking's time for good, with who comes and how it was paid. Raises as `lock_at_scheduler`."""
    metadata = scheduler_metadata(booking, payment)
    return await _create(tools, booking.reservation, tag=booking.id, is_temporary=False, metadata=metadata)


async def _create(
    tools: Tools, reservation: Reservation, *, tag: str, is_temporary: bool, metadata: dict[str, str] | None = None
) -> SchedulerBooking:
    return await tools.scheduler.create_booking(
        holdfast_id=tag,
        service_id=reservation.service_id,
        location_id=reservation.location_id,
        resource_id=reservation.resource_id,
        starts_at=reservation.starts_at,
        ends_at=reservation.ends_at,
        is_temporary=is_temporary,
        metadata=metadata,
    )

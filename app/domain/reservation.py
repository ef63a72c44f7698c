"""What a booking takes up of a resource's time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Occupied:
    """The buffered interval that one of our live bookings takes up on its resource."""

    booking_id: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime

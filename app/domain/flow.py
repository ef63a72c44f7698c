"""A booking that a program begins for somebody before a time is chosen: what is known of it until then. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.booking import Visitor

#: How long after its beginning a time can be chosen.
FLOW_LIFE = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class Flow:
    """One way through: which service of which widget, for whom in the program's own words, from which campaign.

    `id` goes into addresses, where anybody may read it, and marks what is booked there. Until `expires_at` a time can
    be chosen.
    """

    id: str
    widget: str
    service_id: str
    reference: str
    metadata: Mapping[str, str]
    utm: Mapping[str, str]
    expires_at: datetime

    def visitor(self, *, time_zone: str = "", language: str) -> Visitor:
        """Who comes this way. The key is what tells their bookings from others'."""
        return Visitor(
            key=f"flow {self.id}",
            time_zone=time_zone,
            language=language,
            utm=self.utm,
            reference=self.reference,
            metadata=self.metadata,
        )

    def made(self, visitor: Visitor) -> bool:
        """Whether a booking of this visitor was made on this way."""
        return visitor.key == f"flow {self.id}"

"""A booking that a program begins for someone before a time is chosen: what is known of it until then. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.booking import Visitor

#: How long after its beginning a time can be chosen.
FLOW_LIFE = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class Flow:
    """Which service of which widget is booked, from which campaign. `reference` and `metadata` are the program's own
    words. `id` goes into addresses, where others may read it. Until `expires_at` a time can be chosen."""

    id: str
    widget: str
    service_id: str
    reference: str
    metadata: Mapping[str, str]
    utm: Mapping[str, str]
    expires_at: datetime

    def visitor(self, *, time_zone: str = "", language: str) -> Visitor:
        """Who books in this flow; the key tells its bookings from others."""
        return Visitor(
            key=f"flow {self.id}",
            time_zone=time_zone,
            language=language,
            utm=self.utm,
            reference=self.reference,
            metadata=self.metadata,
        )

    def made(self, visitor: Visitor) -> bool:
        """Whether a booking of this visitor was made in this flow."""
        return visitor.key == f"flow {self.id}"

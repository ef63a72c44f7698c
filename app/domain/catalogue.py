"""What can be booked: services, the resources that offer them, places, and free times. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.money import Money
from app.domain.words import Said, Words


@dataclass(frozen=True, slots=True)
class Location:
    """A place; schedules are read in its `time_zone`."""

    id: str
    name: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A person or a room. `capacity` None: any number of bookings at once."""

    id: str
    name: str
    capacity: int | None


@dataclass(frozen=True, slots=True)
class Service:
    """A service as one widget offers it: price and currency settled, texts of the owner's choice. `name` is in the
    widget's first language; `names` and `description` have that one first (`Words.settled`)."""

    id: str
    name: str
    names: Words
    description: Words
    image: str
    duration: timedelta
    buffer_before: timedelta
    buffer_after: timedelta
    booking_window_end: timedelta | None
    price: Money
    resources: tuple[Resource, ...]
    #: The notice that the scheduler asks for: nothing sooner than this from now can be booked.
    booking_window_start: timedelta = timedelta()
    #: Not while the owner has switched it off: what is booked stays as it is, and nothing new is held.
    on_offer: bool = True
    #: Where the scheduler itself lets visitors book it, None where it does not.
    page: str | None = None

    def name_in(self, language: str) -> Said:
        """Its name for a reader of this language."""
        return self.names.said(language, "")

    def description_in(self, language: str) -> Said:
        """Its description for a reader of this language; empty where it has none."""
        return self.description.said(language, "")

    def resource(self, resource_id: str) -> Resource | None:
        """The person or room with this id, if it offers the service."""
        return next((resource for resource in self.resources if resource.id == resource_id), None)


@dataclass(frozen=True, slots=True)
class Slot:
    """One bookable start with everyone who is free then (listed once per start)."""

    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    resource_ids: tuple[str, ...]

"""A reservation: one piece of time at the scheduler, and what we still have to do about it there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.catalogue import Slot


class Due(StrEnum):
    """What we still have to do about a reservation at the scheduler."""

    #: A lock is being asked for, and there is no answer yet.
    MAKE = "make"
    #: Paid, or a move is decided: the time has to be made final, booked again or moved there.
    FIRM_UP = "firm_up"
    #: No booking needs it any more: it has to be deleted or cancelled there.
    LET_GO = "let_go"
    #: A call whose answer was lost may have made something, although it is over, or made already: to be looked for, and
    #: deleted.
    FIND_OUT = "find_out"


#: What the worker does without further conditions. The rest belongs to a payment or a move, which say when.
GIVE_BACK = frozenset({Due.LET_GO, Due.FIND_OUT})


@dataclass(frozen=True, slots=True)
class Occupied:
    """The buffered interval that one of our reservations takes up on its resource; or, where it is `closed`, time in
    which nobody may book that resource, whatever it has room for, by the id of the change of hours."""

    reservation_id: str
    resource_id: str
    starts_at: datetime
    ends_at: datetime
    closed: bool = False


@dataclass(frozen=True, slots=True)
class OccupiedSince:
    """What has changed since a moment: `rows` are what takes up time now, `gone` the ids of what no longer does,
    `released` those of them of which the scheduler has let go, too."""

    rows: Sequence[Occupied]
    gone: Collection[str]
    released: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """One row of `reservations`.

    A booking's first reservation has the booking's id, and the one that a move goes to has the move's id: this is the
    tag (`holdfast_id` in its metadata) under which the scheduler knows the lock. Once it is final there, the tag is the
    booking's id. A time that the owner chose in the scheduler's own calendar has the booking's id with the booking's
    revision behind it.

    `scheduler` is the name of the one that keeps the calendar. `occupies` says whether it counts in the slot guard.
    `reference` is what the scheduler holds for us: its id, cleared when it was let go, so that a crash in between is
    readable. `unsure` is set before the scheduler is asked to lock or to book it, and cleared by a definite answer,
    unless an earlier call was never answered, and may book it once more. `canceled`: what the scheduler holds is
    cancelled there, and stays for its history.
    `any_time`: the owner chose a time that the scheduler does not offer, and it is asked to book it all the same.
    `updated_at` is since when `due` is what it is. `places` is how many people it takes up.
    `offered_until`: it is one of the times held until then for a customer to choose from, and no booking's yet.
    """

    id: str
    booking_id: str
    scheduler: str
    service_id: str
    service_name: str
    resource_id: str
    resource_name: str
    location_id: str
    location_name: str
    time_zone: str
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    created_at: datetime
    updated_at: datetime
    places: int = 1
    occupies: bool = True
    reference: str | None = None
    unsure: bool = False
    canceled: bool = False
    due: Due | None = None
    next_try_at: datetime | None = None
    tries: int = 0
    any_time: bool = False
    offered_until: datetime | None = None

    @property
    def interval(self) -> Occupied:
        """What it takes up on its resource."""
        return Occupied(self.id, self.resource_id, self.buffer_starts_at, self.buffer_ends_at)

    @property
    def slot(self) -> Slot:
        """The bookable slot that it is of."""
        return Slot(self.starts_at, self.ends_at, self.buffer_starts_at, self.buffer_ends_at, (self.resource_id,))


class Reserved:
    """Base of what has a reservation: gives access to the reservation's time as if it were its own."""

    __slots__ = ()
    reservation: Reservation

    @property
    def service_id(self) -> str:
        return self.reservation.service_id

    @property
    def service_name(self) -> str:
        return self.reservation.service_name

    @property
    def resource_id(self) -> str:
        return self.reservation.resource_id

    @property
    def resource_name(self) -> str:
        return self.reservation.resource_name

    @property
    def location_id(self) -> str:
        return self.reservation.location_id

    @property
    def location_name(self) -> str:
        return self.reservation.location_name

    @property
    def time_zone(self) -> str:
        return self.reservation.time_zone

    @property
    def starts_at(self) -> datetime:
        return self.reservation.starts_at

    @property
    def ends_at(self) -> datetime:
        return self.reservation.ends_at

    @property
    def buffer_starts_at(self) -> datetime:
        return self.reservation.buffer_starts_at

    @property
    def buffer_ends_at(self) -> datetime:
        return self.reservation.buffer_ends_at

    @property
    def interval(self) -> Occupied:
        return self.reservation.interval

    @property
    def slot(self) -> Slot:
        return self.reservation.slot

"""The way of a booking to another time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.booking import Actor, EndReason
from app.domain.catalogue import Slot
from app.domain.money import Money
from app.domain.reservation import Occupied


class MoveState(StrEnum):
    """How the move of a booking to another time stands."""

    #: The new time is held while its higher price is being paid.
    HELD = "held"
    #: Decided: Hapio is being asked.
    MOVING = "moving"
    #: The booking has the new time.
    DONE = "done"
    #: The new time could not be had; the booking is as it was.
    REFUSED = "refused"
    #: The difference was not paid, or the booking was called off meanwhile; the booking is as it was.
    EXPIRED = "expired"


#: Every allowed change of a move's state. `None` is "no move yet".
MOVE_TRANSITIONS: Mapping[MoveState | None, frozenset[MoveState]] = {
    None: frozenset({MoveState.HELD, MoveState.MOVING}),
    MoveState.HELD: frozenset({MoveState.MOVING, MoveState.REFUSED, MoveState.EXPIRED}),
    MoveState.MOVING: frozenset({MoveState.DONE, MoveState.REFUSED}),
    MoveState.DONE: frozenset(),
    MoveState.REFUSED: frozenset(),
    MoveState.EXPIRED: frozenset(),
}


#: A booking has at most one move in these.
OPEN_MOVES = frozenset({MoveState.HELD, MoveState.MOVING})


@dataclass(frozen=True, slots=True)
class Move:
    """One row of `moves`: a booking's way to another time, and the time that it does not have.

    Until it is `DONE` that is the new time, with `price` as what the booking will cost; then it is the old one, until
    Hapio has let go of it. `occupies` says whether that time counts in the slot guard. `hapio_booking_id` is a second
    booking that Hapio holds for it: the lock on the new time while the difference is being paid, afterwards the old
    booking. `hapio_unsure` as in Booking. `deadline` is the end of paying. `by` is who asked: BY_CUSTOMER, BY_OWNER.
    `refund_due` is what comes back once it is done, in smallest units, and `refund_cap` the best share that what was
    paid before keeps: both as they were when the customer was shown them.
    """

    id: str
    booking_id: str
    state: MoveState
    by: Actor
    service_id: str
    service_name: str
    resource_id: str
    resource_name: str
    starts_at: datetime
    ends_at: datetime
    buffer_starts_at: datetime
    buffer_ends_at: datetime
    occupies: bool
    hapio_booking_id: str | None
    hapio_unsure: bool
    price: Money
    payment_id: str | None
    end_reason: EndReason | None
    deadline: datetime
    created_at: datetime
    updated_at: datetime
    next_try_at: datetime | None = None
    tries: int = 0
    refund_due: int = 0
    refund_cap: int = 100

    @property
    def interval(self) -> Occupied:
        """What it takes up beside the booking."""
        return Occupied(self.id, self.resource_id, self.buffer_starts_at, self.buffer_ends_at)

    @property
    def slot(self) -> Slot:
        """The bookable slot of its time."""
        return Slot(self.starts_at, self.ends_at, self.buffer_starts_at, self.buffer_ends_at, (self.resource_id,))

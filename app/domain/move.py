"""A booking's move to another time. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.booking import Actor, EndReason
from app.domain.money import Money
from app.domain.reservation import Reservation, Reserved


class MoveState(StrEnum):
    """The state of a booking's move to another time."""

    #: The new time is held while its higher price is being paid.
    HELD = "held"
    #: Decided: the scheduler is being asked.
    MOVING = "moving"
    #: The booking has the new time.
    DONE = "done"
    #: The new time was not available; the booking is as it was.
    REFUSED = "refused"
    #: The difference was not paid, or the booking was cancelled meanwhile; the booking's time is as it was.
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
class Move(Reserved):
    """One row of `moves`: a booking's way from one time to another, at what price.

    `reservation` is the time that it goes to, and `from_reservation_id` names the one that the booking had when it
    began; `price` is what the booking costs then, `from_price` what it cost. None of it changes when the move is done,
    refused or expired: it is the booking that points to the other time. `deadline` is the end of paying. `by` is who
    asked. `refund_due` is what the terms give back once it is done, in smallest units; what is still to be paid at the
    visit is taken off it then. `refund_cap` is the best share that what was paid before keeps. Both are as they were
    when the customer was shown them.
    """

    id: str
    booking_id: str
    state: MoveState
    by: Actor
    reservation: Reservation
    from_reservation_id: str
    price: Money
    from_price: Money
    payment_id: str | None
    end_reason: EndReason | None
    deadline: datetime
    created_at: datetime
    updated_at: datetime
    next_try_at: datetime | None = None
    tries: int = 0
    refund_due: int = 0
    refund_cap: int = 100

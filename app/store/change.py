"""A change of a booking's status, or of a move's state, as one value."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.booking import Status
from app.domain.history import HistoryWord
from app.domain.move import Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import Payment, PaymentSeen
from app.domain.refund import Owed, Refund


@dataclass(frozen=True, slots=True)
class Change:
    """From one of these statuses to another, in which word; on which conditions; and what is written with it.

    The conditions hold in the same statement: the deadline is still to come (`before_deadline`) or has passed by then
    (`due_by`), nobody is on a payment page, and the booking is as it was when its revision was `unchanged_since`. The
    latter asks that no move is under way but `ends_move`, which ends with the change. `chooses` is one of the times
    that are offered, which must still be held, unless it was `chosen_before`: the booking has it from then on.

    `values` are of the booking's row, `reservation` of its reservation's. What a call without an answer may have made
    at the scheduler is looked for from `find_out_at` on. `payment` is a new attempt to pay, `seen` what Stripe says of
    one; `refund` and `owes` are money that goes back, `detail` is kept in the history.
    """

    from_: Collection[Status]
    to: Status
    what: HistoryWord
    before_deadline: bool = False
    due_by: datetime | None = None
    without_open_session: bool = False
    unchanged_since: int | None = None
    ends_move: Move | None = None
    chooses: str | None = None
    chosen_before: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    reservation: Mapping[str, Any] = field(default_factory=dict)
    find_out_at: datetime | None = None
    payment: Payment | None = None
    seen: PaymentSeen | None = None
    refund: Refund | None = None
    owes: Owed | None = None
    mails: Sequence[OutboxMail] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MoveChange:
    """The same for a move; `reservation` is the one that it goes to, `detail` is kept in the history."""

    from_: Collection[MoveState]
    to: MoveState
    what: HistoryWord
    without_open_session: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    reservation: Mapping[str, Any] = field(default_factory=dict)
    find_out_at: datetime | None = None
    seen: PaymentSeen | None = None
    refund: Refund | None = None
    owes: Owed | None = None
    mails: Sequence[OutboxMail] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)

"""What a customer or the owner may do with a booking now, and what that would refund."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.booking.bookings import BookingView
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryEntry
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.refund import Funds, given_back
from app.protection.act_limits import MOST_UNDOS, moves_left_unpaid, undos


class Refusal(StrEnum):
    """Why something is not possible."""

    #: The visit has begun.
    BEGUN = "begun"
    #: Not confirmed, or no longer.
    NOT_CONFIRMED = "not_confirmed"
    #: A move is being made.
    UNDER_WAY = "under_way"
    #: Later than the terms allow.
    TOO_LATE = "too_late"
    #: As often as the terms allow.
    TOO_OFTEN = "too_often"
    #: The widget is no longer in the file: what is booked stands, and can be cancelled, but not exchanged.
    NOT_OFFERED = "not_offered"


#: Refusals that apply to customers but not to the owner, who may also act outside the terms.
_OWNER_MAY_CANCEL = frozenset({Refusal.BEGUN})
_OWNER_MAY_MOVE = frozenset({Refusal.BEGUN, Refusal.TOO_LATE, Refusal.TOO_OFTEN})


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the customer may do at one reading of the clock, `at`, and what would follow.

    `percent` of the price, which is `refund`, comes back on cancellation, and goes out at `refund_at`; `uncharged` says
    that it is only set aside at the bank, and is let go, `unpaid` that no money came so far, and `at_visit` how much of
    the price, in smallest units, is to be paid at the visit. A refusal of None means that the act is open to the
    customer.
    """

    at: datetime
    cancel_refusal: Refusal | None
    percent: int
    refund: Money
    uncharged: bool
    unpaid: bool
    at_visit: int
    refund_at: datetime
    move_refusal: Refusal | None
    move_until: datetime
    moves_left: int
    undo_until: datetime | None

    def not_canceled(self, by: Actor) -> Refusal | None:
        """Why they may not cancel; None where they may."""
        return _binding(self.cancel_refusal, by, _OWNER_MAY_CANCEL)

    def not_moved(self, by: Actor) -> Refusal | None:
        """Why they may not move it; None where they may."""
        return _binding(self.move_refusal, by, _OWNER_MAY_MOVE)


def _binding(refusal: Refusal | None, by: Actor, passed: frozenset[Refusal]) -> Refusal | None:
    return None if by is Actor.OWNER and refusal in passed else refusal


class Policy:
    """Reads the clock once, and decides by the terms that the booking was bought under."""

    def __init__(self, tools: Tools) -> None:
        self._widgets = tools.widgets
        self._now = tools.now

    def of(self, view: BookingView) -> Allowed:
        """What the customer may do now."""
        allowed = self.at(view.booking, view.move, self._now(), view.funds)
        return _within(allowed, view.booking.terms.most_moves, view.history)

    def at(self, booking: Booking, move: Move | None, at: datetime, funds: Funds) -> Allowed:
        """What is allowed at this time. A refund is at most what is left of the payments, and what was refunded outside
        the terms is not refunded twice. What was paid for a move that is not done is refunded, too."""
        terms = booking.terms
        held, for_move = funds.held(booking), funds.paid_for(move)
        to_choose = booking.status is Status.OFFERED  # nothing was booked yet, so the terms keep nothing
        due = terms.price if held or to_choose else terms.refund(at=at, starts_at=booking.starts_at)
        # The terms keep a share of the price: what was paid so far goes towards it first.
        at_visit = funds.to_pay_at_visit(booking)
        less = given_back(booking, funds.payments, funds.refunds) + at_visit
        back = due.amount if held else min(max(0, due.amount - less), funds.left - for_move) + for_move
        refusal = None
        if booking.status not in {Status.CONFIRMED, Status.PAID, Status.OFFERED}:
            refusal = Refusal.NOT_CONFIRMED
        elif booking.starts_at <= at and not to_choose:
            refusal = Refusal.BEGUN
        move_until = booking.starts_at - timedelta(hours=terms.move_hours)
        moves_left = max(0, terms.most_moves - booking.moves)
        removed = booking.widget not in self._widgets
        not_moved = Refusal.NOT_CONFIRMED if to_choose else refusal
        move_refusal = not_moved or (Refusal.UNDER_WAY if move else Refusal.NOT_OFFERED if removed else None)
        if move_refusal is None and not moves_left:
            move_refusal = Refusal.TOO_OFTEN
        if move_refusal is None and at > move_until:
            move_refusal = Refusal.TOO_LATE
        can_undo = booking.status is Status.CANCELED and not removed and not funds.gone_since(booking)
        undo = booking.undo_until if can_undo else None
        moving = move is not None and move.state is MoveState.MOVING
        return Allowed(
            at=at,
            cancel_refusal=refusal,
            percent=100 if to_choose else terms.refund_percent(at=at, starts_at=booking.starts_at),
            refund=replace(due, amount=max(0, back)),
            uncharged=held,
            unpaid=not any(payment.captured for payment in funds.payments),
            at_visit=at_visit,
            refund_at=at if booking.status is not Status.CONFIRMED or moving else self.undo_until(booking, at),
            move_refusal=move_refusal,
            move_until=move_until,
            moves_left=moves_left,
            undo_until=undo if undo and undo > at else None,
        )

    def undo_until(self, booking: Booking, at: datetime) -> datetime:
        frozen = booking.terms.undo_minutes
        minutes = self._widgets.of(booking).undo_minutes if frozen is None else frozen
        return max(at, min(at + timedelta(minutes=minutes), booking.starts_at))

    def owner_refund(self, view: BookingView) -> Money:
        """What the owner's cancellation refunds."""
        return everything(view.booking, view.funds)


def _within(allowed: Allowed, most_moves: int, history: Sequence[HistoryEntry]) -> Allowed:
    """What is allowed, given how often the booking was changed before."""
    if undos(history) >= MOST_UNDOS:
        allowed = replace(allowed, refund_at=allowed.at)
    if allowed.move_refusal is None and moves_left_unpaid(history) >= most_moves:
        allowed = replace(allowed, moves_left=0, move_refusal=Refusal.TOO_OFTEN)
    return allowed


def everything(booking: Booking, funds: Funds) -> Money:
    """All that is left of the customer's money: also what was paid for a move, and what was kept of one."""
    price = booking.terms.price
    return replace(price, amount=price.amount if funds.held(booking) else funds.left)

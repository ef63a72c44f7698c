"""Cancelling a booking, and undoing the cancellation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from app.booking.at_scheduler import SCHEDULER_LEASE
from app.booking.confirm import Confirm
from app.booking.confirmed_since import ConfirmedSince
from app.booking.late_money import LateMoney
from app.booking.moves import Moves
from app.booking.owner_refunds import OwnerRefunds
from app.booking.policy import Policy, Refusal, everything
from app.booking.release import Release
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, Status
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.payment import PaymentState
from app.errors import (
    BookingConflict,
    PolicyRefused,
    SchedulerError,
    SchedulerUnreachable,
)
from app.mail import MailKind
from app.protection.act_limits import MOST_UNDOS, undos
from app.store.change import Change


class Cancel:
    """Cancels under the terms for the customer, or with a full refund for the owner."""

    def __init__(
        self,
        tools: Tools,
        policy: Policy,
        release: Release,
        confirm: Confirm,
        confirmed_since: ConfirmedSince,
        moves: Moves,
        owner_refunds: OwnerRefunds,
        late_money: LateMoney,
    ) -> None:
        self._tools = tools
        self._store = tools.store
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._act_limits = tools.act_limits
        self._now = tools.now
        self._locks = tools.locks
        self._policy = policy
        self._release = release
        self._confirm = confirm
        self._confirmed_since = confirmed_since
        self._moves = moves
        self._owner_refunds = owner_refunds
        self._late_money = late_money

    async def booking(
        self,
        booking_id: str,
        *,
        by: Actor,
        revision: int | None = None,
        shown_at: datetime | None = None,
        note: str = "",
        refund: bool = True,
    ) -> Booking:
        """Cancel a booking that is confirmed, or that is paid and waits for the calendar: for a customer under its
        terms, for the owner with a full refund. While other times are offered in place of a lost one, the refund is
        full, too.

        `revision` and `shown_at` are what the page showed: the refund is the one of that moment. It waits for as long
        as the customer may undo the cancellation. A second call returns what the first one did. `note` is kept in the
        history; without `refund` nothing is refunded.

        Everything is checked before anything is changed: a refused call changes nothing. Raises PolicyRefused,
        BookingConflict where the booking has changed since it was shown, StripeError, and SchedulerError where the
        difference of a move is being settled, or as `LateMoney.as_there` does.
        """
        async with self._locks(booking_id):
            now = self._now()
            await self._look_for_choice(booking_id, by)
            booking, move, back = await self._checked(booking_id, by, revision, shown_at or now, now)
            if booking.status is Status.CANCELED:
                return booking
            await self._act_limits.change(booking_id, by)
            if move and move.state is MoveState.HELD:
                # Stripe may say that the difference is paid: then the booking has changed, and is checked again.
                await self._moves.expire(move, by.end_reason)
                booking, move, back = await self._checked(booking_id, by, revision, shown_at or now, now)
            noted: dict[str, str | bool] = {"note": note} if note else {}
            if not refund:
                back, noted = replace(back, amount=0), {**noted, "kept": True}
            if booking.status in {Status.PAID, Status.OFFERED}:
                return await self._call_off_paid(booking, by, back, noted)
            return await self._call_off(booking, move, by, back, now, noted)

    async def _look_for_choice(self, booking_id: str, by: Actor) -> None:
        try:
            await self._late_money.as_there(await self._tools.booking(booking_id))
        except SchedulerError:
            # The owner's way out of a scheduler that never answers: everything is refunded, whatever was chosen.
            if by is not Actor.OWNER:
                raise

    async def _checked(
        self, booking_id: str, by: Actor, revision: int | None, shown_at: datetime, now: datetime
    ) -> tuple[Booking, Move | None, Money]:
        """The booking, its move, and what cancelling it refunds. Raises PolicyRefused or BookingConflict."""
        booking, move = await self._tools.booking(booking_id), await self._store.open_move(booking_id)
        if booking.status is Status.CANCELED:
            return booking, None, replace(booking.terms.price, amount=0)
        if revision not in {None, booking.revision}:
            raise BookingConflict("not what was shown")
        return booking, move, await self._comes_back(booking, move, by, shown_at, now)

    async def quote(self, booking_id: str, *, by: Actor) -> Money:
        """What cancelling the booking would refund now; changes nothing. Raises PolicyRefused."""
        booking, now = await self._tools.booking(booking_id), self._now()
        return await self._comes_back(booking, await self._store.open_move(booking_id), by, now, now)

    async def _comes_back(
        self, booking: Booking, move: Move | None, by: Actor, shown_at: datetime, now: datetime
    ) -> Money:
        """What a cancellation refunds: what the page showed if the customer cancels, everything that is left if the
        owner does."""
        owner = by is Actor.OWNER
        funds = await self._refunds.funds(booking.id)
        allowed = self._policy.at(booking, move, now if owner else shown_at, funds)
        refusal = allowed.not_canceled(by)
        if refusal is None and not owner and booking.starts_at <= now and booking.status is not Status.OFFERED:
            refusal = Refusal.BEGUN
        if refusal:
            raise PolicyRefused(refusal)
        return everything(booking, funds) if owner else allowed.refund

    async def _call_off_paid(
        self, booking: Booking, by: Actor, back: Money, noted: Mapping[str, str | bool]
    ) -> Booking:
        """Cancel a paid booking before the calendar has confirmed it. This cannot be undone, so the refund goes out at
        once; money that is only held is released completely."""
        if booking.canceled_at:  # it was being taken back
            return await self._off_again(booking, by, refund="kept" not in noted)
        after = replace(booking, revision=booking.revision + 1)
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        held = payment is not None and payment.state is PaymentState.AUTHORIZED
        told: dict[str, str | int | bool] = {"by": by, "back": back.amount, "undo_until": "", "held": held}
        change = Change(
            (booking.status,),
            Status.CANCELED,
            HistoryWord(by),
            unchanged_since=booking.revision,
            values={"end_reason": by, "revision": after.revision},
            # A call to make it again may be on its way: it is looked for once that call must have arrived.
            find_out_at=self._now() + SCHEDULER_LEASE,
            refund=self._refunds.new_refund(booking, payment, payment.price, by.end_reason)
            if payment and held
            else None,
            owes=None if held else self._refunds.due_on_cancellation(after, back, by),
            mails=self._notifications.mails_due(
                after, MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER, detail=told
            ),
            detail={"back": back.amount, **noted},
        )
        if await self._confirm.call_off(booking, change) is None:
            raise BookingConflict("changed meanwhile")
        await self._refunds.pay_due(booking.id)
        return await self._tools.booking(booking.id)

    async def _off_again(self, booking: Booking, by: Actor, *, refund: bool) -> Booking:
        """Stop undoing a cancellation, which then stands; if the owner does this, what the terms kept is refunded,
        too, unless they keep it."""
        canceled = await self._confirm.leave_canceled(booking, sure=False, why=by.end_reason)
        if by is Actor.OWNER and refund and canceled.status is Status.CANCELED:
            await self._owner_refunds.give_back_now(booking.id, None)
        return await self._tools.booking(booking.id)

    async def _call_off(
        self,
        booking: Booking,
        move: Move | None,
        by: Actor,
        back: Money,
        now: datetime,
        noted: Mapping[str, str | bool],
    ) -> Booking:
        # A call that moves the booking and has not arrived yet would also take effect after the undo.
        final = by is not Actor.CUSTOMER or move or undos(await self._store.history(booking.id)) >= MOST_UNDOS
        undo_until = now if final else self._policy.undo_until(booking, now)
        after = replace(booking, revision=booking.revision + 1)
        told: dict[str, str | int | bool] = {"by": by, "back": back.amount}
        told["undo_until"] = undo_until.isoformat() if undo_until > now else ""
        elsewhere = self._confirmed_since.may_be_elsewhere(booking)
        change = Change(
            (Status.CONFIRMED,),
            Status.CANCELED,
            HistoryWord(by),
            unchanged_since=booking.revision,
            ends_move=move,
            values={
                "end_reason": by,
                "canceled_at": now,
                "undo_until": undo_until,
                "revision": after.revision,
            },
            reservation={"unsure": True} if elsewhere else {},
            owes=self._refunds.due_on_cancellation(after, back, by, due_at=undo_until),
            # A call whose answer we gave up on may book the time as soon as it is free. What was moved before this
            # process began is there already.
            find_out_at=now + SCHEDULER_LEASE if booking.reservation.unsure or not elsewhere else now,
            mails=self._notifications.mails_due(
                after, MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER, detail=told
            ),
            detail={"back": back.amount, **noted},
        )
        canceled = await self._store.claim(booking.id, change)
        if canceled is None:
            raise BookingConflict("changed meanwhile")
        if move:
            await self._release.reservation_soon(move.reservation.id)
        await self._release.soon(canceled)
        await self._refunds.pay_due(booking.id)
        return await self._tools.booking(booking.id)

    async def undo(self, booking_id: str) -> Booking:
        """Undo a cancellation: the booking gets the same time again, and the refund is withdrawn. A second call returns
        the confirmed booking.

        Raises BookingConflict where it is too late, the time is gone, or the refund is on its way: then the booking
        stays cancelled, and its refund goes out. Raises SchedulerError while the scheduler has not heard of the
        cancellation; where it does not answer later than that, the worker goes on.
        """
        async with self._locks(booking_id):
            booking = await self._tools.booking(booking_id)
            if booking.status is Status.CONFIRMED:
                return booking
            await self._act_limits.change(booking_id)
            if booking.status is not Status.CANCELED or not booking.undo_until:
                raise BookingConflict(booking.status)
            if booking.widget not in self._widgets:
                raise BookingConflict("its widget is no longer in the file")
            if booking.reservation.due and booking.undo_until > self._now():
                await self._release.booking(booking)
                booking = await self._tools.booking(booking_id)
                if booking.reservation.due:
                    # A cancel call that is still on its way would cancel the restored booking.
                    raise SchedulerUnreachable("not canceled there yet").at(booking.reservation.scheduler)
            back = await self._store.take_back(booking, capacity=await self._capacity(booking))
            if back is None:
                raise BookingConflict("too late to take back")
            self._availability.took(back.interval)
            back = await self._confirm.finalize_soon(back)
            if back.status is Status.CANCELED:
                self._availability.freed(back.interval, back.slot, back.service_id)
                raise BookingConflict("the time is gone")
            return back

    async def _capacity(self, booking: Booking) -> int | None:
        service = await self._availability.service(self._widgets.of(booking), booking.service_id)
        resource = service.resource(booking.resource_id)
        if resource is None:
            raise BookingConflict("nobody offers this any more")
        return resource.capacity

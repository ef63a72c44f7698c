"""Moving a booking to another time: the new time is taken before the old one is released.

The slot guard counts both times from the first write to the last. The scheduler is asked to move the booking in one
call, and its refusal leaves everything as it was. Where the new time costs more, it is locked in the scheduler as a
temporary booking while the difference is paid on a Checkout Session of its own; once paid, that lock is made final,
which the scheduler does without asking for room again, and the old booking is deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app.booking.as_there import COPY_KNOWN, final_at
from app.booking.at_scheduler import (
    LOCK_MARGIN,
    SCHEDULER_LEASE,
    UNSURE_PATIENCE,
    creating,
    heed_refusal,
    lock_at_scheduler,
    must_be_confirmable,
    price_at_scheduler,
    visit,
    wanted,
)
from app.booking.new_booking import another_reservation
from app.booking.payment_pages import Order, PaymentPages
from app.booking.payment_refused import refuse_payment
from app.booking.release import Release
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, EndReason, Status
from app.domain.catalogue import Resource, Service, Slot
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.move import Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import UNDER_WAY, Payment, PaymentSeen, PaymentState
from app.domain.terms import Capture
from app.errors import (
    BookingConflict,
    NotFound,
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
    SlotTaken,
    StripeError,
    StripeMisconfigured,
    StripeRefused,
)
from app.mail import MailKind
from app.payments.facts import CheckoutFacts
from app.scheduling.port import SchedulerBooking
from app.store.change import MoveChange

log = structlog.get_logger()

#: A move that was decided in time is still made so long after its new time has begun; then its money goes back.
PAST_START = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class MoveQuote:
    """What a move would cost. `difference` in smallest units: above 0 to be paid, below 0 to come back. `due` is what
    the terms give of a lower price: more than comes back where some of that was never paid, or is refunded already.
    `unpaid` is what is to be paid at the visit afterwards. `cap` is the best share of what was paid so far that a later
    cancellation refunds."""

    service: Service
    slot: Slot
    resource: Resource
    price: Money
    difference: int = 0
    due: int = 0
    unpaid: int = 0
    cap: int = 100


class Moves:
    """Carries moves from their first write to their last. Every step is safe to repeat."""

    def __init__(self, tools: Tools, release: Release, pages: PaymentPages) -> None:
        self._tools = tools
        self._pages = pages
        self._release = release
        self._store = tools.store
        self._schedulers = tools.schedulers
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._now = tools.now
        self._began = tools.now()

    async def begin(self, booking: Booking, quote: MoveQuote, *, by: Actor) -> Move:
        """Take the new time next to the old one: `MOVING` at once, or `HELD` where the difference must be paid first.

        Raises SlotTaken without the nearest times, BookingConflict if the booking changed since it was read, or if the
        scheduler has another price than was quoted, or SchedulerError; then nothing changed.
        """
        await must_be_confirmable(self._tools, booking.reservation.scheduler)
        now = self._now()
        service, slot, resource, price = quote.service, quote.slot, quote.resource, quote.price
        dearer = quote.difference > 0
        locks = dearer and not _overlap(booking, slot, resource)
        move_id = self._tools.new_id("mv")
        reservation = another_reservation(booking.reservation, move_id, service, slot, resource, now, unsure=locks)
        move = Move(
            id=move_id,
            booking_id=booking.id,
            state=MoveState.HELD if dearer else MoveState.MOVING,
            by=by,
            reservation=reservation,
            from_reservation_id=booking.reservation.id,
            price=price,
            from_price=booking.terms.price,
            payment_id=None,
            end_reason=None,
            deadline=self._deadline(booking, slot, now),
            created_at=now,
            updated_at=now,
            refund_due=quote.due,
            refund_cap=quote.cap,
        )
        if not await self._store.insert_move(move, unchanged_since=booking.revision, capacity=resource.capacity):
            fresh = await self._store.booking(booking.id)
            changed = fresh is None or (fresh.status, fresh.revision) != (booking.status, booking.revision)
            if changed or await self._store.open_move(booking.id):
                raise BookingConflict("changed meanwhile")
            raise SlotTaken(slot.starts_at)
        self._availability.took(move.interval)
        return await self._lock(move, booking, service) if locks else move

    def _deadline(self, booking: Booking, slot: Slot, now: datetime) -> datetime:
        """Until when the difference can be paid: not beyond the start of the new time or of the old one."""
        return min(now + self._widgets.of(booking).payment_time, _first_start(booking, slot.starts_at, asked_at=now))

    async def _lock(self, move: Move, booking: Booking, service: Service) -> Move:
        """Lock the new time in the scheduler, under the move's own tag, while its difference is being paid."""
        widget = self._widgets.of(booking)
        try:
            locked = await lock_at_scheduler(self._tools, move.reservation, until=move.deadline + LOCK_MARGIN)
        except SchedulerRefused as error:
            log.info("lock refused", move=move.id, answer=error.body[:500])
            await self._end(move, MoveState.REFUSED, EndReason.REFUSED, unsure=False)
            self._availability.distrust(service, move.starts_at)
            await heed_refusal(self._tools, widget, error)
            raise SlotTaken(move.starts_at) from error
        except SchedulerError as error:
            unsure = error.outcome_unknown
            await self._end(move, MoveState.EXPIRED, EndReason.NO_ANSWER, unsure=unsure)
            if isinstance(error, SchedulerNotFound):
                await self._availability.contradicted(widget)
            raise
        held = await self._store.record_move_lock(move, reference=locked.reference) or move
        if await price_at_scheduler(self._tools, widget, service, locked.price) != service.price:
            # The customer agreed to the difference of an old list: they are shown the new one, and asked again.
            await self._end(held, MoveState.EXPIRED, EndReason.REFUSED)
            await self._availability.contradicted(widget)
            raise BookingConflict("another price than was shown")
        return held

    async def checkout(self, move: Move, booking: Booking) -> str:
        """Stripe's page for the difference. Raises StripeError, after which the move has ended and nothing changed:
        its page, if there is one, was given to nobody."""
        payment = await self._open_difference(move, booking)
        try:
            url = await self._pages.open(payment)
        except (StripeRefused, StripeMisconfigured) as error:
            refusal, mails = refuse_payment(self._notifications, booking, error)
            await self._end(move, MoveState.EXPIRED, EndReason.REFUSED, mails=mails)
            raise refusal from error
        except StripeError:
            await self._end(move, MoveState.EXPIRED, EndReason.NO_ANSWER)
            raise
        if url is None:
            raise BookingConflict("the move ended meanwhile")
        return url

    async def open_page(self, move: Move) -> str | None:
        """The page on which the difference can still be paid."""
        for payment in await self._store.payments(move.booking_id):
            if payment.move_id == move.id and payment.state is PaymentState.OPEN:
                return payment.session_url
        return None

    async def _open_difference(self, move: Move, booking: Booking) -> Payment:
        payment = self._pages.attempt(
            Order(
                booking,
                move.reservation,
                price=Money(move.price.amount - booking.terms.price.amount, move.price.currency),
                number=1 + len(await self._store.payments(booking.id)),
                # Always taken at once: held money that cannot be captured after the move would need a move back.
                capture=Capture.AUTOMATIC,
                purpose="move",
                page="/manage/{token}",
                move_id=move.id,
            )
        )
        if not await self._store.add_difference(move, payment):
            raise BookingConflict("the move ended meanwhile")
        return payment

    async def take_difference(self, payment: Payment, facts: CheckoutFacts, seen: PaymentSeen) -> None:
        """Take in what Stripe says of a difference: paid, the booking is moved; else the move ends. Raises
        SchedulerError after the money was taken in; the worker goes on with the move then."""
        booking, move = await self._store.booking(payment.booking_id), await self._store.move(payment.move_id or "")
        if booking is None or move is None:
            raise NotFound(payment.id)
        if facts.state not in {PaymentState.AUTHORIZED, PaymentState.CAPTURED}:
            await self._store.record_payment(seen)
            if facts.state not in UNDER_WAY:
                await self._end(move, MoveState.EXPIRED, EndReason.DEADLINE)
            return
        if not facts.pays(payment, livemode=self._tools.stripe.livemode):
            log.error("payment does not match the order", booking=booking.id, session=facts.id)
            await self._refunds.refund_mismatch(booking, payment, facts, seen)
            await self._end(move, MoveState.EXPIRED, EndReason.PAYMENT_MISMATCH)
            return
        starts_at = _first_start(booking, move.starts_at, asked_at=move.created_at)
        paid = {"payment_id": payment.id}
        decided = MoveChange((MoveState.HELD,), MoveState.MOVING, HistoryWord.DIFFERENCE_PAID, values=paid, seen=seen)
        if not facts.paid_before(starts_at, payment, now=self._now()):
            decided = self._too_late(move, booking, payment, seen)
        claimed = await self._store.claim_move(move.id, decided)
        if claimed and claimed.state is MoveState.MOVING:
            if facts.refunded:
                await self._refunds.follow_all(facts.payment_intent_id)
            await self.carry(claimed, just_read=True)
            return
        if claimed:
            await self._refunds.pay_due(booking.id)
            await self._release.reservation_soon(claimed.reservation.id)
            return
        # Read again: another process may have taken this very payment in the meantime.
        ended = await self._store.move(move.id)
        if ended is None or ended.payment_id != payment.id:
            await self._refunds.owe(booking, payment, payment.price, EndReason.NOT_MOVED, seen)

    def _too_late(self, move: Move, booking: Booking, payment: Payment, seen: PaymentSeen) -> MoveChange:
        """The difference was paid when the visit had begun: it is refunded, and the booking stays as it was."""
        refund = self._refunds.new_refund(booking, payment, payment.price, EndReason.NOT_MOVED)
        told = {"reason": EndReason.NOT_MOVED, "refund": refund.id}
        kinds = (MailKind.REFUNDED_CUSTOMER, MailKind.REFUNDED_OWNER)
        return MoveChange(
            (MoveState.HELD,),
            MoveState.EXPIRED,
            HistoryWord.MOVE_EXPIRED,
            values={"payment_id": payment.id, "end_reason": EndReason.BEGUN},
            seen=seen,
            refund=refund,
            mails=self._notifications.mails_due(booking, *kinds, about=payment.id, detail=told),
            detail={"begun_by": move.by, "why": EndReason.BEGUN},
        )

    async def follow(self, move: Move) -> Move:
        """Continue a move from its current state. Raises SchedulerError, StripeError; the worker then repeats it."""
        match move.state:
            case MoveState.MOVING:
                return await self.carry(move)
            case MoveState.HELD if move.deadline <= self._now():
                return await self.expire(move, EndReason.DEADLINE)
            case _:
                return move

    async def carry(self, move: Move, *, just_read: bool = False) -> Move:
        """Ask the scheduler for the new time, and take it over, or leave everything as it was. Raises SchedulerError
        where the scheduler gives no usable answer: both times stay ours until it does, or until the new time has begun.
        `just_read` says that the difference was read at its source in this very act."""
        booking = await self._store.booking(move.booking_id)
        if booking is None:
            raise NotFound(move.booking_id)
        if move.state is not MoveState.MOVING or booking.status is not Status.CONFIRMED:
            return move
        after = replace(
            booking,
            reservation=move.reservation,
            terms=booking.terms.moved(move.price, percent=move.refund_cap),
            revision=booking.revision + 1,
        )
        if move.starts_at + PAST_START <= self._now():
            made = await self._made_before(move, booking)
            if made:
                return await self._complete(move, booking, after, made)
            return await self._refuse(move, booking, EndReason.NO_ANSWER)
        if await self._gone_back(move, just_read=just_read):
            return await self._refuse(move, booking, EndReason.REFUNDED)
        # For one process alone: a call that lands after the booking has been moved on, or called off, would undo that.
        if not await self._store.lease_move(move.id, until=self._now() + SCHEDULER_LEASE):
            return await self._store.move(move.id) or move
        try:
            there = await self._move_at_scheduler(move, booking, after)
        except (SchedulerNotFound, SchedulerRefused) as error:
            log.info("move refused", move=move.id, error=type(error).__name__)
            refused = await self._refuse(move, booking, EndReason.REFUSED)
            if isinstance(error, SchedulerRefused):
                await heed_refusal(self._tools, self._widgets.of(booking), error)
            return refused
        done = await self._complete(move, booking, after, there)
        await self._heed_price(move, booking, there)
        return done

    async def _made_before(self, move: Move, booking: Booking) -> SchedulerBooking | None:
        """The scheduler's booking at the new time, where the move was made before a copy of the database was put back,
        which knows nothing of that. Raises SchedulerError for some hours after this process has begun."""
        if move.updated_at < move.starts_at + PAST_START:  # it was tried since, so this is an answer that was lost
            return None
        try:
            return await final_at(self._tools, booking, move.reservation)
        except SchedulerError:
            if self._now() - self._began <= COPY_KNOWN:
                raise
            return None

    async def _heed_price(self, move: Move, booking: Booking, there: SchedulerBooking) -> None:
        """What another service costs shows only now where its time was not locked first. The customer got the price
        that they agreed to; the next one is shown the scheduler's."""
        if move.service_id == booking.service_id or move.reservation.reference:
            return
        widget = self._widgets.of(booking)
        with suppress(NotFound, SchedulerError):
            service = await self._availability.service(widget, move.service_id)
            if await price_at_scheduler(self._tools, widget, service, there.price) != service.price:
                await self._availability.contradicted(widget)

    async def _move_at_scheduler(self, move: Move, booking: Booking, after: Booking) -> SchedulerBooking:
        """The scheduler's booking that has the new time now."""
        if booking.reservation.reference is None:
            raise SchedulerNotFound("the scheduler has no booking to move")
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        if not self._schedulers.lock_binds(after.reservation.scheduler):
            await self._store.ask(move.reservation)
        async with creating(self._tools, after.reservation.scheduler):
            moved = await self._schedulers.of(after.reservation.scheduler).move(
                booking.reservation.reference,
                wanted(after.reservation, tag=booking.id),
                visit(after, payment),
                lock=move.reservation.reference,
            )
        if moved.is_canceled:
            raise SchedulerNotFound("canceled in the scheduler")
        return moved

    async def _complete(self, move: Move, booking: Booking, after: Booking, there: SchedulerBooking) -> Move:
        funds = await self._refunds.funds(booking.id)
        back = Money(funds.back_for_lower_price(booking, move.refund_due), move.price.currency)
        owes = self._refunds.amount_due(booking, back, EndReason.CHEAPER, cause=move.id) if back else None
        difference = -back.amount or max(0, move.price.amount - booking.terms.price.amount)
        told: dict[str, str | int | bool] = {
            "from": booking.starts_at.isoformat(),
            "was": booking.service_name,
            "by": move.by,
            "difference": difference,
        }
        mails = self._notifications.mails_due(after, MailKind.MOVED_CUSTOMER, MailKind.MOVED_OWNER, detail=told)
        moved = await self._store.complete_move(
            move,
            reference=there.id,
            unsure=move.reservation.unsure or there.asked_twice,
            terms=after.terms,
            find_out_at=self._now() + SCHEDULER_LEASE,
            owes=owes,
            paid=funds.paid,
            mails=[*mails, *self._notifications.reminder(after)],
        )
        done = await self._store.move(move.id) or move
        if moved is None:
            # Another process has taken money at the desk meanwhile: what comes back is worked out again.
            again = done.state is MoveState.MOVING and (await self._refunds.funds(booking.id)).paid != funds.paid
            return await self._complete(move, booking, after, there) if again else done
        self._availability.took(moved.interval)
        await self._refunds.pay_due(booking.id)
        await self._release.reservation_soon(move.from_reservation_id)
        return done

    async def _gone_back(self, move: Move, *, just_read: bool) -> bool:
        """Whether the difference that was paid for the move has been refunded since."""
        payment = await self._store.payment(move.payment_id) if move.payment_id else None
        if payment is None or payment.session_id is None:
            return False
        if not just_read:
            await self._tools.look_at_payment(payment)
        return (await self._refunds.funds(move.booking_id)).paid_for(move) == 0

    async def _refuse(self, move: Move, booking: Booking, reason: EndReason) -> Move:
        """The booking does not get the new time: refund what was paid for it."""
        owes, mails = None, []
        if move.payment_id:
            funds = await self._refunds.funds(booking.id)
            back = Money(funds.paid_for(move), move.price.currency)
            owes = self._refunds.amount_due(booking, back, EndReason.NOT_MOVED, cause=move.id) if back else None
            mails = self._notifications.mails_due(
                booking,
                MailKind.NOT_MOVED_CUSTOMER,
                about=move.id,
                detail={"back": back.amount, "to": move.starts_at.isoformat()},
            )
        change = MoveChange(
            (MoveState.MOVING,),
            MoveState.REFUSED,
            HistoryWord.MOVE_REFUSED,
            values={"end_reason": reason},
            find_out_at=self._now() + SCHEDULER_LEASE,
            owes=owes,
            mails=mails,
        )
        refused = await self._store.claim_move(move.id, change)
        if refused is None:
            return await self._store.move(move.id) or move
        await self._refunds.pay_due(booking.id)
        await self._release.reservation_soon(refused.reservation.id)
        return refused

    async def expire(self, move: Move, reason: EndReason) -> Move:
        """End a move whose difference nobody has paid: Stripe's page first, and Stripe may say that it is paid."""
        for payment in await self._store.payments(move.booking_id):
            if payment.move_id == move.id and payment.session_id and payment.state in UNDER_WAY:
                facts = await self._tools.stripe.expire_session(payment.session_id)
                seen = PaymentSeen(payment.id, facts.state, facts.id, facts.payment_intent_id, facts.received)
                if facts.state is PaymentState.EXPIRED:
                    await self._store.record_payment(seen)
                else:
                    await self.take_difference(payment, facts, seen)
                if facts.state in UNDER_WAY:
                    return move  # a delayed method: Stripe's last word is not spoken yet
        return await self._end(move, MoveState.EXPIRED, reason)

    async def _end(
        self,
        move: Move,
        to: MoveState,
        reason: EndReason,
        *,
        unsure: bool | None = None,
        mails: Sequence[OutboxMail] = (),
    ) -> Move:
        change = MoveChange(
            (MoveState.HELD,),
            to,
            HistoryWord(f"move_{to}"),
            without_open_session=True,
            values={"end_reason": reason},
            reservation={} if unsure is None else {"unsure": unsure},
            find_out_at=self._now() + UNSURE_PATIENCE if unsure else None,
            mails=mails,
            detail={"begun_by": move.by, "why": reason},
        )
        ended = await self._store.claim_move(move.id, change)
        if ended is None:
            return await self._store.move(move.id) or move
        await self._release.reservation_soon(ended.reservation.id)
        return ended


def _first_start(booking: Booking, new_start: datetime, *, asked_at: datetime) -> datetime:
    """Before which start a move that was asked for then must be paid: the new time's, and the old one's, unless that
    had begun already."""
    return min(new_start, booking.starts_at) if booking.starts_at > asked_at else new_start


def _overlap(booking: Booking, slot: Slot, resource: Resource) -> bool:
    """Whether the new time overlaps the booking's own on the same resource, where the scheduler would refuse a second
    booking."""
    meets = slot.buffer_starts_at < booking.buffer_ends_at and slot.buffer_ends_at > booking.buffer_starts_at
    return meets and resource.id == booking.resource_id

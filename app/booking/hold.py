"""Holding a time: the slot guard first, then the lock at the scheduler. Extending, renewing and ending a hold."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from app.booking.adopt import Adopt
from app.booking.at_scheduler import (
    LOCK_MARGIN,
    UNSURE_PATIENCE,
    find_at_scheduler,
    heed_refusal,
    lock_at_scheduler,
    must_be_confirmable,
    price_at_scheduler,
)
from app.booking.candidates import Candidates, why_not
from app.booking.customer_form import read_details
from app.booking.new_booking import must_be_on_offer, new_booking, new_reservation
from app.booking.release import Release
from app.booking.settle import Settle
from app.booking.take_payment import UNPAID, TakePayment
from app.booking.tools import Tools
from app.domain.booking import Booking, Channel, Customer, EndReason, Status, Visitor
from app.domain.catalogue import Resource, Service, Slot
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.errors import (
    BookingConflict,
    HoldExpired,
    InvalidRequest,
    NotFound,
    NotOffered,
    SchedulerError,
    SchedulerNotFound,
    SchedulerRefused,
    SlotTaken,
    TimePassed,
)
from app.protection.hold_limits import Admission, Client, HoldLimits
from app.scheduling.port import Scheduler
from app.store.change import Change
from app.widgets import Widget, Widgets

log = structlog.get_logger()

#: Nobody books a time that is further away, and arithmetic on the calendar's last days overflows.
FAR_AWAY = timedelta(days=36500)

#: However often a hold is extended, it ends this long after the lock. A first payment page that was opened before then
#: stays open to its own end. WCAG 2.2.1 asks for ten extensions: ten minutes and ten times ten more are an hour and
#: fifty minutes.
LONGEST_HOLD = timedelta(hours=2)
#: However often paying is started again, a hold ends this long after the lock, or when it would have ended anyway.
#: Our shortest page at Stripe lives for 35 minutes (app/payments/sessions.py).
LONGEST_PAYING = timedelta(minutes=45)


@dataclass(frozen=True, slots=True)
class AtDesk:
    """What is different when the owner books for a customer. `who` is the member of staff. `held_until` is how long the
    time has to stay locked; `any_time`: book it although it is not offered."""

    who: str
    held_until: datetime
    any_time: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be held, without the time. `resource_id` None means anyone; `shown` is the price that the visitor saw;
    `admission` comes from the hold limits, and is None for callers that the owner trusts."""

    widget: Widget
    service: Service
    resource_id: str | None
    visitor: Visitor
    customer: Customer | None
    shown: Money
    admission: Admission | None = None
    desk: AtDesk | None = None


class Hold:
    """Locks times, and lets go of locks that nobody wants."""

    def __init__(
        self,
        tools: Tools,
        hold_limits: HoldLimits,
        release: Release,
        take_payment: TakePayment,
        adopt: Adopt,
        settle: Settle,
        candidates: Candidates,
    ) -> None:
        self._tools = tools
        self._store = tools.store
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._links = tools.links
        self._metrics = tools.metrics
        self._act_limits = tools.act_limits
        self._now = tools.now
        self._locks = tools.locks
        self._hold_limits = hold_limits
        self._release = release
        self._take_payment = take_payment
        self._adopt = adopt
        self._settle = settle
        self._candidates = candidates

    async def take(
        self,
        widget: Widget,
        *,
        service_id: str,
        starts_at: datetime,
        resource_id: str | None,
        visitor: Visitor,
        customer: Customer | None = None,
        client: Client | None = None,
        shown: Money | None = None,
    ) -> Booking:
        """Lock a time: our slot guard first, then a temporary booking in the scheduler.

        `resource_id` None means "anyone": those who are free are tried one after the other, the least booked that day
        first, until a lock succeeds. The same visitor's second click returns the first click's hold. `client` is
        counted against the hold limits; None is a caller that the owner trusts. `shown` is the price that the visitor
        saw; None means the current one. If the scheduler's price differs, the booking gets that price, and its history
        says so (`price_changed`).

        Raises SlotTaken with the nearest free times, or its kinds TimePassed and TooSoon, RateLimited in all its kinds,
        NotFound, InvalidRequest, or SchedulerError.
        """
        if abs(starts_at - self._now()) > FAR_AWAY:
            raise InvalidRequest("nothing is booked so far away")
        service = await self._availability.service(widget, service_id)
        async with AsyncExitStack() as turns:
            turns.enter_context(self._metrics.holding())
            await turns.enter_async_context(self._locks((visitor.key, service_id, starts_at)))
            again = await self._store.hold_by_key(visitor.key, service_id, starts_at)
            if again and again.reservation.reference:
                return again
            if again and again.created_at + UNSURE_PATIENCE <= self._now():
                resumed = await self.resume(widget, service, again)
                if resumed:
                    return resumed
            must_be_on_offer(service)
            admission = await self._admit(widget, service, starts_at, client) if client else None
            held = None
            try:
                seen = service.price if shown is None else shown
                wish = Wish(widget, service, resource_id, visitor, customer, seen, admission)
                held = await self._hold(wish, starts_at)
            finally:
                if admission:
                    await self._hold_limits.finished(admission, held=held is not None)
            if held:
                if admission and admission.spare:
                    await self.give_up(admission.spare)
                return held
        raise await self.taken(widget, service_id, starts_at, resource_id)

    async def taken(
        self, widget: Widget, service_id: str, starts_at: datetime, resource_id: str | None, *, offered: bool = True
    ) -> SlotTaken:
        """The error that says why nobody can take a time, with the nearest free ones. `offered` False: the owner asked
        for a time that the calendar does not offer. Raises NotFound where the service is gone with it."""
        self._metrics.hold_refused(SlotTaken.code)
        # Read again: what the scheduler refused may be gone altogether, and so may the person.
        service = await self._availability.service(widget, service_id)
        person = resource_id if service.resource(resource_id or "") else None
        nearest = await self._availability.nearest(widget, service, starts_at, resource_id=person)
        kind = why_not(service, starts_at, self._now())
        if not offered and kind is not TimePassed:
            kind = NotOffered
        return kind(starts_at, [near.starts_at for near in nearest])

    async def _admit(self, widget: Widget, service: Service, starts_at: datetime, client: Client) -> Admission:
        """Ask the hold limits. Raises what they raise."""
        await self._hold_limits.knock(client)
        zone = ZoneInfo((await self._availability.catalogue(widget)).location.time_zone)
        free = await self._free_that_day(widget, service, starts_at, zone)
        # One at a time, or a hundred simultaneous clicks would all be counted before any of them holds a time. The
        # scheduler is asked after this lock is released, so visitors who share an address do not wait for each other's
        # answers.
        async with self._locks(("hold", widget.name, client.address or client.name)):
            return await self._hold_limits.admit(widget, client, starts_at, free, zone)

    async def _hold(self, wish: Wish, starts_at: datetime) -> Booking | None:
        """Try everyone who could take the time; None if nobody can."""
        slot = await self._availability.find_slot(wish.widget, wish.service, starts_at)
        return await self.place(wish, slot) if slot else None

    async def place(self, wish: Wish, slot: Slot) -> Booking | None:
        """Lock the slot with the first person or room that can take it; None if nobody can. Raises SchedulerError."""
        for resource in await self._candidates.of(wish.service, slot, wish.resource_id):
            booking = await self._lock(wish, slot, resource)
            if booking:
                return booking
        return None

    async def resume(self, widget: Widget, service: Service, booking: Booking) -> Booking | None:
        """Resume a hold whose process died while the scheduler was being asked: if the scheduler made the lock, that is
        the hold. If not, the row is ended; None means that the time can be held again."""
        for made in await find_at_scheduler(self._tools, booking, booking.reservation):
            if not made.is_canceled:
                price = await price_at_scheduler(self._tools, widget, service, made.price)
                terms = replace(booking.terms, price=price)
                return await self._store.record_lock(booking, reference=made.id, terms=terms)
        await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
        return None

    async def _free_that_day(
        self, widget: Widget, service: Service, starts_at: datetime, zone: ZoneInfo
    ) -> list[datetime]:
        """The free starts on the day of this time, in the place's time zone."""
        slot = await self._availability.find_slot(widget, service, starts_at)
        if slot is None:
            return []
        day = starts_at.astimezone(zone).date()
        times = await self._availability.times(widget, service, month=starts_at.astimezone(UTC).date(), needed=True)
        return [free.starts_at for free in times.slots if free.starts_at.astimezone(zone).date() == day]

    async def _lock(self, wish: Wish, slot: Slot, resource: Resource) -> Booking | None:
        """Try one resource. None means that it is taken."""
        widget, service, desk = wish.widget, wish.service, wish.desk
        location = (await self._availability.catalogue(widget)).location
        now, booking_id = self._now(), self._tools.new_id("bk")
        reservation = new_reservation(booking_id, widget.scheduler, service, slot, resource, location, now)
        booking = new_booking(
            replace(reservation, any_time=desk is not None and desk.any_time),
            widget,
            service,
            visitor=wish.visitor,
            customer=wish.customer,
            any_resource=wish.resource_id is None,
            deadline=min(now + widget.hold_time, slot.starts_at),
        )
        until = self._latest_end(booking, widget)
        if desk:
            booking = replace(booking, channel=Channel.DESK)
            until = max(until, desk.held_until + LOCK_MARGIN)
        await must_be_confirmable(self._tools, widget.scheduler)
        if not await self._store.insert_hold(
            booking,
            capacity=resource.capacity,
            what=HistoryWord.BOOKED_AT_DESK if desk else HistoryWord.HELD,
            detail={"who": desk.who} if desk else {},
        ):
            offered = await self._availability.find_slot(widget, service, slot.starts_at)
            if offered and resource.id in offered.resource_ids:  # another process of ours was faster
                self._availability.distrust(service, slot.starts_at)
            return None
        if wish.admission:
            await self._hold_limits.entered(wish.admission, booking.id)
        self._availability.took(booking.interval)
        try:
            locked = await lock_at_scheduler(self._tools, booking.reservation, until=until)
        except SchedulerRefused as error:
            log.info("lock refused", booking=booking.id, answer=error.body[:500])
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
            self._availability.distrust(service, slot.starts_at)
            await heed_refusal(self._tools, widget, error)
            return None
        except SchedulerError as error:
            await self._end_refused(booking, EndReason.NO_ANSWER, unsure=error.outcome_unknown)
            if isinstance(error, SchedulerNotFound):
                await self._availability.contradicted(widget)
                await self._availability.service(widget, service.id)
            raise
        price = await price_at_scheduler(self._tools, widget, service, locked.price)
        held = await self._store.record_lock(
            booking,
            reference=locked.reference,
            terms=replace(booking.terms, price=price),
            shown=wish.shown if wish.shown != price else None,
        )
        if price != service.price:
            await self._availability.contradicted(widget)
        scheduler = self._tools.schedulers.of(widget.scheduler)
        if not widget.verify_lock or not self._tools.schedulers.lock_binds(widget.scheduler):
            return held
        try:
            won = await self._won_race(scheduler, booking, locked.reference, resource)
        except SchedulerError:
            await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
            raise
        if not won:
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
        return held if won else None

    def _latest_end(self, booking: Booking, widget: Widget) -> datetime:
        """Until when the time may have to stay locked: the longest hold, plus a payment page opened at its end."""
        return last_end(booking) + widget.payment_time + LOCK_MARGIN

    async def _won_race(self, scheduler: Scheduler, booking: Booking, reference: str, resource: Resource) -> bool:
        """Whether our booking is among the first `capacity` bookings that overlap, by (created_at, id): if other
        programs book in the same project, the scheduler may have accepted too many."""
        others = await scheduler.overlapping(
            resource.id, starts_from=booking.buffer_starts_at, ends_to=booking.buffer_ends_at
        )
        first = sorted(others, key=lambda other: (other.created_at, other.id))[: resource.capacity]
        return any(other.id == reference for other in first)

    async def _end_refused(self, booking: Booking, reason: EndReason, *, unsure: bool) -> None:
        """End a booking whose lock failed. If the scheduler may have made the lock after all, the worker looks for
        it."""
        change = Change(
            UNPAID,
            Status.EXPIRED,
            HistoryWord(reason),
            values={"end_reason": reason},
            reservation={"unsure": unsure},
            find_out_at=self._now() + UNSURE_PATIENCE if unsure else None,
        )
        ended = await self._store.claim(booking.id, change)
        if ended and not unsure:
            await self._release.soon(ended)

    async def again(
        self,
        booking_id: str,
        visitor_key: str,
        form: Mapping[str, str] | None = None,
        *,
        client: Client | None = None,
    ) -> Booking:
        """Lock the time of an ended hold again, for the customer in the form, or else the one it had.

        Raises what `take` raises, InvalidDetails, BookingConflict if the booking is not an ended hold, and StripeError
        if its payment page cannot be closed.
        """
        widget = on_offer(self._widgets, await self._tools.booking(booking_id))
        old = await self._settle.expire(await self._tools.booking(booking_id))
        if old.status is not Status.EXPIRED:
            raise BookingConflict(old.status)
        return await self.take(
            widget,
            service_id=old.service_id,
            starts_at=old.starts_at,
            resource_id=None if old.any_resource else old.resource_id,
            # A booking's id is in logs and calendars. The token makes the key secret: otherwise others could use it to
            # get the new booking as the answer to a double click.
            visitor=replace(old.visitor, key=f"{visitor_key} {self._links.booking_token(old.id, ends_at=old.ends_at)}"),
            customer=old.customer if form is None else read_details(form, widget),
            client=client,
            shown=old.terms.price,
        )

    async def extend(self, booking_id: str) -> Booking:
        """Start the hold's time again. Raises HoldExpired, or BookingConflict when the extensions are used up."""
        booking = await self._tools.booking(booking_id)
        if booking.pay_link:
            raise BookingConflict("the owner says how long it is held")
        widget = on_offer(self._widgets, booking)
        await self._act_limits.hold(booking_id)
        end = last_end(booking)
        if booking.deadline >= end:
            must_be_held(booking, self._now())
            raise BookingConflict("held as long as may be")
        deadline = min(self._now() + widget.hold_time, end)
        extended = await self._store.extend(booking_id, deadline=deadline, most=widget.max_extensions)
        if extended is None:
            must_be_held(await self._tools.booking(booking_id), self._now())
            raise BookingConflict("no extensions left")
        return extended

    async def give_up(self, booking_id: str) -> Booking:
        """The visitor does not want the time. If Stripe says that it has been paid after all, the payment is settled
        instead."""
        await self._adopt.catch_up(booking_id)
        booking = await self._tools.booking(booking_id)
        if booking.status in UNPAID:
            await self._act_limits.hold(booking_id)
            return await self._take_payment.end_unpaid(booking, EndReason.GIVEN_UP)
        return booking


def on_offer(widgets: Widgets, booking: Booking) -> Widget:
    """The widget that the booking was made in. Raises NotFound if it is no longer in the file: its bookings stay, but
    nothing new is booked."""
    widget = widgets.get(booking.widget)
    if widget is None:
        raise NotFound(booking.widget)
    return widget


def must_be_held(booking: Booking, now: datetime) -> None:
    over = booking.status in UNPAID and booking.deadline <= now
    if over or booking.status is Status.EXPIRED:
        raise HoldExpired(booking.id)


def last_end(booking: Booking) -> datetime:
    """When a hold ends at the latest, unless a visitor is on its first payment page; never after its visit's start."""
    return min(booking.created_at + LONGEST_HOLD, booking.starts_at)

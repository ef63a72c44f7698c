"""The business acts, one method each, in the order of a booking's life: hold, details, pay, settle, release, refund.

Every door and the worker call these. The order of effects is what keeps the promises (design section 6):
claim first, then take away; release only after Stripe says `expired`; confirm only after reading from Stripe;
write what is owed before doing it, so that a crash anywhere is picked up by the worker's next tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import structlog

from app.booking.customer_form import read_details
from app.booking.follow import Following
from app.booking.payment_refused import refuse_payment
from app.booking.settlement import SESSION_MARGIN, UNPAID
from app.domain.booking import Booking, Customer, EndReason, Status, Visitor
from app.domain.catalogue import Resource, Service, Slot
from app.domain.charge_minimum import chargeable
from app.domain.money import Money
from app.domain.payment import Payment, PaymentState
from app.errors import (
    BookingConflict,
    HoldExpired,
    InvalidRequest,
    NotFound,
    SchedulerError,
    SchedulerFailed,
    SchedulerNotFound,
    SchedulerRefused,
    SchedulerUnreachable,
    SlotTaken,
    StripeMisconfigured,
    StripeRefused,
    TimePassed,
    TooManyFree,
    TooSoon,
)
from app.payments.sessions import SHORTEST_SESSION, session_key, session_params
from app.protection.act_limits import person
from app.protection.hold_limits import Admission, Client
from app.widgets import Widget

log = structlog.get_logger()

#: No time that anybody means is further away; arithmetic on the calendar's last days overflows.
FAR_AWAY = timedelta(days=36500)
#: How long an attempt whose answer was lost is repeated under its key; then a new attempt takes its place.
REPLAY_TIME = timedelta(seconds=45)
#: How often paying may be started for one hold, so that a failing Stripe cannot prolong it for ever.
MAX_ATTEMPTS = 5
#: However often a hold is extended or its payment begun anew, it ends this long after the lock; a first payment page
#: that was opened before is open to its end. Stripe's shortest page lives for 31 minutes, so a hold that is extended
#: twice and then paid for stays below an hour and a quarter, and one whose payment is begun anew gains nothing by it.
LONGEST_HOLD = timedelta(minutes=45)
#: A lost create may still land after our time-out; the lookup waits longer than Hapio takes to answer anything.
UNSURE_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a visitor wants to hold, at whatever time. `resource_id` None is anyone; `shown` is the price that they
    saw; `admission` is the gate's, None for somebody whom the owner trusts."""

    widget: Widget
    service: Service
    resource_id: str | None
    visitor: Visitor
    customer: Customer | None
    shown: Money
    admission: Admission | None


class Bookings(Following):
    """Everything that can be done with a booking: here from the hold to the payment, in Changes what a confirmed one
    may still become, in Following what its owner does in Hapio, in Settlement what follows from all of it."""

    # -- hold --------------------------------------------------------------------------------------------

    async def hold(
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
        """Lock a time: our slot guard first, then a temporary booking in Hapio.

        `resource_id` None is "anyone": whoever is free and least booked that day, one after the other until one
        lock succeeds. The same visitor's second click returns the first click's hold. `client` is who is counted;
        None is somebody whom the owner trusts. `shown` is the price that the visitor saw; None is the one on offer.
        Where Hapio asks another, the booking has that one, and its history says so (`price_changed`).

        Raises SlotTaken with the nearest free times, or its kinds TimePassed and TooSoon, RateLimited in all its kinds,
        NotFound, InvalidRequest, or SchedulerError.
        """
        if abs(starts_at - self._now()) > FAR_AWAY:
            raise InvalidRequest("nothing is booked so far away")
        service = await self._availability.service(widget, service_id)
        async with AsyncExitStack() as turns:
            turns.enter_context(self._metrics.holding())
            await turns.enter_async_context(self._turns((visitor.key, service_id, starts_at)))
            again = await self._store.hold_by_key(visitor.key, service_id, starts_at)
            if again and again.hapio_booking_id:
                return again
            if again and again.created_at + UNSURE_PATIENCE <= self._now():
                resumed = await self._resume(widget, service, again)
                if resumed:
                    return resumed
            admission = await self._admit(widget, service, starts_at, client) if client else None
            held = None
            try:
                seen = service.price if shown is None else shown
                wish = _Wish(widget, service, resource_id, visitor, customer, seen, admission)
                held = await self._hold(wish, starts_at)
            finally:
                if admission:
                    self._hold_limits.left(admission, held=held is not None)
            if held:
                if admission and admission.spare:
                    await self.give_up(admission.spare)
                return held
        self._metrics.hold_refused(SlotTaken.code)
        service = await self._availability.service(widget, service_id)  # what Hapio refused may be gone altogether
        nearest = await self._availability.nearest(widget, service, starts_at, resource_id=resource_id)
        now, kind = self._now(), SlotTaken
        if starts_at <= now:
            kind = TimePassed
        elif starts_at < now + service.booking_window_start:
            kind = TooSoon
        raise kind(starts_at, [near.starts_at for near in nearest])

    async def _admit(self, widget: Widget, service: Service, starts_at: datetime, client: Client) -> Admission:
        """Ask the gate. Raises as it does."""
        self._hold_limits.knock(client)
        zone = ZoneInfo((await self._availability.catalogue(widget)).location.time_zone)
        free = await self._free_that_day(widget, service, starts_at, zone)
        # One at a time, or a hundred clicks at once would all be counted before any of them holds. Hapio is asked
        # after this turn: whoever shares an address need not wait for its answers to one another.
        async with self._turns(("hold", widget.name, client.address or client.name)):
            return await self._hold_limits.admit(widget, client, starts_at, free, zone)

    async def _hold(self, wish: _Wish, starts_at: datetime) -> Booking | None:
        """Try everybody who could take the time; None where nobody can."""
        slot = await self._availability.find_slot(wish.widget, wish.service, starts_at)
        if slot is None:
            return None
        for resource in await self._candidates(wish.service, slot, wish.resource_id):
            booking = await self._lock(wish, slot, resource)
            if booking:
                return booking
        return None

    async def _resume(self, widget: Widget, service: Service, booking: Booking) -> Booking | None:
        """A hold whose process died while Hapio was being asked: what Hapio made of it is the hold. If it made nothing,
        the row is ended, and None says that the time is there to be held afresh."""
        for made in await self._scheduler.find_bookings(booking.id):
            if not made.is_canceled:
                price = await self._price(widget, service, made.price)
                return await self._store.record_lock(
                    booking.id, hapio_booking_id=made.id, terms=replace(booking.terms, price=price)
                )
        await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
        return None

    async def _free_that_day(
        self, widget: Widget, service: Service, starts_at: datetime, zone: ZoneInfo
    ) -> list[datetime]:
        """The free starts of the place's day that a time lies in."""
        slot = await self._availability.find_slot(widget, service, starts_at)
        if slot is None:
            return []
        day = starts_at.astimezone(zone).date()
        times = await self._availability.times(widget, service, month=starts_at.astimezone(UTC).date(), needed=True)
        return [free.starts_at for free in times.slots if free.starts_at.astimezone(zone).date() == day]

    async def _lock(self, wish: _Wish, slot: Slot, resource: Resource) -> Booking | None:
        """Try one resource. None means that it is taken."""
        widget, service = wish.widget, wish.service
        location = (await self._availability.catalogue(widget)).location
        now = self._now()
        booking = Booking(
            id=self._new_id("bk"),
            widget=widget.name,
            status=Status.HELD,
            service_id=service.id,
            service_name=service.name,
            resource_id=resource.id,
            resource_name=resource.name,
            any_resource=wish.resource_id is None,
            location_id=location.id,
            location_name=location.name,
            time_zone=location.time_zone,
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            buffer_starts_at=slot.buffer_starts_at,
            buffer_ends_at=slot.buffer_ends_at,
            occupies=True,
            hapio_booking_id=None,
            hapio_unsure=True,
            terms=widget.terms(service.price),
            deadline=min(now + widget.hold_time, slot.starts_at),
            extensions=0,
            was_expired=False,
            payment_id=None,
            end_reason=None,
            customer=wish.customer,
            visitor=wish.visitor,
            revision=0,
            created_at=now,
            updated_at=now,
            confirmed_at=None,
            next_try_at=None,
            tries=0,
        )
        if not await self._store.insert_hold(booking, capacity=resource.capacity):
            offered = await self._availability.find_slot(widget, service, slot.starts_at)
            if offered and resource.id in offered.resource_ids:  # another process of ours was faster
                self._availability.distrust(service, slot.starts_at)
            return None
        if wish.admission:
            self._hold_limits.entered(wish.admission, booking.id)
        self._availability.took(booking.interval)
        try:
            locked = await self._scheduler.create_booking(
                holdfast_id=booking.id,
                service_id=service.id,
                location_id=location.id,
                resource_id=resource.id,
                starts_at=slot.starts_at,
                ends_at=slot.ends_at,
                is_temporary=True,
            )
        except SchedulerRefused as error:
            log.info("lock refused", booking=booking.id, scheduler=error.body[:500])
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
            self._availability.distrust(service, slot.starts_at)
            if _names_service(error):
                await self._availability.contradicted()
            return None
        except SchedulerError as error:
            await self._end_refused(
                booking, EndReason.NO_ANSWER, unsure=isinstance(error, SchedulerUnreachable | SchedulerFailed)
            )
            if isinstance(error, SchedulerNotFound):
                await self._availability.contradicted()
                await self._availability.service(widget, service.id)
            raise
        price = await self._price(widget, service, locked.price)
        held = await self._store.record_lock(
            booking.id,
            hapio_booking_id=locked.id,
            terms=replace(booking.terms, price=price),
            shown=wish.shown if wish.shown != price else None,
        )
        if price != service.price:
            await self._availability.contradicted()
        if not widget.verify_lock:
            return held
        try:
            won = await self._won_race(booking, locked.id, resource)
        except SchedulerError:
            await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
            raise
        if not won:
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
        return held if won else None

    async def _price(self, widget: Widget, service: Service, scheduler_price: Decimal | None) -> Money:
        """The price Hapio put on the booking itself, should the owner have changed it since we read the service. If it
        was changed to what cannot be charged, the price on offer stands. Where Hapio put none on it, although it had
        one for the service, what it says of the service now decides."""
        try:
            price = widget.price(service.id, scheduler_price)
        except ValueError as error:
            log.error("price cannot be charged", service=service.id, reason=str(error))
            return service.price
        if not chargeable(price):
            log.error("price cannot be charged", service=service.id, reason="Stripe charges no such amount")
            return service.price
        if scheduler_price is None and price != service.price:
            await self._availability.contradicted()
            with suppress(NotFound):
                return (await self._availability.service(widget, service.id)).price
            return service.price
        return price

    async def _won_race(self, booking: Booking, hapio_booking_id: str, resource: Resource) -> bool:
        """Whether our booking is among the first `capacity` that overlap, by (created_at, id): with other programs
        writing to the same project, Hapio may have let several in."""
        others = await self._scheduler.overlapping_bookings(
            resource.id, starts_from=booking.buffer_starts_at, ends_to=booking.buffer_ends_at
        )
        first = sorted(others, key=lambda other: (other.created_at, other.id))[: resource.capacity]
        return any(other.id == hapio_booking_id for other in first)

    async def _end_refused(self, booking: Booking, reason: EndReason, *, unsure: bool) -> None:
        """A lock that did not come about. If Hapio may have made it after all, the worker looks for it."""
        ended = await self._store.claim(
            booking.id,
            UNPAID,
            Status.EXPIRED,
            what=reason,
            values={"end_reason": reason, "hapio_unsure": unsure},
        )
        if ended is None:
            return
        if unsure:
            await self._store.put_off(booking.id, until=self._now() + UNSURE_PATIENCE)
        else:
            await self._release_soon(ended)

    async def hold_again(
        self,
        booking_id: str,
        visitor_key: str,
        form: Mapping[str, str] | None = None,
        *,
        client: Client | None = None,
    ) -> Booking:
        """Lock the time of an ended hold afresh, for the customer just typed in, or the one it had.

        Raises as `hold`, InvalidDetails, BookingConflict if the booking is not an ended hold, and StripeError where
        its payment page cannot be closed.
        """
        widget = self._on_offer(await self.get(booking_id))
        old = await self.expire(await self.get(booking_id))
        if old.status is not Status.EXPIRED:
            raise BookingConflict(old.status)
        return await self.hold(
            widget,
            service_id=old.service_id,
            starts_at=old.starts_at,
            resource_id=None if old.any_resource else old.resource_id,
            # A booking's id stands in logs and calendars. With its token beside it, nobody else can name this key and
            # be handed the new booking as the answer to a doubled click.
            visitor=replace(old.visitor, key=f"{visitor_key} {self._links.booking_token(old.id, ends_at=old.ends_at)}"),
            customer=old.customer if form is None else read_details(form, widget),
            client=client,
            shown=old.terms.price,
        )

    async def extend(self, booking_id: str) -> Booking:
        """Start the hold's time anew. Raises HoldExpired, or BookingConflict when the extensions are used up."""
        booking = await self.get(booking_id)
        widget = self._on_offer(booking)
        self._acts.hold(booking_id)
        end = _last_end(booking, widget)
        if booking.deadline >= end:
            self._must_be_held(booking)
            raise BookingConflict("held as long as may be")
        deadline = min(self._now() + widget.hold_time, end)
        extended = await self._store.extend(booking_id, deadline=deadline, most=widget.max_extensions)
        if extended is None:
            self._must_be_held(await self.get(booking_id))
            raise BookingConflict("no extensions left")
        return extended

    async def give_up(self, booking_id: str) -> Booking:
        """The visitor does not want the time. If Stripe says that it is paid after all, it is settled instead."""
        await self._catch_up(booking_id)
        booking = await self.get(booking_id)
        if booking.status in UNPAID:
            self._acts.hold(booking_id)
            return await self._end_unpaid(booking, EndReason.GIVEN_UP)
        return booking

    async def add_details(self, booking_id: str, form: Mapping[str, str]) -> Booking:
        """Keep who is coming. Raises InvalidDetails with a sentence per field, or HoldExpired."""
        self._acts.hold(booking_id)
        booking = await self.get(booking_id)
        customer = read_details(form, self._on_offer(booking))
        kept = await self._store.set_customer(booking_id, customer)
        if kept is None:
            self._must_be_held(await self.get(booking_id))
            raise BookingConflict(booking.status)
        if kept.status is Status.AWAITING_PAYMENT and booking.customer != customer:
            # What was asked of Stripe carries the old address; the next click on Pay asks anew.
            await self._store.end_unanswered(booking_id)
            return await self._expire_sessions(kept)
        return kept

    def _on_offer(self, booking: Booking) -> Widget:
        """The widget that the booking was made in. Raises NotFound once it is no longer in the file: what is booked
        stands, but nothing new is booked."""
        widget = self._widgets.get(booking.widget)
        if widget is None:
            raise NotFound(booking.widget)
        return widget

    def _must_be_held(self, booking: Booking) -> None:
        over = booking.status in UNPAID and booking.deadline <= self._now()
        if over or booking.status is Status.EXPIRED:
            raise HoldExpired(booking.id)

    # -- pay ---------------------------------------------------------------------------------------------

    async def start_checkout(
        self,
        booking_id: str,
        *,
        return_url: str = "",
        cancel_url: str = "",
        by: EndReason = EndReason.BY_CUSTOMER,
        address: str = "",
    ) -> str | None:
        """The address of Stripe's page for this booking; None when nothing is left to pay.

        `return_url` and `cancel_url` are where Stripe sends the visitor afterwards; empty is our own page. A second
        call returns the same page while it is good, and leads back where the first one said. Raises HoldExpired,
        InvalidRequest without details, BookingConflict, or StripeError; where nothing is to be paid, TooManyFree and
        TooManyFreeToday, from which the owner (`by`) is exempt. `address` is where the request came from. After a
        StripeError the time is still held and paying can be tried again.
        """
        await self._catch_up(booking_id)
        async with self._turns(booking_id):
            booking = await self.get(booking_id)
            if booking.status not in UNPAID:
                self._must_be_held(booking)
                return None
            self._acts.pay(booking_id)
            self._must_be_held(booking)
            if booking.customer is None or booking.hapio_booking_id is None:
                raise InvalidRequest("details are missing")
            if booking.terms.free:
                await self._confirm_free(booking, by, address)
                return None
            attempts = await self._store.payments(booking_id)
            payment = attempts[-1] if attempts else None
            if payment and payment.state is PaymentState.OPEN:
                left = min(payment.expires_at, booking.deadline) - self._now()
                if payment.session_url and left > SESSION_MARGIN:
                    return payment.session_url
                if payment.session_url:
                    booking = await self._end_unpaid(booking, EndReason.DEADLINE)
                    self._must_be_held(booking)
                    return None
                if payment.created_at + REPLAY_TIME > self._now():
                    held_until = payment.created_at + self._widgets.of(booking).hold_time
                    return await self._create_session(booking, payment, held_until=held_until)
            payment = await self._open_payment(booking, return_url, cancel_url)
            return await self._create_session(booking, payment, held_until=booking.deadline)

    async def _confirm_free(self, booking: Booking, by: EndReason, address: str) -> None:
        """Nothing is due, so it is confirmed at once; but nobody books free times out, so a customer, and an address,
        may have so many. The owner may have any number."""
        assert booking.customer  # noqa: S101 - nothing is confirmed without details
        customer = person(booking.customer.email)
        async with self._turns(("free", booking.widget, customer)):
            if by is EndReason.BY_CUSTOMER:
                widget = self._widgets[booking.widget]
                standing = await self._store.free_to_come(widget.name)
                theirs = [one for one in standing if one.customer and person(one.customer.email) == customer]
                if len(theirs) >= widget.max_free_per_customer:
                    raise TooManyFree(widget.name)
                self._acts.free(widget, address)
            await self._skip_payment(booking)

    async def _skip_payment(self, booking: Booking) -> None:
        """Nothing is due: straight on to confirming."""
        won = await self._store.claim(booking.id, (Status.HELD,), Status.PAID, what="nothing_due", before_deadline=True)
        if won is None:
            self._must_be_held(await self.get(booking.id))
        else:
            await self._finalize_soon(won)

    async def _open_payment(self, booking: Booking, return_url: str, cancel_url: str) -> Payment:
        """Write the attempt, with all its parameters, before Stripe hears of it; the deadline moves with it."""
        attempts = await self._store.payments(booking.id)
        if len(attempts) >= MAX_ATTEMPTS:
            raise BookingConflict("too many attempts")
        widget = self._on_offer(booking)
        now = self._now().replace(microsecond=0)  # Stripe counts whole seconds
        deadline = self._pay_until(booking, widget, attempts)
        payment_id = self._new_id("pay")
        expires_at = now + max(widget.payment_time, SHORTEST_SESSION)
        token = self._links.return_token(booking.id, "booking", closes_at=expires_at)
        payment = Payment(
            id=payment_id,
            booking_id=booking.id,
            attempt=len(attempts) + 1,
            state=PaymentState.OPEN,
            price=booking.terms.price,
            capture=widget.capture,
            params=session_params(
                booking=booking,
                price=booking.terms.price,
                payment_id=payment_id,
                attempt=len(attempts) + 1,
                capture=widget.capture,
                expires_at=expires_at,
                success_url=return_url or f"{self._public_url}/b/{token}/return",
                cancel_url=cancel_url or f"{self._public_url}/b/{token}/back",
                locale=booking.visitor.language,
                product_name=booking.service_name,
                description=f"{booking.resource_name}, {booking.location_name}",
            ),
            session_id=None,
            session_url=None,
            payment_intent_id=None,
            expires_at=expires_at,
            captured=0,
            looks=0,
            created_at=now,
        )
        written: object
        if booking.status is Status.HELD:
            written = await self._store.claim(
                booking.id,
                (Status.HELD,),
                Status.AWAITING_PAYMENT,
                what="payment_started",
                values={"deadline": deadline},
                before_deadline=True,
                payment=payment,
            )
        else:
            written = await self._store.add_payment(payment, deadline=deadline)
        if not written:
            self._must_be_held(await self.get(booking.id))
            raise BookingConflict("changed meanwhile")
        return payment

    def _pay_until(self, booking: Booking, widget: Widget, attempts: Sequence[Payment]) -> datetime:
        """When paying has to be done: never after the visit has begun. The first page has its whole time; a later one
        of the same hold, after a changed address or a lost answer, does not make the hold any longer than the first
        did, or than LONGEST_HOLD."""
        until = min(self._now().replace(microsecond=0) + widget.payment_time, booking.starts_at)
        return min(until, max(booking.deadline, _last_end(booking, widget))) if attempts else until

    async def _create_session(self, booking: Booking, payment: Payment, *, held_until: datetime) -> str:
        """`held_until` is what the hold's deadline was before paying began: a refused payment wins it no time."""
        try:
            facts = await self._stripe.create_session(payment.params, idempotency_key=session_key(payment))
        except (StripeRefused, StripeMisconfigured) as error:
            refusal, mails = refuse_payment(self._notifications, booking, error)
            await self._store.end_attempt(payment, deadline=held_until, mails=mails)
            raise refusal from error
        look_at = self._now() + timedelta(minutes=1)
        if not facts.url or not await self._store.record_session(
            payment, session_id=facts.id, url=facts.url, look_at=look_at
        ):
            # The booking ended while Stripe was answering: nobody was given this page, so it may go.
            await self._stripe.expire_session(facts.id)
            raise HoldExpired(payment.booking_id)
        return facts.url


def _names_service(error: SchedulerRefused) -> bool:
    """Whether Hapio refuses the service itself, not only the time. How it says so is documented for wrong fields alone
    (`errors`); its rules answer with a sentence."""
    return "service_id" in error.errors or "service" in str(error).lower()


def _last_end(booking: Booking, widget: Widget) -> datetime:
    """When a hold ends at the latest, unless somebody is on its first payment page; with its visit's start anyhow."""
    return min(booking.created_at + max(LONGEST_HOLD, widget.hold_time), booking.starts_at)

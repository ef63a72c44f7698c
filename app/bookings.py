"""The business acts, one method each, in the order of a booking's life: hold, details, pay, settle, release, refund.

Every door and the worker call these. The order of effects is what keeps the promises (design section 6):
claim first, then take away; release only after Stripe says `expired`; confirm only after reading from Stripe;
write what is owed before doing it, so that a crash anywhere is picked up by the worker's next tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import structlog

from app.details import read_details
from app.domain import (
    Booking,
    Customer,
    EndReason,
    Money,
    Payment,
    PaymentState,
    Resource,
    Service,
    Slot,
    Status,
    Visitor,
)
from app.errors import (
    BookingConflict,
    HapioError,
    HapioServerError,
    HapioUnprocessable,
    HapioUnreachable,
    HoldExpired,
    InvalidRequest,
    SlotTaken,
)
from app.following import Following
from app.gate import Client
from app.payments import SHORTEST_SESSION, session_params
from app.settlement import SESSION_MARGIN, UNPAID
from app.widgets import Widget

log = structlog.get_logger()

#: No time that anybody means is further away; arithmetic on the calendar's last days overflows.
FAR_AWAY = timedelta(days=36500)
#: How long an attempt whose answer was lost is repeated under its key; then its Session would be too short
#: for Stripe, and a new attempt takes its place.
REPLAY_TIME = timedelta(seconds=45)
#: How often paying may be started for one hold, so that a failing Stripe cannot prolong it for ever.
MAX_ATTEMPTS = 5
#: A lost create may still land after our time-out; the lookup waits longer than Hapio takes to answer anything.
UNSURE_PATIENCE = timedelta(seconds=60)


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
    ) -> Booking:
        """Lock a time: our slot guard first, then a temporary booking in Hapio.

        `resource_id` None is "anyone": whoever is free and least booked that day, one after the other until one
        lock succeeds. The same visitor's second click returns the first click's hold. `client` is who is counted;
        None is somebody whom the owner trusts. Raises SlotTaken with the nearest free times, RateLimited in all its
        kinds, NotFound, InvalidRequest, or HapioError.
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
            spare = None
            if client:
                # One at a time, or a hundred clicks at once would all be counted before any of them holds.
                await turns.enter_async_context(self._turns(("hold", widget.name, client.address or client.name)))
                free = await self._free_that_day(widget, service, starts_at)
                spare = await self._gate.admit(widget, client, starts_at, free)
            slot = await self._availability.find_slot(widget, service, starts_at)
            if slot:
                for resource in await self._candidates(service, slot, resource_id):
                    booking = await self._lock(widget, service, slot, resource, resource_id is None, visitor, customer)
                    if booking is None:
                        continue
                    if client:
                        self._gate.entered(widget, booking.id, client)
                    if spare:
                        await self.give_up(spare)
                    return booking
        self._metrics.hold_refused(SlotTaken.code)
        nearest = await self._availability.nearest(widget, service, starts_at, resource_id=resource_id)
        raise SlotTaken(starts_at, [near.starts_at for near in nearest])

    async def _resume(self, widget: Widget, service: Service, booking: Booking) -> Booking | None:
        """A hold whose process died while Hapio was being asked: what Hapio made of it is the hold. If it made nothing,
        the row is ended, and None says that the time is there to be held afresh."""
        for made in await self._hapio.find_bookings(booking.id):
            if not made.is_canceled:
                price = self._price(widget, service, made.price)
                return await self._store.record_lock(
                    booking.id, hapio_booking_id=made.id, terms=replace(booking.terms, price=price)
                )
        await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
        return None

    async def _free_that_day(self, widget: Widget, service: Service, starts_at: datetime) -> list[datetime]:
        """The free starts of the place's day that a time lies in."""
        slot = await self._availability.find_slot(widget, service, starts_at)
        if slot is None:
            return []
        zone = ZoneInfo((await self._availability.catalogue(widget)).location.time_zone)
        day = starts_at.astimezone(zone).date()
        times = await self._availability.times(widget, service, month=starts_at.astimezone(UTC).date())
        return [free.starts_at for free in times.slots if free.starts_at.astimezone(zone).date() == day]

    async def _lock(
        self,
        widget: Widget,
        service: Service,
        slot: Slot,
        resource: Resource,
        any_resource: bool,
        visitor: Visitor,
        customer: Customer | None,
    ) -> Booking | None:
        """Try one resource. None means that it is taken."""
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
            any_resource=any_resource,
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
            deadline=now + widget.hold_time,
            extensions=0,
            was_expired=False,
            payment_id=None,
            end_reason=None,
            customer=customer,
            visitor=visitor,
            revision=0,
            created_at=now,
            updated_at=now,
            confirmed_at=None,
            next_try_at=None,
            tries=0,
        )
        if not await self._store.insert_hold(booking, capacity=resource.capacity):
            shown = await self._availability.find_slot(widget, service, slot.starts_at)
            if shown and resource.id in shown.resource_ids:  # another process of ours was faster
                self._availability.distrust(service, slot.starts_at)
            return None
        self._availability.took(booking.interval)
        try:
            locked = await self._hapio.create_booking(
                holdfast_id=booking.id,
                service_id=service.id,
                location_id=location.id,
                resource_id=resource.id,
                starts_at=slot.starts_at,
                ends_at=slot.ends_at,
                is_temporary=True,
            )
        except HapioUnprocessable as error:
            log.info("lock refused", booking=booking.id, hapio=error.body[:500])
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
            self._availability.distrust(service, slot.starts_at)
            return None
        except HapioError as error:
            await self._end_refused(
                booking, EndReason.NO_ANSWER, unsure=isinstance(error, HapioUnreachable | HapioServerError)
            )
            raise
        price = self._price(widget, service, locked.price)
        held = await self._store.record_lock(
            booking.id, hapio_booking_id=locked.id, terms=replace(booking.terms, price=price)
        )
        if not widget.verify_lock:
            return held
        try:
            won = await self._won_race(booking, locked.id, resource)
        except HapioError:
            await self._end_refused(booking, EndReason.NO_ANSWER, unsure=False)
            raise
        if not won:
            await self._end_refused(booking, EndReason.REFUSED, unsure=False)
        return held if won else None

    def _price(self, widget: Widget, service: Service, hapio_price: Decimal | None) -> Money:
        """The price Hapio put on the booking itself, should the owner have changed it since we read the service.
        If it was changed to what cannot be charged, the price that the visitor was shown stands."""
        if hapio_price is None:
            return service.price
        try:
            return widget.price(service.id, hapio_price)
        except ValueError as error:
            log.error("price cannot be charged", service=service.id, reason=str(error))
            return service.price

    async def _won_race(self, booking: Booking, hapio_booking_id: str, resource: Resource) -> bool:
        """Whether our booking is among the first `capacity` that overlap, by (created_at, id): with other programs
        writing to the same project, Hapio may have let several in."""
        others = await self._hapio.overlapping_bookings(
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
        old = await self.expire(await self.get(booking_id))
        if old.status is not Status.EXPIRED:
            raise BookingConflict(old.status)
        widget = self._widgets[old.widget]
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
        )

    async def extend(self, booking_id: str) -> Booking:
        """Start the hold's time anew. Raises HoldExpired, or BookingConflict when the extensions are used up."""
        booking = await self.get(booking_id)
        widget = self._widgets[booking.widget]
        extended = await self._store.extend(
            booking_id, deadline=self._now() + widget.hold_time, most=widget.max_extensions
        )
        if extended is None:
            self._must_be_held(await self.get(booking_id))
            raise BookingConflict("no extensions left")
        return extended

    async def give_up(self, booking_id: str) -> Booking:
        """The visitor does not want the time. If Stripe says that it is paid after all, it is settled instead."""
        booking = await self.get(booking_id)
        if booking.status in UNPAID:
            return await self._end_unpaid(booking, EndReason.GIVEN_UP)
        return booking

    async def add_details(self, booking_id: str, form: Mapping[str, str]) -> Booking:
        """Keep who is coming. Raises InvalidDetails with a sentence per field, or HoldExpired."""
        booking = await self.get(booking_id)
        customer = read_details(form, self._widgets[booking.widget])
        kept = await self._store.set_customer(booking_id, customer)
        if kept is None:
            self._must_be_held(await self.get(booking_id))
            raise BookingConflict(booking.status)
        if kept.status is Status.AWAITING_PAYMENT and booking.customer != customer:
            # The open Session carries the old address; the next click on Pay makes a new one.
            return await self._expire_sessions(kept)
        return kept

    def _must_be_held(self, booking: Booking) -> None:
        over = booking.status in UNPAID and booking.deadline <= self._now()
        if over or booking.status is Status.EXPIRED:
            raise HoldExpired(booking.id)

    # -- pay ---------------------------------------------------------------------------------------------

    async def start_checkout(self, booking_id: str, *, return_url: str = "", cancel_url: str = "") -> str | None:
        """The address of Stripe's page for this booking; None when nothing is left to pay.

        `return_url` and `cancel_url` are where Stripe sends the visitor afterwards; empty is our own page. A second
        call returns the same page while it is good, and leads back where the first one said. Raises HoldExpired,
        InvalidRequest without details, BookingConflict, or StripeError; after a StripeError the time is still held and
        paying can be tried again.
        """
        async with self._turns(booking_id):
            booking = await self.get(booking_id)
            if booking.status not in UNPAID:
                self._must_be_held(booking)
                return None
            self._must_be_held(booking)
            if booking.customer is None or booking.hapio_booking_id is None:
                raise InvalidRequest("details are missing")
            if booking.terms.free:
                await self._skip_payment(booking)
                return None
            attempts = await self._store.payments(booking_id)
            payment = attempts[-1] if attempts else None
            if payment and payment.state is PaymentState.OPEN:
                left = payment.expires_at - self._now()
                if payment.session_url and left > SESSION_MARGIN:
                    return payment.session_url
                if payment.session_url:
                    booking = await self._end_unpaid(booking, EndReason.DEADLINE)
                    self._must_be_held(booking)
                    return None
                if left > SHORTEST_SESSION - REPLAY_TIME:
                    return await self._create_session(payment)
            return await self._create_session(await self._open_payment(booking, return_url, cancel_url))

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
        widget = self._widgets[booking.widget]
        now = self._now().replace(microsecond=0)  # Stripe counts whole seconds
        deadline = now + widget.payment_time
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

    async def _create_session(self, payment: Payment) -> str:
        facts = await self._stripe.create_session(
            payment.params, idempotency_key=f"cs:{payment.booking_id}:{payment.attempt}"
        )
        look_at = self._now() + timedelta(minutes=1)
        if not facts.url or not await self._store.record_session(
            payment, session_id=facts.id, url=facts.url, look_at=look_at
        ):
            # The booking ended while Stripe was answering: nobody was given this page, so it may go.
            await self._stripe.expire_session(facts.id)
            raise HoldExpired(payment.booking_id)
        return facts.url

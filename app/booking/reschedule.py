"""Moving a booking to another time: who may, where to, what it costs, and doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from app.booking.around_own import times_around
from app.booking.candidates import Candidates, why_not
from app.booking.confirm import AGAIN_SOON
from app.booking.moves import MoveQuote, Moves
from app.booking.policy import Policy, Refusal
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, EndReason
from app.domain.catalogue import Resource, Service, Slot
from app.domain.charge_minimum import chargeable
from app.domain.local_days import next_month
from app.domain.move import Move, MoveState
from app.domain.refund import Funds
from app.errors import (
    BookingConflict,
    InvalidRequest,
    PolicyRefused,
    RateLimited,
    SchedulerError,
    SlotTaken,
)
from app.protection.act_limits import moves_left_unpaid
from app.widgets import Widget

log = structlog.get_logger()

_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """The result of a move: `checkout_url` is Stripe's page if the difference must be paid first. `difference` is the
    one that was quoted."""

    booking: Booking
    move: Move
    checkout_url: str | None
    difference: int


class Reschedule:
    """Moves bookings: checks and prices a move here; `Moves` then carries it out."""

    def __init__(self, tools: Tools, policy: Policy, moves: Moves, candidates: Candidates) -> None:
        self._tools = tools
        self._store = tools.store
        self._availability = tools.availability
        self._widgets = tools.widgets
        self._refunds = tools.refunds
        self._act_limits = tools.act_limits
        self._now = tools.now
        self._locks = tools.locks
        self._policy = policy
        self._moves = moves
        self._candidates = candidates

    async def services(self, booking: Booking, by: Actor) -> list[Service]:
        """The services that they may move it to, the booking's own first: others only in the same currency, and for
        customers only where the widget lets them."""
        widget = self._widgets.of(booking)
        catalogue = await self._availability.catalogue(widget)
        services, found = catalogue.services, catalogue.find(booking.service_id)
        own = [found] if found else []
        if not _may_change_service(widget, by):
            return own
        currency = booking.terms.price.currency
        return own + [service for service in services if service not in own and service.price.currency == currency]

    def people(self, booking: Booking, service: Service, by: Actor) -> tuple[Resource, ...]:
        """The people to whom it may be moved. Customers may choose another person only if the widget allows it, or if
        the booked person does not offer the service."""
        own = service.resource(booking.resource_id)
        if own and by is Actor.CUSTOMER and not self._widgets.of(booking).reschedule.other_resource:
            return (own,)
        return service.resources

    async def around_own(self, booking: Booking, service: Service) -> tuple[Slot, ...]:
        """The service's times that only the booking itself keeps from being offered, with its own person. None where a
        move is another booking at the scheduler, which would meet the first one."""
        widget = self._widgets.of(booking)
        if not self._tools.schedulers.lock_binds(widget.scheduler):
            return ()
        zone = ZoneInfo(booking.time_zone)
        month = booking.starts_at.astimezone(zone).date().replace(day=1)
        try:
            slots = (await self._availability.times(widget, service, month=month)).slots
            if not any(abs(slot.starts_at - booking.starts_at) > _A_DAY for slot in slots):
                slots += (await self._availability.times(widget, service, month=next_month(month))).slots
        except (SchedulerError, RateLimited):
            return ()
        taken = self._availability.occupied(widget)
        return times_around(booking.reservation, service, slots, taken, zone, self._now())

    async def quote(
        self,
        booking_id: str,
        *,
        starts_at: datetime,
        service_id: str = "",
        resource_id: str | None = None,
        by: Actor = Actor.CUSTOMER,
    ) -> MoveQuote:
        """What moving to that time would mean. `service_id` empty is the same service; `resource_id` None the same
        person, else anyone, where the widget lets customers change that.

        Raises PolicyRefused, SlotTaken with the nearest times, NotFound, SchedulerError.
        """
        booking = await self._tools.booking(booking_id)
        self._must_be_movable(booking, await self._store.open_move(booking_id), by)
        await self._must_have_moves_left(booking, by)
        quotes = await self._quotes(booking, starts_at, service_id, resource_id, by)
        return quotes[0]

    async def booking(
        self,
        booking_id: str,
        *,
        starts_at: datetime,
        by: Actor,
        service_id: str = "",
        resource_id: str | None = None,
        revision: int | None = None,
    ) -> Rescheduled:
        """Move the booking to another time: at once, or, where it costs more, when the difference is paid.

        `revision` is what the page showed. Raises what `quote` raises, BookingConflict where the booking has changed
        since it was shown, and StripeError; then nothing changed. Where the scheduler gives no answer the move stays
        `MOVING`, both times stay ours, and the worker goes on.
        """
        await self._act_limits.change(booking_id, by)
        async with self._locks(booking_id):
            booking = await self._tools.booking(booking_id)
            self._must_be_movable(booking, await self._store.open_move(booking_id), by)
            await self._must_have_moves_left(booking, by)
            if revision not in {None, booking.revision}:
                raise BookingConflict("not what was shown")
            for quote in await self._quotes(booking, starts_at, service_id, resource_id, by):
                try:
                    move = await self._moves.begin(booking, quote, by=by)
                except SlotTaken:
                    continue
                move, url = await self._go_on(move, booking)
                if move.state is MoveState.REFUSED and move.end_reason is EndReason.REFUSED:
                    self._availability.distrust(quote.service, starts_at)
                    continue
                if move.state in {MoveState.REFUSED, MoveState.EXPIRED}:
                    raise BookingConflict("the move ended meanwhile")
                return Rescheduled(await self._tools.booking(booking_id), move, url, quote.difference)
        raise await self._taken(booking, service_id, starts_at, resource_id)

    async def _go_on(self, move: Move, booking: Booking) -> tuple[Move, str | None]:
        if move.state is MoveState.HELD:
            return move, await self._moves.checkout(move, booking)
        try:
            return await self._moves.carry(move), None
        except SchedulerError as error:
            log.warning("move put off", move=move.id, error=type(error).__name__)
            await self._store.put_off_move(move.id, until=self._now() + AGAIN_SOON)
            return move, None

    async def difference_page(self, booking_id: str) -> str | None:
        """Stripe's page for the difference of the move that the booking is on, while it is open."""
        move = await self._store.open_move(booking_id)
        return await self._moves.open_page(move) if move else None

    async def give_up(self, booking_id: str) -> Booking:
        """Leave the booking as it was. If Stripe says that the difference has been paid after all, it is moved
        instead."""
        async with self._locks(booking_id):
            move = await self._store.open_move(booking_id)
            if move and move.state is MoveState.HELD:
                await self._act_limits.change(booking_id)
                await self._moves.expire(move, EndReason.GIVEN_UP)
            return await self._tools.booking(booking_id)

    async def follow_move(self, move: Move) -> None:
        """Go on with a move that is due. Raises SchedulerError, StripeError."""
        async with self._locks(move.booking_id):
            current = await self._store.move(move.id)
            if current:
                await self._moves.follow(current)

    def _must_be_movable(self, booking: Booking, move: Move | None, by: Actor) -> None:
        refusal = self._policy.at(booking, move, self._now(), Funds((), ())).not_moved(by)
        if refusal:
            raise PolicyRefused(refusal)

    async def _must_have_moves_left(self, booking: Booking, by: Actor) -> None:
        """A customer may begin moves and leave them unpaid as often as they may move. A move that was left unpaid does
        not count as a move."""
        if by is Actor.CUSTOMER:
            left = moves_left_unpaid(await self._store.history(booking.id))
            if left >= booking.terms.most_moves:
                raise PolicyRefused(Refusal.TOO_OFTEN)

    async def _quotes(
        self, booking: Booking, starts_at: datetime, service_id: str, resource_id: str | None, by: Actor
    ) -> list[MoveQuote]:
        """A quote for each person or room that could take the booking then, in the order in which to try them."""
        widget = self._widgets.of(booking)
        service = await self._availability.service(widget, service_id or booking.service_id)
        owner, same = by is Actor.OWNER, service.id == booking.service_id
        if not same and not (service.on_offer and _may_change_service(widget, by)):
            raise InvalidRequest("another service is not offered")
        # The same service keeps the price it was booked at, whatever it costs today.
        price = booking.terms.price if same else service.price
        if price.currency != booking.terms.price.currency:
            raise InvalidRequest("another currency")
        people = self.people(booking, service, by)
        if people != service.resources:
            resource_id = people[0].id
        slot = await self._availability.find_slot(widget, service, starts_at)
        if abs(starts_at - booking.starts_at) < _A_DAY and (
            slot is None or booking.resource_id not in slot.resource_ids
        ):
            known = () if slot is None else (slot,)
            around = with_own(known, await self.around_own(booking, service))
            slot = next((one for one in around if one.starts_at == starts_at), None)
        asked = await self._candidates.of(service, slot, resource_id) if slot else []
        if slot is None or not asked:
            raise await self._taken(booking, service_id, starts_at, resource_id)
        asked.sort(key=lambda resource: resource.id != booking.resource_id)
        quote = await self._priced(booking, MoveQuote(service, slot, asked[0], price), owner=owner)
        return [replace(quote, resource=resource) for resource in asked]

    async def _priced(self, booking: Booking, quote: MoveQuote, *, owner: bool) -> MoveQuote:
        """The quote with what the move costs or gives back: the only place where that is calculated.

        When the owner moves a booking, the whole difference is refunded and nothing is capped: a customer cannot use
        such a move to get around the terms.
        """
        terms, now, funds = booking.terms, self._now(), await self._refunds.funds(booking.id)
        price, unpaid = quote.price, funds.to_pay_at_visit(booking)
        dearer = price.amount - terms.price.amount
        cap = 100 if owner else terms.cap_of_move(at=now, starts_at=booking.starts_at)
        if dearer > 0:
            if chargeable(replace(price, amount=dearer)):
                return replace(quote, difference=dearer, unpaid=unpaid, cap=cap)
            # Less than Stripe charges: the owner goes without it.
            return replace(quote, price=terms.price, unpaid=unpaid, cap=cap)
        due = -dearer if owner else terms.move_refund(price, at=now, starts_at=booking.starts_at).amount
        back = funds.back_for_lower_price(booking, due)
        return replace(quote, difference=-back, due=due, unpaid=max(0, unpaid + dearer), cap=cap)

    async def _taken(
        self, booking: Booking, service_id: str, starts_at: datetime, resource_id: str | None
    ) -> SlotTaken:
        widget = self._widgets.of(booking)
        service = await self._availability.service(widget, service_id or booking.service_id)
        nearest = await self._availability.nearest(widget, service, starts_at, resource_id=resource_id)
        kind = why_not(service, starts_at, self._now())
        return kind(starts_at, [near.starts_at for near in nearest if near.starts_at != booking.starts_at])


def with_own(slots: Sequence[Slot], around: Sequence[Slot]) -> tuple[Slot, ...]:
    """The offered times together with those that only the booking itself occupies, in order."""
    found = {slot.starts_at: slot for slot in slots}
    for own in around:
        known = found.get(own.starts_at, replace(own, resource_ids=()))
        more = tuple(one for one in own.resource_ids if one not in known.resource_ids)
        found[own.starts_at] = replace(known, resource_ids=known.resource_ids + more)
    return tuple(found[start] for start in sorted(found))


def _may_change_service(widget: Widget, by: Actor) -> bool:
    return by is Actor.OWNER or widget.reschedule.other_service

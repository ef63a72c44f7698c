"""What a confirmed booking may still become: canceled, taken back, moved; and what its owner does beside the terms.

Every act reads the clock once, decides by the terms that the booking was bought under, and writes what it owes before
anything is done outside. A page shows an offer first; its button does what the page showed, or changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

import structlog

from app.booking.customer_form import EMAIL_WRONG, read_address
from app.booking.moves import MoveQuote
from app.booking.settlement import AGAIN_SOON, RESCUE_LEASE, BookingView, Settlement
from app.domain.booking import Booking, EndReason, Status
from app.domain.catalogue import Resource, Service, Slot
from app.domain.charge_minimum import chargeable
from app.domain.history import HistoryEntry
from app.domain.money import Money, currency_quantum
from app.domain.move import Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.payment import PaymentState
from app.domain.refund import Funds, Refund, given_back
from app.errors import (
    BookingConflict,
    InvalidDetails,
    InvalidRequest,
    LinkExpired,
    LinkRefused,
    NotBegun,
    NotFound,
    PolicyRefused,
    SchedulerError,
    SchedulerUnreachable,
    SlotTaken,
)
from app.mail import MailKind
from app.msgid import N_
from app.protection.act_limits import MOST_UNDOS, moves_left_unpaid, undos
from app.protection.signed_links import MANAGE_LIFE_AFTER_END

log = structlog.get_logger()

#: However often somebody asks, one booking's links are renewed this often: each renewal retires the link before it.
LINK_PAUSE = timedelta(minutes=5)
_NO_SUCH_AMOUNT = N_("This currency has no such amount. Please use a larger step.")
#: More bookings of one address than these are not renewed at once.
MOST_LINKS = 20


class Refusal(StrEnum):
    """Why an act is not open."""

    #: The visit has begun.
    BEGUN = "begun"
    #: Not confirmed, or no more.
    NOT_CONFIRMED = "not_confirmed"
    #: A move is being made.
    UNDER_WAY = "under_way"
    #: Later than the terms allow.
    TOO_LATE = "too_late"
    #: As often as the terms allow.
    TOO_OFTEN = "too_often"
    #: The widget is no longer in the file: what is booked stands, and can be canceled, but not exchanged.
    NOT_OFFERED = "not_offered"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the customer may do at one reading of the clock, `at`, and what would follow.

    `percent` of the price, which is `refund`, comes back on cancellation, and goes out at `refund_at`; `uncharged` says
    that it is only set aside at the bank, and is let go. A bar of None means that the act is open.
    """

    at: datetime
    cancel_bar: Refusal | None
    percent: int
    refund: Money
    uncharged: bool
    refund_at: datetime
    move_bar: Refusal | None
    move_until: datetime
    moves_left: int
    undo_until: datetime | None


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """What became of a wish to move: `checkout_url` is Stripe's page where the difference must be paid first.
    `difference` is the one that was quoted."""

    booking: Booking
    move: Move
    checkout_url: str | None
    difference: int


def _within(offer: Offer, most_moves: int, history: Sequence[HistoryEntry]) -> Offer:
    """The offer, given how often the booking was changed before."""
    if undos(history) >= MOST_UNDOS:
        offer = replace(offer, refund_at=offer.at)
    if offer.move_bar is None and moves_left_unpaid(history) >= most_moves:
        offer = replace(offer, moves_left=0, move_bar=Refusal.TOO_OFTEN)
    return offer


class Changes(Settlement):
    """What customers and owners do with a confirmed booking."""

    # -- looking -----------------------------------------------------------------------------------------

    async def managed(self, token: str) -> Booking:
        """The booking that a manage link leads to. Raises LinkRefused for a link that is not ours, or retired,
        LinkExpired a month after the visit, NotFound."""
        booking_id, version = self._links.read_manage_token(token)
        booking = await self.get(booking_id)
        if version < booking.link_version:
            raise LinkRefused("retired")
        if version > booking.link_version:
            # The first use of a link that was asked for by address: the older ones end with it.
            await self._store.use_link(booking_id, version)
        if booking.ends_at + MANAGE_LIFE_AFTER_END <= self._now():
            raise LinkExpired("long over")
        return booking

    def offer(self, view: BookingView) -> Offer:
        """What the customer may do now."""
        offer = self._offer(view.booking, view.move, self._now(), view.funds)
        return _within(offer, view.booking.terms.most_moves, view.history)

    def _offer(self, booking: Booking, move: Move | None, at: datetime, funds: Funds) -> Offer:
        """What is left of the money bounds the refund, and what was given back outside the terms is not given twice.
        What was paid for a move that is not done comes back with it."""
        terms = booking.terms
        held, for_move = funds.held(booking), funds.paid_for(move)
        due = terms.price if held else terms.refund(at=at, starts_at=booking.starts_at)
        given = given_back(booking, funds.payments, funds.refunds)
        back = due.amount if held else min(max(0, due.amount - given), funds.left - for_move) + for_move
        bar = None
        if booking.status not in {Status.CONFIRMED, Status.PAID}:
            bar = Refusal.NOT_CONFIRMED
        elif booking.starts_at <= at:
            bar = Refusal.BEGUN
        move_until = booking.starts_at - timedelta(hours=terms.move_hours)
        moves_left = max(0, terms.most_moves - booking.moves)
        removed = booking.widget not in self._widgets
        move_bar = bar or (Refusal.UNDER_WAY if move else Refusal.NOT_OFFERED if removed else None)
        if move_bar is None and not moves_left:
            move_bar = Refusal.TOO_OFTEN
        if move_bar is None and at > move_until:
            move_bar = Refusal.TOO_LATE
        undo = booking.undo_until if booking.status is Status.CANCELED and not removed else None
        moving = move is not None and move.state is MoveState.MOVING
        return Offer(
            at=at,
            cancel_bar=bar,
            percent=terms.refund_percent(at=at, starts_at=booking.starts_at),
            refund=replace(due, amount=max(0, back)),
            uncharged=held,
            refund_at=at if booking.status is not Status.CONFIRMED or moving else self._undo_until(booking, at),
            move_bar=move_bar,
            move_until=move_until,
            moves_left=moves_left,
            undo_until=undo if undo and undo > at else None,
        )

    def _undo_until(self, booking: Booking, at: datetime) -> datetime:
        frozen = booking.terms.undo_minutes
        minutes = self._widgets.of(booking).undo_minutes if frozen is None else frozen
        return max(at, min(at + timedelta(minutes=minutes), booking.starts_at))

    async def find(
        self,
        *,
        statuses: Collection[Status] = (),
        starts_from: datetime | None = None,
        starts_to: datetime | None = None,
        email: str = "",
        widget: str = "",
        resource_id: str = "",
        skip: int = 0,
        most: int = 100,
    ) -> list[Booking]:
        """Bookings that somebody has put a name to, in order of their start: `most` of them after the first `skip`."""
        return await self._store.find(
            statuses=statuses,
            starts_from=starts_from,
            starts_to=starts_to,
            email=email,
            widget=widget,
            resource_id=resource_id,
            skip=skip,
            most=most,
        )

    # -- cancel and take back ------------------------------------------------------------------------------

    async def cancel(
        self,
        booking_id: str,
        *,
        by: EndReason,
        revision: int | None = None,
        shown_at: datetime | None = None,
        note: str = "",
        refund: bool = True,
    ) -> Booking:
        """Call a booking off that is confirmed, or paid and waits for the calendar: by BY_CUSTOMER under its terms, by
        BY_OWNER with all its money back.

        `revision` and `shown_at` are what the page showed: the refund is the one of that moment. The refund waits
        for as long as the customer may take the cancellation back. A second call returns what the first one did.
        `note` is kept in the history; without `refund` whoever calls it off does without the money.
        Everything is checked before anything is ended: an act that is refused changes nothing. Raises PolicyRefused,
        BookingConflict where the booking has changed since it was shown, StripeError, and SchedulerError where the
        difference of a move is being settled.
        """
        async with self._turns(booking_id):
            now = self._now()
            booking, move, back = await self._checked(booking_id, by, revision, shown_at or now, now)
            if booking.status is Status.CANCELED:
                return booking
            self._acts.change(booking_id, by)
            if move and move.state is MoveState.HELD:
                # Stripe may say that the difference is paid: then the booking is another one, and is checked anew.
                await self._moves.expire(move, by)
                booking, move, back = await self._checked(booking_id, by, revision, shown_at or now, now)
            if not refund:
                back = replace(back, amount=0)
            if booking.status is Status.PAID:
                return await self._call_off_paid(booking, by, back, note)
            return await self._call_off(booking, move, by, back, now, note)

    async def _checked(
        self, booking_id: str, by: EndReason, revision: int | None, shown_at: datetime, now: datetime
    ) -> tuple[Booking, Move | None, Money]:
        """The booking, its move, and what calling it off gives back. Raises PolicyRefused or BookingConflict."""
        booking, move = await self.get(booking_id), await self._store.open_move(booking_id)
        if booking.status is Status.CANCELED:
            return booking, None, replace(booking.terms.price, amount=0)
        if revision not in {None, booking.revision}:
            raise BookingConflict("not what was shown")
        return booking, move, await self._comes_back(booking, move, by, shown_at, now)

    async def quote_cancel(self, booking_id: str, *, by: EndReason) -> Money:
        """What calling the booking off would give back now; changes nothing. Raises PolicyRefused."""
        booking, now = await self.get(booking_id), self._now()
        return await self._comes_back(booking, await self._store.open_move(booking_id), by, now, now)

    def owner_refund(self, view: BookingView) -> Money:
        """What the owner's cancellation gives back: everything that is left of what the booking costs, and of what was
        paid for a move that is not done."""
        return _everything(view.booking, view.move, view.funds)

    async def _comes_back(
        self, booking: Booking, move: Move | None, by: EndReason, shown_at: datetime, now: datetime
    ) -> Money:
        """What a cancellation gives back: the customer what was shown, from the owner everything that is left."""
        owner = by is EndReason.BY_OWNER
        funds = await self._refunds.funds(booking.id)
        offer = self._offer(booking, move, now if owner else shown_at, funds)
        bar = offer.cancel_bar
        if bar is None and not owner and booking.starts_at <= now:
            bar = Refusal.BEGUN
        if bar and not (owner and bar is Refusal.BEGUN):
            raise PolicyRefused(bar)
        return _everything(booking, move, funds) if owner else offer.refund

    async def _call_off_paid(self, booking: Booking, by: EndReason, back: Money, note: str) -> Booking:
        """Off before the calendar has confirmed it. Nobody takes that back, so the money goes out at once; money that
        is only held is let go, all of it."""
        if booking.canceled_at:  # it was being taken back
            return await self._off_again(booking, by)
        after = replace(booking, revision=booking.revision + 1)
        payment = await self._store.payment(booking.payment_id) if booking.payment_id else None
        held = payment is not None and payment.state is PaymentState.AUTHORIZED
        told: dict[str, str | int | bool] = {"by": by, "back": back.amount, "undo_until": "", "held": held}
        canceled = await self._store.claim(
            booking.id,
            (Status.PAID,),
            Status.CANCELED,
            what=by,
            values={"end_reason": by, "revision": after.revision},
            unchanged_since=booking.revision,
            refund=self._refunds.owed(booking, payment, payment.price, by) if payment and held else None,
            owes=self._refunds.debt(booking, back, by, cause=str(after.revision)) if back and not held else None,
            mails=self._notifications.owed(after, MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER, detail=told),
            detail={"back": back.amount, **({"note": note} if note else {})},
        )
        if canceled is None:
            raise BookingConflict("changed meanwhile")
        if canceled.hapio_unsure:  # it may be being made afresh: look for it when that call must have landed
            await self._store.put_off(booking.id, until=self._now() + RESCUE_LEASE)
        else:
            await self._release_soon(canceled)
        await self._refunds.pay_due(booking.id)
        return await self.get(booking.id)

    async def _off_again(self, booking: Booking, by: EndReason) -> Booking:
        """A cancellation that is being taken back stands again; an owner gives back what its terms kept, too."""
        canceled = await self._leave_canceled(booking, sure=False)
        if by is EndReason.BY_OWNER and canceled.status is Status.CANCELED:
            await self._give_back(booking.id, None)
        return await self.get(booking.id)

    async def _call_off(
        self, booking: Booking, move: Move | None, by: EndReason, back: Money, now: datetime, note: str
    ) -> Booking:
        # A call that moves it and has not landed yet would follow the undoing, too.
        final = by is not EndReason.BY_CUSTOMER or move or undos(await self._store.history(booking.id)) >= MOST_UNDOS
        undo_until = now if final else self._undo_until(booking, now)
        after = replace(booking, revision=booking.revision + 1)
        told: dict[str, str | int | bool] = {"by": by, "back": back.amount}
        told["undo_until"] = undo_until.isoformat() if undo_until > now else ""
        canceled = await self._store.claim(
            booking.id,
            (Status.CONFIRMED,),
            Status.CANCELED,
            what=by,
            values={
                "end_reason": by,
                "canceled_at": now,
                "undo_until": undo_until,
                "revision": after.revision,
            },
            unchanged_since=booking.revision,
            ends_move=move,
            owes=self._refunds.debt(booking, back, by, cause=str(after.revision), due_at=undo_until) if back else None,
            mails=self._notifications.owed(after, MailKind.CANCELED_CUSTOMER, MailKind.CANCELED_OWNER, detail=told),
            detail={"back": back.amount, **({"note": note} if note else {})},
        )
        if canceled is None:
            raise BookingConflict("changed meanwhile")
        if move:
            await self._moves.let_go(move.id)
        await self._release_soon(canceled)
        await self._refunds.pay_due(booking.id)
        return await self.get(booking.id)

    async def undo(self, booking_id: str) -> Booking:
        """Take a cancellation back: the same time again, and the refund is withdrawn. A second call returns the
        standing booking.

        Raises BookingConflict where it is too late, the time is gone, or the refund is on its way: then the booking
        stays canceled, and its refund goes out. Raises SchedulerError while Hapio has not heard of the cancellation;
        where it does not answer later than that, the worker goes on.
        """
        async with self._turns(booking_id):
            booking = await self.get(booking_id)
            if booking.status is Status.CONFIRMED:
                return booking
            self._acts.change(booking_id)
            if booking.status is not Status.CANCELED or not booking.undo_until:
                raise BookingConflict(booking.status)
            if booking.widget not in self._widgets:
                raise BookingConflict("its widget is no longer in the file")
            if booking.hapio_booking_id and not booking.hapio_canceled and booking.undo_until > self._now():
                await self.release(booking)
                booking = await self.get(booking_id)
                if booking.hapio_booking_id and not booking.hapio_canceled:
                    # A cancel that still is on its way would undo the undoing.
                    raise SchedulerUnreachable("not canceled there yet")
            back = await self._store.take_back(booking, capacity=await self._capacity(booking))
            if back is None:
                raise BookingConflict("too late to take back")
            self._availability.took(back.interval)
            back = await self._finalize_soon(back)
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

    # -- move ----------------------------------------------------------------------------------------------

    async def move_options(self, booking: Booking) -> list[Service]:
        """The services that the customer may move to, the booking's own first."""
        widget = self._widgets.of(booking)
        services = (await self._availability.catalogue(widget)).services
        own = [service for service in services if service.id == booking.service_id]
        if not widget.reschedule.other_service:
            return own
        currency = booking.terms.price.currency
        return own + [service for service in services if service not in own and service.price.currency == currency]

    async def quote_move(
        self,
        booking_id: str,
        *,
        starts_at: datetime,
        service_id: str = "",
        resource_id: str | None = None,
        by: EndReason = EndReason.BY_CUSTOMER,
    ) -> MoveQuote:
        """What moving to that time would mean. `service_id` empty is the same service; `resource_id` None the same
        person, else anyone, where the widget lets customers change that.

        Raises PolicyRefused, SlotTaken with the nearest times, NotFound, SchedulerError.
        """
        booking = await self.get(booking_id)
        self._must_be_movable(booking, await self._store.open_move(booking_id), by)
        await self._must_have_moves_left(booking, by)
        quotes = await self._quotes(booking, starts_at, service_id, resource_id, by)
        return quotes[0]

    async def reschedule(
        self,
        booking_id: str,
        *,
        starts_at: datetime,
        by: EndReason,
        service_id: str = "",
        resource_id: str | None = None,
        revision: int | None = None,
    ) -> Rescheduled:
        """Move the booking to another time: at once, or, where it costs more, when the difference is paid.

        `revision` is what the page showed. Raises as `quote_move`, BookingConflict where the booking has changed since
        it was shown, and StripeError; then nothing changed. Where Hapio gives no answer the move stays `MOVING`, both
        times stay ours, and the worker goes on.
        """
        self._acts.change(booking_id, by)
        async with self._turns(booking_id):
            booking = await self.get(booking_id)
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
                return Rescheduled(await self.get(booking_id), move, url, quote.difference)
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

    async def give_up_move(self, booking_id: str) -> Booking:
        """Leave the booking as it was. If Stripe says that the difference is paid after all, it is moved instead."""
        async with self._turns(booking_id):
            move = await self._store.open_move(booking_id)
            if move and move.state is MoveState.HELD:
                self._acts.change(booking_id)
                await self._moves.expire(move, EndReason.GIVEN_UP)
            return await self.get(booking_id)

    def _must_be_movable(self, booking: Booking, move: Move | None, by: EndReason) -> None:
        bar = self._offer(booking, move, self._now(), Funds((), ())).move_bar
        ours = by is EndReason.BY_OWNER and bar in {Refusal.TOO_LATE, Refusal.TOO_OFTEN, Refusal.BEGUN}
        if bar and not ours:
            raise PolicyRefused(bar)

    async def _must_have_moves_left(self, booking: Booking, by: EndReason) -> None:
        """Moves may be begun and left unpaid as often as they may be made; one that was left takes none of those."""
        if by is EndReason.BY_CUSTOMER:
            left = moves_left_unpaid(await self._store.history(booking.id))
            if left >= booking.terms.most_moves:
                raise PolicyRefused(Refusal.TOO_OFTEN)

    async def _quotes(
        self, booking: Booking, starts_at: datetime, service_id: str, resource_id: str | None, by: EndReason
    ) -> list[MoveQuote]:
        """One for everybody who could take the booking then, in the order in which to ask."""
        widget = self._widgets.of(booking)
        service = await self._availability.service(widget, service_id or booking.service_id)
        owner, same = by is EndReason.BY_OWNER, service.id == booking.service_id
        if not same and not (owner or widget.reschedule.other_service):
            raise InvalidRequest("another service is not offered")
        # What was bought keeps its price, whatever the owner asks for it today.
        price = booking.terms.price if same else service.price
        if price.currency != booking.terms.price.currency:
            raise InvalidRequest("another currency")
        if not (owner or widget.reschedule.other_resource) and service.resource(booking.resource_id):
            resource_id = booking.resource_id
        slot = await self._availability.find_slot(widget, service, starts_at)
        asked = await self._candidates(service, slot, resource_id) if slot else []
        if slot is None or not asked:
            raise await self._taken(booking, service_id, starts_at, resource_id)
        asked.sort(key=lambda resource: resource.id != booking.resource_id)
        price, difference, cap = await self._price_of_move(booking, price, owner=owner)
        return [MoveQuote(service, slot, resource, price, difference, cap) for resource in asked]

    async def _price_of_move(self, booking: Booking, price: Money, *, owner: bool) -> tuple[Money, int, int]:
        """(price, difference, cap) of a move to a service at this price: the one place where that is reckoned.

        An owner's move is no customer's way around the terms: it gives the whole difference back, and caps nothing.
        """
        terms, now = booking.terms, self._now()
        dearer = price.amount - terms.price.amount
        cap = 100 if owner else terms.cap_of_move(at=now, starts_at=booking.starts_at)
        if dearer > 0:
            if chargeable(replace(price, amount=dearer)):
                return price, dearer, cap
            return terms.price, 0, cap  # less than Stripe charges: the owner goes without it
        back = -dearer if owner else terms.move_refund(price, at=now, starts_at=booking.starts_at).amount
        return price, -min(back, await self._refunds.left(booking.id)), cap

    async def _taken(
        self, booking: Booking, service_id: str, starts_at: datetime, resource_id: str | None
    ) -> SlotTaken:
        widget = self._widgets.of(booking)
        service = await self._availability.service(widget, service_id or booking.service_id)
        nearest = await self._availability.nearest(widget, service, starts_at, resource_id=resource_id)
        return SlotTaken(starts_at, [near.starts_at for near in nearest])

    async def _candidates(self, service: Service, slot: Slot, resource_id: str | None) -> list[Resource]:
        """Who to ask, in order: the chosen one, or everyone free, the least booked through us first."""
        if slot.starts_at <= self._now():
            return []
        free = [resource for resource in service.resources if resource.id in slot.resource_ids]
        if resource_id is not None:
            return [resource for resource in free if resource.id == resource_id]
        occupied = await self._store.occupied()
        self._random.shuffle(free)

        def busy(resource: Resource) -> int:
            return sum(
                abs(taken.starts_at - slot.starts_at) < timedelta(hours=12)
                for taken in occupied
                if taken.resource_id == resource.id
            )

        return sorted(free, key=busy)

    # -- links -----------------------------------------------------------------------------------------------

    async def resend_link(self, token: str) -> None:
        """Mail a fresh link for an old one, to the address on the booking; the old ones are retired. Says nothing
        about what became of it. Raises LinkRefused for a link that was never ours."""
        booking_id, _version = self._links.read_manage_token(token)
        try:
            await self.renew_link(booking_id)
        except NotFound:
            log.info("no booking to renew the link of")

    async def resend_links(self, email: str) -> None:
        """Mail fresh links of all bookings under an address, in one mail. Says nothing about whether there are any.

        Anybody may ask for them, so the links that the customer has go on opening until one of these is used, and an
        address is mailed twice an hour at most.
        """
        since = self._now() - MANAGE_LIFE_AFTER_END
        found = await self._store.find(
            statuses=(Status.CONFIRMED, Status.CANCELED), starts_from=since, email=email, most=MOST_LINKS
        )
        if not found or not self._acts.links(email.casefold()):
            return
        first, *others = found
        detail: dict[str, str | int | bool] = {"others": " ".join(other.id for other in others), "later": True}
        about = f"links{int(self._now().timestamp())}"
        await self._store.add_mail(self._notifications.owed(first, MailKind.LINK_CUSTOMER, about=about, detail=detail))

    async def renew_link(self, booking_id: str, by: EndReason = EndReason.BY_CUSTOMER) -> None:
        """Mail a fresh link of one booking that can still be managed. Raises NotFound."""
        self._acts.change(booking_id, by)
        booking = await self.get(booking_id)
        if self._has_link(booking):
            mails = self._fresh_link(booking)
            await self._store.renew_link(booking, mails=mails, not_since=self._now() - LINK_PAUSE)

    def _has_link(self, booking: Booking) -> bool:
        """Whether the booking can still be managed by a link."""
        over = booking.ends_at + MANAGE_LIFE_AFTER_END <= self._now()
        return not over and not booking.forgotten and booking.status in {Status.CONFIRMED, Status.CANCELED, Status.PAID}

    def _fresh_link(self, booking: Booking) -> list[OutboxMail]:
        return self._notifications.owed(booking, MailKind.LINK_CUSTOMER, about=f"link{booking.link_version + 1}")

    # -- the owner -------------------------------------------------------------------------------------------

    async def mark_no_show(self, booking_id: str, *, no_show: bool) -> Booking:
        """Note that nobody came, or that somebody did after all. Raises NotBegun before the visit's start, and
        BookingConflict for a booking that is not confirmed."""
        booking = await self.get(booking_id)
        if booking.no_show is no_show:
            return booking
        marked = await self._store.mark_no_show(booking_id, no_show=no_show)
        if marked is None:
            booking = await self.get(booking_id)
            raise NotBegun if booking.status is Status.CONFIRMED else BookingConflict(booking.status)
        return marked

    async def give_back(self, booking_id: str, amount: Money | None, *, left: int | None = None) -> list[Refund]:
        """Refund beside the terms, for the owner's good will: `amount`, or all that is left; the booking stands.

        Bounded by what is left of its payments. Returns the new refunds; none where nothing is left. `left` is what
        the page showed as left, in smallest units: so a form that is sent twice gives back once. Raises InvalidRequest
        for an amount in another currency, or not above 0, InvalidDetails for one that Stripe cannot move in its
        currency, and BookingConflict where something else is left by now.
        """
        async with self._turns(booking_id):
            if left is not None and left != await self._refunds.left(booking_id):
                raise BookingConflict("not what was shown")
            return await self._give_back(booking_id, amount)

    async def _give_back(self, booking_id: str, amount: Money | None) -> list[Refund]:
        booking = await self.get(booking_id)
        price = booking.terms.price
        if amount is None:
            amount = Money(await self._refunds.left(booking_id), price.currency)
        elif amount.currency != price.currency or amount.amount <= 0:
            raise InvalidRequest(f"an amount above 0 in {price.currency}")
        elif amount.amount % currency_quantum(price.currency):
            raise InvalidDetails({"amount": _NO_SUCH_AMOUNT})
        debt = self._refunds.debt(booking, amount, EndReason.GOODWILL, cause=self._new_id("gw"))
        told = {"reason": EndReason.GOODWILL, "refund": debt.id}
        mails = self._notifications.owed(booking, MailKind.REFUNDED_CUSTOMER, about=debt.id, detail=told)
        refunds = await self._store.owe(debt, what="refund_added", mails=mails)
        await self._refunds.pay_due(booking_id)
        return refunds

    async def paid_another_way(self, booking_id: str, refund_id: str = "") -> Refund:
        """Note that the owner has paid a failed or refused refund without Stripe. A second call returns what the first
        one did. Raises as `Refunds.paid_another_way`."""
        async with self._turns(booking_id):
            return await self._refunds.paid_another_way(booking_id, refund_id)

    async def resend_mails(self, booking_id: str) -> int:
        """Send again what was given up of a booking's mails. Returns how many mails that is. Raises NotFound."""
        return await self._store.resend_mails((await self.get(booking_id)).id)

    async def correct_email(self, booking_id: str, email: str) -> Booking:
        """Give the customer another address: mails that did not reach the old one go to it, else a fresh link does, and
        older links stop working. Raises InvalidDetails for what is no address, BookingConflict where nobody has put a
        name to the booking or it has changed meanwhile, NotFound."""
        address = read_address(email.strip())
        if address is None:
            raise InvalidDetails({"email": EMAIL_WRONG})
        booking = await self.get(booking_id)
        if booking.customer is None:
            raise BookingConflict("nobody has put a name to it")
        if booking.customer.email == address:
            return booking
        customer = replace(booking.customer, email=address)
        otherwise = self._fresh_link(booking) if self._has_link(booking) else []
        if not await self._store.correct_email(booking, customer, otherwise=otherwise):
            raise BookingConflict("changed meanwhile")
        return await self.get(booking_id)


def _everything(booking: Booking, move: Move | None, funds: Funds) -> Money:
    price = booking.terms.price
    most = price.amount + funds.paid_for(move)
    return replace(price, amount=price.amount if funds.held(booking) else min(most, funds.left))

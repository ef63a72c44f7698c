"""Booking for a customer at the owner's desk: a caller or a walk-in.

The limits for visitors (notice, horizon, holds per address) do not apply to such a booking. Everything else does: the
slot guard, the scheduler's lock and every claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app.booking.at_scheduler import UNSURE_PATIENCE
from app.booking.confirm import Confirm
from app.booking.desk_payments import DeskPayments, taken_detail
from app.booking.hold import FAR_AWAY, AtDesk, Hold, Wish
from app.booking.tools import Tools
from app.domain.booking import Booking, Customer, Status, Visitor
from app.domain.catalogue import Service, Slot
from app.domain.history import HistoryWord
from app.domain.money import Money, currency_quantum
from app.domain.payment import Pays
from app.errors import (
    BookingConflict,
    InvalidDetails,
    InvalidRequest,
    SchedulerForbidden,
    TimePassed,
)
from app.msgid import N_
from app.store.change import Change
from app.widgets import Widget

#: How long a payment link may last. If it is shorter, its mail may not be read in time; if it is longer, an unpaid time
#: is kept from others for weeks.
SHORTEST_LINK = timedelta(minutes=10)
LONGEST_LINK = timedelta(days=14)

_NEEDS_EMAIL = N_("The payment link is emailed, so an address is needed.")
_CALENDAR_NEEDS_EMAIL = N_("The calendar does not book anyone without an email address.")
_LINK_TOO_SHORT = N_("This leaves the customer less than 10 minutes to pay. Choose a later time or another payment.")
_LINK_TOO_LONG = N_("A payment link lasts 14 days at most.")
_NO_STRIPE = N_("No Stripe key is set, so there can be no payment link.")
_WRONG_AMOUNT = N_("This is more than the price, or no amount of this currency.")
_CHOOSE_PERSON = N_("Choose a person: at a time that is not offered, the calendar does not say who is free.")


@dataclass(frozen=True, slots=True)
class DeskOrder:
    """What the owner books, for whom, and how it is paid.

    `resource_id` None means anyone who is free. `paid` is the amount taken now, None for the whole price; `pay_until`
    is when a payment link ends, at the latest at the visit's start. `any_time`: book the time although the calendar
    does not offer it. `form` identifies the form, so that two clicks book once; `who` is the member of staff.
    """

    widget: Widget
    service_id: str
    starts_at: datetime
    resource_id: str | None
    customer: Customer
    language: str
    pays: Pays
    form: str
    who: str
    paid: Money | None = None
    pay_until: datetime | None = None
    any_time: bool = False


class BookFor:
    """Books for a customer."""

    def __init__(self, tools: Tools, hold: Hold, confirm: Confirm, payments: DeskPayments) -> None:
        self._tools = tools
        self._store = tools.store
        self._availability = tools.availability
        self._schedulers = tools.schedulers
        self._now = tools.now
        self._hold = hold
        self._confirm = confirm
        self._payments = payments

    def needs_email(self, widget: Widget, pays: Pays | None = None) -> bool:
        """Whether nothing can be booked without the customer's mail address: the link is mailed, or the scheduler mails
        customers itself."""
        return pays is Pays.LINK or self._schedulers.of(widget.scheduler).traits.mails_customer

    @property
    def has_links(self) -> bool:
        """Whether payment links are possible: they need Stripe."""
        return self._tools.payments is not None

    def any_time(self, widget: Widget) -> bool:
        """Whether the calendar can book times that it does not offer."""
        return self._schedulers.of(widget.scheduler).traits.any_time

    async def offered(
        self, widget: Widget, service: Service, starts_at: datetime, resource_id: str | None
    ) -> Slot | None:
        """The free time as the calendar offers it, with that person if one is named; None if it does not offer it."""
        slot = await self._availability.find_slot(widget, service, starts_at)
        there = slot is not None and resource_id in {None, *slot.resource_ids}
        return slot if there else None

    async def book(self, order: DeskOrder) -> Booking:
        """Book, and confirm it at once, or hold it until the customer has paid by a link.

        The same form sent again returns the booking that it made. Raises SlotTaken with the nearest free times, or its
        kinds TimePassed and NotOffered; InvalidDetails with a sentence per field, InvalidRequest, NotFound,
        BookingConflict while the same form is at work elsewhere, or where it has booked something else, and
        SchedulerError.
        """
        now = self._now()
        if abs(order.starts_at - now) > FAR_AWAY:
            raise InvalidRequest("nothing is booked so far away")
        key = f"desk {order.form}"
        async with self._tools.locks(key):
            booking = await self._store.booking_of_form(key)
            if booking is None:
                service = await self._availability.service(order.widget, order.service_id)
                self._check(order, service, now)
                booking = await self._take(order, service, key)
            elif (booking.service_id, booking.starts_at) != (order.service_id, order.starts_at):
                raise BookingConflict("the form has booked something else")
            elif not booking.reservation.reference and booking.status is Status.HELD:
                booking = await self._resume(order, booking)
            async with self._tools.locks(booking.id):
                return await self._agree(order, await self._tools.booking(booking.id))

    def _check(self, order: DeskOrder, service: Service, now: datetime) -> None:
        """Refuse what cannot work before anything is held."""
        wrong: dict[str, str] = {}
        if order.starts_at <= now:
            raise TimePassed(order.starts_at)
        if not order.customer.email and self.needs_email(order.widget, order.pays):
            wrong["email"] = _NEEDS_EMAIL if order.pays is Pays.LINK else _CALENDAR_NEEDS_EMAIL
        if order.any_time and order.resource_id is None and len(service.resources) > 1:
            wrong["person"] = _CHOOSE_PERSON
        if order.pays is Pays.LINK and service.price:
            until = self._link_end(order)
            if not self.has_links:
                wrong["pays"] = _NO_STRIPE
            elif until - now < SHORTEST_LINK:
                wrong["pays"] = _LINK_TOO_SHORT
            elif until - now > LONGEST_LINK:
                wrong["pays"] = _LINK_TOO_LONG
        if order.paid and order.pays.method:
            price, paid = service.price, order.paid
            fits = paid.currency == price.currency and 0 < paid.amount <= price.amount
            if not fits or paid.amount % currency_quantum(price.currency):
                wrong["paid"] = _WRONG_AMOUNT
        if wrong:
            raise InvalidDetails(wrong)

    def _link_end(self, order: DeskOrder) -> datetime:
        until = order.pay_until or self._now() + timedelta(days=1)
        return min(until, order.starts_at).replace(microsecond=0)

    async def _take(self, order: DeskOrder, service: Service, key: str) -> Booking:
        """Hold the time, first as the calendar offers it."""
        slot = await self.offered(order.widget, service, order.starts_at, order.resource_id)
        beyond = slot is None and order.any_time and self.any_time(order.widget)
        if beyond:
            slot = _chosen(order, service)
        if slot:
            held_until = self._link_end(order) if order.pays is Pays.LINK else self._now()
            wish = Wish(
                order.widget,
                service,
                order.resource_id,
                Visitor(key=key, language=order.language),
                order.customer,
                service.price,
                desk=AtDesk(order.who, held_until, any_time=beyond),
            )
            try:
                booking = await self._hold.place(wish, slot)
            except SchedulerForbidden:
                if not beyond:
                    raise
                booking = None  # the calendar's key may not do that
            # Another process may have been quicker with the same form.
            booking = booking or await self._store.booking_of_form(key)
            if booking:
                return booking
        offered = slot is not None and not beyond
        raise await self._hold.taken(
            order.widget, order.service_id, order.starts_at, order.resource_id, offered=offered
        )

    async def _resume(self, order: DeskOrder, booking: Booking) -> Booking:
        """The form's hold still waits for the scheduler's answer: another process is working on it, or has died."""
        if booking.created_at + UNSURE_PATIENCE > self._now():
            raise BookingConflict("being booked")
        service = await self._availability.service(order.widget, order.service_id)
        resumed = await self._hold.resume(order.widget, service, booking)
        return resumed or await self._take(order, service, f"desk {order.form}")

    async def _agree(self, order: DeskOrder, booking: Booking) -> Booking:
        """Continue with the held booking in the way the owner chose for the payment. The first call decides."""
        if booking.status is not Status.HELD or booking.pay_link:
            return booking
        if not booking.reservation.reference:
            raise BookingConflict("being booked")
        price, who = booking.terms.price, {"who": order.who}
        if not price:
            return await self._confirm_now(booking, HistoryWord.NOTHING_DUE, who)
        if order.pays is Pays.LINK:
            return await self._payments.send_link(booking, self._link_end(order), who=order.who)
        if order.pays is Pays.NO_CHARGE:
            free = replace(booking.terms, price=Money(0, price.currency)).to_json()
            return await self._confirm_now(booking, HistoryWord.NO_CHARGE, {**who, "price": price.amount}, terms=free)
        method = order.pays.method
        if method is None:
            return await self._confirm_now(booking, HistoryWord.PAYS_AT_VISIT, who)
        # If the scheduler now asks less than its list said, no more than that is taken.
        taken = Money(min(order.paid.amount if order.paid else price.amount, price.amount), price.currency)
        payment = await self._payments.taken(booking, taken, method)
        change = Change(
            (Status.HELD,),
            Status.PAID,
            HistoryWord.TAKEN_IN_PERSON,
            before_deadline=True,
            values={"payment_id": payment.id},
            payment=payment,
            detail=taken_detail(payment, order.who),
        )
        return await self._claimed(booking, change)

    async def _confirm_now(
        self, booking: Booking, what: HistoryWord, detail: Mapping[str, Any], **values: Any
    ) -> Booking:
        change = Change((Status.HELD,), Status.PAID, what, before_deadline=True, values=values, detail=detail)
        return await self._claimed(booking, change)

    async def _claimed(self, booking: Booking, change: Change) -> Booking:
        won = await self._store.claim(booking.id, change)
        return await self._confirm.finalize_soon(won) if won else await self._tools.booking(booking.id)


def _chosen(order: DeskOrder, service: Service) -> Slot:
    """The time as the owner chose it, with the service's own length and buffers."""
    ends_at = order.starts_at + service.duration
    people = tuple(resource.id for resource in service.resources if order.resource_id in {None, resource.id})
    buffers = order.starts_at - service.buffer_before, ends_at + service.buffer_after
    return Slot(order.starts_at, ends_at, *buffers, people)

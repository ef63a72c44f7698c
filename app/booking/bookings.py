"""Reading bookings: one with everything that belongs to it, or a list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.domain.history import HistoryEntry
from app.domain.move import Move
from app.domain.payment import Payment, PaymentState
from app.domain.refund import Funds, Refund
from app.domain.reservation import Reservation
from app.errors import (
    NotFound,
    StripeError,
)
from app.widgets import Widget

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BookingView:
    """A booking with everything that belongs to it, for showing. `payment` is the one that paid for it, or else the
    latest attempt; `move` is its open move; `offered` are the times that its customer may choose from. `mail_problem`
    says why the newest mail to the customer was given up; it is empty if it was not. `lock_binds`: nobody else can take
    the time at the scheduler before it is confirmed."""

    booking: Booking
    widget: Widget
    payment: Payment | None
    payments: Sequence[Payment]
    refunds: Sequence[Refund]
    history: Sequence[HistoryEntry]
    move: Move | None
    offered: Sequence[Reservation] = ()
    mail_problem: str = ""
    lock_binds: bool = True

    def spoken(self) -> BookingView:
        """The same with services' names in the customer's language, for showing."""
        booking = self.widget.spoken(self.booking)
        language = booking.visitor.language
        offered = [self.widget.spoken_claim(one, language) for one in self.offered]
        if self.move is None:
            return replace(self, booking=booking, offered=offered)
        claim = self.widget.spoken_claim(self.move.reservation, booking.visitor.language)
        return replace(self, booking=booking, offered=offered, move=replace(self.move, reservation=claim))

    @property
    def funds(self) -> Funds:
        """The payments and their refunds."""
        return Funds(self.payments, self.refunds)

    @property
    def left(self) -> int:
        """How much of the payments has not been refunded, in smallest units."""
        return self.funds.left


class Bookings:
    """Reads; changes nothing."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._widgets = tools.widgets

    async def get(self, booking_id: str) -> Booking:
        """The booking, also one whose widget is no longer in the file. Raises NotFound."""
        return await self._tools.booking(booking_id)

    async def by_reference(self, reference: str) -> Booking:
        """The booking that the scheduler has under this id now. Raises NotFound."""
        booking = await self._store.booking_by_reference(reference)
        if booking is None:
            raise NotFound(reference)
        return booking

    async def payment_by_session(self, session_id: str) -> Payment:
        """The attempt to pay that belongs to this Checkout Session. Raises NotFound."""
        payment = await self._store.payment_of_session(session_id)
        if payment is None:
            raise NotFound(session_id)
        return payment

    async def receipt_url(self, payment: Payment) -> str | None:
        """The address of Stripe's receipt; None if there is none, or if Stripe does not answer."""
        if payment.payment_intent_id is None or payment.state is not PaymentState.CAPTURED:
            return None
        try:
            return await self._tools.stripe.receipt_url(payment.payment_intent_id)
        except StripeError as error:
            log.info("no receipt", payment=payment.id, error=type(error).__name__)
            return None

    def widget_of(self, booking: Booking) -> Widget:
        """The widget that the booking was made in; a stand-in if it is no longer in the file."""
        return self._widgets.of(booking)

    async def view(self, booking_id: str) -> BookingView:
        """The booking with its payments, refunds, history and move. Raises NotFound."""
        booking = await self._tools.booking(booking_id)
        payments = await self._store.payments(booking_id)
        return BookingView(
            booking=booking,
            widget=self._widgets.of(booking),
            payment=next((payment for payment in payments if payment.id == booking.payment_id), None)
            or (payments[-1] if payments else None),
            payments=payments,
            refunds=await self._store.refunds(booking_id),
            history=await self._store.history(booking_id),
            move=await self._store.open_move(booking_id),
            offered=await self._store.offered(booking_id) if booking.status is Status.OFFERED else (),
            mail_problem=await self._store.mail_problem(booking_id),
            lock_binds=self._tools.schedulers.lock_binds(booking.reservation.scheduler),
        )

    async def funds_of(self, bookings: Sequence[Booking]) -> dict[str, Funds]:
        """The money of each of these bookings, by its id."""
        ids = [booking.id for booking in bookings]
        payments, refunds = await self._store.payments_of(ids), await self._store.refunds_of(ids)
        return {
            one: Funds(
                [payment for payment in payments if payment.booking_id == one],
                [refund for refund in refunds if refund.booking_id == one],
            )
            for one in ids
        }

    # Nine parameters: the filters of a list, and where it begins and ends.
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
        after: Booking | None = None,
        most: int = 100,
    ) -> list[Booking]:
        """Bookings with a customer, in order of their start: `most` of them after the first `skip`."""
        return await self._store.find(
            statuses=statuses,
            starts_from=starts_from,
            starts_to=starts_to,
            email=email,
            widget=widget,
            resource_id=resource_id,
            skip=skip,
            after=after,
            most=most,
        )

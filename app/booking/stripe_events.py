"""Acting on stored Stripe events: each is only a hint which object to read."""

from __future__ import annotations

from app.booking.adopt import Adopt
from app.booking.take_payment import TakePayment
from app.booking.tools import Tools
from app.domain.event import Event

#: Stripe's objects whose events are about refunds and disputes.
_MONEY_BACK = frozenset({"refund", "charge", "dispute"})


class StripeEvents:
    """Takes in stored events. Safe to repeat."""

    def __init__(self, tools: Tools, take_payment: TakePayment, adopt: Adopt) -> None:
        self._tools = tools
        self._store = tools.store
        self._payments = tools.payments
        self._refunds = tools.refunds
        self._strays = tools.strays
        self._locks = tools.locks
        self._take_payment = take_payment
        self._adopt = adopt

    async def take_event(self, event: Event) -> None:
        """A stored webhook event: a hint to look. Raises SchedulerError, StripeError; the worker repeats it then."""
        if self._payments is None or event.livemode != self._tools.stripe.livemode:
            return
        if event.object_type in _MONEY_BACK:
            await self._follow_money_back(event)
            return
        booking = await self._store.booking(event.booking_id) if event.booking_id else None
        if event.object_type == "payment_intent":
            await self._strays.follow_hold(event.object_id)
        if event.object_type == "checkout.session" and await self._adopt.is_unknown(event):
            await self._adopt.take_session(await self._tools.stripe.look_at_session(event.object_id))
        if booking is None:
            return  # not ours: accounts are shared with other software
        await self._adopt.catch_up(booking.id)
        async with self._locks(booking.id):
            await self._take_payment.settle(await self._tools.booking(booking.id))

    async def _follow_money_back(self, event: Event) -> None:
        """Refunds made in Stripe's dashboard lack our metadata; their PaymentIntent shows which booking they belong
        to."""
        intent = event.payment_intent_id
        if intent is None:
            return
        if await self._store.payment_of_intent(intent) is None:
            await self._strays.follow(intent)
            return
        if event.object_type == "dispute":
            await self._refunds.follow_dispute(await self._tools.stripe.dispute(event.object_id))
        elif event.object_type == "refund":
            await self._refunds.follow_refund(await self._tools.stripe.read_refund(event.object_id))
        else:
            await self._refunds.follow_all(intent)

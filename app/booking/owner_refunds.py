"""What the owner refunds outside the terms, through Stripe or without it."""

from __future__ import annotations

from app.booking.tools import Tools
from app.domain.booking import EndReason
from app.domain.history import HistoryWord
from app.domain.money import Money, currency_quantum
from app.domain.refund import Refund
from app.errors import (
    BookingConflict,
    InvalidDetails,
    InvalidRequest,
)
from app.mail import MailKind
from app.msgid import N_

_NO_SUCH_AMOUNT = N_("This currency has no such amount. Please round it.")


class OwnerRefunds:
    """Goodwill refunds, and refunds that were paid another way."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._notifications = tools.notifications
        self._refunds = tools.refunds
        self._locks = tools.locks

    async def give_back(self, booking_id: str, amount: Money | None, *, left: int | None = None) -> list[Refund]:
        """Refund outside the terms, as a goodwill of the owner: `amount`, or all that is left; the booking stays. At
        most what is left of its payments. Returns the new refunds; none where nothing is left. `left` is what the page
        showed as left, in smallest units: so a form that is sent twice refunds once. Raises InvalidRequest for an
        amount in another currency, or not above 0, InvalidDetails for one that Stripe cannot move in its currency, and
        BookingConflict where something else is left by now.
        """
        async with self._locks(booking_id):
            if left is not None and left != await self._refunds.money_left(booking_id):
                raise BookingConflict("not what was shown")
            return await self.give_back_now(booking_id, amount)

    async def give_back_now(self, booking_id: str, amount: Money | None) -> list[Refund]:
        booking = await self._tools.booking(booking_id)
        price = booking.terms.price
        if amount is None:
            amount = Money(await self._refunds.money_left(booking_id), price.currency)
        elif amount.currency != price.currency or amount.amount <= 0:
            raise InvalidRequest(f"an amount above 0 in {price.currency}")
        elif amount.amount % currency_quantum(price.currency):
            raise InvalidDetails({"amount": _NO_SUCH_AMOUNT})
        due = self._refunds.amount_due(booking, amount, EndReason.GOODWILL, cause=self._tools.new_id("gw"))
        told = {"reason": EndReason.GOODWILL, "refund": due.id}
        mails = self._notifications.mails_due(booking, MailKind.REFUNDED_CUSTOMER, about=due.id, detail=told)
        refunds = await self._store.owe(due, what=HistoryWord.REFUND_ADDED, mails=mails)
        await self._refunds.pay_due(booking_id)
        return refunds

    async def paid_another_way(self, booking_id: str, refund_id: str = "") -> Refund:
        """Note that the owner has paid a refund without Stripe, which has failed or refused it, or never had its money:
        what was taken in person goes back this way alone. A second call returns what the first
        one did. Raises as `Refunds.paid_another_way`."""
        async with self._locks(booking_id):
            return await self._refunds.paid_another_way(booking_id, refund_id)

"""Reports what has been due for too long: to the owner once, and to the customer if they have paid.

Nothing is done about it here: the worker goes on trying, and the owner can end the waiting. But nobody waits without
being told.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from app.booking.notifications import Notifications
from app.domain.booking import Booking, Channel, Status, Trouble
from app.mail import MailKind
from app.store import Store

log = structlog.get_logger()

#: The scheduler answers within seconds; a customer who has paid is looking at a page that promises a mail.
CONFIRM_WITHIN = timedelta(minutes=10)
MOVE_WITHIN = timedelta(minutes=10)
#: Stripe's word on an open payment page, until which the time cannot be given to anyone else; or on a payment that it
#: has reported after the booking had ended.
END_WITHIN = timedelta(hours=1)
#: A time that stays blocked costs a sale, not money that was paid; a full month's quota at the scheduler may block it
#: for days.
RELEASE_WITHIN = timedelta(hours=6)


class Overdue:
    """Finds what has waited too long, and writes the mails about it. Safe to repeat: each mail is written once."""

    def __init__(self, *, store: Store, notifications: Notifications) -> None:
        self._store = store
        self._notifications = notifications

    async def tell(self) -> None:
        """Look at everything that is due, and write the mails that are still missing."""
        for booking in await self._store.unconfirmed_since(CONFIRM_WITHIN):
            await self._tell(booking, Trouble.NOT_CONFIRMED, amount=booking.terms.price.amount)
        for booking in await self._store.unmoved_since(MOVE_WITHIN):
            await self._tell(booking, Trouble.NOT_MOVED, about=str(booking.revision))
        for booking in await self._store.unended_since(END_WITHIN):
            await self._tell(booking, Trouble.NOT_ENDED, about=str(booking.revision))
        for booking in await self._store.unread_since(END_WITHIN):
            await self._tell(booking, Trouble.NOT_ENDED, about=f"paid{booking.revision or ''}")
        for booking in await self._store.unreleased_since(RELEASE_WITHIN):
            await self._tell(booking, Trouble.NOT_RELEASED)

    async def _tell(self, booking: Booking, trouble: Trouble, *, about: str = "", amount: int = 0) -> None:
        mails = self._notifications.trouble(booking, trouble, about=about, detail={"amount": amount})
        unpaid = booking.channel is Channel.DESK and booking.payment_id is None  # nobody waits with their money
        waits = booking.status is Status.PAID and not booking.canceled_at and not unpaid
        if trouble is Trouble.NOT_CONFIRMED and waits:
            mails += self._notifications.mails_due(booking, MailKind.DELAYED_CUSTOMER)
        if await self._store.owe_mails(mails):
            log.error("overdue", booking=booking.id, trouble=trouble)

"""The links by which customers manage their bookings: opening, renewing and mailing them."""

from __future__ import annotations

from datetime import timedelta

import structlog

from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, Status
from app.domain.mail_addresses import mailbox
from app.domain.outbox import OutboxMail
from app.errors import (
    LinkExpired,
    LinkRefused,
    NotFound,
)
from app.mail import MailKind
from app.protection.signed_links import MANAGE_LIFE_AFTER_END

log = structlog.get_logger()

#: Statuses of bookings that can be managed by a link.
MANAGED = frozenset({Status.CONFIRMED, Status.CANCELED, Status.PAID, Status.OFFERED})

#: A booking's links are renewed at most this often, however often someone asks: each renewal retires the link before
#: it.
LINK_PAUSE = timedelta(minutes=5)

#: For how many bookings of one address links are renewed at once.
MOST_LINKS = 20


class ManageLinks:
    """Opens and renews manage links."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._store = tools.store
        self._links = tools.links
        self._notifications = tools.notifications
        self._act_limits = tools.act_limits
        self._now = tools.now

    async def open(self, token: str) -> Booking:
        """The booking that a manage link leads to. Raises LinkRefused for a link that is not ours, or retired,
        LinkExpired a month after the visit, NotFound."""
        booking_id, version = self._links.read_manage_token(token)
        booking = await self._tools.booking(booking_id)
        if version < booking.link_version:
            raise LinkRefused("retired")
        if version > booking.link_version:
            # The first use of a link that was asked for by address: the older ones end with it.
            await self._store.use_link(booking_id, version)
        if booking.ends_at + MANAGE_LIFE_AFTER_END <= self._now():
            raise LinkExpired("long over")
        return booking

    async def resend(self, token: str) -> None:
        """Mail a new link for an old one, to the address on the booking; the old ones are retired. Says nothing
        about what became of it. Raises LinkRefused for a link that was never ours."""
        booking_id, _version = self._links.read_manage_token(token)
        try:
            await self.renew(booking_id)
        except NotFound:
            log.info("no booking to renew the link of")

    async def resend_all(self, email: str) -> None:
        """Mail new links of all bookings under an address, in one mail. Says nothing about whether there are any.

        Anyone may ask for them, so the links that the customer has go on opening until one of these is used, and an
        address is mailed twice an hour at most.
        """
        since = self._now() - MANAGE_LIFE_AFTER_END
        found = await self._store.find(
            statuses=(Status.CONFIRMED, Status.OFFERED, Status.CANCELED),
            starts_from=since,
            email=email,
            most=MOST_LINKS,
        )
        if not found or not await self._act_limits.links(mailbox(email)):
            return
        first, *others = found
        detail: dict[str, str | int | bool] = {"others": " ".join(other.id for other in others), "later": True}
        about = f"links{int(self._now().timestamp())}"
        await self._store.add_mail(
            self._notifications.mails_due(first, MailKind.LINK_CUSTOMER, about=about, detail=detail)
        )

    async def renew(self, booking_id: str, by: Actor = Actor.CUSTOMER) -> None:
        """Mail a new link of one booking that can still be managed. Raises NotFound."""
        await self._act_limits.change(booking_id, by)
        booking = await self._tools.booking(booking_id)
        if self.may_have(booking):
            mails = self.fresh(booking)
            await self._store.renew_link(booking, mails=mails, not_since=self._now() - LINK_PAUSE)

    def may_have(self, booking: Booking) -> bool:
        """Whether the booking can still be managed by a link."""
        over = booking.ends_at + MANAGE_LIFE_AFTER_END <= self._now()
        return not over and not booking.forgotten and booking.status in MANAGED

    def fresh(self, booking: Booking) -> list[OutboxMail]:
        return self._notifications.mails_due(booking, MailKind.LINK_CUSTOMER, about=f"link{booking.link_version + 1}")

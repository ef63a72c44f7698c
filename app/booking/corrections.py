"""What the owner mends in a booking: a wrong address, a mail that did not arrive, a visit that nobody came to."""

from __future__ import annotations

from dataclasses import replace

from app.booking.address_typos import distance
from app.booking.customer_form import EMAIL_WRONG, read_address
from app.booking.manage_links import ManageLinks
from app.booking.tools import Tools
from app.domain.booking import Booking, Status
from app.errors import (
    BookingConflict,
    InvalidDetails,
    NotBegun,
)
from app.mail import MailKind
from app.msgid import N_

#: So many letters may be wrong in a mistyped address: gmial.con for gmail.com is two.
_SLIPS = 3
_ANOTHER = N_("This is a different address, not a correction. Please contact us to change it.")


class Corrections:
    """Notes and corrections; none of them moves money or time."""

    def __init__(self, tools: Tools, manage_links: ManageLinks) -> None:
        self._tools = tools
        self._store = tools.store
        self._manage_links = manage_links

    async def mark_no_show(self, booking_id: str, *, no_show: bool) -> Booking:
        """Note that nobody came, or that somebody did after all. Raises NotBegun before the visit's start, and
        BookingConflict for a booking that is not confirmed."""
        booking = await self._tools.booking(booking_id)
        if booking.no_show is no_show:
            return booking
        marked = await self._store.mark_no_show(booking_id, no_show=no_show)
        if marked is None:
            booking = await self._tools.booking(booking_id)
            raise NotBegun if booking.status is Status.CONFIRMED else BookingConflict(booking.status)
        return marked

    async def resend_mails(self, booking_id: str) -> int:
        """Send again what was given up of a booking's mails. Returns how many mails that is. Raises NotFound."""
        return await self._store.resend_mails((await self._tools.booking(booking_id)).id)

    async def correct_email(self, booking_id: str, email: str, *, only_slips: bool = False) -> Booking:
        """Give the customer another address: mails that did not reach the old one go to it, else a fresh link does, and
        older links stop working; who had none gets the confirmation. Raises InvalidDetails for what is no address,
        BookingConflict where nobody has put a name to the booking or it has changed meanwhile, NotFound. `only_slips`:
        an address that differs by more than a few letters is refused, because what asks for it may not be in the
        customer's hands alone."""
        address = read_address(email.strip())
        if address is None:
            raise InvalidDetails({"email": EMAIL_WRONG})
        booking = await self._tools.booking(booking_id)
        if booking.customer is None:
            raise BookingConflict("nobody has put a name to it")
        if booking.customer.email == address:
            return booking
        if only_slips and distance(booking.customer.email.lower(), address.lower()) > _SLIPS:
            raise InvalidDetails({"email": _ANOTHER})
        customer = replace(booking.customer, email=address)
        otherwise = self._manage_links.fresh(booking) if self._manage_links.may_have(booking) else []
        if not booking.customer.email and booking.status is Status.CONFIRMED:
            after, notifications = replace(booking, customer=customer), self._tools.notifications
            otherwise = [*notifications.owed(after, MailKind.CONFIRMED_CUSTOMER), *notifications.reminder(after)]
        if not await self._store.correct_email(booking, customer, otherwise=otherwise):
            raise BookingConflict("changed meanwhile")
        return await self._tools.booking(booking_id)

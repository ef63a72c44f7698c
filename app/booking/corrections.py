"""What the owner corrects in a booking: the customer's details, a mail that did not arrive, a missed visit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.booking.address_typos import distance
from app.booking.customer_form import EMAIL_WRONG, NAME_WRONG, PHONE_WRONG, read_address, read_name, read_phone
from app.booking.manage_links import ManageLinks
from app.booking.tools import Tools
from app.domain.booking import Actor, Booking, Customer, Status
from app.domain.customer import details_mark
from app.domain.history import HistoryEntry
from app.domain.outbox import OutboxMail
from app.errors import BookingConflict, InvalidDetails, NotBegun
from app.mail import MailKind
from app.msgid import N_

#: How many letters may be wrong in a mistyped address: gmial.con for gmail.com is two.
_SLIPS = 3
_ANOTHER = N_("This is a different address, not a correction. Please contact us to change it.")


@dataclass(frozen=True, slots=True)
class Correction:
    """What was typed in the place of a customer's details; None leaves one as it is, an empty phone takes it away."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


class Corrections:
    """Notes and corrections; none of them changes a payment or the time."""

    def __init__(self, tools: Tools, manage_links: ManageLinks) -> None:
        self._tools = tools
        self._store = tools.store
        self._manage_links = manage_links

    async def mark_no_show(self, booking_id: str, *, no_show: bool) -> Booking:
        """Note that nobody came, or that someone did after all. Raises NotBegun before the visit's start, and
        BookingConflict for a booking that is not confirmed."""
        booking = await self._tools.booking(booking_id)
        if booking.no_show is no_show:
            return booking
        marked = await self._store.mark_no_show(booking_id, no_show=no_show)
        if marked is None:
            booking = await self._tools.booking(booking_id)
            raise NotBegun if booking.status is Status.CONFIRMED else BookingConflict(booking.status)
        return marked

    async def resend_mail(self, mail_id: str, *, tries: int, who: str = "") -> None:
        """Send one mail now that was given up, or waits after a failure. `who` asks for it, for the history. Raises
        BookingConflict where it was tried again since it was seen with so many tries, or is under way."""
        if not await self._store.resend_mail(mail_id, tries=tries, who=who):
            raise BookingConflict("no longer waiting")

    async def resend_mails(self, booking_id: str, *, who: str = "") -> int:
        """Send again what was given up of a booking's mails. Returns how many mails that is. Raises NotFound."""
        return await self._store.resend_mails((await self._tools.booking(booking_id)).id, who=who)

    async def correct_email(
        self, booking_id: str, email: str, *, by: Actor = Actor.OWNER, who: str = "", only_slips: bool = False
    ) -> Booking:
        """Give the customer another address, as `correct` does. `only_slips`: an address that differs by more than a
        few letters is refused, because what asks for it may not be in the customer's hands alone. What was corrected
        in this way before counts as well: a chain of slips would lead to any address. Raises RateLimited for a customer
        who corrects it again and again."""
        # The booking before its history: a correction in between changes the details, which `correct` notices.
        booking = await self._tools.booking(booking_id)
        address, before = read_address(email.strip()), booking.customer
        if by is not Actor.CUSTOMER or not address or not before or address == before.email:
            return await self.correct(booking_id, Correction(email=email), by=by, who=who)
        history = await self._store.history(booking_id)
        slips = distance(before.email.lower(), address.lower()) if only_slips else 0
        if only_slips and slips + slips_corrected(history) > _SLIPS:
            raise InvalidDetails({"email": _ANOTHER})
        await self._tools.act_limits.correction(booking_id, history)
        shown = details_mark(before)
        return await self.correct(booking_id, Correction(email=email), by=by, who=who, shown=shown, slips=slips)

    # Seven parameters: what was typed, by whom, and what they saw.
    async def correct(
        self, booking_id: str, correction: Correction, *, by: Actor, who: str = "", shown: str = "", slips: int = 0
    ) -> Booking:
        """Change a customer's details in one booking. With another address or name the links mailed before stop
        working, and mails that did not reach the customer go out again; where there are none, the confirmation with its
        calendar file, or a link to what is not to come. `who` is the member of staff, for the history, `shown` the
        `details_mark` of the details that they saw, `slips` how many letters of an address were corrected where only
        slips may be. Raises InvalidDetails with a msgid for each field, BookingConflict where nobody has put a name to
        the booking or it was changed meanwhile, NotFound."""
        booking = await self._tools.booking(booking_id)
        before = booking.customer
        if before is None:
            raise BookingConflict("nobody has put a name to it")
        if shown and shown != details_mark(before):
            raise BookingConflict("changed meanwhile")
        after = self._corrected(booking, before, correction)
        changed = [name for name in ("name", "email", "phone") if getattr(before, name) != getattr(after, name)]
        if not changed:
            return booking
        retire = changed != ["phone"]
        detail: dict[str, str | int] = {"by": str(by), "changed": " ".join(changed)}
        detail |= {"who": who} if who else {}
        detail |= {"slips": slips} if slips else {}
        mails = self._mails_after(replace(booking, customer=after)) if retire else []
        if not await self._store.correct(booking, after, retire=retire, otherwise=mails, detail=detail):
            raise BookingConflict("changed meanwhile")
        return await self._tools.booking(booking_id)

    def _corrected(self, booking: Booking, before: Customer, correction: Correction) -> Customer:
        """The details with what was typed; what was left as it is need not be readable."""
        wrong: dict[str, str] = {}
        name, email, phone = before.name, before.email, before.phone
        if correction.name is not None and correction.name.strip() != name:
            name = read_name(correction.name) or wrong.setdefault("name", NAME_WRONG)
        # Without an address a booking may have been taken by telephone; it is not taken away from one that has it.
        if correction.email is not None and correction.email.strip() != email:
            email = read_address(correction.email.strip()) or wrong.setdefault("email", EMAIL_WRONG)
        if correction.phone is not None and correction.phone.strip() != phone:
            typed = correction.phone.strip()
            country = self._tools.widgets.of(booking).country
            phone = (read_phone(typed, country) or wrong.setdefault("phone", PHONE_WRONG)) if typed else ""
        if wrong:
            raise InvalidDetails(wrong)
        return replace(before, name=name, email=email, phone=phone)

    def _mails_after(self, booking: Booking) -> list[OutboxMail]:
        """What the customer is mailed where nothing failed before: to an address that got nothing yet, the confirmation
        says more than a link."""
        if not self._manage_links.may_have(booking) or not (booking.customer and booking.customer.email):
            return []
        if booking.status is Status.CONFIRMED:
            if booking.ends_at <= self._tools.now():
                return []
            about = f"corrected{booking.link_version + 1}"
            return self._tools.notifications.mails_due(booking, MailKind.CONFIRMED_CUSTOMER, about=about)
        return self._manage_links.fresh(booking)


def slips_corrected(history: Sequence[HistoryEntry]) -> int:
    """How many letters of a booking's address were corrected where only slips may be. As many at most lie between the
    address now and the one before all of these, which need not be kept to say so."""
    return sum(int(entry.detail.get("slips", 0)) for entry in history)

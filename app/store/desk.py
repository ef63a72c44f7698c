"""What staff look for: bookings by whatever is known of them, mails, events, and money that nothing stands for."""

from __future__ import annotations

import sqlalchemy as sa

from app.database import Database
from app.domain import REFUND_VOID, Booking, EndReason, EventLine, MailLine, PaymentState, Status
from app.tables import bookings, inbox, outbox, payments, refunds, to_booking


class DeskRows(Database):
    """Questions of staff's; nothing is written."""

    async def search(self, text: str, *, most: int) -> list[Booking]:
        """Bookings whose customer's name or address has this in it, or whose reference begins with it; the latest
        first."""
        name = sa.func.json_extract(bookings.c.customer, "$.name")
        wanted = sa.or_(
            # SQLite tells capitals from small letters beyond ASCII: whoever looks for "åsa" does not find "Åsa".
            name.icontains(text, autoescape=True),
            bookings.c.customer_email.contains(text.casefold(), autoescape=True),
            bookings.c.id.istartswith(text, autoescape=True),
        )
        rows = await self._all(
            sa.select(bookings)
            .where(bookings.c.customer_email != "", wanted)
            .order_by(bookings.c.starts_at.desc())
            .limit(most)
        )
        return [to_booking(row) for row in rows]

    async def mails_of(self, booking_id: str) -> list[MailLine]:
        """Every mail of a booking, in the order in which they are due."""
        return await self._mail_lines(outbox.c.booking_id == booking_id, most=200)

    async def unsent_mails(self, *, most: int) -> list[MailLine]:
        """Mails that ought to be on their way: due and not sent, or given up after an error of the server's."""
        waits = outbox.c.next_try_at.is_not(None) & (outbox.c.due_at <= self._now())
        # What came to wait until it was no longer true failed nowhere.
        given_up = outbox.c.next_try_at.is_(None) & (outbox.c.last_error != "no longer true")
        return await self._mail_lines(outbox.c.sent_at.is_(None), sa.or_(waits, given_up), most=most)

    async def _mail_lines(self, *conditions: sa.ColumnElement[bool], most: int) -> list[MailLine]:
        rows = await self._all(sa.select(outbox).where(*conditions).order_by(outbox.c.due_at).limit(most))
        names = ("booking_id", "kind", "due_at", "sent_at", "next_try_at", "tries")
        return [MailLine(**{name: row[name] for name in names}, error=row["last_error"] or "") for row in rows]

    async def event_lines(self, *, most: int) -> list[EventLine]:
        """The latest stored events; those that still await their effect come first."""
        rows = await self._all(
            sa.select(inbox).order_by(inbox.c.processed_at.is_not(None), inbox.c.received_at.desc()).limit(most)
        )
        names = ("type", "booking_id", "received_at", "processed_at", "tries")
        return [
            EventLine(id=row["event_id"], **{name: row[name] for name in names}, error=row["last_error"] or "")
            for row in rows
        ]

    async def stray_money(self) -> list[tuple[str, int, str]]:
        """(booking, smallest units, currency): money that was taken and neither goes back nor pays for anything."""
        back = (
            sa.select(sa.func.coalesce(sa.func.sum(refunds.c.amount), 0))
            .where(refunds.c.payment_id == payments.c.id, refunds.c.status.not_in(REFUND_VOID))
            .scalar_subquery()
        )
        left = payments.c.captured - back
        # Of a visit that its customer canceled, the terms may leave the owner a part.
        by_terms = (bookings.c.status == Status.CANCELED) & (bookings.c.end_reason == EndReason.BY_CUSTOMER)
        stands = bookings.c.status.in_([Status.PAID, Status.CONFIRMED])
        rows = await self._all(
            sa.select(payments.c.booking_id, left.label("amount"), payments.c.currency)
            .join(bookings, bookings.c.id == payments.c.booking_id)
            .where(payments.c.state == PaymentState.CAPTURED, sa.not_(stands), sa.not_(by_terms), left > 0)
            .order_by(payments.c.created_at)
        )
        return [(row["booking_id"], row["amount"], row["currency"]) for row in rows]

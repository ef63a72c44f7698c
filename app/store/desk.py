"""What staff look for: bookings by whatever is known of them, and their mails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Booking
from app.domain.customer import needles
from app.domain.outbox import MailLine
from app.store.customers import has_in_it
from app.store.rows import select_bookings, to_booking
from app.store.search import MOST_PARTS, SearchRows
from app.store.tables import (
    bookings,
    outbox,
    reservations,
)

#: A booking's id, or how one begins; `short_reference` gives people a part of it.
_ID = re.compile("bk_[0-9a-f]{1,20}")


class DeskRows(SearchRows):
    """Questions of staff's; nothing is written."""

    async def search(self, text: str, *, most: int) -> list[Booking]:
        """Bookings whose customer's name, address or phone number has this in it, or whose reference begins with it;
        of more than `most` those that were made last. The latest visit first."""
        begins = [
            start for start in (text.casefold(), f"bk_{text.replace('-', '').casefold()}") if _ID.fullmatch(start)
        ]
        texts = await self._texts_with(needles(text))
        referred = await self._referred_to(begins)
        if texts is None or referred is None:
            having = sa.or_(has_in_it(text), *(bookings.c.id.startswith(start) for start in begins))
        else:
            having = sa.or_(bookings.c.customer_search.in_(texts), bookings.c.id.in_(referred))
        found = (
            sa.select(bookings.c.id)
            .where(bookings.c.customer_search != "", having)
            .order_by(bookings.c.created_at.desc())
            .limit(most)
        )
        ids = [row["id"] for row in await self._all(found)]
        rows = await self._all(select_bookings(bookings.c.id.in_(ids)).order_by(reservations.c.starts_at.desc()))
        return [to_booking(row) for row in rows]

    async def _referred_to(self, begins: Sequence[str]) -> list[str] | None:
        """The bookings whose id begins in one of these ways; None where there are too many."""
        found: list[str] = []
        for start in begins:
            # As a span, which every database finds by the key, whatever language it sorts by: ids have no letter but
            # a to f.
            of_it = sa.select(bookings.c.id).where(bookings.c.id >= start, bookings.c.id < f"{start}g")
            found += [row["id"] for row in await self._all(of_it.limit(MOST_PARTS + 1))]
        return None if len(found) > MOST_PARTS else found

    async def people(self, *, starts_from: datetime, starts_to: datetime, widget: str) -> list[tuple[str, str]]:
        """(name, id) of everyone who is booked in that span, at a widget if one is named; by name."""
        conditions = [
            bookings.c.customer_email != "",
            reservations.c.starts_at >= starts_from,
            reservations.c.starts_at < starts_to,
        ]
        if widget:
            conditions.append(bookings.c.widget == widget)
        chosen = (
            sa.select(reservations.c.resource_name, reservations.c.resource_id)
            .join(bookings, bookings.c.reservation_id == reservations.c.id)
            .where(*conditions)
            .distinct()
        )
        return sorted((row["resource_name"], row["resource_id"]) for row in await self._all(chosen))

    async def mails_of(self, booking_id: str) -> list[MailLine]:
        """Every mail of a booking, in the order in which they are due."""
        return await self._mail_lines(sa.select(outbox).where(outbox.c.booking_id == booking_id), most=200)

    async def unsent_mails(self, *, skip: int = 0, most: int) -> list[MailLine]:
        """Mails that ought to be on their way: due and not sent, or given up after an error of the server's. Those that
        were due last come first."""
        waits = outbox.c.next_try_at.is_not(None) & (outbox.c.due_at <= self._now())
        # What came to wait until it was no longer true failed nowhere.
        given_up = outbox.c.next_try_at.is_(None) & (outbox.c.last_error != "no longer true")
        unsent = sa.select(outbox).where(outbox.c.sent_at.is_(None), sa.or_(waits, given_up))
        return await self._mail_lines(unsent, latest_first=True, skip=skip, most=most)

    async def _mail_lines(
        self, chosen: sa.Select[Any], *, latest_first: bool = False, skip: int = 0, most: int
    ) -> list[MailLine]:
        order = outbox.c.due_at.desc() if latest_first else outbox.c.due_at
        rows = await self._all(chosen.order_by(order, outbox.c.id).limit(most).offset(skip))
        names = ("id", "booking_id", "kind", "due_at", "sent_at", "next_try_at", "tries")
        return [MailLine(**{name: row[name] for name in names}, error=row["last_error"] or "") for row in rows]

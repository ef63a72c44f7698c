"""Customers: their bookings taken together, and what staff wrote down about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import Booking, Status
from app.domain.customer import CustomerFigures, CustomerLine, CustomerNote, needles
from app.domain.refund import REFUND_VOID
from app.store.amounts import total
from app.store.conflicts import insert_if_new
from app.store.rows import select_bookings, to_booking
from app.store.search import SearchRows
from app.store.tables import (
    CAPTURED,
    bookings,
    customer_notes,
    payments,
    refunds,
    reservations,
)

#: A visitor who typed a name and never paid is no customer yet. By what it is not: asked for what it is, SQLite would
#: take the index on the status and read nearly every row.
_BOOKED = bookings.c.status.not_in([Status.HELD, Status.AWAITING_PAYMENT, Status.EXPIRED])
#: Bookings that are read, the newest first, for the first pages of the list; the pages behind them read an index whole.
_NEWEST = 5000
#: Between two notes that are joined because their customers turn out to be one.
_JOINT = "\n\n"


def has_in_it(text: str) -> sa.ColumnElement[bool]:
    """Whether a booking's customer has this in the name, the address or the phone number."""
    return sa.or_(*(bookings.c.customer_search.contains(needle, autoescape=True) for needle in needles(text)))


class CustomerRows(SearchRows):
    """Questions over `bookings` by customer, and the table `customer_notes`."""

    async def customers(self, text: str, *, skip: int, most: int) -> list[CustomerLine]:
        """Customers, those who booked last first; with `text` those who have it in the name, the address or the phone
        number."""
        texts = await self._texts_with(needles(text)) if text else None
        if texts is not None:
            keys = await self._keys(bookings.c.customer_search.in_(texts), skip=skip, most=most)
        else:
            having = has_in_it(text) if text else sa.true()
            keys = await self._newest_keys(having, skip=skip, most=most)
        lines = dict(await self._customer_lines(keys))
        return [lines[key] for key in keys if key in lines]

    async def _newest_keys(self, having: sa.ColumnElement[bool], *, skip: int, most: int) -> list[str]:
        """As `_keys`, from the newest bookings, where the page is found among these."""
        many = 3 * (skip + most)
        while many <= _NEWEST:
            rows = await self._all(
                sa.select(bookings.c.customer_key)
                .where(bookings.c.customer_key != "", _BOOKED, having)
                .order_by(bookings.c.created_at.desc(), bookings.c.customer_key)
                .limit(many)
            )
            keys = list(dict.fromkeys(row["customer_key"] for row in rows))
            if len(keys) >= skip + most or len(rows) < many:
                return keys[skip : skip + most]
            many *= 3
        return await self._keys(having, skip=skip, most=most)

    async def _keys(self, having: sa.ColumnElement[bool], *, skip: int, most: int) -> list[str]:
        """The keys of those who have booked such a one, those who did so last first."""
        newest = sa.func.max(bookings.c.created_at)
        rows = await self._all(
            sa.select(bookings.c.customer_key)
            .where(bookings.c.customer_key != "", _BOOKED, having)
            .group_by(bookings.c.customer_key)
            .order_by(newest.desc(), bookings.c.customer_key)
            .limit(most)
            .offset(skip)
        )
        return [row["customer_key"] for row in rows]

    async def _customer_lines(self, keys: Sequence[str]) -> list[tuple[str, CustomerLine]]:
        of_one = sa.over(sa.func.count(), partition_by=bookings.c.customer_key)
        latest_first = [bookings.c.created_at.desc(), bookings.c.id]
        rank = sa.over(sa.func.row_number(), partition_by=bookings.c.customer_key, order_by=latest_first)
        ranked = (
            sa.select(bookings.c.id, of_one.label("many"), rank.label("rank"))
            .where(bookings.c.customer_key.in_(keys), _BOOKED)
            .subquery()
        )
        newest = {
            row["id"]: row["many"]
            for row in await self._all(sa.select(ranked.c.id, ranked.c.many).where(ranked.c.rank == 1))
        }
        rows = await self._all(select_bookings(bookings.c.id.in_(newest)))
        lines = []
        for row in rows:
            booking = to_booking(row)
            if booking.customer:
                who = booking.customer
                line = CustomerLine(
                    booking_id=booking.id,
                    name=who.name,
                    email=who.email,
                    phone=who.phone,
                    bookings=newest[booking.id],
                    last_at=booking.starts_at,
                    time_zone=booking.time_zone,
                )
                lines.append((row["customer_key"], line))
        return lines

    async def bookings_of(self, booking: Booking, key: str, *, skip: int, most: int) -> list[Booking]:
        """A customer's bookings, the last ones first; without a key this one alone."""
        rows = await self._all(
            select_bookings(_of(booking.id, key))
            .order_by(reservations.c.starts_at.desc(), bookings.c.id)
            .limit(most)
            .offset(skip)
        )
        return [to_booking(row) for row in rows]

    async def booking_ids_of(self, booking: Booking, key: str, *, most: int) -> list[str]:
        """The ids of a customer's bookings, the newest first."""
        rows = await self._all(
            sa.select(bookings.c.id).where(_of(booking.id, key)).order_by(bookings.c.created_at.desc()).limit(most)
        )
        return [row["id"] for row in rows]

    async def customer_figures(self, booking: Booking, key: str) -> CustomerFigures:
        """How many bookings a customer has, and the money of all of them."""
        those = sa.and_(_of(booking.id, key), _BOOKED)
        many = sa.func.count().label("many")
        counted = await self._all(
            sa.select(bookings.c.status, bookings.c.no_show, many)
            .where(those)
            .group_by(bookings.c.status, bookings.c.no_show)
        )
        paid = await self._all(
            sa.select(payments.c.currency, total(sa.case((CAPTURED, payments.c.captured), else_=0)).label("amount"))
            .join(bookings, bookings.c.id == payments.c.booking_id)
            .where(_of(booking.id, key))
            .group_by(payments.c.currency)
        )
        refunded = await self._all(
            sa.select(refunds.c.currency, total(refunds.c.amount).label("amount"))
            .join(bookings, bookings.c.id == refunds.c.booking_id)
            .join(payments, payments.c.id == refunds.c.payment_id)
            .where(
                _of(booking.id, key),
                refunds.c.status.not_in(REFUND_VOID),
                # What was only held on a card is let go, and nothing goes back.
                CAPTURED,
            )
            .group_by(refunds.c.currency)
        )
        return CustomerFigures(
            bookings=sum(row["many"] for row in counted),
            canceled=sum(row["many"] for row in counted if row["status"] == Status.CANCELED),
            no_shows=sum(row["many"] for row in counted if row["no_show"] and row["status"] == Status.CONFIRMED),
            paid={row["currency"]: row["amount"] for row in paid if row["amount"]},
            refunded={row["currency"]: row["amount"] for row in refunded},
        )

    async def customer_note(self, key: str) -> CustomerNote:
        """What was written down about a customer; an empty note of version 0 for nothing."""
        rows = await self._all(sa.select(customer_notes).where(customer_notes.c.customer_key == key))
        return _to_note(rows[0]) if rows else CustomerNote()

    async def write_note(self, key: str, text: str, *, version: int, by: str) -> bool:
        """Put a note in the place of the one that was read as `version`. False where someone else has changed it
        since. An empty text leaves an empty note, so that the versions go on counting."""
        values = {"text": text, "written_by": by, "written_at": self._now()}
        async with self._write() as connection:
            if version == 0:
                row = {**values, "customer_key": key, "version": 1}
                return bool(await insert_if_new(connection, customer_notes, row))
            changed = await connection.execute(
                sa.update(customer_notes)
                .where(customer_notes.c.customer_key == key, customer_notes.c.version == version)
                .values(**values, version=version + 1)
            )
            return bool(changed.rowcount)


async def follow_note(connection: AsyncConnection, before: str, after: str) -> None:
    """A booking's customer has another key: their note goes with them once no booking is left under the one before,
    behind whatever is written down there already. An `after` that is empty is nobody: the note is deleted."""
    if not before or before == after:
        return
    left = sa.exists().where(bookings.c.customer_key == before)
    found = await connection.execute(
        sa.select(customer_notes).where(customer_notes.c.customer_key == before, sa.not_(left))
    )
    row = found.mappings().first()
    if row is None:
        return
    await connection.execute(sa.delete(customer_notes).where(customer_notes.c.customer_key == before))
    if not after or await insert_if_new(connection, customer_notes, {**row, "customer_key": after}):
        return
    joined = customer_notes.c.text + _JOINT + row["text"] if row["text"] else customer_notes.c.text
    await connection.execute(
        sa.update(customer_notes)
        .where(customer_notes.c.customer_key == after)
        .values(text=joined, version=customer_notes.c.version + 1)
    )


def note_is_of_nobody() -> sa.ColumnElement[bool]:
    """Whether no booking is left of a note's customer."""
    return ~sa.exists().where(bookings.c.customer_key == customer_notes.c.customer_key)


def _of(booking_id: str, key: str) -> sa.ColumnElement[bool]:
    return bookings.c.customer_key == key if key else bookings.c.id == booking_id


def _to_note(row: sa.RowMapping) -> CustomerNote:
    written_at: datetime = row["written_at"]
    return CustomerNote(row["text"], row["version"], row["written_by"], written_at)

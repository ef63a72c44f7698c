"""Times that are held for a customer who paid too late, to choose from."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import Booking, Status
from app.domain.reservation import Reservation
from app.store.database import Database
from app.store.reservations import change_reservation, read_booking, settle_due
from app.store.rows import reservation_row, to_reservation
from app.store.slot_guard import guard_of, room
from app.store.tables import bookings, reservations


class OfferRows(Database):
    """The rows of `reservations` with `offered_until`."""

    async def offered(self, booking_id: str) -> list[Reservation]:
        """The times that are held for a customer to choose from, in order."""
        rows = await self._all(
            sa.select(reservations).where(_offered(booking_id)).order_by(reservations.c.starts_at, reservations.c.id)
        )
        return [to_reservation(row) for row in rows]

    async def offered_between(self, starts_from: datetime, ends_to: datetime) -> list[Reservation]:
        """All times that are held for customers to choose from and overlap an interval, in order."""
        # By the bookings, of which few are offered times at once.
        chosen = (
            sa.select(reservations)
            .join(bookings, bookings.c.id == reservations.c.booking_id)
            .where(
                bookings.c.status == Status.OFFERED,
                reservations.c.offered_until.is_not(None),
                reservations.c.starts_at < ends_to,
                reservations.c.ends_at > starts_from,
            )
            .order_by(reservations.c.starts_at, reservations.c.id)
        )
        return [to_reservation(row) for row in await self._all(chosen)]

    async def insert_offer(self, offer: Reservation, *, capacity: int | None, lease_until: datetime) -> bool:
        """The slot guard for a time that is to be offered: it counts from here on. False where the resource has no
        room, or where the booking is no longer looking for a time. Nobody else looks for one until `lease_until`."""
        row = reservation_row(offer)
        values = [sa.literal(row[column.name], column.type) for column in reservations.c]
        async with self._write(offer.booking_id) as connection:
            if capacity is not None:
                await self.backend.lock_name(connection, guard_of(offer.resource_id))
            paid = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == offer.booking_id, bookings.c.status == Status.PAID)
                .values(next_try_at=lease_until)
            )
            inserted = await connection.execute(
                sa.insert(reservations)
                .from_select(
                    [column.name for column in reservations.c],
                    sa.select(*values).where(
                        sa.literal(bool(paid.rowcount)), room(offer.interval, capacity, booking_id=offer.booking_id)
                    ),
                )
                .returning(reservations.c.id)
            )
            if inserted.first() is None:
                return False
            await settle_due(connection, offer.booking_id, at=self._now())
            return True

    async def record_offer_lock(self, offer: Reservation, *, reference: str) -> None:
        """Store the scheduler's answer to the lock, whatever happened to the offer: if it has ended, the lock has to be
        released."""
        async with self._write(offer.booking_id) as connection:
            found = {"reference": reference, "unsure": False}
            await change_reservation(connection, offer.id, found, at=self._now())
            await settle_due(connection, offer.booking_id, at=self._now())

    async def withdraw_offer(self, offer: Reservation, *, unsure: bool, find_out_at: datetime | None = None) -> None:
        """Do not offer a time that could not be locked. If that is not certain, it is looked for from `find_out_at`
        on."""
        async with self._write(offer.booking_id) as connection:
            now = self._now()
            await end_offers(connection, offer.booking_id, reservations.c.id == offer.id, at=now)
            await change_reservation(connection, offer.id, {"unsure": unsure}, at=now)
            await settle_due(connection, offer.booking_id, at=now, find_out_at=find_out_at)

    async def lapse_offers(self, booking: Booking) -> Booking | None:
        """Let go of what was not chosen in time, as long as another time is still to choose; None where none is, which
        changes nothing."""
        now = self._now()
        async with self._write(booking.id) as connection:
            next_end = await connection.scalar(
                sa.select(sa.func.min(reservations.c.offered_until)).where(
                    _offered(booking.id), reservations.c.offered_until > now
                )
            )
            if next_end is None:
                return None
            lapsed = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking.id, bookings.c.status == Status.OFFERED)
                .values(deadline=next_end, updated_at=now, next_try_at=None, tries=0)
            )
            if lapsed.rowcount:
                await end_offers(connection, booking.id, reservations.c.offered_until <= now, at=now)
                await settle_due(connection, booking.id, at=now)
            return await read_booking(connection, booking.id)


async def end_offers(
    connection: AsyncConnection, booking_id: str, *which: sa.ColumnElement[bool], at: datetime
) -> None:
    """The times are no longer held for a customer. Call `settle_due` after it."""
    await connection.execute(
        sa.update(reservations)
        .where(_offered(booking_id), *which)
        .values(offered_until=None, occupies=False, occupancy_at=at)
    )


def is_offered(booking_id: str, reservation_id: str, *, after: datetime | None) -> sa.ColumnElement[bool]:
    """Whether this time is held for the booking's customer, beyond that moment if there is one."""
    still = sa.true() if after is None else reservations.c.offered_until > after
    return sa.exists().where(reservations.c.id == reservation_id, _offered(booking_id), still)


def _offered(booking_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(reservations.c.booking_id == booking_id, reservations.c.offered_until.is_not(None))

"""Looking for bookings, and reading what happened to them; nothing is written here."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from app.domain.booking import Booking, Channel, Status
from app.domain.history import HistoryEntry, HistoryWord
from app.domain.mail_addresses import mailbox
from app.store.database import Database
from app.store.prepared import NOW, Prepared, asked
from app.store.reservations import BOOKING
from app.store.rows import select_bookings, to_booking
from app.store.tables import STATUS_IN_SPAN, Instant, bookings, history, reservations

_HELD = bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT])
_HOLD_BY_KEY = Prepared(
    select_bookings(
        bookings.c.visitor_key == asked("key"),
        reservations.c.service_id == asked("service_id"),
        reservations.c.starts_at == asked("starts_at", Instant),
        reservations.c.occupies,
        _HELD,
        bookings.c.deadline > NOW,
    )
)
_OF_FORM = Prepared(
    select_bookings(
        bookings.c.visitor_key == asked("key"),
        bookings.c.status != Status.EXPIRED,
        bookings.c.channel == Channel.DESK,
    )
)
_OPEN_HOLDS = Prepared(
    # What the owner holds for someone, for days perhaps, is not the visitors' doing.
    select_bookings(
        bookings.c.widget == asked("widget"),
        _HELD,
        bookings.c.deadline > NOW,
        bookings.c.channel == Channel.ONLINE,
    ).order_by(bookings.c.created_at, bookings.c.id)
)
_UNPAID = Prepared(sa.select(bookings.c.id).where(_HELD))
_CHOOSING = Prepared(sa.select(bookings.c.id).where(bookings.c.status == Status.OFFERED))
_UNDOABLE = Prepared(
    sa.select(bookings.c.id)
    .select_from(reservations.join(bookings, bookings.c.reservation_id == reservations.c.id))
    .where(
        reservations.c.starts_at > NOW,
        bookings.c.status == Status.CANCELED,
        bookings.c.undo_until > asked("since", Instant),
        bookings.c.undo_until > bookings.c.canceled_at,
    )
)
_HISTORY = Prepared(sa.select(history).where(history.c.booking_id == asked("booking_id")).order_by(history.c.id))


class FindRows(Database):
    """Bookings by what is known of them."""

    async def booking(self, booking_id: str) -> Booking | None:
        """The booking with this id."""
        rows = await self._fetch(BOOKING, id=booking_id)
        return to_booking(rows[0]) if rows else None

    async def booking_by_reference(self, reference: str) -> Booking | None:
        """The booking that the scheduler has under this id."""
        rows = await self._all(select_bookings(reservations.c.reference == reference))
        return to_booking(rows[0]) if rows else None

    async def hold_by_key(self, visitor_key: str, service_id: str, starts_at: datetime) -> Booking | None:
        """The unpaid booking that the same page view has already made of this time (a double click)."""
        rows = await self._fetch(
            _HOLD_BY_KEY, key=visitor_key, service_id=service_id, starts_at=starts_at, now=self._now()
        )
        return to_booking(rows[0]) if rows else None

    async def booking_of_form(self, key: str) -> Booking | None:
        """The booking that this form at the desk has made, unless it has ended without being confirmed."""
        rows = await self._fetch(_OF_FORM, key=key)
        return to_booking(rows[0]) if rows else None

    async def open_holds(self, widget: str) -> list[Booking]:
        """What visitors hold at a widget and have not paid, oldest first."""
        rows = await self._fetch(_OPEN_HOLDS, widget=widget, now=self._now())
        return [to_booking(row) for row in rows]

    async def unconfirmed(self, scheduler: str) -> int:
        """How many bookings are held or paid, but not yet final at this scheduler."""
        under_way = bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT, Status.PAID])
        rows = await self._all(
            sa.select(sa.func.count().label("many"))
            .select_from(bookings.join(reservations, bookings.c.reservation_id == reservations.c.id))
            .where(under_way, reservations.c.scheduler == scheduler)
        )
        return int(rows[0]["many"])

    async def offered_ids(self) -> set[str]:
        """The ids of all bookings whose customers are offered other times."""
        return {row["id"] for row in await self._fetch(_CHOOSING)}

    async def unpaid_ids(self) -> set[str]:
        """The ids of all bookings that are neither paid nor ended."""
        return {row["id"] for row in await self._fetch(_UNPAID)}

    async def undoable_ids(self, since: datetime) -> set[str]:
        """The ids of all bookings to come whose cancellation could still be undone at a moment."""
        return {row["id"] for row in await self._fetch(_UNDOABLE, since=since, now=self._now())}

    # Nine parameters: what a list may be narrowed by, and where it begins and ends.
    async def find(
        self,
        *,
        statuses: Collection[Status] = (),
        starts_from: datetime | None = None,
        starts_to: datetime | None = None,
        email: str = "",
        widget: str = "",
        resource_id: str = "",
        skip: int = 0,
        after: Booking | None = None,
        most: int = 100,
    ) -> list[Booking]:
        """Bookings with a customer, in order of their start, `most` of them after the first `skip`. `email` in any
        case; what is left empty filters nothing; `after` goes on from the last one of an earlier answer."""
        conditions = [bookings.c.customer_email != ""]
        if widget:
            conditions.append(bookings.c.widget == widget)
        if resource_id:
            conditions.append(reservations.c.resource_id == resource_id)
        if statuses:
            status = STATUS_IN_SPAN if starts_from or starts_to else bookings.c.status
            wanted = status.in_(list(statuses))
            # Whose customer has a link and has not opened it yet awaits payment as well.
            linked = sa.and_(bookings.c.status == Status.HELD, bookings.c.pay_link)
            conditions.append(sa.or_(wanted, linked) if Status.AWAITING_PAYMENT in statuses else wanted)
        if starts_from:
            conditions.append(reservations.c.starts_at >= starts_from)
        if starts_to:
            conditions.append(reservations.c.starts_at < starts_to)
        if after:
            place = (reservations.c.starts_at, bookings.c.id)
            conditions.append(sa.tuple_(*place) > sa.tuple_(sa.literal(after.starts_at, Instant), after.id))
        if email:
            conditions.append(bookings.c.customer_email == mailbox(email))
        chosen = select_bookings(*conditions).order_by(reservations.c.starts_at, bookings.c.id)
        return [to_booking(row) for row in await self._all(chosen.offset(skip).limit(most))]

    async def history(self, booking_id: str) -> list[HistoryEntry]:
        """What happened to a booking, oldest first."""
        rows = await self._fetch(_HISTORY, booking_id=booking_id)
        return [HistoryEntry(row["at"], HistoryWord(row["what"]), Status(row["status"]), row["detail"]) for row in rows]

    async def free_to_come(self, widget: str) -> list[Booking]:
        """Free bookings of a widget that are confirmed and not over."""
        rows = await self._all(
            select_bookings(
                bookings.c.widget == widget,
                bookings.c.status.in_([Status.PAID, Status.CONFIRMED]),
                reservations.c.ends_at > self._now(),
            )
        )
        return [booking for booking in map(to_booking, rows) if booking.terms.free]

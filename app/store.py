"""All SQL: what we owe and what we know, in SQLite with one writer.

Every change of a booking's status goes through `claim`, one conditional UPDATE that reports whether it won; what
the change owes the outside world (mail, refund, payment attempt) is written in the same transaction.
No method here calls a provider.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import Database
from app.domain import (
    LIVE,
    MAY_STILL_PAY,
    TRANSITIONS,
    Booking,
    Customer,
    Event,
    HistoryEntry,
    Occupied,
    OutboxMail,
    Payment,
    PaymentSeen,
    PaymentState,
    Refund,
    Status,
    Terms,
)
from app.tables import (
    Instant,
    booking_row,
    bookings,
    counters,
    history,
    inbox,
    mail_row,
    outbox,
    payment_row,
    payments,
    refund_row,
    refunds,
    to_booking,
    to_mail,
    to_payment,
    to_refund,
)


class Store(Database):
    """Every read and every write, by what it is for."""

    # -- bookings ----------------------------------------------------------------------------------------

    async def insert_hold(self, booking: Booking, *, capacity: int | None) -> bool:
        """The slot guard: insert a hold unless the resource would be over `capacity` at any moment of the
        buffered interval. One statement, so two visitors cannot both win. False means somebody else has it."""
        row = booking_row(booking)
        values = [sa.literal(row[column.name], column.type) for column in bookings.c]
        room = ~_crowded(booking, capacity) if capacity is not None else sa.true()
        async with self._write() as connection:
            inserted = await connection.execute(
                sa.insert(bookings)
                .from_select([column.name for column in bookings.c], sa.select(*values).where(room))
                .returning(bookings.c.id)
            )
            if inserted.first() is None:
                return False
            await self._remember(connection, booking.id, "held", booking.status, {})
            return True

    async def reserve(
        self,
        booking: Booking,
        *,
        resource_id: str,
        resource_name: str,
        capacity: int | None,
        lease_until: datetime,
    ) -> Booking | None:
        """The slot guard for late money: let a paid row that lost its time occupy one again, on this resource.

        Hapio is asked next, so the row is unsure of it until there is an answer.
        """
        room = ~_crowded(booking, capacity, resource_id) if capacity is not None else sa.true()
        return await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking.id, bookings.c.status == Status.PAID, room)
            .values(
                occupies=True,
                hapio_unsure=True,
                resource_id=resource_id,
                resource_name=resource_name,
                next_try_at=lease_until,
            ),
            what="other_person" if resource_id != booking.resource_id else "",
        )

    async def lease(self, booking_id: str, *, until: datetime) -> Booking | None:
        """Have a paid booking for this process alone until then; None while another one has it, or waits with it."""
        now = self._now()
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status == Status.PAID,
                sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= now),
            )
            .values(next_try_at=until)
        )

    async def unreserve(self, booking_id: str) -> None:
        """The time that `reserve` took was refused by Hapio."""
        await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.status == Status.PAID)
            .values(occupies=False, hapio_unsure=False)
        )

    async def booking(self, booking_id: str) -> Booking | None:
        """The booking with this id."""
        rows = await self._all(sa.select(bookings).where(bookings.c.id == booking_id))
        return to_booking(rows[0]) if rows else None

    async def hold_by_key(self, visitor_key: str, service_id: str, starts_at: datetime) -> Booking | None:
        """The unpaid booking that this very page view already made of this time (a doubled click)."""
        rows = await self._all(
            sa.select(bookings).where(
                bookings.c.visitor_key == visitor_key,
                bookings.c.service_id == service_id,
                bookings.c.starts_at == starts_at,
                bookings.c.occupies,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
        )
        return to_booking(rows[0]) if rows else None

    async def open_holds(self, widget: str) -> list[Booking]:
        """What is held at a widget and not paid, oldest first."""
        rows = await self._all(
            sa.select(bookings)
            .where(
                bookings.c.widget == widget,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
            .order_by(bookings.c.created_at, bookings.c.id)
        )
        return [to_booking(row) for row in rows]

    async def occupied(self) -> list[Occupied]:
        """What our live bookings take up from now on."""
        columns = bookings.c
        rows = await self._all(
            sa.select(columns.id, columns.resource_id, columns.buffer_starts_at, columns.buffer_ends_at).where(
                columns.occupies, columns.buffer_ends_at > self._now()
            )
        )
        return [Occupied(*row.values()) for row in rows]

    async def record_lock(self, booking_id: str, *, hapio_booking_id: str, terms: Terms) -> Booking | None:
        """Hapio's answer to the lock. Stored whatever became of the row meanwhile: an ended one owes a release."""
        return await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id)
            .values(hapio_booking_id=hapio_booking_id, hapio_unsure=False, terms=terms.to_json())
        )

    async def record_release(self, booking_id: str, *, hapio_booking_id: str | None) -> None:
        """Hapio holds nothing for this row any more (unless it was given something new meanwhile)."""
        await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.hapio_booking_id.is_(hapio_booking_id))
            .values(hapio_booking_id=None, hapio_unsure=False, next_try_at=None, tries=0)
        )

    async def set_customer(self, booking_id: str, customer: Customer) -> Booking | None:
        """Store the details of a live hold; None if it is over."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                bookings.c.deadline > self._now(),
            )
            .values(customer=asdict(customer))
        )

    async def extend(self, booking_id: str, *, deadline: datetime, most: int) -> Booking | None:
        """Move the hold's deadline, at most `most` times; None if it is over or used up."""
        return await self._update(
            sa.update(bookings)
            .where(
                bookings.c.id == booking_id,
                bookings.c.status == Status.HELD,
                bookings.c.deadline > self._now(),
                bookings.c.extensions < most,
            )
            .values(deadline=deadline, extensions=bookings.c.extensions + 1),
            what="extended",
        )

    async def postpone(self, booking_id: str, *, deadline: datetime) -> Booking | None:
        """Move the deadline of a booking whose payment is still processing."""
        return await self._update(
            sa.update(bookings)
            .where(bookings.c.id == booking_id, bookings.c.status == Status.AWAITING_PAYMENT)
            .values(deadline=deadline)
        )

    async def put_off(self, booking_id: str, *, until: datetime) -> None:
        """Something we owe for this booking failed: try again at `until`."""
        await self._update(
            sa.update(bookings).where(bookings.c.id == booking_id).values(next_try_at=until, tries=bookings.c.tries + 1)
        )

    async def claim(
        self,
        booking_id: str,
        from_: Collection[Status],
        to: Status,
        *,
        what: str,
        values: Mapping[str, Any] | None = None,
        before_deadline: bool = False,
        due_by: datetime | None = None,
        without_open_session: bool = False,
        payment: Payment | None = None,
        seen: PaymentSeen | None = None,
        refund: Refund | None = None,
        mails: Sequence[OutboxMail] = (),
        detail: Mapping[str, Any] | None = None,
    ) -> Booking | None:
        """Change the status if it is still one of `from_`; the only place that does.

        The conditions hold in the same statement. The winner's `payment`, `seen`, `refund` and `mails` are written in
        the same transaction. None means somebody else won: do nothing outside.
        """
        for status in from_:
            if to not in TRANSITIONS[status]:
                raise ValueError(f"{status} → {to} is not in TRANSITIONS")
        now = self._now()
        changes: dict[str, Any] = {"status": to, "updated_at": now, "next_try_at": None, "tries": 0}
        if to not in LIVE:
            changes["occupies"] = False
        conditions = [bookings.c.id == booking_id, bookings.c.status.in_(list(from_))]
        if before_deadline:
            conditions.append(bookings.c.deadline > now)
        if due_by:
            conditions.append(bookings.c.deadline <= due_by)
        if without_open_session:
            conditions.append(~_has_open_session(booking_id))
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(bookings).where(*conditions).values(**changes, **(values or {})).returning(*bookings.c)
            )
            row = result.mappings().first()
            if row is None:
                return None
            await self._remember(connection, booking_id, what, to, detail or {})
            if payment:
                await connection.execute(sa.insert(payments).values(payment_row(payment)))
            if seen:
                await _mirror(connection, seen)
            if refund:
                await connection.execute(sqlite.insert(refunds).values(refund_row(refund)).on_conflict_do_nothing())
            for mail in mails:
                await connection.execute(sqlite.insert(outbox).values(mail_row(mail)).on_conflict_do_nothing())
            return to_booking(row)

    async def _update(self, statement: sa.Update, *, what: str = "") -> Booking | None:
        async with self._write() as connection:
            statement = statement.values(updated_at=self._now()).returning(*bookings.c)
            row = (await connection.execute(statement)).mappings().first()
            if row is None:
                return None
            booking = to_booking(row)
            if what:
                await self._remember(connection, booking.id, what, booking.status, {})
            return booking

    async def _remember(
        self,
        connection: AsyncConnection,
        booking_id: str,
        what: str,
        status: Status,
        detail: Mapping[str, Any],
    ) -> None:
        await connection.execute(
            sa.insert(history).values(
                booking_id=booking_id, at=self._now(), what=what, status=status, detail=dict(detail)
            )
        )

    async def history(self, booking_id: str) -> list[HistoryEntry]:
        """What happened to a booking, oldest first."""
        rows = await self._all(sa.select(history).where(history.c.booking_id == booking_id).order_by(history.c.id))
        return [HistoryEntry(row["at"], row["what"], Status(row["status"]), row["detail"]) for row in rows]

    # -- what is due -------------------------------------------------------------------------------------

    async def overdue(self) -> list[Booking]:
        """Holds and payments whose deadline has passed."""
        return await self._due(
            bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]), bookings.c.deadline <= self._now()
        )

    async def paid(self) -> list[Booking]:
        """Bookings whose money is here and whose time is not final yet."""
        return await self._due(bookings.c.status == Status.PAID)

    async def unreleased(self) -> list[Booking]:
        """Ended bookings for which Hapio still holds, or may hold, something."""
        return await self._due(
            bookings.c.status.in_([Status.EXPIRED, Status.CANCELED]),
            sa.or_(bookings.c.hapio_booking_id.is_not(None), bookings.c.hapio_unsure),
        )

    async def _due(self, *conditions: sa.ColumnElement[bool]) -> list[Booking]:
        ready = sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= self._now())
        rows = await self._all(sa.select(bookings).where(*conditions, ready).order_by(bookings.c.updated_at).limit(100))
        return [to_booking(row) for row in rows]

    # -- payments ----------------------------------------------------------------------------------------

    async def payments(self, booking_id: str) -> list[Payment]:
        """Every attempt to pay, oldest first."""
        rows = await self._all(
            sa.select(payments).where(payments.c.booking_id == booking_id).order_by(payments.c.attempt)
        )
        return [to_payment(row) for row in rows]

    async def payment(self, payment_id: str) -> Payment | None:
        """The payment with this id."""
        rows = await self._all(sa.select(payments).where(payments.c.id == payment_id))
        return to_payment(rows[0]) if rows else None

    async def add_payment(self, payment: Payment, *, deadline: datetime) -> bool:
        """Another attempt for a booking that awaits payment, in place of the unfinished ones, whose Sessions were
        never given out. False if the booking is over, an attempt is open, or another process was first."""
        now = self._now()
        async with self._write() as connection:
            moved = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == payment.booking_id,
                    bookings.c.status == Status.AWAITING_PAYMENT,
                    bookings.c.deadline > now,
                    ~_has_open_session(payment.booking_id),
                    ~sa.exists().where(
                        payments.c.booking_id == payment.booking_id, payments.c.attempt >= payment.attempt
                    ),
                )
                .values(deadline=deadline, updated_at=now)
            )
            if not moved.rowcount:
                return False
            await connection.execute(
                sa.update(payments)
                .where(payments.c.booking_id == payment.booking_id, payments.c.state == PaymentState.OPEN)
                .values(state=PaymentState.EXPIRED)
            )
            await connection.execute(sa.insert(payments).values(payment_row(payment)))
            return True

    async def record_session(self, payment: Payment, *, session_id: str, url: str, look_at: datetime) -> bool:
        """Store the Session, and only while its booking still awaits it: after True, the URL may be given out."""
        async with self._write() as connection:
            stored = await connection.execute(
                sa.update(payments)
                .where(
                    payments.c.id == payment.id,
                    payments.c.state == PaymentState.OPEN,
                    sa.exists().where(
                        bookings.c.id == payment.booking_id, bookings.c.status == Status.AWAITING_PAYMENT
                    ),
                )
                .values(session_id=session_id, session_url=url, next_look_at=look_at)
            )
            return bool(stored.rowcount)

    async def record_payment(self, seen: PaymentSeen) -> None:
        """Mirror what Stripe says of an attempt that moved no money, unless money was seen meanwhile. That is mirrored
        by `claim` or `add_refund`, together with what follows from it."""
        async with self._write() as connection:
            await _mirror(connection, seen, payments.c.state.in_(MAY_STILL_PAY))

    async def record_capture(self, payment_id: str, *, state: PaymentState, captured: int) -> None:
        """Mirror the end of a held payment: captured, or given back."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(payments).where(payments.c.id == payment_id).values(state=state, captured=captured)
            )

    async def payments_to_look_at(self) -> list[Payment]:
        """Open Sessions that should be read again, in case their webhook is lost."""
        rows = await self._all(
            sa.select(payments)
            .join(bookings, bookings.c.id == payments.c.booking_id)
            .where(
                payments.c.state.in_([PaymentState.OPEN, PaymentState.PROCESSING]),
                payments.c.next_look_at <= self._now(),
                bookings.c.status == Status.AWAITING_PAYMENT,
            )
            .order_by(payments.c.next_look_at)
            .limit(50)
        )
        return [to_payment(row) for row in rows]

    async def look_again(self, payment_id: str, *, at: datetime) -> None:
        """When to read this Session next."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(payments)
                .where(payments.c.id == payment_id)
                .values(next_look_at=at, looks=payments.c.looks + 1)
            )

    # -- refunds -----------------------------------------------------------------------------------------

    async def add_refund(self, refund: Refund, *, seen: PaymentSeen, mails: Sequence[OutboxMail] = ()) -> bool:
        """Owe money back; once per payment and reason. False if that is written already."""
        async with self._write() as connection:
            await _mirror(connection, seen)
            result = await connection.execute(
                sqlite.insert(refunds).values(refund_row(refund)).on_conflict_do_nothing()
            )
            if not result.rowcount:
                return False
            for mail in mails:
                await connection.execute(sqlite.insert(outbox).values(mail_row(mail)).on_conflict_do_nothing())
            return True

    async def refunds(self, booking_id: str) -> list[Refund]:
        """Every refund of a booking, oldest first."""
        rows = await self._all(
            sa.select(refunds).where(refunds.c.booking_id == booking_id).order_by(refunds.c.created_at)
        )
        return [to_refund(row) for row in rows]

    async def refunds_due(self) -> list[Refund]:
        """Refunds to ask Stripe for, or about."""
        rows = await self._all(
            sa.select(refunds).where(refunds.c.next_try_at <= self._now()).order_by(refunds.c.next_try_at).limit(50)
        )
        return [to_refund(row) for row in rows]

    async def try_refund(self, refund_id: str, *, again_at: datetime) -> Refund | None:
        """Note an attempt before it is made, with the time of the next one should no answer be stored."""
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund_id)
                .values(
                    tries=refunds.c.tries + 1,
                    next_try_at=again_at,
                    first_tried_at=sa.func.coalesce(refunds.c.first_tried_at, sa.literal(self._now(), Instant)),
                )
                .returning(*refunds.c)
            )
            row = result.mappings().first()
            return to_refund(row) if row else None

    async def record_refund(
        self, refund_id: str, *, status: str, stripe_refund_id: str | None, look_at: datetime | None
    ) -> None:
        """Mirror Stripe's word; `look_at` None when it is the last one."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(refunds)
                .where(refunds.c.id == refund_id)
                .values(
                    status=status,
                    stripe_refund_id=stripe_refund_id,
                    next_try_at=look_at,
                    updated_at=self._now(),
                )
            )

    # -- mail --------------------------------------------------------------------------------------------

    async def take_mail(self, *, lease: timedelta, most: int) -> list[OutboxMail]:
        """Mails to send now. Each is leased: another worker leaves it alone until the lease is over."""
        now = self._now()
        due = (
            sa.select(outbox.c.id)
            .where(outbox.c.sent_at.is_(None), outbox.c.next_try_at <= now)
            .order_by(outbox.c.next_try_at)
            .limit(most)
        )
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(outbox)
                .where(outbox.c.id.in_(due))
                .values(next_try_at=now + lease, tries=outbox.c.tries + 1)
                .returning(*outbox.c)
            )
            return [to_mail(row) for row in result.mappings()]

    async def record_mail(self, mail_id: str, *, error: str = "", again_at: datetime | None = None) -> None:
        """Sent (no `error`), put off (`again_at`), or given up."""
        sent_at = None if error else self._now()
        async with self._write() as connection:
            await connection.execute(
                sa.update(outbox)
                .where(outbox.c.id == mail_id)
                .values(sent_at=sent_at, last_error=error or None, next_try_at=again_at)
            )

    # -- webhooks ----------------------------------------------------------------------------------------

    async def add_event(self, event: Event, *, again_at: datetime) -> bool:
        """Store a webhook event once. `again_at` is when the worker takes it over. False for a repeated one."""
        row = {**asdict(event), "event_id": event.id, "tries": 0, "next_try_at": again_at, "received_at": self._now()}
        del row["id"]
        async with self._write() as connection:
            result = await connection.execute(sqlite.insert(inbox).values(row).on_conflict_do_nothing())
            return bool(result.rowcount)

    async def events_due(self) -> list[Event]:
        """Stored events that still await their effect."""
        columns = [inbox.c.event_id.label("id"), *(inbox.c[name.name] for name in fields(Event) if name.name != "id")]
        rows = await self._all(
            sa.select(*columns)
            .where(inbox.c.processed_at.is_(None), inbox.c.next_try_at <= self._now())
            .order_by(inbox.c.next_try_at)
            .limit(50)
        )
        return [Event(**row) for row in rows]

    async def record_event(self, event_id: str, *, error: str = "", again_at: datetime | None = None) -> None:
        """Processed (no `error`), or put off until `again_at`."""
        processed_at = None if error else self._now()
        async with self._write() as connection:
            await connection.execute(
                sa.update(inbox)
                .where(inbox.c.event_id == event_id)
                .values(
                    processed_at=processed_at,
                    last_error=error or None,
                    next_try_at=again_at,
                    tries=inbox.c.tries + 1,
                )
            )

    # -- counters ----------------------------------------------------------------------------------------

    async def add_to_counter(self, name: str, more: int) -> int:
        """Add to a named number, which begins at 0; the sum."""
        async with self._write() as connection:
            added = sqlite.insert(counters).values(name=name, value=more)
            result = await connection.execute(
                added.on_conflict_do_update(index_elements=["name"], set_={"value": counters.c.value + more}).returning(
                    counters.c.value
                )
            )
            return int(result.scalar_one())


async def _mirror(connection: AsyncConnection, seen: PaymentSeen, *conditions: sa.ColumnElement[bool]) -> None:
    await connection.execute(
        sa.update(payments)
        .where(payments.c.id == seen.payment_id, *conditions)
        .values(
            state=seen.state,
            session_id=seen.session_id,
            payment_intent_id=seen.payment_intent_id,
            captured=seen.captured,
        )
    )


def _crowded(booking: Booking, capacity: int, resource_id: str | None = None) -> sa.ColumnElement[bool]:
    """Whether some moment of the booking's buffered interval has `capacity` other live rows on the resource.

    The number of simultaneous rows can only rise where one starts, so those moments and the interval's own start
    are all that need looking at.
    """
    resource = resource_id or booking.resource_id
    other, live = bookings.alias("other"), bookings.alias("live")
    start = sa.literal(booking.buffer_starts_at, Instant)
    starts = sa.select(start.label("at")).union_all(
        sa.select(other.c.buffer_starts_at).where(
            other.c.occupies,
            other.c.resource_id == resource,
            other.c.id != booking.id,
            other.c.buffer_starts_at > booking.buffer_starts_at,
            other.c.buffer_starts_at < booking.buffer_ends_at,
        )
    )
    moment = starts.subquery("moment")
    simultaneous = (
        sa.select(sa.func.count())
        .select_from(live)
        .where(
            live.c.occupies,
            live.c.resource_id == resource,
            live.c.id != booking.id,
            live.c.buffer_starts_at <= moment.c.at,
            live.c.buffer_ends_at > moment.c.at,
        )
        .scalar_subquery()
    )
    return sa.exists(sa.select(sa.literal(1)).select_from(moment).where(simultaneous >= capacity))


def _has_open_session(booking_id: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        payments.c.booking_id == booking_id,
        payments.c.session_id.is_not(None),
        payments.c.state.in_([PaymentState.OPEN, PaymentState.PROCESSING]),
    )

"""Bookings: the slot guard for holds, the one writer of status, and what is due; `find_bookings` reads them.

One file, because to check that there is only one writer of status, you have to see every statement that writes the
table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.booking import LIVE, TRANSITIONS, Booking, Channel, Customer, EndReason, Status
from app.domain.history import HistoryWord
from app.domain.money import Money
from app.domain.move import OPEN_MOVES, Move, MoveState
from app.domain.outbox import OutboxMail
from app.domain.refund import Owed, Refund, RefundStatus
from app.domain.set_back import APART
from app.domain.terms import Terms
from app.store.change import Change
from app.store.database import Database
from app.store.due import add_mails, add_refunds, draw, mirror, remember
from app.store.offers import end_offers, is_offered
from app.store.prepared import asked
from app.store.reservations import change_reservation, insert_reservation, read_booking, settle_due
from app.store.rows import (
    booking_row,
    customer_columns,
    payment_row,
)
from app.store.search import follow_search
from app.store.sessions import has_open_session
from app.store.slot_guard import guard_of, guarded, room, room_asked
from app.store.tables import (
    bookings,
    moves,
    outbox,
    payments,
    refunds,
    reservations,
)

_SEARCHED = sa.select(bookings.c.customer_search).where(bookings.c.id == sa.bindparam("of"))


class BookingRows(Database):
    """The table `bookings`."""

    async def insert_hold(
        self,
        booking: Booking,
        *,
        capacity: int | None,
        what: HistoryWord = HistoryWord.HELD,
        detail: Mapping[str, str] | None = None,
    ) -> bool:
        """The slot guard: insert a hold unless the resource would be over `capacity` at any moment of the
        buffered interval, which nobody else may look at meanwhile. False means someone else has it. `what` and
        `detail` are how it came about.

        At the desk, also unless the same form has already made a booking: a form books once, whichever process takes it
        and whichever person it would be with.
        """
        desk = booking.channel is Channel.DESK
        row = {**booking_row(booking), **guarded(booking.interval, capacity or 0, booking_id=booking.id)}
        async with self._write() as connection:
            if desk:
                await self.backend.lock_name(connection, f"form {booking.visitor.key}")
            if capacity is not None:
                await self.backend.lock_name(connection, guard_of(booking.resource_id))
            statement = _insert_hold(limited=capacity is not None, once=desk)
            inserted = await connection.execute(statement, {**row, "form": booking.visitor.key} if desk else row)
            if inserted.first() is None:
                return False
            await insert_reservation(connection, booking.reservation)
            await follow_search(self.backend, connection, "", row["customer_search"])
            await settle_due(connection, booking.id, at=self._now())
            await remember(connection, booking.id, what, booking.status, at=self._now(), detail=detail)
            return True

    async def lease(self, booking: Booking, *, until: datetime) -> Booking | None:
        """Take what is due about a booking (not about its reservation) for this process alone until that time, if it is
        still as it was read. None while another process has it, or waits before its next attempt."""
        now = self._now()
        return await self._update(
            booking.id,
            sa.update(bookings)
            .where(
                bookings.c.status == booking.status,
                _as_read(booking),
                sa.or_(bookings.c.next_try_at.is_(None), bookings.c.next_try_at <= now),
            )
            .values(next_try_at=until),
        )

    async def record_lock(
        self,
        booking: Booking,
        *,
        reference: str,
        terms: Terms,
        shown: Money | None = None,
        other_person: bool = False,
        unsure: bool = False,
    ) -> Booking | None:
        """Store the scheduler's answer to the lock, whatever happened to the booking meanwhile: if it has ended, the
        lock has to be released. `shown` is the price that the visitor saw, where it is another than the one in `terms`;
        `other_person` that the time is with another person than was booked; `unsure` that an earlier call, whose answer
        was lost, may make a second one yet."""
        async with self._write(booking.id) as connection:
            found = {"reference": reference, "unsure": unsure}
            await change_reservation(connection, booking.reservation.id, found, at=self._now())
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking.id)
                .values(terms=terms.to_json(), updated_at=self._now())
            )
            await settle_due(connection, booking.id, at=self._now())
            held = await read_booking(connection, booking.id)
            if held and shown is not None:
                detail = {"shown": shown.amount}
                word = HistoryWord.PRICE_CHANGED
                await remember(connection, booking.id, word, held.status, at=self._now(), detail=detail)
            if held and other_person:
                await remember(connection, booking.id, HistoryWord.OTHER_PERSON, held.status, at=self._now())
            return held

    async def set_customer(self, booking_id: str, customer: Customer) -> Booking | None:
        """Store the details of a live hold; None if it is over."""
        live = bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]), bookings.c.deadline > self._now()
        return await self._name(booking_id, customer, *live)

    async def fill_in_customer(self, booking_id: str, customer: Customer) -> None:
        """Fill in the customer, as another system remembers them, where the row has none."""
        await self._name(booking_id, customer, bookings.c.customer_email == "")

    async def _name(self, booking_id: str, customer: Customer, *where: sa.ColumnElement[bool]) -> Booking | None:
        columns = customer_columns(customer)
        async with self._write(booking_id) as connection:
            found = await connection.execute(_SEARCHED, {"of": booking_id})
            before: str = found.scalar() or ""
            named = sa.update(bookings).where(bookings.c.id == booking_id, *where)
            done = await connection.execute(named.values(**columns, updated_at=self._now()))
            if not done.rowcount:
                return None
            await follow_search(self.backend, connection, before, columns["customer_search"])
            return await read_booking(connection, booking_id)

    async def replace_reference(self, booking: Booking, reference: str) -> Booking | None:
        """The scheduler now has the booking under another id. None if the row has changed since it was read."""
        unchanged = sa.exists().where(
            bookings.c.id == booking.id,
            bookings.c.status == booking.status,
            bookings.c.reservation_id == reservations.c.id,
        )
        async with self._write(booking.id) as connection:
            replaced = await connection.execute(
                sa.update(reservations)
                .where(
                    reservations.c.id == booking.reservation.id,
                    reservations.c.reference.is_not_distinct_from(booking.reservation.reference),
                    unchanged,
                )
                .values(reference=reference)
            )
            return await read_booking(connection, booking.id) if replaced.rowcount else None

    async def extend(self, booking_id: str, *, deadline: datetime, most: int) -> Booking | None:
        """Move the hold's deadline, at most `most` times; None if it is over or used up."""
        return await self._update(
            booking_id,
            sa.update(bookings)
            .where(
                bookings.c.status == Status.HELD,
                bookings.c.deadline > self._now(),
                bookings.c.extensions < most,
            )
            .values(deadline=deadline, extensions=bookings.c.extensions + 1),
            what=HistoryWord.EXTENDED,
        )

    async def await_link(
        self,
        booking_id: str,
        *,
        deadline: datetime,
        what: HistoryWord,
        mails: Sequence[OutboxMail],
        detail: Mapping[str, str],
    ) -> Booking | None:
        """Hold an unpaid booking made at the desk until `deadline`, while its customer pays with the link in a mail;
        None if it is over. `what` says whether the link is new, renewed or extended."""
        async with self._write(booking_id) as connection:
            held = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == booking_id,
                    bookings.c.status.in_([Status.HELD, Status.AWAITING_PAYMENT]),
                    bookings.c.channel == Channel.DESK,
                    bookings.c.deadline > self._now(),
                )
                .values(pay_link=True, deadline=deadline, updated_at=self._now())
                .returning(bookings.c.status)
            )
            row = held.first()
            if row is None:
                return None
            await remember(connection, booking_id, what, Status(row.status), at=self._now(), detail=detail)
            await add_mails(connection, mails)
            return await read_booking(connection, booking_id)

    async def postpone(self, booking_id: str, *, deadline: datetime) -> Booking | None:
        """Move the deadline of a booking whose payment is still processing."""
        return await self._update(
            booking_id,
            sa.update(bookings).where(bookings.c.status == Status.AWAITING_PAYMENT).values(deadline=deadline),
        )

    async def mark_no_show(self, booking_id: str, *, no_show: bool) -> Booking | None:
        """Note that the customer did not come, or remove that note; only once the visit has begun."""
        return await self._update(
            booking_id,
            sa.update(bookings)
            .where(
                bookings.c.status == Status.CONFIRMED,
                sa.exists().where(
                    reservations.c.id == bookings.c.reservation_id, reservations.c.starts_at <= self._now()
                ),
                bookings.c.no_show != no_show,
            )
            .values(no_show=no_show),
            what=HistoryWord.NO_SHOW if no_show else HistoryWord.CAME_AFTER_ALL,
        )

    async def renew_link(self, booking: Booking, *, mails: Sequence[OutboxMail], not_since: datetime) -> bool:
        """Retire the manage links mailed so far, and make a mail with a new one due; not if that has happened since
        then."""
        lately = sa.exists().where(
            outbox.c.booking_id == booking.id,
            outbox.c.kind.in_([mail.kind for mail in mails]),
            outbox.c.created_at > not_since,
            outbox.c.created_at <= self._now() + APART,  # else the clock was set back
        )
        async with self._write(booking.id) as connection:
            renewed = await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking.id, bookings.c.link_version == booking.link_version, ~lately)
                .values(link_version=bookings.c.link_version + 1)
            )
            if renewed.rowcount:
                await add_mails(connection, mails)
            return bool(renewed.rowcount)

    async def use_link(self, booking_id: str, version: int) -> None:
        """A manage link of this version was used: older links stop working."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(bookings)
                .where(bookings.c.id == booking_id, bookings.c.link_version < version)
                .values(link_version=version)
            )

    async def owe(self, owed: Owed, *, what: HistoryWord, mails: Sequence[OutboxMail] = ()) -> list[Refund]:
        """Make a refund outside the terms due, of at most what is left of the payments. Returns the new refunds."""
        async with self._write(owed.booking_id) as connection:
            drawn = await draw(connection, owed)
            rows = await connection.execute(sa.select(bookings.c.status).where(bookings.c.id == owed.booking_id))
            if not drawn or not await add_refunds(connection, drawn):
                return []
            amount = sum(refund.amount.amount for refund in drawn)
            status = Status(rows.scalar_one())
            await remember(connection, owed.booking_id, what, status, at=self._now(), detail={"amount": amount})
            await add_mails(connection, mails)
            return drawn

    async def put_off(self, booking_id: str, *, until: datetime) -> None:
        """Something that is due for this booking failed: try again at `until`."""
        await self._update(booking_id, sa.update(bookings).values(next_try_at=until, tries=bookings.c.tries + 1))

    async def claim(self, booking_id: str, change: Change) -> Booking | None:
        """Change the status if it is still one of `change.from_`. Only this method and those that undo a cancellation
        change a status. What has to be written with the change is in the same transaction. None means that another
        change came first: do nothing outside the database then."""
        conditions: list[sa.ColumnElement[bool]] = []
        if change.before_deadline:
            conditions.append(bookings.c.deadline > self._now())
        if change.due_by:
            conditions.append(bookings.c.deadline <= change.due_by)
        if change.without_open_session:
            conditions.append(~has_open_session(payments.c.booking_id == booking_id))
        if change.chooses:
            after = None if change.chosen_before else self._now()
            conditions.append(is_offered(booking_id, change.chooses, after=after))
        if change.unchanged_since is not None:
            conditions += [
                bookings.c.revision == change.unchanged_since,
                ~_has_open_move(booking_id, but=change.ends_move),
            ]
        async with self._write(booking_id) as connection:
            booking = await self._claim(connection, booking_id, change, *conditions)
            if booking is None:
                return None
            if change.payment:
                await connection.execute(sa.insert(payments).values(payment_row(change.payment)))
            if change.seen:
                await mirror(connection, change.seen)
            if change.refund:
                await add_refunds(connection, [change.refund])
            if change.owes:
                await add_refunds(connection, await draw(connection, change.owes))
            await add_mails(connection, change.mails)
            return booking

    async def take_back(self, booking: Booking, *, capacity: int | None) -> Booking | None:
        """Begin to undo a cancellation, if none of its refunds has been attempted and the time is free. The refunds
        wait until the scheduler has agreed or refused. None if it is too late."""
        heard = sa.exists().where(reservations.c.id == bookings.c.reservation_id, reservations.c.due.is_(None))
        free = room(booking.interval, capacity, booking_id=booking.id)
        async with self._write(booking.id) as connection:
            if capacity is not None:
                await self.backend.lock_name(connection, guard_of(booking.resource_id))
            return await self._take_back(connection, booking, bookings.c.undo_until > self._now(), heard, free)

    async def _take_back(
        self, connection: AsyncConnection, booking: Booking, *conditions: sa.ColumnElement[bool]
    ) -> Booking | None:
        attempted = sa.or_(refunds.c.tries > 0, refunds.c.status != RefundStatus.REQUESTED)
        untried = ~sa.exists().where(*_refunds_of_cancel(booking), attempted)
        change = Change((Status.CANCELED,), Status.PAID, HistoryWord.TAKING_BACK, reservation={"occupies": True})
        back = await self._claim(connection, booking.id, change, _as_read(booking), untried, *conditions)
        if back:
            await connection.execute(sa.update(refunds).where(*_refunds_of_cancel(booking)).values(next_try_at=None))
        return back

    async def taken_back(
        self, booking: Booking, *, reference: str, unsure: bool, find_out_at: datetime, mails: Sequence[OutboxMail]
    ) -> Booking | None:
        """The scheduler has agreed to undo: the booking is confirmed again, and its refunds are withdrawn. If `unsure`,
        an earlier call may have made a second booking there; it is looked for from `find_out_at` on."""
        change = _taken_back(reference, unsure=unsure, find_out_at=find_out_at)
        async with self._write(booking.id) as connection:
            return await self._confirm_again(connection, booking, change, mails)

    async def was_taken_back(self, booking: Booking, *, reference: str, mails: Sequence[OutboxMail]) -> Booking | None:
        """A cancellation was undone after the copy was made that was put back: the booking is confirmed again, however
        late that is, and its refunds are withdrawn. None if one of them has been attempted, or if the booking was
        changed meanwhile."""
        change = _taken_back(reference, unsure=False)
        async with self._write(booking.id) as connection:
            back = await self._take_back(connection, booking)
            return await self._confirm_again(connection, back, change, mails) if back else None

    async def _confirm_again(
        self, connection: AsyncConnection, booking: Booking, change: Change, mails: Sequence[OutboxMail]
    ) -> Booking | None:
        back = await self._claim(connection, booking.id, change, _as_read(booking))
        if back:
            await connection.execute(
                sa.update(refunds)
                .where(*_refunds_of_cancel(booking))
                .values(status=RefundStatus.WITHDRAWN, next_try_at=None, updated_at=self._now())
            )
            await add_mails(connection, mails)
        return back

    async def not_taken_back(
        self,
        booking: Booking,
        *,
        why: EndReason | None,
        mails: Sequence[OutboxMail],
        find_out_at: datetime | None = None,
    ) -> Booking | None:
        """The scheduler has refused to undo, or there is another reason `why`: the booking stays cancelled, and its
        refunds go out. If it never answered, it may have made a booking all the same; that is looked for from
        `find_out_at` on."""
        now, sure = self._now(), find_out_at is None
        change = Change(
            (Status.PAID,),
            Status.CANCELED,
            HistoryWord.NOT_TAKEN_BACK,
            values={"undo_until": now},
            reservation={"canceled": sure, "unsure": not sure},
            find_out_at=find_out_at,
            detail={"why": why} if why else {},
        )
        async with self._write(booking.id) as connection:
            left = await self._claim(connection, booking.id, change, _as_read(booking))
            if left:
                await connection.execute(
                    sa.update(refunds)
                    .where(*_refunds_of_cancel(booking), refunds.c.status == RefundStatus.REQUESTED)
                    .values(next_try_at=now)
                )
                await add_mails(connection, mails)
            return left

    async def _claim(
        self, connection: AsyncConnection, booking_id: str, change: Change, *conditions: sa.ColumnElement[bool]
    ) -> Booking | None:
        for status in change.from_:
            if change.to not in TRANSITIONS[status]:
                raise ValueError(f"{status} → {change.to} is not in TRANSITIONS")
        now = self._now()
        statement = _claim_of(tuple(change.from_))
        if conditions:
            statement = statement.where(*conditions)
        worked_out = {name: value for name, value in change.values.items() if isinstance(value, sa.ColumnElement)}
        if worked_out:
            statement = statement.values(**worked_out)
        values = {"status": change.to, "updated_at": now, "next_try_at": None, "tries": 0, **change.values}
        if change.chooses:
            values["reservation_id"] = change.chooses
        given = {name: value for name, value in values.items() if name not in worked_out}
        returning = statement.returning(bookings.c.reservation_id, bookings.c.end_reason, bookings.c.was_expired)
        claimed = await connection.execute(returning, {"of": booking_id, **given})
        row = claimed.first()
        if row is None:
            return None
        facts = change.reservation if change.to in LIVE else {"occupies": False, **change.reservation}
        if change.chooses:
            facts = {"offered_until": None, **facts}
        if facts:
            await change_reservation(connection, row.reservation_id, facts, at=now)
        if row.was_expired and change.to in {Status.CONFIRMED, Status.CANCELED}:
            await end_offers(connection, booking_id, at=now)
        if change.ends_move:
            await _end_move(connection, change.ends_move, row.end_reason, at=now)
        await settle_due(connection, booking_id, at=now, find_out_at=change.find_out_at)
        await remember(connection, booking_id, change.what, change.to, at=now, detail=change.detail)
        return await read_booking(connection, booking_id)

    async def _update(
        self, booking_id: str, statement: sa.Update, *, what: HistoryWord | None = None
    ) -> Booking | None:
        of_it = statement.where(bookings.c.id == booking_id).values(updated_at=self._now())
        async with self._write(booking_id) as connection:
            row = (await connection.execute(of_it.returning(bookings.c.status))).first()
            if row is None:
                return None
            if what:
                await remember(connection, booking_id, what, Status(row.status), at=self._now())
            return await read_booking(connection, booking_id)


@cache
def _insert_hold(*, limited: bool, once: bool) -> sa.Executable:
    row = sa.select(*(sa.bindparam(column.name, None, type_=column.type, required=False) for column in bookings.c))
    made = bookings.alias("made")
    before = sa.exists().where(made.c.visitor_key == asked("form"), made.c.status != Status.EXPIRED)
    return (
        sa.insert(bookings)
        .from_select(
            [column.name for column in bookings.c],
            row.where(room_asked(limited=limited), ~before if once else sa.true()),
        )
        .returning(bookings.c.id)
    )


@cache
def _claim_of(from_: tuple[Status, ...]) -> sa.Update:
    return sa.update(bookings).where(bookings.c.id == asked("of"), bookings.c.status.in_(from_))


def _has_open_move(booking_id: str, *, but: Move | None = None) -> sa.ColumnElement[bool]:
    """Whether the booking has an open move, other than one that this change may end."""
    ends = sa.and_(moves.c.id == but.id, moves.c.state == MoveState.MOVING) if but else sa.false()
    return sa.exists().where(moves.c.booking_id == booking_id, moves.c.state.in_(list(OPEN_MOVES)), ~ends)


async def _end_move(connection: AsyncConnection, move: Move, reason: EndReason | None, *, at: datetime) -> None:
    ended = await connection.execute(
        sa.update(moves)
        .where(moves.c.id == move.id, moves.c.state == MoveState.MOVING)
        .values(state=MoveState.REFUSED, end_reason=reason, updated_at=at, next_try_at=None, tries=0)
    )
    if ended.rowcount:
        await change_reservation(connection, move.reservation.id, {"occupies": False}, at=at)


def _as_read(booking: Booking) -> sa.ColumnElement[bool]:
    """Its status may be the same again: one that is paid may have become so by being taken back."""
    return bookings.c.revision == booking.revision


def _taken_back(reference: str, *, unsure: bool, find_out_at: datetime | None = None) -> Change:
    return Change(
        (Status.PAID,),
        Status.CONFIRMED,
        HistoryWord.TAKEN_BACK,
        values={"end_reason": None, "canceled_at": None, "undo_until": None, "revision": bookings.c.revision + 1},
        reservation={"reference": reference, "canceled": False, "unsure": unsure},
        find_out_at=find_out_at,
    )


def _refunds_of_cancel(booking: Booking) -> tuple[sa.ColumnElement[bool], ...]:
    """The refunds of this cancellation, not of an earlier one that was undone."""
    return (
        refunds.c.booking_id == booking.id,
        refunds.c.reason == booking.end_reason,
        refunds.c.cause == str(booking.revision),
    )

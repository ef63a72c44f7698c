"""Mails that are due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.booking import Actor, Booking, Customer, Status
from app.domain.customer import customer_key, search_text
from app.domain.history import HistoryWord
from app.domain.outbox import OutboxMail
from app.store.customers import follow_note
from app.store.database import Database
from app.store.due import add_mails, remember
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.rows import customer_columns, to_mail
from app.store.search import follow_search
from app.store.tables import (
    GIVEN_UP,
    Instant,
    bookings,
    outbox,
)

#: `last_error` of a mail that was not sent because it came to wait until it was no longer true.
_OBSOLETE = "no longer true"
_TO_CUSTOMER = sa.not_(outbox.c.kind.endswith("_owner"))
_GIVEN_UP = sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_(None), outbox.c.last_error != _OBSOLETE)

_LAST_TO_CUSTOMER = Prepared(
    sa.select(outbox.c.sent_at, outbox.c.last_error)
    .where(outbox.c.booking_id == asked("booking_id"), _TO_CUSTOMER, sa.or_(outbox.c.sent_at.is_not(None), _GIVEN_UP))
    .order_by(outbox.c.due_at.desc(), outbox.c.created_at.desc())
    .limit(1)
)
#: Ids in one question.
_BATCH = 500
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_RECORD = sa.update(outbox).where(outbox.c.id == asked("of"))


class OutboxRows(Database):
    """The table `outbox`."""

    async def take_mail(self, *, lease: timedelta, most: int) -> list[OutboxMail]:
        """Mails to send now. Each is leased: another worker leaves it alone until the lease is over."""
        now = self._now()
        async with self._write() as connection:
            result = await connection.execute(_TAKE, {"now": now, "until": now + lease, "most": most})
            return [to_mail(row) for row in result.mappings()]

    async def add_mail(self, mails: Sequence[OutboxMail]) -> None:
        """Add mails that do not come from a change of a booking."""
        async with self._write() as connection:
            await add_mails(connection, mails)

    async def record_mail(
        self, mail_id: str, *, error: str = "", again_at: datetime | None = None, mails: Sequence[OutboxMail] = ()
    ) -> None:
        """Sent (no `error`), put off (`again_at`), or given up, for which `mails` tell the owner."""
        sent_at = None if error else self._now()
        async with self._write() as connection:
            await add_mails(connection, mails)
            values = {"sent_at": sent_at, "last_error": error or None, "next_try_at": again_at}
            await connection.execute(_RECORD, {"of": mail_id, **values})

    async def mail_problem(self, booking_id: str) -> str:
        """Why the newest mail to a booking's customer was given up; empty where it was sent, or is still tried."""
        rows = await self._fetch(_LAST_TO_CUSTOMER, booking_id=booking_id)
        return next((row["last_error"] for row in rows if row["sent_at"] is None), "")

    async def mails_late(self, due_before: datetime) -> tuple[int, str]:
        """How many mails that were due before then wait still, and why one of them was not sent at its last try."""
        # What was sent has no next try. Compared, and not only said to be there, so that SQLite takes `outbox_due`.
        late = [outbox.c.next_try_at > _LONG_AGO, outbox.c.due_at <= due_before]
        wanted: list[Any] = [sa.func.count().label("many"), sa.func.max(outbox.c.last_error).label("why")]
        [row] = await self._all(sa.select(*wanted).where(*late))
        return int(row["many"]), row["why"] or ""

    async def mails_given_up(self, due_since: datetime) -> list[str]:
        """The bookings of mails that were given up and were due since then, one for each mail."""
        rows = await self._all(
            sa.select(outbox.c.booking_id).where(GIVEN_UP, outbox.c.due_at >= due_since).order_by(outbox.c.due_at)
        )
        return [row["booking_id"] for row in rows]

    async def resend_mail(self, mail_id: str, *, tries: int, who: str = "") -> bool:
        """Send one mail now that was given up, or waits for its next try. False where it has been tried since it was
        seen with so many tries, was sent, or is not due yet."""
        waits = sa.and_(
            outbox.c.sent_at.is_(None), outbox.c.next_try_at > self._now(), outbox.c.last_error.is_not(None)
        )
        as_seen = [outbox.c.id == mail_id, outbox.c.tries == tries, sa.or_(_GIVEN_UP, waits)]
        return bool(await self._resend(*as_seen, who=who))

    async def resend_mails(self, booking_id: str = "", *, who: str = "") -> int:
        """Make the given-up mails of a booking, or without one of all bookings, due again. Returns how many there are.
        `who` asks for it, for the history."""
        return await self._resend(_GIVEN_UP, *([outbox.c.booking_id == booking_id] if booking_id else []), who=who)

    async def _resend(self, *which: sa.ColumnElement[bool], who: str) -> int:
        async with self._write() as connection:
            again = sa.update(outbox).where(*which).values(**self._afresh()).returning(outbox.c.booking_id)
            ids = list((await connection.execute(again)).scalars())
            named = sa.select(bookings.c.id, bookings.c.status)
            those = list(dict.fromkeys(ids))
            found: list[Any] = []
            for first in range(0, len(those), _BATCH):
                part = named.where(bookings.c.id.in_(those[first : first + _BATCH]))
                found += (await connection.execute(part)).all()
            for booking in found:
                detail = {"by": str(Actor.OWNER), **({"who": who} if who else {})}
                status = Status(booking.status)
                await remember(connection, booking.id, HistoryWord.MAILS_RESENT, status, at=self._now(), detail=detail)
            return len(ids)

    async def correct(
        self,
        booking: Booking,
        customer: Customer,
        *,
        retire: bool,
        otherwise: Sequence[OutboxMail],
        detail: Mapping[str, str | int],
    ) -> bool:
        """Give a booking's customer other details. With `retire` the manage links mailed so far are retired, and what
        did not reach the customer is sent again; where that is nothing, `otherwise`. False if the booking has changed
        since it was read."""
        failing = sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at.is_not(None), outbox.c.tries > 0)
        before = booking.customer
        readdressed = before is None or before.email != customer.email
        async with self._write(booking.id) as connection:
            corrected = await connection.execute(
                sa.update(bookings)
                .where(
                    bookings.c.id == booking.id,
                    # A process of the version before this one writes none.
                    bookings.c.customer_search.in_([search_text(before), ""]),
                    bookings.c.link_version == booking.link_version,
                )
                .values(**customer_columns(customer), link_version=bookings.c.link_version + int(retire))
                .returning(bookings.c.status)
            )
            row = corrected.first()
            if row is None:
                return False
            await follow_note(connection, customer_key(before), customer_key(customer))
            await follow_search(self.backend, connection, search_text(before), search_text(customer))
            what = HistoryWord.EMAIL_CORRECTED if readdressed else HistoryWord.DETAILS_CORRECTED
            await remember(connection, booking.id, what, Status(row.status), at=self._now(), detail=detail)
            if not retire:
                return True
            again = await connection.execute(
                sa.update(outbox)
                .where(outbox.c.booking_id == booking.id, _TO_CUSTOMER, sa.or_(_GIVEN_UP, failing))
                .values(**self._afresh())
            )
            if not again.rowcount:
                await add_mails(connection, otherwise)
            return True

    def _afresh(self) -> dict[str, object]:
        return {"next_try_at": self._now(), "due_at": self._now(), "tries": 0, "last_error": None}


def mail_is_due(now: Moment) -> sa.ColumnElement[bool]:
    """Whether a mail is to be sent, and may be tried now."""
    return sa.and_(outbox.c.sent_at.is_(None), outbox.c.next_try_at <= now)


def _take() -> sa.Update:
    due = (
        sa.select(outbox.c.id)
        .where(mail_is_due(NOW))
        .order_by(outbox.c.next_try_at)
        .limit(asked("most", sa.Integer))
        # On PostgreSQL: what another worker is just leasing is left to it. A CTE, so that it is read once only.
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        sa.update(outbox)
        .where(outbox.c.id.in_(sa.select(due.c.id)))
        .values(next_try_at=asked("until", Instant), tries=outbox.c.tries + 1)
        .returning(*outbox.c)
    )


_TAKE = _take()

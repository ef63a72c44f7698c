"""What one process has read from a scheduler, for the others: months, who reads one now, what is doubted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.domain.reservation import Reservation
from app.domain.set_back import APART
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.prepared import NOW, Prepared, asked
from app.store.rows import to_reservation
from app.store.tables import (
    Instant,
    Row,
    readings,
    reservations,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """A month as the scheduler told it at `asked_at`; None before anyone has read it."""

    key: str
    asked_at: datetime | None
    cost: int
    body: bytes
    holder: str
    lease_until: datetime | None


@dataclass(frozen=True, slots=True)
class Mark:
    """That a month was read, or that something may have changed in it."""

    key: str
    asked_at: datetime | None
    doubted_at: datetime | None


_READING = Prepared(sa.select(readings).where(readings.c.key == asked("key")))
_MARKS = Prepared(
    sa.select(readings.c.key, readings.c.asked_at, readings.c.doubted_at).where(
        readings.c.scheduler == asked("scheduler"),
        readings.c.ends_to > NOW,
        sa.or_(readings.c.asked_at >= asked("since", Instant), readings.c.doubted_at >= asked("since", Instant)),
    )
)
_LEASE = (
    sa.update(readings)
    .where(
        readings.c.key == asked("of"),
        sa.or_(
            readings.c.lease_until.is_(None),
            readings.c.lease_until <= NOW,
            readings.c.lease_until > asked("ahead", Instant),
        ),
    )
    .returning(*readings.c)
)


class ReadingRows(Database):
    """The table `readings`."""

    async def reading(self, key: str) -> Reading | None:
        """What is known of a month."""
        rows = await self._fetch(_READING, key=key)
        return _to_reading(rows[0]) if rows else None

    async def reading_marks(self, scheduler: str, *, since: datetime) -> list[Mark]:
        """When each month of a scheduler that is not over was read and doubted last, of those where either was after
        that moment."""
        rows = await self._fetch(_MARKS, scheduler=scheduler, since=since, now=self._now())
        return [Mark(row["key"], row["asked_at"], row["doubted_at"]) for row in rows]

    async def lease_reading(
        self, key: str, *, scheduler: str, span: tuple[datetime, datetime], holder: str, until: datetime
    ) -> Reading | None:
        """Have the month for this process alone until then; the reading that was there last. None while another
        process has it, which is for as long at most: else the clock was set back. What is over goes."""
        row = {"key": key, "scheduler": scheduler, "starts_from": span[0], "ends_to": span[1], "cost": 1, "holder": ""}
        now = self._now()
        async with self._write() as connection:
            if await insert_if_new(connection, readings, row):
                await connection.execute(sa.delete(readings).where(readings.c.ends_to < now))
            asks = {"of": key, "now": now, "ahead": until + APART, "holder": holder, "lease_until": until}
            taken = await connection.execute(_LEASE, asks)
            found = taken.mappings().first()
            return _to_reading(found) if found else None

    async def put_reading(self, key: str, *, holder: str, asked_at: datetime, cost: int, body: bytes) -> None:
        """What the scheduler has told, for everyone, unless the reading that is there is newer; others may read the
        month now."""
        values = {"asked_at": asked_at, "cost": cost, "body": body}
        ours = sa.and_(readings.c.key == key, readings.c.holder == holder)
        older = sa.or_(
            readings.c.asked_at.is_(None),
            readings.c.asked_at < asked_at,
            readings.c.asked_at > self._now() + APART,  # from before the clock was set back
        )
        async with self._write() as connection:
            kept = await connection.execute(sa.update(readings).where(ours, older).values(**values, lease_until=None))
            if not kept.rowcount:
                await connection.execute(sa.update(readings).where(ours).values(lease_until=None))

    async def end_reading(self, key: str, *, holder: str, rest_until: datetime | None = None) -> None:
        """Let others read the month: at once, or, where it could not be read, from then on."""
        values = {"lease_until": rest_until, **({"holder": ""} if rest_until else {})}
        async with self._write() as connection:
            await connection.execute(
                sa.update(readings).where(readings.c.key == key, readings.c.holder == holder).values(**values)
            )

    async def doubt_readings(self, scheduler: str, moments: Collection[datetime]) -> None:
        """Something may have changed at these moments, or who knows when."""
        around = [sa.and_(readings.c.starts_from <= at, readings.c.ends_to > at) for at in moments]
        where = [sa.or_(*around)] if around else []
        async with self._write() as connection:
            await connection.execute(
                sa.update(readings).where(readings.c.scheduler == scheduler, *where).values(doubted_at=self._now())
            )

    async def outdate_readings(self, scheduler: str, starts_from: datetime, ends_to: datetime) -> None:
        """What was read of this interval is no longer valid: it is read again before it is shown."""
        over = sa.and_(readings.c.starts_from < ends_to, readings.c.ends_to > starts_from)
        values = {"doubted_at": self._now(), "asked_at": None, "body": None}
        async with self._write() as connection:
            await connection.execute(sa.update(readings).where(readings.c.scheduler == scheduler, over).values(values))

    async def released(self, reservation_ids: Collection[str]) -> list[Reservation]:
        """Those of them that take up no time any more, neither here nor at the scheduler."""
        rows = await self._all(
            sa.select(reservations).where(
                reservations.c.id.in_(list(reservation_ids)), ~reservations.c.occupies, reservations.c.due.is_(None)
            )
        )
        return [to_reservation(row) for row in rows]

    def changes(self) -> AsyncIterator[None]:
        """Comes round whenever other processes may have written something, and now and then without that."""
        return self.backend.changes()

    async def tell_others(self) -> None:
        """Let `changes` of other processes come round."""
        await self.backend.tell_others()


def _to_reading(row: Row) -> Reading:
    return Reading(row["key"], row["asked_at"], row["cost"], row["body"] or b"", row["holder"], row["lease_until"])

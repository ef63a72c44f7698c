"""Webhook events, each stored once, and named counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.domain.event import Event, StoredEvent
from app.store.conflicts import insert_if_new, raise_counter, set_counter, take_turn
from app.store.database import Database
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.tables import (
    Row,
    counters,
    inbox,
)

_FACTS = [field.name for field in fields(Event) if field.name != "id"]
#: Since when events of Stripe's had to be fetched, and when the last time was.
_MISSED_SINCE, _MISSED_LAST = "stripe:missed_since", "stripe:missed_last"
#: The worker asks for events every ten minutes. One look finds what a stopped server has missed, which is no fault.
_TWO_LOOKS = timedelta(minutes=5)
_SILENT_FOR = timedelta(days=1)
#: SQLite and PostgreSQL take this many values in one question, and more.
_BATCH = 500


class InboxRows(Database):
    """The tables `inbox` and `counters`."""

    async def add_event(self, event: Event, *, again_at: datetime) -> bool:
        """Store a webhook event once. `again_at` is when the worker takes it over. False for a repeated one."""
        return bool(await self.add_events([event], again_at=again_at))

    async def add_events(self, events: Sequence[Event], *, again_at: datetime) -> int:
        """Store events once each, in one transaction. Returns how many were new."""
        added = 0
        if not events:  # as most looks for what was missed find it: no write
            return added
        async with self._write() as connection:
            for event in sorted(events, key=lambda event: event.id):  # in one order: no two wait for each other
                row = {**asdict(event), "tries": 0, "next_try_at": again_at, "received_at": self._now()}
                row["event_id"] = row.pop("id")
                added += await insert_if_new(connection, inbox, row)
        return added

    async def events_due(self) -> list[StoredEvent]:
        """Stored events that still await their effect."""
        return [_stored(row) for row in await self._fetch(_DUE, now=self._now())]

    async def events(
        self, *, waiting: bool = False, booking_id: str = "", skip: int = 0, most: int = 100
    ) -> list[StoredEvent]:
        """The latest stored events, newest first; with `waiting` those without their effect."""
        newest = sa.select(inbox).order_by(inbox.c.received_at.desc(), inbox.c.event_id)
        chosen = newest.limit(most).offset(skip)
        if waiting:
            chosen = chosen.where(inbox.c.processed_at.is_(None))
        if booking_id:
            chosen = chosen.where(inbox.c.booking_id == booking_id)
        return await self._events(chosen)

    async def event(self, event_id: str) -> StoredEvent | None:
        """The stored event with this id."""
        found = await self._events(sa.select(inbox).where(inbox.c.event_id == event_id))
        return found[0] if found else None

    async def unknown_events(self, events: Sequence[Event]) -> list[Event]:
        """Those that are not stored yet, oldest first."""
        known: set[str] = set()
        for first in range(0, len(events), _BATCH):
            ids = [event.id for event in events[first : first + _BATCH]]
            rows = await self._all(sa.select(inbox.c.event_id).where(inbox.c.event_id.in_(ids)))
            known |= {row["event_id"] for row in rows}
        return sorted((event for event in events if event.id not in known), key=lambda event: event.created)

    async def _events(self, query: sa.Select[Any]) -> list[StoredEvent]:
        return [_stored(row) for row in await self._all(query)]

    async def events_without_effect(self, received_before: datetime) -> int:
        """How many events that were stored before then still await their effect."""
        # `inbox_due` has them: what had its effect has no next try.
        waits = [inbox.c.processed_at.is_(None), inbox.c.next_try_at.is_not(None)]
        [row] = await self._all(
            sa.select(sa.func.count().label("many")).where(*waits, inbox.c.received_at <= received_before)
        )
        return int(row["many"])

    async def events_were_missed(self) -> None:
        """Stripe had to be asked for events that should have arrived by themselves."""
        now = self._now()
        before = await self._missed()
        since = before[0] if before and not await self._arrived_since(before[1]) else now
        async with self._write() as connection:
            for name, at in ((_MISSED_SINCE, since), (_MISSED_LAST, now)):
                # A second later: what was stored with them is not taken for one that arrived by itself.
                await set_counter(connection, name, int(at.timestamp()) + (at is now))

    async def stripe_silent_since(self) -> datetime | None:
        """Since when no event of Stripe's arrives by itself, although there were some: two looks in a row found events
        that had not arrived, and none has since. None where that is a day ago: nothing says that it is so still."""
        missed = await self._missed()
        if missed is None:
            return None
        since, last = missed
        if last - since < _TWO_LOOKS or self._now() - last > _SILENT_FOR or await self._arrived_since(last):
            return None
        return since

    async def _missed(self) -> tuple[datetime, datetime] | None:
        names = (_MISSED_SINCE, _MISSED_LAST)
        rows = await self._all(sa.select(counters).where(counters.c.name.in_(names)))
        found = {row["name"]: datetime.fromtimestamp(row["value"], UTC) for row in rows}
        return (found[_MISSED_SINCE], found[_MISSED_LAST]) if len(found) == len(names) else None

    async def _arrived_since(self, at: datetime) -> bool:
        stripes = inbox.c.event_id.startswith("evt_")
        later = sa.select(inbox.c.event_id).where(inbox.c.processed_at > at, inbox.c.received_at > at, stripes)
        return bool(await self._all(later.limit(1)))

    async def claim_event(self, event_id: str, *, tries: int) -> bool:
        """Whether an event may be acted on by hand: False where it has been tried since it was seen with so many tries.
        Counts as a try of its own, so that of two who ask at once one is refused."""
        async with self._write() as connection:
            claimed = await connection.execute(
                _RECORD.where(inbox.c.tries == sa.bindparam("seen")), {"of": event_id, "seen": tries}
            )
            return bool(claimed.rowcount)

    async def record_event(self, event_id: str, *, error: str = "", again_at: datetime | None = None) -> None:
        """Processed (no `error`), or put off until `again_at`."""
        processed_at = None if error else self._now()
        async with self._write() as connection:
            values = {"processed_at": processed_at, "last_error": error or None, "next_try_at": again_at}
            await connection.execute(_RECORD, {"of": event_id, **values})

    async def counter(self, name: str) -> int:
        """A named number; 0 before anything was added to it."""
        rows = await self._fetch(_COUNTER, name=name)
        return int(rows[0]["value"]) if rows else 0

    async def add_to_counter(self, name: str, more: int) -> int:
        """Add to a named number, which begins at 0; the sum."""
        if not more:  # a process with nothing to add asks three times a minute, and would write as often
            return await self.counter(name)
        async with self._write() as connection:
            return await raise_counter(connection, name, more)

    async def take_turn(self, name: str, *, until: datetime, longest: timedelta | None = None) -> bool:
        """Whether this process may do what only one does until then; False while another one has it. `longest` is how
        far ahead `keep_turn` may put its end, where that is further."""
        now = self._now()
        async with self._write() as connection:
            return await take_turn(connection, f"turn:{name}", now=now, until=until, longest=longest or until - now)

    async def keep_turn(self, name: str, *, until: datetime) -> None:
        """Have it for longer, or shorter, than it was taken for."""
        async with self._write() as connection:
            await set_counter(connection, f"turn:{name}", int(until.timestamp()))


def event_is_due(now: Moment) -> sa.ColumnElement[bool]:
    """Whether a stored event still awaits its effect, and may be tried now."""
    return sa.and_(inbox.c.processed_at.is_(None), inbox.c.next_try_at <= now)


def _stored(row: Row) -> StoredEvent:
    return StoredEvent(
        event=Event(id=row["event_id"], **{name: row[name] for name in _FACTS}),
        tries=row["tries"],
        received_at=row["received_at"],
        processed_at=row["processed_at"],
        next_try_at=row["next_try_at"],
        error=row["last_error"] or "",
    )


_DUE = Prepared(sa.select(inbox).where(event_is_due(NOW)).order_by(inbox.c.next_try_at).limit(50))
_COUNTER = Prepared(sa.select(counters.c.value).where(counters.c.name == asked("name")))
_RECORD = sa.update(inbox).where(inbox.c.event_id == asked("of")).values(tries=inbox.c.tries + 1)

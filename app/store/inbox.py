"""Webhook events, each stored once, and named counters."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from app.database import Database
from app.domain import Event
from app.tables import counters, inbox


class InboxRows(Database):
    """The tables `inbox` and `counters`."""

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

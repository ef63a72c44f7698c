"""What is done and has been of no use for long: webhook events that had their effect, mails that were sent, answers
under idempotency keys that may be used anew, and notes on customers of whom no booking is left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.customers import note_is_of_nobody
from app.store.database import Database
from app.store.prepared import Prepared, asked
from app.store.search import drop_texts, is_of_nobody
from app.store.tables import (
    Instant,
    customer_notes,
    idempotency,
    inbox,
    outbox,
    search_texts,
)

#: Rows that go in one transaction, so that no booking waits for it.
_BATCH = 500


class PruneRows(Database):
    """Rows that go by their age."""

    async def prune(self, done_before: datetime) -> int:
        """Delete what was done before that, a batch of each; how many rows went. 0 says that there are no more."""
        gone = 0
        now = self._now()
        if not await self._fetch(_ANY, done_before=done_before, now=now):
            return gone
        for key, done_at, before in (
            (inbox.c.event_id, inbox.c.processed_at, done_before),
            (outbox.c.id, outbox.c.sent_at, done_before),
            (idempotency.c.key, idempotency.c.forget_at, now),
        ):
            old = sa.select(key).where(done_at < before).limit(_BATCH)
            async with self._write() as connection:
                deleted = await connection.execute(sa.delete(key.table).where(key.in_(old)))
                gone += deleted.rowcount
        async with self._write() as connection:
            gone += (await connection.execute(sa.delete(customer_notes).where(note_is_of_nobody()))).rowcount
        # Left by a process of the version before, which knows nothing of them.
        texts = await self._all(sa.select(search_texts.c.text).where(is_of_nobody()).limit(_BATCH))
        if texts:
            async with self._write() as connection:
                gone += await drop_texts(connection, [row["text"] for row in texts])
        return gone


def _any() -> sa.CompoundSelect[Any]:
    """A row for each table that has something to go."""
    before, now = asked("done_before", Instant), asked("now", Instant)
    old: list[sa.Select[Any]] = [
        sa.select(sa.literal_column("1").label("old")).where(sa.exists().where(done_at < before))
        for done_at in (inbox.c.processed_at, outbox.c.sent_at)
    ]
    old.append(sa.select(sa.literal_column("1").label("old")).where(sa.exists().where(idempotency.c.forget_at < now)))
    nobodys: list[sa.Select[Any]] = [
        sa.select(sa.literal_column("1").label("old")).where(sa.exists().select_from(table).where(condition))
        for table, condition in ((customer_notes, note_is_of_nobody()), (search_texts, is_of_nobody()))
    ]
    return sa.union_all(*old, *nobodys)


_ANY = Prepared(_any())

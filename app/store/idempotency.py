"""Answers that were given under programs' idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.tables import idempotency


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written under a key. `status` is None while the call is running."""

    fingerprint: str
    status: int | None
    body: bytes


class IdempotencyRows(Database):
    """The table `idempotency`."""

    async def take_key(
        self, key: str, *, fingerprint: str, run: str, running_until: datetime, forget_at: datetime
    ) -> Kept | None:
        """Have a key for one run; else what is written under it. A run that is over its time has died: its key can be
        taken over, for the same request. The row is inserted or locked first, so of any number of calls one runs."""
        now = self._now()
        row = {"key": key, "fingerprint": fingerprint, "run": run, "forget_at": forget_at}
        async with self._write() as connection:
            while not await insert_if_new(connection, idempotency, {**row, "running_until": running_until}):
                found = await connection.execute(
                    sa.select(idempotency).where(idempotency.c.key == key).with_for_update()
                )
                there = found.mappings().first()
                if there is None:
                    continue  # freed since: inserted now, unless someone else was first
                if there["forget_at"] <= now:  # its time is over, and pruning has not come to it yet
                    await connection.execute(sa.delete(idempotency).where(idempotency.c.key == key))
                    continue
                dead = there["status"] is None and there["running_until"] <= now
                if not dead or there["fingerprint"] != fingerprint:
                    return Kept(there["fingerprint"], there["status"], there["body"] or b"")
                await connection.execute(
                    sa.update(idempotency).where(idempotency.c.key == key).values(run=run, running_until=running_until)
                )
                return None
            return None

    async def keep_answer(self, key: str, *, run: str, status: int, body: bytes) -> None:
        """Store the run's answer, for a repeated call; not if another run has taken the key over."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(idempotency)
                .where(idempotency.c.key == key, idempotency.c.run == run, idempotency.c.status.is_(None))
                .values(status=status, body=body)
            )

    async def free_key(self, key: str, *, run: str) -> None:
        """The run has no answer worth keeping: the key can be used again."""
        async with self._write() as connection:
            await connection.execute(
                sa.delete(idempotency).where(
                    idempotency.c.key == key, idempotency.c.run == run, idempotency.c.status.is_(None)
                )
            )

"""Mails that are owed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from app.database import Database
from app.domain import OutboxMail
from app.store.owed import add_mails
from app.tables import outbox, to_mail


class OutboxRows(Database):
    """The table `outbox`."""

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

    async def add_mail(self, mails: Sequence[OutboxMail]) -> None:
        """Mails that no change of a booking owes."""
        async with self._write() as connection:
            await add_mails(connection, mails)

    async def record_mail(self, mail_id: str, *, error: str = "", again_at: datetime | None = None) -> None:
        """Sent (no `error`), put off (`again_at`), or given up."""
        sent_at = None if error else self._now()
        async with self._write() as connection:
            await connection.execute(
                sa.update(outbox)
                .where(outbox.c.id == mail_id)
                .values(sent_at=sent_at, last_error=error or None, next_try_at=again_at)
            )

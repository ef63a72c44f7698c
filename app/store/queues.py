"""Whether a worker has anything to do, in one question: most of the time it has not."""

from __future__ import annotations

import sqlalchemy as sa

from app.store.bookings import bookings_due
from app.store.database import Database
from app.store.inbox import event_is_due
from app.store.moves import move_is_due
from app.store.outbox import mail_is_due
from app.store.payments import select_payments_to_look_at
from app.store.reservations import reservation_is_due
from app.store.strays import stray_is_untold
from app.store.tables import inbox, moves, outbox, refunds, reservations, stray_payments


class QueueRows(Database):
    """All queues of the worker together; each has its own methods beside its rows."""

    async def anything_due(self) -> bool:
        """Whether any queue has something to be tried now."""
        now = self._now()
        queues = (
            bookings_due(now),
            select_payments_to_look_at(now),
            sa.select(inbox.c.event_id).where(event_is_due(now)),
            sa.select(moves.c.id).where(move_is_due(now)),
            sa.select(reservations.c.id).where(reservation_is_due(now)),
            sa.select(refunds.c.id).where(refunds.c.next_try_at <= now),
            sa.select(outbox.c.id).where(mail_is_due(now)),
            sa.select(stray_payments.c.session_id).where(stray_is_untold(now)),
        )
        [row] = await self._all(sa.select(sa.or_(*(queue.exists() for queue in queues)).label("due")))
        return bool(row["due"])

"""Payments of bookings that this database does not know."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.domain.payment import StrayPayment
from app.store.conflicts import insert_if_new
from app.store.database import Database
from app.store.prepared import NOW, Moment, Prepared, asked
from app.store.rows import stray_row, to_stray
from app.store.tables import stray_payments

_OPEN = stray_payments.c.settled_at.is_(None)
_BY_SESSION = Prepared(sa.select(stray_payments).where(stray_payments.c.session_id == asked("of")))
_BY_INTENT = Prepared(sa.select(stray_payments).where(stray_payments.c.payment_intent_id == asked("of")))


class StrayRows(Database):
    """The table `stray_payments`."""

    async def add_stray(self, stray: StrayPayment) -> bool:
        """Note such a payment once. False if it is noted."""
        async with self._write() as connection:
            row = {**stray_row(stray), "next_try_at": stray.seen_at}
            return await insert_if_new(connection, stray_payments, row)

    async def stray(self, session_id: str) -> StrayPayment | None:
        """The payment on this Checkout Session."""
        return await self._stray(_BY_SESSION, of=session_id)

    async def stray_of_intent(self, payment_intent_id: str) -> StrayPayment | None:
        """The payment of this PaymentIntent."""
        return await self._stray(_BY_INTENT, of=payment_intent_id)

    async def _stray(self, query: Prepared, of: str) -> StrayPayment | None:
        rows = await self._fetch(query, of=of)
        return to_stray(rows[0]) if rows else None

    async def open_strays(self) -> list[StrayPayment]:
        """Those about which someone has still to decide, oldest first."""
        rows = await self._all(sa.select(stray_payments).where(_OPEN).order_by(stray_payments.c.paid_at))
        return [to_stray(row) for row in rows]

    async def untold_strays(self) -> list[StrayPayment]:
        """Those that the owner is to be mailed about now."""
        rows = await self._fetch(_UNTOLD, now=self._now())
        return [to_stray(row) for row in rows]

    async def record_stray_told(self, session_id: str) -> None:
        """The owner was mailed."""
        await self._change(session_id, told_at=self._now(), next_try_at=None)

    async def put_off_stray(self, session_id: str, *, until: datetime) -> None:
        """The mail could not be sent: try again then."""
        await self._change(session_id, next_try_at=until, tries=stray_payments.c.tries + 1)

    async def record_stray_returned(self, session_id: str, *, returned: int) -> None:
        """What of the payment has gone back, in smallest units; with all of it, it is settled."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(stray_payments).where(stray_payments.c.session_id == session_id).values(returned=returned)
            )
            await connection.execute(
                sa.update(stray_payments)
                .where(stray_payments.c.session_id == session_id, _OPEN, stray_payments.c.amount <= returned)
                .values(settled_at=self._now(), outcome="refunded")
            )

    async def settle_stray(self, session_id: str, *, outcome: str) -> bool:
        """Nothing is left to decide about it. False if that was so before."""
        async with self._write() as connection:
            settled = await connection.execute(
                sa.update(stray_payments)
                .where(stray_payments.c.session_id == session_id, _OPEN)
                .values(settled_at=self._now(), outcome=outcome)
            )
            return bool(settled.rowcount)

    async def _change(self, session_id: str, **values: object) -> None:
        async with self._write() as connection:
            await connection.execute(
                sa.update(stray_payments).where(stray_payments.c.session_id == session_id).values(**values)
            )


def stray_is_untold(now: Moment) -> sa.ColumnElement[bool]:
    """Whether the owner is to be mailed about a payment now."""
    return sa.and_(_OPEN, stray_payments.c.told_at.is_(None), stray_payments.c.next_try_at <= now)


_UNTOLD = Prepared(sa.select(stray_payments).where(stray_is_untold(NOW)).order_by(stray_payments.c.paid_at).limit(20))

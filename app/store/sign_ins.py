"""Links that staff asked for, and the sign-ins that they opened."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import sign_ins


class SignInRows(Database):
    """The table `sign_ins`."""

    async def add_sign_in(self, sign_in_id: str, email: str, *, forget_before: datetime) -> None:
        """Somebody asked for a link. What was asked for before `forget_before` is over, and forgotten."""
        row = {"id": sign_in_id, "email": email, "asked_at": self._now()}
        async with self._write() as connection:
            await connection.execute(sa.delete(sign_ins).where(sign_ins.c.asked_at < forget_before))
            await connection.execute(sa.insert(sign_ins).values(row))

    async def use_sign_in(self, sign_in_id: str) -> bool:
        """The link is used, once; False if it was before, or was never asked for."""
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(sign_ins)
                .where(sign_ins.c.id == sign_in_id, sign_ins.c.used_at.is_(None))
                .values(used_at=self._now())
            )
            return bool(result.rowcount)

    async def open_sign_in(self, sign_in_id: str) -> tuple[str, datetime] | None:
        """(address, since when) of a sign-in that has not ended."""
        rows = await self._all(
            sa.select(sign_ins.c.email, sign_ins.c.used_at).where(
                sign_ins.c.id == sign_in_id, sign_ins.c.used_at.is_not(None), sign_ins.c.ended_at.is_(None)
            )
        )
        return (rows[0]["email"], rows[0]["used_at"]) if rows else None

    async def end_sign_in(self, sign_in_id: str) -> None:
        """Signed out: no address of this sign-in opens any more."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(sign_ins).where(sign_ins.c.id == sign_in_id).values(ended_at=self._now())
            )

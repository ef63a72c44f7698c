"""Links that staff asked for, and the sign-ins that they opened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import sign_ins


@dataclass(frozen=True, slots=True)
class OpenSignIn:
    """Whose it is and since when; `ends_at` is None for one of an older version."""

    email: str
    since: datetime
    stays: bool
    ends_at: datetime | None


class SignInRows(Database):
    """The table `sign_ins`."""

    async def add_sign_in(self, sign_in_id: str, email: str, *, forget_before: datetime) -> None:
        """Someone asked for a link. What was asked for before `forget_before` is over, and forgotten."""
        row = {"id": sign_in_id, "email": email, "asked_at": self._now()}
        async with self._write() as connection:
            await connection.execute(sa.delete(sign_ins).where(sign_ins.c.asked_at < forget_before))
            await connection.execute(sa.insert(sign_ins).values(row))

    async def use_sign_in(self, sign_in_id: str, *, stays: bool = False, ends_at: datetime | None = None) -> bool:
        """The link is used, once; False if it was before, or was never asked for. `stays`: the sign-in need not be used
        to last until `ends_at`."""
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(sign_ins)
                .where(sign_ins.c.id == sign_in_id, sign_ins.c.used_at.is_(None))
                .values(used_at=self._now(), stays=stays, ends_at=ends_at)
            )
            return bool(result.rowcount)

    async def open_sign_in(self, sign_in_id: str) -> OpenSignIn | None:
        """A sign-in that nobody has ended."""
        rows = await self._all(
            sa.select(sign_ins).where(
                sign_ins.c.id == sign_in_id, sign_ins.c.used_at.is_not(None), sign_ins.c.ended_at.is_(None)
            )
        )
        return OpenSignIn(*(rows[0][name] for name in ("email", "used_at", "stays", "ends_at"))) if rows else None

    async def extend_sign_in(self, sign_in_id: str, *, ends_at: datetime) -> None:
        """It lasts until then, unless it was to last longer, or has ended."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(sign_ins)
                .where(
                    sign_ins.c.id == sign_in_id,
                    sign_ins.c.ended_at.is_(None),
                    sa.or_(sign_ins.c.ends_at.is_(None), sign_ins.c.ends_at < ends_at),
                )
                .values(ends_at=ends_at)
            )

    async def end_sign_in(self, sign_in_id: str) -> None:
        """Signed out: no address of this sign-in opens any more."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(sign_ins).where(sign_ins.c.id == sign_in_id).values(ended_at=self._now())
            )

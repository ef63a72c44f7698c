"""The accounts that owners have connected: sealed tokens, and who may refresh them.

A refresh token works once, so each change names the one that it was made with: anyone who comes late with an older one
changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from app.domain.scheduler_tokens import Broken, SchedulerTokens
from app.store.backend import note
from app.store.database import Database
from app.store.prepared import NOW, Moment, Prepared
from app.store.rows import to_scheduler_tokens
from app.store.tables import scheduler_tokens

#: What came of connecting an account: done; the account has another name here; the name was connected since the owner
#: was asked; the name has another account.
Connecting = Literal["connected", "other_name", "used", "other_account"]


class SchedulerTokenRows(Database):
    """The table `scheduler_tokens`."""

    async def scheduler_tokens(self, name: str) -> SchedulerTokens | None:
        """The account under this name."""
        rows = await self._all(sa.select(scheduler_tokens).where(scheduler_tokens.c.name == name))
        return to_scheduler_tokens(rows[0]) if rows else None

    async def all_scheduler_tokens(self) -> list[SchedulerTokens]:
        """Every account, by its name here."""
        rows = await self._fetch(_ACCOUNTS)
        return [to_scheduler_tokens(row) for row in rows]

    # Eight: the row, and when its owner was asked.
    async def connect_scheduler(
        self,
        name: str,
        *,
        account: str,
        account_name: str,
        access: str,
        refresh: str,
        expires_at: datetime,
        asked_at: datetime,
    ) -> Connecting:
        """Keep the tokens of an account whose owner was asked at `asked_at`, once for each time of asking. The same
        account takes fresh tokens at any time; another one only a name that is free."""
        now = self._now()
        values = {
            "account": account,
            "account_name": account_name,
            "access": access,
            "refresh": refresh,
            "expires_at": expires_at,
            "lease_until": None,
            "broken": "",
            "tell_at": None,
            "connected_at": now,
            "updated_at": now,
        }
        named = scheduler_tokens.c.name == name
        async with self._write() as connection:
            await self.backend.lock_name(connection, "scheduler tokens")
            rows = (await connection.execute(sa.select(scheduler_tokens))).mappings()
            there = [to_scheduler_tokens(row) for row in rows]
            if any(one.account == account and one.name != name for one in there):
                return "other_name"
            known = next((one for one in there if one.name == name), None)
            if known is None:
                await connection.execute(sa.insert(scheduler_tokens).values(name=name, **values))
            elif known.connected_at >= asked_at:
                return "used"
            elif known.account != account:
                return "other_account"
            else:
                await connection.execute(sa.update(scheduler_tokens).where(named).values(values))
            note(connection, "scheduler connected", scheduler=name)
        return "connected"

    async def disconnect_scheduler(self, name: str) -> None:
        """Forget the tokens; safe to repeat."""
        async with self._write() as connection:
            await connection.execute(sa.delete(scheduler_tokens).where(scheduler_tokens.c.name == name))
            note(connection, "scheduler disconnected", scheduler=name)

    async def lease_refresh(self, name: str, *, until: datetime) -> SchedulerTokens | None:
        """Become the one who refreshes, up to a moment; the row as it stands then. None where someone else is at it,
        or there is nothing to refresh."""
        free = sa.or_(scheduler_tokens.c.lease_until.is_(None), scheduler_tokens.c.lease_until <= self._now())
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(scheduler_tokens)
                .where(scheduler_tokens.c.name == name, scheduler_tokens.c.broken == "", free)
                .values(lease_until=until)
                .returning(*scheduler_tokens.c)
            )
            row = result.mappings().one_or_none()
        return to_scheduler_tokens(row) if row else None

    async def keep_refreshed(self, leased: SchedulerTokens, *, access: str, refresh: str, expires_at: datetime) -> bool:
        """The new tokens of a refresh, which end the lease. They stand even where the row was called broken meanwhile:
        the scheduler has given them. False where the account was connected again, or disconnected."""
        return await self._change_tokens(
            leased,
            access=access,
            refresh=refresh,
            expires_at=expires_at,
            lease_until=None,
            broken="",
            tell_at=None,
        )

    async def end_lease(self, leased: SchedulerTokens) -> None:
        """Nothing came of the refresh: the next one may try."""
        async with self._write() as connection:
            await connection.execute(
                sa.update(scheduler_tokens)
                .where(scheduler_tokens.c.name == leased.name, scheduler_tokens.c.lease_until == leased.lease_until)
                .values(lease_until=None)
            )

    async def break_scheduler_tokens(self, tokens: SchedulerTokens, reason: Broken) -> bool:
        """These tokens do not work any more, and the owner has to hear of it. False where there are others by now."""
        return await self._change_tokens(tokens, broken=reason.value, lease_until=None, tell_at=self._now())

    async def broken_to_tell(self) -> list[SchedulerTokens]:
        """Broken accounts that their owners have to hear of now."""
        rows = await self._fetch(_UNTOLD, now=self._now())
        return [to_scheduler_tokens(row) for row in rows]

    async def tell_of_broken_at(self, tokens: SchedulerTokens, at: datetime | None) -> None:
        """When the owner is to hear of it; None when that is done."""
        await self._change_tokens(tokens, touch=False, tell_at=at)

    async def _change_tokens(self, tokens: SchedulerTokens, *, touch: bool = True, **values: object) -> bool:
        made_with = scheduler_tokens.c.refresh == tokens.refresh
        touched = {"updated_at": self._now()} if touch else {}
        async with self._write() as connection:
            result = await connection.execute(
                sa.update(scheduler_tokens)
                .where(scheduler_tokens.c.name == tokens.name, made_with)
                .values(**values, **touched)
            )
            return bool(result.rowcount)


def is_broken_untold(now: Moment) -> sa.ColumnElement[bool]:
    """Whether the owner is to be mailed about a broken account now."""
    return scheduler_tokens.c.tell_at <= now


_ACCOUNTS = Prepared(sa.select(scheduler_tokens).order_by(scheduler_tokens.c.name))
_UNTOLD = Prepared(sa.select(scheduler_tokens).where(is_broken_untold(NOW)).order_by(scheduler_tokens.c.tell_at))
